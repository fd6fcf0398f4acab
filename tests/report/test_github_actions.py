"""The example of docs/github-actions.md: its command line lets an equal network through and stops a worse one."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from pellucid.cli import main
from pellucid.report.requirements import FEWEST, parse

TEXT = (Path(__file__).parents[2] / "docs" / "github-actions.md").read_text(encoding="utf-8")

GOOD = (0.89, 0.10, 0.56, 13e-3, 0.20, 1.9, 8.0)
WORSE = (0.60, 0.05, 0.30, 60e-3, 0.05, 5.0, 8.0)


def command() -> list[str]:
    (workflow,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    steps = yaml.safe_load(workflow)["jobs"]["check"]["steps"]
    (step,) = [step["run"] for step in steps if "pellucid check" in step.get("run", "")]
    return shlex.split(step.replace("\\\n", " "))[1:]


@pytest.mark.parametrize(("change", "code", "kind"), [("same", 0, "notice"), ("worse", 1, "error")])
def test_the_documented_gate(make_run, monkeypatch, capsys, change, code, kind) -> None:
    baseline = make_run("baseline", means=GOOD, images=400)
    worse = make_run("worse", means=WORSE, images=400)
    monkeypatch.chdir(baseline.parents[1])
    (baseline.parent / "change").symlink_to(baseline if change == "same" else worse)
    assert main(command()) == code
    assert capsys.readouterr().out.count(f"::{kind} title=pellucid check::") == 3
    assert Path("check.xml").is_file()


def test_the_grammar_is_as_told() -> None:
    examples = re.findall(r"`((?:\w|/)+(?:<=|>=)[^`]+)`", TEXT)
    assert len(examples) >= 2 and all(parse(example) for example in examples)
    assert f"fewer than {FEWEST} images" in TEXT
