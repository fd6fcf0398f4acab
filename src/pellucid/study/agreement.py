"""Do people agree: Krippendorff's ordinal alpha for any answers, intraclass correlations for complete ones.

Low agreement is a finding, not a fault: people may well differ in whom they trust. It says how far the mean over these
people would change with others.
"""

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError
from pellucid.statistics import Interval, interval_of

__all__ = ["icc", "krippendorff_interval"]

Floats = npt.NDArray[np.float64]


def krippendorff_interval(
    ratings: npt.ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Krippendorff's ordinal alpha with its percentile bootstrap interval over units.

    Alpha is 1 minus the observed disagreement over that of answers shuffled among the units. How much two ratings
    disagree is counted in the ratings that lie between them.

    Args:
        ratings: (raters, units), NaN where a rater did not rate a unit; units with fewer than 2 ratings are left out.
        confidence: probability that the interval covers, in (0, 1).
        resamples: number of bootstrap resamples of units.
        seed: of the resamples.

    Returns:
        alpha, its interval, and the number of units that 2 raters or more rated. Alpha is at most 1: 1 for full
        agreement, 0 for that of chance, below 0 for systematic disagreement; NaN where it does not exist, since all
        ratings are equal or no unit has 2.

    Raises:
        InputError: ratings that are not (raters, units).

    >>> krippendorff_interval([[1, 2, 3], [1, 2, 3]], resamples=20)
    Interval(mean=1.0, low=1.0, high=1.0, n=3)

    Source: Krippendorff 2011, "Computing Krippendorff's alpha-reliability", sections C and D; units are resampled
    whole, as in Zapf et al. 2016.
    """
    coincidences, values = _coincidences(ratings)
    n = len(coincidences)
    estimate = float(_alpha(coincidences.sum(axis=0)[None])[0])
    if np.isnan(estimate):
        return Interval(estimate, estimate, estimate, n)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    resampled = _alpha((drawn @ coincidences.reshape(n, -1)).reshape(-1, len(values), len(values)))
    return interval_of(np.float64(estimate), resampled[~np.isnan(resampled)], confidence, n)


def icc(ratings: npt.ArrayLike, *, average: bool = False) -> float:
    """Intraclass correlation of a complete table, raters and targets both random, absolute agreement.

    Args:
        ratings: (targets, raters), at least 2 of each, without NaN.
        average: False for the reliability of one rater, ICC(2,1); True for that of the mean over all k, ICC(2,k).

    Returns:
        A number of at most 1; NaN where all ratings are equal.

    Raises:
        InputError: ratings that are not (targets, raters), fewer than 2 of either, a NaN.

    >>> icc([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]])
    1.0

    Source: Shrout and Fleiss 1979, "Intraclass correlations", case 2.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise InputError(f"the table must be (targets, raters), at least 2 of each and complete, got {table.shape}")
    n, k = table.shape
    of_targets, of_raters, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    between = k * ((of_targets - mean) ** 2).sum() / (n - 1)
    raters = n * ((of_raters - mean) ** 2).sum() / (k - 1)
    rest = ((table - of_targets[:, None] - of_raters + mean) ** 2).sum() / ((n - 1) * (k - 1))
    whole = between + (raters - rest) / n if average else between + (k - 1) * rest + k * (raters - rest) / n
    return float((between - rest) / whole) if whole else float("nan")


def _coincidences(ratings: npt.ArrayLike) -> tuple[Floats, Floats]:
    """(units, values, values): pairs of ratings within each unit, over its raters minus 1; and the values in order."""
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise InputError(f"ratings must be (raters, units), got shape {table.shape}")
    values = np.unique(table[~np.isnan(table)])
    counts = (table.T[:, :, None] == values).sum(axis=1).astype(np.float64)
    counts = counts[counts.sum(axis=1) >= 2]
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(values))
    return pairs / (counts.sum(axis=1) - 1)[:, None, None], values


def _alpha(coincidences: Floats) -> Floats:
    """(resamples,): alpha of each table of coincidences (resamples, values, values)."""
    totals = coincidences.sum(axis=2)
    n = totals.sum(axis=1)
    # Ratings between two values, with half of those at either end.
    middle = totals.cumsum(axis=1) - totals / 2
    apart = (middle[:, :, None] - middle[:, None, :]) ** 2
    observed = (coincidences * apart).sum(axis=(1, 2))
    by_chance = (totals[:, :, None] * totals[:, None, :] * apart).sum(axis=(1, 2))
    disagreement: Floats = np.full(len(n), np.nan)
    np.divide((n - 1) * observed, by_chance, out=disagreement, where=by_chance > 0)
    return 1 - disagreement
