"""Draws for images that come without a position, as they do in other libraries' calls."""

import hashlib
from collections.abc import Sequence

from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.core.types import Image, Label

__all__ = ["image_draws"]


def image_draws(x: Image, seed: int, index: Label | Sequence[int] | None = None) -> SampleDraws:
    """Draws of each image, by its position in the dataset where that is known, else by its pixels.

    So the same image meets the same noise in every batch, process and call. By position the numbers are those of
    `pellucid.evaluate` with the same seed; by pixels they are others, and two equal images share theirs.

    Args:
        x: (n, c, h, w) images.
        seed: of every draw.
        index: (n,) positions, or None.

    Returns:
        Draws for these n images.

    Raises:
        InputError: not one position per image.

    >>> import torch
    >>> x = torch.rand(3, 1, 2, 2)
    >>> whole, part = image_draws(x, 0), image_draws(x[1:2], 0)
    >>> torch.equal(whole.normal((3, 4))[1:2], part.normal((1, 4)))
    True
    """
    if index is None:
        return SampleDraws(seed, tuple(_number(image) for image in x.detach().float().cpu()))
    positions = index.tolist() if isinstance(index, Tensor) else list(index)
    if not isinstance(positions, list) or len(positions) != len(x):
        raise InputError(f"index must be {len(x)} positions, one per image, got {index!r}")
    return SampleDraws(seed, tuple(int(position) for position in positions))


def _number(image: Tensor) -> int:
    content = image.contiguous().numpy().tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") >> 1
