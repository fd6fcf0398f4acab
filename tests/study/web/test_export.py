"""The export: a row per answer, the same in CSV and Parquet, nothing that identifies in the de-identified variant."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pellucid.core.errors import InputError
from pellucid.study.export import write_export
from pellucid.study.folder import freeze, is_frozen, read_study, registration
from pellucid.study.store import Store

Visit = Callable[..., Any]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def answered(visit: Visit, store: Store, folder: Path) -> Path:
    visit().agree().go_to("comment").go_on(comment='=HYPERLINK("http://evil"),\n"quoted"', seconds="1")
    visit().agree().go_to("trial-2")
    return folder


def test_rows_are_answers(answered: Path, store: Store, tmp_path: Path) -> None:
    out = write_export(answered, store, tmp_path / "export")
    rows = table(out / "answers.csv")
    counts = Counter(row["kind"] for row in rows)
    assert (counts["likert"], counts["choice"], counts["comprehension"]) == (8, 3, 4)  # of 3 pictures and of 1
    assert counts["attention"] in (2, 3)
    study = read_study(answered)
    for row in rows:
        if row["kind"] == "likert":
            assert row["condition"] in study.conditions and int(row["answer"]) == 1 and row["stimulus"]
        if row["kind"] == "choice":
            assert row["answer"] in study.conditions and not row["condition"] and row["image"]
        if row["kind"] in ("attention", "comprehension"):
            assert row["correct"] == "false" and not row["image"]
        assert row["synthetic"] == "false" and row["answered_at"].endswith("+00:00")


def test_participants_say_how_far_they_came(answered: Path, store: Store, tmp_path: Path) -> None:
    rows = table(write_export(answered, store, tmp_path / "export") / "participants.csv")
    assert sorted(row["completed"] for row in rows) == ["false", "true"]
    done = next(row for row in rows if row["completed"] == "true")
    assert (done["attention_failures"], done["comprehension_failures"]) == ("2", "2")
    assert done["expertise_machine_learning"] == "0" and done["consent_version"] == "1"
    assert done["comment"].startswith("'=HYPERLINK")  # a spreadsheet does not run it


def test_parquet_holds_the_same_with_types(answered: Path, store: Store, tmp_path: Path) -> None:
    out = write_export(answered, store, tmp_path / "export")
    for name in ("answers", "participants"):
        typed, text = pq.read_table(out / f"{name}.parquet"), table(out / f"{name}.csv")
        assert typed.column_names == list(text[0])
        for row, other in zip(typed.to_pylist(), text, strict=True):
            for column, value in row.items():
                if column != "comment":
                    said = str(value).lower() if isinstance(value, bool) else str(value)
                    assert other[column] == ("" if value is None else said)
    typed = pq.read_table(out / "participants.parquet")
    assert '=HYPERLINK("http://evil"),\n"quoted"' in typed["comment"].to_pylist()


def test_every_column_is_in_the_codebook(answered: Path, store: Store, tmp_path: Path) -> None:
    for number, deidentified in enumerate((False, True)):
        out = write_export(answered, store, tmp_path / str(number), deidentified=deidentified)
        described = {(row["file"], row["column"]) for row in table(out / "codebook.csv") if row["meaning"]}
        for name in ("answers", "participants"):
            assert {(name, column) for column in table(out / f"{name}.csv")[0]} <= described


def test_the_deidentified_variant_names_nobody(answered: Path, store: Store, tmp_path: Path) -> None:
    full, bare = (
        write_export(answered, store, tmp_path / name, deidentified=name == "bare") for name in ("full", "bare")
    )
    people = table(full / "participants.csv")
    text = b"".join(path.read_bytes() for path in bare.iterdir())
    for row in people:
        assert row["participant"].encode() not in text and row["started_at"].encode() not in text
    assert b"HYPERLINK" not in text
    assert {"answered_at", "started_at", "viewport_width", "comment"}.isdisjoint(
        {*table(bare / "answers.csv")[0], *table(bare / "participants.csv")[0]}
    )
    key = ("condition", "image", "question", "answer", "seconds")
    same = [Counter(tuple(row[name] for name in key) for row in table(out / "answers.csv")) for out in (full, bare)]
    assert same[0] == same[1]


def test_the_export_carries_its_design(answered: Path, store: Store, tmp_path: Path) -> None:
    out = write_export(answered, store, tmp_path / "first")
    assert (
        read_study(out) == read_study(answered) and not is_frozen(out) and registration(out) == registration(answered)
    )
    freeze(answered)
    out = write_export(answered, store, tmp_path / "second")
    assert is_frozen(out)
    assert json.loads((out / "export.json").read_text())["registration"] == registration(answered)


def test_ids_of_the_service_are_in_the_full_export_alone(
    visit: Visit, folder: Path, store: Store, tmp_path: Path
) -> None:
    visit().agree(PROLIFIC_PID="5f1a2b3c4d")
    [row] = table(write_export(folder, store, tmp_path / "full") / "participants.csv")
    assert (row["recruit_id"], row["outcome"], row["set_aside"]) == ("5f1a2b3c4d", "", "false")
    bare = write_export(folder, store, tmp_path / "bare", deidentified=True)
    assert all(b"5f1a2b3c4d" not in path.read_bytes() for path in bare.iterdir())


def test_the_export_says_how_taking_part_ended(visit: Visit, folder: Path, store: Store, tmp_path: Path) -> None:
    visit().agree().go_to("never")
    store.set_aside(store.participants()[0]["id"])
    [row] = table(write_export(folder, store, tmp_path / "export") / "participants.csv")
    assert (row["outcome"], row["set_aside"], row["comprehension_tries"]) == ("failed_checks", "true", "1")


def test_an_empty_study_exports_empty_tables(folder: Path, store: Store, tmp_path: Path) -> None:
    out = write_export(folder, store, tmp_path / "export")
    assert table(out / "answers.csv") == [] and pq.read_table(out / "participants.parquet").num_rows == 0


def test_mistakes_leave_nothing(answered: Path, store: Store, tmp_path: Path) -> None:
    write_export(answered, store, tmp_path / "export")
    with pytest.raises(InputError, match="exists already"):
        write_export(answered, store, tmp_path / "export")
    design = (answered / "study.yaml").read_text()
    (answered / "study.yaml").write_text(design.replace("title: How", "title: Why"))
    with pytest.raises(InputError, match="has changed since people answered"):
        write_export(answered, store, tmp_path / "other")
    assert not (tmp_path / "other").exists()
