"""Metrics that only a trust card needs: is the map steady, the prediction kept, a random map as faithful?"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.types import Heatmap
from pellucid.metrics import rank_correlation
from pellucid.metrics.case import Case
from pellucid.metrics.chunks import rows_of
from pellucid.metrics.column import Column
from pellucid.metrics.families.faithfulness import PerturbationCurves
from pellucid.metrics.families.stability import RelativeStability, coverage_column
from pellucid.metrics.metric import About, Metric
from pellucid.metrics.perturbation import noisy_image
from pellucid.metrics.regions import slices
from pellucid.saliency import heatmap

__all__ = ["PredictionKept", "RandomMaps", "Steadiness", "region_means"]


@dataclass(frozen=True, kw_only=True)
class Steadiness(Metric):
    """Rank correlation of the map with those of noisy copies, over the regions that the perturbation curves replace.

    Args:
        sigma: standard deviation of the noise in pixel units.
        draws: noisy copies of an image; of a single one, the error is NaN.
        region: side of the regions in pixels.
    """

    about: ClassVar[About] = "noisy maps"
    sigma: float = RelativeStability.sigma
    draws: int = RelativeStability.draws
    region: int = 1
    columns = {
        "similarity": Column(
            title="Steadiness",
            definition="Rank correlation of the map with the maps of slightly noisy copies: 1 is the same map, 0 an "
            "unrelated one.",
            direction="higher",
        ),
        "similarity_error": Column(
            title="Error of the steadiness", definition="Standard error of that mean over the noisy copies."
        ),
    }

    def __call__(self, case: Case) -> Mapping[str, Tensor]:
        clean, *noisy = (
            region_means(heatmap(version.attribution, channels=case.channels).abs(), self.region)
            for version in case.noisy(sigma=self.sigma, draws=self.draws, predict=False)
        )
        alike = torch.stack([rank_correlation(clean, copy) for copy in noisy])
        error = alike.std(0) / self.draws**0.5 if self.draws > 1 else torch.full_like(alike[0], torch.nan)
        return {"similarity": alike.mean(0), "similarity_error": error}


@dataclass(frozen=True, kw_only=True)
class PredictionKept(Metric):
    """Share of noisy copies that keep the prediction, over more copies than there are maps of.

    Args:
        sigma: standard deviation of the noise in pixel units.
        draws: noisy copies of an image.
    """

    about: ClassVar[About] = "network"
    sigma: float = RelativeStability.sigma
    draws: int = 50
    columns = {
        "stability_coverage": replace(coverage_column("gaussian"), title="Prediction kept", plain="", of_map=False)
    }

    def __call__(self, case: Case) -> Mapping[str, Tensor]:
        kept = torch.zeros(len(case.x), device=case.x.device)
        for part in slices(self.draws, _at_once(case)):
            draws = [randomness.of(case.draws, f"prediction/{draw}") for draw in range(part.start, part.stop)]
            noisy = torch.cat([noisy_image(case.x, source, sigma=self.sigma) for source in draws])
            with torch.no_grad():
                answers = case.model(noisy).argmax(1).view(len(draws), -1)
            kept += (answers == case.prediction).sum(0)
        return {"stability_coverage": kept / self.draws}


@dataclass(frozen=True, kw_only=True)
class RandomMaps(Metric):
    """The perturbation curves of maps that know nothing of the image.

    Args:
        curves: how they are measured.
        maps: number of random maps.
    """

    about: ClassVar[About] = "network"
    explains: ClassVar[bool] = True
    curves: PerturbationCurves = field(default_factory=PerturbationCurves)
    maps: int = 39
    columns = {
        "random_aopc": Column(
            title="AOPC of random maps",
            definition="Mean loss of confidence while random regions are destroyed.",
            of_map=False,
        ),
        "random_faithfulness": Column(
            title="Faithfulness of random maps",
            definition="AOPC MoRF minus AOPC LeRF of each random map.",
            curve=True,
            of_map=False,
        ),
        "random_covered": Column(
            title="Confidence lost with random parts covered",
            definition="Loss of confidence at the last step of the curves of each random map, and of its reverse.",
            curve=True,
            of_map=False,
        ),
    }

    def __call__(self, case: Case) -> Mapping[str, Tensor]:
        n, shape = len(case.x), (len(case.x), *case.x.shape[2:])
        mean, difference, covered = [], [], []
        for part in slices(self.maps, _at_once(case)):
            sources = [randomness.of(case.draws, f"random_map/{number}") for number in range(part.start, part.stop)]
            random = [randomness.uniform(shape, source, device=case.x.device).to(case.x.dtype) for source in sources]
            # Each image stands there once for each map, with its own draws.
            copies = replace(
                case, x=case.x.repeat(len(random), 1, 1, 1), given=torch.cat(random),
                explained=case.target.repeat(len(random)), index=case.index.repeat(len(random)),
                generator=rows_of(case.draws, [*range(n)] * len(random), n),
            )  # fmt: skip
            values = {name: value.view(-1, n, *value.shape[1:]) for name, value in self.curves(copies).items()}
            mean.append((values["aopc_morf"] + values["aopc_lerf"]) / 2)
            difference.append(values["aopc_morf"] - values["aopc_lerf"])
            covered.append(torch.stack([values["morf_curve"][..., -1], values["lerf_curve"][..., -1]], dim=1))
        return {
            "random_aopc": torch.cat(mean).mean(0),
            "random_faithfulness": torch.cat(difference).T,
            "random_covered": torch.cat(covered).flatten(0, 1).T,
        }


def _at_once(case: Case) -> int:
    """How many versions of a case's images go through the network together: few images alone would waste a pass."""
    return max(1, case.chunk // len(case.x))


def region_means(map_: Heatmap, region: int) -> Heatmap:
    """Mean of each square that the perturbation curves replace, so that what is compared is what is tested.

    Args:
        map_: (n, h, w).
        region: side of the squares in pixels; those at the right and lower edge may be smaller.

    Returns:
        (n, rows of squares, columns of squares).

    >>> region_means(torch.tensor([[[1.0, 3.0, 5.0]]]), 2)
    tensor([[[2., 5.]]])
    """
    return F.avg_pool2d(map_[:, None], region, ceil_mode=True, count_include_pad=False)[:, 0]
