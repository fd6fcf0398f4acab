"""Who is left out of the analysis: by the rules fixed before the data, in their order, with counts."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid.core.errors import InputError
from pellucid.study.responses import Participant, Responses

__all__ = ["Flow", "Step", "exclude", "median_seconds", "straight_lining"]


@dataclass(frozen=True)
class Step:
    """One rule of exclusion.

    Attributes:
        rule: its name in the design.
        words: the rule in words.
        excluded: participants whom this rule was the first to leave out.
        meeting: all participants whom it would leave out by itself.
        unknown: participants of whom the rule cannot tell; they stay.
    """

    rule: str
    words: str
    excluded: int
    meeting: int
    unknown: int = 0


@dataclass(frozen=True)
class Flow:
    """From those who began to those who are analysed.

    Attributes:
        began: participants in the export.
        steps: the rules in the order in which they were applied.
        kept: names of those who are analysed.
        reasons: rule by name of each participant who is left out.
        withdrawn: how many withdrew; they were deleted and are not among those who began.
    """

    began: int
    steps: tuple[Step, ...]
    kept: tuple[str, ...]
    reasons: dict[str, str]
    withdrawn: int = 0


def exclude(responses: Responses) -> Flow:
    """Apply the study's rules of exclusion, each to those whom the rules before it left; test persons go first.

    Raises:
        InputError: nobody is left.
    """
    rules = responses.study.exclusions
    seconds, lining = median_seconds(responses), straight_lining(responses)
    tests: list[tuple[str, str, Callable[[Participant], bool | None]]] = []
    if any(person.set_aside for person in responses.participants):
        tests.append(("set_aside", "were marked as test persons by the researcher", lambda person: person.set_aside))
    if rules.incomplete:
        tests.append(("incomplete", "did not finish", lambda person: not person.completed))
    tests += [
        (
            "max_attention_failures",
            f"failed more than {rules.max_attention_failures} attention checks",
            lambda person: person.attention_failures > rules.max_attention_failures,
        ),
        (
            "max_comprehension_failures",
            f"failed more than {rules.max_comprehension_failures} comprehension checks",
            lambda person: person.comprehension_failures > rules.max_comprehension_failures,
        ),
    ]
    fastest, straightest = rules.min_median_seconds, rules.max_straight_lining
    if fastest is not None:
        words = f"took less than {fastest:g} s for the median picture"
        tests.append(("min_median_seconds", words, lambda person: _below(seconds.get(person.name), fastest)))
    if straightest is not None:
        words = f"gave the same rating in more than {100 * straightest:g} % of the answers"
        tests.append(("max_straight_lining", words, lambda person: lining.get(person.name, 0.0) > straightest))
    left, steps = list(responses.participants), []
    reasons: dict[str, str] = {}
    for rule, words, test in tests:
        out = [person for person in left if test(person)]
        everybody = [test(person) for person in responses.participants]
        steps.append(Step(rule, words, len(out), sum(map(bool, everybody)), everybody.count(None)))
        reasons |= {person.name: rule for person in out}
        left = [person for person in left if person.name not in reasons]
    if not left:
        counts = ", ".join(f"{step.excluded} {step.words}" for step in steps if step.excluded)
        raise InputError(
            f"nobody is left to analyse: of {len(responses.participants)} participants {counts or 'none answered'}"
        )
    return Flow(
        len(responses.participants), tuple(steps), tuple(person.name for person in left), reasons, responses.withdrawn
    )


def median_seconds(responses: Responses) -> dict[str, float]:
    """Median time per rated picture of each participant who has times; the questions of one page share its time."""
    rated = {question.name for question in responses.study.rated}
    pages: dict[str, dict[str, float]] = {}
    for answer in responses.answers:
        if answer.question in rated and not np.isnan(answer.seconds):
            pages.setdefault(answer.participant, {})[answer.position] = answer.seconds
    return {name: float(np.median(list(times.values()))) for name, times in pages.items()}


def straight_lining(responses: Responses) -> dict[str, float]:
    """Share of each participant's ratings that equal their most frequent one, Likert questions alone."""
    likert = {question.name for question in responses.study.questions if question.kind == "likert"}
    given: dict[str, Counter[float]] = {}
    for answer in responses.answers:
        if answer.question in likert:
            given.setdefault(answer.participant, Counter())[answer.value] += 1
    return {name: max(counts.values()) / counts.total() for name, counts in given.items()}


def _below(value: float | None, bound: float) -> bool | None:
    return None if value is None else value < bound
