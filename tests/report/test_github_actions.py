"""The example of docs/github-actions.md: its command line lets an equal network through and stops a worse one."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from pellucid.cli import main
from pellucid.report.gate import FEWEST
from pellucid.report.requirement import parse

TEXT = (Path(__file__).parents[2] / "docs" / "github-actions.md").read_text(encoding="utf-8")

GOOD = (0.89, 0.10, 0.56, 13e-3, 0.20, 1.9, 8.0)
WORSE = (0.60, 0.01, 0.30, 60e-3, 0.05, 5.0, 8.0)


def scripts() -> list[str]:
    (workflow,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    steps = yaml.safe_load(workflow)["jobs"]["check"]["steps"]
    return [step["run"] for step in steps if "run" in step]


def command() -> list[str]:
    (script,) = [script for script in scripts() if "pellucid check" in script]
    return shlex.split(script.replace("\\\n", " "))[1:]


@pytest.mark.parametrize(("change", "code", "kind"), [("same", 0, "notice"), ("worse", 1, "error")])
def test_the_documented_gate(make_run, monkeypatch, capsys, change, code, kind) -> None:
    baseline = make_run("baseline", means=GOOD, images=400)
    worse = make_run("worse", means=WORSE, images=400)
    monkeypatch.chdir(baseline.parents[1])
    (baseline.parent / "change").symlink_to(baseline if change == "same" else worse)
    assert main(command()) == code
    assert capsys.readouterr().out.count(f"::{kind} title=pellucid check::") == 3
    assert Path("check.xml").is_file()


@pytest.mark.slow
def test_the_workflow_runs_as_written(tmp_path) -> None:
    def run(*lines: str) -> int:
        script = "\n".join(lines).replace("pellucid ", f"{sys.executable} -m pellucid ", 1)
        script = re.sub(r"\n\s*pellucid ", f"\n{sys.executable} -m pellucid ", script)
        script = script.replace("--images 10000", "--images 600")
        return subprocess.run(["bash", "-euc", script], cwd=tmp_path, timeout=300).returncode

    trained = "pellucid train runs/baseline --dataset.limit 4096 --epochs 1"
    assert run(trained, "pellucid evaluate runs/baseline --images 10000") == 0
    prepare, gate = [script for script in scripts() if "pip install" not in script]
    written = (tmp_path / "runs/baseline/experiment.yaml").read_text()
    worse = yaml.safe_load(written)
    worse["optimizer"]["lr"] = 1e-9
    for experiment, code, failures in ((written, 0, 0), (yaml.safe_dump(worse), 1, 1)):
        (tmp_path / "experiment.yaml").write_text(experiment)
        shutil.rmtree(tmp_path / "runs/change", ignore_errors=True)
        assert run(prepare) == 0
        assert run(gate) == code
        suite = ElementTree.parse(tmp_path / "check.xml").getroot()[0]
        assert suite.get("tests") == "3" and int(suite.get("failures")) >= failures


def test_the_grammar_is_as_told() -> None:
    examples = re.findall(r"`((?:\w|/)+(?:<=|>=)[^`]+)`", TEXT)
    assert len(examples) >= 2 and all(parse(example) for example in examples)
    assert f"fewer than {FEWEST} images" in TEXT
