"""Text for a terminal: tables as wide as it is, and bold only where it can be seen."""

import io
from collections.abc import Sequence

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["Cell", "Part", "columns_that_fit", "is_styled", "letters", "rendered", "table", "width"]

Cell = str | Text
Part = RenderableType

RULE_BELOW_HEAD = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
WORD = 16
"""Letters of a word that is not broken to make room for other columns."""
GAP = 2
"""Spaces between two columns."""


def width() -> int:
    """Letters in a line of the terminal; 80 where there is none, and what COLUMNS says where it is set."""
    return Console().width


def is_styled() -> bool:
    """Whether standard output shows bold: it is a terminal, and NO_COLOR is not set."""
    console = Console()
    return console.is_terminal and not console.no_color and not console.is_dumb_terminal


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    right: Sequence[bool] = (),
    widest: int | None = None,
) -> Table:
    """A table with a line below its head. Cells that are too long for the terminal are wrapped, and none is cut.

    Args:
        heads: of the columns.
        rows: a cell for each column; a `rich.text.Text` may be bold.
        right: for each column whether it is aligned at the right, as numbers are, and so is not wrapped; none by
            default.
        widest: letters beyond which a cell that is aligned at the left is wrapped; what the terminal holds by default.
    """
    made = Table(box=RULE_BELOW_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="")
    for number, head in enumerate(heads):
        at_right = number < len(right) and right[number]
        if at_right:
            made.add_column(Text(head), justify="right", no_wrap=True)
        else:
            words = [word for row in rows for word in str(row[number]).split()]
            least = min(WORD, widest or WORD, max(map(cell_len, words), default=0))
            made.add_column(Text(head), overflow="fold", max_width=widest, min_width=least)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return made


def columns_that_fit(widths: Sequence[int], *, first: int, line: int) -> list[range]:
    """Which columns stand beside each other, where a line does not hold them all; one at least.

    Args:
        widths: of the columns, in letters.
        first: width of what every table begins with.
        line: letters in a line.

    >>> columns_that_fit([10, 10, 10], first=8, line=40)
    [range(0, 2), range(2, 3)]
    """
    blocks, start, used = [], 0, first
    for number, letters in enumerate(widths):
        if number > start and used + GAP + letters > line:
            blocks.append(range(start, number))
            start, used = number, first
        used += GAP + letters
    return [*blocks, range(start, len(widths))]


def letters(cells: Sequence[Cell]) -> int:
    """Width of the widest cell, in letters of a terminal, where some signs take two.

    >>> letters(["a", "日本"])
    4
    """
    return max(cell_len(str(cell)) for cell in cells)


def rendered(*parts: Part, line: int | None = None, styled: bool = False) -> str:
    """Tables and texts as one text, without blanks at the ends of lines.

    Args:
        parts: of `table`, or strings.
        line: letters in a line; those of the terminal by default.
        styled: whether bold is written as the codes that a terminal understands.

    >>> print(rendered(table(["Run", "Gini"], [["a", "0.5"]], right=[False, True]), line=20))
    Run  Gini
    ─────────
    a     0.5
    """
    out = io.StringIO()
    console = Console(
        file=out, width=line or width(), force_terminal=styled, color_system="standard" if styled else None,
        no_color=not styled, highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    console.print(Group(*(Text(part) if isinstance(part, str) else part for part in parts)))
    return "\n".join(text.rstrip() for text in out.getvalue().splitlines())
