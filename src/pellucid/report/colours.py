"""How heatmaps and photographs become pictures, the same in reports, cards and studies."""

import base64
import io
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

__all__ = ["COLORMAP", "brightest", "coloured", "level", "palette", "photograph", "uri"]

COLORMAP = "inferno"
"""Its lightness rises, so that it is read by the colour-blind and in grey print."""


@cache
def palette() -> npt.NDArray[np.uint8]:
    """The 256 colours of the scale, (256, 3)."""
    colours: npt.NDArray[np.uint8] = (255 * colormaps[COLORMAP](np.arange(256))[:, :3]).round().astype(np.uint8)
    return colours


def brightest(heatmap: npt.NDArray[Any]) -> float:
    """The value that is drawn brightest: the 99th percentile, so that one extreme pixel does not darken the rest."""
    return float(np.percentile(heatmap, 99)) or float(heatmap.max()) or 1.0


def level(heatmap: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The heatmap from 0 to its brightest value as 0 to 1."""
    levels: npt.NDArray[np.float32] = np.clip(heatmap.astype(np.float32) / brightest(heatmap), 0, 1)
    return levels


def coloured(levels: npt.NDArray[np.float32]) -> Image.Image:
    """Levels in [0, 1] in the colours of the scale."""
    picture = Image.fromarray((255 * levels).round().astype(np.uint8)).convert("P")
    picture.putpalette(palette().tobytes())
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
