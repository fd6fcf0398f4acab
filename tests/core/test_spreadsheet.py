"""No cell of a CSV file that pellucid writes is a formula, and what is read is what was written."""

import csv
import io
import re
import string

import pytest
from hypothesis import given, strategies as st

from pellucid.core.spreadsheet import guarded, rows_of, unguarded, write_row, write_table

DANGEROUS = [
    "=1+1", '=HYPERLINK("http://evil")', "+1+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1",
    "\n=1", "＝1+1", "＋1", "－1", "＠A1", "=", "-", "+", "--help", "'=1", "''@x",
]  # fmt: skip
HARMLESS = ["cat", "", "1", "-1", "+0.5", "-1e-3", "1/2", "tis", "'tis", "a=b", "2026-01-01", " -", "x+y"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_formula_is_marked_as_text(text: str) -> None:
    assert guarded(text) == f"'{text}" and unguarded(guarded(text)) == text


@pytest.mark.parametrize("value", [*HARMLESS, -1, -0.5, 3, True, float("nan"), float("-inf")])
def test_what_is_no_formula_stays_as_it_is(value: object) -> None:
    assert guarded(value) is value
    assert not isinstance(value, str) or unguarded(value) == value


def is_number(cell: str) -> bool:
    """Whether a cell is a number with a sign, which no spreadsheet computes anything of."""
    return bool(re.fullmatch(r"[-+](\d+\.?\d*|\.\d+)(e[-+]?\d+)?", cell, re.I | re.A))


@given(st.text())
def test_every_text_comes_back_and_none_runs(text: str) -> None:
    cell = guarded(text)
    assert unguarded(cell) == text
    assert cell[:1] not in {*"=@\t\r\n＝＋－＠"}
    assert cell[:1] not in ("+", "-") or is_number(cell)


@given(st.lists(st.tuples(st.text(string.printable), st.text("=+-@'\"\n\r,x")), max_size=5))
def test_a_table_is_read_as_it_was_written(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    write_table(out, ["=name", "-value"], ({"=name": name, "-value": value} for name, value in rows))
    cells = [cell for line in csv.reader(io.StringIO(out.getvalue(), newline="")) for cell in line if cell]
    assert all(cell[0] not in "=@" and (cell[0] != "+" or is_number(cell)) for cell in cells)
    heads, read = rows_of(io.StringIO(out.getvalue(), newline=""))
    assert heads == ["=name", "-value"]
    assert [(row["=name"], row["-value"]) for row in read] == rows


def test_lines_that_are_short_or_missing() -> None:
    out = io.StringIO(newline="")
    write_row(out, [None, 1, "=x"])
    assert out.getvalue() == ",1,'=x\n"
    assert rows_of(io.StringIO(""))[0] == []
    assert list(rows_of(io.StringIO("a,b\n1\n\n2,3,4\n"))[1]) == [{"a": "1", "b": ""}, {"a": "2", "b": "3"}]
