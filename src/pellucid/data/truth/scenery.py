"""What surrounds an object in colour and knows nothing of its class: a cloudy ground, flat blobs, lines and strokes."""

import numpy as np

from pellucid.data.truth.drawing import Array, blend
from pellucid.data.truth.made import Chance
from pellucid.data.truth.outlines import MARKS, marks
from pellucid.data.truth.placing import Boxes
from pellucid.data.truth.textures import EXTENT, grounds

__all__ = ["away", "clouds", "lay_marks"]


def away(chance: Chance, purpose: str, colour: Array) -> Array:
    """Random colours, each 96 to 160 away from another one in every channel, so that it stands out.

    Args:
        chance: random numbers.
        purpose: which ones.
        colour: whole numbers from 0 to 255, red, green and blue last.
    """
    return (colour + 96 + chance.below(purpose, 65, *colour.shape)) % 256


def clouds(chance: Chance, colour: Array, size: int) -> Array:
    """Grounds around a colour each.

    Args:
        chance: random numbers.
        colour: whole numbers (n, 3).
        size: side in pixels.

    Returns:
        uint8 (n, 3, size, size).
    """
    n = len(colour)
    which = chance.below("cloud", len(grounds()), n).tolist()
    corner = chance.below("corner of the cloud", EXTENT - size + 1, n, 2).tolist()
    strength = (40 + chance.below("strength of the cloud", 50, n)).astype(np.int16)
    base = colour.astype(np.int16)[:, :, None, None]
    drawn = np.empty((n, 3, size, size), dtype=np.uint8)
    for i, (row, column) in enumerate(corner):
        shade = grounds()[which[i], row : row + size, column : column + size] * strength[i] >> 7
        drawn[i] = np.minimum(np.maximum(base[i] + shade, 0), 255)
    return drawn


def lay_marks(images: Array, chance: Chance, boxes: Boxes, colour: Array, *, least: int) -> None:
    """Lay blobs, lines and strokes of colours that stand out on images, in place.

    Args:
        images: uint8 (n, 3, h, w).
        chance: random numbers.
        boxes: (n, m) where they may lie; the first of an image's are taken.
        colour: (n, 3) of the ground.
        least: how many are laid on an image at least; m at most.
    """
    n, m = boxes.side.shape
    count = (least + chance.below("count", m - least + 1, n)).tolist()
    which = chance.below("mark", MARKS, n, m).tolist()
    colours = away(chance, "colours of the marks", np.repeat(colour[:, None], m, 1)).astype(np.uint16)[..., None, None]
    tops, lefts, sides = (values.tolist() for values in boxes)
    for i in range(n):
        for j in range(count[i]):
            top, left, side = tops[i][j], lefts[i][j], sides[i][j]
            window = images[i, :, top : top + side, left : left + side]
            blend(window, colours[i, j], marks(side)[which[i][j]])
