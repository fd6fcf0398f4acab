"""The filters of a smoothing block: Gaussian and mean, median, non-local means."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.core.types import Image

__all__ = ["Blur", "Median", "NonLocal", "feature_map_sigma", "gaussian_kernel"]


def gaussian_kernel(kernel_size: int, *, sigma: float) -> Float[Tensor, " k"]:
    """Weights of a Gaussian at the whole numbers around 0, with sum 1.

    >>> [round(weight, 3) for weight in gaussian_kernel(3, sigma=0.8).tolist()]
    [0.239, 0.522, 0.239]
    """
    position = torch.arange(kernel_size, dtype=torch.float64) - kernel_size // 2
    weight = torch.exp(-(position**2) / (2 * sigma**2))
    return (weight / weight.sum()).float()


def feature_map_sigma(size: int) -> float:
    """Bhusal's deviation for a feature map of ``size`` pixels, 0.3 ((size − 1)/2 − 1) + 0.8.

    >>> feature_map_sigma(12)
    2.15
    """
    return 0.3 * ((size - 1) / 2 - 1) + 0.8


class Blur(nn.Module):
    """Correlation of each channel with one kernel down the columns and one across the rows.

    It is done as two products with banded matrices: a depthwise convolution takes five times as long on a CPU, most
    of it in the backward pass.
    """

    down: Tensor
    across: Tensor

    def __init__(self, down: Float[Tensor, " k"], across: Float[Tensor, " k"]) -> None:
        super().__init__()
        self.register_buffer("down", down)
        self.register_buffer("across", across)

    def forward(self, x: Image) -> Image:
        return _band(self.down, x.shape[2]).mT @ x @ _band(self.across, x.shape[3])


def _band(kernel: Float[Tensor, " k"], size: int) -> Float[Tensor, "size size"]:
    """The matrix that correlates a row of ``size`` pixels, reflected at its ends, with ``kernel``."""
    ones = F.pad(torch.eye(size, dtype=kernel.dtype, device=kernel.device)[:, None], [len(kernel) // 2] * 2, "reflect")
    return F.conv1d(ones, kernel[None, None])[:, 0]


class Median(nn.Module):
    """Median of each pixel's neighbourhood, channel by channel; the gradient goes to one pixel that has it."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, x: Image) -> Image:
        padded = F.pad(x, [self.kernel_size // 2] * 4, mode="reflect")
        windows = padded.unfold(2, self.kernel_size, 1).unfold(3, self.kernel_size, 1)
        median: Tensor = windows.flatten(-2).median(-1).values
        return median


class NonLocal(nn.Module):
    """Each pixel's softmax-weighted mean over the map, with learned similarity (embedded Gaussian)."""

    def __init__(self, channels: int, mixed: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(channels, mixed, 1)
        self.phi = nn.Conv2d(channels, mixed, 1)
        self.g = nn.Conv2d(channels, mixed, 1)

    def forward(self, x: Image) -> Float[Tensor, "n m h w"]:
        query, key, value = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        affinity = torch.softmax(query.transpose(1, 2) @ key / query.shape[1] ** 0.5, dim=-1)
        averaged: Tensor = value @ affinity.transpose(1, 2)
        return averaged.reshape(x.shape[0], -1, *x.shape[2:])
