"""How heatmaps and photographs become pictures, the same in reports, cards and studies."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

from pellucid.core.errors import InputError

__all__ = [
    "COLORMAP",
    "SIGNED_COLORMAP",
    "Scale",
    "brightest",
    "coloured",
    "is_signed",
    "level",
    "palette",
    "photograph",
    "uri",
]

COLORMAP = "inferno"
"""Its lightness rises, so that it is read by the colour-blind and in grey print."""
SIGNED_COLORMAP = "RdBu_r"
"""Blue against the class, red for it, white between; the colour-blind tell the two apart."""


@cache
def palette(*, signed: bool = False) -> npt.NDArray[np.uint8]:
    """The 256 colours of the scale, (256, 3)."""
    colours = colormaps[SIGNED_COLORMAP if signed else COLORMAP](np.arange(256))[:, :3]
    whole: npt.NDArray[np.uint8] = (255 * colours).round().astype(np.uint8)
    return whole


def is_signed(heatmap: npt.NDArray[Any]) -> bool:
    """Whether a map tells what speaks against the class from what speaks for it."""
    return bool((heatmap < 0).any())


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How the numbers of maps become colours.

    Args:
        signed: from blue, against the class, over white to red, for it; otherwise from black, no influence, over purple
            and orange to yellow.
        top: magnitude that is drawn in the last colour, one for all maps, so that they can be compared; where it is
            left out, each map has its own, the 99th percentile of its magnitude.

    Raises:
        InputError: a top that is not above 0.

    >>> Scale(signed=True, top=2.0).levels(np.array([[-2.0, 0.0, 1.0]])).tolist()
    [[0.0, 0.5, 0.75]]
    """

    signed: bool = False
    top: float | None = None

    def __post_init__(self) -> None:
        if self.top is not None and not 0 < self.top < float("inf"):
            raise InputError(f"the top of a colour scale must be a number above 0, got {self.top}")

    @classmethod
    def common(cls, heatmaps: Iterable[npt.NDArray[Any]]) -> "Scale":
        """One scale for several maps: signed if any of them is, to the 99th percentile of all magnitudes.

        >>> Scale.common([np.array([[1.0]]), np.array([[-3.0]])])
        Scale(signed=True, top=2.98)
        """
        every = np.concatenate([np.ravel(heatmap) for heatmap in heatmaps])
        return cls(signed=is_signed(every), top=brightest(every))

    def of(self, heatmap: npt.NDArray[Any]) -> float:
        """The magnitude of this map that is drawn in the last colour."""
        return brightest(heatmap) if self.top is None else self.top

    def levels(self, heatmap: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The map as numbers from 0 to 1, the first and the last colour; of a signed one .5 is no influence."""
        levels = heatmap.astype(np.float32) / self.of(heatmap)
        return np.clip(levels / 2 + 0.5 if self.signed else levels, 0, 1)

    def picture(self, heatmap: npt.NDArray[Any]) -> Image.Image:
        """The map in the colours of the scale."""
        return coloured(self.levels(heatmap), signed=self.signed)

    @property
    def words(self) -> str:
        """What a reader must know of it, in a sentence."""
        if self.top is None:
            size = "Each map has a colour scale of its own, from 0 to its 99th percentile"
        else:
            size = f"All maps have one colour scale, from 0 to {self.top:.3g}"
        return f"{size}; {'red speaks for the class, blue against it' if self.signed else MEANING}."


MEANING = "a brighter place swayed the network more"


def brightest(heatmap: npt.NDArray[Any]) -> float:
    """The magnitude in the last colour: the 99th percentile, so that one extreme pixel does not darken the rest."""
    magnitude = np.abs(heatmap)
    return float(np.percentile(magnitude, 99)) or float(magnitude.max()) or 1.0


def level(heatmap: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The heatmap from 0 to its brightest value as 0 to 1."""
    return Scale().levels(heatmap)


def coloured(levels: npt.NDArray[np.float32], *, signed: bool = False) -> Image.Image:
    """Levels in [0, 1] in the colours of the scale."""
    picture = Image.fromarray((255 * levels).round().astype(np.uint8)).convert("P")
    picture.putpalette(palette(signed=signed).tobytes())
    return picture


def photograph(image: npt.NDArray[Any]) -> Image.Image:
    """A picture of an image (c, h, w) uint8; of other numbers of channels than one and three their mean, in grey.

    >>> photograph(np.stack([np.full((2, 2), level, np.uint8) for level in (0, 10, 20, 90)])).getpixel((0, 0))
    30
    """
    if len(image) not in (1, 3):
        image = image.mean(axis=0, keepdims=True).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)))


def uri(picture: Image.Image, *, optimize: bool = False) -> str:
    """A picture as PNG inside an HTML page."""
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=optimize)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
