"""How fast the map changes near the image: the steepest and the largest change in a small box around it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.types import Image, Label, PerSample
from pellucid.metrics.perturbation import observations

__all__ = ["local_lipschitz", "max_sensitivity"]


def local_lipschitz(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    saliency: Any,
    *,
    radius: float = 0.02,
    draws: int = 10,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> PerSample:
    """The steepest change of the attribution near the image: max ||e(x) - e(x')||_2 / ||x - x'||_2.

    x' = clip(x + U(-radius, radius)) to [0, 1]. A maximum over draws: a lower bound of the true local Lipschitz
    constant, comparable only between equal ``radius`` and ``draws``. It grows with the attribution's own scale;
    changed predictions are not left out, as the class that is explained stays the same.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained.
        saliency: whatever `pellucid.saliency.as_saliency` accepts; one that draws gets the same numbers every time.
        radius: largest change of a pixel, above 0.
        draws: number of noisy images; draw i is from ``randomness.of(generator, f"stability/{i}")``.
        chunk: largest number of images in one forward or backward pass; all by default. The numbers do not depend on
            it but for rounding.
        generator: source of the noise.

    Returns:
        (n,) >= 0 in the dtype of ``x``, lower is more stable; a draw that leaves the image as it is counts as 0.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a class the network lacks, a network in training mode, with
            non-finite logits or attributions, numbers out of range.

    >>> score = lambda x: x.flatten(1)[:, :2]
    >>> tripled = lambda model, x, target: 3 * x
    >>> bool((local_lipschitz(score, torch.full((1, 1, 2, 2), 0.5), torch.tensor([0]), tripled) - 3).abs() < 1e-4)
    True

    Source: Alvarez-Melis and Jaakkola 2018, "On the robustness of interpretability methods", equation 1 (sampled).
    """
    return _worst_change(
        model, x, target, saliency, relative=False, radius=radius, draws=draws, chunk=chunk, generator=generator
    )  # fmt: skip


def max_sensitivity(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    saliency: Any,
    *,
    radius: float = 0.02,
    draws: int = 10,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> PerSample:
    """The largest relative change of the attribution near the image: max ||e(x) - e(x')||_2 / ||e(x)||_2.

    x' = clip(x + U(-radius, radius)) to [0, 1]; changed predictions are not left out. As in Captum, the change of an
    all-zero attribution is divided by 1.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained.
        saliency: whatever `pellucid.saliency.as_saliency` accepts; one that draws gets the same numbers every time.
        radius: largest change of a pixel, above 0.
        draws: number of noisy images; draw i is from ``randomness.of(generator, f"stability/{i}")``.
        chunk: largest number of images in one forward or backward pass; all by default. The numbers do not depend on
            it but for rounding.
        generator: source of the noise.

    Returns:
        (n,) >= 0 in the dtype of ``x``, lower is more stable.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a class the network lacks, a network in training mode, with
            non-finite logits or attributions, numbers out of range.

    >>> score = lambda x: x.flatten(1)[:, :2]
    >>> constant_map = lambda model, x, target: torch.ones_like(x)
    >>> max_sensitivity(score, torch.full((1, 1, 2, 2), 0.5), torch.tensor([0]), constant_map)
    tensor([0.])

    Source: Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", definition 3, divided by the
    attribution's norm as in Captum's ``sensitivity_max``.
    """
    return _worst_change(
        model, x, target, saliency, relative=True, radius=radius, draws=draws, chunk=chunk, generator=generator
    )  # fmt: skip


def _worst_change(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    saliency: Any,
    *,
    relative: bool,
    radius: float,
    draws: int,
    chunk: int | None,
    generator: randomness.Generator,
) -> PerSample:
    if not 0 < radius < float("inf"):
        raise InputError(f"radius must be above 0, got {radius}")
    seen = observations(
        model, x, target, saliency, noise="uniform", sigma=radius / 3**0.5, between=(0, 1), draws=draws,
        predict=False, chunk=chunk, generator=generator,
    )  # fmt: skip
    clean = next(seen)
    size = clean.attribution.flatten(1).norm(dim=1)
    worst = torch.zeros_like(size)
    for noisy in seen:
        change = (clean.attribution - noisy.attribution).flatten(1).norm(dim=1)
        if relative:
            ratio = change / torch.where(size == 0, 1, size)
        else:
            step = (clean.image - noisy.image).flatten(1).norm(dim=1)
            ratio = torch.where(step == 0, 0, change / step)
        worst = torch.maximum(worst, ratio)
    return worst.to(x.dtype)
