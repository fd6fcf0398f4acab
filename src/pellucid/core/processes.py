"""The processes that train together: how many, and what all of them know."""

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["gathered", "processes"]


def gathered(value: Tensor) -> Tensor:
    """Rows of all processes in the order of their ranks, for state that every process keeps alike.

    Args:
        value: (n, ...) rows of this process, n the same in all.

    Returns:
        (processes · n, ...); ``value`` itself in a run of one process.
    """
    if processes() == 1:
        return value
    parts = [torch.empty_like(value) for _ in range(processes())]
    dist.all_gather(parts, value.contiguous())
    return torch.cat(parts)


def processes() -> int:
    """How many processes train together; 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
