"""What the tests of blocks and of networks with blocks share."""

from typing import Any, get_args

import torch
from torch import Tensor

from pellucid.edits.smoothing import Filter, SmoothingBlock

FILTERS: tuple[Any, ...] = get_args(Filter)
LOCAL: tuple[Any, ...] = ("gaussian", "mean", "median")


def maps(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def block(filter: Any, shape: tuple[int, int, int], **options: Any) -> SmoothingBlock:
    torch.manual_seed(1)
    return SmoothingBlock(shape, filter=filter, **options)
