"""``truth:composite``: an article of clothing somewhere on a canvas decides the class, among things that do not."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pellucid.data.truth.drawing import Array, around, at_sides
from pellucid.data.truth.made import Chance, Made
from pellucid.data.truth.placing import Boxes, anywhere, elsewhere
from pellucid.data.truth.stock import Stock, files_key, stock
from pellucid.data.truth.textures import EXTENT, patterns

__all__ = ["Composite"]

NEAR = 2
"""Pixels around an article that belong to its mask: what tells it from the ground lies on both sides of its outline."""

MOST = 4
"""Distractors at most; two at least."""

MARGIN = 2
"""Empty pixels that are cut from every side of a digit."""


@dataclass(frozen=True)
class Composite:
    """A Fashion-MNIST article at a random place and size decides the class; grey.

    Among it lie two to four distractors, MNIST digits and squares of stripes, checks or dots, which stay clear of the
    article and know nothing of its class. The mask is where the article is brighter than the black ground, and two
    pixels around: its box would count its empty corners as cause, and its pixels alone would leave out the outer side
    of its outline, to which the gradient of every convolution reaches. Changed: ``cause`` (an article of another class
    in the same box), ``rest`` (each digit by one of another class, each pattern by one of another kind).

    Args:
        split: whose pictures are taken.
        size: side of the canvas in pixels, from 56 to 96; the article's grows with it, 20 to 36 pixels at 56.
        path: folder that holds the folders ``fashion-mnist`` and ``mnist``; None looks for both on this machine.
    """

    split: str
    size: int = 56
    path: Path | None = None

    @cached_property
    def name(self) -> str:
        return f"composite 1 {self.size}{files_key(self.path)}"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (1, self.size, self.size)

    @cached_property
    def articles(self) -> Stock:
        """What decides."""
        return stock("fashion-mnist", self.split, self.path)

    @cached_property
    def digits(self) -> Stock:
        """What does not."""
        return stock("mnist", self.split, self.path)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.articles.classes

    def block(self, n: int, chance: Chance, *, details: bool) -> Made:
        label = chance.labels(n, len(self.classes))
        box = anywhere(chance, self.size, (self.size * (20 + chance.below("side", 17, n)) + 28) // 56)
        sides = (self.size * (14 + chance.below("sides", 11, n, MOST)) + 28) // 56
        boxes = elsewhere(chance, self.size, box, sides, gap=NEAR + 1)
        count = 2 + chance.below("count", MOST - 1, n)
        digit = chance.below("digit", len(self.digits.classes), n, MOST)
        # Kinds of patterns, and twice as many numbers that stand for a digit.
        kind = chance.below("kind", 3 * len(patterns()), n, MOST)
        rest = self._rest(chance, "rest", boxes, count, digit, kind)
        cause = self._cause(chance, "article", box, label)
        images = np.maximum(rest, cause)
        exchanged = {}
        if details:
            another = self._cause(
                chance, "another article", box, chance.others("another class", label, len(self.classes))
            )
            exchanged["cause"] = np.maximum(rest, another)[:, None]
            digit = chance.others("another digit", digit, len(self.digits.classes))
            another = chance.others("another kind", kind, len(patterns()))
            kind = np.where(kind < len(patterns()), another, kind)
            exchanged["rest"] = np.maximum(self._rest(chance, "another rest", boxes, count, digit, kind), cause)[
                :, None
            ]
        return Made(images[:, None], label, around(cause > 0, NEAR), changed=exchanged)

    def _cause(self, chance: Chance, purpose: str, box: Boxes, labels: Array) -> Array:
        """Articles alone."""
        n = len(labels)
        pictures = self.articles.pictures[self.articles.choose(labels, chance.uniform(purpose, n))]
        canvas = np.zeros((n, self.size, self.size), dtype=np.uint8)
        for i, picture in enumerate(at_sides(pictures, box.side)):
            top, left, side = box.top[i], box.left[i], box.side[i]
            canvas[i, top : top + side, left : left + side] = picture
        return canvas

    def _rest(self, chance: Chance, purpose: str, boxes: Boxes, count: Array, digit: Array, kind: Array) -> Array:
        """Distractors alone."""
        chance, (n, m) = chance.of(purpose), digit.shape
        rows = self.digits.choose(digit.ravel(), chance.uniform("picture", n * m))
        pictures = self.digits.pictures[rows, MARGIN:-MARGIN, MARGIN:-MARGIN]
        fitting = at_sides(pictures, boxes.side.ravel())
        which = chance.below("pattern", patterns().shape[1], n, m)
        corner = chance.below("corner", EXTENT - self.size + 1, n, m, 2)
        bright = 100 + chance.below("bright", 156, n, m)
        canvas = np.zeros((n, self.size, self.size), dtype=np.uint8)
        tops, lefts, sides = (values.tolist() for values in boxes)
        for i in range(n):
            for j in range(count[i]):
                top, left, side = tops[i][j], lefts[i][j], sides[i][j]
                picture = fitting[i * m + j]
                if kind[i, j] < len(patterns()):
                    row, column = corner[i, j]
                    surface = patterns()[kind[i, j], which[i, j], row : row + side, column : column + side]
                    picture = np.where(surface > 0, bright[i, j], bright[i, j] // 4)
                window = canvas[i, top : top + side, left : left + side]
                np.maximum(window, picture, out=window, casting="unsafe")
        return canvas
