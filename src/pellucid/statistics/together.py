"""The intervals of many numbers, the same as one by one, but in less time: their resamples are drawn once for all."""

from collections.abc import Callable, Sequence

from pellucid.statistics.aggregates import Aggregate
from pellucid.statistics.intervals import Estimand, Interval, bootstrapped

__all__ = ["differences", "intervals"]


def intervals(numbers: Sequence[Aggregate]) -> list[Interval]:
    """`Aggregate.interval` of many numbers.

    >>> import numpy as np
    >>> from pellucid.statistics.aggregates import Mean, Share
    >>> numbers = [Mean(np.array([1.0, 2.0, 3.0])), Share(np.array([1.0, 0.0]))]
    >>> intervals(numbers) == [number.interval() for number in numbers]
    True
    """
    return _together([number.estimand() for number in numbers], lambda place: numbers[place].interval())


def differences(pairs: Sequence[tuple[Aggregate, Aggregate]]) -> list[Interval]:
    """`Aggregate.minus` of many pairs, the first minus the second."""
    asked = [one.estimand(other) for one, other in pairs]
    return _together(asked, lambda place: pairs[place][0].minus(pairs[place][1]))


def _together(asked: Sequence[Estimand | None], alone: Callable[[int], Interval]) -> list[Interval]:
    found = iter(bootstrapped([one for one in asked if one is not None]))
    return [alone(place) if one is None else next(found) for place, one in enumerate(asked)]
