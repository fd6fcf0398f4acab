"""Answers as tidy tables: a row per answer and per participant, CSV and Parquet, with a codebook."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pellucid.core.errors import InputError
from pellucid.core.files import whole_folder
from pellucid.core.spreadsheet import write_table
from pellucid.study.allocation import shuffled
from pellucid.study.checks import outcome_of
from pellucid.study.design import Study
from pellucid.study.folder import is_frozen, read_manifest, read_study, registration
from pellucid.study.sequence import Sequences, Step
from pellucid.study.store import Store, Unavailable

__all__ = ["write_export"]

Row = dict[str, Any]

ANSWERS = {
    "participant": (pa.string(), "", "opaque identifier"),
    "synthetic": (pa.bool_(), "", "true where a program answered, not a person"),
    "position": (pa.int32(), "", "number of the page in the participant's sequence, from 1"),
    "block": (pa.int32(), "", "block of the allocation, from 1; empty outside the rated trials"),
    "stimulus": (pa.string(), "", "opaque identifier of the picture; empty where none or several are shown"),
    "condition": (pa.string(), "", "the run whose map was shown; empty where none or several are shown"),
    "image": (pa.int64(), "", "index of the test image; empty where none is shown"),
    "label": (pa.string(), "", "true class of the image"),
    "prediction": (pa.string(), "", "answer of the network shown; empty where several are shown"),
    "correct": (pa.bool_(), "", "whether the network was right; for a check, whether the participant was"),
    "question": (pa.string(), "", "name of the question in study.yaml"),
    "kind": (pa.string(), "", "likert, choice, guess, attention or comprehension"),
    "answer": (pa.string(), "", "likert: a number from 1; checks: position of the answer from 0; otherwise text"),
    "seconds": (pa.float64(), "s", "time from showing the page to sending it; empty without JavaScript"),
    "answered_at": (pa.string(), "UTC", "when the server stored it, ISO 8601"),
}
PARTICIPANTS = {
    "participant": (pa.string(), "", "opaque identifier"),
    "synthetic": (pa.bool_(), "", "true where a program answered, not a person"),
    "language": (pa.string(), "", "language of the pages"),
    "slot": (pa.int32(), "", "place in the allocation"),
    "started_at": (pa.string(), "UTC", "when they consented, ISO 8601"),
    "finished_at": (pa.string(), "UTC", "when they sent the last page, ISO 8601; empty if they did not"),
    "completed": (pa.bool_(), "", "whether they sent the last page"),
    "outcome": (pa.string(), "", "complete, failed_checks, screened_out or full; empty if they left or are under way"),
    "set_aside": (pa.bool_(), "", "marked as a test person by the researcher; the analysis leaves them out"),
    "consent_version": (pa.string(), "", "version of the text they agreed to"),
    "attention_failures": (pa.int32(), "", "attention checks answered wrongly"),
    "comprehension_failures": (pa.int32(), "", "comprehension checks answered wrongly in the last try"),
    "comprehension_tries": (pa.int32(), "", "how often the comprehension checks were answered; empty if never"),
    "viewport_width": (pa.int32(), "px", "width of the window at consent, CSS pixels; empty without JavaScript"),
    "viewport_height": (pa.int32(), "px", "height of the window at consent"),
    "comment": (pa.string(), "", "free text"),
    "recruit_id": (pa.string(), "", "ID at the recruiting service; empty without one"),
}
IDENTIFYING = {
    "answers": ("answered_at",),
    "participants": ("started_at", "finished_at", "viewport_width", "viewport_height", "comment", "recruit_id"),
}
"""Columns that the de-identified variant leaves out."""


def write_export(folder: str | Path, store: Store, out: str | Path, *, deidentified: bool = False) -> Path:
    """Write everything that was answered to a new folder.

    Args:
        folder: the study folder.
        store: its answers.
        out: the folder to write; it appears whole or not at all.
        deidentified: leave out times of day, windows, free text and the IDs of a recruiting service, and give
            participants other identifiers, in another order. The slot, which what they saw depends on, stays: slots are
            given away in the order of arrival.

    Returns:
        ``out``.

    Raises:
        InputError: a folder that exists, a changed study, or a database that does not answer.
    """
    folder, out = Path(folder), Path(out)
    if out.exists():
        raise InputError(f"{out} exists already; name a new folder")
    study, manifest = read_study(folder), read_manifest(folder, verify=False)
    frozen = is_frozen(folder)
    try:
        rows, stored = store.participants(), store.steps()
        design = store.setting("design")
    except Unavailable as error:
        raise InputError(f"the database {store.address} does not answer: {error}") from None
    if design not in (None, registration(folder)):
        raise InputError("study.yaml or manifest.csv has changed since people answered; restore it")
    answers, participants = _tables(study, Sequences(study, manifest), rows, stored)
    schemas = {"answers": dict(ANSWERS), "participants": dict(PARTICIPANTS)}
    for asked in study.expertise:
        schemas["participants"][f"expertise_{asked.name}"] = (
            pa.int32(), "", _numbered(asked.options[study.languages[0]])
        )  # fmt: skip
    if deidentified:
        _deidentify(answers, participants, store.secret)
        for name, columns in IDENTIFYING.items():
            for column in columns:
                del schemas[name][column]
    with whole_folder(out) as temporary:
        for name, table in (("answers", answers), ("participants", participants)):
            _write_table(table, schemas[name], temporary / name, study, frozen)
        _write_codebook(study, schemas, temporary / "codebook.csv")
        _write_csv(participants, ["participant", "slot", "completed"], temporary / "allocation.csv")
        for name in ("study.yaml", "manifest.csv", *(["study.lock"] if frozen else [])):
            shutil.copyfile(folder / name, temporary / name)
        flow = {"withdrawn": int(store.setting("withdrawn") or 0), "deidentified": deidentified}
        (temporary / "export.json").write_text(
            json.dumps(flow | {"registration": registration(folder)}, indent=2) + "\n"
        )
    return out


def _tables(
    study: Study, sequences: Sequences, rows: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]]
) -> tuple[list[Row], list[Row]]:
    done: dict[str, list[Mapping[str, Any]]] = {}
    for record in stored:
        done.setdefault(record["participant"], []).append(record)
    answers, participants = [], []
    for row in rows:
        steps = sequences.steps(row["slot"])
        mine: list[Row] = []
        facts: Row = {f"expertise_{asked.name}": None for asked in study.expertise} | {"comment": ""}
        for record in done.get(row["id"], []):
            step = steps[record["number"]]
            if step.kind == "expertise":
                facts |= {f"expertise_{name}": int(value) for name, value in record["answers"].items()}
            elif step.kind == "comment":
                facts["comment"] = record["answers"].get("comment", "")
            elif step.kind != "practice":
                if step.kind == "comprehension":
                    facts["comprehension_tries"] = row["attempts"] + 1
                mine += [_answer(study, step, record, *answer) for answer in record["answers"].items()]
        common = {"participant": row["id"], "synthetic": row["synthetic"]}
        answers += [answer | common for answer in mine]
        participants.append(
            common
            | {name: row[name] for name in PARTICIPANTS if name in row}
            | facts
            | {
                "completed": row["finished_at"] is not None,
                "outcome": outcome_of(study, done[row["id"]]) if row["finished_at"] else row["outcome"],
                "attention_failures": _failures(mine, "attention"),
                "comprehension_failures": _failures(mine, "comprehension"),
            }
        )
    return answers, participants


def _failures(answers: Sequence[Row], kind: str) -> int:
    return sum(answer["kind"] == kind and not answer["correct"] for answer in answers)


def _answer(study: Study, step: Step, record: Mapping[str, Any], name: str, value: str) -> Row:
    row: Row = dict.fromkeys(ANSWERS) | {
        "position": record["number"] + 1,
        "block": None if step.block is None else step.block + 1,
        "question": name,
        "kind": step.kind,
        "answer": value,
        "seconds": record["seconds"],
        "answered_at": record["answered_at"],
    }
    if step.kind in ("attention", "comprehension"):
        check = next(check for check in study.checks if check.name == name)
        return row | {"correct": value == str(check.correct)}
    shown = step.stimuli[0]
    row |= {"image": shown.image, "label": shown.label}
    if step.kind == "choice":
        chosen = next(stimulus.condition for stimulus in step.stimuli if stimulus.stimulus == value)
        return row | {"answer": chosen}
    return row | {
        "kind": study.question(name).kind,
        "stimulus": shown.stimulus,
        "condition": shown.condition,
        "prediction": shown.prediction,
        "correct": shown.correct,
    }


def _deidentify(answers: list[Row], participants: list[Row], secret: bytes) -> None:
    """Other identifiers in another order; the secret never leaves the database, so no identifier can be undone."""
    order = shuffled(participants, secret.hex(), "deidentify")
    names = {row["participant"]: f"p{number:04d}" for number, row in enumerate(order, start=1)}
    for row in (*answers, *participants):
        row["participant"] = names[row["participant"]]
    participants.sort(key=lambda row: str(row["participant"]))
    answers.sort(key=lambda row: (row["participant"], row["position"]))


def _write_table(rows: Sequence[Row], schema: Mapping[str, Any], stem: Path, study: Study, frozen: bool) -> None:
    columns = {name: pa.array([row.get(name) for row in rows], kind) for name, (kind, _, _) in schema.items()}
    metadata = {"pellucid": json.dumps({"study": study.title, "version": study.version, "frozen": frozen})}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), stem.with_suffix(".parquet"))
    _write_csv(rows, list(schema), stem.with_suffix(".csv"))


def _write_csv(rows: Sequence[Row], columns: Sequence[str], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        write_table(file, columns, ({name: _written(value) for name, value in row.items()} for row in rows))


def _written(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _write_codebook(study: Study, schemas: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    values = {
        "condition": "; ".join(study.conditions),
        "question": "; ".join(question.name for question in study.questions)
        + "".join(f"; {check.name}" for check in study.checks),
        "label": "; ".join(study.classes),
        "prediction": "; ".join(study.classes),
        "language": "; ".join(study.languages),
        "kind": "likert; choice; guess; attention; comprehension",
    }
    language, rows = study.languages[0], []
    expertise = {f"expertise_{asked.name}": asked.text[language] for asked in study.expertise}
    for file, schema in schemas.items():
        for column, (kind, unit, meaning) in schema.items():
            accepted = values.get(column, "true; false" if kind == pa.bool_() else "")
            told = (meaning, expertise[column]) if column in expertise else (accepted, meaning)
            rows.append((file, column, str(kind), unit, *told))
    for question in study.questions:
        scale = ""
        if question.anchors is not None:
            low, high = question.anchors.low[language], question.anchors.high[language]
            scale = f"1: {low}; {question.points}: {high}"
        rows.append(("answers", f"answer, question {question.name}", question.kind, "", scale, question.text[language]))
    for check in study.checks:
        accepted = f"{_numbered(check.options[language])} (right: {check.correct})"
        rows.append(("answers", f"answer, question {check.name}", check.kind, "", accepted, check.text[language]))
    heads = ["file", "column", "type", "unit", "values", "meaning"]
    _write_csv([dict(zip(heads, row, strict=True)) for row in rows], heads, path)


def _numbered(options: Sequence[str]) -> str:
    return "; ".join(f"{place}: {word}" for place, word in enumerate(options))
