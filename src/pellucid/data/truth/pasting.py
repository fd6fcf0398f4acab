"""Composites of a dataset's own images: of each it is known where what decides its class lies."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from pellucid.core.errors import InputError
from pellucid.data.config import SIDES
from pellucid.data.dataset import Dataset
from pellucid.data.splits import Truth
from pellucid.data.truth.composite_colour import laid_on, some_box
from pellucid.data.truth.distractors import Distractors
from pellucid.data.truth.drawing import Array, resized
from pellucid.data.truth.made import Chance, Made, make
from pellucid.data.truth.placing import Boxes
from pellucid.data.truth.stock import Stock

__all__ = ["pasted", "why_not_pasted"]

LEAST, DRAWN = SIDES["truth:composite-colour"]
"""Least side of a canvas, and the largest one that is drawn; larger ones are drawn so and then enlarged."""


def why_not_pasted(dataset: Dataset) -> str:
    """Why no composites can be made of a dataset's images; empty where they can.

    Args:
        dataset: whose images are pasted.
    """
    channels, height, width = dataset.shape
    if channels != 3:
        return "they are made of colour images"
    if height != width:
        return f"they are made of square images, and these have {width} x {height} pixels; give a size"
    if height < LEAST:
        return f"they are made of images of at least {LEAST} pixels, and these have {height}"
    if dataset.task != "multiclass":
        return "they are made of images that have one class each"
    if len(set(dataset.labels.tolist())) < 2:
        return f"they need images of two classes, and the {dataset.split} split does not have them"
    return ""


def pasted(dataset: Dataset, n: int) -> Dataset:
    """Images of a dataset, each shrunk and pasted at a random place of another background among other things.

    Like ``truth:composite-colour``, but of any images in colour: from a folder without a split of its own, from a table
    of labels, from a dataset of your own, of any side from 56 pixels on. The things around are patterns and flat
    shapes; on more than 96 pixels they are drawn at 96 and enlarged, while the image keeps its detail. What decides the
    class is the square of the pasted image. The same images give the same composites.

    Args:
        dataset: whose images are pasted, square and in colour, with one class each.
        n: number of composites, of every class that has an image equally many.

    Returns:
        A dataset of the same classes with a mask of each image's square, (n, 3, side, side).

    Raises:
        InputError: images of which none can be made (`why_not_pasted`), or fewer than one composite.

    >>> images = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8)
    >>> own = Dataset("own", "test", ("cat", "dog"), (3, 128, 128), torch.tensor([0, 1, 1, 0]), images, images)
    >>> made = pasted(own, 6)
    >>> made.images.shape, made.truth_of(range(6)).mask.shape
    (torch.Size([6, 3, 128, 128]), torch.Size([6, 128, 128]))
    """
    if reason := why_not_pasted(dataset):
        raise InputError(f"no composites can be made of {dataset.name}: {reason}")
    if n < 1:
        raise InputError(f"n, the number of composites, must be at least 1, got {n}")
    recipe = _Pasted(dataset)
    made = make(recipe, dataset.split, n)
    return replace(
        dataset,
        name=f"{dataset.name} composites",
        labels=torch.from_numpy(made.labels),
        source=torch.from_numpy(made.images),
        truth=Truth(torch.from_numpy(made.masks)),
        columns={},
        left_out={},
        cut=False,
    )


@dataclass(frozen=True, eq=False)
class _Pasted:
    """How composites of a dataset's images are made."""

    dataset: Dataset
    name: str = "pasted 1"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.dataset.shape

    @cached_property
    def _of_class(self) -> tuple[Stock, Array]:
        """Which images are of which class, and the numbers of the classes that have any."""
        present, labels = np.unique(self.dataset.labels.numpy(), return_inverse=True)
        names = tuple(self.classes[int(number)] for number in present)
        return Stock.of(np.arange(len(labels)), labels, names, self.dataset.name), present

    def block(self, n: int, chance: Chance, *, details: bool) -> Made:
        of_class, present = self._of_class
        size = self.shape[1]
        drawn = min(size, DRAWN)
        label = chance.labels(n, len(present))
        box = some_box(chance, drawn, n)
        distractors = Distractors(drawn, digits=None)
        rest = distractors.draw(chance.of("rest"), distractors.around(chance, box))
        if size > drawn:
            rest = resized(rest.reshape(-1, drawn, drawn), size).reshape(n, 3, size, size)
            top, left, side = ((edge * size + drawn // 2) // drawn for edge in box)
            box = Boxes(top, left, np.minimum(side, size - np.maximum(top, left)))
        rows = of_class.choose(label, chance.uniform("image", n))
        images = laid_on(rest, box, self.dataset.take(rows.tolist()).numpy())
        return Made(images, present[label], box.covered(size))
