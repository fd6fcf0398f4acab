"""What the trust card's words are worth: of maps that it objects to or does not, what share is true?"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from pellucid.core.errors import InputError
from pellucid.core.files import check_writable
from pellucid.explanation.card import FIGURES
from pellucid.explanation.examination import Examination, examine
from pellucid.explanation.reference import of_rows
from pellucid.explanation.trust_rules import LEVELS, Counts, Thresholds, judge
from pellucid.leaderboard.calibration_page import page
from pellucid.leaderboard.plan import TRUTH_BOARDS, Leaderboard
from pellucid.leaderboard.telling import Network, measured_networks
from pellucid.metrics.regions import default_region
from pellucid.papers.reproduce import write
from pellucid.report.table import interval_data
from pellucid.runs.environment import environment, told_commit
from pellucid.runs.trained import open_run
from pellucid.statistics.clusters import clustered_interval

__all__ = ["Examined", "cards", "is_true", "moved", "shares"]

MARGINS = {"pointing": 0.1, "mostly": 0.5}
"""How far a map's mass must be above chance, as a part of what is left to 1, to count as true: weakly and strictly."""
STRICT = "mostly"
"""The reading of truth for which thresholds are moved."""
IMAGES = 60
NAME = "vanilla_gradient"
LEAST_CARDS = 30


GRID = tuple(
    Thresholds(shaky=shaky, poor=poor, unsure=unsure, diffuse=diffuse)
    for shaky in (0.4, 0.5, 0.6, 0.7, 0.8)
    for poor in (10.0, 25.0, 50.0)
    for unsure in (0.5, 0.7, 0.9)
    for diffuse in (0.0, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)
)


@dataclass(frozen=True, eq=False)
class Examined:
    """One map that a card speaks of, with everything that the rules look at, and whether it is true.

    Attributes:
        entry: how the network was trained.
        figures: numbers by name.
        percentiles: of the reference by figure.
        counts: what the figures were counted over.
        probability: of the explained class.
        mass: share of the map on what decides the class.
        chance: share of the area that this has.
    """

    entry: str
    figures: dict[str, float]
    percentiles: dict[str, float | None]
    counts: Counts
    probability: float
    mass: float
    chance: float

    def true(self, margin: float) -> bool:
        """Whether the map is true, as `is_true` says."""
        return is_true(self.mass, self.chance, margin)

    def level(self, thresholds: Thresholds | None = None) -> str:
        """What the rules say of it, with the package's thresholds or with others."""
        given = {"counts": self.counts, "probability": self.probability, "thresholds": thresholds or Thresholds()}
        return judge(self.figures, self.percentiles, **given).level  # type: ignore[arg-type]


def is_true(mass: float, chance: float, margin: float = MARGINS[STRICT]) -> bool:
    """Whether a map counts as true: its mass on the cause is above chance by a part of what is left to 1.

    Args:
        mass: share of the map on what decides the class.
        chance: share of the area that this has.
        margin: that part.

    >>> is_true(0.8, 0.5), is_true(0.7, 0.5), is_true(0.56, 0.5, margin=0.1)
    (True, False, True)
    """
    return mass >= chance + margin * (1 - chance)


def cards(plan: Leaderboard, *, progress: bool = True) -> list[Any]:
    """Write what share of maps is true among those of which the card says each of its words.

    Of every measured entry of the truth boards, the network of the first seed, and of it 60 test images on which
    exchanging the cause changes the prediction and exchanging the rest does not, so that the cause is known to decide.
    Thresholds are moved on each truth set and reported on the others. Writes trust-card.md and .json; nothing is
    trained.

    Args:
        plan: where the runs and the results are.
        progress: of no effect.

    Raises:
        InputError: no truth board has a measured network.
    """
    check_writable(plan.results)
    facts = environment(torch.device("cpu"))
    del facts["command"]
    examined: dict[str, list[Examined]] = {}
    networks: list[Network] = []
    for name in TRUTH_BOARDS:
        found = [one for one in measured_networks(replace(plan, name=name, seeds=1)) if "mass" in one.run.measures]
        if found:
            images = 6 if plan.scale == "smoke" else IMAGES
            examined[name] = [card for network in found for card in _examined(network, images)]
            networks += found
    if not networks:
        raise InputError(
            f"no truth board has a measured network in {plan.out}; measure: pellucid leaderboard truth:beside"
        )
    boards = []
    for name, maps in examined.items():
        thresholds = moved(maps)
        boards.append(
            {
                "board": name,
                "networks": sum(network.run.info["dataset"] == name for network in networks),
                "maps": len(maps),
                "as_it_is": {reading: shares(maps, margin=margin) for reading, margin in MARGINS.items()},
                "moved": None if thresholds is None else asdict(thresholds),
                "moved_here": None if thresholds is None else shares(maps, thresholds),
                "moved_on_others": {
                    other: shares(theirs, thresholds)
                    for other, theirs in examined.items()
                    if other != name and thresholds is not None
                },
            }
        )
    result = {
        "name": plan.named("trust-card"),
        "scale": plan.scale,
        "margins": MARGINS,
        "strict": STRICT,
        "thresholds": asdict(Thresholds()),
        "boards": boards,
        "environment": {**facts, "device_name": networks[0].run.environment["device_name"]},
        "trained_at": sorted({told_commit(network.run.environment) for network in networks}),
        "command": f"pellucid leaderboard cards{' --scale smoke' * (plan.scale == 'smoke')}",
    }
    file = plan.results / str(result["name"])
    return [write(result, page(result), file), file.with_suffix(".json")]


def _examined(network: Network, images: int) -> list[Examined]:
    """The cards' figures of one network's vanilla gradient maps, where interventions show that the cause decides."""
    run = network.run
    model, dataset = open_run(run.path, run.info["split"])
    decides = (run.values("follows_cause") == 1) & (run.values("follows_rest") == 0)
    positions = run.rows["index"].to_numpy()[decides][:images].tolist()
    if not positions:
        return []
    masses = dict(zip(run.rows["index"].to_numpy().tolist(), run.values("mass"), strict=True))
    chances = dict(zip(run.rows["index"].to_numpy().tolist(), run.values("mass_chance"), strict=True))
    base = Examination(saliency=(NAME,))
    region = default_region(min(dataset.shape[1:]))
    examination = replace(base, curves=replace(base.curves, region=region))
    x = dataset.take(torch.tensor(positions)).float() / 255
    reference = of_rows(run.path)
    found = []
    for index, finding in zip(positions, examine(model, x, positions, examination), strict=True):
        figures = finding.maps[NAME].figures
        percentiles = {name: reference.percentile(name, NAME, figures[name]) for name in FIGURES}
        if np.isfinite(masses[index]):
            found.append(
                Examined(
                    network.entry, figures, percentiles, examination.counts(NAME),
                    float(finding.probabilities[finding.target]), float(masses[index]), float(chances[index]),
                )
            )  # fmt: skip
    return found


def shares(
    maps: Sequence[Examined], thresholds: Thresholds | None = None, *, margin: float = MARGINS[STRICT]
) -> dict[str, Any]:
    """By what the card says: how many maps it says it of, and what share of them is true, with its interval.

    Args:
        maps: of one truth set; the interval is over other trainings.
        thresholds: other than the package's.
        margin: how far above chance a true map is.
    """
    by_level: Mapping[str, list[Examined]] = defaultdict(list)
    for one in maps:
        by_level[one.level(thresholds)].append(one)
    told: dict[str, Any] = {}
    for level in (*LEVELS, "all"):
        group = list(maps) if level == "all" else by_level[level]
        true = np.array([one.true(margin) for one in group], dtype=np.float64)
        told[level] = {"maps": len(group), "share": float(true.mean()) if len(true) else None}
        if len({one.entry for one in group}) > 1:
            interval = clustered_interval(_mean_of(true), [one.entry for one in group])
            told[level]["interval"] = interval_data(interval)
    return told


def _mean_of(values: Any) -> Any:
    return lambda chosen: float(values[chosen].mean())


def moved(maps: Sequence[Examined]) -> Thresholds | None:
    """The thresholds under which maps without objection are truest, as against those that are not relied on.

    Among the grid's, those with the greatest difference of the two shares, where each is of 30 maps or more; None
    where none has so many.

    Args:
        maps: of one truth set.
    """
    best, greatest = None, -np.inf
    true = np.array([one.true(MARGINS[STRICT]) for one in maps], dtype=np.float64)
    for thresholds in GRID:
        levels = np.array([one.level(thresholds) for one in maps])
        good, bad = levels == "no objection", levels != "no objection"
        if min(good.sum(), bad.sum()) < LEAST_CARDS:
            continue
        difference = true[good].mean() - true[bad].mean()
        if difference > greatest:
            best, greatest = thresholds, difference
    return best
