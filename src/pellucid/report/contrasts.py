"""Which networks can be told apart by which number: paired over the images, corrected together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtr, ndtri

from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure, measures_of
from pellucid.statistics import Interval
from pellucid.statistics.aggregates import MOST_IMAGES, Share
from pellucid.statistics.comparison import holm
from pellucid.statistics.intervals import interval_of, resampled
from pellucid.statistics.together import differences

__all__ = [
    "ALPHA",
    "FEWEST",
    "Contrast",
    "Contrasts",
    "Summaries",
    "best_of",
    "contrasts",
    "is_measured",
    "p_value",
    "spoken_of",
]

ALPHA = 0.05
"""Two runs are told apart where the corrected p-value lies below."""

FEWEST = 10
"""Images below which no runs are told apart, and no network is recommended."""

FEW_RUNS = 8
"""Runs up to which every pair has a bootstrap of its own; of more runs those with the same images share one a run."""

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
    compared: list[tuple[str, Measure, Run, Run]] = []
    for measure in measures_of(runs):
        having = [run for run in runs if is_measured(run, measure, summaries)]
        best = best_of(having, summaries, measure)
        needed = [(run, other) for other in (baseline, best) if other in having for run in having if run is not other]
        pairs = {frozenset((run.name, other.name)): (run, other) for run, other in needed if other is not None}
        together = list(pairs.values())
        family = "" if measure in spoken else measure.name
        families.setdefault(family, {})
        if measure in spoken:
            left = [pair for pair in combinations(having, 2) if frozenset(run.name for run in pair) not in pairs]
            sharing = (
                [] if _is_cheap(measure, left, runs) else [pair for pair in left if _of_same_images(measure, *pair)]
            )
            together += [pair for pair in left if pair not in sharing]
            families[family] |= _of_pairs(measure, sharing, summaries)
        compared += [(family, measure, run, other) for run, other in together]
    found = differences([(measure.aggregate(run), measure.aggregate(other)) for _, measure, run, other in compared])
    for (family, measure, run, other), interval in zip(compared, found, strict=True):
        families[family][measure.name, run.name, other.name] = interval
    contrasted = {}
    for of_pairs in families.values():
        if not of_pairs:
            continue
        corrected = holm([p_value(interval) for interval in of_pairs.values()]).tolist()
        undecided = sum(p >= ALPHA for p in corrected)
        for ((name, ours, theirs), interval), p in zip(of_pairs.items(), corrected, strict=True):
            contrasted[name, ours, theirs] = Contrast(interval, p, undecided)
            turned = Interval(-interval.mean, -interval.high, -interval.low, interval.n)
            contrasted[name, theirs, ours] = Contrast(turned, p, undecided)
    return contrasted


def _is_cheap(measure: Measure, pairs: Sequence[tuple[Run, Run]], runs: Sequence[Run]) -> bool:
    """Whether every pair can have a difference of its own: there are few, or they need no bootstrap."""
    return len(runs) <= FEW_RUNS or all(isinstance(measure.aggregate(run), Share) for pair in pairs for run in pair)


def _of_same_images(measure: Measure, run: Run, other: Run) -> bool:
    """Whether the same images have a value in both runs, so that resamples of each run alone are paired."""
    ours, theirs = ([np.isnan(values) for values in measure.sample(one)] for one in (run, other))
    return all(np.array_equal(mine, its) for mine, its in zip(ours, theirs, strict=True))


def _of_pairs(
    measure: Measure, pairs: Sequence[tuple[Run, Run]], summaries: Summaries
) -> dict[tuple[str, str, str], Interval]:
    """Differences of many pairs of the same images, made of each run's resampled numbers."""
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


def is_measured(run: Run, measure: Measure, summaries: Summaries) -> bool:
    """Whether a run has a number, for at least one image."""
    return measure.name in summaries[run.name] and summaries[run.name][measure.name].n > 0


def p_value(difference: Interval, *, confidence: float = 0.95) -> float:
    """Two-sided p-value of the hypothesis that the true difference is 0, from the difference's interval.

    The half of the interval that points to 0 gives the standard error, so that p is below ``1 - confidence`` exactly
    where the interval excludes 0.

    Args:
        difference: a difference with its interval, paired over the images.
        confidence: that of the interval, in (0, 1).

    Returns:
        p in [0, 1]; 1 for fewer than `FEWEST` images, whose interval by resampling is much too narrow: of two images it
        excludes 0 in every second case where there is no difference, of five in every seventh.

    >>> round(p_value(Interval(2.0, 0.0, 4.0, 100)), 3), round(p_value(Interval(-3.0, -4.5, -1.5, 100)), 5)
    (0.05, 9e-05)

    Source: Altman and Bland 2011, "How to obtain the P value from a confidence interval", BMJ 343:d2304.
    """
    if difference.n < FEWEST or difference.mean == 0 or math.isnan(difference.mean):
        return 1.0
    half = difference.mean - difference.low if difference.mean > 0 else difference.high - difference.mean
    if half <= 0:
        return 0.0
    return float(2 * ndtr(-abs(difference.mean) / half * ndtri(0.5 + confidence / 2)))


def best_of(having: Sequence[Run], summaries: Summaries, measure: Measure) -> Run | None:
    """The run with the best mean; None where there is no better, or it cannot be decided."""
    decided = all(_is_decided(summaries[run.name][measure.name], measure) for run in having)
    if not measure.sign or not decided or len(having) < 2:
        return None
    return max(having, key=lambda run: measure.sign * summaries[run.name][measure.name].mean)


def _is_decided(interval: Interval, measure: Measure) -> bool:
    """False for a ratio whose denominator is nearly 0: it may lie anywhere within decades, so nobody is best."""
    return measure.column.aggregate != "ratio of means" or 0 < interval.high <= 10 * interval.low
