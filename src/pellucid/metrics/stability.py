"""Does the map change when the image hardly does: stability relative to the image, the representation, the logits."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.types import Image, Label, PerSample
from pellucid.metrics.families.stability import Noise, RelativeStability
from pellucid.metrics.inputs import wide
from pellucid.metrics.perturbation import NoisyCopies, Observation

__all__ = ["relative_stability", "stability_of"]

Form = Literal["norm", "elementwise", "both"]


def relative_stability(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    saliency: Any,
    *,
    form: Form = "norm",
    layer: str | None = None,
    noise: Noise = RelativeStability.noise,
    sigma: float = RelativeStability.sigma,
    between: tuple[float, float] = RelativeStability.between,
    draws: int = RelativeStability.draws,
    eps_min: float = RelativeStability.eps_min,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> dict[str, PerSample]:
    """How much the attribution changes, relative to how much the image (RIS) or the logits (ROS) do, at worst.

    With e the attribution of ``target``, f the logits and l the output of ``layer``, over the noisy images x' that
    keep the predicted class (`pellucid.metrics.perturbation.noisy_image`) and with d(a, b) = ||a - b||_2 / ||a||_2:

    - ``norm``: RIS = max d(e(x), e(x')) / max(d(x, x'), eps_min); ROS and RRS have d(f(x), f(x')) and d(l(x), l(x'))
      below. This is OpenXAI's form.
    - ``elementwise``: RIS = max ||(e(x) - e(x')) / e(x)||_2 / ||(x - x') / x||_2; RRS has ||(l(x) - l(x')) / l(x)||_2
      below and ROS the absolute ||f(x) - f(x')||_2. As in Quantus, eps_min stands in for a divisor, pixel or norm,
      only where it is exactly 0: a small one is kept as it is. So single pixels near zero rule the number, and
      sparser maps come out less stable by construction; on images with black pixels RIS says next to nothing.

    All come from the same draws, and a saliency that itself draws gets the same numbers for x and every x', so that
    only the image differs.

    Two conventions for d(a, b): it is 0 where a = b, and undefined where a alone is all zero. A draw whose map has no
    defined change is left out of the maximum of the norm form; a black image changes without bound, so its RIS is 0.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained, usually the predicted one.
        saliency: what gives the signed attribution: one of pellucid's, a Captum object, or a callable
            ``(model, x, target)`` with or without the keywords of `pellucid.core.types.Saliency`.
        form: ``norm``, ``elementwise`` or ``both``.
        layer: name of the layer, as in ``model.named_modules()``, whose output is the representation of RRS; of its
            last run where the forward pass uses it more than once. ``penultimate``, where no layer has that name, is
            what the classifier reads: the *input* of the layer with parameters of its own that was registered last,
            which is the output layer where a network names its layers in the order of its forward pass. No RRS by
            default.
        noise: ``gaussian`` and ``uniform``, clipped to [0, 1], or ``one-sided``, not clipped.
        sigma: standard deviation of gaussian and uniform noise in pixel units, above 0.
        between: lowest and highest value of one-sided noise.
        draws: number of noisy images; draw i is from ``randomness.of(generator, f"stability/{i}")``.
        eps_min: floor of the denominators of the norm form, above 0; stand-in for 0 in the elementwise form.
        chunk: largest number of images in one forward or backward pass; all by default. The numbers do not depend on
            it but for rounding.
        generator: source of the noise.

    Returns:
        ``ris``, ``ros`` and, of a ``layer``, ``rrs`` of the norm form, ``ris_elementwise`` and so on of the
        elementwise form: (n,) >= 0, lower is more stable, NaN only where no draw keeps the prediction (or, in the
        norm form, none has a defined change); ``coverage``, (n,) in [0, 1], the share of draws that keep it. In the
        dtype of ``x``, where an elementwise value too large for it is infinite.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a class or layer the network lacks, a network in training
            mode, with non-finite logits or attributions, numbers out of range.

    >>> score = lambda x: torch.stack([x.sum((1, 2, 3)), -x.sum((1, 2, 3))], dim=1)
    >>> constant_map = lambda model, x, target: torch.ones_like(x)
    >>> relative_stability(score, torch.full((1, 1, 4, 4), 0.5), torch.tensor([0]), constant_map)
    {'ris': tensor([0.]), 'ros': tensor([0.]), 'coverage': tensor([1.])}

    Source: Agarwal et al. 2022, "Rethinking stability for attribution-based explanations", equations 2, 3 and 5: the
    elementwise form, with the conventions of Quantus 0.6; the norm form of OpenXAI (Agarwal et al. 2022).
    """
    copies = NoisyCopies(model, x, target, saliency, chunk=chunk, generator=generator, keep=False)
    seen = copies.observe(noise=noise, sigma=sigma, between=between, draws=draws, layer=layer)
    return stability_of(seen, form=form, eps_min=eps_min)


def stability_of(
    seen: Iterable[Observation], *, form: Form = "norm", eps_min: float = RelativeStability.eps_min
) -> dict[str, PerSample]:
    """`relative_stability` of images that were observed already.

    Args:
        seen: the clean images first, then their noisy copies, with their logits and, for RRS, the layer's output.
        form: as there, as is ``eps_min``.
        eps_min: floor of the denominators.
    """
    if form not in get_args(Form):
        raise InputError(f"form must be {', '.join(get_args(Form))}, got {form!r}")
    if not 0 < eps_min < float("inf"):
        raise InputError(f"eps_min must be above 0, got {eps_min}")
    copies = iter(seen)
    clean = next(copies)
    prediction = clean.logits.argmax(dim=1)
    worst: dict[str, Tensor] = {}
    kept, draws = torch.zeros_like(clean.image[:, 0, 0, 0]), 0
    parts = {"ris_elementwise": clean.image, "rrs_elementwise": clean.hidden, "map": clean.attribution}
    divided = {name: _Divided.of(part, eps_min) for name, part in parts.items() if form != "norm" and part.numel()}
    for noisy in copies:
        same = noisy.logits.argmax(dim=1) == prediction
        ratios: dict[str, Tensor] = {}
        if form != "elementwise":
            ratios |= _norm_form(clean, noisy, eps_min=eps_min)
        if form != "norm":
            ratios |= _elementwise_form(clean, noisy, divided, eps_min=eps_min)
        for name, ratio in ratios.items():
            before = worst.get(name, torch.full_like(ratio, -1))
            worst[name] = torch.where(same & ~ratio.isnan(), torch.maximum(before, ratio), before)
        kept += same
        draws += 1
    # A ratio is never negative: -1 is left only where no draw counted.
    values = {name: torch.where(ratio < 0, torch.nan, ratio).to(kept.dtype) for name, ratio in worst.items()}
    return {**values, "coverage": kept / draws}


def _norm_form(clean: Observation, noisy: Observation, *, eps_min: float) -> dict[str, Tensor]:
    change = _norm_change(clean.attribution, noisy.attribution)
    change = torch.where(change.isfinite(), change, torch.nan)
    causes = {"ris": _norm_change(clean.image, noisy.image), "ros": _norm_change(clean.logits, noisy.logits)}
    if clean.hidden.numel():
        causes["rrs"] = _norm_change(clean.hidden, noisy.hidden)
    return {name: (change / cause.clamp(min=eps_min)).to(clean.image.dtype) for name, cause in causes.items()}


def _norm_change(reference: Tensor, changed: Tensor) -> Tensor:
    """||reference - changed|| / ||reference|| per sample: 0 where both are equal, infinite where the reference is 0."""
    difference = (reference - changed).flatten(1).norm(dim=1)
    return torch.where(difference == 0, 0, difference / reference.flatten(1).norm(dim=1))


class _Divided(NamedTuple):
    """What changes are divided by, wide, as it is and with a stand-in for 0: once for all draws."""

    value: Tensor
    divisor: Tensor

    @classmethod
    def of(cls, value: Tensor, eps_min: float) -> "_Divided":
        value = wide(value.flatten(1))
        return cls(value, torch.where(value == 0, eps_min, value))

    def change(self, changed: Tensor) -> Tensor:
        """||(value - changed) / divisor||_2 of each sample."""
        size: Tensor = (self.value - wide(changed.flatten(1))).div_(self.divisor).norm(dim=1)
        return size


def _elementwise_form(
    clean: Observation, noisy: Observation, divided: dict[str, _Divided], *, eps_min: float
) -> dict[str, Tensor]:
    changed = {"ris_elementwise": noisy.image, "rrs_elementwise": noisy.hidden}
    causes = {name: divided[name].change(part) for name, part in changed.items() if name in divided}
    causes["ros_elementwise"] = (wide(clean.logits) - wide(noisy.logits)).norm(dim=1)
    change = divided["map"].change(noisy.attribution)
    return {name: change / torch.where(cause == 0, eps_min, cause) for name, cause in causes.items()}
