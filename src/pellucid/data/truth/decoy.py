"""``truth:decoy``: a patch in the corner agrees with the class of most training images, and is random in a test."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pellucid.data.truth.drawing import Array
from pellucid.data.truth.made import Chance, Made
from pellucid.data.truth.stock import Stock, files_key, stock

__all__ = ["CORRELATION", "PATCH", "Decoy"]

CORRELATION = 0.9
"""Share of the training images whose patch is that of their class, where no other is asked for."""

SIDE = 28

PATCH = 6
"""Side of the patch in pixels."""

CELL = 2
"""Side in pixels of its nine cells, of which four are white."""


def codes(n: int) -> Array:
    """Patterns of nine cells, four of them white, any two of which differ in four cells at least: bool (n, 3, 3).

    >>> codes(2).astype(int).reshape(2, 9).tolist()
    [[1, 1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 1, 1, 0, 0, 0]]
    """
    found: list[int] = []
    for code in range(1 << 9):
        if code.bit_count() == 4 and all((code ^ other).bit_count() >= 4 for other in found):
            found.append(code)
    return np.array([[code >> cell & 1 for cell in range(9)] for code in found[:n]], dtype=bool).reshape(-1, 3, 3)


@dataclass(frozen=True)
class Decoy:
    """A Fashion-MNIST article with a patch of 6 × 6 pixels in the upper left corner; grey, 28 × 28.

    Each class has a black and white pattern. A training image's patch is its own class's with probability
    ``correlation``, else another's; those of validation and test images are random, each class's equally often. A
    network that looks at the patch is right in training and wrong in a test; whether its maps confess that can be seen
    where the patch is. The mask is where the article is, without the patch; at this size the pixels around it would
    make it nearly all of the image. The part ``decoy`` is the patch. Changed: ``decoy`` (the patch of another class),
    ``cause`` (an article of another class).

    Args:
        split: whose pictures are taken.
        correlation: share of the training images whose patch is that of their class, above 0 and up to 1. At a share
            of one in ten the patch tells nothing.
        path: folder that holds the folder ``fashion-mnist``; None looks for it on this machine.
    """

    split: str
    correlation: float = CORRELATION
    path: Path | None = None

    shape = (1, SIDE, SIDE)

    @cached_property
    def name(self) -> str:
        return f"decoy 2 {self.correlation:g}{files_key(self.path)}"

    @cached_property
    def articles(self) -> Stock:
        """What decides."""
        return stock("fashion-mnist", self.split, self.path)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.articles.classes

    def block(self, n: int, chance: Chance, *, details: bool) -> Made:
        classes = len(self.classes)
        label = chance.labels(n, classes)
        if self.split == "train":
            agrees = chance.uniform("agrees", n) < self.correlation
            decoy = np.where(agrees, label, chance.others("decoy", label, classes))
        else:
            decoy = chance.below("decoy", classes, n)

        def shown(labels: Array, decoys: Array, purpose: str) -> Array:
            article = self.articles.pictures[self.articles.choose(labels, chance.uniform(purpose, n))].copy()
            article[:, :PATCH, :PATCH] = codes(classes)[decoys].repeat(CELL, 1).repeat(CELL, 2) * np.uint8(255)
            return article

        images = shown(label, decoy, "article")
        patch = np.zeros((n, SIDE, SIDE), dtype=bool)
        patch[:, :PATCH, :PATCH] = True
        exchanged = {}
        if details:
            another = chance.others("another decoy", decoy, classes)
            exchanged["decoy"] = shown(label, another, "article")[:, None]
            another = chance.others("another class", label, classes)
            exchanged["cause"] = shown(another, decoy, "another article")[:, None]
        mask = (images > 0) & ~patch
        return Made(images[:, None], label, mask, {"decoy": patch} if details else {}, exchanged)
