"""Random images; the networks, settings and options that several files on one measure share."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.core import randomness

SMALL: dict[str, Any] = {"fraction": 0.5, "steps": 3, "repeats": 2, "region": 2}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stability_network(seed: int = 0, channels: int = 2) -> nn.Sequential:
    with randomness.fork(seed):
        layers = nn.Sequential(
            nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Dropout(), nn.Linear(24, 4),
        )  # fmt: skip
    return layers.double().eval()


def stability_setting(n: int = 4, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    model, x = stability_network(seed), random(n, 2, 8, 8, seed=seed)
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def exactly_half(x: Tensor) -> Tensor:
    """Class 0 only where the last pixel is a half to the last digit: every draw leaves it."""
    return torch.stack([torch.ones_like(x[:, 0, -1, -1]), 2 * (x[:, 0, -1, -1] != 0.5).to(x.dtype)], 1)


def faithfulness_network(seed: int = 0, channels: int = 3, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    with randomness.fork(seed):
        layers = nn.Sequential(
            nn.Conv2d(channels, 8, 3, stride=2), nn.BatchNorm2d(8), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Dropout(), nn.Linear(32, 5),
        )  # fmt: skip
    for parameter in layers.parameters():
        parameter.data *= 3
    return layers.to(dtype).eval()


def faithfulness_setting(
    n: int = 4, c: int = 3, h: int = 12, w: int = 12, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    target = torch.arange(n) % 5
    return random(n, c, h, w, seed=seed), target, random(n, h, w, seed=seed + 1)


def logit_of(value: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Two classes, the first of which has the probability ``value(x)``."""
    return lambda x: torch.stack([value(x).log(), (1 - value(x)).log()], dim=1)


def robustness_network(classes: int = 3) -> nn.Sequential:
    with randomness.fork(0):
        layers = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Dropout(), nn.Tanh(), nn.Flatten(), nn.Linear(216, classes))
    return layers.double().eval()


def linear(classes: int) -> nn.Sequential:
    with randomness.fork(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, classes)).double().eval()


def radius(model: nn.Sequential, x: Tensor, norm: Literal["linf", "l2"]) -> Tensor:
    """The exact robust radius of a linear network: over the other classes, the least margin / ||w_y - w_j||_dual."""
    logits, weight = model(x).detach(), model[1].weight.detach()
    label = logits.argmax(1)
    margin = logits.gather(1, label[:, None]) - logits
    slope = (weight[label][:, None] - weight[None]).norm(p=1 if norm == "linf" else 2, dim=2)
    return (margin / slope).nan_to_num(math.inf).amin(dim=1)


def counted(model: nn.Module) -> tuple[Any, list[int]]:
    """The network as a function, and how many images each of its gradients was for."""
    sizes: list[int] = []

    def run(x: Tensor) -> Tensor:
        if x.requires_grad:
            sizes.append(len(x))
        logits: Tensor = model(x)
        return logits

    return run, sizes
