"""docs/truth.md names what there is, its example runs, and every link leads somewhere."""

import re
from pathlib import Path

import pytest

from pellucid import methods
from pellucid.data.config import DATASETS
from pellucid.leaderboard.plan import BOARDS, PAGES
from pellucid.metrics import suite

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "truth.md").read_text(encoding="utf-8")


def first_cells(section: str) -> list[str]:
    """The names in code in the first cell of each row of a section's table."""
    text = PAGE.split(f"## {section}")[1].split("\n## ")[0]
    return [name for line in re.findall(r"^\| (`[^|]+) \|", text, re.M) for name in re.findall(r"`([^`]+)`", line)]


def test_every_set_of_truth_is_told():
    assert set(first_cells("Images with their truth")) == {name for name in DATASETS if name.startswith("truth:")}


def test_every_measure_of_truth_is_told():
    told = set(first_cells("What is measured"))
    truth = {name for name, column in suite.COLUMNS.items() if column.family == "truth"}
    assert truth - told == {"mass_chance", "decoy_mass"}
    assert told <= truth


def test_every_method_is_there():
    assert all(hasattr(methods, name) for name in first_cells("Methods, and what they are compared with"))


def test_every_board_and_page_is_told():
    section = PAGE.split("## Leaderboards")[1]
    assert all(name in section for name in (*BOARDS, *PAGES))


def test_the_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(code, "docs/truth.md", "exec"), {})
    assert "tensor" in capsys.readouterr().out


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)]+)\)", PAGE))
def test_every_link_is_there(link):
    assert (ROOT / "docs" / link).exists()
