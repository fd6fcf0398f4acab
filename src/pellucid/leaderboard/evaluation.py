"""What is measured of every network of a leaderboard."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch

from pellucid.core.checks import in_unit
from pellucid.core.randomness import SampleDraws
from pellucid.leaderboard.plan import Family, Leaderboard
from pellucid.metrics.column import Column
from pellucid.metrics.families.curves import CurveOrder, Further, PerturbationCurves
from pellucid.metrics.families.faithfulness import ROAD
from pellucid.metrics.families.robustness import AutoAttack
from pellucid.metrics.families.sanity import Randomisation
from pellucid.metrics.metric import Case, Images, Metric, Numbers
from pellucid.papers.setting import Setting
from pellucid.runs.evaluation import Evaluation

__all__ = ["SomeImages", "evaluation"]

NAMES = (
    *("robust_correct", "gradient_variation", "gini", "entropy"),
    *("ris", "ros", "rrs", "stability_coverage", "map_ssim", "randomisation"),
)
"""What is measured of all images by name."""
TRUTH_NAMES = (
    *("mass", "mass_lift", "mass_chance", "mass_random", "mass_edges", "rank_accuracy", "pointing"),
    *("follows_cause", "follows_rest", "mass_checked"),
)
"""What is measured besides where masks are known."""
CURVE_IMAGES: dict[Family, int] = {"grey": 150, "colour": 100, "colour-96": 100}
"""How many images the perturbation curves and their oracles look at: 110 ms an image of 28 × 56 pixels, where all else
by name takes 15, and 480 of ResNet-18 on 64 pixels; of Fashion-MNIST, where they take 34, all."""
SLOW_IMAGES: dict[Family, int] = {"grey": 50, "colour": 50, "colour-96": 50}
"""How many images AutoAttack and ROAD look at: AutoAttack takes 210 ms an image of LeNet-5, and over a second where the
network withstands it; ROAD 20 to 45. On colour images also the network with random layers."""


@dataclass(frozen=True, kw_only=True)
class SomeImages(Metric):
    """A measure of a part of the images, for one that takes long; the others have no value.

    Which images these are depends on their position in the dataset alone, so that it is the same for every network.

    Args:
        of: the measure.
        share: part of the images, in [0, 1].
    """

    of: Metric
    share: float = 0.2

    def __post_init__(self) -> None:
        in_unit(share=self.share)

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]
        """Those of the measure, but for its curves."""
        return {name: column for name, column in self.of.columns.items() if not column.curve}

    @property
    def aggregates(self) -> Mapping[str, Column]:  # type: ignore[override]
        """Those of the measure."""
        return self.of.aggregates

    @property
    def about(self) -> Any:  # type: ignore[override]
        """What the measure looks at."""
        return self.of.about

    @property
    def explains(self) -> Any:  # type: ignore[override]
        """Whether the measure depends on the class that is explained."""
        return self.of.explains

    def fitted(self, images: Images) -> Metric:
        return replace(self, of=self.of.fitted(images))

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        return {**self.of.settings(column, model, seed), "share": self.share}

    def __call__(self, case: Case) -> Numbers:
        chosen = SampleDraws(0, tuple(case.index.tolist())).of("some images").uniform((len(case.index), 1)) < self.share
        position = torch.nonzero(chosen[:, 0]).flatten().to(case.x.device)
        found: Numbers = {}
        if len(position):
            about_map: dict[str, Any] = {"given": case.heatmap[position]} if self.about != "network" else {}
            part = replace(
                case, x=case.x[position], label=case.label[position], index=case.index[position.to(case.index.device)],
                explained=case.target[position], mask=None, **about_map,
            )  # fmt: skip
            found = self.of(part)
        numbers = {}
        for name in self.columns:
            numbers[name] = torch.full((len(case.x),), torch.nan, device=case.x.device)
            if name in found:
                numbers[name][position] = found[name].to(numbers[name])
        return numbers


def evaluation(plan: Leaderboard, at: Setting) -> Evaluation:
    """The evaluation of a board's networks: vanilla gradient maps, of the predicted class.

    Args:
        plan: which board.
        at: its images, with how many of them are measured.
    """
    names: tuple[str, ...] = (*NAMES, *TRUTH_NAMES) if plan.truth else NAMES
    slow: tuple[Metric, ...] = (AutoAttack(), ROAD())
    if plan.family != "grey":
        names = tuple(name for name in names if name != "randomisation")
        slow = (*slow, Randomisation())
    of_curves = at.evaluation.images if plan.name == "fashion-mnist" else CURVE_IMAGES[plan.family]
    metrics: tuple[str | Metric, ...] = (
        *names,
        *(_some(one, of_curves, at) for one in curves(at.evaluation)),
        *(_some(one, SLOW_IMAGES[plan.family], at) for one in slow),
    )
    return replace(at.evaluation, metrics=metrics, saliency=("vanilla_gradient",), gallery=4)


def curves(evaluation: Evaluation) -> tuple[PerturbationCurves, ...]:
    """Perturbation curves under uniform noise and under the image's mean, with random and oracle orders.

    Args:
        evaluation: whose steps and repeats they have, where it names any.
    """
    noise = PerturbationCurves(orders=get_args(CurveOrder), between=True, further=get_args(Further))
    mean = replace(noise, fill="mean", suffix="mean")
    given = {name: getattr(evaluation, name) for name in ("steps", "repeats") if getattr(evaluation, name) is not None}
    return replace(noise, **given), replace(mean, **given)


def _some(metric: Metric, images: int, at: Setting) -> Metric:
    share = images / at.evaluation.images
    return SomeImages(of=metric, share=share) if share < 1 else metric
