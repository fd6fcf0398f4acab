"""Intervals of what people gave: participants are resampled whole, alone or together with the images that they saw."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError
from pellucid.statistics import Interval, interval_of
from pellucid.study.inference import Floats, Values, finite

__all__ = ["participant_interval", "two_way_interval"]

BATCH = 100
"""Resamples at a time."""


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

    >>> from pellucid.study.inference import hodges_lehmann
    >>> participant_interval([1.0, 1.0, 1.0], hodges_lehmann, resamples=10)
    Interval(mean=1.0, low=1.0, high=1.0, n=3)

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    rows = finite(values)
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
