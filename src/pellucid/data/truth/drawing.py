"""Pictures put together in whole numbers, so that every machine draws the same bits.

Nothing here rounds a float: weights, colours and opacities are integers, and the one product that a matrix library
computes stays below 2²⁴, where float32 holds every integer, in whatever order it adds.
"""

from functools import cache
from typing import Any

import numpy as np

__all__ = ["Array", "around", "at_sides", "blend", "framed", "opacity", "resized"]

Array = np.ndarray[Any, Any]

UNIT = 128
"""What the weights of one pixel of a resized image add up to."""

OPAQUE = 256
"""Opacity of what hides everything below it; 0 leaves it as it is, bit for bit."""


@cache
def _weights(old: int, new: int) -> Array:
    """(new, old) float32 of whole numbers, rows adding up to `UNIT`: a triangle as wide as the larger pixel."""
    place = (2 * np.arange(old) + 1) * new
    share = np.maximum(0, 2 * max(old, new) - np.abs(place - (2 * np.arange(new)[:, None] + 1) * old))
    total = share.sum(1, keepdims=True)
    whole, rest = UNIT * share // total, UNIT * share % total
    for row, missing in enumerate(UNIT - whole.sum(1)):
        whole[row, np.argsort(-rest[row], kind="stable")[:missing]] += 1
    weights: Array = whole.astype(np.float32)
    return weights


def resized(images: Array, size: int) -> Array:
    """Square images of another size, bilinear and antialiased, in whole numbers.

    Args:
        images: uint8 (n, s, s).
        size: side of the result in pixels.

    Returns:
        uint8 (n, size, size).

    >>> resized(np.array([[[0, 255], [0, 255]]], dtype=np.uint8), 4)[0, 0].tolist()
    [0, 64, 191, 255]
    """
    weights = _weights(images.shape[-1], size)
    sums = np.matmul(np.matmul(weights, images.astype(np.float32)), weights.T).astype(np.int32)
    pixels: Array = ((sums + UNIT * UNIT // 2) // (UNIT * UNIT)).astype(np.uint8)
    return pixels


def opacity(coverage: Array) -> Array:
    """Opacity, 0 to `OPAQUE`, of pixels covered from 0 to 255.

    >>> opacity(np.array([0, 1, 255], dtype=np.uint8)).tolist()
    [0, 1, 256]
    """
    return coverage.astype(np.uint16) + (coverage >= 128)


def blend(below: Array, above: Array, opacity: Array) -> None:
    """Lay a colour or a picture on a window of another one, in place.

    Args:
        below: uint8 (c, h, w), changed where ``opacity`` is not 0.
        above: uint16 values to 255 that broadcast to (c, h, w).
        opacity: uint16 (h, w), 0 to `OPAQUE`.

    >>> window = np.array([[[10, 10, 10]]], dtype=np.uint8)
    >>> blend(window, np.array([[[20]]], dtype=np.uint16), np.array([[0, 128, 256]], dtype=np.uint16))
    >>> window.tolist()
    [[[10, 15, 20]]]
    """
    mixed = below * (OPAQUE - opacity)
    mixed += above * opacity
    mixed += OPAQUE // 2
    mixed >>= 8
    below[...] = mixed


def around(marked: Array, pixels: int) -> Array:
    """Where a marked pixel is within a square of ``pixels`` on every side.

    Args:
        marked: bool (n, h, w).
        pixels: how far.

    >>> around(np.array([[[True, False, False, False]]]), 2)[0, 0].tolist()
    [True, True, True, False]
    """
    wide = marked
    for axis in (1, 2):
        grown = wide.copy()
        for step in range(1, min(pixels, marked.shape[axis] - 1) + 1):
            near = [slice(None)] * 3
            far = [slice(None)] * 3
            near[axis], far[axis] = slice(step, None), slice(None, -step)
            grown[tuple(near)] |= wide[tuple(far)]
            grown[tuple(far)] |= wide[tuple(near)]
        wide = grown
    return wide


def framed(picture: Array) -> tuple[Array, int, int]:
    """A picture without its empty margins, and the row and column where what is left begins.

    Args:
        picture: (h, w), not empty throughout.

    >>> framed(np.array([[0, 0, 0], [0, 0, 7]]))
    (array([[7]]), 1, 2)
    """
    rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
    top, left = int(rows[0]), int(columns[0])
    return picture[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1], top, left


def at_sides(images: Array, sides: Array) -> list[Array]:
    """Each of some square images resized to a side of its own.

    Args:
        images: uint8 (n, s, s).
        sides: (n,) pixels.

    Returns:
        n arrays, uint8 (side, side).
    """
    fitting: list[Array] = [images[0]] * len(images)
    for side in np.unique(sides).tolist():
        rows = np.flatnonzero(sides == side)
        for row, image in zip(rows.tolist(), resized(images[rows], side), strict=True):
            fitting[row] = image
    return fitting
