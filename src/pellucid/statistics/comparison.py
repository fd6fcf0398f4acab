"""Do runs differ on the same images, and by how much: paired tests, corrected for their number, and effect sizes.

A p-value says how surprising the difference would be if runs were interchangeable on every image; with many images
that happens for differences of no use, which the effect sizes show.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError
from pellucid.statistics import Interval, paired_difference

__all__ = ["Comparison", "Test", "compare_pairs", "holm", "paired_cohens_d", "paired_test", "rank_biserial"]

Test = Literal["permutation", "wilcoxon"]
Values = npt.ArrayLike
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """How one run differs from another on the images both have.

    Attributes:
        difference: mean of first minus second with its bootstrap interval, which is not corrected.
        p: of the paired test alone.
        corrected_p: of the test among all that were made together (Holm).
        cohens_d: see `paired_cohens_d`.
        rank_biserial: see `rank_biserial`.
    """

    difference: Interval
    p: float
    corrected_p: float
    cohens_d: float
    rank_biserial: float


def compare_pairs(
    runs: Mapping[str, Values], *, test: Test = "permutation", resamples: int = 9999, seed: int = 0
) -> dict[tuple[str, str], Comparison]:
    """Compare every two runs on the images both have; the p-values of all pairs are corrected together.

    Args:
        runs: for each run's name (n,) values of the same images in the same order, NaN where an image has none; at
            least two runs, and at least 2 images that each pair has.
        test: ``permutation`` or ``wilcoxon``, as in `paired_test`.
        resamples: random signs of the permutation test, at least 1.
        seed: of the signs and of the intervals' resamples.

    Returns:
        For each pair of names, in the order of ``runs``, the comparison of the first with the second.

    Raises:
        InputError: fewer than two runs, or as in `paired_test`.

    >>> runs = {"a": [1.0, 2.0, 3.0, 5.0], "b": [0.0, 1.0, 2.0, 3.0], "c": [1.0, 2.0, 3.0, 5.0]}
    >>> {pair: (found.p, found.corrected_p) for pair, found in compare_pairs(runs).items()}
    {('a', 'b'): (0.125, 0.375), ('a', 'c'): (1.0, 1.0), ('b', 'c'): (0.125, 0.375)}

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    if len(runs) < 2:
        raise InputError(f"a comparison needs at least 2 runs, got {len(runs)}")
    pairs = list(combinations(runs, 2))
    p = [paired_test(runs[a], runs[b], test=test, resamples=resamples, seed=seed) for a, b in pairs]
    return {
        (a, b): Comparison(
            difference=paired_difference(runs[a], runs[b], seed=seed),
            p=alone,
            corrected_p=float(corrected),
            cohens_d=paired_cohens_d(runs[a], runs[b]),
            rank_biserial=rank_biserial(runs[a], runs[b]),
        )
        for (a, b), alone, corrected in zip(pairs, p, holm(p), strict=True)
    }


def paired_test(a: Values, b: Values, *, test: Test = "permutation", resamples: int = 9999, seed: int = 0) -> float:
    """Two-sided p-value of the hypothesis that the two runs are interchangeable on every image.

    ``permutation`` asks of the mean: how often is it as large when each image's difference has a random sign. Exact
    where all 2^n signs are at most ``resamples``; otherwise no p is below 2/(resamples + 1). ``wilcoxon`` asks of the
    signed ranks, so outliers matter less; images without a difference are left out.

    Args:
        a: (n,) one value per image.
        b: (n,) values of the same images; an image with a NaN on either side is dropped.
        test: ``permutation`` or ``wilcoxon``.
        resamples: random signs of the permutation test, at least 1.
        seed: of the signs.

    Returns:
        p in (0, 1]; 1 where no image differs.

    Raises:
        InputError: different lengths, an infinite value, fewer than 2 images left, another test, ``resamples`` below 1.

    >>> paired_test([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]), paired_test([1.0, 2.0], [1.0, 2.0], test="wilcoxon")
    (0.25, 1.0)

    Source: `scipy.stats.permutation_test`, `scipy.stats.wilcoxon`; Fisher 1935 and Wilcoxon 1945.
    """
    if test not in ("permutation", "wilcoxon"):
        raise InputError(f"test must be permutation or wilcoxon, got {test!r}")
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, got {resamples}")
    difference = _differences(a, b)
    if not difference.any():
        return 1.0
    import scipy.stats  # takes half a second, which a report, for its corrections alone, need not pay

    if test == "wilcoxon":
        return float(scipy.stats.wilcoxon(difference).pvalue)
    found = scipy.stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=250,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(p: Values) -> Floats:
    """Holm's corrected p-values: rejecting those below alpha errs at all with a probability of at most alpha.

    Args:
        p: (m,) p-values of tests made together, m >= 1.

    Returns:
        (m,) corrected values in [0, 1], none below its own p.

    Raises:
        InputError: a value outside [0, 1], or not (m,).

    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise InputError(f"p-values must be (m,) with m >= 1, got shape {values.shape}")
    if not ((values >= 0) & (values <= 1)).all():
        wrong = values[~((values >= 0) & (values <= 1))][0]
        raise InputError(f"p-values must be in [0, 1], got {wrong:g}")
    order = np.argsort(values)
    # The smallest of m is multiplied by m, the next by m - 1, ...; none may fall below the one before.
    rising = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(rising, 1)
    return corrected


def paired_cohens_d(a: Values, b: Values) -> float:
    """Mean difference over the images in units of its own standard deviation (Cohen's d_z).

    Args:
        a: (n,) one value per image.
        b: (n,) values of the same images; an image with a NaN on either side is dropped.

    Returns:
        mean(a - b) / std(a - b), with n - 1 in the variance; 0.2, 0.5 and 0.8 are called small, medium and large. 0
        where no image differs, infinite where all differ by the same.

    Raises:
        InputError: different lengths, an infinite value, or fewer than 2 images left.

    >>> paired_cohens_d([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    2.0

    Source: Cohen 1988, Statistical power analysis for the behavioral sciences, section 2.3.5.
    """
    difference = _differences(a, b)
    mean, spread = difference.mean(), difference.std(ddof=1)
    if np.ptp(difference) == 0:
        return float(np.copysign(np.inf, mean)) if mean else 0.0
    return float(mean / spread)


def rank_biserial(a: Values, b: Values) -> float:
    """Matched-pairs rank-biserial correlation: the share of the signed ranks in favour of a, minus those against.

    The images that differ are ranked by the size of their difference (ties share their mean rank); the value is the
    sum of the positive ones' ranks minus that of the negative ones', divided by the sum of all.

    Args:
        a: (n,) one value per image.
        b: (n,) values of the same images; an image with a NaN on either side is dropped.

    Returns:
        A number in [-1, 1]: 1 where a is larger on every image that differs; 0 where none differs.

    Raises:
        InputError: different lengths, an infinite value, or fewer than 2 images left.

    >>> rank_biserial([1.0, 2.0, 3.0], [0.0, 0.0, 6.0])
    0.0

    Source: Kerby 2014, "The simple difference formula".
    """
    difference = _differences(a, b)
    difference = difference[difference != 0]
    if not len(difference):
        return 0.0
    from scipy.stats import rankdata  # as in `paired_test`

    ranks = rankdata(np.abs(difference))
    return float((np.sign(difference) * ranks).sum() / ranks.sum())


def _differences(a: Values, b: Values) -> Floats:
    """a - b of the images that have both, at least 2."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise InputError(f"both runs must have (n,) values of the same images, got {first.shape} and {second.shape}")
    if np.isinf(first).any() or np.isinf(second).any():
        raise InputError("values must not be infinite, got an infinite one; NaN stands for an image without a value")
    difference: Floats = first - second
    difference = difference[~np.isnan(difference)]
    if len(difference) < 2:
        raise InputError(f"a paired comparison needs at least 2 images that both runs have, got {len(difference)}")
    return difference
