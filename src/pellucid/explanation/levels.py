"""What the trust card's rules say of many images of one network, without drawing a card."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from pellucid.data import Dataset
from pellucid.explanation.card import FIGURES
from pellucid.explanation.examination import Examination
from pellucid.explanation.finding import examine
from pellucid.explanation.reference import Reference
from pellucid.explanation.trust_rules import LEVELS, Counts, Level, Thresholds, judge
from pellucid.metrics.regions import default_region

__all__ = ["Examined", "counted", "examined"]

NAME = "vanilla_gradient"
"""The map that is judged."""
BATCH = 20
"""Images that are examined at once."""


@dataclass(frozen=True, eq=False)
class Examined:
    """One map, and everything that the rules look at.

    Attributes:
        index: position of the image in its split.
        figures: numbers by name.
        percentiles: of the reference by figure.
        counts: what the figures were counted over.
        probability: of the explained class.
    """

    index: int
    figures: dict[str, float]
    percentiles: dict[str, float | None]
    counts: Counts
    probability: float

    def level(self, thresholds: Thresholds | None = None) -> Level:
        """What the rules say of it, with the package's thresholds or with others."""
        given: dict[str, Any] = {"counts": self.counts, "probability": self.probability}
        return judge(self.figures, self.percentiles, **given, thresholds=thresholds or Thresholds()).level


def examined(
    model: nn.Module,
    dataset: Dataset,
    positions: Sequence[int],
    reference: Reference,
    examination: Examination | None = None,
) -> list[Examined]:
    """Examine vanilla gradient maps of some images.

    Args:
        model: network in eval mode, on any device.
        dataset: the split that the images are of.
        positions: of the images.
        reference: other images of the same network, of which figures are percentiles.
        examination: what is measured; what a full card measures by default.
    """
    base = replace(examination or Examination(), saliency=(NAME,))
    asked = replace(base, curves=replace(base.curves, region=default_region(min(dataset.shape[1:]))))
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    found = []
    for first in range(0, len(positions), BATCH):
        part = list(positions[first : first + BATCH])
        x = dataset.take(torch.tensor(part)).to(device).float() / 255
        for index, finding in zip(part, examine(model, x, part, asked), strict=True):
            figures = finding.maps[NAME].figures
            percentiles = {name: reference.percentile(name, NAME, figures[name]) for name in FIGURES}
            probability = float(finding.probabilities[finding.target])
            found.append(Examined(index, figures, percentiles, asked.counts(NAME), probability))
    return found


def counted(maps: Sequence[Examined]) -> dict[Level, int]:
    """How many maps each level is said of, every level in its order.

    >>> counted([])
    {'do not rely': 0, 'undecided': 0, 'with care': 0, 'no objection': 0}
    """
    levels = Counter(one.level() for one in maps)
    return {level: levels[level] for level in LEVELS}
