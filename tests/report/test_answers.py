"""Confusion matrices, the hardest images, and the rows as CSV: each against a plain count of the rows."""

import base64
import csv
import gzip
import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pellucid.report.confusion import confusions, counted
from pellucid.report.gallery import gallery
from pellucid.report.hardest import hardest
from pellucid.report.origin import told_command
from pellucid.report.rows_csv import rows_csv
from pellucid.report.words import spelled
from pellucid.runs.evaluated import read_run, read_runs


def test_a_confusion_matrix_counts_every_answer(make_run) -> None:
    run = read_run(make_run(images=80))
    label, answer = (run.rows[name].to_pylist() for name in ("label", "prediction"))
    expected = np.zeros((10, 10), int)
    for pair in zip(label, answer, strict=True):
        expected[pair] += 1
    np.testing.assert_array_equal(counted(run), expected)
    (found,) = confusions([run])
    assert found.counts == expected.tolist()
    for mistake in found.mistakes:
        true, said = (run.info["classes"].index(name) for name in (mistake.true, mistake.answer))
        assert true != said and mistake.count == expected[true, said] and mistake.of == expected[true].sum()
    assert [one.count for one in found.mistakes] == sorted((one.count for one in found.mistakes), reverse=True)


def test_many_classes_have_mistakes_and_no_matrix(make_run) -> None:
    run = read_run(make_run(classes=[f"class {number}" for number in range(30)], images=50))
    (found,) = confusions([run])
    assert found.counts == [] and found.mistakes
    several = replace(run, info=run.info | {"task": "multilabel"})
    assert confusions([several]) == []


def test_the_hardest_images_are_those_that_most_networks_get_wrong(make_run) -> None:
    runs = read_runs([make_run("a", images=90, gallery=90), make_run("b", method="SCAAT", images=90, gallery=90)])
    found = hardest(runs, gallery(runs, ["vanilla_gradient"]))
    wrong = {
        index: sum(run.rows["prediction"][place] != run.rows["label"][place] for run in runs)
        for place, index in enumerate(runs[0].rows["index"].to_pylist())
    }
    assert [one.wrong for one in found] == sorted((one.wrong for one in found), reverse=True)
    for one in found:
        assert one.wrong == wrong[one.index] == sum(not right for _, _, right in one.answers)
        assert one.picture is not None
    left = [count for index, count in wrong.items() if index not in {one.index for one in found}]
    assert min(one.wrong for one in found) >= max(left)


def _unpacked(packed: str) -> list[dict[str, str]]:
    text = gzip.decompress(base64.b64decode(packed)).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_rows_guard_what_a_spreadsheet_would_run(make_run) -> None:
    run = read_run(make_run("=cmd", classes=["=1+1", "@b", *"cdefghij"]))
    rows = _unpacked(rows_csv([run]).packed)
    assert {row["run"] for row in rows} == {"'=cmd"}
    assert {row["class"] for row in rows} <= {"'=1+1", "'@b", *"cdefghij"} and "'=1+1" in {row["class"] for row in rows}
    ris = run.values("ris")
    assert [row["ris"] == "" for row in rows] == np.isnan(ris).tolist()
    told = np.array([float(row["ris"] or "nan") for row in rows])
    np.testing.assert_allclose(told, ris, rtol=1e-3)


def test_rows_that_are_too_many_shrink_and_then_stay_out(make_run, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [read_run(make_run())]
    whole = rows_csv(runs)
    assert whole.what == "every measure"
    monkeypatch.setattr("pellucid.report.rows_csv.LARGEST", len(whole.packed) - 1)
    fewer = rows_csv(runs)
    assert fewer.what.startswith("the measures that the recommendation")
    assert "aopc_morf" not in _unpacked(fewer.packed)[0] and "gini" in _unpacked(fewer.packed)[0]
    monkeypatch.setattr("pellucid.report.rows_csv.LARGEST", 10)
    assert rows_csv(runs).packed == ""


def test_a_run_without_a_measure_has_empty_cells(make_run) -> None:
    runs = [read_run(make_run("a")), read_run(make_run("b", saliency=("vanilla_gradient",)))]
    rows = _unpacked(rows_csv(runs).packed)
    assert {row["gini/smoothgrad"] for row in rows if row["run"] == "b"} == {""}
    assert "" not in {row["gini/smoothgrad"] for row in rows if row["run"] == "a"}
    dropped = replace(runs[1], rows=runs[1].rows.set_column(0, "index", pa.array(np.arange(60))))
    assert {row["index"] for row in _unpacked(rows_csv([dropped]).packed)} == {str(number) for number in range(60)}


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        ("pellucid train runs/a --method SCAAT", "pellucid train runs/a --method SCAAT"),
        ("__main__.py train 'my runs/a'", "pellucid train 'my runs/a'"),
        ("", "not recorded: it was trained from Python"),
        ("fit.py --fast", "not a command of pellucid: it was trained from Python, by fit.py --fast"),
    ],
)
def test_the_command_is_one_that_runs(recorded: str, shown: str) -> None:
    assert told_command(recorded) == shown


def test_names_are_spelled_out() -> None:
    method = {"class_path": "pellucid.methods.AdversarialTraining"}
    assert spelled({"method": method}) == "adversarial training"
    assert spelled({"method": {"class_path": "pellucid.methods.TRADES"}}) == "TRADES"
    assert spelled({"method": {"class_path": "mine.Own"}, "activation": {"name": "softplus"}}) == (
        "Own, with softplus in place of ReLU"
    )
    inner = {"class_path": "pellucid.methods.GradientPenalty", "init_args": {"method": method}}
    assert spelled({"method": inner}) == "input-gradient penalty, added to adversarial training"
    assert spelled({"method": method, "epochs": 0}) == "as given, not trained here"
