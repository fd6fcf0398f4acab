"""What each region of an image is really worth to the network: the map that perturbation curves are divided by."""

import math
from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.checks import at_least, one_of
from pellucid.core.errors import NotFinite
from pellucid.core.types import Heatmap, Image, Label
from pellucid.metrics.chunks import usual_chunk
from pellucid.metrics.faithfulness import clean_probability, fillings, probability, refilled
from pellucid.metrics.families.faithfulness import Fill, PerturbationCurves
from pellucid.metrics.inputs import check_batch, check_model
from pellucid.metrics.regions import default_region, slices

__all__ = ["oracle_map", "region_losses"]


def region_losses(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    *,
    region: int | None = None,
    fill: Fill = PerturbationCurves.fill,
    repeats: int = PerturbationCurves.oracle_repeats,
    generator: randomness.Generator = None,
    chunk: int | None = None,
) -> Heatmap:
    """Loss of the target's probability when a region alone is replaced, for every region.

    p(x) - mean over repeats of p(x with region r replaced). It is what occlusion measures, with the regions and fills
    of `pellucid.metrics.perturbation_curves`, and noise of its own, so that an order by it does not know the noise
    that it is judged with.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class whose probability is followed, usually the predicted one.
        region: side of a region in pixels; `default_region` of the shorter side by default.
        fill: what a replaced region shows, as in `pellucid.metrics.perturbation_curves`.
        repeats: noise images averaged over, each of which costs a forward pass a region; the mean and blur fill have
            no noise and are computed once.
        generator: source of the noise, its part for ``oracle``.
        chunk: images in one forward pass; by default as many as a processor's cache holds, see
            `pellucid.metrics.chunks.usual_chunk`.

    Returns:
        (n, h, w) in [-1, 1], in the dtype of ``x``, the same value in all pixels of a region.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a class the network lacks, a network in training mode or with
            non-finite logits, numbers out of range.

    >>> brightness = lambda x: torch.stack([x.sum((1, 2, 3)), torch.zeros(len(x))], dim=1)
    >>> x = torch.zeros(1, 1, 2, 2); x[..., 0, 0] = 1
    >>> region_losses(brightness, x, torch.tensor([0]), region=1, fill="mean").round(decimals=3)
    tensor([[[ 0.1690, -0.0460],
             [-0.0460, -0.0460]]])

    Source: Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks" (occlusion).
    """
    check_model(model)
    check_batch(x, target)
    one_of(get_args(Fill), fill=fill)
    at_least(1, chunk=chunk, repeats=repeats)
    chunk = usual_chunk(x.shape[1:], x.device) if chunk is None else chunk
    h, w = x.shape[2:]
    region = default_region(min(h, w)) if region is None else region
    at_least(1, region=region)
    across = math.ceil(w / region)
    rows, columns = (torch.arange(side, device=x.device) // region for side in (h, w))
    number = rows[:, None] * across + columns  # of each pixel's region
    regions = torch.arange(math.ceil(h / region) * across, device=x.device)
    used = repeats if fill in ("uniform", "linear") else 1
    with torch.no_grad():
        clean = clean_probability(model, x, target, chunk)
        losses = x.new_zeros(len(x), len(regions))
        for sources in fillings(x, fill, used, randomness.of(generator, "oracle")):
            for images in slices(len(x), chunk):
                part, label = x[images, None], target[images]
                for some in slices(len(regions), max(1, chunk // len(part))):
                    replaced = (number == regions[some, None, None])[None, :, None].expand(len(part), -1, -1, -1, -1)
                    for changed in refilled(part, replaced, fill, [source[images, None] for source in sources]):
                        losses[images, some] += (clean[images, None] - probability(model, changed, label)) / used
    if not torch.isfinite(losses).all():
        raise NotFinite("the network's logits must be finite, got nan or infinity on a partly replaced image")
    return losses[:, number]


def oracle_map(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    *,
    region: int | None = None,
    fill: Fill = PerturbationCurves.fill,
    repeats: int = PerturbationCurves.oracle_repeats,
    generator: randomness.Generator = None,
    chunk: int | None = None,
) -> Heatmap:
    """`region_losses` above the smallest of each image: a heatmap that orders the regions by what they are worth.

    Its perturbation curves are near the best that a map can have, exactly the best where regions do not act together;
    a map may be better where they do. All arguments and errors are those of `region_losses`.

    Returns:
        (n, h, w), non-negative, in the dtype of ``x``.

    >>> brightness = lambda x: torch.stack([x.sum((1, 2, 3)), torch.zeros(len(x))], dim=1)
    >>> x = torch.zeros(1, 1, 2, 2); x[..., 0, 0] = 1
    >>> oracle_map(brightness, x, torch.tensor([0]), region=1, fill="mean").round(decimals=3)
    tensor([[[0.2150, 0.0000],
             [0.0000, 0.0000]]])
    """
    losses = region_losses(
        model, x, target, region=region, fill=fill, repeats=repeats, generator=generator, chunk=chunk
    )
    return losses - losses.amin(dim=(1, 2), keepdim=True)
