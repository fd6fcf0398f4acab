"""How fast the map changes near the image: the steepest and the largest change in a small box around it."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.types import Image, Label, PerSample
from pellucid.metrics.families.sensitivity import LocalLipschitz
from pellucid.metrics.perturbation import NoisyCopies, Observation

__all__ = ["box", "local_lipschitz", "max_sensitivity", "worst_change"]


def local_lipschitz(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    saliency: Any,
    *,
    radius: float = LocalLipschitz.radius,
    draws: int = LocalLipschitz.draws,
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
    copies = NoisyCopies(model, x, target, saliency, chunk=chunk, generator=generator, keep=False)
    return worst_change(copies.observe(**box(radius), draws=draws, predict=False), relative=False)


def max_sensitivity(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    saliency: Any,
    *,
    radius: float = LocalLipschitz.radius,
    draws: int = LocalLipschitz.draws,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> PerSample:
    """The largest relative change of the attribution near the image: max ||e(x) - e(x')||_2 / ||e(x)||_2.

    x' = clip(x + U(-radius, radius)) to [0, 1]; changed predictions are not left out. As in Captum, the change of an
    all-zero attribution is divided by 1. Arguments and errors are those of `local_lipschitz`.

    Returns:
        (n,) >= 0 in the dtype of ``x``, lower is more stable.

    >>> score = lambda x: x.flatten(1)[:, :2]
    >>> constant_map = lambda model, x, target: torch.ones_like(x)
    >>> max_sensitivity(score, torch.full((1, 1, 2, 2), 0.5), torch.tensor([0]), constant_map)
    tensor([0.])

    Source: Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", definition 3, divided by the
    attribution's norm as in Captum's ``sensitivity_max``.
    """
    copies = NoisyCopies(model, x, target, saliency, chunk=chunk, generator=generator, keep=False)
    return worst_change(copies.observe(**box(radius), draws=draws, predict=False), relative=True)


def box(radius: float) -> dict[str, Any]:
    """Uniform noise that fills the box of a radius, as `pellucid.metrics.perturbation.noisy_image` takes it.

    Raises:
        InputError: a radius that is not above 0.
    """
    if not 0 < radius < float("inf"):
        raise InputError(f"radius must be above 0, got {radius}")
    return {"noise": "uniform", "sigma": radius / 3**0.5, "between": (0, 1)}


def worst_change(seen: Iterable[Observation], *, relative: bool) -> PerSample:
    """The largest change of the attribution over noisy copies that were observed already.

    Args:
        seen: the clean images first, then their noisy copies.
        relative: divided by the attribution's own norm, as in `max_sensitivity`, or by the change of the image, as in
            `local_lipschitz`.
    """
    copies = iter(seen)
    clean = next(copies)
    size = clean.attribution.flatten(1).norm(dim=1)
    worst = torch.zeros_like(size)
    for noisy in copies:
        change = (clean.attribution - noisy.attribution).flatten(1).norm(dim=1)
        if relative:
            ratio = change / torch.where(size == 0, 1, size)
        else:
            step = (clean.image - noisy.image).flatten(1).norm(dim=1)
            ratio = torch.where(step == 0, 0, change / step)
        worst = torch.maximum(worst, ratio)
    return worst.to(clean.image.dtype)
