"""What a reader can see of a card's figures: covered and noisy pictures, and what the network made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pellucid.core.types import Image
from pellucid.explanation.trust_metrics import region_means
from pellucid.metrics import PerturbationCurves, RelativeStability, rank_correlation
from pellucid.metrics.case import Case
from pellucid.metrics.faithfulness import fillings, refilled
from pellucid.metrics.regions import counts_of, ranks_of
from pellucid.saliency import heatmap

__all__ = ["COPIES", "Covering", "Evidence", "NoisyCopy", "evidence_of"]

COPIES = 2
"""Noisy copies that a card shows; its figures are of more."""

_Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Covering:
    """The last step of the perturbation curves: a share of the picture is covered, and the network asked again.

    Attributes:
        share: of the picture's regions that are covered, in (0, 1].
        clean: probability of the explained class on the whole picture.
        marked: the same with the most marked regions covered, the mean over the draws of the noise.
        unmarked: the same with the least marked regions covered.
        random: the same with as many regions covered that random maps mark.
        marked_picture: (h, w) or (h, w, 3), the first draw.
        unmarked_picture: likewise.
    """

    share: float
    clean: float
    marked: float
    unmarked: float
    random: tuple[float, ...]
    marked_picture: _Pixels
    unmarked_picture: _Pixels

    @property
    def raises(self) -> bool:
        """Whether covering raises the confidence wherever it is done, so that it cannot show what the network uses."""
        return min(self.marked, self.unmarked) > self.clean

    @property
    def as_low(self) -> int:
        """How many of the random maps cost as much confidence as this map."""
        return sum(value <= self.marked for value in self.random)


@dataclass(frozen=True, eq=False)
class NoisyCopy:
    """One noisy copy of the picture.

    Attributes:
        picture: (h, w) or (h, w, 3).
        heatmap: (h, w) of the same method.
        probability: of the explained class.
        correlation: rank correlation of its map with that of the picture, of the regions that are covered.
    """

    picture: _Pixels
    heatmap: npt.NDArray[np.float32]
    probability: float
    correlation: float


@dataclass(frozen=True, eq=False)
class Evidence:
    """What can be seen of one map.

    Attributes:
        covering: what covering did.
        copies: the first `COPIES` noisy copies.
        sigma: standard deviation of their noise, where black is 0 and white 1.
    """

    covering: Covering
    copies: tuple[NoisyCopy, ...]
    sigma: float


def evidence_of(
    case: Case,
    values: Mapping[str, Tensor],
    curves: PerturbationCurves,
    stability: RelativeStability,
    probabilities: Tensor,
) -> list[Evidence]:
    """The evidence of each image of a case; the network is asked nothing that the metrics have not asked.

    Args:
        case: n images and the maps of one method.
        values: by column, what the metrics measured: ``morf_curve``, ``lerf_curve`` and ``random_covered``.
        curves: how they were measured, fitted to the images.
        stability: which noisy copies were looked at.
        probabilities: (n, classes) of the images.

    Returns:
        (n,) one for each image.
    """
    rows = torch.arange(len(case.x), device=case.x.device)
    clean = probabilities[rows, case.target].cpu()
    lost = {order: values[f"{order}_curve"][:, -1].cpu() for order in ("morf", "lerf")}
    random = (clean[:, None] - values["random_covered"].cpu()).clamp(0, 1)
    covered = _covered(case, curves)
    copies = _copies(case, curves.region or 1, stability)
    return [
        Evidence(
            Covering(
                share=curves.fraction,
                clean=float(clean[i]),
                marked=_within(clean[i] - lost["morf"][i]),
                unmarked=_within(clean[i] - lost["lerf"][i]),
                random=tuple(random[i].tolist()),
                marked_picture=covered["morf"][i],
                unmarked_picture=covered["lerf"][i],
            ),
            tuple(NoisyCopy(*(part[i] for part in copy)) for copy in copies),
            stability.sigma,
        )
        for i in range(len(case.x))
    ]


def _within(probability: Tensor) -> float:
    return min(1.0, max(0.0, float(probability)))


def _covered(case: Case, curves: PerturbationCurves) -> dict[str, _Pixels]:
    """The images of the last step of each order, of the first draw of the noise."""
    region = curves.region or 1
    count = counts_of(case.x, region, curves.fraction, curves.steps)[-1]
    sources = next(fillings(case.x, curves.fill, 1, case.draws))
    pictures = {}
    for order in ("morf", "lerf"):
        replaced = (ranks_of(case.heatmap, order, region) < count)[:, None]
        changed = next(refilled(case.x[:, None], replaced, curves.fill, [source[:, None] for source in sources]))
        pictures[order] = _pixels(changed[:, 0])
    return pictures


def _copies(case: Case, region: int, stability: RelativeStability) -> list[tuple[Any, ...]]:
    """Picture, heatmap, probability and correlation of each shown copy, an entry an image."""
    draws = min(COPIES, int(stability.draws))
    clean, *noisy = case.noisy(sigma=stability.sigma, draws=draws)
    own = region_means(heatmap(clean.attribution, channels=case.channels).abs(), region)
    found = []
    for copy in noisy:
        map_ = heatmap(copy.attribution, channels=case.channels).abs()
        probability = copy.logits.softmax(1).gather(1, case.target.long()[:, None])[:, 0]
        alike = rank_correlation(own, region_means(map_, region))
        found.append((_pixels(copy.image), map_.float().cpu().numpy(), probability.tolist(), alike.tolist()))
    return found


def _pixels(x: Image) -> _Pixels:
    """Images (n, c, h, w) in [0, 1] as pictures (n, h, w) or (n, h, w, 3); of other channels their mean, in grey."""
    if x.shape[1] not in (1, 3):
        x = x.mean(1, keepdim=True)
    whole = (255 * x.detach().clamp(0, 1)).round().to(torch.uint8).cpu()
    array: _Pixels = np.ascontiguousarray((whole[:, 0] if whole.shape[1] == 1 else whole.movedim(1, -1)).numpy())
    return array
