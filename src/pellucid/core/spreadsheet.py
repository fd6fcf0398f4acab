"""CSV that a spreadsheet opens without running anything in it: a text that it would take for a formula is marked.

A spreadsheet computes what stands in a cell that begins with ``=``, ``+``, ``-`` or ``@``, whoever wrote it: a
participant of a study, or who named a class or a run directory. Such a text gets an apostrophe in front, which is a
spreadsheet's own sign for text; `rows_of` takes it away again.

Source: OWASP, CSV injection.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

__all__ = ["guarded", "rows_of", "unguarded", "write_row", "write_table"]

_FORMULA = re.compile("'*[=+\\-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
                      "\N{FULLWIDTH COMMERCIAL AT}]")  # fmt: skip
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def guarded(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe in front.

    Numbers, also those that are written as text, stay as they are; nothing becomes an empty cell.

    Args:
        value: what the cell holds.

    >>> [guarded(value) for value in ("=1+1", "-1.5", -1.5, "@home", "'=1", "cat", None)]
    ["'=1+1", '-1.5', -1.5, "'@home", "''=1", 'cat', '']
    """
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value) else value


def unguarded(text: str) -> str:
    """The text of a cell as it was before `guarded`.

    >>> unguarded("'=1+1"), unguarded("''=1"), unguarded("'tis"), unguarded("-1.5")
    ('=1+1', "'=1", "'tis", '-1.5')
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def write_row(file: TextIO, cells: Iterable[Any]) -> None:
    """Write one line of CSV, every cell `guarded`.

    Args:
        file: open for writing with ``newline=""``.
        cells: of the line.
    """
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow([guarded(cell) for cell in cells])  # which quotes both of these
    file.write(line.getvalue().removesuffix("\r\n") + "\n")


def write_table(file: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table of CSV, every cell and every head `guarded`.

    Args:
        file: open for writing with ``newline=""``.
        columns: their heads, in order.
        rows: cells by column; one that is missing is empty.
    """
    write_row(file, columns)
    for row in rows:
        write_row(file, [row.get(column) for column in columns])


def rows_of(file: Iterable[str]) -> tuple[list[str], Iterator[dict[str, str]]]:
    """The heads and the rows of a table that `write_table` wrote, as it was given to it.

    Args:
        file: open for reading with ``newline=""``.

    Returns:
        Heads, empty for an empty file; and rows, read as they are asked for, with an empty text where a line is short.
    """
    lines = csv.reader(file)
    heads = [unguarded(head) for head in next(lines, [])]
    return heads, (
        dict(zip(heads, [*map(unguarded, line), *[""] * len(heads)], strict=False)) for line in lines if line
    )
