"""Which candidates no other one beats: the Pareto front, on numbers that are rounded to steps worth telling apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pellucid.core.errors import InputError

__all__ = ["Criterion", "best_or_tied", "dominates", "front", "recommended"]

Levels = Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A number to be made large or small, and the step below which two of its values count as equal.

    Args:
        metric: its name.
        higher: whether more is better.
        step: the width of a step, above 0; a factor above 1 where the number is a ``ratio``.
        ratio: whether steps are factors rather than differences.

    >>> accuracy = Criterion(metric="clean_accuracy", higher=True, step=0.01)
    >>> [accuracy.level(value) for value in (0.886, 0.893, 0.902, None)]
    [89.0, 89.0, 90.0, -inf]

    Source: the boxes of Laumanns, Thiele, Deb, Zitzler 2002, "Combining convergence and diversity in evolutionary
    multiobjective optimization".
    """

    metric: str
    higher: bool
    step: float
    ratio: bool = False

    def __post_init__(self) -> None:
        if not self.step > (1 if self.ratio else 0):
            raise InputError(f"step must be above {1 if self.ratio else 0}, got {self.step:g}")

    def level(self, value: float | None) -> float:
        """The value in whole steps, greater is better; a number that does not exist is below all."""
        if value is None or math.isnan(value) or (self.ratio and value <= 0):
            return -math.inf
        steps = math.log(value) / math.log(self.step) if self.ratio else value / self.step
        return float(round(steps if self.higher else -steps))


def dominates(levels: Levels, other: Levels) -> bool:
    """Whether one candidate is nowhere worse than the other and somewhere better.

    >>> dominates([1, 2], [1, 1]), dominates([1, 2], [2, 1]), dominates([1, 2], [1, 2])
    (True, False, False)
    """
    pairs = list(zip(levels, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def front(levels: Mapping[str, Levels]) -> list[str]:
    """The candidates that no other one dominates, in their order.

    Args:
        levels: by candidate, as many levels of each; greater is better.

    >>> front({"accurate": [3, 1], "sparse": [1, 3], "neither": [1, 1]})
    ['accurate', 'sparse']
    """
    return [name for name in levels if not any(dominates(other, levels[name]) for other in levels.values())]


def best_or_tied(levels: Mapping[str, Mapping[str, Levels]]) -> dict[str, list[str]]:
    """On which axes each candidate is best or tied with the best: on the front of that axis alone.

    Args:
        levels: by candidate and axis; an axis of two numbers that pull apart has several best candidates.

    >>> best_or_tied({"a": {"accuracy": [3], "sparsity": [1]}, "b": {"accuracy": [3], "sparsity": [2]}})
    {'a': ['accuracy'], 'b': ['accuracy', 'sparsity']}
    """
    axes = list(dict.fromkeys(axis for by_axis in levels.values() for axis in by_axis))
    best = {axis: front({name: by_axis[axis] for name, by_axis in levels.items()}) for axis in axes}
    return {name: [axis for axis in axes if name in best[axis]] for name in levels}


def recommended(levels: Mapping[str, Mapping[str, Levels]]) -> str:
    """The candidate of the front that is best or tied on the most axes; of several the one with the best mean rank.

    Args:
        levels: by candidate and axis, of one candidate or more.

    >>> recommended({"a": {"accuracy": [3], "sparsity": [1]}, "b": {"accuracy": [3], "sparsity": [2]}})
    'b'
    """
    flat = {name: [level for axis in by_axis.values() for level in axis] for name, by_axis in levels.items()}
    tied = best_or_tied(levels)

    def rank(name: str) -> int:
        return sum(sum(other[i] > level for other in flat.values()) for i, level in enumerate(flat[name]))

    return min(front(flat), key=lambda name: (-len(tied[name]), rank(name)))
