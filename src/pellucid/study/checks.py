"""What a participant's answers say about their attention: failed checks, flags, and how taking part ended."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pellucid.study.design import Study
from pellucid.study.recruitment import Outcome

__all__ = ["failed_checks", "failures", "flags", "outcome_of"]

Steps = Sequence[Mapping[str, Any]]
"""A participant's stored steps, as `pellucid.study.store.Store.steps` gives them."""


def failures(study: Study, answers: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the checks among the answers that were answered wrongly."""
    right = {check.name: str(check.correct) for check in study.checks}
    return tuple(name for name, value in answers.items() if name in right and right[name] != value)


def failed_checks(study: Study, steps: Steps, kind: str) -> int:
    """How many checks of one kind a participant failed."""
    asked = {check.name for check in study.checks_of(kind)}
    return sum(name in asked for step in steps for name in failures(study, step["answers"]))


def outcome_of(study: Study, steps: Steps) -> Outcome:
    """How taking part ended for somebody who did every step."""
    failed = failed_checks(study, steps, "attention") > study.exclusions.max_attention_failures
    return "failed_checks" if failed else "complete"


def flags(study: Study, steps: Steps) -> list[str]:
    """What is odd about a participant's answers, a few words each, by the rules of exclusion."""
    rules, found = study.exclusions, []
    for kind, most in (
        ("attention", rules.max_attention_failures),
        ("comprehension", rules.max_comprehension_failures),
    ):
        failed = failed_checks(study, steps, kind)
        if failed > most:
            found.append(f"{failed} {kind} {'check' if failed == 1 else 'checks'} failed")
    rated = [step for step in steps if step["name"].startswith("trial-")]
    times = [step["seconds"] for step in rated if step["seconds"] is not None]
    if times and rules.min_median_seconds is not None and median(times) < rules.min_median_seconds:
        found.append(f"median {median(times):.1f} s per picture")
    scales = {question.name for question in study.rated if question.kind == "likert"}
    ratings = [value for step in rated for name, value in step["answers"].items() if name in scales]
    if len(ratings) >= 8 and rules.max_straight_lining is not None:
        share = Counter(ratings).most_common(1)[0][1] / len(ratings)
        if share > rules.max_straight_lining:
            found.append(f"{100 * share:.0f} % the same rating")
    return found
