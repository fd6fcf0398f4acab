"""Which networks can be told apart by which number, and by how much: paired over the images, corrected together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtr, ndtri

from pellucid.metrics.survival import Survival
from pellucid.report.measures import saliency_title, written
from pellucid.runs.directory import Run
from pellucid.runs.measures import Measure, measures_of
from pellucid.statistics import Interval
from pellucid.statistics.aggregates import MOST_IMAGES, Share
from pellucid.statistics.comparison import holm
from pellucid.statistics.intervals import interval_of, resampled

__all__ = [
    "ALPHA",
    "Change",
    "Contrast",
    "Contrasts",
    "Standing",
    "Summaries",
    "amount",
    "baseline_of",
    "changes",
    "contrasts",
    "listed",
    "p_value",
    "sanity",
    "spoken_of",
    "standings",
    "with_unit",
]

ALPHA = 0.05
"""Two runs are told apart where the corrected p-value lies below."""

FEW_RUNS = 8
"""Runs up to which every pair has a bootstrap of its own; of more runs the pairs share one for each run."""

Summaries = Mapping[str, Mapping[str, Interval]]


@dataclass(frozen=True)
class Contrast:
    """Whether two runs differ in a number.

    Attributes:
        difference: the first run minus the second, paired over the images.
        p: two-sided p-value of no difference, corrected by Holm.
        undecided: how many of the comparisons that are corrected together tell nothing apart, this one included.
    """

    difference: Interval
    p: float
    undecided: int = 1

    @property
    def tells(self) -> bool:
        """Whether the two runs can be told apart."""
        return self.p < ALPHA

    @property
    def images_needed(self) -> int | None:
        """With about how many images the two could be told apart, were the others like these.

        The interval narrows with the root of their number, and Holm's correction asks of the least of the undecided
        comparisons that its p-value, times their number, lie below `ALPHA`.

        >>> Contrast(Interval(0.1, -0.1, 0.3, 100), 0.33).images_needed
        400
        >>> Contrast(Interval(0.1, -0.1, 0.3, 100), 1.0, undecided=5).images_needed
        691
        """
        found = self.difference
        half = found.mean - found.low if found.mean > 0 else found.high - found.mean
        if not found.n or not found.mean or not math.isfinite(found.mean) or half <= 0:
            return None
        asked = ndtri(1 - ALPHA / (2 * self.undecided)) / ndtri(1 - ALPHA / 2)
        needed = found.n * (asked * half / abs(found.mean)) ** 2
        return math.ceil(needed) if needed < MOST_IMAGES else None


Contrasts = Mapping[tuple[str, str, str], Contrast]
"""By metric, first run and second run."""


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


def spoken_of(runs: Sequence[Run]) -> list[Measure]:
    """The measures that may choose a network: those with a contest, of the network and of the first kind of map."""
    spoken = (None, *runs[0].saliency_methods[:1])
    return [measure for measure in measures_of(runs) if measure.column.contest and measure.saliency in spoken]


def contrasts(runs: Sequence[Run], summaries: Summaries, baseline: Run) -> dict[tuple[str, str, str], Contrast]:
    """Whether pairs of runs differ, in either order of the two.

    In the measures of `spoken_of` every two runs are compared, and all these comparisons are corrected together; in
    every other measure each run is compared with the baseline and the best, and these are corrected among themselves.

    Args:
        runs: runs that may be compared.
        summaries: `summarise` of each by name.
        baseline: one of them.
    """
    spoken = spoken_of(runs)
    families: dict[str, dict[tuple[str, str, str], Interval]] = {}
    for measure in measures_of(runs):
        having = [run for run in runs if _is_measured(run, measure, summaries)]
        best = _best(having, summaries, measure)
        needed = [(run, other) for other in (baseline, best) if other in having for run in having if run is not other]
        family = families.setdefault("" if measure in spoken else measure.name, {})
        pairs = {frozenset((run.name, other.name)): (run, other) for run, other in needed if other is not None}
        for run, other in pairs.values():
            family[measure.name, run.name, other.name] = measure.difference(run, other)
        if measure in spoken:
            left = [pair for pair in combinations(having, 2) if frozenset(run.name for run in pair) not in pairs]
            family |= _of_pairs(measure, left, summaries, alone=len(runs) <= FEW_RUNS)
    contrasted = {}
    for family in families.values():
        if not family:
            continue
        corrected = holm([p_value(interval) for interval in family.values()]).tolist()
        undecided = sum(p >= ALPHA for p in corrected)
        for ((name, ours, theirs), found), p in zip(family.items(), corrected, strict=True):
            contrasted[name, ours, theirs] = Contrast(found, p, undecided)
            turned = Interval(-found.mean, -found.high, -found.low, found.n)
            contrasted[name, theirs, ours] = Contrast(turned, p, undecided)
    return contrasted


def _of_pairs(
    measure: Measure, pairs: Sequence[tuple[Run, Run]], summaries: Summaries, *, alone: bool
) -> dict[tuple[str, str, str], Interval]:
    """Differences of many pairs; those of bootstraps share each run's resampled numbers."""
    if alone or all(isinstance(measure.aggregate(run), Share) for pair in pairs for run in pair):
        return {(measure.name, run.name, other.name): measure.difference(run, other) for run, other in pairs}
    there = {run.name: run for pair in pairs for run in pair}
    draws = {name: resampled(measure.statistic(run), run.rows.num_rows) for name, run in there.items()}
    found = {}
    for run, other in pairs:
        ours, theirs = summaries[run.name][measure.name], summaries[other.name][measure.name]
        change = draws[run.name] - draws[other.name]
        n = min(ours.n, theirs.n)
        mean = np.float64(ours.mean - theirs.mean)
        found[measure.name, run.name, other.name] = interval_of(mean, change[~np.isnan(change)], 0.95, n)
    return found


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
        having = [run for run in runs if _is_measured(run, measure, summaries)]
        leader = _best(having, summaries, measure)
        for run in having:
            rank = "best" if run is leader else ""
            if leader is not None and run is not leader:
                rank = "" if contrasted[measure.name, run.name, leader.name].tells else "level"
            found = contrasted.get((measure.name, run.name, baseline.name))
            difference, p = (None, None) if found is None else (found.difference, found.p)
            standing[run.name, measure.name] = Standing(rank, _change(found, measure.sign), difference, p)
    return standing


def _is_measured(run: Run, measure: Measure, summaries: Summaries) -> bool:
    return measure.name in summaries[run.name] and summaries[run.name][measure.name].n > 0


def p_value(difference: Interval, *, confidence: float = 0.95) -> float:
    """Two-sided p-value of the hypothesis that the true difference is 0, from the difference's interval.

    The half of the interval that points to 0 gives the standard error, so that p is below ``1 - confidence`` exactly
    where the interval excludes 0.

    Args:
        difference: a difference with its interval, paired over the images.
        confidence: that of the interval, in (0, 1).

    Returns:
        p in [0, 1]; 1 for fewer than two images, which tell nothing about others.

    >>> round(p_value(Interval(2.0, 0.0, 4.0, 100)), 3), round(p_value(Interval(-3.0, -4.5, -1.5, 100)), 5)
    (0.05, 9e-05)

    Source: Altman and Bland 2011, "How to obtain the P value from a confidence interval", BMJ 343:d2304.
    """
    if difference.n < 2 or difference.mean == 0 or math.isnan(difference.mean):
        return 1.0
    half = difference.mean - difference.low if difference.mean > 0 else difference.high - difference.mean
    if half <= 0:
        return 0.0
    return float(2 * ndtr(-abs(difference.mean) / half * ndtri(0.5 + confidence / 2)))


def _best(having: Sequence[Run], summaries: Summaries, measure: Measure) -> Run | None:
    """The run with the best mean; None where there is no better, or it cannot be decided."""
    decided = all(_is_decided(summaries[run.name][measure.name], measure) for run in having)
    if not measure.sign or not decided or len(having) < 2:
        return None
    return max(having, key=lambda run: measure.sign * summaries[run.name][measure.name].mean)


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


def _is_decided(interval: Interval, measure: Measure) -> bool:
    """False for a ratio whose denominator is nearly 0: it may lie anywhere within decades, so nobody is best."""
    return measure.column.aggregate != "ratio of means" or 0 < interval.high <= 10 * interval.low


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
