"""What the network itself goes by: a thing in the image is exchanged or removed, and the map held against that."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.outputs import answer
from pellucid.core.types import Heatmap, Image, Label, PerSample
from pellucid.metrics.inputs import check_batch, check_classes, check_heatmap, check_images, check_model, wide
from pellucid.metrics.truth import is_proper, pairs_of, relevance_mass

__all__ = ["confession", "mass_checked", "part_losses", "part_rank", "prediction_changes"]


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
    pairs = [pairs_of(heatmap, mask) for mask in parts.values()]
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
    maps, inside = pairs_of(heatmap, decoy)
    _check_answers("reliance", reliance, len(maps))
    maps = maps / maps.amax(1, keepdim=True)  # so that a flat map's sums are whole numbers, which rounding cannot part
    above = (maps * inside).sum(1) * maps.shape[1] > maps.sum(1) * inside.sum(1)
    known = reliance & is_proper(inside) & ~maps.isnan().any(1)
    return torch.where(known, above.to(heatmap.dtype), torch.nan)


def _centred_ranks(values: Tensor, there: Tensor) -> Tensor:
    """Mean ranks among the values that are there, (n, k), minus their mean; 0 for those that are not."""
    below = (values[:, None] < values[..., None]) & there[:, None]
    equal = (values[:, None] == values[..., None]) & there[:, None]
    ranks = below.sum(2) + equal.sum(2) / 2
    mean = (ranks * there).sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp(min=1)
    return wide((ranks - mean) * there)


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
        logits = torch.cat([answer(model, part) for part in torch.split(x, chunk)])
    if logits.ndim != 2 or len(logits) != len(x) or not torch.isfinite(logits).all():
        raise InputError(f"the network must return finite logits ({len(x)}, classes), got shape {tuple(logits.shape)}")
    return logits
