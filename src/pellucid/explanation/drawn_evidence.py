"""What a card's picture shows of each map: covered and noisy pictures, the dots of random maps."""

from PIL import Image, ImageDraw

from pellucid.explanation.card import Card, MapCard, share
from pellucid.explanation.evidence import Covering
from pellucid.explanation.evidence_words import ROWS, captions, covering_words, dots, noise_words, two
from pellucid.explanation.lettering import clipped, letter, wrapped
from pellucid.explanation.paint import COLORS, FAINT, GAP, INK, LINE, scaled

__all__ = ["draw_evidence", "evidence_height"]

PICTURES = 6
"""The whole picture, two covered ones, a noisy one and its map, another map."""
LARGEST = 200
BETWEEN = 14
HEAD = 30
STRIP = 74
"""Height of the dots with their axis."""
LABEL = 205
"""Pixels between two labels below which the second stands a line lower."""


def _size(map_: MapCard, width: int) -> tuple[int, int]:
    """Width and height of each picture of the evidence."""
    height, across = map_.heatmap.shape
    side = min(LARGEST, (width - (PICTURES - 1) * BETWEEN) // PICTURES)
    return max(1, round(side * across / max(height, across))), max(1, round(side * height / max(height, across)))


def _words(map_: MapCard, width: int) -> tuple[str, ...]:
    assert map_.evidence is not None
    said = (covering_words(map_.evidence.covering), noise_words(map_, map_.evidence))
    return tuple(line for part in said for line in wrapped(part, 13, width))


def evidence_height(card: Card, width: int) -> int:
    """Height in pixels of what `draw_evidence` draws; a map whose evidence was not kept takes nothing."""
    return sum(_height(map_, width) for map_ in card.maps)


def _height(map_: MapCard, width: int) -> int:
    if map_.evidence is None:
        return 0
    return HEAD + _size(map_, width)[1] + 3 * 16 + 10 + STRIP + 18 * len(_words(map_, width)) + GAP


def draw_evidence(canvas: Image.Image, draw: ImageDraw.ImageDraw, card: Card, top: int, width: int) -> None:
    """Draw what can be seen of each map's figures, one map below the other."""
    for map_ in card.maps:
        _draw_map(canvas, draw, card, map_, top, width)
        top += _height(map_, width)


def _draw_map(canvas: Image.Image, draw: ImageDraw.ImageDraw, card: Card, map_: MapCard, top: int, width: int) -> None:
    if map_.evidence is None:
        return
    title = clipped(f"The evidence: {map_.title}", 17, width, bold=True)
    letter(canvas, (GAP, top), title, INK, 17, bold=True)
    size, y = _size(map_, width), top + HEAD
    covering = map_.evidence.covering
    pictures = [
        (Image.fromarray(picture), words)
        for picture, words in zip(
            (card.image, covering.marked_picture, covering.unmarked_picture), captions(covering), strict=True
        )
    ]
    for number, copy in enumerate(map_.evidence.copies, 1):
        if number == 1:
            pictures.append((Image.fromarray(copy.picture), f"A noisy copy: {share(copy.probability)}"))
        map_of = card.scale.picture(copy.heatmap)
        pictures.append((map_of, f"Map of noisy copy {number}: rank correlation {two(copy.correlation)}"))
    for number, (picture, words) in enumerate(pictures):
        x = GAP + number * (size[0] + BETWEEN)
        canvas.paste(scaled(picture.convert("RGB"), size), (x, y))
        for i, line in enumerate(wrapped(words, 12, size[0])[:3]):
            letter(canvas, (x, y + size[1] + 4 + 16 * i), line, INK, 12)
    y += size[1] + 3 * 16 + 10
    _draw_dots(canvas, draw, covering, y, width)
    for i, line in enumerate(_words(map_, width)):
        letter(canvas, (GAP, y + STRIP + 18 * i), line, INK, 13)


def _draw_dots(canvas: Image.Image, draw: ImageDraw.ImageDraw, covering: Covering, top: int, width: int) -> None:
    """Confidence from 0 to 100 %: a dot for each random map, and where the most and the least marked parts lead."""
    base = top + 44

    def x(probability: float) -> float:
        return GAP + probability * (width - 1)

    draw.line((GAP, base, GAP + width, base), LINE)
    for tick in range(0, 101, 25):
        draw.line((x(tick / 100), base, x(tick / 100), base + 4), LINE)
        letter(canvas, (x(tick / 100), base + 6), f"{tick} %", FAINT, 11, anchor=_anchor(tick / 100))
    for probability, row in dots(covering.random):
        y = base - 6 - 5 * (row % ROWS)
        draw.ellipse((x(probability) - 2.5, y - 2.5, x(probability) + 2.5, y + 2.5), FAINT)
    beside = abs(x(covering.marked) - x(covering.unmarked)) < LABEL
    for value, words, level, lower in (
        (covering.marked, "most marked", "do not rely", 0),
        (covering.unmarked, "least marked", "no objection", 14 * beside),
    ):
        ink = COLORS[level][0]  # type: ignore[index]
        draw.line((x(value), top + 14 + 14 * beside, x(value), base), ink, 2)
        place = x(value), top + lower
        letter(canvas, place, f"{words}: {share(value)}", ink, 12, bold=True, anchor=_anchor(value))


def _anchor(position: float) -> str:
    return "la" if position < 0.1 else "ra" if position > 0.9 else "ma"
