"""What images are, checked wherever they come in: floats (n, c, h, w) whose pixels lie in [0, 1]."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.outputs import told

__all__ = ["already_checked", "check_pixels"]

_known: ContextVar[bool] = ContextVar("known", default=False)


def check_pixels(image: Any, *, bounds: tuple[float, float] = (0.0, 1.0)) -> None:
    """Refuse images that are no (n, c, h, w) floats in [0, 1].

    Args:
        image: what was given.
        bounds: lowest and highest value of a pixel.

    Raises:
        InputError: bytes, another shape, no pixel, a value outside ``bounds`` or NaN.

    >>> check_pixels(torch.zeros(1, 1, 2, 2, dtype=torch.uint8))
    Traceback (most recent call last):
    pellucid.InputError: images must be floating point (n, c, h, w) in [0, 1], got torch.uint8 of shape (1, 1, 2, 2);
    of bytes image.float() / 255 are
    >>> check_pixels(torch.full((1, 1, 2, 2), -1.0))
    Traceback (most recent call last):
    pellucid.InputError: pixels must be in [0, 1], got values from -1 to -1; normalise inside the network
    """
    lowest, highest = bounds
    wanted = f"[{lowest:g}, {highest:g}]"
    if not isinstance(image, Tensor) or image.ndim != 4 or not image.is_floating_point() or not image.numel():
        way = "; of bytes image.float() / 255 are" if isinstance(image, Tensor) and image.dtype == torch.uint8 else ""
        raise InputError(f"images must be floating point (n, c, h, w) in {wanted}, got {told(image)}{way}")
    if _known.get():
        return
    low, high = image.detach().aminmax()
    if not (low >= lowest and high <= highest):
        way = "; normalise inside the network" if bounds == (0, 1) else ""
        raise InputError(
            f"pixels must be in {wanted}, got values from {_shown(low, bounds)} to {_shown(high, bounds)}{way}"
        )


@contextmanager
def already_checked() -> Iterator[None]:
    """Inside the block `check_pixels` looks at type and shape alone, as the pixels were looked at before.

    On a GPU every look at a number waits until all that was asked of the GPU before is done.

    >>> with already_checked():
    ...     check_pixels(torch.full((1, 1, 2, 2), 2.0))
    """
    token = _known.set(True)
    try:
        yield
    finally:
        _known.reset(token)


def _shown(value: Tensor, bounds: tuple[float, float]) -> str:
    """A number in few digits, unless these would hide that it lies outside the bounds, as of 1.0000001."""
    short, exact = f"{value:g}", f"{value:.9g}"
    outside = not bounds[0] <= float(value) <= bounds[1]
    return exact if outside and bounds[0] <= float(short) <= bounds[1] else short
