"""docs/explain.md and docs/trust-rules.md say what the code does."""

import re
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pellucid.cli import main
from pellucid.explanation import trust_checks, trust_rules
from pellucid.explanation.card import FIGURES
from pellucid.explanation.examination import Examination
from pellucid.explanation.reference import FEWEST

from .conftest import FACTORY, pixels

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "\n".join((DOCS / name).read_text(encoding="utf-8") for name in ("explain.md", "trust-rules.md"))


def row(rule: str) -> str:
    (line,) = re.findall(rf"^\| `{rule}` \|.*$", TEXT, flags=re.MULTILINE)
    return line


def test_every_rule_has_its_threshold() -> None:
    source = Path(trust_checks.__file__).read_text(encoding="utf-8") + Path(trust_rules.__file__).read_text("utf-8")
    rules = set(re.findall(r'(?:"fails", |"care", |rule, why = |: \(|rule=)"([a-z-]+)"', source)) - {"undecided"}
    assert len(rules) == 16, sorted(rules)
    assert {name for name in re.findall(r"^\| `([\w-]+)` \|", TEXT, flags=re.MULTILINE)} == rules
    assert all(f"``{name}``" in trust_rules.Judgement.__doc__ for name in rules)
    for rule, threshold in (
        ("untested", f"{trust_checks.NOTHING_LOST:g}"),
        ("unfaithful", f"{100 * trust_checks.AS_GOOD:g} %"),
        ("prediction-changes", f"{trust_checks.COVERAGE:g}"),
        ("unsteady", f"{trust_checks.UNSTEADY:g}"),
        ("shaky", f"{trust_checks.SHAKY:g}"),
        ("least-steady", f"{trust_checks.WORST:g} %"),
        ("less-steady", f"{trust_checks.POOR:g} %"),
        ("less-faithful", f"{trust_checks.POOR:g} %"),
        ("unsure", f"{trust_checks.UNSURE:g}"),
        ("disagreement", f"{trust_checks.DISAGREE:g}"),
        ("diffuse", f"{trust_checks.DIFFUSE:g}"),
    ):
        assert threshold in row(rule)


def test_quick_and_full_are_as_told() -> None:
    quick, full = Examination.quick(), Examination()
    (told,) = re.findall(r"\*\*Quick and full\.\*\*(.*?)\n\n", TEXT, flags=re.DOTALL)
    numbers = [int(number) for number in re.findall(r"\d+", told)]
    samples, steps = quick.saliency[1].samples, quick.saliency[2].steps
    ours = [quick.curves.steps, quick.stability.draws, quick.predictions, quick.random_maps, samples, steps]
    ours += [full.curves.steps, full.curves.repeats, full.stability.draws, full.predictions, full.random_maps]
    assert quick.curves.repeats == 1 and numbers == ours
    assert re.search(rf"at least {FEWEST}\s+of\s+them", TEXT)
    assert all(FIGURES[name].title in TEXT for name in ("faithfulness", "similarity", "stability_coverage", "gini"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "my_module.py").write_text(FACTORY + "\nfactory = Quadrants\n")
    for name in ("my_package", "my_package.my_module"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    save_file({"scale": torch.tensor(8.0)}, tmp_path / "weights.safetensors")
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    for folder, count in (("photos", 2), ("typical-photos", 20)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            Image.fromarray(pixels(i % 4, seed=i)).save(tmp_path / folder / f"{i}.png")
    Image.fromarray(pixels()).save(tmp_path / "photo.png")
    return tmp_path


def test_the_command_line_runs(here, capsys) -> None:
    (line,) = [line for line in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL) if "--network" in line]
    words = line.replace("\\\n", " ").split()
    words[words.index("--size") + 1] = "16"
    assert words[0] == "pellucid" and main([*words[1:], "--saliency", "vanilla_gradient"]) == 0
    assert capsys.readouterr().out.count("the vanilla gradient map") == 2


def test_the_python_runs(here, capsys) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(code, {})
    assert "the vanilla gradient map" in capsys.readouterr().out
