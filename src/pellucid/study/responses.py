"""What a study's export folder holds, read and checked: one row per answer, one per participant, the study itself."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError
from pellucid.core.spreadsheet import rows_of
from pellucid.study.design import Study
from pellucid.study.folder import read_study, sha256

__all__ = ["Answer", "Participant", "Ratings", "Responses", "read_responses"]

Floats = npt.NDArray[np.float64]

ANSWER_COLUMNS = (
    *["participant", "synthetic", "position", "stimulus", "condition", "image", "label", "prediction", "correct"],
    *["question", "kind", "answer"],
)
CHECKS = ("attention", "comprehension")
PARTICIPANT_COLUMNS = ("participant", "synthetic", "completed", "attention_failures", "comprehension_failures")


@dataclass(frozen=True)
class Answer:
    """One answer to one question.

    Attributes:
        participant: opaque name.
        position: place of the trial in the participant's order.
        stimulus: opaque name of the picture that was shown.
        condition: what made the map; empty where the trial showed several.
        image: the picture behind the stimulus.
        correct: whether the network's prediction was right; None where it is not told.
        question: its name.
        value: points of a Likert scale; 1 or 0 for a guess that was right or wrong.
        choice: the condition that was chosen; empty for other kinds of question.
        seconds: the time the trial took; NaN where the browser did not tell.
    """

    participant: str
    position: str
    stimulus: str
    condition: str
    image: str
    correct: bool | None
    question: str
    value: float
    choice: str
    seconds: float


@dataclass(frozen=True)
class Participant:
    """One participant; ``expertise`` has the answers about them by question, ``set_aside`` marks a test person."""

    name: str
    synthetic: bool
    completed: bool
    attention_failures: int
    comprehension_failures: int
    expertise: Mapping[str, str]
    set_aside: bool = False


@dataclass(frozen=True)
class Ratings:
    """The answers to one question as an array.

    Attributes:
        values: (participants, conditions, images); NaN where a participant did not rate the image in the condition.
        participants: names along the first dimension.
        conditions: names along the second.
        images: names along the third.
    """

    values: Floats
    participants: tuple[str, ...]
    conditions: tuple[str, ...]
    images: tuple[str, ...]

    @cached_property
    def complete(self) -> npt.NDArray[np.bool_]:
        """(participants,): True where a participant rated every condition at least once."""
        return _rated_all(self.values)

    @cached_property
    def means(self) -> Floats:
        """(complete participants, conditions): mean over images, the participant being the unit of every test."""
        rated = self.values[self.complete]
        means: Floats = np.nanmean(rated, axis=2) if len(rated) else np.empty((0, len(self.conditions)))
        return means

    def pair(self, first: str, second: str) -> Floats:
        """(n, 2): means over images in two conditions of the participants who rated both."""
        rated = self.values[:, [self.conditions.index(first), self.conditions.index(second)]]
        rated = rated[_rated_all(rated)]
        means: Floats = np.nanmean(rated, axis=2) if len(rated) else np.empty((0, 2))
        return means


@dataclass(frozen=True)
class Responses:
    """A study with what people answered.

    Attributes:
        study: as it was exported.
        participants: all who are in the export, finished or not.
        answers: what they answered.
        registration: the hash that a registration quotes; empty where the study was never frozen.
        changed: files that are not as they were frozen, such as ``study.yaml``.
        withdrawn: how many withdrew; nothing else about them is here.
    """

    study: Study
    participants: tuple[Participant, ...]
    answers: tuple[Answer, ...]
    registration: str = ""
    changed: tuple[str, ...] = ()
    withdrawn: int = 0

    def only(self, participants: Sequence[str]) -> "Responses":
        """The same study with these participants alone."""
        kept = set(participants)
        return replace(
            self,
            participants=tuple(person for person in self.participants if person.name in kept),
            answers=tuple(answer for answer in self.answers if answer.participant in kept),
        )

    def ratings(self, question: str, *, correct: bool | None = None) -> Ratings:
        """The answers to one question as an array over participants, conditions and images.

        A forced choice counts 1 for the condition that was chosen and 0 for the others; a guess counts 1 if right.

        Args:
            question: its name.
            correct: only answers about predictions that were right (True) or wrong (False); all by default.
        """
        choice = self.study.question(question).kind == "choice"
        wanted = [
            answer
            for answer in self.answers
            if answer.question == question and (correct is None or answer.correct is correct)
        ]
        people = tuple(person.name for person in self.participants)
        conditions, images = self.study.conditions, tuple(sorted({answer.image for answer in wanted}))
        person_at, condition_at, image_at = (
            {name: at for at, name in enumerate(names)} for names in (people, conditions, images)
        )
        values = np.full((len(people), len(conditions), len(images)), np.nan)
        for answer in wanted:
            where = (person_at[answer.participant], image_at[answer.image])
            if choice:
                values[where[0], :, where[1]] = [float(answer.choice == name) for name in conditions]
            else:
                values[where[0], condition_at[answer.condition], where[1]] = answer.value
        return Ratings(values, people, conditions, images)


def read_responses(folder: str | Path) -> Responses:
    """Read an export folder, as `pellucid study export` writes it.

    Args:
        folder: with ``study.yaml``, ``answers.csv`` and ``participants.csv`` (or the same as Parquet).

    Returns:
        The responses; answers to checks are not among them, since the participants' rows count the failures.

    Raises:
        InputError: a file or column that is missing, a value that cannot be, an answer that is there twice.
    """
    folder = Path(folder)
    if not (folder / "study.yaml").is_file():
        raise InputError(
            f"{folder} is not an export of a study: it has no study.yaml; `pellucid study export` makes one"
        )
    study = read_study(folder)
    participants = tuple(
        _participant(row, number, study) for number, row in _rows(folder, "participants", PARTICIPANT_COLUMNS)
    )
    names = [person.name for person in participants]
    if len(set(names)) < len(names):
        raise InputError(f"participant {_twice(names)!r} is in {folder / 'participants'} twice")
    rows = [row for row in _rows(folder, "answers", ANSWER_COLUMNS) if row[1]["kind"] not in CHECKS]
    answers = tuple(_answer(row, number, study) for number, row in rows)
    known = {person.name: person for person in participants}
    for (number, row), answer in zip(rows, answers, strict=True):
        if answer.participant not in known:
            raise InputError(
                f"answers, line {number}: participant {answer.participant!r} is not among the participants"
            )
        if _flag(row["synthetic"], "answers", number) != known[answer.participant].synthetic:
            raise InputError(
                f"answers, line {number}: participant {answer.participant!r} is synthetic in one file and not in the "
                "other"
            )
    keys = [(answer.participant, answer.question, answer.condition, answer.image) for answer in answers]
    if len(set(keys)) < len(keys):
        person, question, condition, image = _twice(keys)
        raise InputError(f"participant {person!r} answered {question!r} about {image!r} in {condition!r} twice")
    return Responses(study, participants, answers, *_lock(folder), withdrawn=_withdrawn(folder / "export.json"))


def _withdrawn(path: Path) -> int:
    """How many withdrew, which only the export's own record tells."""
    if not path.is_file():
        return 0
    try:
        return int(json.loads(path.read_text(encoding="utf-8")).get("withdrawn", 0))
    except (ValueError, AttributeError, TypeError):
        raise InputError(f"{path} must be JSON with a number `withdrawn`; export again") from None


def _rated_all(values: Floats) -> npt.NDArray[np.bool_]:
    """(participants,): True where each condition has an answer; ``values`` is (participants, conditions, images)."""
    there: npt.NDArray[np.bool_] = np.all(np.any(~np.isnan(values), axis=2), axis=1)
    return there


def _lock(folder: Path) -> tuple[str, tuple[str, ...]]:
    """The registration's hash, and the frozen files that are here and have been changed."""
    lock = folder / "study.lock"
    if not lock.is_file():
        return "", ()
    text = lock.read_text(encoding="utf-8")
    frozen = [line.split() for line in text.splitlines()]
    if any(len(parts) != 2 for parts in frozen):
        raise InputError(f"{lock} must hold lines of a hash and a file's name, got {text[:60]!r}")
    changed = (name for was, name in frozen if (folder / name).is_file() and sha256(folder / name) != was)
    return hashlib.sha256(text.encode()).hexdigest(), tuple(changed)


def _rows(folder: Path, name: str, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows as text by column, with their line numbers, the head being line 1."""
    text, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    if text.is_file():
        with text.open(encoding="utf-8-sig", newline="") as file:
            there, read = rows_of(file)
            rows = [{key: value for key, value in row.items() if key} for row in read]
    elif parquet.is_file():
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(parquet)
        there = table.column_names
        rows = [{key: "" if value is None else str(value) for key, value in row.items()} for row in table.to_pylist()]
    else:
        raise InputError(f"{folder} has neither {text.name} nor {parquet.name}; `pellucid study export` writes them")
    missing = [column for column in columns if column not in there]
    if missing:
        raise InputError(f"{name} of {folder} has no column {missing[0]!r}; it has {', '.join(there)}")
    return list(enumerate(rows, start=2))


def _participant(row: Mapping[str, str], number: int, study: Study) -> Participant:
    return Participant(
        name=row["participant"],
        synthetic=_flag(row["synthetic"], "participants", number),
        completed=_flag(row["completed"], "participants", number),
        attention_failures=_count(row["attention_failures"], number),
        comprehension_failures=_count(row["comprehension_failures"], number),
        expertise={
            asked.name: _option(row.get(f"expertise_{asked.name}", ""), asked.options[study.languages[0]], number)
            for asked in study.expertise
        },
        set_aside=_flag(row.get("set_aside") or "false", "participants", number),
    )


def _answer(row: Mapping[str, str], number: int, study: Study) -> Answer:
    question = next((asked for asked in study.questions if asked.name == row["question"]), None)
    if question is None:
        names = ", ".join(asked.name for asked in study.questions)
        raise InputError(f"answers, line {number}: question must be one of {names}, got {row['question']!r}")
    if question.kind != "choice" and row["condition"] not in study.conditions:
        raise InputError(
            f"answers, line {number}: condition must be one of {', '.join(study.conditions)}, got {row['condition']!r}"
        )
    if question.kind == "choice" and row["answer"] not in study.conditions:
        raise InputError(
            f"answers, line {number}: the choice must be one of {', '.join(study.conditions)}, got {row['answer']!r}"
        )
    value = float("nan")
    if question.kind == "guess":
        value = float(row["answer"] == row["prediction"])
    elif question.kind == "likert":
        value = _number(row["answer"], number)
        if value not in range(1, question.points + 1):
            raise InputError(
                f"answers, line {number}: an answer to {question.name!r} must be in 1 to {question.points}, "
                f"got {row['answer']!r}"
            )
    seconds = row.get("seconds", "")
    return Answer(
        participant=row["participant"],
        position=row["position"],
        stimulus=row["stimulus"],
        condition="" if question.kind == "choice" else row["condition"],
        image=row["image"],
        correct=_flag(row["correct"], "answers", number) if row["correct"] else None,
        question=row["question"],
        value=value,
        choice=row["answer"] if question.kind == "choice" else "",
        seconds=_number(seconds, number) if seconds else float("nan"),
    )


def _option(text: str, options: Sequence[str], number: int) -> str:
    """An answer about the person in words: the export has its position."""
    if text.isdecimal() and int(text) < len(options):  # also where the words are numbers themselves
        return options[int(text)]
    if not text or text in options:
        return text
    raise InputError(f"participants, line {number}: expertise must be in 0 to {len(options) - 1}, got {text!r}")


def _flag(text: str, file: str, number: int) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in flags:
        raise InputError(f"{file}, line {number}: must be true or false, got {text!r}")
    return flags[text.lower()]


def _count(text: str, number: int) -> int:
    if text and not text.isdigit():
        raise InputError(f"participants, line {number}: a number of failures must be 0 or more, got {text!r}")
    return int(text or 0)


def _number(text: str, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"answers, line {number}: must be a number, got {text!r}")
    return value


def _twice(keys: Sequence[Any]) -> Any:
    """The most frequent of the keys."""
    return Counter(keys).most_common(1)[0][0]
