"""How sure a share of images is, and the difference of two: exact or score intervals, which never have no width.

A bootstrap resamples what was seen. Where no image tells two networks apart it therefore calls their difference
certain, however few the images are; these intervals do not. Imports no torch.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from pellucid.core.errors import InputError
from pellucid.statistics.intervals import EMPTY, Interval, Values

__all__ = [
    "clopper_pearson",
    "combined_difference",
    "combined_mean",
    "images_to_show",
    "not_certain",
    "share_difference",
    "share_interval",
    "tango",
    "unseen",
    "wilson",
]


def clopper_pearson(count: int, n: int, *, confidence: float = 0.95) -> Interval:
    """A share with its exact interval, which covers at least as often as it says, whatever the true share is.

    Args:
        count: images that have it, from 0 to ``n``.
        n: images; 0 gives an empty interval.
        confidence: probability that the interval covers, in (0, 1).

    Raises:
        InputError: a count outside 0 to ``n``.

    >>> clopper_pearson(200, 200).low
    0.9817...
    >>> clopper_pearson(9, 10)
    Interval(mean=0.9, low=0.554..., high=0.997..., n=10)

    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits".
    """
    from scipy.special import betaincinv  # scipy.special takes a tenth of a second to import

    _check_count(count, n)
    if not n:
        return EMPTY
    tail = (1 - confidence) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Interval(count / n, low, high, n)


def wilson(count: int, n: int, *, confidence: float = 0.95) -> Interval:
    """A share with its score interval: narrower than the exact one, and right on average over the true shares.

    The arguments are those of `clopper_pearson`.

    >>> wilson(10, 10)
    Interval(mean=1.0, low=0.722..., high=1.0, n=10)

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    _check_count(count, n)
    if not n:
        return EMPTY
    z = _quantile(confidence)
    share = count / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Interval(share, max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)), n)


def tango(gained: int, lost: int, n: int, *, confidence: float = 0.95) -> Interval:
    r"""The difference of two shares of the same images, with its score interval.

    Only the images on which the two differ speak about the difference; how many those are decides the width, and where
    there are none the interval is ``unseen(n)`` to either side. It holds every difference :math:`d` for which
    :math:`|b - c - n d| \le z \sqrt{n (2 q + d (1 - d))}`, where b is ``gained``, c is ``lost`` and q is the most
    likely share of the lost where the true difference is d.

    Args:
        gained: images that have it in the first alone.
        lost: images that have it in the second alone.
        n: images of both; 0 gives an empty interval.
        confidence: probability that the interval covers, in (0, 1).

    Returns:
        The first share minus the second, in [-1, 1].

    Raises:
        InputError: counts below 0, or more than ``n`` together.

    >>> tango(0, 0, 30)
    Interval(mean=0.0, low=-0.113..., high=0.113..., n=30)

    Source: Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", equations 4 to 6.
    """
    if min(gained, lost) < 0:
        raise InputError(f"gained and lost must be at least 0, got {gained} and {lost}")
    _check_count(gained + lost, n)
    if not n:
        return EMPTY
    z, found = _quantile(confidence), (gained - lost) / n

    def distance(difference: float) -> float:
        linear = (2 * n - gained + lost) * difference - gained - lost
        constant = -lost * difference * (1 - difference)
        root = math.sqrt(max(0.0, linear**2 - 8 * n * constant))
        # Of the two ways to write a root the one without cancellation, or an end at -1 or 1 is lost.
        share = (root - linear) / (4 * n) if linear <= 0 else -2 * constant / (root + linear)
        return abs(gained - lost - n * difference) - z * math.sqrt(
            max(0.0, n * (2 * share + difference * (1 - difference)))
        )

    def end(limit: float) -> float:
        inside, outside = found, limit
        if distance(limit) <= 0:
            return limit
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if distance(middle) <= 0 else (inside, middle)
        return inside

    return Interval(found, end(-1.0), end(1.0), n)


def unseen(n: int, *, confidence: float = 0.95) -> float:
    """How far two shares may differ that are equal on all of n images: the half-width of their score interval.

    A margin below it cannot be shown with so few images, whatever they say.

    >>> round(unseen(30), 3), round(unseen(381), 4)
    (0.114, 0.01)
    """
    z = _quantile(confidence)
    return z**2 / (n + z**2)


def not_certain(difference: Interval, n: int, *, confidence: float = 0.95) -> Interval:
    """The difference of two shares, reaching to either side at least as far as `unseen` leaves open.

    Args:
        difference: of two numbers in [0, 1], with an interval of any kind.
        n: images that it rests on.
        confidence: probability that the interval covers, in (0, 1).

    >>> not_certain(Interval(0.0, 0.0, 0.0, 30), 30)
    Interval(mean=0.0, low=-0.113..., high=0.113..., n=30)
    """
    if not difference.n:
        return difference
    least = unseen(n, confidence=confidence)
    low, high = min(difference.low, difference.mean - least), max(difference.high, difference.mean + least)
    return replace(difference, low=max(-1.0, low), high=min(1.0, high))


def images_to_show(margin: float, *, differing: float = 0.0, confidence: float = 0.95) -> int:
    """How many images show that a share has not fallen by more than a margin, where in truth it has not changed.

    Args:
        margin: what may be lost, such as 0.01 for one point of accuracy, in (0, 1).
        differing: share of images on which the two networks differ, half of them in favour of each, in [0, 1].
        confidence: of the interval that must lie above the margin, in (0, 1).

    Returns:
        The fewest images at which `tango`'s interval lies above ``-margin``, the counts rounded up.

    Raises:
        InputError: a margin or a share out of range.

    >>> images_to_show(0.01), images_to_show(0.02), images_to_show(0.01, differing=0.05)
    (381, 189, 1994)
    """
    if not 0 < margin < 1:
        raise InputError(f"margin must be in (0, 1), got {margin}")
    if not 0 <= differing <= 1:
        raise InputError(f"differing must be in [0, 1], got {differing}")

    def shows(n: int) -> bool:
        half = min(math.ceil(n * differing / 2), n // 2)
        return tango(half, half, n, confidence=confidence).low >= -margin

    few, enough = 0, 1
    while not shows(enough):
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if shows(middle) else (middle, enough)
    return enough


def share_interval(values: Values, *, confidence: float = 0.95) -> Interval:
    """A share of images with its exact interval.

    Args:
        values: (n,) 1 or True for an image that has it and 0 for one that has not; NaN is dropped.
        confidence: probability that the interval covers, in (0, 1).

    >>> share_interval([1, 1, float("nan"), 0]) == clopper_pearson(2, 3)
    True
    """
    kept = np.asarray(values, dtype=np.float64)
    kept = kept[~np.isnan(kept)]
    return clopper_pearson(int(kept.sum()), len(kept), confidence=confidence)


def share_difference(a: Values, b: Values, *, confidence: float = 0.95) -> Interval:
    """The difference of two shares over the images that both have, with Tango's interval.

    The arguments are as in `share_interval`; an image with a NaN on either side is dropped.

    >>> share_difference([1, 1, 0, 1], [1, 0, 0, 1]) == tango(1, 0, 4)
    True
    """
    ours, theirs = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    gained = int(((ours == 1) & (theirs == 0) & both).sum())
    lost = int(((ours == 0) & (theirs == 1) & both).sum())
    return tango(gained, lost, int(both.sum()), confidence=confidence)


def combined_mean(parts: Iterable[Interval]) -> Interval:
    """The mean of numbers of separate images, such as the classes' recalls, from their own intervals.

    The distances from the numbers to their ends are squared and added, each side for itself, as standard errors are.

    Args:
        parts: intervals of one confidence; empty ones are left out.

    Returns:
        The mean with an interval of the same confidence; n is the number of images in all.

    >>> combined_mean([wilson(9, 10), wilson(9, 10)]).mean, combined_mean([wilson(9, 10)]) == wilson(9, 10)
    (0.9, True)

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures: a general approach",
    equation 6 (MOVER); for shares, Newcombe 1998.
    """
    kept = [part for part in parts if part.n]
    if not kept:
        return EMPTY
    if len(kept) == 1:
        return kept[0]
    count = len(kept)
    mean = sum(part.mean for part in kept) / count
    below = math.sqrt(sum((part.mean - part.low) ** 2 for part in kept)) / count
    above = math.sqrt(sum((part.high - part.mean) ** 2 for part in kept)) / count
    return Interval(mean, mean - below, mean + above, sum(part.n for part in kept))


def combined_difference(a: Interval, b: Interval) -> Interval:
    """``a - b``, two numbers of different images, from their own intervals.

    >>> found = combined_difference(wilson(9, 10), wilson(6, 10))
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3), found.n
    (0.3, -0.082, 0.599, 20)

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10, for
    shares; Zou and Donner 2008, equation 3, for any numbers.
    """
    if not (a.n and b.n):
        return EMPTY
    mean = a.mean - b.mean
    low = mean - math.hypot(a.mean - a.low, b.high - b.mean)
    return Interval(mean, low, mean + math.hypot(a.high - a.mean, b.mean - b.low), a.n + b.n)


def _check_count(count: int, n: int) -> None:
    if not 0 <= count <= n:
        raise InputError(f"a count must be from 0 to the number of images, got {count} of {n}")


def _quantile(confidence: float) -> float:
    """How many standard errors to either side hold ``confidence`` of a normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence / 2))
