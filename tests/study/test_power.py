"""Power: as many false positives as the level allows, more findings for more people, the same as the analysis."""

from dataclasses import replace

import pytest

from pellucid.core.errors import InputError
from pellucid.study.analysis import analyse
from pellucid.study.design import Exclusions
from pellucid.study.power import power
from pellucid.study.raters import simulated

EVERYBODY = Exclusions(min_median_seconds=None, max_straight_lining=None)


def test_without_an_effect_few_are_found(make_study) -> None:
    found = power(make_study(2, images=4, points=5), 12, studies=100, resamples=10)
    # Of 100 fair tests at 0.05 more than 11 are positive once in 200 times; the seeds are fixed.
    assert 1 <= found.any <= 11
    assert all(count <= 11 for count in found.each.values())


def test_three_conditions_without_an_effect(make_study) -> None:
    found = power(make_study(3, images=6, crossing="full"), 22, studies=40, resamples=10)
    assert found.any <= 6


def test_an_effect_is_found_and_by_more_people_more_often(make_study) -> None:
    study = make_study(2, images=4)
    few, many = (power(study, n, {"adversarial": 0.4}, studies=30, resamples=200).any for n in (10, 40))
    assert few < many
    assert many >= 20


def test_counts_are_those_of_the_analysis(make_study) -> None:
    study, effect = make_study(2, images=4, exclusions=EVERYBODY), {"adversarial": 0.25}
    found = power(study, 25, effect, studies=6, seed=3, resamples=10)
    analyses = [analyse(simulated(study, 25, effect, 3 + at), synthetic=True, resamples=10)[0] for at in range(6)]
    assert found.any == sum(any(result.corrected_p < 0.05 for result in one.results) for one in analyses)
    assert 0 < found.any < 6


def test_a_study_without_tests_has_no_power(make_study) -> None:
    with pytest.raises(InputError, match="plans no test whose power could be computed"):
        power(replace(make_study(2), tests=()), 10)
