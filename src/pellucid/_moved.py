"""Modules that have moved: the old import path still works, and says the new one."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["MOVED", "install"]

MOVED = {
    "adaptive_q": "methods.adaptive_q",
    "comparison": "statistics.comparison",
    "data.choice": "data.config",
    "data.stored": "data.splits",
    "environment": "runs.environment",
    "errors": "core.errors",
    "evaluation": "runs.evaluation",
    "experiment": "runs.settings config",
    "explanation.judgement": "explanation.trust_rules",
    "explanation.page": "explanation.card_page",
    "explanation.subject": "explanation.explained_network",
    "files": "core.files",
    "imports": "config",
    "input_gradient": "core.input_gradient",
    "integrations.draws": "integrations.given",
    "measurement": "runs.measurement",
    "methods.methods": "methods",
    "metrics.catalogue": "metrics.suite metrics.column metrics.families.stability",
    "metrics.definitions": "metrics.suite metrics.column metrics.families.stability",
    "modes": "core.modes",
    "objective": "methods.objective",
    "options": "cli.options",
    "pareto": "statistics.pareto",
    "predictions": "runs.predictions",
    "processes": "core.processes",
    "randomness": "core.randomness",
    "recipes": "papers",
    "recipes.bhusal2026": "papers.bhusal2026",
    "recipes.found": "papers.tuned_settings",
    "recipes.guesmi2024": "papers.guesmi2024",
    "recipes.ismail2021": "papers.ismail2021",
    "recipes.pellucid": "papers.pellucid",
    "recipes.table": "papers.table papers.claim papers.setting papers.plan",
    "recipes.xu2023": "papers.xu2023",
    "report.requirements": "report.gate report.gate_formats report.requirement",
    "reproduction": "papers.plan papers.reproduce papers.table papers.stages papers.cost papers.table_page",
    "reproduction.background": "papers.background",
    "reproduction.choice": "papers.plan papers.table papers.stages",
    "reproduction.command": "papers.reproduce",
    "reproduction.cost": "papers.cost",
    "reproduction.curves": "papers.curves",
    "reproduction.expression": "papers.expression",
    "reproduction.figures": "papers.figures",
    "reproduction.galleries": "papers.galleries",
    "reproduction.page": "papers.table_page",
    "reproduction.stages": "papers.stages",
    "reproduction.summary": "papers.summary",
    "seeds": "statistics.seeds",
    "selection": "papers.select papers.plan papers.grids papers.front_figure papers.search_page",
    "selection.figure": "papers.front_figure",
    "selection.grids": "papers.grids",
    "selection.page": "papers.search_page",
    "selection.search": "papers.select papers.plan",
    "session": "runs.checkpoint",
    "smoothing": "edits.smoothing",
    "study.course": "study.sequence",
    "training": "runs.training",
    "types": "core.types",
}
"""Old module to where its names are now, all without ``pellucid.``."""


class _Finder(MetaPathFinder, Loader):
    """Finds a module that has moved by its old name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = fullname.partition(".")
        if package != "pellucid" or module not in MOVED:
            return None
        return ModuleSpec(fullname, self, is_package=any(old.startswith(f"{module}.") for old in MOVED))

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        homes = [f"pellucid.{new}" for new in MOVED[old.removeprefix("pellucid.")].split()]
        warnings.warn(
            f"{old} is now {' and '.join(homes)}; the old name will be removed", DeprecationWarning, stacklevel=2
        )

        def lookup(name: str) -> Any:
            for home in homes:
                if hasattr(import_module(home), name):
                    return getattr(import_module(home), name)
            raise AttributeError(f"module {old!r} has no attribute {name!r}")

        module.__dict__["__getattr__"] = lookup


def install() -> None:
    """Let old names be imported; asked last, so that every module that exists is found before."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
