"""Tests and effect sizes for ratings: the participant is the unit, and one participant gives one number a condition.

Answers of one person are not independent of each other, so that a test over single answers would count every person
many times. Everything here therefore takes one value per participant and condition.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.stats

from pellucid.core.errors import InputError

__all__ = [
    "Alternative",
    "Friedman",
    "SignedRank",
    "equivalence",
    "finite",
    "friedman",
    "hodges_lehmann",
    "kendalls_w",
    "signed_rank",
    "signed_rank_effect",
]

Alternative = Literal["two-sided", "greater", "less"]
Floats = npt.NDArray[np.float64]
Values = npt.ArrayLike

FEW = 20
"""Below this number of participants Friedman's p is that of random permutations, not of the chi-squared limit."""


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
    values = finite(differences)
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
    values = finite(differences)
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
    values = np.round(finite(differences), 9)
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
    rows = np.round(finite(values), 9)
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
    ranks = scipy.stats.rankdata(np.round(finite(values), 9), axis=-1)
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
    values = finite(differences)
    above = signed_rank(values + bound, alternative="greater").p
    return max(above, signed_rank(values - bound, alternative="less").p)


def finite(values: Values) -> Floats:
    """The values as numbers; raises for a NaN or an infinite one."""
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise InputError(f"values must be finite, got {numbers[~np.isfinite(numbers)][0]}")
    return numbers
