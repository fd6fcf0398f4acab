"""What a reader of files returns, and the checks that every reader shares."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pellucid.core.errors import InputError

__all__ = ["Images", "Rows", "Stored", "check_labels"]


class Images(Protocol):
    """Images by position: a uint8 tensor (n, c, h, w), or a reader that decodes one at a time and can be pickled."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, i: int, /) -> Tensor:
        """Image ``i``, uint8 (c, h, w)."""


class Stored(NamedTuple):
    """One split as it lies on disk.

    Attributes:
        images: by position, in the order of the files.
        labels: (n,) int64, positions in ``classes``.
        classes: names of the classes.
        shape: (c, h, w) of every image.
    """

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
