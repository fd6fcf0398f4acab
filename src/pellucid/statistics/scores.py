"""Scores in [0, 1] of all images together, each with its interval and that of a difference on the same images.

`Smooth` is a score on which each image's influence is known by formula, such as the area under the ROC curve;
`Resampled` is any other function of the images, with a bootstrap that keeps the classes' sizes. Neither calls a
difference certain because these images do not show one. Imports no torch.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from pellucid.statistics.aggregates import Aggregate, Share, Statistic
from pellucid.statistics.intervals import EMPTY, Interval, interval_of, of_share
from pellucid.statistics.resamples import KEPT_BYTES, Floats, as_blocks
from pellucid.statistics.shares import combined_mean, unseen

__all__ = ["Resampled", "Smooth", "stratified_counts"]

RESAMPLES, QUANTILE = 2000, 1.959963984540054


@dataclass(frozen=True, eq=False)
class _Bounded(Aggregate):
    """A number in [0, 1] that rests on how few images the rarer side of each class has.

    Args:
        statistic: the number as a function of how often each image counts.
        stratum: (n,) the class of each image; the classes' sizes are taken as given.
        rests_on: for each class that is averaged, the images of its rarer side.
    """

    statistic: Statistic
    stratum: npt.NDArray[np.generic]
    rests_on: tuple[int, ...]

    @property
    def images(self) -> int:
        return len(self.stratum)

    def weighted(self, weight: Floats) -> Floats:
        return self.statistic(weight)

    @cached_property
    def value(self) -> float:
        """The number of all images, each counted once."""
        return float(self.statistic(np.ones((1, self.images)))[0]) if self.images else float("nan")

    def _not_certain(self, interval: Interval) -> Interval:
        """With Clopper and Pearson's end where the number is 0 or 1 and the images show no spread."""
        if not interval.n or interval.low != interval.high or interval.mean not in (0, 1):
            return interval
        parts = [of_share(Interval(interval.mean, interval.mean, interval.mean, n)) for n in self.rests_on]
        return replace(combined_mean(parts), n=interval.n)

    def _not_below_unseen(self, difference: Interval, other: "_Bounded") -> Interval:
        """Reaching to either side at least as far as two networks may differ that are equal on all these images."""
        if not difference.n:
            return difference
        sizes = np.minimum(self.rests_on, other.rests_on) if len(self.rests_on) == len(other.rests_on) else [1]
        least = float(np.sqrt(np.sum([unseen(int(n)) ** 2 for n in sizes])) / len(sizes))
        low, high = min(difference.low, difference.mean - least), max(difference.high, difference.mean + least)
        return replace(difference, low=max(-1.0, low), high=min(1.0, high))


@dataclass(frozen=True, eq=False)
class Smooth(_Bounded):
    r"""A number in [0, 1] whose standard error follows from how much each image moves it, such as DeLong's of an AUC.

    The variance is :math:`\sum_s \frac{n_s}{n_s - 1} \sum_{i \in s} (c_i - \bar c_s)^2` over the classes s, where
    :math:`c_i` is an image's influence. The interval is symmetrical in the log-odds, so that it stays in [0, 1]; of a
    difference, whose influences are the differences, it is symmetrical itself.

    Args:
        influence: (n,) how much the number moves, to first order, when an image counts once more in its class.

    Source: DeLong, DeLong, Clarke-Pearson 1988, "Comparing the areas under two or more correlated receiver operating
    characteristic curves", equations 4 to 6; in the log-odds, Pepe 2003, 5.2.
    """

    influence: Floats

    def _error(self, influence: Floats) -> float:
        total = 0.0
        for one in np.unique(self.stratum):
            part = influence[self.stratum == one]
            centred = part - part.mean() if len(part) > 1 else part
            total += len(part) / max(1, len(part) - 1) * float(centred @ centred)
        return float(np.sqrt(total)) if total > 1e-24 else 0.0

    def interval(self) -> Interval:
        if not np.isfinite(self.value):
            return EMPTY
        error, value = self._error(self.influence), min(1.0, max(0.0, self.value))
        low = high = value
        if error and 0 < value < 1:
            odds, half = np.log(value / (1 - value)), QUANTILE * error / (value * (1 - value))
            low, high = (float(1 / (1 + np.exp(-np.clip(end, -700, 700)))) for end in (odds - half, odds + half))
        return self._not_certain(Interval(value, low, high, self.images))

    def minus(self, other: Aggregate) -> Interval:
        if not isinstance(other, Smooth):
            return super().minus(other)
        difference = self.value - other.value
        if not np.isfinite(difference):
            return EMPTY
        half = QUANTILE * self._error(self.influence - other.influence)
        found = Interval(difference, max(-1.0, difference - half), min(1.0, difference + half), self.images)
        return self._not_below_unseen(found, other)


@dataclass(frozen=True, eq=False)
class Resampled(_Bounded):
    """Any function of the images, in [0, 1], with the percentiles of a bootstrap that keeps the classes' sizes.

    Two networks are resampled alike, so that their difference is paired.

    Args:
        exact: the share that the number is with what it chose of the images (such as a threshold) held fixed; no
            interval is narrower than the share's own.

    Source: Davison and Hinkley 1997, 3.2 (resampling within strata).
    """

    exact: Share | None = None

    @cached_property
    def resampled(self) -> Floats:
        """(resamples,) the number in every resample."""
        return np.concatenate([self.statistic(block) for block in _blocks(self.stratum)])

    def interval(self) -> Interval:
        if not np.isfinite(self.value):
            return EMPTY
        found = self._percentiles(self.value, self.resampled)
        if self.exact is not None:
            found = _around(found, self.exact.interval())
        return self._not_certain(found)

    def minus(self, other: Aggregate) -> Interval:
        if not isinstance(other, Resampled):
            return super().minus(other)
        if not np.isfinite(self.value - other.value):
            return EMPTY
        found = self._percentiles(self.value - other.value, self.resampled - other.resampled)
        if self.exact is not None and other.exact is not None:
            found = _around(found, self.exact.minus(other.exact))
        return self._not_below_unseen(found, other)

    def _percentiles(self, value: float, resampled: Floats) -> Interval:
        usable = resampled[~np.isnan(resampled)]
        if len(usable) < 0.9 * len(resampled):
            return EMPTY
        found = interval_of(np.float64(value), usable, 0.95, self.images)
        # What a number gains by the noise of a resample alone, as a calibration error does, must not leave it outside.
        return replace(found, low=min(found.low, value), high=max(found.high, value))


def _around(found: Interval, exact: Interval) -> Interval:
    """The interval that holds both."""
    if not (found.n and exact.n):
        return found
    return replace(found, low=min(found.low, exact.low), high=max(found.high, exact.high))


def stratified_counts(
    stratum: npt.NDArray[np.generic], *, resamples: int = RESAMPLES, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """(resamples, n): how often each image is in each resample, of which every class has as many as it has images.

    Args:
        stratum: (n,) the class of each image.
        resamples: number of resamples.
        seed: of the draws.

    >>> counts = stratified_counts(np.array([0, 0, 0, 1]), resamples=3)
    >>> counts[:, :3].sum(axis=1).tolist(), counts[:, 3].tolist()
    ([3, 3, 3], [1, 1, 1])
    """
    return _counts(_numbered(stratum), resamples, seed)


def _numbered(stratum: npt.NDArray[np.generic]) -> bytes:
    """The classes as numbers from 0, by which draws are kept."""
    number: npt.NDArray[np.int64] = np.unique(stratum, return_inverse=True)[1].astype(np.int64)
    return number.tobytes()


def _blocks(stratum: npt.NDArray[np.generic]) -> Iterable[Floats]:
    """`stratified_counts` as numbers to multiply with, kept as `pellucid.statistics.resamples.blocks` are."""
    if 8 * len(stratum) * RESAMPLES <= KEPT_BYTES:
        return _kept_blocks(_numbered(stratum))
    return as_blocks(stratified_counts(stratum))


@lru_cache(maxsize=1)
def _kept_blocks(number: bytes) -> list[Floats]:
    return list(as_blocks(_counts(number, RESAMPLES, 0)))


@lru_cache(maxsize=8)
def _counts(number: bytes, resamples: int, seed: int) -> npt.NDArray[np.uint8]:
    stratum = np.frombuffer(number, dtype=np.int64)
    counts = np.zeros((resamples, len(stratum)), dtype=np.uint8)
    for one in range(int(stratum.max(initial=-1)) + 1):
        place = np.flatnonzero(stratum == one)
        random, n = np.random.default_rng([seed, one]), len(place)
        for first in range(0, resamples, 250):
            rows = min(250, resamples - first)
            drawn = random.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
            part = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
            counts[first : first + rows, place] = part
    return counts
