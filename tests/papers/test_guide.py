"""docs/reproduce.md and docs/searches.md say what the code does."""

import re
from pathlib import Path

import pytest

from pellucid.cli import main
from pellucid.papers import reproduce, select, xu2023
from pellucid.papers.grids import grid
from pellucid.papers.plan import PAPERS, SEARCHES, Reproduction, Selection
from pellucid.papers.setting import DATASETS, setting
from pellucid.papers.table import tables

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "\n".join((DOCS / name).read_text(encoding="utf-8") for name in ("reproduce.md", "searches.md"))
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL) for line in block.splitlines()]


def rows(*heads: str) -> dict[str, str]:
    """A table's rows by their first cell."""
    head = re.escape(f"| {' | '.join(heads)} |")
    (table,) = re.findall(head + r"\n\| [-| ]+\|\n((?:\|.*\n)+)", TEXT)
    return {cells[1].strip(" `"): line for line in table.splitlines() if (cells := line.split("|"))}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(monkeypatch, command) -> None:
    asked = []
    for module, names in ((reproduce, ("reproduce", "forecast")), (select, ("select", "forecast"))):
        for name in names:
            monkeypatch.setattr(module, name, lambda plan: asked.append(plan) or [])
    assert main(command.split()[1:]) == 0
    (plan,) = asked
    if isinstance(plan, Reproduction):
        assert tables(plan)
    assert isinstance(plan, Reproduction | Selection)


def test_every_paper_table_scale_and_search_is_told() -> None:
    papers = rows("paper", "tables", "datasets")
    assert set(papers) == set(PAPERS) - {"pellucid"}
    told = papers["xu2023"].replace("`-", "`ablation-")
    assert re.findall(r"`([\w-]+)`", told)[1:] == [table.number for table in _all("xu2023")]
    assert [name for name in rows("scale", "what is trained", "for")] == ["smoke", "cpu", "full"]
    assert set(rows("search", "of what", "grid", "rule")) == set(SEARCHES)


def _all(paper: str):
    return [tables(Reproduction(paper=paper, table=number))[0] for number in xu2023.TABLES]


@pytest.mark.parametrize(
    ("search", "points"),
    [("xu2023", "1 point"), ("xu2023-longer", ""), ("xu2023-again", ""), ("ismail2021", "2.5 points")],
)
def test_the_grids_are_as_large_as_told(search, points) -> None:
    at = setting("fashion-mnist", "cpu")
    declared = grid(search, at)
    names, chosen = set(), declared.start
    for vary in declared.stages.values():
        names |= {tuple(declared.settings(method).values()) for method in (chosen, *vary(chosen))}
    line = rows("search", "of what", "grid", "rule")[search]
    assert f"{len(names)} networks" in line
    if points:
        assert f"at most {points}" in line and declared.accuracy_lost == float(points.split()[0]) / 100


def test_the_example_is_a_recipe() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    space: dict = {}
    exec(code, space)
    assert set(space["DATASETS"]) < set(DATASETS)
    table = space["TABLES"]["main"](setting("mnist", "smoke"))
    assert set(table.published) < set(table.runs) and {claim.metric for claim in table.claims} < set(table.metrics)
