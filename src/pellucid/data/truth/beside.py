"""``truth:beside``: an article of clothing decides the class, a digit beside it does not."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pellucid.data.truth.drawing import Array
from pellucid.data.truth.made import Chance, Made
from pellucid.data.truth.stock import Stock, files_key, stock

__all__ = ["Beside"]

SIDE = 28


@dataclass(frozen=True)
class Beside:
    """A Fashion-MNIST article on one half of the image, an MNIST digit, unrelated to it, on the other; 28 × 56, grey.

    Which half is the article's is random, and its half is the mask: a map that knows nothing has half of its mass
    there. Changed: ``cause`` (an article of another class), ``rest`` (a digit of another class).

    Args:
        split: whose pictures are taken.
        path: folder that holds the folders ``fashion-mnist`` and ``mnist``; None looks for both on this machine.
    """

    split: str
    path: Path | None = None

    shape = (1, SIDE, 2 * SIDE)

    @cached_property
    def name(self) -> str:
        return f"beside 1{files_key(self.path)}"

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
        digit = chance.below("digit", len(self.digits.classes), n)
        right = chance.below("side", 2, n)

        def article(labels: Array, purpose: str) -> Array:
            return self.articles.pictures[self.articles.choose(labels, chance.uniform(purpose, n))]

        def written(digits: Array, purpose: str) -> Array:
            return self.digits.pictures[self.digits.choose(digits, chance.uniform(purpose, n))]

        def scene(cause: Array, rest: Array) -> Array:
            on_right = right.astype(bool)[:, None, None]
            halves = np.stack([np.where(on_right, rest, cause), np.where(on_right, cause, rest)], axis=2)
            return halves.reshape(n, *self.shape)

        cause, rest = article(label, "article"), written(digit, "picture of the digit")
        mask = np.zeros((n, SIDE, 2, SIDE), dtype=bool)
        mask[np.arange(n), :, right] = True
        images = scene(cause, rest)
        exchanged = {}
        if details:
            another = chance.others("another class", label, len(self.classes))
            exchanged["cause"] = scene(article(another, "another article"), rest)
            another = chance.others("another digit", digit, len(self.digits.classes))
            exchanged["rest"] = scene(cause, written(another, "picture of another digit"))
        return Made(images, label, mask.reshape(n, SIDE, 2 * SIDE), changed=exchanged)
