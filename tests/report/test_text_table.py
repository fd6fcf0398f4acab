"""A comparison on a terminal: it fits, it marks who is best, and nobody who is tied with others."""

import re

import pytest
from rich.cells import cell_len

from pellucid.cli import main
from pellucid.report.formats import render
from pellucid.report.table import compare
from pellucid.report.text_table import ranks
from pellucid.runs.evaluated import read_run

GOOD = (0.89, 0.10, 0.56, 13e-3, 0.20, 1.9, 8.0)
WORSE = (0.60, 0.05, 0.30, 60e-3, 0.05, 5.0, 8.0)


@pytest.fixture
def runs(make_run):
    """Two networks that are alike, and a deliberately worse one."""
    made = [make_run("one", means=GOOD), make_run("two", means=GOOD), make_run("worse", means=WORSE)]
    return [read_run(path) for path in made]


def lines_of(text: str, head: str) -> dict[str, str]:
    """The cells below a head by run."""
    block = next(block for block in text.split("\n\n") if head in block)
    return {line.split()[0]: line for line in block.splitlines() if line[:1].isalpha() and "Run" not in line}


@pytest.mark.parametrize("line", [60, 80, 100, 120, 200])
def test_no_row_is_wider_than_the_terminal(runs, line) -> None:
    text = render(compare(runs, baseline=runs[0]), "text", ranks=ranks(runs), line=line)
    assert max(map(cell_len, text.splitlines())) <= line
    whole = render(compare(runs, baseline=runs[0]), "text", ranks=ranks(runs), line=1000)
    numbers = re.compile(r"[−\d.]+ \[[−\d.]+, [−\d.]+\]")
    assert sorted(numbers.findall(text)) == sorted(numbers.findall(whole)), "no number is cut or lost"


def test_a_tie_has_no_winner(runs) -> None:
    rows = lines_of(render(compare(runs), "text", ranks=ranks(runs), line=100), "Gini")
    assert "☆" in rows["one"] and "☆" in rows["two"] and "☆" not in rows["worse"]
    assert not any("★" in row for row in rows.values())


def test_the_best_alone_is_bold_and_has_a_star(runs) -> None:
    some = [runs[0], runs[2]]
    styled = render(compare(some), "text", ranks=ranks(some), line=100, styled=True)
    rows = lines_of(styled, "Gini")
    assert "★" in rows["one"] and "\x1b[1m" in rows["one"] and "★" not in rows["worse"]
    assert "\x1b" not in render(compare(some), "text", ranks=ranks(some), line=100)


def test_one_run_has_a_line_for_each_measure(runs) -> None:
    text = render(compare(runs[:1]), "text", line=60)
    assert re.search(r"^Gini index ↑ +0\.\d+ +\[0\.\d+, 0\.\d+\]$", text, re.MULTILINE)
    assert "★" not in text and "☆" not in text


def test_names_that_are_long_or_have_markup(make_run) -> None:
    paths = [make_run("[bold]red", means=GOOD), make_run("a-very-long-name-of-a-run-" * 4, means=WORSE)]
    some = [read_run(path) for path in paths]
    text = render(compare(some), "text", ranks=ranks(some), line=80)
    assert "[bold]red" in text and max(map(cell_len, text.splitlines())) <= 80


def test_the_command_writes_no_codes_into_a_pipe(make_run, capsys, monkeypatch) -> None:
    paths = [str(make_run("one", means=GOOD)), str(make_run("worse", means=WORSE))]
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["compare", *paths]) == 0
    out = capsys.readouterr().out
    assert "★" in out and "\x1b" not in out and max(map(cell_len, out.splitlines())) <= 80
