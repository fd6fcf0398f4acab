"""Does the map point at what the network uses: perturbation curves, most and least relevant first."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from pellucid import randomness
from pellucid.errors import InputError
from pellucid.metrics.inputs import check_batch, check_classes, check_heatmap, check_model
from pellucid.types import Heatmap, Image, Label, PerSample

__all__ = ["Fill", "Order", "aopc", "default_region", "perturbation_curve", "perturbation_curves"]

Order = Literal["morf", "lerf"]
Fill = Literal["uniform", "mean"]


def perturbation_curve(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    heatmap: Heatmap,
    *,
    order: Order,
    fraction: float = 0.2,
    steps: int = 20,
    repeats: int = 5,
    region: int | None = None,
    fill: Fill = "uniform",
    generator: randomness.Generator = None,
    chunk: int = 256,
) -> Tensor:
    """One curve of `perturbation_curves`, with the same arguments and numbers.

    Args:
        model: as there, as are all other arguments.
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class whose probability is followed.
        heatmap: (n, h, w), non-negative.
        order: ``"morf"``, most relevant regions first, or ``"lerf"``, least relevant first.
        fraction: share of the regions replaced at the last step, in (0, 1].
        steps: number of steps.
        repeats: number of noise images averaged over.
        region: side of a region in pixels; `default_region` of the shorter side by default.
        fill: what a replaced region shows.
        generator: source of the noise.
        chunk: images in one forward pass.

    Returns:
        (n, steps + 1) decay of the probability, in [-1, 1]; column 0 is 0.

    Raises:
        InputError: as `perturbation_curves`.

    >>> brightness = lambda x: torch.stack([x.sum((1, 2, 3)), torch.zeros(len(x))], dim=1)
    >>> x = torch.zeros(1, 1, 2, 2); x[..., 0, 0] = 1
    >>> perturbation_curve(brightness, x, torch.tensor([0]), x[:, 0], order="morf", fraction=0.5, steps=2, region=1,
    ...                    fill="mean").round(decimals=3)
    tensor([[0.0000, 0.1690, 0.1090]])
    """
    _check_order(order)
    curves = perturbation_curves(
        model,
        x,
        target,
        heatmap,
        orders=(order,),
        fraction=fraction,
        steps=steps,
        repeats=repeats,
        region=region,
        fill=fill,
        generator=generator,
        chunk=chunk,
    )
    return curves[order]


def perturbation_curves(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    heatmap: Heatmap,
    *,
    orders: Sequence[Order] = ("morf", "lerf"),
    fraction: float = 0.2,
    steps: int = 20,
    repeats: int = 5,
    region: int | None = None,
    fill: Fill = "uniform",
    generator: randomness.Generator = None,
    chunk: int = 256,
) -> dict[Order, Tensor]:
    """How the target's probability falls while the image is replaced, region by region, in the map's order.

    curve_k = p(x) - mean over repeats of p(x_k), with p the softmax probability of ``target`` and x_k the image whose
    first floor(R · fraction · k / steps + 1/2) of R regions are replaced, k = 0..steps. A faithful map has a high
    MoRF and a low LeRF curve; decay is signed, so a curve may dip below 0.

    Regions are squares of side ``region`` from the top left corner; at the right and bottom edge they are cut where
    the side is no multiple. They are ranked by their mean (equal to ranking by sum where none is cut). Ties keep
    reading order in both orders, so a flat map has the same MoRF and LeRF curve.

    Uniform fill: repeat r has one noise image per sample, uniform in [0, 1) for each pixel and channel, drawn from
    ``randomness.of(generator, f"perturbation/{r}")`` and shared by all steps and both orders. So x_{k+1} differs from
    x_k in the newly replaced regions only, and with `SampleDraws` every network meets the same noise.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class whose probability is followed, usually the predicted one.
        heatmap: (n, h, w), non-negative, finite.
        orders: which curves; ``"morf"`` replaces the most relevant regions first, ``"lerf"`` the least relevant.
        fraction: share of the regions replaced at the last step, in (0, 1].
        steps: number of steps, each of at least one region.
        repeats: number of noise images averaged over; the mean fill is the same every time and computed once.
        region: side of a region in pixels; `default_region` of the shorter side by default.
        fill: what a replaced region shows: fresh ``"uniform"`` noise, or the image's ``"mean"`` of each channel.
        generator: source of the noise.
        chunk: images in one forward pass, which bounds memory.

    Returns:
        For each order (n, steps + 1) in [-1, 1], in the dtype of ``x``; column 0 is 0.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a negative or NaN heatmap, a class the network lacks, a
            network in training mode or with non-finite logits, numbers out of range, a step of less than one region.

    >>> brightness = lambda x: torch.stack([x.sum((1, 2, 3)), torch.zeros(len(x))], dim=1)
    >>> x = torch.zeros(1, 1, 2, 2); x[..., 0, 0] = 1
    >>> curves = perturbation_curves(brightness, x, torch.tensor([0]), x[:, 0], fraction=0.25, steps=1, region=1,
    ...                              fill="mean")
    >>> {order: curve.round(decimals=3) for order, curve in curves.items()}
    {'morf': tensor([[0.0000, 0.1690]]), 'lerf': tensor([[ 0.0000, -0.0460]])}

    Source: Samek et al. 2017, "Evaluating the visualization of what a deep neural network has learned", with the
    protocol of SCAAT (Xu et al. 2023): 20 % of the regions in 20 steps, 5 repeats.
    """
    check_model(model)
    check_batch(x, target)
    check_heatmap(heatmap)
    if heatmap.shape != (len(x), *x.shape[2:]):
        raise InputError(f"heatmap must be {(len(x), *x.shape[2:])} as the images are, got {tuple(heatmap.shape)}")
    for order in orders:
        _check_order(order)
    if fill not in get_args(Fill):
        raise InputError(f"fill must be one of {', '.join(get_args(Fill))}, got {fill!r}")
    if chunk < 1 or repeats < 1:
        raise InputError(f"chunk and repeats must be at least 1, got {chunk} and {repeats}")
    region = default_region(min(x.shape[2:])) if region is None else region
    counts = torch.tensor(_counts(x.shape[2:], region, fraction, steps), device=x.device, dtype=torch.int32)

    with torch.no_grad():
        ranks = {order: _rank(heatmap, order, region) for order in orders}
        clean = _probability(model, x, target, chunk)
        curves = {order: x.new_zeros(len(x), steps + 1) for order in orders}
        used = repeats if fill == "uniform" else 1
        for repeat in range(used):
            filled = _filled(x, fill, randomness.of(generator, f"perturbation/{repeat}"))
            for order in orders:
                curve = curves[order][:, 1:]
                for rows in _slices(len(x), chunk):
                    n = rows.stop - rows.start
                    for columns in _slices(steps, max(1, chunk // n)):
                        replaced = ranks[order][rows, None] < counts[columns, None, None, None]
                        changed = torch.where(replaced, filled[rows, None], x[rows, None]).flatten(0, 1)
                        k = columns.stop - columns.start
                        score = _score(model(changed), target[rows].repeat_interleave(k)).view(n, k)
                        curve[rows, columns] += (clean[rows, None] - score) / used
    if not all(torch.isfinite(curve).all() for curve in curves.values()):
        raise InputError("the network's logits must be finite, got nan or infinity on a partly replaced image")
    return curves


def aopc(curve: Tensor) -> PerSample:
    """Area over the perturbation curve: the mean decay over steps 0..L, 1/(L+1) sum_k curve_k.

    Args:
        curve: (n, steps + 1) of `perturbation_curve`.

    Returns:
        (n,) in [-1, 1]; higher is better for MoRF, lower for LeRF. Their ratio is taken of means over images only.

    Raises:
        InputError: not of two dimensions, or without a step.

    >>> aopc(torch.tensor([[0.0, 0.25, 0.5]]))
    tensor([0.2500])

    Source: Samek et al. 2017, equation 12.
    """
    if curve.ndim != 2 or curve.shape[1] < 2:
        raise InputError(f"curve must be (n, steps + 1) with at least one step, got shape {tuple(curve.shape)}")
    return curve.mean(dim=1)


def default_region(side: int) -> int:
    """Side of a region for images of ``side`` pixels: the largest power of two with at least 12 regions a side.

    That is 144 regions or more, so that each of 20 steps to 20 % replaces at least one: 2 at 28 and 32 px, 8 at 96,
    16 at 224. Below 24 px it is 1.

    Args:
        side: pixels of the shorter side.

    Returns:
        The region's side in pixels.

    Raises:
        InputError: ``side`` below 1.

    >>> [default_region(side) for side in (28, 32, 96, 224)]
    [2, 2, 8, 16]
    """
    if side < 1:
        raise InputError(f"side must be at least 1 pixel, got {side}")
    return 1 << (max(side // 12, 1).bit_length() - 1)


def _check_order(order: str) -> None:
    if order not in get_args(Order):
        raise InputError(f"order must be one of {', '.join(get_args(Order))}, got {order!r}")


def _counts(size: Sequence[int], region: int, fraction: float, steps: int) -> list[int]:
    """Return how many regions are replaced at steps 1..steps."""
    if region < 1 or steps < 1:
        raise InputError(f"region and steps must be at least 1, got {region} and {steps}")
    if not 0 < fraction <= 1:
        raise InputError(f"fraction must be in (0, 1], got {fraction}")
    regions = math.ceil(size[0] / region) * math.ceil(size[1] / region)
    if round(regions * fraction / steps, 9) < 1:
        raise InputError(
            f"each step must replace at least one region, got {regions} regions of {region} px x {fraction} in {steps}"
            " steps; take a smaller region, fewer steps or a larger fraction"
        )
    return [math.floor(round(regions * fraction * step / steps, 9) + 0.5) for step in range(1, steps + 1)]


def _rank(heatmap: Tensor, order: str, region: int) -> Tensor:
    """Position of each pixel's region in the order of replacement, (n, 1, h, w) int32."""
    h, w = heatmap.shape[1:]
    mean = functional.avg_pool2d(heatmap[:, None], region, ceil_mode=True, count_include_pad=False)
    first = mean.flatten(1).argsort(dim=1, descending=order == "morf", stable=True)
    place = torch.arange(first.shape[1], device=first.device, dtype=torch.int32).expand_as(first)
    rank = torch.empty_like(place, memory_format=torch.contiguous_format).scatter_(1, first, place).view_as(mean)
    return rank.repeat_interleave(region, dim=2).repeat_interleave(region, dim=3)[:, :, :h, :w].contiguous()


def _filled(x: Tensor, fill: Fill, generator: randomness.Generator) -> Tensor:
    if fill == "mean":
        return x.mean(dim=(2, 3), keepdim=True).expand_as(x)
    return randomness.uniform(x.shape, generator, device=x.device).to(x.dtype)


def _probability(model: Callable[[Tensor], Tensor], x: Tensor, target: Tensor, chunk: int) -> Tensor:
    logits = torch.cat([model(part) for part in torch.split(x, chunk)])
    check_classes(target, logits)
    return _score(logits, target)


def _score(logits: Tensor, target: Tensor) -> Tensor:
    return logits.softmax(dim=1).gather(1, target.long()[:, None])[:, 0]


def _slices(length: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
