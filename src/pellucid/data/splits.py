"""What a reader of files returns, and the checks that every reader shares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from pellucid.core.errors import InputError

__all__ = ["Images", "Rows", "Split", "Stored", "Truth", "check_labels", "where"]


class Images(Protocol):
    """Images by position: a uint8 tensor (n, c, h, w), or a reader that decodes one at a time and can be pickled."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, i: int, /) -> Tensor:
        """Image ``i``, uint8 (c, h, w)."""


class Split(Protocol):
    """One split as its source holds it."""

    @property
    def images(self) -> Images:
        """Images by position, in the order of the source."""

    @property
    def labels(self) -> Tensor:
        """(n,) int64, positions in ``classes``; a source may read them on first use.

        With several labels per image (n, k) float32, as `pellucid.Batch` has them, with NaN where one is not known.
        """

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of every image."""

    @property
    def truth(self) -> "Truth | None":
        """What decides the class of each image; None where that is not known."""

    @property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """What is known of each image besides its class, by name."""

    @property
    def groups(self) -> tuple[str, ...] | None:
        """What each image belongs to, such as its patient; None where nothing is known of that."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many files were not read, by reason."""

    @property
    def whole(self) -> bool:
        """Whether these are all images of a source that has no splits."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of what decides the class of each image of a split, by position.

    Args:
        mask: bool (h, w) of each image, True where what decides its class is; nowhere True where that is not known.
            A tensor (n, h, w), or a reader that decodes one at a time and can be pickled.
        changed: the same images with one thing exchanged, uint8 (n, c, h, w), by the name of that thing: ``cause``,
            what decides the class; ``rest``, everything beside it that could mislead; ``decoy``, a patch that only
            seems to tell the class; ``without NAME``, where the part of that name is removed.
        parts: bool (n, h, w), by name where each part of the object is, and the ``decoy``.

    >>> Truth(torch.ones(3, 2, 2, dtype=torch.bool)).of(torch.tensor([0, 2])).mask.shape
    torch.Size([2, 2, 2])
    """

    mask: Images
    changed: Mapping[str, Tensor] = field(default_factory=dict)
    parts: Mapping[str, Tensor] = field(default_factory=dict)

    def of(self, rows: Tensor) -> "Truth":
        """The truth of the images at these positions; nothing is decoded."""
        changed = {name: images.index_select(0, rows) for name, images in self.changed.items()}
        parts = {name: masks.index_select(0, rows) for name, masks in self.parts.items()}
        return Truth(
            self.mask.index_select(0, rows) if isinstance(self.mask, Tensor) else Rows(self.mask, rows), changed, parts
        )

    def masks(self, rows: Tensor) -> Tensor:
        """The masks at these positions, bool (m, h, w), decoded where they are not in memory."""
        if isinstance(self.mask, Tensor):
            return self.mask.index_select(0, rows)
        return torch.stack([self.mask[row] for row in rows.tolist()])


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Stored(NamedTuple):
    """A `Split` whose labels are known, and what else is known of its images."""

    images: Images
    labels: Tensor
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    truth: Truth | None = None
    columns: Mapping[str, tuple[str, ...]] = NOTHING
    groups: tuple[str, ...] | None = None
    left_out: Mapping[str, int] = NOTHING
    whole: bool = False


class Rows:
    """Some images of a reader, in a given order."""

    def __init__(self, images: Images, rows: Tensor) -> None:
        self.images = images
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int, /) -> Tensor:
        return self.images[int(self.rows[i])]

    def where(self, i: int) -> str:
        """What a message calls image ``i``."""
        return where(self.images, int(self.rows[i]))


def where(images: Images, i: int) -> str:
    """What a message calls image ``i``: its file where it has one.

    >>> where(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), 2)
    'image 2'
    """
    return f"image {i}" if isinstance(images, Tensor) or not hasattr(images, "where") else str(images.where(i))


def check_labels(labels: Tensor, classes: int, where: object) -> Tensor:
    """``labels`` as int64, or several labels per image as float32.

    Args:
        labels: (n,) integers, or (n, classes) of 0, 1 and, where a label is not known, -1 or NaN.
        classes: number of classes or labels.
        where: the file, for the message.

    Raises:
        InputError: a label is no position in ``classes``; with several labels per image there are fewer or more than
            ``classes``, other numbers, or an image of which none is known.

    >>> check_labels(torch.tensor([0, 2]), 2, "labels.gz")
    Traceback (most recent call last):
    pellucid.InputError: labels.gz: label 2 of image 1 is outside the 2 classes 0 to 1
    """
    if labels.ndim == 2:
        return _check_several(labels.to(torch.float32), classes, where)
    labels = labels.to(torch.int64)
    bad = ((labels < 0) | (labels >= classes)).nonzero()
    if len(bad):
        i = int(bad[0])
        raise InputError(
            f"{where}: label {int(labels[i])} of image {i} is outside the {classes} classes 0 to {classes - 1}"
        )
    return labels


def _check_several(labels: Tensor, classes: int, where: object) -> Tensor:
    if classes < 2 or labels.shape[1] != classes:
        raise InputError(
            f"{where} has {labels.shape[1]} labels per image but the names of {classes}; several labels need 2 or more "
            "names, one each"
        )
    labels = torch.where(labels == -1, torch.nan, labels)
    strange = ((labels != 0) & (labels != 1) & ~labels.isnan()).nonzero()
    if len(strange):
        i, label = strange[0].tolist()
        raise InputError(
            f"{where}: label {label} of image {i} is {labels[i, label]:g}; accepted are 1 where it applies, 0 where it "
            "does not, -1 or nan where that is not known"
        )
    unknown = labels.isnan().all(1).nonzero()
    if len(unknown):
        raise InputError(
            f"{where}: no label of image {int(unknown[0])} is known, nor of {len(unknown) - 1} others; leave such "
            "images out"
        )
    return labels
