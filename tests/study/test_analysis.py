"""The registered analysis: against its parts done by hand, on known effects, and what it says of deviations."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from pellucid.core.errors import InputError
from pellucid.study.analysis import analyse
from pellucid.study.design import PlannedTest
from pellucid.study.inference import signed_rank
from pellucid.study.raters import simulated
from pellucid.study.responses import Responses
from pellucid.study.results import Analysis

FEW = 100


def _registered(responses: Responses) -> Responses:
    return replace(responses, registration="0" * 64)


def _analysed(responses: Responses, **options) -> Analysis:
    return analyse(responses, synthetic=True, resamples=FEW, **options)[0]


@pytest.fixture(scope="module")
def two(make_study) -> Responses:
    return _registered(simulated(make_study(2), 40, {"adversarial": 0.5}, 1))


@pytest.fixture(scope="module")
def three(make_study) -> Responses:
    study = make_study(3, equivalence={"trust": 0.75})
    return _registered(simulated(study, 60, {"smoothed": 0.6}, 2))


@pytest.fixture(scope="module")
def found_in_three(three: Responses) -> Analysis:
    return _analysed(three)


def test_two_conditions_by_hand(two: Responses) -> None:
    analysis = _analysed(two)
    p = []
    for result in analysis.results:
        values = two.ratings(result.question).values
        differences = np.nanmean(values[:, 1], axis=1) - np.nanmean(values[:, 0], axis=1)
        [pair] = result.pairs
        assert (pair.condition, pair.against) == ("adversarial", "regular")
        assert pair.difference.mean == pytest.approx(differences.mean())
        assert result.p == pair.p == pytest.approx(signed_rank(differences).p)
        many = scipy.stats.PermutationMethod(n_resamples=1500, rng=np.random.default_rng(0))
        permuted = scipy.stats.wilcoxon(np.round(differences, 9), zero_method="pratt", method=many).pvalue
        assert result.p == pytest.approx(permuted, abs=0.015)
        assert pair.shift.low <= pair.shift.mean <= pair.shift.high
        p.append(result.p)
    corrected = multipletests(p, method="holm")[1]
    assert [result.corrected_p for result in analysis.results] == pytest.approx(corrected.tolist())
    assert [result.pairs[0].corrected_p for result in analysis.results] == pytest.approx(corrected.tolist())
    assert analysis.deviations == ()


def test_three_conditions_by_hand(three: Responses, found_in_three: Analysis) -> None:
    p = []
    for result in found_in_three.results:
        means = three.ratings(result.question).means
        statistic, alone = scipy.stats.friedmanchisquare(*means.T)
        assert (result.statistic, result.p) == pytest.approx((statistic, alone))
        assert result.w is not None and result.w.mean == pytest.approx(statistic / (60 * 2))
        pairs = [signed_rank(means[:, b] - means[:, a]).p for a, b in ((0, 1), (0, 2), (1, 2))]
        assert [pair.p for pair in result.pairs] == pytest.approx(pairs)
        corrected = multipletests(pairs, method="holm")[1]
        assert [pair.corrected_p for pair in result.pairs] == pytest.approx(corrected.tolist())
        p.append(alone)
    corrected = multipletests(p, method="holm")[1]
    assert [result.corrected_p for result in found_in_three.results] == pytest.approx(corrected.tolist())


def test_the_simulated_effect_is_recovered(found_in_three: Analysis) -> None:
    for result in found_in_three.results:
        found = {(pair.condition, pair.against): result.found(pair) for pair in result.pairs}
        assert found == {
            ("adversarial", "regular"): False,
            ("smoothed", "regular"): True,
            ("smoothed", "adversarial"): True,
        }
        assert all(pair.shift.low > 0 and pair.effect.low > 0 for pair in result.pairs if result.found(pair))


def test_a_pair_needs_the_questions_own_test(found_in_three: Analysis) -> None:
    result = replace(found_in_three.results[0], corrected_p=0.2)
    assert not any(result.found(pair) for pair in result.pairs)


def test_equivalence_is_tested_where_it_was_planned(found_in_three: Analysis) -> None:
    sufficiency, trust = found_in_three.results
    assert all(pair.bound is None for pair in sufficiency.pairs)
    p = {(pair.condition, pair.against): pair.equivalence_p for pair in trust.pairs}
    assert p["adversarial", "regular"] < 0.05 < p["smoothed", "regular"]


def test_what_was_not_planned_is_named(make_study) -> None:
    study = make_study(2, names=("sufficiency", "trust", "clarity"))
    study = replace(study, tests=study.tests[:1])
    responses = _registered(simulated(study, 20))
    planned = _analysed(responses)
    assert [result.question for result in planned.results] == ["sufficiency"]
    assert planned.deviations == ()
    more = _analysed(responses, extra=["clarity", "trust"], bounds={"clarity": 0.5})
    assert [result.registered for result in more.results] == [True, False, False]
    assert more.results[0] == planned.results[0]  # what was added does not change what was planned
    assert more.deviations == (
        "The test of clarity was not planned.",
        "The test of trust was not planned.",
        "The equivalence test of clarity, margin 0.5, was not planned.",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda all: replace(all, registration=""), "The study was not registered"),
        (lambda all: replace(all, changed=("study.yaml",)), "study.yaml was changed after the study was registered"),
        (lambda all: replace(all, study=replace(all.study, participants=99)), "99 participants were planned, 40 began"),
        (lambda all: replace(all, study=replace(all.study, tests=())), "No test was planned"),
        (
            lambda all: replace(
                all, study=replace(all.study, exclusions=replace(all.study.exclusions, min_median_seconds=1.0))
            ),
            "“took less than 1 s for the median picture” could not be applied: no answer has a time",
        ),
        (
            lambda all: replace(
                all,
                answers=tuple(
                    one
                    for one in all.answers
                    if (one.participant, one.condition, one.question) != ("synthetic-3", "regular", "trust")
                ),
            ),
            "1 participants did not rate every condition in trust",
        ),
    ],
)
def test_deviations_are_named(two: Responses, change, said: str) -> None:
    [sentence] = _analysed(change(two)).deviations
    assert said in sentence


def test_a_test_of_too_few_is_not_made(make_study) -> None:
    analysis = _analysed(_registered(simulated(make_study(2), 5)))
    assert analysis.results == ()
    assert "The test of trust was not made: 5 participants rated every condition, fewer than 6." in analysis.deviations


def test_synthetic_raters_are_no_people(two: Responses) -> None:
    with pytest.raises(InputError, match="40 of 40 participants are synthetic raters, not people; give --synthetic"):
        analyse(two)
    people = replace(two, participants=tuple(replace(one, synthetic=False) for one in two.participants))
    with pytest.raises(InputError, match="but all 40 participants are people"):
        analyse(people, synthetic=True)
    assert not analyse(people, resamples=FEW)[0].synthetic
    mixed = replace(two, participants=tuple(replace(one, synthetic=at > 9) for at, one in enumerate(two.participants)))
    with pytest.raises(InputError, match="30 of 40 participants are synthetic"):
        analyse(mixed)
    some = _analysed(mixed)
    assert some.synthetic and some.flow.began == 30
    assert "10 people are in the export too; they are left out of this analysis of synthetic raters." in some.deviations


def test_who_is_excluded_is_not_analysed(two: Responses) -> None:
    out = replace(two, participants=(replace(two.participants[0], completed=False), *two.participants[1:]))
    analysis, kept = analyse(out, synthetic=True, resamples=FEW)
    assert len(kept.participants) == 39
    assert {result.n for result in analysis.results} == {39}
    without = replace(two, answers=tuple(one for one in two.answers if one.participant != "synthetic-0"))
    assert analysis.results[0].p == _analysed(without).results[0].p


def test_the_order_of_rows_is_nothing(two: Responses) -> None:
    shuffled = replace(
        two, answers=tuple(two.answers[at] for at in np.random.default_rng(0).permutation(len(two.answers)))
    )
    assert _analysed(shuffled) == _analysed(two)


def test_choices_and_guesses_are_described_and_may_be_tested(make_study) -> None:
    from pellucid.study.design import Question

    best = Question(name="best", kind="choice", text={"en": "Which is best?"})
    made = _registered(simulated(make_study(2, names=("trust",), images=4, others=(best,)), 20))
    chosen = [
        replace(
            made.answers[0], participant=one.name, image=str(image), condition="", question="best", value=float("nan")
        )
        for one in made.participants
        for image in range(4)
    ]
    choices = tuple(replace(one, choice="adversarial" if one.image != "0" else "regular") for one in chosen)
    analysis = _analysed(replace(made, answers=(*made.answers, *choices)), extra=["best"])
    means = {one.condition: one.mean.mean for one in analysis.descriptions if one.question == "best"}
    assert means == {"regular": 0.25, "adversarial": 0.75}
    assert analysis.results[-1].question == "best"
    assert analysis.results[-1].p == pytest.approx(2 * 0.5 ** analysis.results[-1].n)


def test_right_and_wrong_predictions_apart(two: Responses) -> None:
    told = replace(two, answers=tuple(replace(one, correct=int(one.image) < 4) for one in two.answers))
    means = {(one.question, one.condition, one.subset): one for one in _analysed(told).descriptions}
    right = [
        one.value for one in told.answers if one.question == "trust" and one.condition == "regular" and one.correct
    ]
    found = means["trust", "regular", "right"]
    assert found.answers == len(right)
    assert found.shares == tuple(right.count(point) / len(right) for point in range(1, 8))
    assert means["trust", "regular", "wrong"].answers + len(right) == means["trust", "regular", "all"].answers


def test_agreement_in_a_rotated_study_is_within_its_groups(make_study) -> None:
    from pellucid.study.agreement import icc

    made = simulated(make_study(2, names=("trust",), images=6), 10, seed=5)
    [found] = _analysed(made).agreement
    values = made.ratings("trust").values.reshape(10, -1)
    even, odd = values[::2], values[1::2]
    tables = [one[:, ~np.isnan(one).any(axis=0)].T for one in (even, odd)]
    assert (found.groups, found.raters) == (2, 5)
    assert found.single == pytest.approx(np.mean([icc(table) for table in tables]))
    assert found.alpha.n == 12


def test_expertise_is_told_by_level(two: Responses) -> None:
    levels = ("none", "a lot", "")
    people = tuple(replace(one, expertise={"vision": levels[at % 3]}) for at, one in enumerate(two.participants))
    rows = _analysed(replace(two, participants=people)).expertise
    assert [row.level for row in rows] == ["none", "none", "a lot", "a lot", "no answer", "no answer"]
    assert sum(row.n for row in rows) == 80
    members = two.ratings("trust").means[::3]
    [row] = [row for row in rows if (row.level, row.question) == ("none", "trust")]
    assert [mean.mean for mean in row.means] == pytest.approx(members.mean(axis=0).tolist())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"extra": ["joy"]}, "no question is named 'joy'"),
        ({"extra": ["trust"]}, "the test of 'trust' is planned and will be made anyway"),
        ({"bounds": {"joy": 0.5}}, r"takes a tested question \(sufficiency, trust\), got 'joy'"),
        ({"bounds": {"trust": -1.0}}, "above 0, got -1"),
    ],
)
def test_mistakes_are_told(two: Responses, options, said: str) -> None:
    with pytest.raises(InputError, match=said):
        _analysed(two, **options)


def test_a_planned_margin_stays(three: Responses) -> None:
    with pytest.raises(InputError, match="an equivalence test of 'trust' is planned, with the margin 0.75"):
        _analysed(three, bounds={"trust": 0.1})


def test_a_plan_for_more_conditions_is_not_for_two(make_study) -> None:
    with pytest.raises(InputError, match="is wilcoxon, got friedman"):
        make_study(2, tests=(PlannedTest(question="trust", test="friedman"),))
