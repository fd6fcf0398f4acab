"""Imports go one way, from `cli` down to `core`, and what shows results needs no torch."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "pellucid"

# A module imports from its own layer and those above it in this list.
LAYERS = [
    {"core"},
    {"config"},
    {"attacks", "divergence", "edits", "saliency", "statistics"},
    {"data", "methods", "metrics", "models"},
    {"runs"},
    {"explanation", "report", "study"},
    {"demo", "doctor", "exports", "leaderboard", "papers"},
    {"tuning"},
    {"cli"},
    {"__main__", "_moved"},
    {"integrations"},
]
LAYER = {module: depth for depth, modules in enumerate(LAYERS) for module in modules}
TORCH_FREE = {"config", "report", "statistics", "study"}


def imported(source: str, package: str) -> set[str]:
    """The modules directly under `pellucid` that `source`, a file of `package`, imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return {f"{name}.".split(".")[1] for name in names if name.split(".")[0] == "pellucid"} - {"__version__"}


def mistake(module: str, used: str) -> str | None:
    """Why `module` may not import `used`, or None."""
    if used not in LAYER:
        return f"{module} imports {used or 'pellucid'}: name the module that defines it, and give new modules a layer"
    if LAYER[used] > LAYER[module]:
        return f"{module} imports {used}, which is above it"
    return None


def graph() -> dict[str, set[str]]:
    """For every module directly under `pellucid`, those that it imports."""
    used: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts != ("__init__",):
            package = ".".join(("pellucid", *parts[:-1]))
            used.setdefault(parts[0], set()).update(imported(path.read_text(encoding="utf-8"), package) - {parts[0]})
    return used


def test_every_module_has_a_layer() -> None:
    assert set(graph()) - set(LAYER) == set()


def test_no_module_imports_one_above_it() -> None:
    modules = {module: used for module, used in graph().items() if module in LAYER}
    assert [why for module, used in modules.items() for name in sorted(used) if (why := mistake(module, name))] == []


def test_no_two_modules_import_each_other() -> None:
    order = list(TopologicalSorter(graph()).static_order())
    assert order.index("core") < order.index("cli")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from pellucid.data import Data", {"data"}),
        ("from pellucid import attacks, __version__", {"attacks"}),
        ("import pellucid.metrics.sparsity as s, torch", {"metrics"}),
        ("def f():\n    from ..runs.training import fit", {"runs"}),
        ("from .runs import read_run", {"report"}),
        ("import pellucid", {""}),
    ],
)
def test_every_form_of_import_is_seen(source: str, expected: set[str]) -> None:
    assert imported(source, "pellucid.report") == expected


@pytest.mark.parametrize(
    ("module", "used"),
    [("core", "data"), ("methods", "runs"), ("cli", "integrations"), ("metrics", "report"), ("cli", "SCAAT")],
)
def test_a_back_edge_is_a_mistake(module: str, used: str) -> None:
    assert mistake(module, used)
    assert mistake("cli", "report") is None


@pytest.mark.parametrize("module", [*sorted(TORCH_FREE & set(graph())), "cli/gate", "cli/show", "cli/study"])
def test_results_are_shown_without_torch(module: str) -> None:
    # Every import statement of the module is run, those inside functions too.
    statements = []
    for path in [*PACKAGE.glob(f"{module}.py"), *PACKAGE.glob(f"{module}/**/*.py")]:
        package = ".".join(("pellucid", *path.relative_to(PACKAGE).parts[:-1]))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                statements.append(f"exec({ast.unparse(node)!r}, {{'__package__': {package!r}}})")
    program = "\n".join(
        ["import sys", *statements, f"import pellucid.{module.replace('/', '.')}", "print('torch' in sys.modules)"]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
