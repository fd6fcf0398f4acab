"""Tests and effect sizes for ratings: the participant is the unit, and one participant gives one number a condition.

Answers of one person are not independent of each other, so that a test over single answers would count every person
many times. Everything here therefore takes one value per participant and condition, except for `two_way_interval`,
which sees the single answers and resamples participants and images together.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.stats

from pellucid.core.errors import InputError
from pellucid.statistics import Interval, interval_of

__all__ = [
    "Alternative",
    "Friedman",
    "SignedRank",
    "equivalence",
    "friedman",
    "hodges_lehmann",
    "kendalls_w",
    "participant_interval",
    "signed_rank",
    "signed_rank_effect",
    "two_way_interval",
]

Alternative = Literal["two-sided", "greater", "less"]
Floats = npt.NDArray[np.float64]
Values = npt.ArrayLike

FEW = 20
"""Below this number of participants Friedman's p is that of random permutations, not of the chi-squared limit."""


BATCH = 100
"""Resamples at a time."""


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's signed-rank test of paired differences.

    Attributes:
        statistic: sum of the ranks of the positive differences (V in R).
        p: exact p-value.
        n: number of differences, zeros among them.
        zeros: differences that are 0: they take part in the ranking and have no sign (Pratt).
    """

    statistic: float
    p: float
    n: int
    zeros: int


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of k conditions that every participant rated.

    Attributes:
        statistic: chi-squared with k - 1 degrees of freedom, corrected for ties.
        p: p-value, by the chi-squared limit or by permutations.
        w: Kendall's coefficient of concordance in [0, 1]; 1 where all participants order the conditions alike.
        n: number of participants.
        k: number of conditions.
        permuted: True if p is that of permutations.
    """

    statistic: float
    p: float
    w: float
    n: int
    k: int
    permuted: bool


def signed_rank(differences: Values, *, alternative: Alternative = "two-sided") -> SignedRank:
    """Wilcoxon's signed-rank test with Pratt's zeros and its exact conditional distribution, ties or not.

    Under the hypothesis each difference that is not 0 has either sign with probability 1/2, so that the statistic is a
    sum of independent terms; its distribution is the convolution of theirs. So p is exact.

    Args:
        differences: (n,) one difference per participant, n >= 1, none of them NaN.
        alternative: ``two-sided``, or ``greater`` or ``less`` than 0.

    Returns:
        The test; p is 1 where every difference is 0.

    Raises:
        InputError: no differences, a NaN or infinite one.

    >>> signed_rank([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]).p
    0.041259765625

    Source: Wilcoxon 1945; Pratt 1959 for zeros; Streitberg and Röhmel 1986 for the distribution.
    """
    values = _finite(differences)
    if values.ndim != 1 or not len(values):
        raise InputError(f"differences must be (n,) with n >= 1, got shape {values.shape}")
    # Differences of means that are equal on paper differ in the last bit, which would break ties and zeros.
    values = np.round(values, 9)
    ranks = scipy.stats.rankdata(np.abs(values))[values != 0]
    positive = values[values != 0] > 0
    doubled = np.rint(2 * ranks).astype(int)  # mean ranks are multiples of one half
    chance = np.ones(1)
    for rank in doubled:
        chance = np.pad(chance, (0, rank)) / 2
        chance[rank:] += chance[: len(chance) - rank].copy()
    observed = int(doubled[positive].sum())
    greater, less = float(chance[observed:].sum()), float(chance[: observed + 1].sum())
    p = {"two-sided": 2 * min(greater, less), "greater": greater, "less": less}[alternative]
    return SignedRank(observed / 2, min(1.0, p), len(values), int((values == 0).sum()))


def hodges_lehmann(differences: Values) -> Floats:
    """Hodges-Lehmann shift: the median of all means of two differences, one with itself among them.

    Args:
        differences: (..., n) one difference per participant, n >= 1.

    Returns:
        (...) the pseudo-median, in the unit of the differences; the estimate that belongs to the signed-rank test.

    >>> float(hodges_lehmann([0.0, 1.0, 5.0]))
    1.75

    Source: Hodges and Lehmann 1963, "Estimates of location based on rank tests".
    """
    values = _finite(differences)
    first, second = np.triu_indices(values.shape[-1])
    shift: Floats = np.asarray(np.median((values[..., first] + values[..., second]) / 2, axis=-1))
    return shift


def signed_rank_effect(differences: Values) -> Floats:
    """Matched-pairs rank-biserial correlation: the share of the signed ranks that are positive, minus the others'.

    Args:
        differences: (..., n) one difference per participant, n >= 1.

    Returns:
        (...) numbers in [-1, 1]; 0 where no difference has a sign.

    >>> float(signed_rank_effect([1.0, 2.0, -3.0]))
    0.0

    Source: Kerby 2014, "The simple difference formula".
    """
    values = np.round(_finite(differences), 9)
    # Zeros have the lowest ranks, so that without them all others are lower by their number.
    zeros = (values == 0).sum(axis=-1, keepdims=True)
    ranks = np.where(values == 0, 0.0, scipy.stats.rankdata(np.abs(values), axis=-1) - zeros)
    signed, whole = (np.sign(values) * ranks).sum(axis=-1), ranks.sum(axis=-1)
    effect: Floats = np.asarray(signed / np.where(whole > 0, whole, 1.0))
    return effect


def friedman(values: Values, *, resamples: int = 9999, seed: int = 0) -> Friedman:
    """Friedman's test that every participant orders the conditions by chance, with Kendall's W.

    Args:
        values: (n, k) one value per participant and condition, n >= 2, k >= 3, without NaN.
        resamples: random permutations within participants, used where n < 20.
        seed: of the permutations.

    Returns:
        The test; statistic 0, p 1 and W 0 where no participant tells any two conditions apart.

    Raises:
        InputError: values that are not (n, k), fewer than 2 participants or 3 conditions, a NaN.

    >>> test = friedman([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 3, 2]])
    >>> test.statistic, test.w
    (6.5, 0.8125)

    Source: Friedman 1937; Kendall and Babington Smith 1939 for W; `scipy.stats.friedmanchisquare`.
    """
    rows = np.round(_finite(values), 9)
    if rows.ndim != 2 or rows.shape[0] < 2 or rows.shape[1] < 3:
        raise InputError(
            f"Friedman's test takes (n, k) values with n >= 2 and k >= 3, got shape {rows.shape}; two conditions "
            "are compared by the signed-rank test"
        )
    n, k = rows.shape
    if not np.ptp(rows, axis=1).any():
        return Friedman(0.0, 1.0, 0.0, n, k, permuted=False)
    statistic, p = scipy.stats.friedmanchisquare(*rows.T)
    if n < FEW:
        # The ties stay with their participant, so that the sum of squared rank sums orders as the statistic does.
        ranks = scipy.stats.rankdata(rows, axis=1)
        random = np.random.default_rng(seed)
        permuted = random.permuted(np.broadcast_to(ranks, (resamples, n, k)), axis=2).sum(axis=1)
        as_far = (permuted**2).sum(axis=1) >= (ranks.sum(axis=0) ** 2).sum() - 1e-9
        p = (1 + as_far.sum()) / (1 + resamples)
    return Friedman(float(statistic), float(p), float(statistic / (n * (k - 1))), n, k, permuted=n < FEW)


def kendalls_w(values: Values) -> Floats:
    """Kendall's coefficient of concordance, corrected for ties: Friedman's statistic over the largest it can be.

    Args:
        values: (..., n, k) one value per participant and condition, n >= 2, k >= 2, without NaN.

    Returns:
        (...) numbers in [0, 1]: 1 where all participants order the conditions alike; 0 where none tells two apart.

    >>> float(kendalls_w([[1, 2, 3], [1, 2, 3]])), float(kendalls_w([[1, 2, 3], [3, 2, 1]]))
    (1.0, 0.0)

    Source: Kendall and Babington Smith 1939, "The problem of m rankings".
    """
    ranks = scipy.stats.rankdata(np.round(_finite(values), 9), axis=-1)
    ranks = ranks - (ranks.shape[-1] + 1) / 2
    apart, largest = (ranks.sum(axis=-2) ** 2).sum(axis=-1), ranks.shape[-2] * (ranks**2).sum(axis=(-2, -1))
    w: Floats = np.asarray(apart / np.where(largest > 0, largest, 1.0))
    return w


def equivalence(differences: Values, *, bound: float) -> float:
    """p-value of the hypothesis that the shift is at least ``bound`` in size: two one-sided signed-rank tests (TOST).

    A small p says that the conditions are equivalent, that is, nearer than ``bound``. A large one says nothing.

    Args:
        differences: (n,) one difference per participant.
        bound: smallest shift that would matter, in points of the scale, > 0.

    Returns:
        The larger of the two one-sided p-values, exact.

    Raises:
        InputError: a bound that is not above 0; as in `signed_rank`.

    >>> equivalence([0.1, -0.2, 0.0, 0.1, -0.1, 0.2, 0.0, -0.1], bound=0.5)
    0.00390625

    Source: Schuirmann 1987; Wellek 2010, Testing Statistical Hypotheses of Equivalence and Noninferiority, chapter 5.
    """
    if not (bound > 0 and math.isfinite(bound)):
        raise InputError(f"the bound of an equivalence test must be above 0, got {bound}")
    values = _finite(differences)
    above = signed_rank(values + bound, alternative="greater").p
    return max(above, signed_rank(values - bound, alternative="less").p)


def participant_interval(
    values: Values,
    statistic: Callable[[Floats], Floats],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A statistic over participants with its percentile bootstrap interval, participants resampled whole.

    Args:
        values: (n, ...) what each participant gave, n >= 1.
        statistic: of resamples (m, n, ...), one number for each of the m.
        confidence: probability that the interval covers, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Returns:
        The statistic of ``values`` as ``mean``, its interval, and the number of participants.

    >>> participant_interval([1.0, 1.0, 1.0], hodges_lehmann, resamples=10)
    Interval(mean=1.0, low=1.0, high=1.0, n=3)

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    rows = _finite(values)
    drawn = np.random.default_rng(seed).integers(0, len(rows), (resamples, len(rows)))
    # In parts, since the shift of m resamples takes m n^2 / 2 numbers.
    resampled = np.concatenate([statistic(rows[part]) for part in np.array_split(drawn, -(-resamples // BATCH))])
    return interval_of(statistic(rows[None])[0], resampled, confidence, len(rows))


def two_way_interval(
    first: Values, second: Values, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean difference of two conditions with an interval that speaks about other people and about other images.

    Each resample draws participants and, independently, images; an answer counts as often as both were drawn. A test
    over participants takes the images as fixed: an effect that a few images carry is real for these images and may be
    none for others, which this interval shows. It is too wide rather than too narrow: up to 1.7 times where the noise
    of single answers, which both draws repeat, outweighs what people and images have in common.

    Args:
        first: (participants, images) answers in the one condition, NaN where a participant did not see the image.
        second: (participants, images) answers in the other.
        confidence: probability that the interval covers, in (0, 1).
        resamples: number of bootstrap resamples of participants and images.
        seed: of the resamples.

    Returns:
        Mean over participants of the difference of their means, its interval, and the number of participants who have
        both.

    Raises:
        InputError: different shapes, or no participant with both conditions.

    >>> two_way_interval([[4, 5], [3, 4]], [[2, 3], [1, 2]], resamples=50)
    Interval(mean=2.0, low=2.0, high=2.0, n=2)

    Source: Owen 2007, "The pigeonhole bootstrap".
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 2 or a.shape != b.shape:
        raise InputError(f"both conditions must be (participants, images) of one shape, got {a.shape} and {b.shape}")
    kept = ~(np.isnan(a).all(axis=1) | np.isnan(b).all(axis=1))
    a, b = a[kept], b[kept]
    people, images = a.shape
    if not people:
        raise InputError("no participant rated both conditions")
    random = np.random.default_rng([seed, people, images])
    ones = np.ones((1, people)), np.ones((1, images))
    of_people = random.multinomial(people, np.full(people, 1 / people), size=resamples)
    of_images = random.multinomial(images, np.full(images, 1 / images), size=resamples)
    estimate = _crossed_mean(a, b, *ones)[0]
    drawn = _crossed_mean(a, b, of_people, of_images)
    # A resample that drew no image in common for anybody has no mean.
    return interval_of(estimate, drawn[~np.isnan(drawn)], confidence, people)


def _crossed_mean(a: Floats, b: Floats, of_people: npt.ArrayLike, of_images: npt.ArrayLike) -> Floats:
    """(resamples,): weighted mean over people of the difference of their weighted means over images."""
    people, images = np.asarray(of_people, dtype=np.float64), np.asarray(of_images, dtype=np.float64)

    def means(values: Floats) -> Floats:
        there = ~np.isnan(values)
        weight = images @ there.T
        mean: Floats = np.full_like(weight, np.nan)
        return np.divide(images @ np.where(there, values, 0.0).T, weight, out=mean, where=weight > 0)

    difference = means(a) - means(b)
    weight = np.where(np.isnan(difference), 0.0, people)
    total = weight.sum(axis=1)
    mean: Floats = np.full(len(total), np.nan)
    np.divide((weight * np.nan_to_num(difference)).sum(axis=1), total, out=mean, where=total > 0)
    return mean


def _finite(values: Values) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise InputError(f"values must be finite, got {numbers[~np.isfinite(numbers)][0]}")
    return numbers
