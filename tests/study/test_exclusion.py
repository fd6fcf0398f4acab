"""Exclusions by rule: each rule alone, their order, and who remains."""

from dataclasses import replace

import pytest

from pellucid.core.errors import InputError
from pellucid.study.design import Exclusions
from pellucid.study.exclusion import exclude, median_seconds, straight_lining
from pellucid.study.raters import simulated
from pellucid.study.responses import Responses

RULES = Exclusions(max_attention_failures=0, max_comprehension_failures=1, min_median_seconds=2.0)


@pytest.fixture
def responses(make_study) -> Responses:
    made = simulated(make_study(2, exclusions=RULES), 8, seed=2)
    return replace(made, answers=tuple(replace(one, seconds=3.0) for one in made.answers))


def _with(responses: Responses, number: int, **change) -> Responses:
    people = [replace(one, **change) if at == number else one for at, one in enumerate(responses.participants)]
    return replace(responses, participants=tuple(people))


def _seconds(responses: Responses, number: int, seconds: float) -> Responses:
    name = responses.participants[number].name
    answers = [replace(one, seconds=seconds) if one.participant == name else one for one in responses.answers]
    return replace(responses, answers=tuple(answers))


def _line(responses: Responses, number: int) -> Responses:
    name = responses.participants[number].name
    answers = [replace(one, value=4.0) if one.participant == name else one for one in responses.answers]
    return replace(responses, answers=tuple(answers))


def test_nobody_is_left_out_who_breaks_no_rule(responses: Responses) -> None:
    flow = exclude(responses)
    assert flow.kept == tuple(one.name for one in responses.participants)
    assert [step.excluded for step in flow.steps] == [0] * 5


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda all: _with(all, 3, completed=False), "incomplete"),
        (lambda all: _with(all, 3, attention_failures=1), "max_attention_failures"),
        (lambda all: _with(all, 3, comprehension_failures=2), "max_comprehension_failures"),
        (lambda all: _seconds(all, 3, 1.9), "min_median_seconds"),
        (lambda all: _line(all, 3), "max_straight_lining"),
    ],
)
def test_each_rule_leaves_out_who_breaks_it(responses: Responses, change, rule: str) -> None:
    flow = exclude(change(responses))
    assert flow.reasons == {"synthetic-3": rule}
    assert len(flow.kept) == 7
    assert {step.rule: step.excluded for step in flow.steps if step.excluded} == {rule: 1}


def test_limits_themselves_are_allowed(responses: Responses) -> None:
    flow = exclude(_seconds(_with(responses, 3, comprehension_failures=1), 3, 2.0))
    assert flow.reasons == {}


def test_a_participant_is_counted_at_the_first_rule(responses: Responses) -> None:
    both = _with(_with(responses, 1, completed=False, attention_failures=2), 2, attention_failures=2)
    steps = {step.rule: step for step in exclude(both).steps}
    assert (steps["incomplete"].excluded, steps["incomplete"].meeting) == (1, 1)
    assert (steps["max_attention_failures"].excluded, steps["max_attention_failures"].meeting) == (1, 2)


def test_who_has_no_times_stays(responses: Responses) -> None:
    flow = exclude(_seconds(responses, 3, float("nan")))
    assert "synthetic-3" in flow.kept
    assert next(step for step in flow.steps if step.rule == "min_median_seconds").unknown == 1


def test_a_rule_that_is_not_asked_for_is_not_applied(responses: Responses) -> None:
    rules = Exclusions(incomplete=False, min_median_seconds=None, max_straight_lining=None)
    free = replace(responses, study=replace(responses.study, exclusions=rules))
    flow = exclude(_line(_seconds(_with(free, 3, completed=False), 3, 0.1), 3))
    assert [step.rule for step in flow.steps] == ["max_attention_failures", "max_comprehension_failures"]
    assert flow.reasons == {}


def test_the_median_is_over_pages_not_questions(responses: Responses) -> None:
    # Two questions share each page; one page of 12 takes long.
    answers = [replace(one, seconds=99.0 if one.position == "0" else float(one.position)) for one in responses.answers]
    found = median_seconds(replace(responses, answers=tuple(answers)))
    assert found["synthetic-0"] == 6.5  # of 1 to 11 and 99


def test_the_median_is_of_rated_pictures_alone(responses: Responses) -> None:
    """Whoever clicks through the pictures and takes time to compare is found."""
    first, second, *rest = responses.study.questions
    study = replace(responses.study, questions=(first, replace(second, kind="choice"), *rest), tests=())
    slow = [replace(one, seconds=60.0, position=f"c{one.position}") if one.question == second.name else one
            for one in (replace(one, seconds=0.5) for one in responses.answers)]  # fmt: skip
    assert set(median_seconds(replace(responses, study=study, answers=tuple(slow))).values()) == {0.5}


def test_straight_lining_is_the_share_of_the_most_frequent(responses: Responses) -> None:
    found = straight_lining(_line(responses, 5))
    assert found["synthetic-5"] == 1
    assert all(0 < share < 1 for name, share in found.items() if name != "synthetic-5")


def test_nobody_left_is_told_with_the_reasons(responses: Responses) -> None:
    people = tuple(replace(one, completed=False) for one in responses.participants)
    with pytest.raises(InputError, match="nobody is left to analyse: of 8 participants 8 did not finish"):
        exclude(replace(responses, participants=people))


def test_test_persons_go_first_and_are_told_only_where_there_are_some(responses: Responses) -> None:
    flow = exclude(_with(_with(responses, 3, set_aside=True), 3, completed=False))
    assert [(step.rule, step.excluded) for step in flow.steps][:2] == [("set_aside", 1), ("incomplete", 0)]
    assert "set_aside" not in {step.rule for step in exclude(responses).steps}
