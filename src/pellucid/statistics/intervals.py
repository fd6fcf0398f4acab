"""How sure a mean over images is: percentile bootstrap intervals, paired where two runs saw the same images.

All statistics here are functions of means over images. `pellucid.statistics.resamples` draws the images, the same ones
for every column and every run of as many, which makes differences between runs paired.

The intervals speak about these trained networks on other images of the same kind; they say nothing about how another
training of the same network (another seed) would come out; those of `pellucid.statistics.seeds` do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pellucid.statistics.resamples import Floats, blocks, resampled_means

__all__ = [
    "EMPTY",
    "Estimand",
    "Interval",
    "bootstrapped",
    "difference_of",
    "interval_of",
    "mean_band",
    "mean_bands",
    "mean_interval",
    "mean_of",
    "of_share",
    "paired_difference",
    "paired_ratio_difference",
    "ratio_difference_of",
    "ratio_interval",
    "ratio_of",
    "resampled",
    "weighted_interval",
]

Values = npt.ArrayLike


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        mean: the estimate (a mean, a ratio of means or a difference of means).
        low: lower end of the interval; ``low <= high``.
        high: upper end of the interval.
        n: number of images it was computed from; 0 means that ``mean``, ``low`` and ``high`` are NaN.
    """

    mean: float
    low: float
    high: float
    n: int

    def excludes(self, value: float) -> bool:
        """True if ``value`` lies outside the interval; False for an empty one, which excludes nothing.

        >>> Interval(0.3, 0.1, 0.5, 100).excludes(0.0), Interval(0.3, -0.1, 0.5, 100).excludes(0.0)
        (True, False)
        """
        return value < self.low or value > self.high


@dataclass(frozen=True, eq=False)
class Estimand:
    """A number that is a function of means over images, with the images that have it.

    Args:
        values: (n,) or (n, k), one or k values for each image, without NaN; n = 0 where no image has the number.
        of: from means, (...) or (..., k), to the number, (...).
        then: what becomes of the interval in the end, such as `of_share`.
    """

    values: Floats
    of: Callable[[Floats], Floats]
    then: Callable[["Interval"], "Interval"] = lambda found: found


def mean_of(values: Values) -> Estimand:
    """The mean of one value per image, (n,); NaN is dropped."""
    kept = _floats(values)
    return Estimand(kept[~np.isnan(kept)], lambda mean: mean)


def difference_of(a: Values, b: Values) -> Estimand:
    """The mean of ``a - b``, (n,) each; an image with a NaN on either side is dropped."""
    pairs = _complete(a, b)
    return mean_of(pairs[:, 0] - pairs[:, 1])


def ratio_of(numerator: Values, denominator: Values, *, floor: float = 1e-6) -> Estimand:
    """The ratio of two means, as `ratio_interval` defines it; an image with a NaN on either side is dropped."""
    return Estimand(_complete(numerator, denominator), lambda means: _ratio(means, floor))


def ratio_difference_of(a: tuple[Values, Values], b: tuple[Values, Values], *, floor: float = 1e-6) -> Estimand:
    """The difference of two ratios of means, as `paired_ratio_difference` defines it."""

    def difference(means: Floats) -> Floats:
        return _ratio(means[..., :2], floor) - _ratio(means[..., 2:], floor)

    return Estimand(_complete(*a, *b), difference)


def bootstrapped(
    asked: Sequence[Estimand], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[Interval]:
    """Many numbers with their percentile bootstrap intervals, the same as one by one, but in less time.

    Numbers of as many images share the drawing of the resamples, which takes longer than their means do.

    Args:
        asked: the numbers.
        confidence: probability that an interval covers, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Returns:
        An interval for each, in the same order; n = 0 and NaN for a number that no image has.

    >>> bootstrapped([mean_of([1.0, 2.0, 3.0]), difference_of([3.0, 5.0], [1.0, 3.0])])
    [Interval(mean=2.0, low=1.0, high=3.0, n=3), Interval(mean=2.0, low=2.0, high=2.0, n=2)]
    """
    means = iter(resampled_means([one.values for one in asked if len(one.values)], resamples, seed))
    found = []
    for one in asked:
        n = len(one.values)
        interval = interval_of(one.of(one.values.mean(axis=0)), one.of(next(means)), confidence, n) if n else EMPTY
        found.append(one.then(interval))
    return found


def mean_interval(values: Values, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Mean over images with its percentile bootstrap interval.

    Args:
        values: (n,) one value per image; NaN (a null of the rows) is dropped.
        confidence: probability that the interval covers, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Returns:
        The mean, its interval, and n: the number of values left. n = 0 gives NaN; n = 1 gives ``low == high == mean``.

    >>> mean_interval([1.0, 2.0, 3.0, float("nan")])
    Interval(mean=2.0, low=1.0, high=3.0, n=3)

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    return bootstrapped([mean_of(values)], confidence=confidence, resamples=resamples, seed=seed)[0]


def of_share(interval: Interval, *, confidence: float = 0.95) -> Interval:
    """The interval of a mean of shares, widened where all images have the same one, such as none or every.

    All resamples of equal values are equal, so that the bootstrap would call 0 of 200 images certain. Other images may
    have any value in [0, 1]; how many these can be without having been seen is Clopper and Pearson's bound.

    Args:
        interval: a mean of values in [0, 1], with its bootstrap interval.
        confidence: probability that the interval covers, in (0, 1).

    Returns:
        With Clopper and Pearson's end where all values are 0 or all are 1, in proportion where all are another one, and
        as it was otherwise.

    >>> of_share(mean_interval([0.0] * 200)).high
    0.0182...
    >>> round(of_share(mean_interval([0.5] * 200)).high, 4)
    0.5091
    >>> of_share(mean_interval([0.0, 1.0])) == mean_interval([0.0, 1.0])
    True

    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits".
    """
    share = interval.mean
    if not interval.n or interval.low != interval.high or not 0 <= share <= 1:
        return interval
    missed = 1 - ((1 - confidence) / 2) ** (1 / interval.n)
    return replace(interval, low=share * (1 - missed), high=share + (1 - share) * missed)


def ratio_interval(
    numerator: Values,
    denominator: Values,
    *,
    floor: float = 1e-6,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Ratio of two means over the same images, ``mean(numerator) / max(mean(denominator), floor)``.

    Not the mean of the images' ratios, which explodes where one denominator is nearly zero. Both are (n,), one value
    per image; an image with a NaN on either side is dropped. ``floor``, above 0, is the smallest denominator; all other
    arguments are those of `mean_interval`.

    Returns:
        The ratio with its percentile bootstrap interval; n as in `mean_interval`.

    >>> ratio_interval([2.0, 4.0], [1.0, 2.0])
    Interval(mean=2.0, low=2.0, high=2.0, n=2)
    """
    asked = ratio_of(numerator, denominator, floor=floor)
    return bootstrapped([asked], confidence=confidence, resamples=resamples, seed=seed)[0]


def paired_difference(
    a: Values, b: Values, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean of ``a - b`` over the images both have: how much a run differs from another on the same images.

    The two cannot be told apart at this confidence where the interval contains 0. Pairing removes what the images have
    in common, so this can tell runs apart whose own intervals overlap. Both are (n,), one value per image; an image
    with a NaN on either side is dropped. All other arguments are those of `mean_interval`.

    Returns:
        The mean difference with its percentile bootstrap interval; n as in `mean_interval`.

    >>> paired_difference([3.0, 5.0], [1.0, 3.0])
    Interval(mean=2.0, low=2.0, high=2.0, n=2)
    """
    return bootstrapped([difference_of(a, b)], confidence=confidence, resamples=resamples, seed=seed)[0]


def paired_ratio_difference(
    a: tuple[Values, Values],
    b: tuple[Values, Values],
    *,
    floor: float = 1e-6,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Difference of two ratios of means over the same images.

    ``a`` holds numerator and denominator of one run, (n,) each, ``b`` those of the other; an image with a NaN anywhere
    is dropped. All other arguments are those of `ratio_interval`.

    Returns:
        ``ratio(a) - ratio(b)`` with its percentile bootstrap interval; n as in `mean_interval`.

    >>> paired_ratio_difference(([4.0, 8.0], [1.0, 2.0]), ([3.0, 6.0], [1.0, 2.0]))
    Interval(mean=1.0, low=1.0, high=1.0, n=2)
    """
    asked = ratio_difference_of(a, b, floor=floor)
    return bootstrapped([asked], confidence=confidence, resamples=resamples, seed=seed)[0]


def weighted_interval(
    statistic: Callable[[Floats], Floats], n: int, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Any statistic of the images with its percentile bootstrap interval.

    Args:
        statistic: of weights (resamples, n), how often each image counts, to one number per row; NaN where it is
            undefined there, which the interval leaves out. Such as `pellucid.metrics.auc` of fixed scores.
        n: number of images; 0 gives an empty interval.
        confidence: probability that the interval covers, in (0, 1).
        resamples: number of bootstrap resamples of images.
        seed: of the resamples, the same ones as in `mean_interval`.

    Returns:
        The statistic of all images, each counted once, with its interval.

    >>> values = np.array([1.0, 2.0, 3.0])
    >>> weighted_interval(lambda weight: weight @ values / weight.sum(axis=1), 3) == mean_interval(values)
    True
    """
    if not n:
        return EMPTY
    values = resampled(statistic, n, resamples=resamples, seed=seed)
    return interval_of(statistic(np.ones((1, n)))[0], values[~np.isnan(values)], confidence, n)


def resampled(statistic: Callable[[Floats], Floats], n: int, *, resamples: int = 2000, seed: int = 0) -> Floats:
    """A statistic of the images in every resample, (resamples,); two runs' values minus each other are paired.

    Args:
        statistic: as of `weighted_interval`.
        n: number of images, at least 1.
        resamples: number of bootstrap resamples of images.
        seed: of the resamples, the same ones as in `mean_interval`.

    >>> first, second = (resampled(lambda weight: weight @ np.array(values), 2) for values in ([1.0, 2.0], [3.0, 4.0]))
    >>> set((second - first).tolist())
    {4.0}
    """
    return np.concatenate([statistic(block) for block in blocks(n, resamples, seed)])


def mean_band(
    curves: Values, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[Floats, Floats, Floats]:
    """Mean curve over images with its percentile bootstrap band, which covers each point alone.

    The curves are (n, k), k values for each of at least one image, without NaN; all other arguments are those of
    `mean_interval`.

    Returns:
        Mean, lower and upper curve, (k,) each.

    >>> mean, low, high = mean_band([[0.0, 1.0], [0.0, 1.0]])
    >>> mean.tolist(), low.tolist(), high.tolist()
    ([0.0, 1.0], [0.0, 1.0], [0.0, 1.0])
    """
    return mean_bands([curves], confidence=confidence, resamples=resamples, seed=seed)[0]


def mean_bands(
    curves: Sequence[Values], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[tuple[Floats, Floats, Floats]]:
    """`mean_band` of the curves of each of several networks, in less time than one by one."""
    values = [_floats(one) for one in curves]
    means = resampled_means(values, resamples, seed)
    return [(one.mean(axis=0), *_ends(mean, confidence)) for one, mean in zip(values, means, strict=True)]


EMPTY = Interval(float("nan"), float("nan"), float("nan"), 0)
"""The interval of a number that no image has."""


def _floats(values: Values) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _complete(*columns: Values) -> Floats:
    """(n, columns): the images on which no column is NaN."""
    rows = np.stack([_floats(column) for column in columns], axis=1)
    return rows[~np.isnan(rows).any(axis=1)]


def _ratio(means: Floats, floor: float) -> Floats:
    ratio: Floats = means[..., 0] / np.maximum(means[..., 1], floor)
    return ratio


def _ends(resampled: Floats, confidence: float) -> tuple[Floats, Floats]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return low, high


def interval_of(mean: np.floating | Floats, resampled: Floats, confidence: float, n: int) -> Interval:
    """An estimate with the percentiles of its resampled values."""
    low, high = _ends(resampled, confidence)
    return Interval(float(mean), float(low), float(high), n)
