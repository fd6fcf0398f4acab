"""What every set of ground truth makes, and the random numbers it makes it of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from pellucid.core.randomness import StepDraws
from pellucid.data.truth.drawing import Array

__all__ = ["BLOCK", "Chance", "Made", "Recipe", "make"]

BLOCK = 1000
"""Images that are made of one set of draws; the labels of each block are balanced."""


@dataclass(frozen=True)
class Made:
    """Images with the mask of what decides their class.

    Attributes:
        images: uint8 (n, c, h, w).
        labels: int64 (n,).
        masks: bool (n, h, w), True where what decides the class is.
        parts: bool (n, h, w) of each named part; empty where details were not asked for.
        changed: the same images with one thing exchanged or removed, by its name; empty likewise.
    """

    images: Array
    labels: Array
    masks: Array
    parts: Mapping[str, Array] = field(default_factory=dict)
    changed: Mapping[str, Array] = field(default_factory=dict)


class Chance(NamedTuple):
    """The random numbers of one block, each a function of the set, the split, the block and its purpose alone."""

    draws: StepDraws

    def of(self, purpose: str) -> "Chance":
        """The same for another purpose."""
        return Chance(self.draws.of(purpose))

    def uniform(self, purpose: str, *shape: int) -> Array:
        """Float64 in [0, 1), each a multiple of 2⁻²⁴."""
        drawn: Array = self.draws.of(purpose).uniform(shape).numpy()
        return drawn.astype(np.float64)

    def below(self, purpose: str, bound: int | Array, *shape: int) -> Array:
        """Whole numbers from 0 to ``bound`` - 1; a bound for each of them where it is an array."""
        return np.floor(self.uniform(purpose, *shape) * bound).astype(np.int64)

    def labels(self, n: int, classes: int) -> Array:
        """Class numbers, each as often as every other (once more or less where ``n`` does not divide), shuffled."""
        return (np.arange(n) % classes)[np.argsort(self.uniform("labels", n), kind="stable")]

    def others(self, purpose: str, taken: Array, classes: int) -> Array:
        """For every class number in ``taken`` one of the other classes, all equally likely."""
        return (taken + 1 + self.below(purpose, classes - 1, *taken.shape)) % classes


class Recipe(Protocol):
    """How the images of one split of a set are made."""

    @property
    def name(self) -> str:
        """Of the set, with its version and all that its images depend on: two that differ make other images."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of every image."""

    def block(self, n: int, chance: Chance, *, details: bool) -> Made:
        """``n`` images of these random numbers; with ``details`` also those changed, and the masks of parts."""


def make(recipe: Recipe, split: str, n: int, *, details: bool = False) -> Made:
    """``n`` images of one split.

    Args:
        recipe: how.
        split: enters the random numbers, so that no split has another's.
        n: number of images; those of a smaller number are the first of a larger, in whole blocks.
        details: give the changed images and the masks of parts as well.
    """
    whole: dict[tuple[str, str], Array] = {}
    for number, first in enumerate(range(0, n, BLOCK)):
        last = min(first + BLOCK, n)
        chance = Chance(StepDraws(seed=0, step=number, purpose=f"truth/{recipe.name.split(' ')[0]}/{split}"))
        block = recipe.block(last - first, chance, details=details)
        single = {("", name): getattr(block, name) for name in ("images", "labels", "masks")}
        parts = {("parts", name): part for name, part in block.parts.items()}
        for key, values in {
            **single,
            **parts,
            **{("changed", name): images for name, images in block.changed.items()},
        }.items():
            whole.setdefault(key, np.empty((n, *values.shape[1:]), dtype=values.dtype))[first:last] = values
    named = [
        {name: values for (place, name), values in whole.items() if place == where} for where in ("parts", "changed")
    ]
    return Made(whole["", "images"], whole["", "labels"], whole["", "masks"], *named)
