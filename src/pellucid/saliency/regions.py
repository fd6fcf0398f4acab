"""The least important part of an image: the regions of lowest saliency."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.core.checks import at_least
from pellucid.core.types import Heatmap, Mask

__all__ = ["lowest", "sorted_rows"]


def lowest(score: Heatmap, q: float | Tensor, *, region: int = 1) -> Mask:
    r"""Lowest(S, q): True on the ``floor(q R)`` of an image's R regions that have the lowest mean score.

    Equal scores are taken from the top left on, row by row, so that exactly that many regions are chosen: a strict
    ``score < quantile`` would choose none of a flat map, and whole ties of a region-averaged one.

    Args:
        score: (n, h, w), may be signed.
        q: share in [0, 1], one number or (n,).
        region: side of the square regions in pixels; those at the right and lower edge may be smaller.

    Returns:
        (n, 1, h, w), True on the lowest regions.

    >>> lowest(torch.tensor([[[0.3, 0.1], [0.2, 0.4]]]), 0.5).int().tolist()
    [[[[0, 1], [1, 0]]]]

    Source: Xu et al. 2023, equation 3 and figure 1.
    """
    n, h, w = score.shape
    at_least(1, " pixel", region=region)
    precision = torch.float32 if score.device.type == "mps" else torch.float64
    # A number is filled in, since copying it to a GPU would wait for all that was asked of it before.
    share = (
        q.to(score.device, precision)
        if isinstance(q, Tensor)
        else torch.full((), float(q), dtype=precision, device=score.device)
    )
    if region > 1:
        score = F.avg_pool2d(score[:, None], region, ceil_mode=True, count_include_pad=False)[:, 0]
    flat = score.detach().reshape(n, -1)
    # 1e-6 is more than the rounding of a float32 q that was counted up in steps.
    count = ((share + 1e-6) * flat.shape[1]).floor().long().clamp(0, flat.shape[1]).expand(n)[:, None]
    threshold = sorted_rows(flat).gather(1, (count - 1).clamp(min=0))
    below, tied = flat < threshold, flat == threshold
    chosen = below | (tied & (tied.cumsum(1) <= count - below.sum(1, keepdim=True)))
    mask = chosen.reshape(n, 1, *score.shape[1:])
    if region > 1:
        mask = mask.repeat_interleave(region, 2).repeat_interleave(region, 3)[..., :h, :w]
    return mask


def sorted_rows(flat: Tensor) -> Tensor:
    """Each row in rising order. NumPy's vectorised sort takes a tenth of the time of torch's on a CPU.

    >>> sorted_rows(torch.tensor([[2.0, 1.0]]))
    tensor([[1., 2.]])
    """
    if flat.device.type == "cpu" and flat.dtype in (torch.float32, torch.float64) and not flat.requires_grad:
        return torch.from_numpy(np.sort(flat.numpy(), axis=1))
    return flat.sort(dim=1).values
