"""Folders of images, PATH/train/CLASS/*, as ImageNet, ImageNette and most people keep them."""

import io
import os
from pathlib import Path

import torch
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.data.decoding import Decoded
from pellucid.data.masks import find
from pellucid.data.splits import Stored, Truth

__all__ = ["SUFFIXES", "read"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_FOLDERS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}


def read(path: Path, split: str, *, size: int | None, channels: int, masks: Path | None = None) -> Stored | None:
    """One split of an image folder; its classes are the sorted names of its folders.

    Args:
        path: holds ``train`` and ``val`` (``valid``, ``validation``) or ``test``, each with a folder a class.
        split: ``train``, ``validation`` or ``test``.
        size: side in pixels; None keeps the stored size, which all images must share.
        channels: 1 or 3.
        masks: holds a picture of what decides the class of an image, MASKS/train/CLASS/NAME.png for
            PATH/train/CLASS/NAME.jpg; None where that is not known of any.

    Returns:
        The split, or None where the folder has none of that name.

    Raises:
        InputError: no such folder, no class, a class without images, no mask where masks are
            asked for.
    """
    if not path.is_dir():
        raise InputError(f"{path} is no folder; expected one with train/CLASS/* and test/CLASS/* (or val/CLASS/*)")
    place = next((path / name for name in _FOLDERS[split] if (path / name).is_dir()), None)
    if place is None and split == "train":
        raise InputError(f"{path} has no folder train; expected train/CLASS/* and test/CLASS/* (or val/CLASS/*) in it")
    if place is None:
        return None
    classes = _classes(place)
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        of_class = _images(place / name)
        if not of_class:
            raise InputError(f"{place / name} has no image; accepted are {', '.join(SUFFIXES)}")
        files += of_class
        labels += [label] * len(of_class)
    images = Decoded(_Pictures(files), size=size, channels=channels)
    truth = None if masks is None else Truth(find(files, place, masks / place.name, images.shape[1:]))
    return Stored(images, torch.tensor(labels), tuple(classes), images.shape, truth)


def _classes(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise InputError(f"{folder} has no folder of a class; expected {folder.name}/CLASS/*")
    return names


def _images(folder: Path) -> list[str]:
    return sorted(
        os.path.join(place, file)
        for place, _, files in os.walk(folder, followlinks=True)
        for file in files
        if file.lower().endswith(SUFFIXES) and not file.startswith(".")
    )


class _Pictures:
    """Image files, opened one at a time."""

    def __init__(self, files: list[str]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int, /) -> Image.Image:
        # Read at once: Pillow reads the header of a file piece by piece, which takes as long as decoding a small image.
        return Image.open(io.BytesIO(Path(self.files[i]).read_bytes()))

    def where(self, i: int) -> str:
        return self.files[i]
