"""Numbers that a set of images makes together, each with its interval and that of a difference on the same images.

`Mean` and `Ratio` are means of images' values, with bootstrap intervals; `Share` and `MeanOfShares` count images, with
exact or score intervals; `pellucid.statistics.scores` has the other numbers that rank or count all images together.
Imports no torch.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pellucid.statistics.intervals import (
    EMPTY,
    Estimand,
    Interval,
    bootstrapped,
    difference_of,
    mean_interval,
    mean_of,
    of_share,
    ratio_difference_of,
    ratio_interval,
    ratio_of,
    weighted_interval,
)
from pellucid.statistics.resamples import Floats
from pellucid.statistics.shares import combined_mean, not_certain, share_difference, share_interval, tango, wilson

__all__ = [
    "Aggregate",
    "Mean",
    "MeanOfShares",
    "Ratio",
    "Share",
    "Statistic",
    "images_to_tell",
]

Statistic = Callable[[Floats], Floats]
"""From how often each image counts, (resamples, n), to a number for each row of weights, (resamples,)."""

FLOOR = 1e-6
"""The least divisor of a ratio of means."""
FEW = 10
"""Images that must differ between two networks for resamples of them to say how many may."""
MOST_IMAGES = 10**7
"""More images than this are never said to be needed."""


class Aggregate(ABC):
    """A number of n images.

    Attributes:
        images: n.
    """

    @property
    @abstractmethod
    def images(self) -> int: ...

    @abstractmethod
    def weighted(self, weight: Floats) -> Floats:
        """The number as a function of how often each image counts, for a bootstrap over several runs together.

        Args:
            weight: (resamples, n).

        Returns:
            (resamples,); NaN where no image that counts has a value, or where the number does not exist.
        """

    @abstractmethod
    def interval(self) -> Interval:
        """The number with its 95 % interval; empty where it does not exist."""

    def minus(self, other: "Aggregate") -> Interval:
        """This number minus that of another network on the same images, paired, with its 95 % interval.

        Args:
            other: of the same n images in the same order.
        """
        return weighted_interval(lambda weight: self.weighted(weight) - other.weighted(weight), self.images)

    def estimand(self, other: "Aggregate | None" = None) -> Estimand | None:
        """What is bootstrapped for `interval`, or with another network for `minus`; None where nothing is.

        `pellucid.statistics.together` bootstraps those of many numbers at once.
        """
        return None

    def images_to_tell(self, other: "Aggregate", bound: float) -> int | None:
        """With how many images the interval of `minus` would no longer hold a bound, were the others like these.

        Args:
            other: of the same n images in the same order.
            bound: of the difference.

        Returns:
            A number of images, about; None where the difference is the bound itself, or it would take ten million.
        """
        return images_to_tell(self.minus(other), bound)


def images_to_tell(found: Interval, bound: float) -> int | None:
    """With how many images an interval would no longer hold a bound, as it narrows with the root of their number.

    Args:
        found: a number with its interval.
        bound: of the number.

    Returns:
        A number of images, about; None where the number is the bound itself, or it would take ten million.

    >>> images_to_tell(Interval(0.0, -0.02, 0.02, 100), bound=-0.01)
    400
    """
    away = abs(found.mean - bound)
    half = found.high - found.mean if bound > found.mean else found.mean - found.low
    if not (found.n and math.isfinite(away)) or half > away * math.sqrt(MOST_IMAGES / found.n):
        return None
    return max(1, math.ceil(found.n * (half / away) ** 2))


@dataclass(frozen=True, eq=False)
class Mean(Aggregate):
    """The mean of the images' values, with a bootstrap interval.

    Args:
        values: (n,) NaN where an image has none.
        is_share: whether the values are shares in [0, 1], so that all at one end are not certain either.

    >>> Mean(np.array([1.0, 2.0, 3.0])).interval() == mean_interval([1.0, 2.0, 3.0])
    True
    """

    values: Floats
    is_share: bool = False

    @property
    def images(self) -> int:
        return len(self.values)

    def weighted(self, weight: Floats) -> Floats:
        there = ~np.isnan(self.values)
        count = weight @ there
        total = weight @ np.where(there, self.values, 0)
        means: Floats = np.divide(total, count, out=np.full(len(weight), np.nan), where=count > 0)
        return means

    def interval(self) -> Interval:
        return bootstrapped([self._mean()])[0]

    def minus(self, other: Aggregate) -> Interval:
        asked = self.estimand(other)
        return super().minus(other) if asked is None else bootstrapped([asked])[0]

    def estimand(self, other: Aggregate | None = None) -> Estimand | None:
        if other is None:
            return self._mean()
        if not isinstance(other, Mean):
            return None
        asked = difference_of(self.values, other.values)
        few = self.is_share and other.is_share and np.count_nonzero(asked.values) < FEW
        # Resamples of few images that differ among many that do not say too little of how many may.
        return replace(asked, then=lambda found: not_certain(found, found.n)) if few else asked

    def _mean(self) -> Estimand:
        asked = mean_of(self.values)
        return replace(asked, then=of_share) if self.is_share else asked

    def over(self, other: "Mean") -> Interval:
        """This number divided by that of another network on the same images, paired, with its 95 % interval.

        Args:
            other: of the same n images in the same order; an image without a value on either side is dropped.
        """
        both = ~np.isnan(self.values) & ~np.isnan(other.values)
        return ratio_interval(self.values[both], other.values[both])


@dataclass(frozen=True, eq=False)
class Share(Mean):
    """The share of images for which a yes-or-no value holds: Clopper and Pearson's interval, and Tango's for pairs.

    >>> right = Share(np.array([1.0] * 30))
    >>> right.interval().low, right.minus(right).low
    (0.884..., -0.113...)
    """

    is_share: bool = True

    def interval(self) -> Interval:
        return share_interval(self.values)

    def minus(self, other: Aggregate) -> Interval:
        return share_difference(self.values, other.values) if isinstance(other, Share) else super().minus(other)

    def estimand(self, other: Aggregate | None = None) -> Estimand | None:
        return None if other is None or isinstance(other, Share) else super().estimand(other)

    def images_to_tell(self, other: Aggregate, bound: float) -> int | None:
        if not isinstance(other, Share):
            return super().images_to_tell(other, bound)
        change = self.values - other.values
        return _images_that_tell(lambda times: _more_like(change, times), int((~np.isnan(change)).sum()), bound)

    def over(self, other: Mean) -> Interval:
        """As of every mean, but never narrower than the exact interval of the difference allows."""
        ratio = super().over(other)
        if not isinstance(other, Share) or not ratio.n:
            return ratio
        difference, below = self.minus(other), np.nanmean(other.values)
        if below == 0:
            return ratio
        low, high = (ratio.mean + (end - difference.mean) / below for end in (difference.low, difference.high))
        return replace(ratio, low=min(ratio.low, max(0.0, float(low))), high=max(ratio.high, float(high)))


def _more_like(change: Floats, times: float) -> Interval:
    """The difference of two shares with its interval, were there more images like these, (n,) 1, 0 or -1 each."""
    gained, lost = (round(times * int((change == side).sum())) for side in (1, -1))
    return tango(gained, lost, max(gained + lost, math.ceil(times * int((~np.isnan(change)).sum()))))


def _images_that_tell(more: Callable[[float], Interval], n: int, bound: float) -> int | None:
    """As `Aggregate.images_to_tell`, of a difference of which it is known how it comes out with more images."""
    if not n or abs(more(1.0).mean - bound) < 1e-9:
        return None
    few, enough = 0.0, 1.0
    while not more(enough).excludes(bound):
        few, enough = enough, 2 * enough
        if enough * n > MOST_IMAGES:
            return None
    while (enough - few) * n > 0.5:
        middle = (few + enough) / 2
        few, enough = (few, middle) if more(middle).excludes(bound) else (middle, enough)
    return math.ceil(enough * n)


@dataclass(frozen=True, eq=False)
class Ratio(Aggregate):
    """A ratio of two means over the same images; it exists where the divisor's interval does not touch 0.

    Args:
        above: (n,) values of the dividend.
        below: (n,) values of the divisor.
    """

    above: Floats
    below: Floats

    @property
    def images(self) -> int:
        return len(self.above)

    @cached_property
    def divides(self) -> bool:
        """Whether the divisor cannot be 0, which would leave the ratio anywhere between nothing and infinity."""
        return mean_interval(self.below).low > 0

    def weighted(self, weight: Floats) -> Floats:
        if not self.divides:
            return np.full(len(weight), np.nan)
        ratio: Floats = Mean(self.above).weighted(weight) / np.maximum(Mean(self.below).weighted(weight), FLOOR)
        return ratio

    def interval(self) -> Interval:
        asked = self.estimand()
        return EMPTY if asked is None else bootstrapped([asked])[0]

    def minus(self, other: Aggregate) -> Interval:
        if not isinstance(other, Ratio):
            return super().minus(other)
        asked = self.estimand(other)
        return EMPTY if asked is None else bootstrapped([asked])[0]

    def estimand(self, other: Aggregate | None = None) -> Estimand | None:
        if not self.divides:
            return None
        if other is None:
            return ratio_of(self.above, self.below)
        if not isinstance(other, Ratio) or not other.divides:
            return None
        return ratio_difference_of((self.above, self.below), (other.above, other.below))


@dataclass(frozen=True, eq=False)
class MeanOfShares(Aggregate):
    """The mean over the classes of the share of a class's images for which a yes-or-no value holds.

    Each class has its score interval, or Tango's of a difference; `combined_mean` makes one of them.

    Args:
        right: (n,) True or 1 where the value holds.
        stratum: (n,) the class of each image.
        statistic: the number as a function of weights.

    Source: Brodersen et al. 2010 for the mean; Zou and Donner 2008 for its interval.
    """

    right: Floats
    stratum: npt.NDArray[np.generic]
    statistic: Statistic

    @property
    def images(self) -> int:
        return len(self.right)

    @cached_property
    def _members(self) -> list[npt.NDArray[np.bool_]]:
        return [self.stratum == one for one in np.unique(self.stratum)]

    def weighted(self, weight: Floats) -> Floats:
        return self.statistic(weight)

    def interval(self) -> Interval:
        found = combined_mean(wilson(int(self.right[one].sum()), int(one.sum())) for one in self._members)
        return replace(found, mean=float(self.statistic(np.ones((1, self.images)))[0])) if found.n else found

    def minus(self, other: Aggregate) -> Interval:
        if not isinstance(other, MeanOfShares):
            return super().minus(other)
        return combined_mean(share_difference(self.right[one], other.right[one]) for one in self._members)

    def images_to_tell(self, other: Aggregate, bound: float) -> int | None:
        if not isinstance(other, MeanOfShares):
            return super().images_to_tell(other, bound)
        changes = [self.right[one] - other.right[one] for one in self._members]
        return _images_that_tell(
            lambda times: combined_mean(_more_like(change, times) for change in changes), self.images, bound
        )
