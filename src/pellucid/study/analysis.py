"""The analysis as it was registered, and by what it deviates from that: responses in, plain results out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal

import numpy as np

from pellucid.core.errors import InputError
from pellucid.statistics import mean_interval
from pellucid.statistics.comparison import holm
from pellucid.study.description import agreement, by_expertise, describe
from pellucid.study.design import PlannedTest, Study
from pellucid.study.exclusion import Flow, exclude
from pellucid.study.inference import (
    equivalence,
    friedman,
    hodges_lehmann,
    kendalls_w,
    signed_rank,
    signed_rank_effect,
)
from pellucid.study.resampling import participant_interval, two_way_interval
from pellucid.study.responses import Ratings, Responses
from pellucid.study.results import Analysis, Pair, Result

__all__ = ["analyse", "question_test"]

LEAST = 6
"""Participants below which no test is made: with fewer, no exact two-sided p can fall below 0.05."""
ADDED_ALPHA = 0.05
"""Level of a test that was not planned."""


def analyse(
    responses: Responses,
    *,
    synthetic: bool = False,
    extra: Sequence[str] = (),
    bounds: Mapping[str, float] | None = None,
    resamples: int = 2000,
) -> tuple[Analysis, Responses]:
    """Analyse a study as it was planned, and name every deviation from that.

    Args:
        responses: of the whole export.
        synthetic: accept simulated raters, whose results are then marked as such.
        extra: questions to test that were not planned; they are corrected among themselves and named as deviations.
        bounds: margins of equivalence tests that were not planned, by question.
        resamples: of every bootstrap.

    Returns:
        The analysis, and the responses of those who are analysed.

    Raises:
        InputError: synthetic data without ``synthetic``, or the other way round; nobody is left after the exclusions;
            an extra test of an unknown question or one that is planned.
    """
    raters = [person.name for person in responses.participants if person.synthetic]
    people = [person.name for person in responses.participants if not person.synthetic]
    if raters and not synthetic:
        raise InputError(
            f"{len(raters)} of {len(responses.participants)} participants are synthetic raters, not people; give "
            "--synthetic to analyse these, marked as such, or export without them"
        )
    if synthetic and not raters:
        raise InputError(f"--synthetic analyses simulated raters, but all {len(people)} participants are people")
    if synthetic:
        responses = responses.only(raters)
    study = responses.study
    wanted, added_bounds = _added(study, extra), _added_bounds(study, extra, bounds or {})
    flow = exclude(responses)
    kept = responses.only(flow.kept)
    ratings = {question.name: kept.ratings(question.name) for question in study.questions}
    planned, impossible = _possible(study.tests, ratings)
    added, impossible_too = _possible(wanted, ratings)
    results = tuple(
        _result(test, ratings[test.question], outcome, registered, resamples, study.seed)
        for tests, registered in ((planned, True), (added, False))
        for test, outcome in zip(tests, _together(tests, ratings, study.seed), strict=True)
    )
    registered_bounds = {test.question: test.equivalence for test in planned if test.equivalence is not None}
    results = _with_equivalence(_with_equivalence(results, ratings, registered_bounds), ratings, added_bounds)
    analysis = Analysis(
        study=study,
        synthetic=synthetic,
        registration=responses.registration,
        flow=flow,
        results=results,
        descriptions=tuple(describe(kept, resamples=resamples)),
        agreement=tuple(
            agreement(question.name, ratings[question.name], resamples=resamples)
            for question in study.questions
            if question.kind == "likert"
        ),
        expertise=tuple(by_expertise(kept, ratings, resamples=resamples)),
        deviations=(
            *_registration(responses),
            *impossible,
            *impossible_too,
            *(f"The test of {test.question} was not planned." for test in added),
            *(
                f"The equivalence test of {name}, margin {bound:g}, was not planned."
                for name, bound in added_bounds.items()
            ),
            *_data(responses, flow, people if synthetic else []),
        ),
        resamples=resamples,
    )
    return analysis, kept


def question_test(ratings: Ratings, *, seed: int = 0) -> tuple[float, float]:
    """Statistic and p of a question's own test: the signed-rank test of two conditions, Friedman's of more.

    Args:
        ratings: of the question; at least 2 participants who rated every condition.
        seed: of the permutations of Friedman's test.
    """
    means = ratings.means
    if means.shape[1] == 2:
        ranked = signed_rank(means[:, 1] - means[:, 0])
        return ranked.statistic, ranked.p
    compared = friedman(means, seed=seed)
    return compared.statistic, compared.p


def _together(
    tests: Sequence[PlannedTest], ratings: Mapping[str, Ratings], seed: int
) -> list[tuple[float, float, float]]:
    """Statistic, p and corrected p of each question's test; the questions are corrected together."""
    alone = [question_test(ratings[test.question], seed=seed) for test in tests]
    if not alone:
        return []
    corrected = holm([p for _, p in alone])
    return [(statistic, p, float(after)) for (statistic, p), after in zip(alone, corrected, strict=True)]


def _added(study: Study, extra: Sequence[str]) -> list[PlannedTest]:
    planned = {test.question for test in study.tests}
    for name in extra:
        study.question(name)
        if name in planned:
            raise InputError(
                f"the test of {name!r} is planned and will be made anyway; name another question for an extra test"
            )
    test: Literal["wilcoxon", "friedman"] = "wilcoxon" if len(study.conditions) == 2 else "friedman"
    return [PlannedTest(question=name, test=test, alpha=ADDED_ALPHA) for name in dict.fromkeys(extra)]


def _added_bounds(study: Study, extra: Sequence[str], bounds: Mapping[str, float]) -> dict[str, float]:
    tested = {test.question: test.equivalence for test in study.tests} | dict.fromkeys(extra)
    for name, bound in bounds.items():
        if name not in tested:
            raise InputError(f"an equivalence test takes a tested question ({', '.join(tested)}), got {name!r}")
        if tested[name] is not None:
            raise InputError(f"an equivalence test of {name!r} is planned, with the margin {tested[name]:g}")
        if not (bound > 0 and np.isfinite(bound)):
            raise InputError(f"the margin of an equivalence test must be above 0, got {bound}")
    return dict(bounds)


def _possible(tests: Sequence[PlannedTest], ratings: Mapping[str, Ratings]) -> tuple[list[PlannedTest], list[str]]:
    """The tests that can be made, and a sentence about each that cannot."""
    enough = {test.question: len(ratings[test.question].means) for test in tests}
    return (
        [test for test in tests if enough[test.question] >= LEAST],
        [
            f"The test of {name} was not made: {count} participants rated every condition, fewer than {LEAST}."
            for name, count in enough.items()
            if count < LEAST
        ],
    )


def _result(
    test: PlannedTest,
    ratings: Ratings,
    outcome: tuple[float, float, float],
    registered: bool,
    resamples: int,
    seed: int,
) -> Result:
    statistic, p, corrected = outcome
    means = ratings.means
    pairs = [
        _pair(ratings, condition, against, resamples) for against, condition in combinations(ratings.conditions, 2)
    ]
    several = len(pairs) > 1
    after = holm([pair.p for pair in pairs]) if several else [corrected]
    return Result(
        question=test.question,
        test=test.test,
        registered=registered,
        alpha=test.alpha,
        n=len(means),
        statistic=statistic,
        p=p,
        corrected_p=corrected,
        w=participant_interval(means, kendalls_w, resamples=resamples) if several else None,
        permuted=several and friedman(means, seed=seed).permuted,
        pairs=tuple(replace(pair, corrected_p=float(p_after)) for pair, p_after in zip(pairs, after, strict=True)),
    )


def _pair(ratings: Ratings, condition: str, against: str, resamples: int) -> Pair:
    means = ratings.pair(against, condition)
    differences = means[:, 1] - means[:, 0]
    ranked = signed_rank(differences)
    first, second = (ratings.values[:, ratings.conditions.index(name)] for name in (condition, against))
    return Pair(
        condition=condition,
        against=against,
        n=ranked.n,
        zeros=ranked.zeros,
        statistic=ranked.statistic,
        p=ranked.p,
        corrected_p=ranked.p,
        shift=participant_interval(differences, hodges_lehmann, resamples=resamples),
        effect=participant_interval(differences, signed_rank_effect, resamples=resamples),
        difference=mean_interval(differences, resamples=resamples),
        two_way=two_way_interval(first, second, resamples=resamples),
    )


def _with_equivalence(
    results: Sequence[Result], ratings: Mapping[str, Ratings], bounds: Mapping[str, float]
) -> tuple[Result, ...]:
    """The results with equivalence tests of every pair of the questions that have a bound, corrected together."""
    tested = [(result.question, pair) for result in results if result.question in bounds for pair in result.pairs]
    p = []
    for question, pair in tested:
        means = ratings[question].pair(pair.against, pair.condition)
        p.append(equivalence(means[:, 1] - means[:, 0], bound=bounds[question]))
    corrected = iter(holm(p)) if p else iter(())
    return tuple(
        replace(
            result,
            pairs=tuple(
                replace(pair, bound=bounds[result.question], equivalence_p=float(next(corrected)))
                for pair in result.pairs
            ),
        )
        if result.question in bounds
        else result
        for result in results
    )


def _registration(responses: Responses) -> Iterator[str]:
    if not responses.registration:
        yield (
            "The study was not registered: there is no study.lock, so nothing shows that the plan came before the data."
        )
    for name in responses.changed:
        yield f"{name} was changed after the study was registered; its hash is not that of study.lock."
    if not responses.study.tests:
        yield "No test was planned."


def _data(responses: Responses, flow: Flow, people: Sequence[str]) -> Iterator[str]:
    study = responses.study
    if people:
        yield f"{len(people)} people are in the export too; they are left out of this analysis of synthetic raters."
    if study.participants is not None and flow.began < study.participants:
        yield f"{study.participants} participants were planned, {flow.began} began."
    for step in flow.steps:
        if step.unknown == flow.began:
            yield f"The rule “{step.words}” could not be applied: no answer has a time."
        elif step.unknown:
            yield f"The rule “{step.words}” could not be applied to {step.unknown} participants, who have no times."
    for question in study.questions:
        incomplete = responses.only(flow.kept).ratings(question.name).complete
        if not incomplete.all():
            count = int((~incomplete).sum())
            yield f"{count} participants did not rate every condition in {question.name} and are not in its test."
