"""Folders of images, PATH/train/CLASS/*, as ImageNet, ImageNette and most people keep them."""

import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.data.splits import Stored

__all__ = ["SUFFIXES", "Pictures", "pixels", "read", "same_size"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

ORIENTATION = 0x0112
"""EXIF tag; 1 is upright."""

_FOLDERS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}


def read(path: Path, split: str, *, size: int | None, channels: int) -> Stored | None:
    """One split of an image folder; classes are numbered by the sorted names of the folders in ``train``.

    Args:
        path: holds ``train`` and ``val`` (``valid``, ``validation``) or ``test``, each with a folder a class.
        split: ``train``, ``validation`` or ``test``.
        size: side in pixels; None keeps the stored size, which all images must share.
        channels: 1 or 3.

    Returns:
        The split, or None where the folder has none of that name.

    Raises:
        InputError: no such folder, no class, a class without images, a class that is not in ``train``.
    """
    if not path.is_dir():
        raise InputError(f"{path} is no folder; expected one with train/CLASS/* and test/CLASS/* (or val/CLASS/*)")
    if not (path / "train").is_dir():
        raise InputError(f"{path} has no folder train; expected train/CLASS/* and test/CLASS/* (or val/CLASS/*) in it")
    classes = _classes(path / "train")
    place = next((path / name for name in _FOLDERS[split] if (path / name).is_dir()), None)
    if place is None:
        return None
    files: list[str] = []
    labels: list[int] = []
    for name in _classes(place):
        if name not in classes:
            raise InputError(f"class {name!r} of {place} is none of the {len(classes)} classes of {path / 'train'}")
        found = _images(place / name)
        if not found:
            raise InputError(f"{place / name} has no image; accepted are {', '.join(SUFFIXES)}")
        files += found
        labels += [classes.index(name)] * len(found)
    shape = (channels, size, size) if size else tuple(_decoded(files[0], None, channels).shape)
    pictures = Pictures(files, (shape[0], shape[1], shape[2]), resize=size is not None)
    return Stored(pictures, torch.tensor(labels), tuple(classes), pictures.shape)


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


class Pictures:
    """Image files, decoded one at a time."""

    def __init__(self, files: list[str], shape: tuple[int, int, int], *, resize: bool) -> None:
        self.files = files
        self.shape = shape
        self.resize = resize

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int, /) -> Tensor:
        image = _decoded(self.files[i], self.shape[1] if self.resize else None, self.shape[0])
        return same_size(image, self.shape, self.files[i])


def same_size(image: Tensor, shape: tuple[int, int, int], where: object) -> Tensor:
    """``image``, if its shape is that of the first image.

    Raises:
        InputError: it is another.
    """
    if tuple(image.shape) != shape:
        raise InputError(
            f"{where} is {image.shape[2]} x {image.shape[1]} pixels, but the first image is {shape[2]} x {shape[1]}; "
            f"give a size to which all are resized"
        )
    return image


def _decoded(file: str, size: int | None, channels: int) -> Tensor:
    try:
        # Read at once: Pillow reads the header of a file piece by piece, which takes as long as decoding a small image.
        with open(file, "rb") as stream, Image.open(io.BytesIO(stream.read())) as image:
            return pixels(image, size=size, channels=channels, where=file)
    except InputError:
        raise
    # Pillow's readers raise all of these on damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"{file} is no image that can be read: {error}") from error


def pixels(image: Image.Image, *, size: int | None, channels: int, where: object) -> Tensor:
    """Pixels of a picture, upright as its EXIF orientation says.

    Transparency is laid on white; 16-bit grey is scaled to 8 bits; grey becomes three equal channels; colour becomes
    ITU-R 601 luma where one channel is asked for.

    Args:
        image: the picture; of an animation the first frame.
        size: side in pixels to which the shorter side is resized (bilinear, antialiased) before the middle is cut;
            None, or a picture of that size, changes nothing.
        channels: 1 or 3.
        where: the file, for the message.

    Returns:
        uint8 (channels, h, w).

    Raises:
        InputError: its mode is none of those.

    >>> pixels(Image.new("RGBA", (1, 1), (0, 0, 0, 0)), size=None, channels=1, where="clear.png")
    tensor([[[255]]], dtype=torch.uint8)
    """
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        image = _eight_bits(image, where)
    elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    elif image.mode not in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"):
        raise InputError(
            f"{where} has mode {image.mode!r}; accepted are 1, L, LA, P, RGB, RGBA, CMYK, YCbCr and 16-bit grey"
        )
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR)
    array = np.array(image)
    tensor = torch.from_numpy(array)
    return tensor.unsqueeze(0) if channels == 1 else tensor.permute(2, 0, 1)


def _eight_bits(image: Image.Image, where: object) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise InputError(f"{where} has values from {values.min()} to {values.max()}; 16-bit grey is 0 to 65535")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))
