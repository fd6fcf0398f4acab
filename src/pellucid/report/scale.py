"""The scale of the number that chooses a network for its maps: what the networks and a random map have."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pellucid.report.contrasts import Summaries
from pellucid.report.recommendation import DECIDING, RANDOM_GINI, Contest
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure

__all__ = ["Mark", "Scale", "scale"]


@dataclass(frozen=True)
class Mark:
    """A place on a scale: its name, its number as written, and where it lies, from 0 to 1."""

    name: str
    value: str
    place: float
    kind: str = ""


@dataclass(frozen=True)
class Scale:
    """What a number means: where the networks and a map that knows nothing lie between the ends of a measure."""

    measure: Measure
    low: str
    high: str
    marks: list[Mark] = field(default_factory=list)


def scale(runs: Sequence[Run], summaries: Summaries, baseline: Run, found: Sequence[Contest]) -> Scale | None:
    """Where the deciding number of the maps lies, of the baseline, of the best network, and of a random map.

    Args:
        runs: runs that may be compared.
        summaries: `summarise` of each by name.
        baseline: one of them.
        found: what `contests` returned.
    """
    of = {contest.measure.own_name: contest for contest in found}
    contest = next((of[name] for name in DECIDING if name in of), None)
    if contest is None:
        return None
    measure = contest.measure
    marks = []
    for name in dict.fromkeys((baseline.name, *contest.best[:1])):
        value = summaries[name][measure.name]
        kind = "baseline" if name == baseline.name else "best"
        marks.append(
            Mark(name, f"{value.mean * measure.scale:.{2 if measure.scale == 1 else 0}f}", _place(value.mean), kind)
        )
    if measure.own_name == "gini":
        marks.append(Mark("a random map", f"{RANDOM_GINI:.2f}", RANDOM_GINI, "random"))
        return Scale(measure, "0: all pixels marked alike", "1: one pixel holds everything", marks)
    chance = summaries[baseline.name].get("mass_chance") or summaries[baseline.name].get("mass_random")
    if chance is not None and chance.n:
        marks.append(Mark("a map that knows nothing", f"{100 * chance.mean:.0f}", _place(chance.mean), "random"))
    return Scale(measure, "0 %: nothing on the cause", "100 %: all on the cause", marks)


def _place(value: float) -> float:
    return min(1.0, max(0.0, value))
