"""Pixels of whatever a dataset hands out: a picture of Pillow's, an array or a tensor."""

from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.data.levels import BYTE, WORD, of_fractions, of_whole_numbers
from pellucid.data.silence import silenced

__all__ = ["Decoded", "Values", "grey_levels", "is_deep", "is_narrowed", "orientation", "pixels", "stored_size"]

ORIENTATION = 0x0112
"""EXIF tag; 1 is upright."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture of each orientation upright."""

WIDTH, HEIGHT, BITS_PER_SAMPLE, PHOTOMETRIC = 256, 257, 258, 262
"""Tags of a TIFF; of greys, the photometric interpretation 0 says that 0 is white."""


class Values(Protocol):
    """Pictures, arrays or tensors by position, in a form that can be pickled."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, i: int, /) -> Any:
        """Image ``i`` as it is stored."""

    def where(self, i: int) -> str:
        """What a message calls image ``i``."""


class Decoded:
    """Images that are decoded one at a time, when they are asked for.

    Args:
        values: at least one image.
        size: side in pixels to which all are resized; None keeps the stored size, which all must share.
        channels: as for `pixels`.

    Raises:
        InputError: an image cannot be read, or has another size than the first.
    """

    def __init__(self, values: Values, *, size: int | None, channels: int) -> None:
        self.values, self.size, self.channels = values, size, channels
        with silenced():
            _, h, w = self._pixels(0).shape
        self.shape = (channels, h, w)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, i: int, /) -> Tensor:
        image = self._pixels(i)
        if tuple(image.shape) != self.shape:
            raise InputError(
                f"{self.values.where(i)} is {image.shape[2]} x {image.shape[1]} pixels, but the first image is "
                f"{self.shape[2]} x {self.shape[1]}; give a size to which all are resized"
            )
        return image

    def where(self, i: int) -> str:
        """What a message calls image ``i``."""
        return self.values.where(i)

    def _pixels(self, i: int) -> Tensor:
        where = self.values.where(i)
        try:
            return pixels(self.values[i], size=self.size, channels=self.channels, where=where)
        except InputError:
            raise
        except Exception as error:  # readers of files of any origin: errors of many classes
            reason = "its format is unknown" if isinstance(error, UnidentifiedImageError) else error
            raise InputError(f"{where} is not an image that can be read: {reason}") from error


def pixels(image: Any, *, size: int | None, channels: int, where: object) -> Tensor:
    """Pixels of an image, upright as its EXIF orientation says.

    Transparency is laid on white; 16-bit grey, and grey of floats in [0, 1], is scaled to 8 bits; grey becomes three
    equal channels; colour becomes ITU-R 601 luma where one channel is asked for. Floats are rounded to 1/255.

    Other numbers of channels than 1 and 3, as of satellites and microscopes, are taken as they are.

    Args:
        image: a picture of Pillow's (of an animation the first frame), or an array or tensor (h, w), (h, w, c) or
            (c, h, w) of integers from 0 to 255 or of floats in [0, 1].
        size: side in pixels to which the shorter side is resized (bilinear, antialiased) before the middle is cut;
            None, or a picture of that size, changes nothing.
        channels: from 1 to 16; for other than 1 and 3 the image must have as many.
        where: the file, for the message.

    Returns:
        uint8 (channels, h, w).

    Raises:
        InputError: it is none of those.

    >>> pixels(Image.new("RGBA", (1, 1), (0, 0, 0, 0)), size=None, channels=1, where="clear.png")
    tensor([[[255]]], dtype=torch.uint8)
    """
    if channels not in (1, 3):
        return _bands(image, size=size, channels=channels, where=where)
    if not isinstance(image, Image.Image):
        image = _picture(image, where)
    image.load()  # a TIFF is set upright when it is decoded, and its orientation is 1 then
    if (turn := UPRIGHT.get(orientation(image))) is not None:
        image = image.transpose(turn)
    if is_deep(image):
        image = grey_levels(image, where)[0]
    elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    elif image.mode not in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"):
        raise InputError(
            f"{where} has mode {image.mode!r}; accepted are 1, L, LA, P, RGB, RGBA, CMYK, YCbCr, F and 16-bit grey"
        )
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR)
    tensor = torch.from_numpy(np.array(image))
    return tensor.unsqueeze(0) if channels == 1 else tensor.permute(2, 0, 1)


def orientation(image: Image.Image) -> int:
    """What the EXIF data of a picture say of how it is turned, from 1 to 8; 1, upright, where they are damaged.

    >>> orientation(Image.new("L", (2, 1)))
    1
    """
    try:
        told = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a reader of files of any origin: errors of many classes
        return 1
    return told if isinstance(told, int) and told in range(1, 9) else 1


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of a picture before it is set upright; some versions of Pillow turn those of a TIFF.

    >>> stored_size(Image.new("L", (2, 1)))
    (2, 1)
    """
    tags = _tags(image)
    return int(tags.get(WIDTH, image.size[0])), int(tags.get(HEIGHT, image.size[1]))


def is_deep(image: Image.Image) -> bool:
    """Whether a picture of Pillow's has greys of more than 8 bits, or fractions.

    >>> is_deep(Image.new("I;16", (2, 1))), is_deep(Image.new("L", (2, 1)))
    (True, False)
    """
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def is_narrowed(image: Image.Image) -> bool:
    """Whether a picture of Pillow's that is not decoded yet has colours of 16 bits, of which it keeps the upper 8.

    >>> is_narrowed(Image.new("RGB", (2, 1)))
    False
    """
    return (
        image.format == "PNG"
        and not is_deep(image)
        and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    )


def grey_levels(image: Image.Image, where: object) -> tuple[Image.Image, tuple[str, ...]]:
    """A picture that `is_deep` with greys of 8 bits, and notes as those of `pellucid.data.levels`.

    Greys of 16 bits go to 65535, those of a TIFF of fewer bits to the largest value of so many; whole numbers of 32
    bits, of which no file says how far they go, to 255 where none is larger, and to 65535 otherwise.

    Args:
        image: in a mode of 16 or 32 bits.
        where: the file, for the message.

    Raises:
        InputError: values that no picture has, or of which all would be black.
    """
    values = np.asarray(image)
    if image.mode == "F":
        levels, notes = of_fractions(values, where)
    else:
        levels, notes = of_whole_numbers(values, where, most=_most(image))
    if _tags(image).get(PHOTOMETRIC) == 0:
        levels = BYTE - levels
    return Image.fromarray(levels), notes


def _tags(image: Image.Image) -> Any:
    """The tags of a TIFF; none of another picture."""
    return getattr(image, "tag_v2", {})


def _most(image: Image.Image) -> int | None:
    """The largest value that the greys of a picture can have; None where it does not say."""
    if image.mode == "I":
        return WORD if image.format in ("PNG", "PPM") else None
    bits = _tags(image).get(BITS_PER_SAMPLE, (16,))
    return 2 ** int(bits[0]) - 1 if isinstance(bits, tuple) and 8 < int(bits[0]) <= 16 else WORD


def _bands(image: Any, *, size: int | None, channels: int, where: object) -> Tensor:
    """The channels of an image that has another number of them than 1 and 3, each cut and scaled by itself."""
    array = np.asarray(image) if isinstance(image, Image.Image) else _array(image)
    if array.ndim == 3 and array.shape[2] != channels and array.shape[0] == channels:
        array = array.transpose(1, 2, 0)
    if array.dtype.kind not in "iuf" or array.ndim != 3 or array.shape[2] != channels:
        raise InputError(
            f"{where} is {array.dtype} {array.shape}, expected numbers (h, w, {channels}) or ({channels}, h, w), as "
            f"{channels} channels are asked for"
        )
    bands = [Image.fromarray(np.ascontiguousarray(band)) for band in _levels(array, where).transpose(2, 0, 1)]
    if size is not None and bands[0].size != (size, size):
        bands = [ImageOps.fit(band, (size, size), method=Image.Resampling.BILINEAR) for band in bands]
    return torch.from_numpy(np.stack([np.asarray(band) for band in bands]))


def _picture(value: Any, where: object) -> Image.Image:
    array = _array(value)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype.kind not in "iuf" or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        got = f"{array.dtype} {array.shape}" if array.ndim else type(value).__name__
        raise InputError(
            f"{where} is {got}, expected a picture or numbers (h, w), (h, w, c) or (c, h, w), where c is 1 or 3"
        )
    return Image.fromarray(_levels(array, where))


def _array(value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, Tensor):
        value = (value.float() if value.is_floating_point() else value).numpy(force=True)
    return np.asarray(value)


def _levels(array: np.ndarray[Any, Any], where: object) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Numbers as bytes: whole ones from 0 to 255 as they are, fractions in [0, 1] rounded to 1/255."""
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(f"{where} has a pixel that is {array[~np.isfinite(array)][0]}; expected floats in [0, 1]")
        if array.min() < 0 or array.max() > 1:
            raise InputError(
                f"{where} has pixels from {array.min()} to {array.max()}; expected floats in [0, 1]; "
                "leave normalisation to the network, whose first layer it is"
            )
        array = np.rint(array * 255)
    elif array.min() < 0 or array.max() > 255:
        raise InputError(f"{where} has pixels from {array.min()} to {array.max()}; expected integers from 0 to 255")
    return array.astype(np.uint8)
