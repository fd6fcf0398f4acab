"""A first look at the files of a folder: which are pictures, of which size, and which must be left out."""

import errno
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import IO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor
from tqdm import tqdm

from pellucid.core.errors import InputError
from pellucid.data import dicom
from pellucid.data.config import CHANNELS
from pellucid.data.content import ARRAYS, TIFFS, first_line, opened_file
from pellucid.data.decoding import is_deep, is_narrowed, orientation, pixels, stored_size
from pellucid.data.levels import is_black
from pellucid.data.silence import silenced

__all__ = ["SUFFIXES", "Header", "Sifted", "header", "looked_through", "sift"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""What most pictures are called; files are told by their content."""

FORMATS = ("JPEG", "PNG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI")
"""Kinds of pictures that are data. Pillow knows more, such as icons, documents and films."""

HEIC = (b"heic", b"heix", b"mif1", b"heif", b"hevc")
"""Brands of the files that mobile phones write, which Pillow reads with pillow-heif alone."""

FEW = range(1, CHANNELS + 1)
"""Numbers of channels, which sides do not have."""

TAIL = 4096
"""Bytes at the end of a file in which a complete JPEG or PNG says that it ends."""

THREADS, SHARE = 8, 64


class Header(NamedTuple):
    """What the beginning of a file says of its picture.

    Args:
        size: width and height, upright; None where only decoding tells.
        reason: why the file cannot be used; None where nothing speaks against it.
        noted: whether decoding it may leave a note, as for values of more than 8 bits, several frames and DICOM.
    """

    size: tuple[int, int] | None
    reason: str | None = None
    noted: bool = False


class Sifted(NamedTuple):
    """The pictures among some files.

    Args:
        files: those that are pictures, in the order in which they were given.
        seen: the header of each.
        rows: their positions among the files that were given.
        left_out: how many files cannot be used, by reason.
        example: one of the files that cannot be used; empty where all can.
        refusal: what is wrong with the first that only decoding finds to be of no use; empty where there is none.
        black: those of the files whose pictures are all black although their values differ.
    """

    files: list[str]
    seen: list[Header]
    rows: list[int]
    left_out: dict[str, int]
    example: str
    refusal: str = ""
    black: Sequence[str] = ()


def sift(files: Sequence[str], channels: int | None = None) -> Sifted:
    """The pictures among some files, told by their content.

    Args:
        files: paths.
        channels: of the images that are wanted, to decode every picture once, so that none that is damaged, or has
            values that no picture has, is found among them later. None: look at the first and last bytes alone.
    """

    def looked_at(first: int) -> list[tuple[Header, str, bool]]:
        return [_looked_at(file, channels) for file in files[first : first + SHARE]]

    firsts = range(0, len(files), SHARE)
    bar = tqdm(total=len(files), desc="looking at the pictures", unit="file", dynamic_ncols=True, disable=None)
    with silenced(), ThreadPoolExecutor(max_workers=THREADS) as pool, bar:
        looks = []
        for share in pool.map(looked_at, firsts):
            looks += share
            bar.update(len(share))
    found = [seen for seen, _, _ in looks]
    rows = [i for i, seen in enumerate(found) if seen.reason is None]
    reasons = Counter(seen.reason for seen in found if seen.reason is not None)
    return Sifted(
        [files[i] for i in rows],
        [found[i] for i in rows],
        rows,
        dict(reasons.most_common()),
        next((file for file, seen in zip(files, found, strict=True) if seen.reason is not None), ""),
        next((refusal for _, refusal, _ in looks if refusal), ""),
        [file for file, (_, _, black) in zip(files, looks, strict=True) if black],
    )


def _looked_at(file: str, channels: int | None) -> tuple[Header, str, bool]:
    """The header of a file, what is wrong with it that only decoding tells, and whether its picture is black."""
    seen = header(file)
    if seen.reason is not None or channels is None:
        return seen, "", False
    try:
        status = os.stat(file)
    except OSError as error:  # removed in between
        return Header(None, f"cannot be opened ({error.strerror})"), "", False
    reason, refusal, black = _decoded(file, channels, status.st_size, status.st_mtime_ns)
    return seen._replace(reason=reason), refusal, black


@lru_cache(maxsize=1 << 18)
def _decoded(file: str, channels: int, size: int, changed: int) -> tuple[str | None, str, bool]:
    """Why decoding a file fails, in short and in a sentence, None where it does not; and whether it gives black."""
    try:
        dark = int(looked_through(file, channels, reduced=True).max()) <= 1
        black = dark and is_black(looked_through(file, channels))
    except InputError as error:
        short = "with values that no picture has" if "values" in str(error) else "that cannot be read"
        return short, str(error), False
    except Exception as error:  # a reader of files of any origin: errors of many classes
        return "damaged", f"{file} is damaged: {first_line(error)}", False
    return None, "", black


def looked_through(file: str, channels: int, *, reduced: bool = False) -> Tensor:
    """The pixels of a file; ``reduced``, one for each 8 x 8 of a JPEG, which reads all of the file in half the time."""
    picture, _ = opened_file(file, channels=channels)
    if reduced and isinstance(picture, JpegImageFile):
        picture.draft(None, (picture.width // 8 or 1, picture.height // 8 or 1))
    return pixels(picture, size=None, channels=channels, where=file)


def header(file: str) -> Header:
    """What the first bytes of a file say; remembered until the file changes.

    Raises:
        InputError: it is a DICOM file, and pydicom is not installed.
    """
    try:
        status = os.stat(file)
    except OSError as error:
        nowhere = os.path.islink(file) and error.errno in (errno.ENOENT, errno.ELOOP)
        return Header(None, "a link to nothing" if nowhere else f"cannot be opened ({error.strerror})")
    if not stat.S_ISREG(status.st_mode):
        return Header(None, "no ordinary file")
    return _header(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1 << 18)
def _header(file: str, size: int, changed: int) -> Header:
    if size == 0:
        return Header(None, "empty")
    try:
        with open(file, "rb") as opened:
            return _seen(file, opened)
    except OSError as error:
        return Header(None, f"cannot be opened ({error.strerror})" if error.strerror else "damaged")


def _seen(file: str, opened: IO[bytes]) -> Header:
    head = opened.read(132)
    opened.seek(0)
    if head.startswith(ARRAYS):
        return _array(opened, head)
    if dicom.is_dicom(head, file):
        size = dicom.size_of(opened)
        return Header(size, None if size else "DICOM without a picture", noted=True)
    if head[4:8] == b"ftyp" and head[8:12] in HEIC and "HEIF" not in Image.OPEN:
        return Header(None, "HEIC, which must be converted to JPEG first")
    try:
        with Image.open(opened, formats=[*(name for name in FORMATS if name in _formats()), *_added()]) as image:
            # The second picture of a telephone's file is a preview of the first.
            noted = (
                is_deep(image) or is_narrowed(image) or (image.format != "MPO" and getattr(image, "is_animated", False))
            )
            # Of a PNG Pillow would decode the whole picture to look for what may stand behind it.
            turned = (image.format != "PNG" or "exif" in image.info) and orientation(image) in (5, 6, 7, 8)
            shown = stored_size(image)[::-1] if turned else stored_size(image)
            if image.format in ("JPEG", "PNG") and _is_cut(opened, image.format):
                opened.seek(0)
                with Image.open(opened) as whole:
                    whole.load()
    except UnidentifiedImageError:
        if head.startswith(TIFFS):  # perhaps one that tifffile reads
            return Header(None, noted=True)
        return Header(None, "damaged" if head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n")) else "no picture")
    except Image.DecompressionBombError:
        return Header(None, "too many pixels")
    except Exception:  # a reader of files of any origin: errors of many classes
        return Header(None, "damaged")
    return Header(shown, noted=noted)


@lru_cache(maxsize=1)
def _formats() -> frozenset[str]:
    Image.init()
    return frozenset(Image.OPEN)


def _added() -> list[str]:
    """Kinds that a package such as pillow-heif has taught Pillow."""
    return [name for name in ("HEIF",) if name in Image.OPEN]


def _is_cut(opened: IO[bytes], kind: str) -> bool:
    """Whether nothing near the end of a file says that its picture is complete."""
    length = opened.seek(0, os.SEEK_END)
    opened.seek(max(0, length - TAIL))
    return (b"\xff\xd9" if kind == "JPEG" else b"IEND") not in opened.read()


def _array(opened: IO[bytes], head: bytes) -> Header:
    """The header of a file of NumPy's; (h, w), (h, w, c) or (c, h, w) as `pellucid.data.content` takes it."""
    try:
        if head.startswith(ARRAYS[1]):
            with zipfile.ZipFile(opened) as archive:
                names = archive.namelist()
            # Other files are archives of this kind too, such as those of word processors.
            return Header(None, None if names and all(name.endswith(".npy") for name in names) else "no picture")
        array = np.load(opened.name, mmap_mode="r", allow_pickle=False)
    except Exception:  # a reader of files of any origin: errors of many classes
        return Header(None, "damaged")
    shape, deep = array.shape, array.dtype == np.uint16
    if len(shape) not in (2, 3) or not array.size:
        return Header(None, "array of another shape than a picture's")
    if len(shape) == 2:
        return Header((shape[1], shape[0]), noted=deep)
    if shape[2] not in (1, 2, 3, 4) and shape[0] in FEW:
        return Header(None if shape[2] in FEW else (shape[2], shape[1]), noted=deep)
    return Header((shape[1], shape[0]), noted=deep)
