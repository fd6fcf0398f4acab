"""Sets of ground truth as every other dataset is read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pellucid.data.config import VALIDATION, Data
from pellucid.data.splits import Stored, Truth
from pellucid.data.truth.kept import Details, Named, kept
from pellucid.data.truth.made import Recipe

__all__ = ["IMAGES", "reader", "recipe"]

IMAGES = {"train": 20_000, "validation": VALIDATION, "test": 4_000}
"""Images of each split of a set of ground truth."""


def reader(data: Data) -> Callable[[str], Stored]:
    """A function from split to the images of a set of ground truth, which are made the first time.

    Args:
        data: names the set, and what it may be asked for.

    Raises:
        InputError: the pictures of which images are made are missing or damaged.
    """

    def read(split: str) -> Stored:
        made = recipe(data, split)
        n = IMAGES[split]
        held = kept(made, split, n)
        used = n
        if split == "validation" and data.validation is not None:
            used = round(data.validation * n) if isinstance(data.validation, float) else data.validation
        truth = Truth(held["masks"][:used])
        if split != "train":
            details = Details(made, split, n)
            truth = replace(truth, changed=Named(details, "changed", used), parts=Named(details, "part", used))
        return Stored(held["images"][:used], held["labels"][:used], made.classes, made.shape, truth)

    return read


def recipe(data: Data, split: str) -> Recipe:
    """How the images of one split of a set are made.

    Args:
        data: names the set, and what it may be asked for.
        split: ``train``, ``validation`` or ``test``.
    """
    # Sets are imported where they are asked for, as the readers of files are.
    path = None if data.path is None else Path(data.path).expanduser()
    if data.name == "truth:beside":
        from pellucid.data.truth.beside import Beside

        return Beside(split, path)
    if data.name == "truth:composite":
        from pellucid.data.truth.composite import Composite

        return Composite(split, data.size or 56, path)
    if data.name == "truth:composite-colour":
        from pellucid.data.truth.composite_colour import CompositeColour

        return CompositeColour(split, Path(str(data.path)).expanduser(), data.size or 56)
    if data.name == "truth:decoy":
        from pellucid.data.truth.decoy import CORRELATION, Decoy

        return Decoy(split, CORRELATION if data.correlation is None else data.correlation, path)
    if data.name == "truth:shapes":
        from pellucid.data.truth.shapes import Shapes

        return Shapes(data.size or 64)
    if data.name == "truth:parts":
        from pellucid.data.truth.parts import Parts

        return Parts(data.size or 64)
    raise AssertionError(data.name)
