"""Places on a canvas: of one object, and of others that leave it free."""

from typing import NamedTuple

import numpy as np

from pellucid.data.truth.drawing import Array
from pellucid.data.truth.made import Chance

__all__ = ["Boxes", "anywhere", "elsewhere"]

TRIES = 4
"""Places that are drawn for each of the others, of which the one that covers least of those before is taken."""


class Boxes(NamedTuple):
    """Squares on a canvas, each array (n,) or (n, m): first row, first column, side."""

    top: Array
    left: Array
    side: Array

    def covered(self, canvas: int) -> Array:
        """Masks bool (n, canvas, canvas) of the pixels in (n,) squares."""
        place = np.arange(canvas)
        rows, columns = (
            (place >= first[:, None]) & (place < (first + self.side)[:, None]) for first in (self.top, self.left)
        )
        inside: Array = rows[:, :, None] & columns[:, None, :]
        return inside


def anywhere(chance: Chance, canvas: int, side: Array) -> Boxes:
    """Squares of these sides, wherever they fit, all places equally likely."""
    top, left = (chance.below(f"{edge} of the object", canvas - side + 1, len(side)) for edge in ("top", "left"))
    return Boxes(top, left, side)


def elsewhere(chance: Chance, canvas: int, free: Boxes, sides: Array, *, gap: int) -> Boxes:
    """Squares that stay away from another one, and cover little of each other.

    Args:
        chance: random numbers.
        canvas: side of the canvas in pixels.
        free: (n,) squares that stay free.
        sides: (n, m) sides that are wished for; smaller where no place is large enough.
        gap: pixels between a square that stays free and any other.

    Returns:
        (n, m) squares.
    """
    n, m = sides.shape
    top, left, side = (value[:, None] for value in free)
    # Whole rows above and below, whole columns left and right of the square that stays free.
    room = np.stack([top, canvas - top - side, left, canvas - left - side], 2) - gap
    sides = np.minimum(sides, room.max(2))
    depth = np.maximum(room - sides[:, :, None] + 1, 0)
    ways = (depth * (canvas - sides[:, :, None] + 1)).cumsum(2)
    begin = np.stack(np.broadcast_arrays(0, top + side + gap, 0, left + side + gap), 2)
    best_top, best_left = np.zeros((2, n, m), dtype=np.int64)
    least = np.full((n, m), canvas * canvas)
    for attempt in range(TRIES):
        drawn = chance.below(f"place {attempt}", ways[:, :, 3], n, m)
        band = (drawn[:, :, None] >= ways).sum(2)
        across = chance.below(f"across {attempt}", canvas - sides + 1, n, m)
        row = np.arange(n)[:, None]
        deep = begin[row, 0, band] + chance.below(f"deep {attempt}", depth[row, np.arange(m), band], n, m)
        tops, lefts = np.where(band < 2, deep, across), np.where(band < 2, across, deep)
        for j in range(m):
            covered = np.zeros(n, dtype=np.int64)
            for i in range(j):
                high = np.minimum(tops[:, j] + sides[:, j], best_top[:, i] + sides[:, i])
                wide = np.minimum(lefts[:, j] + sides[:, j], best_left[:, i] + sides[:, i])
                high = np.maximum(high - np.maximum(tops[:, j], best_top[:, i]), 0)
                covered += high * np.maximum(wide - np.maximum(lefts[:, j], best_left[:, i]), 0)
            better = covered < least[:, j]
            least[:, j] = np.where(better, covered, least[:, j])
            best_top[:, j] = np.where(better, tops[:, j], best_top[:, j])
            best_left[:, j] = np.where(better, lefts[:, j], best_left[:, j])
    return Boxes(best_top, best_left, sides)
