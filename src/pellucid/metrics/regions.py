"""Which regions of an image are replaced, in which order and how many at each step."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.types import Heatmap, Image
from pellucid.metrics.families.faithfulness import Order

__all__ = ["Order", "blocks", "counts_of", "default_region", "ranks_of", "slices"]


def default_region(side: int) -> int:
    """Side of a region for images of ``side`` pixels: the largest power of two with at least 12 regions a side.

    That is 144 regions or more, so that each of 20 steps to 20 % replaces at least one: 2 at 28 and 32 px, 8 at 96,
    16 at 224. Below 24 px it is 1.

    Args:
        side: pixels of the shorter side.

    Returns:
        The region's side in pixels.

    Raises:
        InputError: ``side`` below 1.

    >>> [default_region(side) for side in (28, 32, 96, 224)]
    [2, 2, 8, 16]
    """
    if side < 1:
        raise InputError(f"side must be at least 1 pixel, got {side}")
    return 1 << (max(side // 12, 1).bit_length() - 1)


def counts_of(x: Image, region: int, fraction: float, steps: int) -> Tensor:
    """How many regions are replaced at steps 1..steps, (steps,) int32."""
    if region < 1 or steps < 1:
        raise InputError(f"region and steps must be at least 1, got {region} and {steps}")
    if not 0 < fraction <= 1:
        raise InputError(f"fraction must be in (0, 1], got {fraction}")
    regions = math.ceil(x.shape[2] / region) * math.ceil(x.shape[3] / region)
    if round(regions * fraction / steps, 9) < 1:
        raise InputError(
            f"each step must replace at least one region, got {regions} regions of {region} px x {fraction} in {steps}"
            " steps; take a smaller region, fewer steps or a larger fraction"
        )
    counts = [math.floor(round(regions * fraction * step / steps, 9) + 0.5) for step in range(1, steps + 1)]
    return torch.tensor(counts, device=x.device, dtype=torch.int32)


def ranks_of(heatmap: Heatmap, order: Order, region: int, generator: randomness.Generator = None) -> Tensor:
    """Position of each pixel's region in the order of replacement, (n, 1, h, w) int32."""
    n, h, w = heatmap.shape
    if order == "random":
        grid = (n, 1, math.ceil(h / region), math.ceil(w / region))
        drawn = randomness.of(generator, "perturbation/random")
        value = randomness.uniform(grid, drawn, device=heatmap.device)
    else:
        value = functional.avg_pool2d(heatmap[:, None], region, ceil_mode=True, count_include_pad=False)
    first = value.flatten(1).argsort(dim=1, descending=order == "morf", stable=True)
    place = torch.arange(first.shape[1], device=first.device, dtype=torch.int32).expand_as(first)
    ranks = torch.empty_like(place, memory_format=torch.contiguous_format).scatter_(1, first, place).view_as(value)
    return ranks.repeat_interleave(region, dim=2).repeat_interleave(region, dim=3)[:, :, :h, :w].contiguous()


def blocks(ranks: Tensor, counts: Tensor, chunk: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Images, steps, and which pixels they replace, (n, k, 1, h, w): at most ``chunk`` changed images at once."""
    for rows in slices(len(ranks), chunk):
        for columns in slices(len(counts), max(1, chunk // (rows.stop - rows.start))):
            yield rows, columns, ranks[rows, None] < counts[columns, None, None, None]


def slices(length: int, size: int) -> list[slice]:
    """Positions from 0 to ``length`` in parts of at most ``size``."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
