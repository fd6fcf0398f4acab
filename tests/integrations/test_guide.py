"""The guide's code runs, from top to bottom."""

import re
import subprocess
import sys
from pathlib import Path

GUIDE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text()


def test_the_code_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert len(blocks) == 5
    (tmp_path / "guide.py").write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, "guide.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    for shown in ("gini_low: 0.", "aopc_rel: ", "stability_coverage: ", "RobustAccuracy: ", "16 ", "[16, 1, 28, 28]"):
        assert shown in printed, shown


def test_every_name_it_shows_is_there():
    for module, names in re.findall(r"from pellucid\.integrations\.(\w+) import ([\w, ]+)", GUIDE):
        found = __import__(f"pellucid.integrations.{module}", fromlist=["__all__"]).__all__
        assert set(names.replace(" ", "").split(",")) <= set(found)
