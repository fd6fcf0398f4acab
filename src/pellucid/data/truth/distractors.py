"""Coloured things on a cloudy ground that stay clear of a square and know nothing of what is in it."""

from dataclasses import dataclass, replace

import numpy as np

from pellucid.data.truth.drawing import Array, at_sides, blend, opacity
from pellucid.data.truth.made import Chance
from pellucid.data.truth.outlines import SHAPES, TURNS, shapes
from pellucid.data.truth.placing import Boxes, elsewhere
from pellucid.data.truth.scenery import away, clouds
from pellucid.data.truth.stock import Stock
from pellucid.data.truth.textures import EXTENT, patterns

__all__ = ["Distractors", "Things"]

GAP = 3
"""Pixels between the square and anything else."""

MOST = 4
"""Distractors at most; two at least."""

MARGIN = 2
"""Empty pixels that are cut from every side of a digit."""

DIGIT, PATTERN, SHAPE = range(3)
"""Kinds of distractors: digits, squares of a pattern, flat shapes."""


@dataclass(frozen=True)
class Things:
    """What lies around the squares of n canvases, without its colours.

    Attributes:
        boxes: (n, m) squares.
        count: (n,) how many of them are there.
        kind: (n, m) `DIGIT`, `PATTERN` or `SHAPE`.
        which: (n, m) which digit, pattern or shape.
        ground: (n, 3) colour of the ground.
    """

    boxes: Boxes
    count: Array
    kind: Array
    which: Array
    ground: Array


@dataclass(frozen=True, eq=False)
class Distractors:
    """Two to four things: squares of stripes, checks or dots, flat shapes, and digits where there are any.

    Args:
        size: side of the canvas in pixels.
        digits: MNIST's; None for no digits among the things.
    """

    size: int
    digits: Stock | None

    def around(self, chance: Chance, box: Boxes) -> Things:
        """Things of which none touches the square of its canvas."""
        n, first = len(box.side), DIGIT if self.digits is not None else PATTERN
        sides = (self.size * (14 + chance.below("sides", 11, n, MOST)) + 28) // 56
        kind = first + chance.below("kind", SHAPE + 1 - first, n, MOST)
        return Things(
            boxes=elsewhere(chance, self.size, box, sides, gap=GAP),
            count=2 + chance.below("count", MOST - 1, n),
            kind=kind,
            which=chance.below("which", self._bounds(kind), n, MOST),
            ground=chance.below("ground", 256, n, 3),
        )

    def others(self, chance: Chance, things: Things) -> Things:
        """Each thing exchanged for another of its kind, on another ground."""
        bounds = self._bounds(things.kind)
        which = (things.which + 1 + chance.below("another", bounds - 1, *things.which.shape)) % bounds
        return replace(things, which=which, ground=away(chance, "another ground", things.ground))

    def draw(self, chance: Chance, things: Things) -> Array:
        """Ground and things in random colours, uint8 (n, 3, size, size)."""
        kind, which = things.kind, things.which
        n, m = kind.shape
        images = clouds(chance, things.ground, self.size)
        digits = self._digits(chance, things)
        corner = chance.below("corner", EXTENT - self.size + 1, n, m, 2).tolist()
        example = chance.below("pattern", patterns().shape[1], n, m)
        angle = chance.below("angle", TURNS, n, m)
        colours = away(chance, "colours", np.repeat(things.ground[:, None], m, 1)).astype(np.uint16)[..., None, None]
        tops, lefts, sides = (values.tolist() for values in things.boxes)
        for i in range(n):
            for j in range(things.count[i]):
                top, left, side = tops[i][j], lefts[i][j], sides[i][j]
                if kind[i, j] == DIGIT:
                    cover = opacity(digits[i * m + j])
                elif kind[i, j] == PATTERN:
                    row, column = corner[i][j]
                    surface = patterns()[which[i, j], example[i, j], row : row + side, column : column + side]
                    cover = np.where(surface > 0, np.uint16(256), np.uint16(64))
                else:
                    cover = shapes(side)[which[i, j], angle[i, j]]
                blend(images[i, :, top : top + side, left : left + side], colours[i, j], cover)
        return images

    def _bounds(self, kind: Array) -> Array:
        """How many of each kind there are."""
        digits = 0 if self.digits is None else len(self.digits.classes)
        bounds: Array = np.array([digits, len(patterns()), len(SHAPES)])[kind]
        return bounds

    def _digits(self, chance: Chance, things: Things) -> list[Array]:
        """A digit for each thing, which those of another kind leave aside."""
        if self.digits is None:
            return []
        digit = np.where(things.kind == DIGIT, things.which, 0).ravel()
        rows = self.digits.choose(digit, chance.uniform("picture", digit.size))
        return at_sides(self.digits.pictures[rows, MARGIN:-MARGIN, MARGIN:-MARGIN], things.boxes.side.ravel())
