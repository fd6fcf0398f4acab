"""How sure a recipe's number is: intervals over other training seeds as well as over other images. Imports no torch."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.core.errors import InputError
from pellucid.statistics.intervals import EMPTY, Interval, Values, interval_of, mean_interval
from pellucid.statistics.resamples import Floats, counts_of

__all__ = ["hierarchical_interval", "hierarchical_ratio", "hierarchical_statistic"]


def hierarchical_interval(
    values: Values, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean over training seeds and images, with an interval that speaks about other seeds as well as other images.

    The half-width over images is the percentile bootstrap's, all networks resampled together, as every network saw the
    same images; the half-width over seeds is Student's t times the standard error of the seeds' means, with S - 1
    degrees of freedom. The two are added in quadrature. A bootstrap of seeds would be simpler and wrong: three seeds
    show two thirds of the variance between seeds, and its 95 % interval then covers seven times in ten.

    Args:
        values: (seeds, n) one value per network and image, or differences of two methods; at least 2 seeds. An image
            with a NaN under any seed is dropped.
        confidence: probability that the interval covers, in (0, 1).
        resamples: number of bootstrap resamples of images.
        seed: of the resamples.

    Returns:
        The mean with its interval, and n: the number of images left.

    Raises:
        InputError: values that are not (seeds, n) with at least 2 seeds.

    >>> hierarchical_interval([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]) == mean_interval([1.0, 2.0, 3.0])
    True

    Source: seeds and images as crossed factors, Owen 2007, "The pigeonhole bootstrap"; Student 1908 for few seeds.
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise InputError(f"values must be (seeds, images) with at least 2 seeds, got shape {rows.shape}")
    rows = rows[:, ~np.isnan(rows).any(axis=0)]
    if not rows.shape[1]:
        return EMPTY
    over_images = mean_interval(rows.mean(axis=0), confidence=confidence, resamples=resamples, seed=seed)
    return _widened(over_images, _leaving_one_out(rows.mean(axis=1)), confidence)


def _leaving_one_out(values: Floats) -> Floats:
    """The mean of the others, for each."""
    others: Floats = (values.sum() - values) / (len(values) - 1)
    return others


def _widened(over_images: Interval, without_each: Floats, confidence: float) -> Interval:
    """An interval over images made to speak about other seeds, by the number without each of them (jackknife)."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    seeds = len(without_each)
    error = np.sqrt((seeds - 1) / seeds * ((without_each - without_each.mean()) ** 2).sum())
    half = float(stdtrit(seeds - 1, (1 + confidence) / 2) * error)
    low = over_images.mean - math.hypot(over_images.mean - over_images.low, half)
    high = over_images.mean + math.hypot(over_images.high - over_images.mean, half)
    return Interval(over_images.mean, low, high, over_images.n) if half else over_images


def hierarchical_statistic(
    groups: Sequence[Sequence[Callable[[Floats], Floats]]],
    n: int,
    *,
    function: Callable[[Floats], Floats] = lambda means: means[0],
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A number of one or several recipes, each trained on several seeds, with an interval over seeds and images.

    A recipe's number is the mean over its seeds of each network's statistic. The interval has the two parts of
    `hierarchical_interval`; the one over seeds comes from the jackknife, leaving out the same seed of every recipe.

    Args:
        groups: for each recipe, for each seed, the statistic as in `weighted_interval`; as many seeds each.
        n: number of images.
        function: of the recipes' numbers (recipes, resamples) to one number (resamples,), such as a difference.
        confidence: probability that the interval covers, in (0, 1).
        resamples: number of bootstrap resamples of images.
        seed: of the resamples.

    Returns:
        The function of the recipes' numbers with its interval; with one seed, an interval over images alone. Empty
        where the function is not finite for these networks, or for one resample in a hundred.

    Raises:
        InputError: recipes with different numbers of seeds, or none.

    >>> values = np.array([1.0, 2.0, 3.0])
    >>> mean = lambda weight: weight @ values / weight.sum(axis=1)
    >>> hierarchical_statistic([[mean]], 3) == mean_interval(values)
    True
    """
    _check_seeds(groups)
    if not n:
        return EMPTY
    points, resampled = _of_seeds(groups, n, resamples, seed)
    return _over_seeds(points, resampled, function, confidence, n)


def hierarchical_ratio(
    run: Sequence[Callable[[Floats], Floats]],
    baseline: Sequence[Callable[[Floats], Floats]],
    n: int,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """One recipe's number by another's, with the factors k for which ``run - k * baseline`` may be 0.

    So the interval excludes 1 exactly where that of the difference excludes 0. ``run`` and ``baseline`` hold, for each
    of as many seeds, the statistic as in `weighted_interval`; all other arguments are those of
    `hierarchical_statistic`.

    Returns:
        The ratio with its interval; empty where the baseline's own interval reaches 0, so that any factor would do.

    Raises:
        InputError: recipes with different numbers of seeds, or none.

    >>> values = np.array([1.0, 2.0, 3.0])
    >>> mean = lambda weight: weight @ values / weight.sum(axis=1)
    >>> hierarchical_ratio([lambda weight: 2 * mean(weight)], [mean], 3)
    Interval(mean=2.0, low=2.0, high=2.0, n=3)

    Source: Fieller 1954, "Some problems in interval estimation".
    """
    _check_seeds([run, baseline])
    if not n:
        return EMPTY
    points, resampled = _of_seeds([run, baseline], n, resamples, seed)
    if not _over_seeds(points[1:], resampled[1:], lambda means: means[0], confidence, n).low > 0:
        return EMPTY
    ratio = points[0].mean() / points[1].mean()

    def difference(k: float) -> Interval:
        return _over_seeds(points, resampled, lambda means: means[0] - k * means[1], confidence, n)

    if not difference(ratio).n:
        return EMPTY
    low = _end(lambda k: difference(k).low <= 0, ratio, -1)
    high = _end(lambda k: difference(k).high >= 0, ratio, 1)
    return Interval(float(ratio), low, high, n)


def _end(inside: Callable[[float], bool], start: float, sign: int) -> float:
    """How far from ``start``, which is inside, one comes."""
    step = 1e-3 * max(abs(start), 1e-6)
    near, far = float(start), float(start + sign * step)
    while inside(far):
        near, step = far, 2 * step
        far = float(start + sign * step)
    if near == start:
        return near
    for _ in range(40):
        middle = (near + far) / 2
        near, far = (middle, far) if inside(middle) else (near, middle)
    return near


def _check_seeds(groups: Sequence[Sequence[Any]]) -> None:
    seeds = len(groups[0]) if groups else 0
    if not seeds or any(len(group) != seeds for group in groups):
        raise InputError(f"recipes must have the same number of seeds, at least 1, got {[len(g) for g in groups]}")


def _of_seeds(
    groups: Sequence[Sequence[Callable[[Floats], Floats]]], n: int, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Every network's statistic, (recipes, seeds), and the recipes' in every resample, (recipes, resamples)."""
    counts = counts_of(n, resamples, seed)
    blocks = [counts[i : i + 250].astype(np.float64) for i in range(0, resamples, 250)]
    points = np.array([[statistic(np.ones((1, n)))[0] for statistic in group] for group in groups])
    resampled = np.stack(
        [
            np.mean([np.concatenate([statistic(block) for block in blocks]) for statistic in group], axis=0)
            for group in groups
        ]
    )
    return points, resampled


def _over_seeds(
    points: Floats, resampled: Floats, function: Callable[[Floats], Floats], confidence: float, n: int
) -> Interval:
    point, numbers = function(points.mean(axis=1)[:, None])[0], function(resampled)
    usable = np.isfinite(numbers)
    if not np.isfinite(point) or usable.mean() < 0.99:
        return EMPTY
    over_images = interval_of(point, numbers[usable], confidence, n)
    if points.shape[1] == 1:
        return over_images
    without_each = function(np.stack([_leaving_one_out(group) for group in points]))
    return _widened(over_images, without_each, confidence) if np.isfinite(without_each).all() else EMPTY
