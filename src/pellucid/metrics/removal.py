"""What is left of the prediction as pixels vanish or appear: ROAD, insertion and deletion."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.checks import at_least, in_unit
from pellucid.core.errors import InputError, NotFinite
from pellucid.core.outputs import answer
from pellucid.core.types import Heatmap, Image, Label
from pellucid.metrics.chunks import usual_chunk
from pellucid.metrics.faithfulness import check_inputs, clean_probability, imputed, probability
from pellucid.metrics.families.faithfulness import ROAD, InsertionDeletion, Order
from pellucid.metrics.imputation import blurred
from pellucid.metrics.inputs import all_finite
from pellucid.metrics.regions import blocks, counts_of, default_region, ranks_of

__all__ = ["insertion_deletion", "road"]


def road(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    heatmap: Heatmap,
    *,
    orders: Sequence[Order] = ("morf", "lerf"),
    shares: Sequence[float] = ROAD.shares,
    noise: float = ROAD.noise,
    generator: randomness.Generator = None,
    chunk: int | None = None,
) -> dict[Order, Tensor]:
    """Does the network still predict the target once a share of the pixels is imputed from the rest (ROAD)?

    The mean over images at one share is ROAD's accuracy there. The floor(h · w · share) most relevant pixels (MoRF),
    least relevant pixels (LeRF) or random pixels are removed, single ones in reading order where the map ties; each
    becomes the weighted mean of its neighbours (`linear_imputation`) plus normal noise. As in the authors' code the
    noise is not clipped. The imputation hides which pixels are gone, so that the shape of the hole tells the network
    little, and no network is trained again.

    The noise, one image per sample from ``randomness.of(generator, "road")``, serves all shares and orders; the
    random order is that of `perturbation_curves`.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1], of any number of channels.
        target: (n,) class that is looked for: the true one for ROAD's accuracy, the predicted one for how long the
            prediction lasts.
        heatmap: (n, h, w), non-negative, finite.
        orders: which pixels go first: ``"morf"``, ``"lerf"``, ``"random"``.
        shares: of the pixels that are removed, each in [0, 1]; at 1 every pixel is its channel's mean plus noise.
        noise: standard deviation of the noise on removed pixels, in pixel units, at least 0.
        generator: source of the noise and of the random order.
        chunk: images in one forward pass, and systems solved at once, which bounds memory; by default as many as a
            processor's cache holds, see `pellucid.metrics.chunks.usual_chunk`.

    Returns:
        For each order (n, shares), 1 where the target is predicted and 0 elsewhere, in the dtype of ``x``. Lower is
        better for MoRF, higher for LeRF.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a negative or NaN heatmap, a class the network lacks, a
            network in training mode or with non-finite logits, numbers out of range.

    >>> left_or_right = lambda x: x.mean((1, 2)).view(-1, 2, 2).mean(2)
    >>> x = torch.tensor([[[[0.9, 0.1, 0.2, 0.2]]]])
    >>> road(left_or_right, x, torch.tensor([0]), x[:, 0], shares=(0.25, 0.5), noise=0)
    {'morf': tensor([[0., 0.]]), 'lerf': tensor([[1., 1.]])}

    Source: Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution methods".
    """
    check_inputs(model, x, target, heatmap, orders)
    at_least(1, chunk=chunk)
    chunk = usual_chunk(x.shape[1:], x.device) if chunk is None else chunk
    if len(shares) == 0 or not all(0 <= share <= 1 for share in shares):
        raise InputError(f"shares must be one number or more in [0, 1], got {tuple(shares)}")
    if not 0 <= noise < math.inf:
        raise InputError(f"noise must be at least 0, got {noise}")
    pixels = heatmap[0].numel()
    removed = [math.floor(round(pixels * share, 9)) for share in shares]  # 0.29 of 100 pixels are 29
    counts = torch.tensor(removed, device=x.device, dtype=torch.int32)

    with torch.no_grad():
        clean_probability(model, x, target, chunk)  # for its checks
        ranks = {order: ranks_of(heatmap, order, 1, generator) for order in orders}
        normal = randomness.normal(x.shape, randomness.of(generator, "road"), device=x.device).to(x.dtype)
        kept = {order: x.new_zeros(len(x), len(shares)) for order in orders}
        finite = torch.ones((), dtype=torch.bool, device=x.device)
        for order in orders:
            for rows, columns, gone in blocks(ranks[order], counts, chunk):
                filled = imputed(x[rows, None], gone) + noise * normal[rows, None]
                changed = torch.where(gone, filled, x[rows, None])
                logits = answer(model, changed.flatten(0, 1)).view(*changed.shape[:2], -1)
                finite &= torch.isfinite(logits).all()
                kept[order][rows, columns] = (logits.argmax(dim=2) == target[rows, None]).to(x.dtype)
    if not finite:
        raise NotFinite("the network's logits must be finite, got nan or infinity on a partly imputed image")
    return kept


def insertion_deletion(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    heatmap: Heatmap,
    *,
    steps: int = InsertionDeletion.steps,
    region: int | None = None,
    sigma: float | None = None,
    blank: float = InsertionDeletion.blank,
    chunk: int | None = None,
) -> dict[str, Tensor]:
    """The target's probability as the image appears on its blur, and as it vanishes, most relevant regions first.

    insertion_k = p(blur with the first regions of the image), deletion_k = p(image with the first regions blank),
    where the first floor(R · k / steps + 1/2) of R regions are meant, k = 0..steps. So insertion runs from the blurred
    image to the image and deletion from the image to a blank one. A good map finds the regions that suffice, so
    insertion rises early, and those that are needed, so deletion falls early; `area_under` makes a score of each.
    Regions and ties are those of `perturbation_curves`. Nothing is drawn at random.

    Args:
        model: as in `road`, as are ``x``, ``heatmap``, ``chunk`` and what is refused.
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class whose probability is followed, the predicted one in RISE.
        heatmap: (n, h, w).
        steps: number of steps to the whole image, each of at least one region.
        region: side of a region in pixels, 1 in RISE; `default_region` of the shorter side by default.
        sigma: deviation of the blur in pixels, see `blurred`; a tenth of the shorter side by default.
        blank: value in [0, 1] of the pixels that are deleted; black by default.
        chunk: images in one forward pass, which bounds memory; by default as many as a processor's cache holds, see
            `pellucid.metrics.chunks.usual_chunk`.

    Returns:
        ``insertion`` and ``deletion``, each (n, steps + 1) in [0, 1], in the dtype of ``x``. Higher is better for
        insertion, lower for deletion.

    Raises:
        InputError: as `road`, or a step of less than one region.

    >>> brightness = lambda x: torch.stack([x.sum((1, 2, 3)), torch.zeros(len(x))], dim=1)
    >>> x = torch.zeros(1, 1, 2, 2); x[..., 0, 0] = 1
    >>> curves = insertion_deletion(brightness, x, torch.tensor([0]), x[:, 0], steps=2, region=1)
    >>> curves["deletion"].round(decimals=3)
    tensor([[0.7310, 0.5000, 0.5000]])

    Source: Petsiuk, Das and Saenko 2018 (RISE). The authors' code deletes to 0 after normalisation, which is the mean
    colour of the data (``blank`` takes one value for all channels), and inserts on an image of 224 px blurred with
    11 × 11 pixels of a Gaussian of sigma 5, much sharper than the default here; it takes single pixels, 224 a step.
    """
    check_inputs(model, x, target, heatmap)
    at_least(1, chunk=chunk)
    chunk = usual_chunk(x.shape[1:], x.device) if chunk is None else chunk
    in_unit(blank=blank)
    region = default_region(min(x.shape[2:])) if region is None else region
    counts = counts_of(x, region, 1.0, steps)

    with torch.no_grad():
        ranks = ranks_of(heatmap, "morf", region)
        clean = clean_probability(model, x, target, chunk)
        blur, empty = blurred(x, sigma=sigma), x.new_full((), blank)
        curves = {name: clean[:, None].repeat(1, steps + 1) for name in ("insertion", "deletion")}
        # The whole image is one of the steps of either curve, and `clean` already.
        shown = curves["insertion"][:, :-1]
        for rows, columns, inserted in blocks(ranks, torch.cat([counts.new_zeros(1), counts[:-1]]), chunk):
            changed = torch.where(inserted, x[rows, None], blur[rows, None])
            shown[rows, columns] = probability(model, changed, target[rows])
        hidden = curves["deletion"][:, 1:]
        for rows, columns, deleted in blocks(ranks, counts, chunk):
            changed = torch.where(deleted, empty, x[rows, None])
            hidden[rows, columns] = probability(model, changed, target[rows])
    if not all(all_finite(curve) for curve in curves.values()):
        raise NotFinite("the network's logits must be finite, got nan or infinity on a partly shown image")
    return curves
