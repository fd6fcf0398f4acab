"""A few rows at a time, which bounds memory and changes no number but by rounding."""

from collections.abc import Callable

import torch
from torch import Tensor

from pellucid.core.checks import at_least

__all__ = ["in_chunks"]


def in_chunks(function: Callable[..., Tensor], *tensors: Tensor, chunk: int | None = None) -> Tensor:
    """``function`` of at most ``chunk`` rows at a time, its results one below the other.

    Args:
        function: of as many tensors of m rows each, to a tensor of m rows; no row depends on another.
        tensors: n rows each.
        chunk: largest m; n by default.

    Returns:
        n rows: what ``function(*tensors)`` is, up to rounding.

    Raises:
        InputError: a chunk below 1.

    >>> in_chunks(lambda x, y: x + y, torch.arange(3), torch.ones(3, dtype=torch.long), chunk=2)
    tensor([1, 2, 3])
    """
    at_least(1, chunk=chunk)
    if chunk is None or chunk >= len(tensors[0]):
        return function(*tensors)
    return torch.cat([function(*part) for part in zip(*(torch.split(t, chunk) for t in tensors), strict=True)])
