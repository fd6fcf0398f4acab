"""``truth:shapes``: the one textured shape decides the class, among blobs, lines and strokes on a cloudy ground."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pellucid.core.errors import InputError
from pellucid.data.truth.drawing import Array, around, blend
from pellucid.data.truth.made import Chance, Made
from pellucid.data.truth.outlines import MARKS, SHAPES, TURNS, marks, shapes
from pellucid.data.truth.placing import Boxes, anywhere, elsewhere
from pellucid.data.truth.textures import EXTENT, grounds, patterns

__all__ = ["Shapes"]

NEAR = 2
"""Pixels around a shape that belong to its mask: what tells it from the ground lies on both sides of its edge."""

MOST = 4
"""Distractors at most; two at least."""


class _Scenery(NamedTuple):
    """Everything that does not decide: the ground, and the distractors by image."""

    ground: Array
    count: Array
    top: Array
    left: Array
    side: Array
    mark: Array
    colour: Array


@dataclass(frozen=True)
class Shapes:
    """One of ten shapes, filled with a pattern, in a random colour, size, angle and place, decides the class; colour.

    Two to four flat distractors (blobs, lines, strokes like those of letters) stand clear of it, on a cloudy ground.
    Colours, sizes, places, patterns and distractors are drawn without looking at the class. The mask is where the
    shape is, and two pixels around it. Changed: ``cause`` (another shape in the same place, size, angle, colour and
    pattern), ``rest`` (another ground and other distractors outside the mask).

    Args:
        size: side of the image in pixels, from 48 to 128.
    """

    size: int = 64

    classes = tuple(SHAPES)

    def __post_init__(self) -> None:
        if not 48 <= self.size <= 128:
            raise InputError(f"size of truth:shapes must be from 48 to 128 pixels, got {self.size}")

    @property
    def name(self) -> str:
        return f"shapes 1 {self.size}"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, self.size, self.size)

    def block(self, n: int, chance: Chance, *, changed: bool) -> Made:
        label = chance.labels(n, len(self.classes))
        angle = chance.below("angle", TURNS, n)
        # 20 to 36 pixels at a canvas of 64.
        side = (self.size * (20 + chance.below("side", 17, n)) + 32) // 64
        box = anywhere(chance, self.size, side)
        base = chance.below("ground", 256, n, 3)
        colour = _away(base, chance.below("colour", 65, n, 3))
        scenery = self._scenery(chance, "scenery", box, base)
        fill = self._fill(chance, n, side, colour)

        def shown(labels: Array, around_it: _Scenery) -> tuple[Array, Array]:
            images = self._drawn(around_it)
            masks = np.zeros((n, self.size, self.size), dtype=bool)
            for i in range(n):
                cut = (slice(box.top[i], box.top[i] + side[i]), slice(box.left[i], box.left[i] + side[i]))
                covered = shapes(int(side[i]))[labels[i], angle[i]]
                blend(images[i][:, *cut], fill[i], covered)
                masks[i][cut] = covered > 0
            return images, around(masks, NEAR)

        images, masks = shown(label, scenery)
        exchanged = {}
        if changed:
            exchanged["cause"] = shown(chance.others("another class", label, len(self.classes)), scenery)[0]
            base = _away(colour, chance.below("another ground", 65, n, 3))
            other = self._scenery(chance, "another scenery", box, base)
            exchanged["rest"] = np.where(masks[:, None], images, self._drawn(other))
        return Made(images, label, masks, changed=exchanged)

    def _scenery(self, chance: Chance, purpose: str, box: Boxes, base: Array) -> _Scenery:
        chance, n = chance.of(purpose), len(base)
        sides = (self.size * (12 + chance.below("sides", 11, n, MOST)) + 32) // 64
        boxes = elsewhere(chance, self.size, box, sides, gap=NEAR + 1)
        which = chance.below("ground", len(grounds()), n)
        corner = chance.below("corner", EXTENT - self.size + 1, n, 2)
        strength = 40 + chance.below("strength", 50, n)
        ground = np.empty((n, *self.shape), dtype=np.uint8)
        for i in range(n):
            (row, column), rows = corner[i], self.size
            cloud = (grounds()[which[i], row : row + rows, column : column + rows] * np.int16(strength[i])) >> 7
            np.clip(base[i].astype(np.int16)[:, None, None] + cloud, 0, 255, out=ground[i], casting="unsafe")
        return _Scenery(
            ground,
            2 + chance.below("count", MOST - 1, n),
            *boxes,
            chance.below("mark", MARKS, n, MOST),
            _away(base[:, None], chance.below("colours", 65, n, MOST, 3)).astype(np.uint16),
        )

    def _drawn(self, scenery: _Scenery) -> Array:
        images = scenery.ground.copy()
        for i, image in enumerate(images):
            for j in range(scenery.count[i]):
                top, left, side = (int(value[i, j]) for value in (scenery.top, scenery.left, scenery.side))
                window = image[:, top : top + side, left : left + side]
                blend(window, scenery.colour[i, j][:, None, None], marks(side)[scenery.mark[i, j]])
        return images

    def _fill(self, chance: Chance, n: int, side: Array, colour: Array) -> list[Array]:
        """What the shape is filled with: its colour, lighter and darker by a pattern."""
        kind = chance.below("kind of pattern", len(patterns()), n)
        which = chance.below("pattern", patterns().shape[1], n)
        corner = chance.below("corner of the pattern", EXTENT - self.size + 1, n, 2)
        strength = 40 + chance.below("strength of the pattern", 30, n)
        filled = []
        for i in range(n):
            (row, column), rows = corner[i], side[i]
            surface = patterns()[kind[i], which[i], row : row + rows, column : column + rows]
            shade = (surface * np.int16(strength[i])) >> 7
            filled.append(np.clip(colour[i].astype(np.int16)[:, None, None] + shade, 0, 255).astype(np.uint16))
        return filled


def _away(colour: Array, more: Array) -> Array:
    """A colour that differs from another by 96 to 160 in each channel, as ``more``, 0 to 64, says."""
    return (colour + 96 + more) % 256
