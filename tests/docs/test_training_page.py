"""docs/training.md: its Python and its commands run from top to bottom."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, blocks

PAGE = ROOT / "docs" / "training.md"

pytestmark = pytest.mark.slow


def test_the_lines_of_python_run(tmp_path: Path) -> None:
    (code,) = blocks(PAGE, "python")
    (tmp_path / "mine.py").write_text(code)
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "SCAAT" in done.stdout and "LeRF" in done.stdout


def test_the_commands_run_from_top_to_bottom(tmp_path: Path) -> None:
    (block,) = blocks(PAGE, "sh")
    script = block.replace("pellucid ", f"{sys.executable} -m pellucid ")
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "| sgt | SaliencyGuided" in done.stdout and (tmp_path / "report.html").exists()
