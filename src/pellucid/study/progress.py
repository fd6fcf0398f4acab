"""How far a study is, as the researcher sees it: who takes part, how it ended for them, and what is odd about whom."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import mean, median, stdev
from typing import Any

from pellucid.study.chart import progress_chart
from pellucid.study.checks import flags, outcome_of
from pellucid.study.design import Study
from pellucid.study.sequence import Step
from pellucid.study.site import Site

__all__ = ["STANDINGS", "overview", "people_of"]

STANDINGS = {
    "complete": "complete",
    "failed_checks": "failed checks",
    "screened_out": "screened out",
    "full": "no place left",
    "under_way": "under way",
    "left": "left",
    "test": "test person",
}
"""How a participant stands, with the researcher's words for it. Who has not answered for long counts as having left."""

Person = dict[str, Any]


def people_of(site: Site) -> list[Person]:
    """Every participant: how they stand, how long they took, what is odd about their answers."""
    steps: dict[str, list[Mapping[str, Any]]] = {}
    for step in site.store.steps():
        steps.setdefault(step["participant"], []).append(step)
    return [_person(site, row, steps.get(row["id"], [])) for row in site.store.participants()]


def overview(site: Site) -> dict[str, Any]:
    """What the researcher's page shows. Test persons and synthetic participants are listed, but not counted."""
    study, everybody = site.study, people_of(site)
    people = [person for person in everybody if not person["synthetic"] and not person["set_aside"]]
    standings = Counter(person["standing"] for person in people)
    shown = Counter(name for person in people for name in person["conditions"])
    at = Counter(person["at"] for person in people if person["standing"] in ("under_way", "left"))
    done = [person for person in people if person["standing"] in ("complete", "failed_checks")]
    minutes = [person["minutes"] for person in done]
    return {
        "people": everybody,
        "chart": progress_chart(
            [_time(person["started"]) for person in people],
            [_time(person["seen"]) for person in done],
            planned=study.participants,
            until=datetime.now(UTC),
        ),
        "finished": len(done),
        "counts": {
            "Began": len(people),
            **{words.capitalize(): standings[name] for name, words in STANDINGS.items() if name != "test"},
            "Withdrew": int(site.store.setting("withdrawn") or 0),
            "Planned": study.participants or "no limit",
            "Test persons": sum(person["set_aside"] for person in everybody),
            "Synthetic": sum(person["synthetic"] for person in everybody),
        },
        "minutes": _told(minutes),
        "questions": list(_questions(study, people)),
        "quotas": list(_quotas(study, people)),
        "balance": [(name, shown[name]) for name in study.conditions],
        "left": at.most_common(),
        "with_ids": any(person["recruit_id"] for person in everybody),
        "standings": STANDINGS,
    }


def _told(minutes: Sequence[float]) -> str:
    if not minutes:
        return ""
    return f"Median time: {median(minutes):.1f} minutes ({min(minutes):.1f} to {max(minutes):.1f})."


def _person(site: Site, row: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> Person:
    sequence = site.sequences.steps(row["slot"])
    by_name = {step.name: step for step in sequence}
    rated = [step for step in done if step["name"].startswith("trial-")]
    return {
        "id": row["id"],
        "recruit_id": row["recruit_id"],
        "synthetic": row["synthetic"],
        "set_aside": row["set_aside"],
        "slot": row["slot"],
        "language": row["language"],
        "started": row["started_at"],
        "seen": row["finished_at"] or row["seen_at"],
        "minutes": (_time(row["finished_at"] or row["seen_at"]) - _time(row["started_at"])).total_seconds() / 60,
        "position": len(done),
        "steps": len(sequence),
        "at": sequence[len(done)].name if len(done) < len(sequence) else "finished",
        "standing": _standing(site.study, row, done),
        "conditions": [by_name[step["name"]].stimuli[0].condition for step in rated],
        "expertise": next((step["answers"] for step in done if step["name"] == "expertise"), {}),
        "answers": [(name, value, by_name[step["name"]]) for step in rated for name, value in step["answers"].items()],
        "flags": flags(site.study, done),
    }


def _standing(study: Study, row: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> str:
    if row["set_aside"]:
        return "test"
    if row["outcome"] is not None:
        return str(row["outcome"])
    if row["finished_at"] is not None:
        return outcome_of(study, done)
    silent = datetime.now(UTC) - _time(row["seen_at"])
    return "left" if silent > timedelta(hours=study.abandoned_after_hours) else "under_way"


def _questions(study: Study, people: Sequence[Person]) -> Iterable[dict[str, Any]]:
    """Per question the answers with their mean and spread, of guesses the share that was right, over all conditions."""
    for question in study.rated:
        given = [(value, step) for person in people for name, value, step in person["answers"] if name == question.name]
        values = [_number(question.kind, value, step) for value, step in given]
        shares = Counter(values)
        yield {
            "name": question.name,
            "answers": len(values),
            "mean": _mean(question.kind, values),
            "spread": f"{stdev(values):.2f}" if len(values) > 1 and question.kind == "likert" else "–",
            "shares": [
                (point, round(100 * shares[point] / len(values)))
                for point in (range(1, question.points + 1) if question.kind == "likert" and values else ())
            ],
        }


def _mean(kind: str, values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{mean(values):.2f}" if kind == "likert" else f"{100 * mean(values):.0f} % right"


def _number(kind: str, value: str, step: Step) -> float:
    return float(value) if kind == "likert" else float(value == step.stimuli[0].prediction)


def _quotas(study: Study, people: Sequence[Person]) -> Iterable[dict[str, Any]]:
    """Per quota its group in words and how many of it hold a place."""
    options = {asked.name: asked.options[study.languages[0]] for asked in study.expertise}
    for quota in study.recruitment.quotas:
        group = {str(answer) for answer in quota.answers}
        yield {
            "group": f"{quota.question}: {', '.join(options[quota.question][answer] for answer in quota.answers)}",
            "taken": sum(
                person["expertise"].get(quota.question) in group
                for person in people
                if person["standing"] in ("complete", "failed_checks", "under_way")
            ),
            "participants": quota.participants,
        }


def _time(written: str) -> datetime:
    return datetime.fromisoformat(written)
