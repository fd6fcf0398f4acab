"""One split of a dataset, by stable position."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.randomness import seed_of
from pellucid.core.types import Task, task_of
from pellucid.data.fingerprint import contents_of, fingerprint_of
from pellucid.data.silence import silenced
from pellucid.data.splits import Images, Rows, Truth, where

__all__ = ["FITS", "MOMENTS", "Dataset"]

FITS = 2 << 30
"""Bytes up to which a split is held decoded in memory (2 GiB)."""

SAMPLE = 512
"""Training images from which mean and standard deviation are computed, where no published numbers exist."""

SHARE = 64
"""Images that a decoding thread takes at a time."""

NAMED = 20
"""Classes that an error message lists at most."""

MOMENTS = {
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "mnist": ((0.1307,), (0.3081,)),
    "cifar10": ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)),
    "pcam": ((0.7008, 0.5384, 0.6916), (0.2350, 0.2774, 0.2129)),
}
"""Published means and standard deviations of the training pixels in [0, 1], by dataset and channel."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, labels and what is known of them; position i is the ``index`` of a batch.

    Args:
        name: what a table calls the dataset; a folder's own name for image folders.
        split: ``train`` (without the validation images), ``validation`` or ``test``.
        classes: names of the classes.
        shape: (c, h, w) of every image.
        labels: (n,) int64, positions in ``classes``; with several labels per image (n, classes) float32, 1 where a
            label applies, 0 where it does not, NaN where that is not known.
        source: the images by position, decoded or not.
        training: training images by position, for ``mean`` and ``std``; those of the split where it was read alone.
        augmentation: name of the augmentation that ``Data`` asked for.
        workers: number of processes or threads that decode.
        truth: what decides the class of each image, where that is known.
        columns: what is known of each image besides its class, such as the camera, by name; (n,) words each.
        left_out: how many files were not read, by the reason.
        cut: whether these test or validation images were cut from what the training images were cut from, so that
            another image in the source moves images between them.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    labels: Tensor
    source: Images
    training: Images
    augmentation: str = "none"
    workers: int = 0
    truth: Truth | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    cut: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def task(self) -> Task:
        """``multilabel`` where an image has a row of labels, ``multiclass`` where it has one class."""
        return task_of(self.labels)

    def label_number(self, name: str) -> int:
        """The number of the label of that name, of several an image.

        Raises:
            InputError: no such label, or images that have one class each.
        """
        if self.task != "multilabel":
            raise InputError(
                f"label {name!r} is for images with several labels; each image of {self.name} has one class"
            )
        if name not in self.classes:
            more = f" and {len(self.classes) - NAMED} more" if len(self.classes) > NAMED else ""
            raise InputError(f"label must be one of {', '.join(self.classes[:NAMED])}{more}, got {name!r}")
        return self.classes.index(name)

    def image(self, i: int) -> Tensor:
        """Image at position ``i``, uint8 (c, h, w)."""
        return self.take([i])[0]

    def take(self, indices: Sequence[int] | Tensor) -> Tensor:
        """Images at these positions, uint8 (m, c, h, w); decodes only those where the split is not in memory."""
        rows = torch.as_tensor(indices, dtype=torch.int64, device="cpu")
        bad = rows[(rows < 0) | (rows >= len(self))]
        if len(bad):
            raise InputError(
                f"position {int(bad[0])} is outside the {len(self)} images of {self.name}'s {self.split} split"
            )
        if isinstance(self.source, Tensor):
            return self.source.index_select(0, rows)
        if self.__dict__.get("images") is not None:
            return self.__dict__["images"].index_select(0, rows)  # type: ignore[no-any-return]
        return _decoded(self.source, rows.tolist(), self.shape, self.workers)

    def where(self, i: int) -> str:
        """What a message calls the image at position ``i``: its file, where it is read from one."""
        return where(self.source, i)

    def truth_of(self, indices: Sequence[int] | Tensor) -> Truth | None:
        """The truth of the images at these positions, its masks a tensor (m, h, w); None where it is not known."""
        if self.truth is None:
            return None
        rows = torch.as_tensor(indices, dtype=torch.int64, device="cpu")
        return replace(self.truth.of(rows), mask=self.truth.masks(rows))

    def subgroups(self, indices: Sequence[int]) -> dict[str, list[str]]:
        """What ``columns`` tell of the images at these positions, as the columns ``subgroup NAME`` of a table.

        >>> images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
        >>> labels, camera = torch.tensor([0, 1]), {"camera": ("old", "new")}
        >>> dots = Dataset("dots", "test", ("a", "b"), (1, 4, 4), labels, images, images, columns=camera)
        >>> dots.subgroups([1])
        {'subgroup camera': ['new']}
        """
        return {f"subgroup {name}": [values[i] for i in indices] for name, values in self.columns.items()}

    @cached_property
    def images(self) -> Tensor | None:
        """All images, uint8 (n, c, h, w), decoded on first use; None where they are more than `FITS` bytes."""
        if isinstance(self.source, Tensor):
            return self.source
        if len(self) * prod(self.shape) > FITS:
            return None
        return _decoded(self.source, range(len(self)), self.shape, self.workers)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of the training pixels in [0, 1], by channel: as published, or of a sample."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of the training pixels in [0, 1], by channel; 1 for a constant channel."""
        return self._moments[1]

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell these images and labels from others.

        They are a digest of the class names, the shape, all labels and the pixels of up to 64 evenly
        spaced images, so that they are the same in every process and do not depend on where the files lie.
        """
        return fingerprint_of(self)

    @cached_property
    def contents(self) -> str:
        """16 hexadecimal digits that tell these images and labels from others by all that they hold.

        They are a digest of the class names, the shape, all labels and the bytes of all files, or where the images are
        no files their pixels. Of more than 2 GiB of files the two ends and the size of each are read; of images that
        are neither files nor in memory up to 4,096, evenly spaced. Names and places of files do not matter.
        """
        return contents_of(self)

    def facts(self) -> dict[str, Any]:
        """What is known of the split, as a run directory records it: plain values that JSON can hold.

        >>> images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
        >>> Dataset("dots", "train", ("a", "b"), (1, 4, 4), torch.tensor([0, 1]), images, images).facts()
        {'name': 'dots', 'classes': ['a', 'b'], 'shape': [1, 4, 4], 'mean': [0.0], 'std': [1.0], 'images': 2,
         'fingerprint': '4eefb1cfe604c0a2', 'task': 'multiclass', 'contents': {'train': '4eefb1cfe604c0a2'}}
        """
        return {
            "name": self.name,
            "classes": list(self.classes),
            "shape": list(self.shape),
            "mean": list(self.mean),
            "std": list(self.std),
            "images": len(self),
            "fingerprint": self.fingerprint,
            "task": self.task,
            "contents": {self.split: self.contents},
        }

    def some(self, most: int, seed: int) -> "Dataset":
        """At most so many of the images, in their order, drawn by the seed; the split itself where it has no more.

        Args:
            most: images, at least 1.
            seed: of the choice.

        >>> images = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
        >>> dots = Dataset("dots", "test", ("a", "b"), (1, 4, 4), torch.tensor([0, 1, 1]), images, images)
        >>> len(dots.some(2, seed=0)), dots.some(3, seed=0) is dots
        (2, True)
        """
        if len(self) <= most:
            return self
        generator = torch.Generator().manual_seed(seed_of(seed, "some"))
        rows = torch.randperm(len(self), generator=generator)[:most].sort().values
        held = self.source if isinstance(self.source, Tensor) else self.__dict__.get("images")
        return replace(
            self,
            labels=self.labels[rows],
            source=Rows(self.source, rows) if held is None else held.index_select(0, rows),
            truth=None if self.truth is None else self.truth.of(rows),
            columns={name: tuple(values[row] for row in rows.tolist()) for name, values in self.columns.items()},
        )

    def with_classes(self, names: Sequence[str]) -> "Dataset":
        """The same images, their labels numbered in the order of the classes that a network knows.

        Args:
            names: every class that the network knows, in its order. The split may have fewer of them; of several labels
                an image those that it lacks are not known.

        Returns:
            The split itself where its classes are ``names`` already.

        Raises:
            InputError: a class of the split is not among ``names``, or a name occurs twice in either.

        >>> images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
        >>> pets = Dataset("pets", "test", ("dog", "cat"), (1, 4, 4), torch.tensor([0, 1]), images, images)
        >>> pets.with_classes(["bird", "cat", "dog"]).labels
        tensor([2, 1])
        """
        for place, known in ((f"{self.name}'s {self.split} split", self.classes), ("the known classes", names)):
            if twice := [name for name, times in Counter(known).items() if times > 1]:
                raise InputError(f"class {twice[0]!r} occurs twice in {place}; every class needs a name of its own")
        if tuple(names) == self.classes:
            return self
        # Of an accented letter some systems make one character and others two.
        position = {unicodedata.normalize("NFC", name): i for i, name in enumerate(names)}
        position |= {name: i for i, name in enumerate(names)}
        found = {name: position.get(name, position.get(unicodedata.normalize("NFC", name))) for name in self.classes}
        if unknown := [name for name, place in found.items() if place is None]:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            raise InputError(
                f"class {unknown[0]!r} of {self.name}'s {self.split} split is none of the {len(names)} classes known: "
                f"{', '.join(names[:NAMED])}{more}"
            )
        if len(set(found.values())) < len(found):
            raise InputError(
                f"two classes of {self.name}'s {self.split} split have one name, written in different characters: "
                f"{', '.join(map(ascii, self.classes))}"
            )
        places = torch.tensor(list(found.values()))
        if self.task == "multilabel":
            labels = torch.full((len(self), len(names)), torch.nan).index_copy(1, places, self.labels)
        else:
            labels = places[self.labels]
        return replace(self, classes=tuple(names), labels=labels)

    @cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self.name in MOMENTS and len(MOMENTS[self.name][0]) == self.shape[0]:
            return MOMENTS[self.name]
        n = len(self.training)
        rows = torch.linspace(0, n - 1, min(n, SAMPLE)).long().tolist()
        pixels = _decoded(self.training, rows, self.shape, self.workers).transpose(0, 1).flatten(1).double()
        # Of whole numbers, so that a constant channel has exactly no deviation.
        std = pixels.std(dim=1, correction=0)
        return tuple((pixels.mean(dim=1) / 255).tolist()), tuple(torch.where(std > 0, std / 255, 1.0).tolist())


def _decoded(images: Images, rows: Sequence[int], shape: tuple[int, int, int], workers: int) -> Tensor:
    if isinstance(images, Tensor):
        return images[list(rows)]
    decoded = torch.empty((len(rows), *shape), dtype=torch.uint8)

    def fill(first: int) -> None:
        for i in range(first, min(first + SHARE, len(rows))):
            decoded[i] = images[rows[i]]

    # Threads, since libjpeg and libpng release the interpreter's lock.
    with silenced(), ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
        for _ in pool.map(fill, range(0, len(rows), SHARE)):
            pass
    return decoded
