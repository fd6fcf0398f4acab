"""Does the map show what decides the class: measures of a map beside a mask, and of maps that know nothing.

All take tensors of a batch and give one value per image, NaN where a value is undefined: where the mask is empty, as it
is of an image whose mask is not known, or full, so that no map could miss it.
"""

import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.types import Heatmap, Image, PerSample
from pellucid.metrics.inputs import check_heatmap, check_images, wide
from pellucid.metrics.sanity import edge_map
from pellucid.saliency import heatmap as heatmap_of

__all__ = [
    "is_proper",
    "mass_chance",
    "mass_edges",
    "mass_lift",
    "mass_random",
    "pairs_of",
    "pointing_game",
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
    maps, inside = pairs_of(heatmap, mask)
    # By the largest value first, as a sum of large values may be infinite.
    maps = maps / maps.amax(1, keepdim=True)
    return torch.where(is_proper(inside), (maps * inside).sum(1) / maps.sum(1), torch.nan).to(heatmap.dtype)


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
    return torch.where(is_proper(inside), inside.float().mean(1), torch.nan)


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
    maps, inside = pairs_of(heatmap, mask)
    count = inside.sum(1, keepdim=True)
    last = maps.sort(dim=1, descending=True).values.gather(1, (count - 1).clamp(min=0))
    above, tied = maps > last, maps == last
    of_ties = wide(count - above.sum(1, keepdim=True)) / tied.sum(1, keepdim=True)
    found = (inside & above).sum(1) + (inside & tied).sum(1) * of_ties[:, 0]
    return torch.where(is_proper(inside), found / count[:, 0], torch.nan).to(heatmap.dtype)


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
    maps, inside = pairs_of(heatmap, mask)
    highest = maps == maps.amax(1, keepdim=True)
    found = wide((highest & inside).sum(1)) / highest.sum(1)
    return torch.where(is_proper(inside), found, torch.nan).to(heatmap.dtype)


def pairs_of(heatmap: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Maps in float64 and masks, both (n, pixels)."""
    check_heatmap(heatmap)
    _check_mask(mask)
    if mask.shape != heatmap.shape:
        raise InputError(f"the mask must be {tuple(heatmap.shape)} as the map is, got {tuple(mask.shape)}")
    return wide(heatmap.detach()).flatten(1), mask.flatten(1)


def is_proper(inside: Tensor) -> Tensor:
    """Whether a mask (n, pixels) is neither empty nor full."""
    return inside.any(1) & ~inside.all(1)


def _check_mask(mask: Tensor) -> None:
    if mask.dtype != torch.bool or mask.ndim != 3 or mask.numel() == 0:
        raise InputError(f"a mask must be bool (n, h, w), got {mask.dtype} {tuple(mask.shape)}")
