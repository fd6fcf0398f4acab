"""The front holds what no other candidate beats, and rounding makes an order of it."""

import math

import pytest
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.statistics.pareto import Criterion, best_or_tied, dominates, front, recommended

LEVELS = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
CANDIDATES = st.lists(LEVELS, min_size=1, max_size=8).map(lambda lists: {str(i): own for i, own in enumerate(lists)})


def on_axes(levels):
    return {name: {"first": own[:1], "second": own[1:]} for name, own in levels.items()}


@pytest.mark.parametrize(
    ("criterion", "better", "worse"),
    [
        (Criterion(metric="gini", higher=True, step=0.02), 0.60, 0.57),
        (Criterion(metric="aopc_lerf", higher=False, step=0.001), -0.002, 0.0),
        (Criterion(metric="ris", higher=False, step=1.1, ratio=True), 5.0, 6.0),
        (Criterion(metric="ris", higher=True, step=1.1, ratio=True), 6.0, 5.0),
    ],
)
def test_a_level_rises_with_what_is_better(criterion, better, worse) -> None:
    assert criterion.level(better) > criterion.level(worse) > criterion.level(None)
    assert criterion.level(math.nan) == criterion.level(None) == -math.inf


def test_values_within_a_step_are_equal_and_ratios_are_alike_at_every_size() -> None:
    ratio = Criterion(metric="ros", higher=False, step=2, ratio=True)
    assert ratio.level(4) == ratio.level(4.5) == ratio.level(3.5)
    assert ratio.level(4) - ratio.level(8) == ratio.level(400) - ratio.level(800) == 1
    assert ratio.level(0) == -math.inf


@pytest.mark.parametrize(("step", "ratio"), [(0, False), (-1, False), (1, True), (math.nan, False)])
def test_a_step_has_a_width(step, ratio) -> None:
    with pytest.raises(InputError, match="step must be above"):
        Criterion(metric="gini", higher=True, step=step, ratio=ratio)


@given(LEVELS, LEVELS, LEVELS)
def test_dominance_is_a_strict_order(a, b, c) -> None:
    assert not dominates(a, a)
    assert not (dominates(a, b) and dominates(b, a))
    assert dominates(a, c) or not (dominates(a, b) and dominates(b, c))


@given(CANDIDATES)
def test_the_front_is_what_nothing_dominates(levels) -> None:
    found = front(levels)
    assert found
    for name, own in levels.items():
        beaten = [other for other in levels if dominates(levels[other], own)]
        assert (name in found) is (not beaten)
        assert not beaten or any(dominates(levels[other], own) for other in found)


@given(CANDIDATES)
def test_ties_and_the_recommended_one(levels) -> None:
    axes = on_axes(levels)
    tied = best_or_tied(axes)
    top = max(own[0] for own in levels.values())
    assert [name for name in levels if "first" in tied[name]] == [name for name in levels if levels[name][0] == top]
    best = recommended(axes)
    assert best in front(levels)
    assert len(tied[best]) == max(len(tied[name]) for name in front(levels))
    assert len(front(levels)) > 1 or best == front(levels)[0]


def test_an_axis_of_two_numbers_that_pull_apart_has_two_best() -> None:
    levels = {"a": {"stability": [3, 1]}, "b": {"stability": [1, 3]}, "c": {"stability": [1, 2]}}
    assert best_or_tied(levels) == {"a": ["stability"], "b": ["stability"], "c": []}
