"""``truth:composite-colour``: an image of a folder of your own decides the class, among coloured things that do not."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pellucid.core.errors import InputError
from pellucid.data import folder
from pellucid.data.splits import Images
from pellucid.data.truth.drawing import Array, at_sides, blend, opacity
from pellucid.data.truth.made import Chance, Made
from pellucid.data.truth.outlines import SHAPES, TURNS, shapes
from pellucid.data.truth.placing import Boxes, anywhere, elsewhere
from pellucid.data.truth.scenery import away, clouds
from pellucid.data.truth.stock import HELD_BACK, Stock, files_key, stock
from pellucid.data.truth.textures import EXTENT, patterns

__all__ = ["CompositeColour"]

GAP = 3
"""Pixels between the image that decides and anything else."""

MOST = 4
"""Distractors at most; two at least."""

MARGIN = 2
"""Empty pixels that are cut from every side of a digit."""

KINDS = 3
"""Digits, squares of a pattern, flat shapes."""


@dataclass(frozen=True)
class CompositeColour:
    """An image of a folder, small and at a random place of a cloudy canvas, decides the class; colour.

    Around it lie two to four distractors, which stay clear of it and know nothing of its class: MNIST digits, squares
    of stripes, checks or dots, and flat shapes, in random colours. The mask is the square that the image covers.
    Changed: ``cause`` (an image of another class in the same place), ``rest`` (another ground, each digit by one of
    another class, each pattern by one of another kind, each shape by another one, in other colours).

    Args:
        split: whose images are taken. Those of ``test`` are the folder's test images (its validation images where it
            has no others), those of ``validation`` every sixth of its training images, those of ``train`` the others.
        path: an image folder, PATH/train/CLASS/* and PATH/test/CLASS/* (or PATH/val/CLASS/*).
        size: side of the canvas in pixels, from 56 to 96; that of the image grows with it, 20 to 36 pixels at 56.
    """

    split: str
    path: Path
    size: int = 56

    @cached_property
    def name(self) -> str:
        return f"composite-colour 1 {self.size}{files_key(self.path)}"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, self.size, self.size)

    @cached_property
    def _source(self) -> tuple[Images, Stock]:
        """The folder's images, and which of them are of which class."""
        places = ("test", "validation") if self.split == "test" else ("train",)
        read = (folder.read(self.path, place, size=self.size * 5 // 7, channels=3) for place in places)
        stored = next((split for split in read if split is not None), None)
        if stored is None:
            raise InputError(f"{self.path} has no folder test, val, valid or validation, of which test images are made")
        rows, labels = np.arange(len(stored.labels)), stored.labels.numpy()
        if self.split != "test":
            # By class: a folder lies sorted by it.
            place = rows - np.searchsorted(labels, labels)
            mine = (place % HELD_BACK == HELD_BACK - 1) == (self.split == "validation")
            rows, labels = rows[mine], labels[mine]
        if len(stored.classes) < 2:
            raise InputError(f"{self.path} has one class, {stored.classes[0]!r}; a set of truth needs two")
        return stored.images, Stock.of(rows, labels, stored.classes, f"the {self.split} part of {self.path}")

    @cached_property
    def digits(self) -> Stock:
        """Digits among the distractors."""
        return stock("mnist", self.split, None)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._source[1].classes

    def block(self, n: int, chance: Chance, *, details: bool) -> Made:
        label = chance.labels(n, len(self.classes))
        box = anywhere(chance, self.size, (self.size * (20 + chance.below("side", 17, n)) + 28) // 56)
        sides = (self.size * (14 + chance.below("sides", 11, n, MOST)) + 28) // 56
        boxes = elsewhere(chance, self.size, box, sides, gap=GAP)
        count = 2 + chance.below("count", MOST - 1, n)
        kind = chance.below("kind", KINDS, n, MOST)
        bounds = np.array([len(self.digits.classes), len(patterns()), len(SHAPES)])[kind]
        which = chance.below("which", bounds, n, MOST)
        ground = chance.below("ground", 256, n, 3)
        rest = self._rest(chance.of("rest"), boxes, count, kind, which, ground)
        images = self._with_cause(chance, "image", box, label, rest)
        mask = np.zeros((n, self.size, self.size), dtype=bool)
        for i, (top, left, side) in enumerate(zip(*(values.tolist() for values in box), strict=True)):
            mask[i, top : top + side, left : left + side] = True
        exchanged = {}
        if details:
            another = chance.others("another class", label, len(self.classes))
            exchanged["cause"] = self._with_cause(chance, "another image", box, another, rest)
            which = (which + 1 + chance.below("another", bounds - 1, n, MOST)) % bounds
            ground = away(chance, "another ground", ground)
            other = self._rest(chance.of("another rest"), boxes, count, kind, which, ground)
            exchanged["rest"] = np.where(mask[:, None], images, other)
        return Made(images, label, mask, changed=exchanged)

    def _with_cause(self, chance: Chance, purpose: str, box: Boxes, labels: Array, rest: Array) -> Array:
        """Images of these classes laid on what surrounds them."""
        source, of_class = self._source
        rows = of_class.pictures[of_class.choose(labels, chance.uniform(purpose, len(labels)))]
        planes = np.concatenate([source[int(row)].numpy() for row in rows])
        fitting = at_sides(planes, np.repeat(box.side, 3))
        images = rest.copy()
        for i, (top, left, side) in enumerate(zip(*(values.tolist() for values in box), strict=True)):
            images[i, :, top : top + side, left : left + side] = fitting[3 * i : 3 * i + 3]
        return images

    def _rest(self, chance: Chance, boxes: Boxes, count: Array, kind: Array, which: Array, ground: Array) -> Array:
        """Ground and distractors."""
        n, m = kind.shape
        images = clouds(chance, ground, self.size)
        digit = np.where(kind == 0, which, 0).ravel()
        rows = self.digits.choose(digit, chance.uniform("picture", n * m))
        digits = at_sides(self.digits.pictures[rows, MARGIN:-MARGIN, MARGIN:-MARGIN], boxes.side.ravel())
        corner = chance.below("corner", EXTENT - self.size + 1, n, m, 2).tolist()
        example = chance.below("pattern", patterns().shape[1], n, m)
        angle = chance.below("angle", TURNS, n, m)
        colours = away(chance, "colours", np.repeat(ground[:, None], m, 1)).astype(np.uint16)[..., None, None]
        tops, lefts, sides = (values.tolist() for values in boxes)
        for i in range(n):
            for j in range(count[i]):
                top, left, side = tops[i][j], lefts[i][j], sides[i][j]
                if kind[i, j] == 0:
                    cover = opacity(digits[i * m + j])
                elif kind[i, j] == 1:
                    row, column = corner[i][j]
                    surface = patterns()[which[i, j], example[i, j], row : row + side, column : column + side]
                    cover = np.where(surface > 0, np.uint16(256), np.uint16(64))
                else:
                    cover = shapes(side)[which[i, j], angle[i, j]]
                blend(images[i, :, top : top + side, left : left + side], colours[i, j], cover)
        return images
