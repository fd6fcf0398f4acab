"""The picture in the content of a file, whose kind is told by the content and not by the file's name."""

import io
import math
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from pellucid.core.errors import InputError
from pellucid.data import dicom
from pellucid.data.decoding import ORIENTATION, UPRIGHT, grey_levels, is_deep, is_narrowed, orientation, stored_size
from pellucid.data.levels import BYTE, FEW, few, of_fractions, of_whole_numbers

__all__ = ["KINDS", "first_line", "of_array", "opened", "opened_file"]

KINDS = "PNG, JPEG, TIFF, GIF, WebP and BMP pictures, NumPy arrays and DICOM files are accepted"

ARRAYS = (b"\x93NUMPY", b"PK\x03\x04")
"""How NumPy's files begin."""

TIFFS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
"""How TIFF files begin."""

PROGRAMS = ("EPS", "FITS", "HDF5", "BUFR", "GRIB", "WMF")
"""Kinds that Pillow hands to a program that it finds, or does not read itself."""


LIMIT = 1 << 30
"""Bytes of numbers that one picture may hold (1 GiB); damaged headers promise more."""


def opened(
    content: bytes, where: str, *, channels: int = 3
) -> tuple[Image.Image | npt.NDArray[np.uint8], tuple[str, ...]]:
    """The picture in the content of a file, and notes that a person should know.

    Args:
        content: of the file.
        where: the file, for the message.
        channels: of the network; where they are other than 1 and 3, arrays (h, w, c) are given as they are.

    Returns:
        A picture of Pillow's, which may be decoded only when it is used, or an array uint8 (h, w, c) of other channels.
        The notes say which frame of several was taken, how greys were windowed, and whether a picture of 16 bits uses
        few of them.

    Raises:
        InputError: it is not a picture, or an array of a shape or of values that no picture has. Pillow's errors for
            what it finds damaged are passed on.
    """
    if not content:
        raise InputError(f"{where} is empty; {KINDS}")
    if content.startswith(ARRAYS):
        return of_array(_numpy(content, where), where, channels, ())
    if dicom.is_dicom(content[:132], where):
        array, notes = dicom.read(content, where)
        return of_array(array, where, channels, notes)
    try:
        image = Image.open(io.BytesIO(content), formats=_formats())
    except UnidentifiedImageError:
        if content.startswith(TIFFS):
            return _tiff(content, where, channels)
        raise InputError(f"{where} is not a picture; {KINDS}") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{where} has too many pixels; up to {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} million are accepted, "
            "make it smaller first"
        ) from None
    corners = [tile[1][2:] for tile in image.tile if tile[1]] if image.format == "TIFF" else []
    if corners and (max(right for right, _ in corners), max(low for _, low in corners)) != stored_size(image):
        raise InputError(f"{where} is damaged: parts of its picture are missing")
    frames = int(getattr(image, "n_frames", 1))
    notes = (f"the first of {frames} frames",) if frames > 1 else ()
    if channels in (1, 3) and is_deep(image):
        image.load()  # a TIFF is set upright when it is decoded, and its orientation is 1 then
        turn = UPRIGHT.get(orientation(image))
        levels, told = grey_levels(image, where)
        return levels if turn is None else levels.transpose(turn), (*notes, *told)
    if is_narrowed(image):
        colours = image.convert("RGB").getextrema()
        high = max(int(most) for _, most in colours)  # type: ignore[misc]  # of several bands a pair for each
        notes = (*notes, few(high, BYTE)) if high < (BYTE + 1) // FEW else notes
    return image, notes


@cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in Image.OPEN if name not in PROGRAMS]


def opened_file(file: str, *, channels: int = 3) -> tuple[Image.Image | npt.NDArray[np.uint8], tuple[str, ...]]:
    """The picture in a file, as `opened` gives it.

    Args:
        file: its path.
        channels: as there.

    Raises:
        InputError: as there, or the file cannot be read.
    """
    # Read at once: Pillow reads the header of a file piece by piece, which takes as long as decoding a small image.
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    return opened(content, file, channels=channels)


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return str(error).strip().partition("\n")[0].rstrip(".:") or type(error).__name__


def of_array(
    array: npt.NDArray[Any], where: str, channels: int, notes: tuple[str, ...]
) -> tuple[Image.Image | npt.NDArray[np.uint8], tuple[str, ...]]:
    """The picture in an array of pixels: (h, w), (h, w, c) or (c, h, w); whole numbers, or fractions in [0, 1].

    Args:
        array: of 8 or 16 bits, or of floats.
        where: what a message calls it.
        channels: that are wanted; of other than 1 and 3 an array is returned.
        notes: what is known of it already.

    Raises:
        InputError: another shape or type, or values that cannot be.
    """
    values, told = _bytes(array, where)
    notes = (*notes, *told)
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
    values = np.ascontiguousarray(values)
    if channels in (1, 3) and given in (2, 4) and (values[..., -1] != BYTE).any():
        notes = (*notes, f"the last of its {given} channels is taken for its transparency")
    return (Image.fromarray(values) if channels in (1, 3) else values), notes


def _bytes(array: npt.NDArray[Any], where: str) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    if array.dtype == np.uint8:
        return array, ()
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255), ()
    if array.dtype == np.uint16 and array.size:
        return of_whole_numbers(array, where)
    if array.dtype.kind == "f" and array.size:
        return of_fractions(array, where)
    raise InputError(
        f"{where} has values of type {array.dtype}; uint8, uint16, bool and fractions in [0, 1] are accepted"
    )


def _check_size(size: int, where: str) -> None:
    """Refuse a picture whose numbers would fill the memory."""
    if size > LIMIT:
        raise InputError(f"{where} holds {size:.3g} bytes of numbers; up to {LIMIT:.3g} are accepted, make it smaller")


def _numpy(content: bytes, where: str) -> npt.NDArray[Any]:
    try:
        if content.startswith(ARRAYS[1]):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                _check_size(sum(entry.file_size for entry in archive.infolist()), where)
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
        raise InputError(f"{where} is not a NumPy array of numbers that can be read: {first_line(error)}") from None
    return array


def _tiff(content: bytes, where: str, channels: int) -> tuple[Image.Image | npt.NDArray[np.uint8], tuple[str, ...]]:
    """A TIFF that Pillow does not know, such as colours of 16 bits."""
    try:
        import tifffile
    except ImportError:
        raise InputError(f"{where} is a TIFF that Pillow cannot read; install pellucid[tiff]") from None
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page = file.pages.first
            _check_size(math.prod(page.shape) * (page.dtype.itemsize if page.dtype is not None else 1), where)
            ends = [start + size for start, size in zip(page.dataoffsets, page.databytecounts, strict=True)]
            if len(ends) != math.prod(page.chunked) or max(ends) > len(content):
                raise ValueError("parts of its picture are missing")
            array, pages = np.asarray(page.asarray()), len(file.pages)
            inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
            tag = page.tags.get(ORIENTATION)
            turn = UPRIGHT.get(int(tag.value)) if tag is not None else None
    except InputError:
        raise
    except Exception as error:  # a reader of files of any origin: errors of many classes
        raise InputError(f"{where} is a TIFF that cannot be read: {first_line(error)}") from None
    picture, notes = of_array(array, where, channels, (f"the first of {pages} frames",) if pages > 1 else ())
    if isinstance(picture, Image.Image):
        picture = ImageOps.invert(picture) if inverted and picture.mode == "L" else picture
        picture = picture if turn is None else picture.transpose(turn)
    return picture, notes
