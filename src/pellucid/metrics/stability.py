"""Does the map change when the image hardly does: relative input and output stability."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pellucid import randomness
from pellucid.errors import InputError
from pellucid.metrics.inputs import check_batch, check_classes, check_model
from pellucid.saliency import as_saliency
from pellucid.types import Image, Label, PerSample, Saliency

__all__ = ["relative_stability"]


def relative_stability(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    saliency: Any,
    *,
    sigma: float = 0.05,
    draws: int = 10,
    eps_min: float = 1e-6,
    generator: randomness.Generator = None,
) -> dict[str, PerSample]:
    """How much the attribution changes, relative to how much the image (RIS) or the logits (ROS) do, at worst.

    With d(a, b) = ||a - b||_2 / ||a||_2, e the attribution of ``target`` and f the logits, over the draws x' of
    clip(x + sigma · normal noise) to [0, 1] that keep the predicted class:
    RIS = max d(e(x), e(x')) / max(d(x, x'), eps_min),  ROS = max d(e(x), e(x')) / max(d(f(x), f(x')), eps_min).
    All come from the same draws, and a saliency that itself draws gets the same numbers for x and every x', so that
    only the image differs. This is OpenXAI's norm form; the elementwise form of the 2022 paper divides by single
    pixels and so is ruled by those near zero.

    Two conventions for d(a, b): it is 0 where a = b, and undefined where a alone is all zero. A draw whose map has no
    defined change is left out of the maximum; a black image changes without bound, so its RIS is 0.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained, usually the predicted one.
        saliency: what gives the signed attribution: one of pellucid's, a Captum object, or a callable
            ``(model, x, target)`` with or without the keywords of `pellucid.types.Saliency`.
        sigma: standard deviation of the noise in pixel units, above 0.
        draws: number of noisy images; draw i is from ``randomness.of(generator, f"stability/{i}")``.
        eps_min: floor of the denominators, above 0.
        generator: source of the noise.

    Returns:
        ``ris`` and ``ros``, (n,) >= 0, lower is more stable, NaN only where no draw keeps the prediction (or none has
        a defined change); ``coverage``, (n,) in [0, 1], the share of draws that keep it. In the dtype of ``x``.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a class the network lacks, a network in training mode, with
            non-finite logits or attributions, numbers out of range.

    >>> score = lambda x: torch.stack([x.sum((1, 2, 3)), -x.sum((1, 2, 3))], dim=1)
    >>> constant_map = lambda model, x, target: torch.ones_like(x)
    >>> relative_stability(score, torch.full((1, 1, 4, 4), 0.5), torch.tensor([0]), constant_map)
    {'ris': tensor([0.]), 'ros': tensor([0.]), 'coverage': tensor([1.])}

    Source: Agarwal et al. 2022, "Rethinking stability for attribution-based explanations", equations 2, 3 and 5, in
    the norm form of OpenXAI (Agarwal et al. 2022).
    """
    check_model(model)
    check_batch(x, target)
    for name, value in {"sigma": sigma, "draws": draws, "eps_min": eps_min}.items():
        if not 0 < value < float("inf"):
            raise InputError(f"{name} must be above 0, got {value}")

    explain = as_saliency(saliency)
    repeated = _repeatable(randomness.of(generator, "stability/saliency"), x.device)
    logits = _logits(model, x, target)
    attribution = _attribution(explain, model, x, target, repeated())
    worst = {"ris": torch.full_like(x[:, 0, 0, 0], -1), "ros": torch.full_like(x[:, 0, 0, 0], -1)}
    kept = torch.zeros_like(worst["ris"])
    for draw in range(draws):
        noise = randomness.normal(x.shape, randomness.of(generator, f"stability/{draw}"), device=x.device)
        noisy = (x.detach() + sigma * noise.to(x.dtype)).clamp(0, 1)
        noisy_logits = _logits(model, noisy, target)
        same = noisy_logits.argmax(dim=1) == logits.argmax(dim=1)
        change = _norm_change(attribution, _attribution(explain, model, noisy, target, repeated()))
        causes = {"ris": _norm_change(x.detach(), noisy), "ros": _norm_change(logits, noisy_logits)}
        for name, cause in causes.items():
            ratio = (change / cause.clamp(min=eps_min)).to(x.dtype)
            worst[name] = torch.where(same & change.isfinite(), torch.maximum(worst[name], ratio), worst[name])
        kept += same
    # A ratio is never negative: -1 is left only where no draw counted.
    found = {name: torch.where(value < 0, torch.nan, value) for name, value in worst.items()}
    return {**found, "coverage": kept / draws}


def _norm_change(reference: Tensor, changed: Tensor) -> Tensor:
    """||reference - changed|| / ||reference|| per sample: 0 where both are equal, infinite where the reference is 0."""
    difference = (reference - changed).flatten(1).norm(dim=1)
    return torch.where(difference == 0, 0, difference / reference.flatten(1).norm(dim=1))


def _logits(model: Callable[[Tensor], Tensor], x: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        logits = model(x)
    check_classes(target, logits)
    return logits


def _attribution(
    explain: Saliency,
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    target: Tensor,
    generator: randomness.Generator,
) -> Tensor:
    attribution = explain(model, x, target, create_graph=False, generator=generator).detach()
    if not torch.isfinite(attribution).all():
        raise InputError(f"the attribution must be finite, got {attribution[~torch.isfinite(attribution)][0]:g}")
    return attribution


def _repeatable(generator: randomness.Generator, device: torch.device) -> Callable[[], randomness.Generator]:
    """Every call of the result returns a source of the same numbers: Draws never advance, torch's generators do."""
    if generator is not None and not isinstance(generator, torch.Generator):
        return lambda: generator
    drawn_on = generator.device if generator is not None else "cpu"
    seed = int(torch.randint(2**62, (1,), generator=generator, device=drawn_on))
    return lambda: torch.Generator(device=device).manual_seed(seed)
