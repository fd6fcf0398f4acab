"""Outlines drawn large, of which every size is made: shapes that are turned, blobs, lines and strokes.

Points are told inside from outside by sums, products, quotients and comparisons alone, which every machine rounds
alike; sines and cosines are rounded to 2⁻¹⁶ first.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from pellucid.core.randomness import StepDraws
from pellucid.data.truth.drawing import Array, opacity, resized
from pellucid.data.truth.made import Chance

__all__ = ["SHAPES", "SIDE", "TURNS", "marks", "polygon", "shapes", "stroke", "turn"]

SIDE = 96
"""Pixels of a side of what is drawn large."""

TURNS = 48
"""Angles in which a shape is drawn."""

MARKS = 300
"""Blobs, lines and strokes that are drawn, a third each."""

Points = Sequence[tuple[float, float]]


def turn(step: float, steps: int) -> tuple[float, float]:
    """Cosine and sine of a share of a full turn, rounded so that every machine has the same.

    >>> turn(1, 4)
    (0.0, 1.0)
    """
    angle = 2 * math.pi * step / steps
    return round(math.cos(angle) * 65536) / 65536, round(math.sin(angle) * 65536) / 65536


def _grid() -> tuple[Array, Array]:
    """Places of the pixels, x to the right and y down, from -1 to 1."""
    place = (2 * np.arange(SIDE) + 1 - SIDE) / SIDE
    return np.broadcast_to(place, (SIDE, SIDE)), np.broadcast_to(place[:, None], (SIDE, SIDE))


def polygon(x: Array, y: Array, corners: Points) -> Array:
    """Where points are inside a polygon: a ray to the right crosses its edges an odd number of times."""
    inside = np.zeros(x.shape, dtype=bool)
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


def stroke(x: Array, y: Array, start: tuple[float, float], end: tuple[float, float], radius: float) -> Array:
    """Where points are at most ``radius`` away from the line between two others."""
    (x1, y1), (x2, y2) = start, end
    along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / max((x2 - x1) * (x2 - x1) + (y2 - y1) * (y2 - y1), 1e-9)
    along = np.clip(along, 0, 1)
    away_x, away_y = x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1)
    inside: Array = away_x * away_x + away_y * away_y <= radius * radius
    return inside


def _regular(corners: int, inner: float = 1.0) -> Points:
    """Corners of a regular polygon that points up, or of a star, whose every other corner is at ``inner``."""
    steps = corners if inner == 1 else 2 * corners
    radii = [1.0 if step % 2 == 0 else inner for step in range(steps)] if inner != 1 else [1.0] * steps
    turns = [turn(step, steps) for step in range(steps)]
    return [(radius * sine, -radius * cosine) for radius, (cosine, sine) in zip(radii, turns, strict=True)]


def _heart(x: Array, y: Array) -> Array:
    x, y = abs(x), y + 0.05
    return stroke(x, y, (0.42, -0.32), (0.42, -0.32), 0.46) | polygon(x, y, [(-0.1, -0.3), (0.83, -0.12), (0, 0.98)])


SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "disc": lambda x, y: x * x + y * y <= 0.7,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) <= 0.7,
    "triangle": lambda x, y: polygon(x, y, _regular(3)),
    "star": lambda x, y: polygon(x, y, _regular(5, 0.42)),
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) <= 0.27) & (np.maximum(abs(x), abs(y)) <= 0.92),
    "ring": lambda x, y: (x * x + y * y <= 0.85) & (x * x + y * y >= 0.27),
    "heart": _heart,
    "crescent": lambda x, y: (x * x + y * y <= 0.95) & ((x - 0.5) * (x - 0.5) + y * y >= 0.6),
    "pentagon": lambda x, y: polygon(x, y, _regular(5)),
    "arrow": lambda x, y: polygon(
        x, y, [(0, -1), (0.75, -0.1), (0.25, -0.1), (0.25, 0.95), (-0.25, 0.95), (-0.25, -0.1), (-0.75, -0.1)]
    ),
}
"""Where the points of each shape are, in a disc of radius 1."""


@cache
def shapes(size: int) -> Array:
    """Every shape in every angle, its circle ``size`` pixels wide: uint16 opacity (shape, angle, size, size)."""
    return opacity(resized(_large_shapes(), size)).reshape(len(SHAPES), TURNS, size, size)


@cache
def _large_shapes() -> Array:
    x, y = _grid()
    drawn = []
    for inside in SHAPES.values():
        for step in range(TURNS):
            cosine, sine = turn(step, TURNS)
            drawn.append(inside(cosine * x + sine * y, cosine * y - sine * x))
    return np.stack(drawn).astype(np.uint8) * 255


@cache
def marks(size: int) -> Array:
    """Blobs, lines and strokes that are no shape, ``size`` pixels wide: uint16 opacity (mark, size, size)."""
    return opacity(resized(_large_marks(), size))


@cache
def _large_marks() -> Array:
    x, y = _grid()
    third = MARKS // 3
    chance = Chance(StepDraws(seed=0, step=0, purpose="truth/marks"))
    blob, line, letter = (chance.uniform(kind, third, 12).tolist() for kind in ("blob", "line", "letter"))
    drawn = []
    for u in blob:  # three discs that overlap, at about a third of a turn from each other
        inside = np.zeros(x.shape, dtype=bool)
        for disc in range(3):
            cosine, sine = turn(disc + u[3 * disc] * 0.6 + u[9], 3)
            away, radius = 0.3 + 0.3 * u[3 * disc + 1], 0.28 + 0.17 * u[3 * disc + 2]
            inside |= stroke(x, y, (away * cosine, away * sine), (away * cosine, away * sine), radius)
        drawn.append(inside)
    for u in line:  # five points joined by a thin line
        points = [(1.7 * u[2 * k] - 0.85, 1.7 * u[2 * k + 1] - 0.85) for k in range(5)]
        drawn.append(_joined(x, y, points, 0.07 + 0.05 * u[10]))
    for u in letter:  # two or three thick strokes between nine places, as capital letters have
        inside = np.zeros(x.shape, dtype=bool)
        for k in range(2 + (u[8] < 0.5)):
            start, end = int(9 * u[2 * k]), int(8 * u[2 * k + 1])
            end += end >= start
            inside |= stroke(x, y, _ninth(start), _ninth(end), 0.14)
        drawn.append(inside)
    return np.stack(drawn).astype(np.uint8) * 255


def _joined(x: Array, y: Array, points: Points, radius: float) -> Array:
    inside = np.zeros(x.shape, dtype=bool)
    for start, end in pairwise(points):
        inside |= stroke(x, y, start, end, radius)
    return inside


def _ninth(number: int) -> tuple[float, float]:
    return 0.8 * (number % 3 - 1), 0.8 * (number // 3 - 1)
