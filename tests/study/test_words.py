"""The results in sentences: what is said agrees with what was found."""

from dataclasses import replace

import pytest

from pellucid.statistics import Interval
from pellucid.study.analysis import analyse
from pellucid.study.raters import simulated
from pellucid.study.results import Analysis, Pair, Result
from pellucid.study.words import headline, interval, methods, p_value, pair_sentence, result_sentence, signed

PAIR = Pair(
    condition="smoothed",
    against="regular",
    n=20,
    zeros=1,
    statistic=190.0,
    p=0.0002,
    corrected_p=0.0004,
    shift=Interval(0.5, 0.25, 0.75, 20),
    effect=Interval(0.6, 0.3, 0.8, 20),
    difference=Interval(0.48, 0.2, 0.7, 20),
    two_way=Interval(0.48, 0.1, 0.9, 20),
)
RESULT = Result("trust", "wilcoxon", True, 0.05, 20, 190.0, 0.0002, 0.0004, None, False, (PAIR,))


def test_a_difference_is_told_with_its_direction() -> None:
    expected = "smoothed was rated higher than regular (shift +0.50 [+0.25, +0.75] points, rank-biserial r +0.60"
    assert pair_sentence(RESULT, PAIR) == f"{expected} [+0.30, +0.80], p < 0.001)"
    down = replace(PAIR, effect=Interval(-0.6, -0.8, -0.3, 20))
    assert "smoothed was rated lower than regular" in pair_sentence(RESULT, down)
    assert "smoothed was chosen more often than regular" in pair_sentence(RESULT, PAIR, kind="choice")
    assert "points" not in pair_sentence(RESULT, PAIR, kind="guess")


def test_no_difference_is_not_told_as_equal() -> None:
    unsure = replace(PAIR, corrected_p=0.06)
    assert pair_sentence(RESULT, unsure).startswith("No difference was found between smoothed and regular")
    assert "p = 0.060" in pair_sentence(RESULT, unsure)
    assert "the interval leaves out 0, but it is not corrected" in pair_sentence(RESULT, unsure)
    around = replace(unsure, shift=Interval(0.1, -0.2, 0.4, 20))
    assert "leaves out 0" not in pair_sentence(RESULT, around)
    bounded = replace(around, bound=0.5, equivalence_p=0.2)
    said = pair_sentence(RESULT, bounded)
    assert said.endswith("The difference was not shown to be smaller than ±0.5 points (equivalence test, p = 0.200)")
    equal = pair_sentence(RESULT, replace(bounded, equivalence_p=0.01))
    assert equal.endswith("Any difference is smaller than ±0.5 points (equivalence test, p = 0.010)")


def test_a_small_p_of_a_pair_never_stands_beside_no_difference() -> None:
    """The test of all conditions decides; the pair's own p then says nothing that may be read as a finding."""
    together = replace(RESULT, test="friedman", w=Interval(0.1, 0.0, 0.2, 20), corrected_p=0.3)
    said = pair_sentence(together, replace(PAIR, corrected_p=0.01))
    assert said == ("smoothed minus regular: shift +0.50 [+0.25, +0.75] points, rank-biserial r +0.60 [+0.30, +0.80]")
    assert "No two conditions are therefore said to differ" in result_sentence(together)


def test_friedman_is_told_where_it_was_made(make_study) -> None:
    assert result_sentence(RESULT) == ""
    several = replace(RESULT, test="friedman", w=Interval(0.2, 0.1, 0.3, 20), statistic=8.0)
    assert result_sentence(several).startswith("The conditions differ: Friedman χ²(1) = 8.00, p < 0.001")
    assert result_sentence(replace(several, corrected_p=0.3)).startswith("No difference was found: Friedman")


@pytest.fixture(scope="module")
def analysis(make_study) -> Analysis:
    return analyse(simulated(make_study(2), 12), synthetic=True, resamples=100)[0]


def test_the_headline_counts_planned_tests_alone(analysis: Analysis) -> None:
    found, not_found = RESULT, replace(RESULT, question="sufficiency", corrected_p=0.4)
    for results, said in (
        ((), "No planned test was made."),
        ((replace(found, registered=False),), "No planned test was made."),
        ((found,), "The one planned test finds a difference between the conditions (trust)."),
        ((found, found), "Both planned tests find a difference between the conditions (trust, trust)."),
        ((found, not_found), "1 of 2 planned tests finds a difference between the conditions: trust."),
        ((not_found, not_found), "None of the 2 planned tests finds a difference between the conditions."),
        ((not_found,), "The one planned test finds no difference between the conditions."),
    ):
        assert headline(replace(analysis, results=results)) == said


def test_the_methods_tell_what_was_done(analysis: Analysis, make_study) -> None:
    assert "12 synthetic raters, not people, answered" in methods(analysis)
    assert "12 people began" in methods(replace(analysis, synthetic=False))
    assert "Friedman" not in methods(analysis)
    assert "Equivalence" not in methods(analysis)
    three = simulated(make_study(3, equivalence={"trust": 0.5}, crossing="full", images=3), 12)
    text = methods(analyse(three, synthetic=True, resamples=100)[0])
    assert "Friedman’s test (p from 9 999 permutations)" in text
    assert "Equivalence was tested" in text
    assert "saw each image under every condition" in text


def test_numbers_that_do_not_exist() -> None:
    nan = float("nan")
    assert (interval(Interval(nan, nan, nan, 0)), signed(nan), p_value(nan)) == ("–", "–", "–")
    assert (p_value(1.0), p_value(0.9996), p_value(0.05)) == ("1.000", "0.999", "0.050")
