"""What the trust card's words are worth: of maps that it objects to or does not, what share is true?"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from pellucid.core.errors import InputError
from pellucid.core.files import check_writable
from pellucid.explanation.levels import Examined, examined
from pellucid.explanation.reference import of_rows
from pellucid.explanation.trust_rules import LEVELS, Thresholds
from pellucid.leaderboard.calibration_page import page
from pellucid.leaderboard.parts import origin, stored
from pellucid.leaderboard.plan import TRUTH_BOARDS, Leaderboard
from pellucid.leaderboard.telling import Network, measured_networks
from pellucid.papers.reproduce import write
from pellucid.report.table import interval_data
from pellucid.runs.environment import environment
from pellucid.runs.trained import open_run
from pellucid.statistics import of_share
from pellucid.statistics.clusters import clustered_interval

__all__ = ["Judged", "cards", "is_true", "moved", "shares"]

MARGINS = {"pointing": 0.1, "mostly": 0.5}
"""How far a map's mass must be above chance, as a part of what is left to 1, to count as true: weakly and strictly."""
STRICT = "mostly"
"""The reading of truth for which thresholds are moved."""
IMAGES = 60
LEAST_CARDS = 30


GRID = tuple(
    Thresholds(shaky=shaky, poor=poor, unsure=unsure, diffuse=diffuse)
    for shaky in (0.4, 0.5, 0.6, 0.7, 0.8)
    for poor in (10.0, 25.0, 50.0)
    for unsure in (0.5, 0.7, 0.9)
    for diffuse in (0.0, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)
)


@dataclass(frozen=True, eq=False)
class Judged:
    """One map that a card speaks of, and how much of it lies on what decides the class.

    Attributes:
        entry: how the network was trained.
        map: what the rules look at.
        mass: share of the map on what decides the class.
        chance: share of the area that this has.
    """

    entry: str
    map: Examined
    mass: float
    chance: float

    def true(self, margin: float) -> bool:
        """Whether the map is true, as `is_true` says."""
        return is_true(self.mass, self.chance, margin)


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
    trained. What the page says of a board of which fewer networks are here is kept, and its thresholds are reported on
    the boards that are here.

    Args:
        plan: where the runs and the results are.
        progress: has no effect.

    Raises:
        InputError: no truth board has a measured network, and the page has none.
    """
    check_writable(plan.results)
    facts = environment(torch.device("cpu"))
    kept = {part["board"]: part for part in stored(plan, plan.named("trust-card")).get("boards", ())}
    judged: dict[str, list[Judged]] = {}
    parts: dict[str, dict[str, Any]] = {}
    for name in TRUTH_BOARDS:
        found = [one for one in measured_networks(replace(plan, name=name, seeds=1)) if "mass" in one.run.measures]
        if found and len(found) >= kept.get(name, {"networks": 0})["networks"]:
            images = 6 if plan.scale == "smoke" else IMAGES
            judged[name] = [card for network in found for card in _judged(network, images)]
            parts[name] = _part(name, found, judged[name]) | origin((one.run for one in found), facts)
        elif name in kept:
            parts[name] = kept[name]
    if not parts:
        raise InputError(
            f"no truth board has a measured network in {plan.out}; measure: pellucid leaderboard truth:beside"
        )
    for name, part in parts.items():
        if part["moved"] is not None:
            thresholds = Thresholds(**part["moved"])
            part["moved_on_others"] |= {
                other: shares(maps, thresholds) for other, maps in judged.items() if other != name
            }
    result = {
        "name": plan.named("trust-card"),
        "scale": plan.scale,
        "margins": MARGINS,
        "strict": STRICT,
        "thresholds": asdict(Thresholds()),
        "boards": list(parts.values()),
        "command": f"pellucid leaderboard cards{' --scale smoke' * (plan.scale == 'smoke')}",
    }
    file = plan.results / str(result["name"])
    return [write(result, page(result), file), file.with_suffix(".json")]


def _part(name: str, networks: Sequence[Network], maps: Sequence[Judged]) -> dict[str, Any]:
    """A board's own numbers: what its cards say as they are, and under the thresholds that were moved on it."""
    thresholds = moved(maps)
    return {
        "board": name,
        "networks": len(networks),
        "maps": len(maps),
        "as_it_is": {reading: shares(maps, margin=margin) for reading, margin in MARGINS.items()},
        "moved": None if thresholds is None else asdict(thresholds),
        "moved_here": None if thresholds is None else shares(maps, thresholds),
        "moved_on_others": {},
    }


def _judged(network: Network, images: int) -> list[Judged]:
    """One network's vanilla gradient maps, where interventions show that the cause decides."""
    run = network.run
    model, dataset = open_run(run.path, run.info["split"])
    decides = (run.values("follows_cause") == 1) & (run.values("follows_rest") == 0)
    indices = run.rows["index"].to_numpy()
    masses = dict(zip(indices.tolist(), run.values("mass"), strict=True))
    chances = dict(zip(indices.tolist(), run.values("mass_chance"), strict=True))
    positions = [index for index in indices[decides][:images].tolist() if np.isfinite(masses[index])]
    return [
        Judged(network.entry, map_, float(masses[map_.index]), float(chances[map_.index]))
        for map_ in examined(model, dataset, positions, of_rows(run.path))
    ]


def shares(
    maps: Sequence[Judged], thresholds: Thresholds | None = None, *, margin: float = MARGINS[STRICT]
) -> dict[str, Any]:
    """By what the card says: how many maps it says it of, and what share of them is true, with its interval.

    Args:
        maps: of one truth set; the interval is over other trainings.
        thresholds: other than the package's.
        margin: how far above chance a true map is.
    """
    by_level: Mapping[str, list[Judged]] = defaultdict(list)
    for one in maps:
        by_level[one.map.level(thresholds)].append(one)
    told: dict[str, Any] = {}
    for level in (*LEVELS, "all"):
        group = list(maps) if level == "all" else by_level[level]
        true = np.array([one.true(margin) for one in group], dtype=np.float64)
        told[level] = {"maps": len(group), "share": float(true.mean()) if len(true) else None}
        entries = [one.entry for one in group]
        if len({*entries}) > 1:
            interval = clustered_interval(_mean_of(true), entries)
            # Where all maps of all networks are true, or none is, as many networks as these speak about others.
            widened = of_share(replace(interval, n=len({*entries}))) if interval.n else interval
            told[level]["interval"] = interval_data(replace(widened, n=interval.n))
    return told


def _mean_of(values: Any) -> Any:
    return lambda chosen: float(values[chosen].mean())


def moved(maps: Sequence[Judged]) -> Thresholds | None:
    """The thresholds under which maps without objection are truest, as against those that are not relied on.

    Among the grid's, those with the greatest difference of the two shares, where each is of 30 maps or more; None
    where none has so many.

    Args:
        maps: of one truth set.
    """
    best, greatest = None, -np.inf
    true = np.array([one.true(MARGINS[STRICT]) for one in maps], dtype=np.float64)
    for thresholds in GRID:
        levels = np.array([one.map.level(thresholds) for one in maps])
        good, bad = levels == "no objection", levels != "no objection"
        if min(good.sum(), bad.sum()) < LEAST_CARDS:
            continue
        difference = true[good].mean() - true[bad].mean()
        if difference > greatest:
            best, greatest = thresholds, difference
    return best
