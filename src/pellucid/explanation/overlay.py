"""A map laid over its picture."""

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from pellucid.report.colours import Scale, coloured

__all__ = ["LARGE", "overlay", "smoothing", "smoothing_words", "veil"]

LARGE = 64
"""Side in pixels above which single pixels of a map hide the picture and cannot be seen on it."""

DIMMED = [round(0.75 * value) for value in range(256)]
"""Greys of the picture under a map."""


def smoothing(shape: tuple[int, ...]) -> float:
    """Standard deviation in pixels with which a map of this shape is smoothed over its picture; 0 where it is not.

    >>> smoothing((28, 28)), smoothing((224, 224))
    (0.0, 2.0)
    """
    side = max(shape)
    return side / 112 if side > LARGE else 0.0


def smoothing_words(shape: tuple[int, ...]) -> str:
    """What a reader must know of a map over its picture.

    >>> smoothing_words((28, 28)), smoothing_words((224, 224))
    ('Over the picture, as measured', 'Over the picture, smoothed by 2 pixels')
    """
    width = smoothing(shape)
    return f"Over the picture, smoothed by {width:.2g} pixels" if width else "Over the picture, as measured"


def veil(heatmap: npt.NDArray[np.float32], scale: Scale = Scale()) -> Image.Image:
    """The map with an opacity that rises with its magnitude, to be laid over the image; a large one is smoothed."""
    width = smoothing(heatmap.shape)
    smooth: npt.NDArray[np.float32] = gaussian_filter(heatmap, width) if width else heatmap
    levels = scale.levels(smooth)
    picture = coloured(levels, signed=scale.signed).convert("RGB")
    opacity = np.abs(2 * levels - 1) if scale.signed else levels
    picture.putalpha(Image.fromarray((255 * 0.9 * opacity).round().astype(np.uint8)))
    return picture


def overlay(heatmap: npt.NDArray[np.float32], image: npt.NDArray[np.uint8], scale: Scale = Scale()) -> Image.Image:
    """The map over the image in grey: what is marked shines, the rest stays to be seen."""
    over = veil(heatmap, scale)
    grey = Image.fromarray(image).convert("L").point(DIMMED)
    return Image.composite(over.convert("RGB"), grey.convert("RGB"), over.getchannel("A"))
