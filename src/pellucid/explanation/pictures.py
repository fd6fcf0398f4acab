"""Picture files of any kind, as the network sees them."""

import hashlib
import io
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.randomness import seed_of
from pellucid.data.decoding import pixels
from pellucid.data.folder import SUFFIXES

__all__ = ["STANDARD_INPUT", "Picture", "find", "held", "read", "told"]

STANDARD_INPUT = "-"
READ_IN_FOLDERS = (*SUFFIXES, ".gif", ".npy", ".npz", ".dcm")
_KINDS = "PNG, JPEG, TIFF, GIF, WebP and BMP pictures, NumPy arrays and DICOM files are accepted"


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, upright, cut and scaled to what the network takes.

    Attributes:
        source: where it came from, as `told`.
        pixels: (c, h, w) uint8.
        stored: width and height that it was stored with, upright.
        notes: what was done to it that its reader should know, such as the frame that was taken.
        key: a number that depends on ``pixels`` alone, from which every draw about this picture is made.
    """

    source: str
    pixels: Tensor
    stored: tuple[int, int]
    notes: tuple[str, ...]
    key: int


def find(words: Sequence[str | Path]) -> list[str]:
    """The pictures that the words of a command line name: files as they are, folders by what lies in them.

    Args:
        words: files, folders (searched with all their folders, in the order of names) or ``-`` for standard input.

    Returns:
        Sources, each once. A folder without a picture stands for itself, so that reading it says what is wrong.

    >>> find(["-", "cat.png", "-"])
    ['-', 'cat.png']
    """
    sources: list[str] = []
    for word in map(str, words):
        inside = sorted(
            os.path.join(place, file)
            for place, _, files in os.walk("" if word == STANDARD_INPUT else word)
            for file in files
            if file.lower().endswith(READ_IN_FOLDERS) and not file.startswith(".")
        )
        sources += inside or [word]
    return list(dict.fromkeys(sources))


def told(source: str) -> str:
    r"""A source in words, on one line; what cannot be printed of a file's name, such as bytes of no text, is a dot.

    >>> told("-"), told("cat.png"), told("c\udce4t.png")
    ('standard input', 'cat.png', 'c·t.png')
    """
    if source == STANDARD_INPUT:
        return "standard input"
    return "".join(letter if letter.isprintable() else "·" for letter in source)


def read(source: str, shape: tuple[int, int, int]) -> Picture:
    """Read one picture; its kind is told by its content, not by its name.

    It is set upright as EXIF says, transparency is laid on white, 16 bits become 8, the first frame of an animation is
    taken; the shorter side is scaled to the network's and the middle cut out, as in `pellucid.data`.

    Args:
        source: a file, or ``-`` for standard input.
        shape: (c, h, w) that the network takes; channels other than 1 and 3 only from NumPy arrays.

    Raises:
        InputError: no such file, an empty or damaged one, no picture, values or channels that cannot be.
    """
    where = told(source)
    if os.path.isdir(source):
        raise InputError(f"{where} holds no picture; {_KINDS}")
    try:
        content = sys.stdin.buffer.read() if source == STANDARD_INPUT else Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not content:
        raise InputError(f"{where} is empty; {_KINDS}")
    image, stored, notes = _decoded(content, where, shape)
    return Picture(where, image, stored, notes, _key_of(image))


def held(image: Any, shape: tuple[int, int, int], where: str) -> Picture:
    """A picture that Python holds, set upright, cut and scaled as `read` does; what is given is not changed.

    Args:
        image: a picture of Pillow's, or an array or tensor (h, w), (h, w, c) or (c, h, w) of whole numbers of 8 or 16
            bits or of fractions in [0, 1], which are rounded to 1/255.
        shape: (c, h, w) that the network takes.
        where: what a message and the card call it.

    Raises:
        InputError: something else, or values or channels that cannot be.

    >>> held(torch.full((1, 2, 2), 0.5), (1, 2, 2), "grey").pixels
    tensor([[[128, 128],
             [128, 128]]], dtype=torch.uint8)
    """
    if isinstance(image, Image.Image):
        kept, stored, notes = _of_image(image, where, shape, ())
        return Picture(where, kept, stored, notes, _key_of(kept))
    if isinstance(image, Tensor):
        values = image.float() if image.is_floating_point() else image
        # Of a tensor the channels come first, whatever its sides are.
        image = (values.movedim(0, 2) if values.ndim == 3 and len(values) in (1, 3, 4, shape[0]) else values).numpy(
            force=True
        )
    kept, stored, notes = _of_array(np.asarray(image), where, shape, ())
    return Picture(where, kept, stored, notes, _key_of(kept))


def _key_of(image: Tensor) -> int:
    return seed_of(hashlib.blake2b(image.numpy().tobytes(), digest_size=16).hexdigest())


_Read = tuple[Tensor, tuple[int, int], tuple[str, ...]]


def _decoded(content: bytes, where: str, shape: tuple[int, int, int]) -> _Read:
    if content.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        return _of_array(_numpy(content, where), where, shape, ())
    if content[128:132] == b"DICM" or (where.lower().endswith(".dcm") and not content.startswith(b"\x89PNG")):
        array, notes = _dicom(content, where)
        return _of_array(array, where, shape, notes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd tags; what cannot be read raises
            with Image.open(io.BytesIO(content)) as image:
                frames = int(getattr(image, "n_frames", 1))
                notes = (f"the first of {frames} frames",) if frames > 1 else ()
                return _of_image(image, where, shape, notes)
    except UnidentifiedImageError:
        if content.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
            return _of_array(_tiff(content, where), where, shape, ())
        raise InputError(f"{where} is no picture; {_KINDS}") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{where} has too many pixels; up to {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} million are accepted, "
            "make it smaller first"
        ) from None
    except InputError:
        raise
    # Pillow's readers raise all of these on damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, MemoryError) as error:
        raise InputError(f"{where} is damaged or no picture: {_first_line(error)}") from None


def _of_image(image: Image.Image, where: str, shape: tuple[int, int, int], notes: tuple[str, ...]) -> _Read:
    channels, height, width = shape
    if channels not in (1, 3):
        raise InputError(f"{where} is a picture, but the network takes {channels} channels; give it as a NumPy array")
    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    stored = (image.size[1], image.size[0]) if turned else image.size
    if height == width:
        return pixels(image, size=height, channels=channels, where=where).contiguous(), stored, notes
    whole = pixels(image, size=None, channels=channels, where=where)
    array = whole[0] if channels == 1 else whole.permute(1, 2, 0)
    upright = Image.fromarray(np.ascontiguousarray(array.numpy()))
    fitted = ImageOps.fit(upright, (width, height), method=Image.Resampling.BILINEAR)
    return pixels(fitted, size=None, channels=channels, where=where).contiguous(), stored, notes


def _of_array(array: npt.NDArray[Any], where: str, shape: tuple[int, int, int], notes: tuple[str, ...]) -> _Read:
    """An array of pixels: (h, w), (h, w, c) or (c, h, w); whole numbers of 8 or 16 bits, or fractions in [0, 1]."""
    channels, height, width = shape
    values = _bytes(array, where)
    if values.ndim == 3 and values.shape[2] not in (1, 2, 3, 4, channels) and values.shape[0] in (1, 3, 4, channels):
        values = np.moveaxis(values, 0, 2)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    given = 1 if values.ndim == 2 else values.shape[-1]
    if values.size == 0 or values.ndim not in (2, 3) or given not in (1, 2, 3, 4, channels):
        raise InputError(
            f"{where} is an array of shape {array.shape}; (h, w), (h, w, c) or (c, h, w) with 1, 3 or 4 channels, "
            f"or the network's {channels}, is accepted"
        )
    if channels in (1, 3):
        return _of_image(Image.fromarray(np.ascontiguousarray(values)), where, shape, notes)
    if values.shape != (height, width, channels):
        raise InputError(
            f"{where} is an array of shape {array.shape}, but the network takes {height} x {width} pixels with "
            f"{channels} channels, which are not scaled"
        )
    image = torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, 2, 0)))
    return image, (width, height), notes


def _bytes(array: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind == "f" and array.size:
        low, high = float(array.min()), float(array.max())
        if low >= 0 and high <= 1:
            return (255 * array.astype(np.float64)).round().astype(np.uint8)
        raise InputError(f"{where} has values from {low:g} to {high:g}; fractions must be in [0, 1]")
    raise InputError(
        f"{where} has values of type {array.dtype}; uint8, uint16, bool and fractions in [0, 1] are accepted"
    )


def _numpy(content: bytes, where: str) -> npt.NDArray[Any]:
    try:
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        names = list(loaded)
        if len(names) != 1 and "image" not in names:
            raise InputError(f"{where} holds {len(names)} arrays; one, or one that is named image, is accepted")
        array: npt.NDArray[Any] = loaded["image" if "image" in names else names[0]]
    except InputError:
        raise
    except Exception as error:  # zip, header and value errors of many classes
        raise InputError(f"{where} is no NumPy array of numbers that can be read: {_first_line(error)}") from None
    return array


def _tiff(content: bytes, where: str) -> npt.NDArray[Any]:
    """A TIFF that Pillow does not know, such as colours of 16 bits."""
    try:
        import tifffile
    except ImportError:
        raise InputError(f"{where} is a TIFF that Pillow cannot read; install pellucid[tiff]") from None
    try:
        array = np.asarray(tifffile.imread(io.BytesIO(content), key=0))
    except Exception as error:  # a reader of files of any origin: errors of many classes
        raise InputError(f"{where} is a TIFF that cannot be read: {_first_line(error)}") from None
    return array


def _dicom(content: bytes, where: str) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """The first frame in [0, 1]: colours as they are, greys over the file's window, if any, or over their range."""
    try:
        from pydicom import dcmread
        from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
        from pydicom.pixels.utils import pixel_array
    except ImportError:
        raise InputError(f"{where} is a DICOM file; install pellucid[dicom] to read it") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that break the standard but can be read
            data = dcmread(io.BytesIO(content), force=True)
            frames = int(data.get("NumberOfFrames", 1) or 1)
            values = pixel_array(data, index=0)
            photometric = str(data.get("PhotometricInterpretation", ""))
            bits = int(data.get("BitsStored", 8))
            windowed = "WindowCenter" in data or "VOILUTSequence" in data
            if photometric == "PALETTE COLOR":
                values = apply_color_lut(values, data)
                bits = 8 * values.itemsize
            elif values.ndim == 2:
                values = apply_modality_lut(values, data)
                values, ends = (
                    (apply_voi_lut(values, data), apply_voi_lut(np.array([-1e9, 1e9]), data))
                    if windowed
                    else (values, values)
                )
    except Exception as error:  # a reader of files of any origin: errors of many classes
        raise InputError(f"{where} is no DICOM picture that can be read: {_first_line(error)}") from None
    notes: tuple[str, ...] = (f"the first of {frames} frames",) if frames > 1 else ()
    if values.ndim == 3:
        return values.astype(np.float64) / (2**bits - 1), notes
    low, high = float(ends.min()), float(ends.max())
    greys = np.clip((values.astype(np.float64) - low) / (high - low or 1), 0, 1)
    told = "windowed as its DICOM file says" if windowed else "greys stretched from the lowest to the highest"
    return (1 - greys if photometric == "MONOCHROME1" else greys), (told, *notes)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".:") or type(error).__name__
