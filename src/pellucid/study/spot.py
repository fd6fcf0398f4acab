"""Where a map is brightest, read from its picture: what the feedback on a practice trial points at."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["GAP", "Spot", "brightest_spot", "half_size"]

GAP = 20
"""Pixels between the photograph and the map in a picture."""
REACH = 0.125
"""Half of the side of the square that is looked at, as a share of the map's shorter side."""


@dataclass(frozen=True)
class Spot:
    """A square place of a map.

    Attributes:
        x: centre, in pixels from the left of the map.
        y: centre, in pixels from its top.
        radius: of a circle around the square, in pixels.
    """

    x: int
    y: int
    radius: int


def half_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the photograph, and of the map, in a picture of that width and height.

    >>> half_size((580, 280))
    (280, 280)
    """
    return (size[0] - GAP) // 2, size[1]


def brightest_spot(path: str | Path) -> Spot:
    """The square with the brightest map in it, of a quarter of the shorter side; the first of equally bright ones.

    The colours of a map grow lighter with its values, so that the order of lightness is the order of the values.

    Args:
        path: a picture of a study, the photograph at the left and the map at the right.
    """
    with Image.open(path) as picture:
        width, height = half_size(picture.size)
        light = np.asarray(picture.convert("L").crop((width + GAP, 0, 2 * width + GAP, height)), dtype=np.int64)
    side = max(1, round(2 * REACH * min(width, height)))
    summed = np.pad(light.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    squares = summed[side:, side:] - summed[:-side, side:] - summed[side:, :-side] + summed[:-side, :-side]
    top, left = np.unravel_index(int(squares.argmax()), squares.shape)
    return Spot(int(left) + side // 2, int(top) + side // 2, max(4, round(0.75 * side)))
