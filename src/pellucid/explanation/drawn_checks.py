"""The table of a card's checks in its picture: a row for each question, a column for each map."""

from PIL import Image, ImageDraw

from pellucid.explanation.card import Card
from pellucid.explanation.lettering import letter, wrapped
from pellucid.explanation.paint import BAND, COLORS, GAP, INK, OUTCOMES
from pellucid.explanation.trust_checks import Outcome

__all__ = ["checks_height", "draw_checks"]

HEAD = 30
SIZE, LINE = 12, 15
"""Of the letters and of a line of them."""
RESULT = 104
"""Width of the column of one map."""
SHARES = (0.44, 0.33, 0.23)
"""Parts of the remaining width: the question, what was found, what is needed."""

_Cell = tuple[tuple[str, ...], Outcome | None]
"""The lines of a cell, and how the check came out where it says that."""


def checks_height(card: Card, width: int) -> int:
    """Height in pixels of what `draw_checks` draws; 0 of a card without checks."""
    rows = _rows(card, width)
    return HEAD + sum(map(_height, rows)) + GAP if rows else 0


def draw_checks(canvas: Image.Image, draw: ImageDraw.ImageDraw, card: Card, top: int, width: int) -> None:
    """Draw every check: the question, what was found of the first map, what is needed, how it came out for each map."""
    rows, columns = _rows(card, width), _columns(card, width)
    if not rows:
        return
    letter(canvas, (GAP, top), "The checks", INK, 17, bold=True)
    y = top + HEAD
    for number, row in enumerate(rows):
        x = GAP
        for (lines, outcome), column in zip(row, columns, strict=True):
            ink = INK
            if outcome is not None:
                ink, paper = COLORS[OUTCOMES[outcome][2]]
                draw.rectangle((x - 5, y - 2, x + column - 10, y + LINE + 2), paper)
            for i, line in enumerate(lines):
                letter(canvas, (x, y + LINE * i), line, ink, SIZE, bold=number == 0 or outcome is not None)
            x += column
        y += _height(row)
        draw.line((GAP, y - 4, GAP + width, y - 4), BAND)


def _columns(card: Card, width: int) -> list[int]:
    """Widths of the columns."""
    left = width - RESULT * len(card.maps)
    return [*(round(share * left) for share in SHARES), *[RESULT] * len(card.maps)]


def _rows(card: Card, width: int) -> list[list[_Cell]]:
    """The head, and a row for each question in the order of the map that was asked most; none without checks."""
    questions = [check.question for check in max((map_.judgement.checks for map_ in card.maps), key=len)]
    if not questions:
        return []
    columns = _columns(card, width)
    asked = [{check.question: check for check in map_.judgement.checks} for map_ in card.maps]
    found = "Found" if len(card.maps) == 1 else f"Found for {card.maps[0].title}"
    heads = ("Question", found, "Needed", *(map_.title for map_ in card.maps))
    rows: list[list[_Cell]] = [
        [(wrapped(words, SIZE, column - 14, bold=True), None) for words, column in zip(heads, columns, strict=True)]
    ]
    for question in questions:
        first, some = asked[0].get(question), next(checks[question] for checks in asked if question in checks)
        texts = (question, "–" if first is None else first.found, some.asked)
        row: list[_Cell] = [
            (wrapped(text, SIZE, column - 14), None) for text, column in zip(texts, columns, strict=False)
        ]
        for checks in asked:
            outcome: Outcome = checks[question].outcome if question in checks else "not made"
            row.append(((" ".join(OUTCOMES[outcome][:2]),), outcome))
        rows.append(row)
    return rows


def _height(row: list[_Cell]) -> int:
    return LINE * max(len(lines) for lines, _ in row) + 8
