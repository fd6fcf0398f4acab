"""How often a study of this size would find an effect of this size: the registered tests on simulated studies."""

from collections.abc import Mapping
from dataclasses import dataclass

from pellucid.core.errors import InputError
from pellucid.study.analysis import question_test
from pellucid.study.design import Study
from pellucid.study.raters import Variation, simulated
from pellucid.study.resampling import two_way_interval

__all__ = ["Power", "power"]


@dataclass(frozen=True)
class Power:
    """In how many simulated studies a difference was found.

    Attributes:
        studies: number of simulated studies.
        any: those in which at least one planned test found a difference, after the correction over questions, at the
            smallest of their levels. Without an effect these are false positives.
        each: by question, those in which its own test found one before the correction.
        two_way: by question, those in which the 95 % interval over people and images of the last condition against the
            first excludes 0.
    """

    studies: int
    any: int
    each: Mapping[str, int]
    two_way: Mapping[str, int]


def power(
    study: Study,
    participants: int,
    effect: Mapping[str, float] | None = None,
    *,
    studies: int = 200,
    seed: int = 0,
    variation: Variation | None = None,
    resamples: int = 500,
) -> Power:
    """Simulate studies and count in how many the planned tests find a difference.

    Args:
        study: with at least one planned test.
        participants: in each study.
        effect: as in `raters`; none by default, so that what is found is a false positive.
        studies: how many are simulated.
        seed: of the first; each further study has the next.
        variation: as in `raters`.
        resamples: of the interval over people and images.

    Returns:
        The counts.

    Raises:
        InputError: a study without planned tests; as in `raters`.
    """
    if not study.tests:
        raise InputError("this study plans no test whose power could be computed; add one under tests in study.yaml")
    level = min(test.alpha for test in study.tests)
    found_any, names = 0, [test.question for test in study.tests]
    each, two_way = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for number in range(studies):
        responses = simulated(study, participants, effect, seed + number, variation=variation)
        ratings = {name: responses.ratings(name) for name in names}
        p = {name: question_test(ratings[name], seed=seed)[1] for name in names}
        # Holm's first step: some corrected p is below the level where the smallest p is below its share of it.
        found_any += min(p.values()) * len(p) < level
        for test in study.tests:
            each[test.question] += p[test.question] < test.alpha
            values = ratings[test.question].values
            interval = two_way_interval(values[:, -1], values[:, 0], resamples=resamples, seed=seed + number)
            two_way[test.question] += interval.excludes(0.0)
    return Power(studies, found_any, each, two_way)
