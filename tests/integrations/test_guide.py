"""The guide's code runs, from top to bottom."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text()


@pytest.mark.slow
def test_the_code_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert len(blocks) == 6
    printed = run("\n".join(blocks), tmp_path)
    for shown in (
        *("gini_low: 0.", "aopc_rel: ", "stability_coverage: ", "RobustAccuracy: ", "16 ", "[16, 1, 28, 28]"),
        "clean accuracy 0.",
    ):
        assert shown in printed, shown


@pytest.mark.slow
def test_the_trainer_of_hugging_face_runs(tmp_path):
    first = GUIDE.index("```python\n") + len("```python\n")
    data = GUIDE[first : GUIDE.index("```", first)]
    (block,) = re.findall(r"```py\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert re.search(r"Hugging Face: 8 steps, q 0\.\d\d", run(data + block, tmp_path))


def run(code, folder):
    """What the code prints in a folder of its own."""
    (folder / "guide.py").write_text(code)
    done = subprocess.run([sys.executable, "guide.py"], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_name_it_shows_is_there():
    for module, names in re.findall(r"from pellucid\.integrations\.(\w+) import ([\w, ]+)", GUIDE):
        found = __import__(f"pellucid.integrations.{module}", fromlist=["__all__"]).__all__
        assert set(names.replace(" ", "").split(",")) <= set(found)
