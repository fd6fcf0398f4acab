"""Where each network stands: which is best, what it gained and paid against the baseline, and in which words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pellucid.metrics.survival import Survival
from pellucid.report.contrasts import Contrast, Contrasts, Summaries, best_of, is_measured, spoken_of
from pellucid.report.measures import saliency_title, written
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure, measures_of
from pellucid.statistics import Interval

__all__ = [
    "NOWHERE",
    "Change",
    "Standing",
    "amount",
    "baseline_of",
    "changes",
    "listed",
    "sanity",
    "standings",
    "with_unit",
]


@dataclass(frozen=True)
class Standing:
    """Where one run stands in one metric.

    Attributes:
        rank: ``best``, ``level`` (cannot be told apart from the best), or empty.
        change: against the baseline: ``better``, ``worse``, ``level`` (cannot be told apart), or empty for the baseline
            itself and for metrics without a better direction.
        difference: this run minus the baseline, paired over images; None for the baseline.
        p: Holm-corrected p-value of that difference; None for the baseline.
    """

    rank: str
    change: str
    difference: Interval | None
    p: float | None = None


NOWHERE = Standing("", "", None)
"""Where a run stands in what was not measured of it."""


@dataclass(frozen=True)
class Change:
    """What one run gained and paid against the baseline; each part names a metric and by how much."""

    run: str
    better: list[str]
    worse: list[str]
    level: list[str]


def baseline_of(runs: Sequence[Run]) -> Run:
    """The first run trained in the regular way on the network as it is; where there is none, the first."""
    plain = [run for run in runs if run.method == "Regular" and run.activation is None and run.smoothing is None]
    return (plain or list(runs))[0]


def standings(
    runs: Sequence[Run], summaries: Summaries, baseline: Run, contrasted: Contrasts
) -> dict[tuple[str, str], Standing]:
    """Standing of every (run, metric): which is best, which cannot be told apart from it, and what changed.

    Args:
        runs: runs that may be compared.
        summaries: `summarise` of each by name.
        baseline: one of them.
        contrasted: what `contrasts` returned.
    """
    standing = {}
    for measure in measures_of(runs):
        having = [run for run in runs if is_measured(run, measure, summaries)]
        leader = best_of(having, summaries, measure)
        for run in having:
            rank = "best" if run is leader else ""
            if leader is not None and run is not leader:
                rank = "" if contrasted[measure.name, run.name, leader.name].tells else "level"
            found = contrasted.get((measure.name, run.name, baseline.name))
            difference, p = (None, None) if found is None else (found.difference, found.p)
            standing[run.name, measure.name] = Standing(rank, _change(found, measure.sign), difference, p)
    return standing


def changes(
    runs: Sequence[Run], summaries: Summaries, standing: Mapping[tuple[str, str], Standing], baseline: Run
) -> list[Change]:
    """What each run but the baseline gained, paid and kept, in the measures of `spoken_of`."""
    changed = []
    for run in runs:
        if run is baseline:
            continue
        lists: dict[str, list[str]] = {"better": [], "worse": [], "level": []}
        for measure in spoken_of(runs):
            ours = standing.get((run.name, measure.name), NOWHERE)
            if ours.change:
                value, of_baseline = (summaries[name].get(measure.name) for name in (run.name, baseline.name))
                by = amount(value, of_baseline, ours.difference, measure)
                lists[ours.change].append(measure.title if ours.change == "level" else f"{measure.title} {by}")
        changed.append(Change(run.name, lists["better"], lists["worse"], lists["level"]))
    return changed


def sanity(survived: Mapping[str, Mapping[str, Survival]]) -> list[str]:
    """Which runs' maps fail their sanity check, a sentence for the saliency methods of which the same is said.

    Args:
        survived: for each run's name what `pellucid.report.caveats.survivals` says.
    """
    methods: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for method in dict.fromkeys(method for survival in survived.values() for method in survival):
        verdicts = tuple((name, survival[method].verdict) for name, survival in survived.items() if method in survival)
        methods.setdefault(verdicts, []).append(saliency_title(method))
    return [_sane(listed(titles), dict(verdicts)) for verdicts, titles in methods.items()]


def _sane(titles: str, verdicts: Mapping[str, str]) -> str:
    def names(kind: str) -> str:
        having = [name for name, verdict in verdicts.items() if verdict == kind]
        return "every network" if len(having) == len(verdicts) > 1 else listed(having) if having else ""

    failed, passed, unclear = names("survives"), names("falls"), names("unclear")
    said = []
    if failed:
        said.append(
            f"{titles} maps of {failed} fail the sanity check: they stay much the same when all layers of the network "
            "are random, so they show the pictures more than what was learned."
        )
        said += [f"Those of {passed} pass."] if passed else []
    elif passed:
        said.append(f"{titles} maps of {passed} pass the sanity check: they change when the layers are random.")
    if unclear:
        said.append(f"Whether {titles} maps of {unclear} pass it, these pictures are too few to tell.")
    return " ".join(said)


def amount(ours: Interval | None, theirs: Interval | None, against: Interval | None, measure: Measure) -> str:
    """How far ``ours`` lies from ``theirs``: a factor where it is 2 or more, otherwise the paired difference.

    >>> ours, theirs = Interval(2.0, 1.9, 2.1, 9), Interval(40.0, 39.0, 41.0, 9)
    >>> amount(ours, theirs, Interval(-38.0, -39.0, -37.0, 9), Measure.named("ris"))
    '20 times lower'
    """
    if ours is None or theirs is None or against is None:
        return ""
    if measure.unit != "%" and min(ours.mean, theirs.mean) > 0:
        factor = max(ours.mean / theirs.mean, theirs.mean / ours.mean)
        if factor >= 2:
            digits = f"{factor:.1f}" if factor < 10 else f"{round(factor, 1 - math.floor(math.log10(factor))):.0f}"
            return f"{digits} times {'higher' if ours.mean > theirs.mean else 'lower'}"
    mean, low, high = ((text if text[0] in "−–" else f"+{text}") for text in written(against, measure))
    unit = {"%": " points"}.get(measure.unit, f" {measure.unit}").rstrip()
    return f"{mean}{unit} [{low}, {high}]"


def with_unit(interval: Interval, measure: Measure) -> str:
    """An interval as in a sentence, such as ``86.1 % [84.0, 88.2]``."""
    mean, low, high = written(interval, measure)
    return f"{mean} {measure.unit}".rstrip() + f" [{low}, {high}]"


def _change(test: Contrast | None, sign: int) -> str:
    if test is None or not sign:
        return ""
    if not test.tells:
        return "level"
    return "better" if (test.difference.mean > 0) == (sign > 0) else "worse"


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
