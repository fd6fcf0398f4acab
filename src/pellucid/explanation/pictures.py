"""Picture files of any kind, as the network sees them."""

import hashlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.files import check_readable
from pellucid.core.randomness import seed_of
from pellucid.data.content import KINDS, first_line, of_array, opened
from pellucid.data.decoding import orientation, pixels
from pellucid.data.headers import SUFFIXES, header
from pellucid.data.levels import BLACK, is_black
from pellucid.data.walk import files_below

__all__ = ["STANDARD_INPUT", "Picture", "find", "held", "read", "told"]

STANDARD_INPUT = "-"
COLOUR = 24
"""Difference of two of a pixel's channels, of 255, from which on a picture counts as one in colour."""
WHITE = "transparent places became white"
MUCH = 0.5
"""Share of a picture below which it is told how much of it the network sees."""
READ_IN_FOLDERS = (*SUFFIXES, ".gif", ".npy", ".npz", ".dcm")


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, upright, cut and scaled to what the network takes.

    Attributes:
        source: where it came from, as `told`.
        pixels: (c, h, w) uint8.
        stored: width and height that it was stored with, upright.
        notes: what was done to it that its reader should know, such as the frame that was taken.
        key: a number that depends on ``pixels`` alone, from which every draw about this picture is made.
        digest: SHA-256 of the file that it was read from, or of ``pixels`` where it was no file.
        in_colour: whether it has colours that the network does not see.
    """

    source: str
    pixels: Tensor
    stored: tuple[int, int]
    notes: tuple[str, ...]
    key: int
    digest: str = ""
    in_colour: bool = False


def find(words: Sequence[str | Path]) -> list[str]:
    """The pictures that the words of a command line name: files as they are, folders by what lies in them.

    Args:
        words: files, folders (searched with all their folders, in the order of names, for files that are pictures by
            their name or by their content) or ``-`` for standard input.

    Returns:
        Sources, each once. A folder without a picture stands for itself, so that reading it says what is wrong.

    >>> find(["-", "cat.png", "-"])
    ['-', 'cat.png']
    """
    sources: list[str] = []
    for word in map(str, words):
        inside = [
            file
            for file in (files_below(word) if word != STANDARD_INPUT and os.path.isdir(word) else [])
            if file.lower().endswith(READ_IN_FOLDERS) or header(file).reason is None
        ]
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
        raise InputError(f"{where} holds no picture; {KINDS}")
    if source != STANDARD_INPUT:
        check_readable(source)
    try:
        content = sys.stdin.buffer.read() if source == STANDARD_INPUT else Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return _picture(where, _decoded(content, where, shape), hashlib.sha256(content).hexdigest())


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
        return _picture(where, _of_image(image, where, shape, ()))
    if isinstance(image, Tensor):
        values = image.float() if image.is_floating_point() else image
        # Of a tensor the channels come first, whatever its sides are.
        image = (values.movedim(0, 2) if values.ndim == 3 and len(values) in (1, 3, 4, shape[0]) else values).numpy(
            force=True
        )
    picture, notes = of_array(np.asarray(image), where, shape[0], ())
    of_kind: Any = _of_image if isinstance(picture, Image.Image) else _of_channels
    return _picture(where, of_kind(picture, where, shape, notes))


def _picture(where: str, read: "_Read", digest: str = "") -> Picture:
    pixels, stored, notes, in_colour = read
    digest = digest or hashlib.sha256(pixels.numpy().tobytes()).hexdigest()
    return Picture(where, pixels, stored, _told(notes, pixels), _key_of(pixels), digest, in_colour)


def _told(notes: tuple[str, ...], image: Tensor) -> tuple[str, ...]:
    """The notes, with one more of a picture that is black although its values differ."""
    return (*notes, BLACK) if is_black(image) else notes


def _key_of(image: Tensor) -> int:
    return seed_of(hashlib.blake2b(image.numpy().tobytes(), digest_size=16).hexdigest())


_Read = tuple[Tensor, tuple[int, int], tuple[str, ...], bool]
"""Pixels, stored width and height, notes, and whether there are colours that the network does not see."""


def _decoded(content: bytes, where: str, shape: tuple[int, int, int]) -> _Read:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd tags; what cannot be read raises
            picture, notes = opened(content, where, channels=shape[0])
            if isinstance(picture, Image.Image):
                return _of_image(picture, where, shape, notes)
    except InputError:
        raise
    except Exception as error:  # readers of files of any origin: errors of many classes
        raise InputError(f"{where} is damaged or no picture: {first_line(error)}") from None
    return _of_channels(picture, where, shape, notes)


def _of_image(image: Image.Image, where: str, shape: tuple[int, int, int], notes: tuple[str, ...]) -> _Read:
    channels, height, width = shape
    if channels not in (1, 3):
        raise InputError(f"{where} is a picture, but the network takes {channels} channels; give it as a NumPy array")
    image.load()  # a TIFF is set upright when it is decoded, and its orientation is 1 then
    turned = orientation(image) in (5, 6, 7, 8)
    stored = (image.size[1], image.size[0]) if turned else image.size
    lost = channels == 1 and _in_colour(image)
    notes = (*notes, *(loss for loss in _losses(image, stored, width / height) if not (notes and loss == WHITE)))
    if height == width:
        return pixels(image, size=height, channels=channels, where=where).contiguous(), stored, notes, lost
    whole = pixels(image, size=None, channels=channels, where=where)
    array = whole[0] if channels == 1 else whole.permute(1, 2, 0)
    upright = Image.fromarray(np.ascontiguousarray(array.numpy()))
    fitted = ImageOps.fit(upright, (width, height), method=Image.Resampling.BILINEAR)
    return pixels(fitted, size=None, channels=channels, where=where).contiguous(), stored, notes, lost


def _losses(image: Image.Image, stored: tuple[int, int], ratio: float) -> Iterator[str]:
    """What the network does not see of a picture, where that is much."""
    if image.has_transparency_data and np.asarray(image.convert("RGBA").getchannel("A")).min() < 255:
        yield WHITE
    wider = stored[0] / stored[1] / ratio
    seen = min(wider, 1 / wider)
    if seen < MUCH:
        yield f"only the middle of the picture is seen, {100 * seen:.2g} % of it"


def _in_colour(image: Image.Image) -> bool:
    """Whether a picture has colours, looked at in small; one whose channels are all but equal has none."""
    if image.mode not in ("RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr"):
        return False
    small = np.asarray(image.resize((16, 16)).convert("RGB")).astype(int)
    return bool((small.max(2) - small.min(2)).max() >= COLOUR)


def _of_channels(
    values: npt.NDArray[np.uint8], where: str, shape: tuple[int, int, int], notes: tuple[str, ...]
) -> _Read:
    """An array of other than 1 and 3 channels, which is not scaled."""
    channels, height, width = shape
    if values.shape != (height, width, channels):
        raise InputError(
            f"{where} is an array of shape {values.shape}, but the network takes {height} x {width} pixels with "
            f"{channels} channels, which are not scaled"
        )
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, 2, 0))), (width, height), notes, False
