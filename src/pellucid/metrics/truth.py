"""Does the map show what decides the class: measures of maps beside a mask, and of networks by intervention.

All take tensors of a batch and give one value per image, NaN where a value is undefined: where the mask is empty, as it
is of an image whose mask is not known, or full, so that no map could miss it.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.types import Heatmap, Image, Label, PerSample
from pellucid.metrics.inputs import check_batch, check_classes, check_heatmap, check_images, check_model, wide
from pellucid.metrics.sanity import edge_map
from pellucid.saliency import heatmap as heatmap_of

__all__ = [
    "confession",
    "mass_chance",
    "mass_checked",
    "mass_edges",
    "mass_lift",
    "mass_random",
    "part_losses",
    "part_rank",
    "pointing_game",
    "prediction_changes",
    "rank_accuracy",
    "relevance_mass",
]


def relevance_mass(heatmap: Heatmap, mask: Tensor) -> PerSample:
    r"""Share of the map's mass inside the mask, :math:`\sum_{i \in M} h_i / \sum_i h_i`.

    Args:
        heatmap: (n, h, w), non-negative, finite.
        mask: (n, h, w) bool, True where what decides the class is.

    Returns:
        (n,) in [0, 1], in the dtype of ``heatmap``; higher is better. The mask itself has 1, its complement 0, a flat
        map `mass_chance`. NaN for a map of zeros and for an empty or a full mask.

    Raises:
        InputError: a map that is none, or a mask that is not boolean or of another shape.

    >>> relevance_mass(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[[True, False]]]))
    tensor([0.7500])

    Source: Arras, Osman and Samek 2022, "CLEVR-XAI", relevance mass accuracy.
    """
    maps, inside = _pairs(heatmap, mask)
    # By the largest value first, as a sum of large values may be infinite.
    maps = maps / maps.amax(1, keepdim=True)
    return torch.where(_is_proper(inside), (maps * inside).sum(1) / maps.sum(1), torch.nan).to(heatmap.dtype)


def mass_chance(mask: Tensor) -> PerSample:
    """The mask's share of the area, which is the `relevance_mass` of a flat map.

    Args:
        mask: (n, h, w) bool.

    Returns:
        (n,) in (0, 1), float32; NaN for an empty or a full mask.

    Raises:
        InputError: a mask that is not boolean or has not three dimensions.

    >>> mass_chance(torch.tensor([[[True, False, False, False]], [[False] * 4]]))
    tensor([0.2500,    nan])

    Source: Arras, Osman and Samek 2022.
    """
    _check_mask(mask)
    inside = mask.flatten(1)
    return torch.where(_is_proper(inside), inside.float().mean(1), torch.nan)


def mass_lift(heatmap: Heatmap, mask: Tensor) -> PerSample:
    """How far `relevance_mass` is above chance: (mass - chance) / (1 - chance).

    Arguments, errors and undefined values are those of `relevance_mass`.

    Returns:
        (n,) at most 1, which the mask itself has; 0 for a flat map, below 0 for one that avoids the mask.

    >>> mass_lift(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[[True, False]]]))
    tensor([0.5000])

    Source: Cohen's kappa (1960) applied to relevance mass: the same correction for chance.
    """
    chance = mass_chance(mask).to(heatmap.dtype)
    return (relevance_mass(heatmap, mask) - chance) / (1 - chance)


def mass_random(mask: Tensor, *, generator: randomness.Generator = None) -> PerSample:
    """`relevance_mass` of a map whose pixels are uniform in [0, 1).

    Args:
        mask: (n, h, w) bool.
        generator: source of the random map, its part for ``truth/random_map``.

    Returns:
        (n,) in [0, 1], float32, near `mass_chance`; NaN where that is.

    Raises:
        InputError: a mask that is not boolean or has not three dimensions.

    >>> half = torch.arange(64).view(1, 8, 8) < 32
    >>> round(mass_random(half, generator=torch.Generator().manual_seed(0)).item(), 1)
    0.5
    """
    _check_mask(mask)
    source = randomness.of(generator, "truth/random_map")
    return relevance_mass(randomness.uniform(mask.shape, source, device=mask.device), mask)


def mass_edges(x: Image, mask: Tensor) -> PerSample:
    """`relevance_mass` of the image's edges, by `pellucid.metrics.edge_map`.

    A saliency method whose mass is no higher may show the image alone, where what decides has more edges than the rest.

    Args:
        x: (n, c, h, w) images.
        mask: (n, h, w) bool.

    Returns:
        (n,) in [0, 1], in the dtype of ``x``; NaN for a flat image and for an empty or a full mask.

    Raises:
        InputError: images or masks that are none, or of other shapes.

    >>> x = torch.zeros(1, 1, 1, 8); x[..., 1] = 1
    >>> mass_edges(x, torch.arange(8).view(1, 1, 8) < 4)
    tensor([1.])

    Source: the edge detector of Adebayo et al. 2018, figure 1.
    """
    check_images(x)
    edges = heatmap_of(edge_map(None, x, torch.zeros(len(x), dtype=torch.int64)))
    return relevance_mass(edges, mask)


def rank_accuracy(heatmap: Heatmap, mask: Tensor) -> PerSample:
    """Share of the map's highest pixels, as many as the mask has, that lie inside the mask.

    Where several pixels share the value at which the choice ends, any of them may be chosen: the value is the
    expectation over a random choice among them, so that a flat map has the mask's share of the area.

    Args:
        heatmap: (n, h, w), non-negative, finite.
        mask: (n, h, w) bool, True where what decides the class is.

    Returns:
        (n,) in [0, 1], in the dtype of ``heatmap``; higher is better. NaN for an empty or a full mask.

    Raises:
        InputError: a map that is none, or a mask that is not boolean or of another shape.

    >>> rank_accuracy(torch.tensor([[[3.0, 2.0, 1.0, 0.0]]]), torch.tensor([[[True, False, True, False]]]))
    tensor([0.5000])

    Source: Arras, Osman and Samek 2022, "CLEVR-XAI", relevance rank accuracy.
    """
    maps, inside = _pairs(heatmap, mask)
    count = inside.sum(1, keepdim=True)
    last = maps.sort(dim=1, descending=True).values.gather(1, (count - 1).clamp(min=0))
    above, tied = maps > last, maps == last
    of_ties = wide(count - above.sum(1, keepdim=True)) / tied.sum(1, keepdim=True)
    found = (inside & above).sum(1) + (inside & tied).sum(1) * of_ties[:, 0]
    return torch.where(_is_proper(inside), found / count[:, 0], torch.nan).to(heatmap.dtype)


def pointing_game(heatmap: Heatmap, mask: Tensor) -> PerSample:
    """Whether the map's highest pixel lies inside the mask.

    Where several pixels are highest, the value is the share of them inside, which is the expectation over a random
    choice; so a flat map has the mask's share of the area.

    Args:
        heatmap: (n, h, w), non-negative, finite.
        mask: (n, h, w) bool, True where what decides the class is.

    Returns:
        (n,) in [0, 1], in the dtype of ``heatmap``; NaN for an empty or a full mask.

    Raises:
        InputError: a map that is none, or a mask that is not boolean or of another shape.

    >>> pointing_game(torch.tensor([[[3.0, 1.0]], [[2.0, 2.0]]]), torch.tensor([[[True, False]]] * 2))
    tensor([1.0000, 0.5000])

    Source: Zhang et al. 2018, "Top-down neural attention by excitation backprop", without a margin around the mask.
    """
    maps, inside = _pairs(heatmap, mask)
    highest = maps == maps.amax(1, keepdim=True)
    found = wide((highest & inside).sum(1)) / highest.sum(1)
    return torch.where(_is_proper(inside), found, torch.nan).to(heatmap.dtype)


def prediction_changes(model: Callable[[Tensor], Tensor], x: Image, changed: Image, *, chunk: int = 128) -> Tensor:
    """Whether the network predicts another class when something in the image is exchanged.

    It tells what the network itself goes by, whatever a map says: exchange what decides the class, everything beside
    it, or a decoy.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        changed: (n, c, h, w) the same images with one thing exchanged.
        chunk: images in one forward pass.

    Returns:
        (n,) bool.

    Raises:
        InputError: images of different shapes or outside [0, 1], a network in training mode or without finite logits.

    >>> brighter = lambda x: torch.stack([x[:, 0, 0, 0], x[:, 0, 0, 1]], dim=1)
    >>> x = torch.tensor([[[[0.9, 0.1]]], [[[0.9, 0.1]]]])
    >>> prediction_changes(brighter, x, torch.tensor([[[[0.0, 0.1]]], [[[0.9, 0.0]]]]))
    tensor([ True, False])
    """
    check_model(model)
    at_least(1, chunk=chunk)
    before, after = (_logits(model, image, chunk).argmax(1) for image in _same_images(x, changed))
    return before != after


def mass_checked(heatmap: Heatmap, mask: Tensor, follows_cause: Tensor, follows_rest: Tensor) -> PerSample:
    """`relevance_mass` of the images alone of which an intervention says that the network goes by the cause.

    A map that lies beside the cause is right where the network looks there too, so such images are left out.

    Args:
        heatmap: (n, h, w), non-negative, finite.
        mask: (n, h, w) bool, True where what decides the class is.
        follows_cause: (n,) bool, whether the prediction changes when the cause is exchanged.
        follows_rest: (n,) bool, whether it changes when everything else that could mislead is exchanged.

    Returns:
        (n,) in [0, 1]; NaN where the prediction does not follow the cause alone, or `relevance_mass` is undefined.

    Raises:
        InputError: as `relevance_mass` has it, or not one yes or no for each image.

    >>> heatmap, mask = torch.tensor([[[3.0, 1.0]]] * 2), torch.tensor([[[True, False]]] * 2)
    >>> mass_checked(heatmap, mask, torch.tensor([True, True]), torch.tensor([False, True]))
    tensor([0.7500,    nan])
    """
    mass = relevance_mass(heatmap, mask)
    for name, value in (("follows_cause", follows_cause), ("follows_rest", follows_rest)):
        _check_answers(name, value, len(mass))
    return torch.where(follows_cause & ~follows_rest, mass, torch.nan)


def part_losses(
    model: Callable[[Tensor], Tensor], x: Image, target: Label, without: Mapping[str, Image], *, chunk: int = 128
) -> dict[str, PerSample]:
    """What each named part is worth to the network: the loss of the target's logit when the part is removed.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained.
        without: by the part's name, (n, c, h, w) the same images without that part.
        chunk: images in one forward pass.

    Returns:
        By name, (n,): logit of the target on the whole image minus that without the part; above 0 where the part
        speaks for the class.

    Raises:
        InputError: images of different shapes or outside [0, 1], a class the network lacks, a network in training mode
            or without finite logits.

    >>> total = lambda x: torch.stack([x.sum((1, 2, 3)), -x.sum((1, 2, 3))], dim=1)
    >>> part_losses(total, torch.ones(1, 1, 1, 2), torch.tensor([0]), {"left": torch.tensor([[[[0.0, 1.0]]]])})
    {'left': tensor([1.])}

    Source: Hesse, Schaub-Meyer and Roth 2023, "FunnyBirds", which measures a part by its removal.
    """
    check_model(model)
    check_batch(x, target)
    at_least(1, chunk=chunk)

    def of_target(image: Image) -> PerSample:
        logits = _logits(model, image, chunk)
        check_classes(target, logits)
        return logits.gather(1, target.long()[:, None])[:, 0]

    whole = of_target(x)
    return {name: whole - of_target(_same_images(x, image)[1]) for name, image in without.items()}


def part_rank(heatmap: Heatmap, parts: Mapping[str, Tensor], losses: Mapping[str, Tensor]) -> PerSample:
    """Whether the map orders an image's parts as the network does: Spearman's correlation over the parts.

    Of each part the map's sum on it, with what its removal costs. Equal values share the mean of their ranks. A part
    that an image does not have, whose mask is empty there, is left out of that image's correlation.

    Args:
        heatmap: (n, h, w), non-negative, finite.
        parts: by the part's name, (n, h, w) bool, True where the part is.
        losses: by the same names, (n,) what the part's removal costs, as `part_losses` gives it.

    Returns:
        (n,) in [-1, 1], in the dtype of ``heatmap``; higher is better. NaN where fewer than 3 parts are in the image,
        or where the map or the network makes no difference between them.

    Raises:
        InputError: other names in ``losses`` than in ``parts``, wrong shapes, or a loss that is not finite.

    >>> parts = {name: torch.eye(3, dtype=torch.bool)[k].view(1, 1, 3) for k, name in enumerate("abc")}
    >>> losses = {"a": torch.tensor([5.0]), "b": torch.tensor([0.5]), "c": torch.tensor([0.1])}
    >>> part_rank(torch.tensor([[[0.9, 0.6, 0.3]]]), parts, losses)
    tensor([1.])

    Source: after Hesse, Schaub-Meyer and Roth 2023, "FunnyBirds", single deletion protocol; Spearman 1904.
    """
    check_heatmap(heatmap)
    if set(parts) != set(losses):
        raise InputError(f"parts and losses must have the same names, got {sorted(parts)} and {sorted(losses)}")
    if not parts:
        return heatmap.new_full((len(heatmap),), torch.nan)
    for name, loss in losses.items():
        if loss.shape != heatmap.shape[:1] or not torch.isfinite(loss).all():
            raise InputError(f"the loss of {name!r} must be {len(heatmap)} finite numbers, got {tuple(loss.shape)}")
    pairs = [_pairs(heatmap, mask) for mask in parts.values()]
    there = torch.stack([inside.any(1) for _, inside in pairs], dim=1)
    mass = torch.stack([(maps * inside).sum(1) for maps, inside in pairs], dim=1)
    loss = torch.stack([wide(losses[name]) for name in parts], dim=1)
    ours, theirs = (_centred_ranks(value, there) for value in (mass, loss))
    size = ours.norm(dim=1) * theirs.norm(dim=1)
    known = (there.sum(1) >= 3) & (size > 0)
    return torch.where(known, (ours * theirs).sum(1) / size, torch.nan).clamp(-1, 1).to(heatmap.dtype)


def confession(heatmap: Heatmap, decoy: Tensor, reliance: Tensor) -> PerSample:
    """Whether the map admits that the prediction hangs on a decoy: whether it marks the decoy more than a flat map.

    Asked of those images alone whose prediction changes when the decoy is exchanged, since a map that leaves out a
    decoy which the network ignores is right. The bar is the lowest that is defensible: the decoy's share of the map's
    mass must be above its share of the area.

    Args:
        heatmap: (n, h, w), non-negative, finite.
        decoy: (n, h, w) bool, True where the decoy is.
        reliance: (n,) bool, whether the prediction changes when the decoy is exchanged, as `prediction_changes` tells.

    Returns:
        (n,) 1 for yes and 0 for no; NaN where the network does not rely on the decoy, for a map of zeros and for an
        empty or a full decoy.

    Raises:
        InputError: as `relevance_mass` has it, or not one yes or no for each image.

    >>> heatmap, decoy = torch.tensor([[[3.0, 1.0, 1.0]]] * 2), torch.tensor([[[True, False, False]]] * 2)
    >>> confession(heatmap, decoy, torch.tensor([True, False]))
    tensor([1., nan])

    Source: decoys by Ross, Hughes and Doshi-Velez 2017, "Right for the right reasons".
    """
    maps, inside = _pairs(heatmap, decoy)
    _check_answers("reliance", reliance, len(maps))
    maps = maps / maps.amax(1, keepdim=True)  # so that a flat map's sums are whole numbers, which rounding cannot part
    above = (maps * inside).sum(1) * maps.shape[1] > maps.sum(1) * inside.sum(1)
    known = reliance & _is_proper(inside) & ~maps.isnan().any(1)
    return torch.where(known, above.to(heatmap.dtype), torch.nan)


def _centred_ranks(values: Tensor, there: Tensor) -> Tensor:
    """Mean ranks among the values that are there, (n, k), minus their mean; 0 for those that are not."""
    below = (values[:, None] < values[..., None]) & there[:, None]
    equal = (values[:, None] == values[..., None]) & there[:, None]
    ranks = below.sum(2) + equal.sum(2) / 2
    mean = (ranks * there).sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp(min=1)
    return wide((ranks - mean) * there)


def _pairs(heatmap: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Maps in float64 and masks, both (n, pixels)."""
    check_heatmap(heatmap)
    _check_mask(mask)
    if mask.shape != heatmap.shape:
        raise InputError(f"the mask must be {tuple(heatmap.shape)} as the map is, got {tuple(mask.shape)}")
    return wide(heatmap.detach()).flatten(1), mask.flatten(1)


def _is_proper(inside: Tensor) -> Tensor:
    """Whether a mask (n, pixels) is neither empty nor full."""
    return inside.any(1) & ~inside.all(1)


def _check_mask(mask: Tensor) -> None:
    if mask.dtype != torch.bool or mask.ndim != 3 or mask.numel() == 0:
        raise InputError(f"a mask must be bool (n, h, w), got {mask.dtype} {tuple(mask.shape)}")


def _check_answers(name: str, value: Tensor, n: int) -> None:
    if value.dtype != torch.bool or value.shape != (n,):
        raise InputError(f"{name} must be bool ({n},), one for each image, got {value.dtype} {tuple(value.shape)}")


def _same_images(x: Image, changed: Image) -> tuple[Image, Image]:
    for image in (x, changed):
        check_images(image)
        low, high = image.aminmax()
        if not (low >= 0 and high <= 1):
            raise InputError(f"pixels must be in [0, 1], got values from {low:g} to {high:g}")
    if x.shape != changed.shape:
        raise InputError(f"the changed images must be {tuple(x.shape)} as the images are, got {tuple(changed.shape)}")
    return x, changed


def _logits(model: Callable[[Tensor], Tensor], x: Image, chunk: int) -> Tensor:
    with torch.no_grad():
        logits = torch.cat([model(part) for part in torch.split(x, chunk)])
    if logits.ndim != 2 or len(logits) != len(x) or not torch.isfinite(logits).all():
        raise InputError(f"the network must return finite logits ({len(x)}, classes), got shape {tuple(logits.shape)}")
    return logits
