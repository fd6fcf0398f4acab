"""Datasets of the Hugging Face `datasets` library, from the hub or from a folder that it saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.data.folder import pixels, same_size
from pellucid.data.splits import Stored, check_labels

__all__ = ["Examples", "reader"]

_SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_IMAGES = ("image", "img", "images", "pixels")
_LABELS = ("label", "labels", "class", "target", "fine_label")


def reader(path: str) -> Callable[..., Stored | None]:
    """A function from split, ``size`` and ``channels`` to what the dataset holds, None where it has no such split.

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

    def read(split: str, *, size: int | None, channels: int) -> Stored | None:
        table = next((splits[name] for name in _SPLITS[split] if name in splits), None)
        return None if table is None else _stored(table, f"{path} ({split})", size, channels)

    return read


def _stored(table: Any, where: str, size: int | None, channels: int) -> Stored:
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
    classes = tuple(features[label].names if named else map(str, range(int(labels.max()) + 1)))
    first = _image(table[0][image], size, channels, f"image 0 of {where}")
    shape = (first.shape[0], first.shape[1], first.shape[2])
    images = Examples(table.select_columns([image]), image, shape, resize=size is not None, where=where)
    return Stored(images, check_labels(labels, len(classes), where), classes, shape)


def _column(features: Any, kind: type, names: tuple[str, ...], noun: str, where: str) -> str:
    typed = [name for name, feature in features.items() if isinstance(feature, kind)]
    if found := typed or [name for name in names if name in features]:
        return str(found[0])
    raise InputError(
        f"{where} has no {noun} column among {', '.join(features)}; "
        f"expected {kind.__name__} or one of {', '.join(names)}"
    )


class Examples:
    """The image column of a table, decoded one at a time."""

    def __init__(self, table: Any, column: str, shape: tuple[int, int, int], *, resize: bool, where: str) -> None:
        self.table = table
        self.column = column
        self.shape = shape
        self.resize = resize
        self.where = where

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, i: int, /) -> Tensor:
        where = f"image {i} of {self.where}"
        try:
            value = self.table[i][self.column]
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{where} cannot be read: {error}") from error
        image = _image(value, self.shape[1] if self.resize else None, self.shape[0], where)
        return same_size(image, self.shape, where)


def _image(value: Any, size: int | None, channels: int, where: str) -> Tensor:
    """uint8 (c, h, w) from a picture, from integers in 0 to 255 or from floats in [0, 1], rounded to 1/255."""
    if isinstance(value, Image.Image):
        return pixels(value, size=size, channels=channels, where=where)
    array = np.asarray(value)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype.kind not in "iuf" or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise InputError(f"{where} is {array.dtype} {array.shape}, expected numbers (h, w), (h, w, c) or (c, h, w)")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(f"{where} has a pixel that is {array[~np.isfinite(array)][0]}; expected floats in [0, 1]")
        if array.min() < 0 or array.max() > 1:
            raise InputError(f"{where} has pixels from {array.min()} to {array.max()}; expected floats in [0, 1]")
        array = np.rint(array * 255)
    elif array.min() < 0 or array.max() > 255:
        raise InputError(f"{where} has pixels from {array.min()} to {array.max()}; expected integers from 0 to 255")
    return pixels(Image.fromarray(array.astype(np.uint8)), size=size, channels=channels, where=where)
