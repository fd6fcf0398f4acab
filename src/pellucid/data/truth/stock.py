"""Pictures of known classes, of which scenes are made: Fashion-MNIST's articles and MNIST's digits."""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pellucid.core.errors import InputError
from pellucid.data import idx, sources
from pellucid.data.truth.drawing import Array

__all__ = ["Stock", "files_key", "stock"]

HELD_BACK = 6
"""Every sixth training picture serves validation images alone."""


@dataclass(frozen=True, eq=False)
class Stock:
    """Pictures by class.

    Attributes:
        pictures: uint8 (n, h, w), or where each of n images lies that are decoded when they are needed.
        rows: (n,) positions, sorted by class.
        first: position in ``rows`` of each class's first.
        count: number of pictures of each class.
        classes: their names.
    """

    pictures: Array
    rows: Array
    first: Array
    count: Array
    classes: tuple[str, ...]

    def choose(self, labels: Array, uniform: Array) -> Array:
        """Positions in ``pictures`` of one picture of each class in ``labels``, by numbers in [0, 1)."""
        chosen: Array = self.rows[self.first[labels] + np.floor(uniform * self.count[labels]).astype(np.int64)]
        return chosen

    @staticmethod
    def of(pictures: Array, labels: Array, classes: tuple[str, ...], where: object) -> "Stock":
        """Pictures sorted by their labels.

        Raises:
            InputError: a class has no picture.
        """
        count = np.bincount(labels, minlength=len(classes))
        if not count.all():
            raise InputError(
                f"{where} has no picture of class {classes[int(np.argmin(count))]!r}, of which images are made"
            )
        return Stock(pictures, np.argsort(labels, kind="stable"), np.cumsum(count) - count, count, classes)


def files_key(path: Path | None) -> str:
    """A word that tells the files of one folder from others, without reading them; empty for None.

    It is a digest of their names, sizes and times of change.
    """
    if path is None:
        return ""
    digest = hashlib.blake2b(str(path.resolve()).encode(), digest_size=8)
    for folder, folders, files in os.walk(path, followlinks=True):
        folders.sort()
        for file in sorted(files):
            status = os.stat(os.path.join(folder, file))
            digest.update(f"{folder} {file} {status.st_size} {status.st_mtime_ns}\n".encode())
    return f" {digest.hexdigest()}"


@cache
def stock(name: str, split: str, path: Path | None) -> Stock:
    """The pictures of ``fashion-mnist`` or ``mnist`` of which one split is made; no two splits share a picture.

    Args:
        name: the dataset.
        split: ``test`` takes the test files; ``validation`` every sixth picture of the training files, ``train`` the
            others.
        path: a folder that holds the dataset's folder; None looks where ``pellucid data get`` puts it.

    Raises:
        InputError: the dataset is not on this machine, damaged, or has too few pictures.
    """
    folder = sources.find(name) if path is None else path / name
    if folder is None:
        raise InputError(
            f"{name}, of which the images are made, is not on this machine; `pellucid data get {name}` brings it"
            f"{sources.HELP.get(name, '')}"
        )
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder; expected one with the files of {name}, of which the images are made"
        )
    stored = idx.read(name, folder, "test" if split == "test" else "train", verify=path is None)
    assert stored is not None
    pictures, labels = np.asarray(stored.images)[:, 0], stored.labels.numpy()
    if pictures.shape[1:] != (28, 28):
        raise InputError(f"{folder} has pictures of {pictures.shape[2]} x {pictures.shape[1]} pixels, expected 28 x 28")
    if split != "test":
        held_back = np.arange(len(labels)) % HELD_BACK == HELD_BACK - 1
        pictures, labels = (values[held_back == (split == "validation")] for values in (pictures, labels))
    return Stock.of(pictures, labels, stored.classes, f"the {split} part of {folder}")
