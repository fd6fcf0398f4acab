"""Datasets of your own: any indexable `torch.utils.data.Dataset`, from a factory that is named by its import path."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from threading import Lock
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pellucid.config import import_name
from pellucid.core.errors import InputError, raised
from pellucid.core.notes import tell
from pellucid.data.config import DATASETS
from pellucid.data.decoding import Decoded
from pellucid.data.levels import BLACK, is_black
from pellucid.data.splits import check_labels

__all__ = ["Examples", "reader"]

PROBED = 8
"""Evenly spaced items that are read to see whether ``.targets`` are their labels and whether images stay the same."""

Factory = Callable[[str], Any]


def reader(path: str, group: str | None = None) -> Callable[..., "Examples | None"]:
    """A function from split, ``size``, ``channels`` and ``classes`` to that split of a dataset of your own.

    It gives None where the dataset has no such split: the factory returns None, or raises a KeyError, ValueError or
    NotImplementedError for ``validation``. ``classes`` are the names where the dataset has no ``.classes``.

    Args:
        path: import path of the factory, a function or class that takes ``train``, ``validation`` or ``test`` and
            returns a Dataset of (image, label).
        group: name of an attribute of the datasets that lists, for each image, what must not be in two splits, such as
            its patient. None: each image is alone.

    Raises:
        InputError: nothing that can be called is there.
    """
    try:
        factory = import_name(path)
    except InputError as error:
        raise InputError(
            f"{error}; a dataset is one of {', '.join(DATASETS)}, or the import path of your own, such as "
            "my_package:make_dataset"
        ) from error
    if not callable(factory):
        raise InputError(
            f"dataset {path!r} is of type {type(factory).__name__}; expected a function or class that takes a split "
            "('train', 'validation' or 'test') and returns a torch.utils.data.Dataset"
        )

    if path.replace(":", ".").startswith("pellucid.") and not (
        isinstance(factory, type) and issubclass(factory, torch.utils.data.Dataset)
    ):
        raise InputError(
            f"dataset {path!r} is of pellucid itself and must name a class of torch.utils.data.Dataset, got "
            f"{factory!r:.80}"
        )

    def read(split: str, *, size: int | None, channels: int, classes: tuple[str, ...] | None) -> Examples | None:
        place = f"{path}({split!r})"
        try:
            items = _Items(factory, split, place)
        except Exception as error:  # a user's factory may raise anything
            if split == "validation" and isinstance(error, KeyError | ValueError | NotImplementedError):
                return None
            raise InputError(f"{place} raised {raised(error)}") from error
        return None if items.dataset is None else Examples(items, size, channels, classes, group)

    return read


class _Items:
    """The items of a dataset, which every process makes for itself."""

    def __init__(self, factory: Factory, split: str, place: str) -> None:
        self.factory, self.split, self.place = factory, split, place
        self.dataset = factory(split)
        # Pellucid decodes in threads, which few datasets are made for.
        self.lock = Lock()

    def __reduce__(self) -> tuple[type["_Items"], tuple[Factory, str, str]]:
        return _Items, (self.factory, self.split, self.place)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int, /) -> Any:
        return self.item(i)[0]

    def where(self, i: int) -> str:
        return f"image {i} of {self.place}"

    def item(self, i: int) -> tuple[Any, Any]:
        """Image and label at position ``i``, as the dataset gives them."""
        where = f"item {i} of {self.place}"
        try:
            with self.lock:
                item = self.dataset[i]
        except Exception as error:  # a user's dataset may raise anything
            raise InputError(f"{where} cannot be read: {raised(error)}") from error
        if isinstance(item, tuple | list) and len(item) == 2:
            return item[0], item[1]
        if isinstance(item, Mapping) and {"image", "label"} <= item.keys():
            return item["image"], item["label"]
        got = f"of type {type(item).__name__}"
        if isinstance(item, Mapping):
            got = f"a dictionary of {', '.join(map(str, item))}"
        elif isinstance(item, tuple | list):
            got = f"a {type(item).__name__} of {len(item)} values"
        raise InputError(
            f"{where} is {got}; expected a tuple of two, (image, label), or a dictionary of image and label"
        )

    def label(self, i: int, labels: int) -> Tensor:
        """Label at position ``i``: () int64, or with several labels per image (``labels``,) float64."""
        label = self.item(i)[1]
        number = _integers([label], 1)
        if number is not None:
            return number[0]
        several = _several([label], 1, labels)
        if several is None:
            got = " ".join(repr(label).split())[:80]
            raise InputError(
                f"the label of item {i} of {self.place} is {got}; expected an integer, such as 0, or, where an image "
                f"may have several of the {labels} labels, as many numbers, 1 where one applies and 0 where not"
            )
        return several[0]


class Examples:
    """One split of a dataset of your own; labels are read when they are first asked for.

    Raises:
        InputError: it cannot be indexed, is empty, has no classes, or its first item is no (image, label).
    """

    truth = None
    columns: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    left_out: Mapping[str, int] = MappingProxyType({})
    whole = False

    def __init__(
        self, items: _Items, size: int | None, channels: int, given: tuple[str, ...] | None, group: str | None = None
    ) -> None:
        dataset, place = items.dataset, items.place
        if isinstance(dataset, Mapping) or not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
            raise InputError(
                f"{place} is of type {type(dataset).__name__}; expected a torch.utils.data.Dataset with a length, "
                "whose items (image, label) are found by position"
            )
        if len(dataset) == 0:
            raise InputError(f"{place} has no image")
        names = getattr(dataset, "classes", None)
        if names is not None and (isinstance(names, str | Mapping) or not isinstance(names, Iterable)):
            raise InputError(
                f"{place}.classes is a {type(names).__name__}, not a list of names in the order of the labels"
            )
        self.classes = tuple(map(str, () if names is None else names)) or given or ()
        if not self.classes:
            raise InputError(
                f"{place} has no classes; give the dataset an attribute classes, such as ['cat', 'dog'], or name them "
                "with --dataset.classes, in Python Data(classes=('cat', 'dog'))"
            )
        self.groups = None if group is None else _groups(dataset, group, place)
        self._items = items
        self.images = Decoded(items, size=size, channels=channels)
        self.shape = self.images.shape

    @cached_property
    def labels(self) -> Tensor:
        """Labels: ``.targets`` or ``.labels``, or read in one pass where neither holds the items' own.

        (n,) int64; or (n, classes) float32 where the items have several labels each. Items that all have exactly one
        are refused, as one-hot class numbers are told apart from labels by that alone, unless the dataset has an
        attribute ``task`` that is ``multilabel``.
        """
        items, n = self._items, len(self._items)
        probed = [i * n // PROBED for i in range(PROBED)] if n > PROBED else list(range(n))
        for i in probed:
            if not torch.equal(self.images[i], self.images[i]):
                raise InputError(
                    f"{items.where(i)} differs each time it is read; leave random changes to --dataset.augmentation"
                )
        if (black := sum(is_black(self.images[i]) for i in probed)) and black == len(probed):
            tell(f"the first image of {items.place}: {BLACK} ({black} of {len(probed)} that were looked at)")
        k = len(self.classes)
        expected = self._stacked([items.label(i, k) for i in probed])
        for name in ("targets", "labels"):
            given = getattr(items.dataset, name, None)
            labels = _integers(given, n) if expected.ndim == 1 else _several(given, n, k)
            if labels is not None and torch.equal(labels[probed].nan_to_num(nan=-1), expected.nan_to_num(nan=-1)):
                break
        else:
            bar = tqdm(range(n), desc=f"{items.place}: labels", unit="image", dynamic_ncols=True, disable=None)
            labels = self._stacked([items.label(i, k) for i in bar])
        declared = getattr(items.dataset, "task", None) == "multilabel"
        if labels.ndim == 2 and not declared and bool(((labels == 1).sum(1) == 1).all()) and bool((labels >= 0).all()):
            raise InputError(
                f"the labels of {items.place} are one-hot: every image has exactly one of {k}; give the number of the "
                "class, or the dataset an attribute task = 'multilabel' where an image may have several"
            )
        return check_labels(labels, k, items.place)

    def _stacked(self, labels: list[Tensor]) -> Tensor:
        if len({label.ndim for label in labels}) > 1:
            raise InputError(
                f"some labels of {self._items.place} are single numbers and others are rows of {len(self.classes)}; "
                "give every image one or the other"
            )
        return torch.stack(labels)


def _groups(dataset: Any, name: str, place: str) -> tuple[str, ...]:
    """What a dataset's attribute says that each of its images belongs to."""
    listed = getattr(dataset, name, None)
    if listed is None or isinstance(listed, str | Mapping) or not isinstance(listed, Iterable):
        raise InputError(
            f"{place} has no list {name}, which --dataset.group asks for; expected one entry for each image"
        )
    groups = tuple("" if group is None else str(group) for group in listed)
    if len(groups) != len(dataset):
        raise InputError(
            f"{place}.{name} has {len(groups)} entries for {len(dataset)} images; expected one for each image"
        )
    return groups


def _integers(values: Any, n: int) -> Tensor | None:
    """``values`` as (n,) int64, or None where they are no n integers."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # ragged, or on another device
        return None
    if array.size != n or array.dtype.kind not in "iu":
        return None
    return torch.from_numpy(array.reshape(n).astype(np.int64))


def _several(values: Any, n: int, labels: int) -> Tensor | None:
    """``values`` as (n, labels) float64, or None where they are no n rows of so many numbers."""
    try:
        array = np.stack([np.asarray(row) for row in values])
    except (TypeError, ValueError, RuntimeError):  # no rows, ragged, or on another device
        return None
    if labels < 2 or array.size != n * labels or len(array) != n or array.dtype.kind not in "iufb":
        return None
    return torch.from_numpy(array.reshape(n, labels).astype(np.float64))
