"""What a reader of files returns, and the checks that every reader shares."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pellucid.core.errors import InputError

__all__ = ["Images", "Rows", "Split", "Stored", "check_labels"]


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
        """(n,) int64, positions in ``classes``; a source may read them on first use."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of every image."""


class Stored(NamedTuple):
    """A `Split` whose labels are known."""

    images: Images
    labels: Tensor
    classes: tuple[str, ...]
    shape: tuple[int, int, int]


class Rows:
    """Some images of a reader, in a given order."""

    def __init__(self, images: Images, rows: Tensor) -> None:
        self.images = images
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int, /) -> Tensor:
        return self.images[int(self.rows[i])]


def check_labels(labels: Tensor, classes: int, where: object) -> Tensor:
    """``labels`` as int64.

    Args:
        labels: (n,) integers.
        classes: number of classes.
        where: the file, for the message.

    Raises:
        InputError: a label is no position in ``classes``.

    >>> check_labels(torch.tensor([0, 2]), 2, "labels.gz")
    Traceback (most recent call last):
    pellucid.InputError: labels.gz: label 2 of image 1 is outside the 2 classes 0 to 1
    """
    labels = labels.to(torch.int64)
    bad = ((labels < 0) | (labels >= classes)).nonzero()
    if len(bad):
        i = int(bad[0])
        raise InputError(
            f"{where}: label {int(labels[i])} of image {i} is outside the {classes} classes 0 to {classes - 1}"
        )
    return labels
