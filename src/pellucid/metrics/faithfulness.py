"""Does the map point at what the network uses: perturbation curves, most and least relevant first or at random."""

from collections.abc import Callable, Iterator, Sequence
from typing import get_args

import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.checks import at_least, one_of
from pellucid.core.errors import InputError, NotFinite
from pellucid.core.outputs import answer
from pellucid.core.types import Heatmap, Image, Label, PerSample
from pellucid.metrics.chunks import usual_chunk
from pellucid.metrics.families.faithfulness import Fill, Order, PerturbationCurves
from pellucid.metrics.imputation import NOISE, blurred, linear_imputation
from pellucid.metrics.inputs import all_finite, check_batch, check_classes, check_heatmap, check_model
from pellucid.metrics.regions import blocks, counts_of, default_region, ranks_of

__all__ = ["Fill", "aopc", "area_between", "area_under", "perturbation_curve", "perturbation_curves"]


def perturbation_curve(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    heatmap: Heatmap,
    *,
    order: Order,
    fraction: float = PerturbationCurves.fraction,
    steps: int = PerturbationCurves.steps,
    repeats: int = PerturbationCurves.repeats,
    region: int | None = None,
    fill: Fill = PerturbationCurves.fill,
    generator: randomness.Generator = None,
    chunk: int | None = None,
) -> Tensor:
    """One curve of `perturbation_curves`, with the same arguments, numbers and errors.

    ``order`` is ``"morf"``, most relevant regions first, ``"lerf"``, least relevant first, or ``"random"``.

    Returns:
        (n, steps + 1) decay of the probability, in [-1, 1]; column 0 is 0.

    >>> brightness = lambda x: torch.stack([x.sum((1, 2, 3)), torch.zeros(len(x))], dim=1)
    >>> x = torch.zeros(1, 1, 2, 2); x[..., 0, 0] = 1
    >>> perturbation_curve(brightness, x, torch.tensor([0]), x[:, 0], order="morf", fraction=0.5, steps=2, region=1,
    ...                    fill="mean").round(decimals=3)
    tensor([[0.0000, 0.1690, 0.1090]])
    """
    curves = perturbation_curves(
        model, x, target, heatmap, orders=(order,), fraction=fraction, steps=steps, repeats=repeats, region=region,
        fill=fill, generator=generator, chunk=chunk,
    )  # fmt: skip
    return curves[order]


def perturbation_curves(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    heatmap: Heatmap,
    *,
    orders: Sequence[Order] = ("morf", "lerf"),
    fraction: float = PerturbationCurves.fraction,
    steps: int = PerturbationCurves.steps,
    repeats: int = PerturbationCurves.repeats,
    region: int | None = None,
    fill: Fill = PerturbationCurves.fill,
    generator: randomness.Generator = None,
    chunk: int | None = None,
) -> dict[Order, Tensor]:
    """How the target's probability falls while the image is replaced, region by region, in the map's order.

    curve_k = p(x) - mean over repeats of p(x_k), with p the softmax probability of ``target`` and x_k the image whose
    first floor(R · fraction · k / steps + 1/2) of R regions are replaced, k = 0..steps. A faithful map has a high
    MoRF and a low LeRF curve; decay is signed, so a curve may dip below 0.

    Regions are squares of side ``region`` from the top left corner; at the right and bottom edge they are cut where
    the side is no multiple. They are ranked by their mean (equal to ranking by sum where none is cut). Ties keep
    reading order in both orders, so a flat map has the same MoRF and LeRF curve. The random order, drawn for each
    image from ``randomness.of(generator, "perturbation/random")``, does not look at the map: its curve is what a map
    that knows nothing has, on the same images with the same noise.

    Uniform fill: repeat r has one noise image per sample, uniform in [0, 1) for each pixel and channel, drawn from
    ``randomness.of(generator, f"perturbation/{r}")`` and shared by all steps and both orders. So x_{k+1} differs from
    x_k in the newly replaced regions only, and with `SampleDraws` every network meets the same noise. Blur fill is
    `blurred` with its default width. Linear fill is `linear_imputation`, solved for each image, order and step, plus
    normal noise of deviation .01 from the same source as the uniform noise, not clipped, as in ROAD.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class whose probability is followed, usually the predicted one.
        heatmap: (n, h, w), non-negative, finite.
        orders: which curves; ``"morf"`` replaces the most relevant regions first, ``"lerf"`` the least relevant,
            ``"random"`` any.
        fraction: share of the regions replaced at the last step, in (0, 1].
        steps: number of steps, each of at least one region.
        repeats: number of noise images averaged over; the mean and blur fill have no noise and are computed once.
            Linear fill holds the noise of all repeats, so that each system is solved once.
        region: side of a region in pixels; `default_region` of the shorter side by default.
        fill: what a replaced region shows: fresh ``"uniform"`` noise, the image's ``"mean"`` of each channel, the
            image under a ``"blur"``, or the ``"linear"`` imputation of the region from its surroundings.
        generator: source of the noise and of the random order.
        chunk: images in one forward pass, and systems solved at once, which bounds memory; by default as many as a
            processor's cache holds, see `pellucid.metrics.chunks.usual_chunk`.

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
    check_inputs(model, x, target, heatmap, orders)
    one_of(get_args(Fill), fill=fill)
    at_least(1, chunk=chunk, repeats=repeats)
    chunk = usual_chunk(x.shape[1:], x.device) if chunk is None else chunk
    region = default_region(min(x.shape[2:])) if region is None else region
    counts = counts_of(x, region, fraction, steps)

    with torch.no_grad():
        ranks = {order: ranks_of(heatmap, order, region, generator) for order in orders}
        clean = clean_probability(model, x, target, chunk)
        curves = {order: x.new_zeros(len(x), steps + 1) for order in orders}
        used = repeats if fill in ("uniform", "linear") else 1
        for sources in fillings(x, fill, used, generator):
            for order in orders:
                curve = curves[order][:, 1:]
                for rows, columns, replaced in blocks(ranks[order], counts, chunk):
                    for changed in refilled(x[rows, None], replaced, fill, [source[rows, None] for source in sources]):
                        decay = clean[rows, None] - probability(model, changed, target[rows])
                        curve[rows, columns].add_(decay / used if used > 1 else decay)
    if not all(all_finite(curve) for curve in curves.values()):
        raise NotFinite("the network's logits must be finite, got nan or infinity on a partly replaced image")
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
    _check_curve(curve)
    return curve.mean(dim=1)


def area_between(morf_curve: Tensor, lerf_curve: Tensor) -> PerSample:
    """Area between the two perturbation curves: `aopc` of the MoRF curve minus that of the LeRF curve.

    Unlike the MoRF curve alone it does not reward a network that any change upsets. A flat map has 0.

    Args:
        morf_curve: (n, steps + 1) of `perturbation_curves`.
        lerf_curve: (n, steps + 1), likewise.

    Returns:
        (n,) in [-2, 2]; higher is better.

    Raises:
        InputError: not of two dimensions, without a step, or of different shapes.

    >>> area_between(torch.tensor([[0.0, 0.25, 0.5]]), torch.tensor([[0.0, 0.0, 0.25]]))
    tensor([0.1667])

    Source: Samek et al. 2017.
    """
    _check_curve(morf_curve)
    if lerf_curve.shape != morf_curve.shape:
        raise InputError(
            f"both curves must have one shape, got {tuple(morf_curve.shape)} and {tuple(lerf_curve.shape)}"
        )
    return aopc(morf_curve) - aopc(lerf_curve)


def area_under(curve: Tensor) -> PerSample:
    """Area under a curve whose steps span [0, 1], by the trapezoid rule: RISE's insertion and deletion scores.

    Args:
        curve: (n, steps + 1), such as `insertion_deletion` returns.

    Returns:
        (n,) within the range of the curve, in [0, 1] for a probability; higher is better for insertion, lower for
        deletion.

    Raises:
        InputError: not of two dimensions, or without a step.

    >>> area_under(torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.0, 0.0]]))
    tensor([0.5000, 0.2500])

    Source: Petsiuk et al. 2018 (RISE), as ``auc`` in the authors' code.
    """
    _check_curve(curve)
    return (curve[:, 1:] + curve[:, :-1]).mean(dim=1) / 2


def check_inputs(
    model: Callable[[Tensor], Tensor], x: Tensor, target: Tensor, heatmap: Tensor, orders: Sequence[str] = ()
) -> None:
    """Raise unless the network, images, classes, maps and orders fit each other."""
    check_model(model)
    check_batch(x, target)
    check_heatmap(heatmap)
    if heatmap.shape != (len(x), *x.shape[2:]):
        raise InputError(f"heatmap must be {(len(x), *x.shape[2:])} as the images are, got {tuple(heatmap.shape)}")
    for order in orders:
        one_of(get_args(Order), order=order)


def clean_probability(model: Callable[[Tensor], Tensor], x: Tensor, target: Tensor, chunk: int) -> Tensor:
    """Probability of the target on the images as they are; raises where the network does not fit the classes."""
    logits = torch.cat([answer(model, part) for part in torch.split(x, chunk)])
    check_classes(target, logits)
    return _score(logits, target)


def probability(model: Callable[[Tensor], Tensor], changed: Tensor, target: Tensor) -> Tensor:
    """Probability of each image's target on its k changed versions (n, k, c, h, w); (n, k)."""
    n, k = changed.shape[:2]
    logits = answer(model, changed.flatten(0, 1))
    return _score(logits, target.repeat_interleave(k) if k > 1 else target).view(n, k)


def imputed(x: Tensor, removed: Tensor) -> Tensor:
    """`linear_imputation` of images (n, 1, c, h, w) for k steps each, removed (n, k, 1, h, w); (n, k, c, h, w)."""
    repeated = x.expand(-1, removed.shape[1], -1, -1, -1)
    return linear_imputation(repeated.flatten(0, 1), removed.flatten(0, 1)).view_as(repeated)


def _check_curve(curve: Tensor) -> None:
    if curve.ndim != 2 or curve.shape[1] < 2:
        raise InputError(f"curve must be (n, steps + 1) with at least one step, got shape {tuple(curve.shape)}")


def fillings(x: Tensor, fill: Fill, repeats: int, generator: randomness.Generator) -> Iterator[list[Tensor]]:
    """What regions are filled from, one image per sample: one repeat at a time where they share no work."""
    if fill == "mean":
        yield [x.mean(dim=(2, 3), keepdim=True).expand_as(x)]
    elif fill == "blur":
        yield [blurred(x)]
    else:
        draw = randomness.uniform if fill == "uniform" else randomness.normal
        parts = (randomness.of(generator, f"perturbation/{repeat}") for repeat in range(repeats))
        noise = (draw(x.shape, part, device=x.device).to(x.dtype) for part in parts)
        if fill == "linear":
            yield list(noise)
        else:
            yield from ([image] for image in noise)


def refilled(x: Tensor, replaced: Tensor, fill: Fill, sources: list[Tensor]) -> Iterator[Tensor]:
    """The images (n, 1, c, h, w) with their replaced regions filled from each of the sources."""
    base = imputed(x, replaced) if fill == "linear" else x
    for source in sources:
        yield torch.where(replaced, base + NOISE * source if fill == "linear" else source, x)


def _score(logits: Tensor, target: Tensor) -> Tensor:
    return logits.softmax(dim=1).gather(1, target.long()[:, None])[:, 0]
