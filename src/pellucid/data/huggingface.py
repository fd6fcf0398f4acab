"""Datasets of the Hugging Face `datasets` library, from the hub or from a folder that it saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pellucid.core.errors import InputError
from pellucid.data.decoding import Decoded
from pellucid.data.splits import Stored, check_labels

__all__ = ["reader"]

_SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_IMAGES = ("image", "img", "images", "pixels")
_LABELS = ("label", "labels", "class", "target", "fine_label")


def reader(path: str) -> Callable[..., Stored | None]:
    """A function from split, ``size``, ``channels`` and ``classes`` to what the dataset holds.

    It gives None where the dataset has no such split. ``classes`` are the names of integer labels that have none.

    Args:
        path: folder written by ``save_to_disk``, or an id of the hub.

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
        return None if table is None else _stored(table, f"{path} ({split})", size, channels, classes)

    return read


def _stored(table: Any, where: str, size: int | None, channels: int, given: tuple[str, ...] | None) -> Stored:
    import datasets

    features = table.features
    image = _column(features, datasets.Image, _IMAGES, "image", where)
    label = _column(features, datasets.ClassLabel, _LABELS, "label", where)
    if len(table) == 0:
        raise InputError(f"{where} has no image")
    values = list(table[label])
    if not all(isinstance(value, int) for value in values):
        raise InputError(f"column {label!r} of {where} must hold integers, got {features[label]}")
    labels = torch.tensor(values, dtype=torch.int64)
    named = isinstance(features[label], datasets.ClassLabel)
    classes = tuple(features[label].names if named else given or map(str, range(int(labels.max()) + 1)))
    images = Decoded(_Images(table.select_columns([image]), image, where), size=size, channels=channels)
    return Stored(images, check_labels(labels, len(classes), where), classes, images.shape)


def _column(features: Any, kind: type, names: tuple[str, ...], noun: str, where: str) -> str:
    typed = [name for name, feature in features.items() if isinstance(feature, kind)]
    if matching := typed or [name for name in names if name in features]:
        return str(matching[0])
    raise InputError(
        f"{where} has no {noun} column among {', '.join(features)}; "
        f"expected {kind.__name__} or one of {', '.join(names)}"
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
