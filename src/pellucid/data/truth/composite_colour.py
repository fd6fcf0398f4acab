"""``truth:composite-colour``: an image of a folder of your own decides the class, among coloured things that do not."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pellucid.core.errors import InputError
from pellucid.data import folder
from pellucid.data.splits import Images
from pellucid.data.truth.distractors import Distractors
from pellucid.data.truth.drawing import Array, at_sides
from pellucid.data.truth.made import Chance, Made
from pellucid.data.truth.placing import Boxes, anywhere
from pellucid.data.truth.stock import HELD_BACK, Stock, files_key, stock

__all__ = ["CompositeColour", "laid_on", "some_box"]


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
    def _distractors(self) -> Distractors:
        return Distractors(self.size, stock("mnist", self.split, None))

    @property
    def classes(self) -> tuple[str, ...]:
        return self._source[1].classes

    def block(self, n: int, chance: Chance, *, details: bool) -> Made:
        label = chance.labels(n, len(self.classes))
        box = some_box(chance, self.size, n)
        things = self._distractors.around(chance, box)
        rest = self._distractors.draw(chance.of("rest"), things)
        images = self._with_cause(chance, "image", box, label, rest)
        exchanged = {}
        if details:
            another = chance.others("another class", label, len(self.classes))
            exchanged["cause"] = self._with_cause(chance, "another image", box, another, rest)
            others = self._distractors.others(chance, things)
            other = self._distractors.draw(chance.of("another rest"), others)
            exchanged["rest"] = np.where(box.covered(self.size)[:, None], images, other)
        return Made(images, label, box.covered(self.size), changed=exchanged)

    def _with_cause(self, chance: Chance, purpose: str, box: Boxes, labels: Array, rest: Array) -> Array:
        """Images of these classes laid on what surrounds them."""
        source, of_class = self._source
        rows = of_class.pictures[of_class.choose(labels, chance.uniform(purpose, len(labels)))]
        return laid_on(rest, box, np.stack([source[int(row)].numpy() for row in rows]))


def some_box(chance: Chance, size: int, n: int) -> Boxes:
    """Where the image that decides lies on a canvas, and how large it is: 20 to 36 pixels of 56."""
    return anywhere(chance, size, (size * (20 + chance.below("side", 17, n)) + 28) // 56)


def laid_on(rest: Array, box: Boxes, images: Array) -> Array:
    """Images shrunk to their squares and laid on what surrounds them.

    Args:
        rest: uint8 (n, 3, size, size).
        box: (n,) squares.
        images: uint8 (n, 3, s, s).
    """
    fitting = at_sides(np.concatenate(list(images)), np.repeat(box.side, 3))
    whole = rest.copy()
    for i, (top, left, side) in enumerate(zip(*(values.tolist() for values in box), strict=True)):
        whole[i, :, top : top + side, left : left + side] = fitting[3 * i : 3 * i + 3]
    return whole
