"""``truth:shapes``: the one textured shape decides the class, among blobs, lines and strokes on a cloudy ground."""

from dataclasses import dataclass

import numpy as np

from pellucid.data.truth.drawing import Array, around, blend
from pellucid.data.truth.made import Chance, Made
from pellucid.data.truth.outlines import SHAPES, TURNS, shapes
from pellucid.data.truth.placing import Boxes, anywhere, elsewhere
from pellucid.data.truth.scenery import away, clouds, lay_marks
from pellucid.data.truth.textures import EXTENT, patterns

__all__ = ["Shapes"]

NEAR = 2
"""Pixels around a shape that belong to its mask: what tells it from the ground lies on both sides of its edge."""

MOST = 4
"""Distractors at most; two at least."""


@dataclass(frozen=True)
class Shapes:
    """One of ten shapes, filled with a pattern, in a random colour, size, angle and place, decides the class; colour.

    Two to four flat distractors (blobs, lines, strokes like those of letters) stand clear of it, on a cloudy ground.
    Colours, sizes, places, patterns and distractors are drawn without looking at the class. The mask is where the
    shape is, and two pixels around it. Changed: ``cause`` (another shape in the same place, size, angle, colour and
    pattern), ``rest`` (the same object on another ground among other distractors).

    Args:
        size: side of the image in pixels, from 48 to 128.
    """

    size: int = 64

    classes = tuple(SHAPES)

    @property
    def name(self) -> str:
        return f"shapes 2 {self.size}"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, self.size, self.size)

    def block(self, n: int, chance: Chance, *, details: bool) -> Made:
        label = chance.labels(n, len(self.classes))
        angle = chance.below("angle", TURNS, n).tolist()
        # 20 to 36 pixels at a canvas of 64.
        box = anywhere(chance, self.size, (self.size * (20 + chance.below("side", 17, n)) + 32) // 64)
        ground = chance.below("ground", 256, n, 3)
        colour = away(chance, "colour", ground)
        scenery = self._scenery(chance.of("scenery"), box, ground)
        fill = self._fill(chance, box.side, colour)
        tops, lefts, sides = (values.tolist() for values in box)

        def shown(labels: Array, scenery: Array) -> tuple[Array, Array]:
            images = scenery.copy()
            masks = np.zeros((n, self.size, self.size), dtype=bool)
            for i, label in enumerate(labels.tolist()):
                rows, columns = slice(tops[i], tops[i] + sides[i]), slice(lefts[i], lefts[i] + sides[i])
                covered = shapes(sides[i])[label, angle[i]]
                blend(images[i, :, rows, columns], fill[i], covered)
                masks[i, rows, columns] = covered > 0
            return images, around(masks, NEAR)

        images, masks = shown(label, scenery)
        exchanged = {}
        if details:
            exchanged["cause"] = shown(chance.others("another class", label, len(self.classes)), scenery)[0]
            other = self._scenery(chance.of("another scenery"), box, away(chance, "another ground", colour))
            exchanged["rest"] = shown(label, other)[0]
        return Made(images, label, masks, changed=exchanged)

    def _scenery(self, chance: Chance, box: Boxes, ground: Array) -> Array:
        """Ground and distractors, which leave the box free."""
        sides = (self.size * (12 + chance.below("sides", 11, len(ground), MOST)) + 32) // 64
        images = clouds(chance, ground, self.size)
        lay_marks(images, chance, elsewhere(chance, self.size, box, sides, gap=NEAR + 1), ground, least=2)
        return images

    def _fill(self, chance: Chance, side: Array, colour: Array) -> list[Array]:
        """What the shape is filled with: its colour, lighter and darker by a pattern."""
        n = len(side)
        kind, which = chance.below("kind", len(patterns()), n), chance.below("pattern", patterns().shape[1], n)
        corner = chance.below("corner of the pattern", EXTENT - self.size + 1, n, 2).tolist()
        strength = (40 + chance.below("strength of the pattern", 30, n)).astype(np.int16)
        base = colour.astype(np.int16)[:, :, None, None]
        filled = []
        for i, (row, column) in enumerate(corner):
            surface = patterns()[kind[i], which[i], row : row + side[i], column : column + side[i]]
            filled.append(np.minimum(np.maximum(base[i] + (surface * strength[i] >> 7), 0), 255).astype(np.uint16))
        return filled
