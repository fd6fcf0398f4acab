"""A robot of a body and five named parts, each of five forms, drawn large and in every size that is needed."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from pellucid.data.truth.drawing import Array, around, framed, opacity, resized
from pellucid.data.truth.outlines import SIDE, polygon, stroke, turn

__all__ = ["ANGLES", "FORMS", "PARTS", "Piece", "body", "forms"]

ANGLES = 9
"""Angles in which a robot stands, 5 degrees from one to the next, the middle one upright."""

NEAR = 1
"""Pixels around a part that belong to its mask."""

Inside = Callable[[Array, Array], Array]
"""Where points (x to the right, y down, from -1 to 1) are inside."""


def _disc(x: Array, y: Array, at: tuple[float, float], radius: float) -> Array:
    return stroke(x, y, at, at, radius)


def _box(x: Array, y: Array, left: float, top: float, right: float, bottom: float) -> Array:
    return (x >= left) & (x <= right) & (y >= top) & (y <= bottom)


def _spring(x: Array, y: Array) -> Array:
    upper = stroke(x, y, (0, 0.54), (-0.3, 0.62), 0.06) | stroke(x, y, (-0.3, 0.62), (0.3, 0.76), 0.06)
    return upper | stroke(x, y, (0.3, 0.76), (-0.3, 0.9), 0.06)


def _cross(x: Array, y: Array) -> Array:
    return _box(x, y, -0.08, -0.05, 0.08, 0.39) | _box(x, y, -0.22, 0.09, 0.22, 0.25)


CROWN = [(-0.36, -0.64), (-0.36, -0.97), (-0.17, -0.76), (0, -0.98), (0.17, -0.76), (0.36, -0.97), (0.36, -0.64)]

FORMS: dict[str, tuple[Inside, ...]] = {
    "antenna": (
        lambda x, y: stroke(x, y, (0, -0.66), (0, -0.8), 0.05) | _disc(x, y, (0, -0.84), 0.14),
        lambda x, y: stroke(abs(x), y, (0, -0.68), (0.34, -0.94), 0.06),
        lambda x, y: polygon(x, y, [(-0.3, -0.64), (0.3, -0.64), (0, -1)]),
        lambda x, y: stroke(x, y, (0, -0.68), (0, -0.88), 0.05) | _box(x, y, -0.38, -0.98, 0.38, -0.85),
        lambda x, y: polygon(x, y, CROWN),
    ),
    "eyes": (
        lambda x, y: _disc(abs(x), y, (0.17, -0.39), 0.12),
        lambda x, y: _box(x, y, -0.3, -0.49, 0.3, -0.29),
        lambda x, y: _disc(x, y, (0, -0.38), 0.2),
        lambda x, y: _box(abs(x), y, 0.1, -0.57, 0.24, -0.2),
        lambda x, y: polygon(x, y, [(-0.3, -0.56), (0.3, -0.56), (0, -0.2)]),
    ),
    "arms": (
        lambda x, y: stroke(abs(x), y, (0.5, 0), (0.62, 0.5), 0.09),
        lambda x, y: stroke(abs(x), y, (0.48, 0), (0.78, -0.5), 0.09),
        lambda x, y: (
            _box(abs(x), y, 0.38, 0.02, 0.66, 0.14)
            | _disc(abs(x), y, (0.78, 0.08), 0.2) & ~_box(abs(x), y, 0.76, 0.02, 1, 0.14)
        ),
        lambda x, y: polygon(abs(x), y, [(0.39, -0.06), (0.95, 0.32), (0.39, 0.42)]),
        lambda x, y: _disc(abs(x), y, (0.61, 0.12), 0.21),
    ),
    "emblem": (
        lambda x, y: _disc(x, y, (0, 0.17), 0.2),
        lambda x, y: _box(x, y, -0.25, -0.04, 0.25, 0.09) | _box(x, y, -0.25, 0.23, 0.25, 0.36),
        _cross,
        lambda x, y: polygon(x, y, [(0, -0.06), (0.26, 0.36), (-0.26, 0.36)]),
        lambda x, y: _disc(x, y, (0, 0.17), 0.23) & ~_disc(x, y, (0, 0.17), 0.11),
    ),
    "feet": (
        lambda x, y: _disc(abs(x), y, (0.3, 0.74), 0.23),
        lambda x, y: _box(abs(x), y, 0.12, 0.5, 0.28, 0.97) | _box(abs(x), y, 0.12, 0.82, 0.52, 0.97),
        lambda x, y: polygon(x, y, [(-0.25, 0.5), (0.25, 0.5), (0.65, 0.97), (-0.65, 0.97)]),
        _spring,
        lambda x, y: stroke(abs(x), y, (0, 0.56), (0.5, 0.92), 0.06) | _box(abs(x), y, 0, 0.5, 0.06, 0.97),
    ),
}
"""What each part looks like; no two parts have a point in common."""

PARTS = tuple(FORMS)


def _body(x: Array, y: Array) -> Array:
    head, neck = _box(abs(x), y, 0, -0.62, 0.36, -0.14), _box(abs(x), y, 0, -0.2, 0.12, 0)
    return head | neck | _box(abs(x), y, 0, -0.1, 0.36, 0.47)


class Piece(NamedTuple):
    """One part of one robot: what covers it, and where in its frame.

    Attributes:
        opacity: uint16 (h, w), and the row and column of the frame where it begins.
        mask: bool (h, w), where the part is and the pixels around it, and the row and column where it begins.
    """

    opacity: tuple[Array, int, int]
    mask: tuple[Array, int, int]


@cache
def body(size: int) -> tuple[Array, ...]:
    """The body in every angle: uint16 opacity (size, size)."""
    return tuple(opacity(_sized(size)[-1]))


@cache
def forms(size: int) -> tuple[tuple[tuple[Piece, ...], ...], ...]:
    """Every part, in every form, in every angle, of a robot ``size`` pixels high."""
    covers = _sized(size)[:-1]
    masks = around(covers.reshape(-1, size, size) > 0, NEAR).reshape(covers.shape)
    pieces = [
        tuple(Piece(framed(opacity(cover)), framed(mask)) for cover, mask in zip(*pair, strict=True))
        for pair in zip(covers, masks, strict=True)
    ]
    each = len(pieces) // len(PARTS)
    return tuple(tuple(pieces[first : first + each]) for first in range(0, len(pieces), each))


@cache
def _sized(size: int) -> Array:
    """All forms of all parts, and the body: uint8 coverage (26, angle, size, size)."""
    return resized(_large(), size).reshape(-1, ANGLES, size, size)


@cache
def _large() -> Array:
    place = (2 * np.arange(SIDE) + 1 - SIDE) / SIDE
    drawn = []
    for inside in [*(form for part in FORMS.values() for form in part), _body]:
        for angle in range(ANGLES):
            cosine, sine = turn(angle - ANGLES // 2, 72)
            x, y = cosine * place + sine * place[:, None], cosine * place[:, None] - sine * place
            drawn.append(inside(x, y))
    return np.stack(drawn).astype(np.uint8) * 255
