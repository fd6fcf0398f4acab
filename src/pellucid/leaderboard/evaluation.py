"""What is measured of every network of a leaderboard."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from pellucid.core.checks import in_unit
from pellucid.core.randomness import SampleDraws
from pellucid.leaderboard.plan import Leaderboard
from pellucid.metrics.column import Column
from pellucid.metrics.families.faithfulness import ROAD
from pellucid.metrics.families.robustness import AutoAttack
from pellucid.metrics.metric import Case, Images, Metric, Numbers
from pellucid.papers.setting import Setting
from pellucid.runs.evaluation import Evaluation

__all__ = ["SomeImages", "evaluation"]

NAMES = (
    *("robust_correct", "gradient_variation", "gini", "entropy", "aopc_morf", "aopc_lerf", "aopc_random"),
    *("ris", "ros", "rrs", "stability_coverage", "map_ssim", "randomisation"),
)
"""What is measured of all images by name."""
TRUTH_NAMES = (
    *("mass", "mass_lift", "mass_chance", "mass_random", "mass_edges", "rank_accuracy", "pointing"),
    *("follows_cause", "follows_rest", "mass_checked"),
)
"""What is measured besides where masks are known."""
SLOW_IMAGES = 200
"""How many images AutoAttack and ROAD look at: 138 and 17 ms an image of LeNet-5, all other measures together 45."""


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
            about_map = {"given": case.heatmap[position]} if self.about != "network" else {}
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
    share = min(1.0, SLOW_IMAGES / at.evaluation.images)
    slow = (SomeImages(of=AutoAttack(), share=share), SomeImages(of=ROAD(), share=share))
    names = (*NAMES, *TRUTH_NAMES) if plan.truth else NAMES
    return replace(at.evaluation, metrics=(*names, *slow), saliency=("vanilla_gradient",), gallery=4)
