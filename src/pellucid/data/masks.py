"""Masks that a person drew: pictures beside an image folder, bright where what decides the class of an image is."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.data.headers import header, sift

__all__ = ["Masks", "find"]

PROBED = 8
"""Masks that are looked at before any is used: where none of them tells anything, they are drawn otherwise."""

REMEMBERED = 1 << 30
"""Bytes of decoded masks, eight pixels a byte, that are kept in memory (1 GiB)."""

BRIGHT = 127
"""What is brighter is where the cause is."""


class Masks:
    """The masks of some images, decoded one at a time, when they are asked for.

    A mask is resized and cropped like its image, to the nearest pixel. It is all False, that is not known, for an image
    without one, and where it is all dark or all bright, since that says nothing about where.

    Args:
        files: for each image its own file and that of its mask, None where it has none.
        shape: (h, w) of every image.
    """

    def __init__(self, files: list[tuple[str, str | None]], shape: tuple[int, int]) -> None:
        self.files, self.shape = files, shape
        self._packed: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int, /) -> Tensor:
        packed = self._packed.get(i)
        if packed is None:
            packed = np.packbits(self._decoded(i))
            if len(self.files) * packed.nbytes <= REMEMBERED:
                self._packed[i] = packed
        h, w = self.shape
        return torch.from_numpy(np.unpackbits(packed, count=h * w).reshape(h, w).astype(bool))

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_packed": {}}

    def _decoded(self, i: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
        image, mask = self.files[i]
        if mask is None:
            return np.zeros(self.shape, dtype=bool)
        try:
            size = header(image).size
            with Image.open(mask) as opened:
                drawn = opened.copy()
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            raise InputError(f"{mask} is not a mask that can be read for {image}: {error}") from error
        if drawn.mode not in ("1", "L"):
            raise InputError(f"{mask} has mode {drawn.mode!r}; a mask is grey (L) or black and white (1)")
        if size is not None and drawn.size != size:
            raise InputError(
                f"{mask} is {drawn.width} x {drawn.height} pixels, but its image {image} is {size[0]} x {size[1]}"
            )
        h, w = self.shape
        drawn = drawn.convert("L")
        if drawn.size != (w, h):
            drawn = ImageOps.fit(drawn, (w, h), method=Image.Resampling.NEAREST)
        bright = np.asarray(drawn) > BRIGHT
        return np.zeros_like(bright) if bright.all() else bright


def find(images: list[str], folder: Path, masks: Path, shape: tuple[int, int]) -> Masks:
    """The masks of the images of one split, MASKS/CLASS/NAME.png for FOLDER/CLASS/NAME.jpg.

    How many images have none is told once, on the standard error.

    Args:
        images: files below ``folder``.
        folder: of the split.
        masks: where the masks of the split are.
        shape: (h, w) of every image once it is decoded.

    Raises:
        InputError: there is no such folder, no image has a mask, or the first masks tell nothing.
    """
    if not masks.is_dir():
        raise InputError(f"{masks} is not a folder; expected one with the masks of {folder}, CLASS/NAME.png")
    places = [masks / Path(os.path.relpath(image, folder)).with_suffix(".png") for image in images]
    sound = sift([str(place) for place in places if place.is_file()], 1)
    if sound.left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sound.left_out.items())
        tell(f"masks that are left out of {masks}: {reasons}, such as {sound.example}")
    usable = set(sound.files)
    files = [(image, str(place) if str(place) in usable else None) for image, place in zip(images, places, strict=True)]
    with_mask = [i for i, (_, mask) in enumerate(files) if mask is not None]
    if not with_mask:
        raise InputError(f"no image of {folder} has a mask; the first is looked for at {places[0]}")
    found = Masks(files, shape)
    probed = with_mask[:: max(1, len(with_mask) // PROBED)][:PROBED]
    if not any(bool(found[i].any()) for i in probed):
        raise InputError(
            f"{masks} has masks that are all dark or all bright, such as {files[probed[0]][1]}; expected one brighter "
            f"than {BRIGHT} of 255 where what decides the class is, and darker elsewhere"
        )
    if missing := len(files) - len(with_mask):
        tell(f"{missing} of the {len(files)} images of {folder} have no mask; what decides them counts as not known")
    return found
