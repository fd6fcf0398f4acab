"""Rank correlation over things that come in groups, with intervals that speak about other groups. Imports no torch."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError
from pellucid.statistics.intervals import EMPTY, Interval

__all__ = ["clustered_interval", "rank_correlation"]

Floats = npt.NDArray[np.float64]


def rank_correlation(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Spearman's rank correlation of two lists of numbers, ties at their mean rank; pairs with a NaN are dropped.

    Returns:
        A number in [-1, 1]; NaN for fewer than 3 pairs, or where all numbers of one list are equal.

    >>> rank_correlation([1, 2, 3, 4], [10, 20, 40, 30])
    0.8
    """
    from scipy.stats import rankdata  # scipy.stats takes a second to import

    pairs = np.stack([np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < 3 or (pairs == pairs[:, :1]).all(axis=1).any():
        return float("nan")
    ranks = rankdata(pairs, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    return float(round((ranks[0] * ranks[1]).sum() / np.sqrt((ranks**2).sum(axis=1).prod()), 12))


def clustered_interval(
    statistic: Callable[[npt.NDArray[np.int64]], float],
    clusters: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Any number of things that come in clusters, with the percentile bootstrap's interval over other clusters.

    Whole clusters are drawn with replacement, so that several trainings by one method count as one piece of evidence.

    Args:
        statistic: of the positions of things, each as often as it was drawn, to a number; NaN where it is undefined.
        clusters: the cluster of each thing.
        confidence: probability that the interval covers, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Returns:
        The number of all things with its interval, and how many things there are; empty where it is undefined for all
        things, for one resample in ten, or where there are fewer than 2 clusters.

    Raises:
        InputError: no things.

    >>> clustered_interval(lambda chosen: float(len(chosen)), ["a", "b"])
    Interval(mean=2.0, low=2.0, high=2.0, n=2)

    Source: Davison and Hinkley 1997, 3.8 (resampling of clusters).
    """
    if not clusters:
        raise InputError("clusters must hold at least one thing, got none")
    names = list(dict.fromkeys(clusters))
    members = [np.array([i for i, cluster in enumerate(clusters) if cluster == name]) for name in names]
    value = statistic(np.arange(len(clusters)))
    if len(names) < 2 or not np.isfinite(value):
        return EMPTY
    random = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([members[i] for i in random.integers(0, len(names), len(names))]))
        for _ in range(resamples)
    ]
    usable = np.array([number for number in drawn if np.isfinite(number)])
    if len(usable) < 0.9 * resamples:
        return EMPTY
    tail = (1 - confidence) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high), len(clusters))
