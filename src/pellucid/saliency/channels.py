"""One value per pixel: how the channels of an attribution become a heatmap."""

from typing import Literal, get_args

from pellucid.core.checks import among
from pellucid.core.errors import InputError
from pellucid.core.types import Attribution, Heatmap

__all__ = ["Channels", "heatmap"]

Channels = Literal["mean_abs", "abs_mean", "abs_sum", "signed_mean"]


def heatmap(attribution: Attribution, *, channels: Channels = "mean_abs") -> Heatmap:
    r"""One value per pixel.

    Args:
        attribution: (n, c, h, w), signed.
        channels: ``mean_abs`` :math:`\frac1c \sum_c |a_c|` (SCAAT), ``abs_mean`` :math:`|\frac1c \sum_c a_c|` (SGT),
            ``abs_sum`` :math:`|\sum_c a_c|` (Bhusal), ``signed_mean`` :math:`\frac1c \sum_c a_c` (SGT's code).

    Returns:
        (n, h, w), non-negative but for ``signed_mean``.

    >>> import torch
    >>> heatmap(torch.tensor([[[[1.0]], [[-3.0]]]])).item()
    2.0
    """
    match channels:
        case "mean_abs":
            return attribution.abs().mean(1)
        case "abs_mean":
            return attribution.mean(1).abs()
        case "abs_sum":
            return attribution.sum(1).abs()
        case "signed_mean":
            return attribution.mean(1)
    raise InputError(f"channels must be {among(get_args(Channels))}, got {channels!r}")
