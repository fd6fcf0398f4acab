"""Tables for a terminal: nothing is cut, nothing is wider than it, and bold stands only where it can be seen."""

import re

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len
from rich.text import Text

from pellucid.core import terminal

WORDS = st.text(st.characters(categories=("L", "N", "P")), max_size=30)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=5), st.integers(40, 120))
def test_every_word_is_kept_and_no_line_is_too_wide(rows, line) -> None:
    text = terminal.rendered(terminal.table(["a", "b"], rows), line=line)
    assert all(cell_len(shown) <= line for shown in text.splitlines())
    shown = "".join(text.split())
    assert all(shown.count(letter) >= 1 for row in rows for cell in row for letter in cell.replace(" ", ""))


@given(st.lists(st.integers(1, 90), min_size=1, max_size=20), st.integers(5, 30), st.integers(40, 120))
def test_blocks_hold_every_column_once_and_fit(widths, first, line) -> None:
    blocks = terminal.columns_that_fit(widths, first=first, line=line)
    assert [number for block in blocks for number in block] == list(range(len(widths)))
    for block in blocks:
        assert len(block) == 1 or first + sum(terminal.GAP + widths[number] for number in block) <= line


def test_markup_in_a_name_is_text() -> None:
    assert "[bold]run[/bold] :smile:" in terminal.rendered(terminal.table(["Run"], [["[bold]run[/bold] :smile:"]]))


def test_bold_is_written_only_where_it_is_asked_for() -> None:
    table = terminal.table(["Run"], [[Text("best", style="bold")]])
    assert "\x1b[1mbest" in terminal.rendered(table, styled=True)
    assert "\x1b" not in terminal.rendered(table)


@pytest.mark.parametrize(
    ("settings", "styled"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colour_is_off_without_a_terminal_and_where_nobody_wants_it(monkeypatch, settings, styled) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert terminal.is_styled() is styled


def test_the_width_is_that_of_the_terminal(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "57")
    assert terminal.width() == 57
    rule = terminal.rendered(terminal.table(["a"], [["word " * 40]])).splitlines()[1]
    assert re.fullmatch("─+", rule) and len(rule) <= 57
