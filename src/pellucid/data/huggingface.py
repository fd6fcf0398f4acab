"""Datasets of the Hugging Face `datasets` library, from the hub or from a folder that it saved."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.data.config import known
from pellucid.data.decoding import Decoded
from pellucid.data.splits import Stored, check_labels

__all__ = ["reader"]

_SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_IMAGES = ("image", "img", "images", "pixels")
_LABELS = ("label", "labels", "class", "target", "fine_label")

SUBGROUPS = 50
"""Different values up to which a column of words tells subgroups; one with more tells images, as captions do."""


def reader(
    path: str, *, image: str | None = None, label: str | None = None, group: str | None = None
) -> Callable[..., Stored | None]:
    """A function from split, ``size``, ``channels`` and ``classes`` to what the dataset holds.

    It gives None where the dataset has no such split. ``classes`` are the names of integer labels that have none.

    Args:
        path: folder written by ``save_to_disk``, or an id of the hub.
        image: name of the column of images; None: the first that is typed as images, or has a usual name, or is the
            only one that can hold images.
        label: name of the column of labels, classes, whole numbers or words; None: as for images.
        group: name of the column of what must not be in two splits, such as patients; None: there is none.

    Raises:
        InputError: the library is not installed, or cannot load ``path``.
    """
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"dataset 'huggingface' needs the package datasets ({error}); `pip install pellucid[huggingface]` brings it"
        ) from error
    saved = any((Path(path) / name).is_file() for name in ("dataset_dict.json", "state.json"))
    try:
        loaded = datasets.load_from_disk(path) if saved else datasets.load_dataset(path)
    except Exception as error:  # the library and its clients raise many kinds
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"huggingface dataset {path!r} cannot be loaded: {reason}") from error
    splits = loaded if isinstance(loaded, dict) else {"train": loaded}

    def read(split: str, *, size: int | None, channels: int, classes: tuple[str, ...] | None) -> Stored | None:
        table = next((splits[name] for name in _SPLITS[split] if name in splits), None)
        if table is None:
            return None
        where = f"{path} ({split})"
        names = {"image": image, "label": label, "group": group}
        return _stored(table, where, size, channels, classes, names)

    return read


def _stored(
    table: Any,
    where: str,
    size: int | None,
    channels: int,
    given: tuple[str, ...] | None,
    names: Mapping[str, str | None],
) -> Stored:
    import datasets

    features = table.features
    for name in names.values():
        if name is not None:
            known(f"column of {where}", name, tuple(features))
    scalar = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel | datasets.Value)]
    arrays = [name for name, kind in features.items() if isinstance(kind, datasets.Array2D | datasets.Array3D)]
    image = names["image"] or _column(features, datasets.Image, _IMAGES, arrays, "image", where)
    others = [name for name in scalar if name not in (image, names["group"])]
    label = names["label"] or _column(features, datasets.ClassLabel, _LABELS, others, "label", where)
    if len(table) == 0:
        raise InputError(f"{where} has no image")
    labels, classes = _labels(list(table[label]), features[label], label, where, given)
    images = Decoded(_Images(table.select_columns([image]), image, where), size=size, channels=channels)
    group = names["group"]
    groups = None if group is None else tuple("" if value is None else str(value) for value in table[group])
    columns = {name: _words(table[name], features[name]) for name in scalar if name not in (image, label, group)}
    few = {name: words for name, words in columns.items() if words and len(set(words)) <= SUBGROUPS}
    return Stored(images, labels, classes, images.shape, columns=few, groups=groups)


def _labels(
    values: list[Any], feature: Any, column: str, where: str, given: tuple[str, ...] | None
) -> tuple[Tensor, tuple[str, ...]]:
    """Positions in the classes, and the classes: those of a typed column, sorted words, or the numbers themselves."""
    if all(isinstance(value, str | bool) for value in values):
        words = [str(value) for value in values]
        classes = given if given is not None and set(words) <= set(given) else tuple(sorted(set(words)))
        position = {name: i for i, name in enumerate(classes)}
        return torch.tensor([position[word] for word in words]), classes
    if not all(isinstance(value, int) for value in values):
        raise InputError(f"column {column!r} of {where} must hold whole numbers or words, got {feature}")
    labels = torch.tensor(values, dtype=torch.int64)
    named = getattr(feature, "names", None)
    classes = tuple(named or given or map(str, range(int(labels.max()) + 1)))
    return check_labels(labels, len(classes), where), classes


def _words(values: Any, feature: Any) -> tuple[str, ...]:
    """The values of a column of words, classes or truths as words; none where it holds numbers."""
    named = getattr(feature, "names", None)
    if named is None and feature.dtype not in ("string", "large_string", "bool"):
        return ()
    return tuple("" if value is None else named[value] if named else str(value) for value in values)


def _column(features: Any, kind: type, names: tuple[str, ...], possible: list[str], noun: str, where: str) -> str:
    typed = [name for name, feature in features.items() if isinstance(feature, kind)]
    usual = [name for name in names if name in features]
    named = [name for name in usual if name in typed] or (usual if noun == "label" else [])
    if matching := named or typed or usual:
        if not named and len(typed) > 1:
            raise InputError(
                f"{where} has several {noun} columns, {', '.join(typed)}; name one with --dataset.{noun}_column"
            )
        return str(matching[0])
    if len(possible) == 1:
        return possible[0]
    raise InputError(
        f"{where} has no {noun} column among {', '.join(features)}; "
        f"expected {kind.__name__} or one of {', '.join(names)}, or its name with --dataset.{noun}_column"
    )


class _Images:
    """The image column of a table."""

    def __init__(self, table: Any, column: str, place: str) -> None:
        self.table, self.column, self.place = table, column, place

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, i: int, /) -> Any:
        return self.table[i][self.column]

    def where(self, i: int) -> str:
        return f"image {i} of {self.place}"
