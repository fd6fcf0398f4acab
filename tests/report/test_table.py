"""The comparison: identities, the contract of its JSON, paired differences."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pellucid.core.errors import InputError
from pellucid.report.formats import render
from pellucid.report.table import compare, definitions, interval_data, summarise
from pellucid.runs.evaluated import read_run, read_runs
from pellucid.statistics import Interval

OTHER = ["gini", "entropy", "size_kb", "aopc_morf", "aopc_lerf", "aopc_rel"]
PREDICTED = [
    *("clean_accuracy", "robust_accuracy", "balanced_accuracy", "precision", "f1"),
    *("calibration_error", "calibration_error_equal_mass"),
]
BARE = [*PREDICTED, *OTHER, "ris", "ros", "stability_coverage"]


def test_names_are_those_of_the_contract(make_run) -> None:
    names = [*BARE, *(f"{name}/{method}" for method in ("smoothgrad", "integrated_gradients") for name in OTHER)]
    assert list(summarise(read_run(make_run()))) == names


def test_only_what_was_measured_is_summarised(make_run) -> None:
    assert list(summarise(read_run(make_run(saliency=("smoothgrad",))))) == [
        *PREDICTED,
        *(f"{name}/smoothgrad" for name in OTHER),
    ]


def test_means_are_the_rows_means(make_run) -> None:
    run = read_run(make_run(images=200))
    rows = {name: run.rows[name].to_numpy() for name in run.rows.column_names if "curve" not in name}
    summary = summarise(run)
    assert summary["clean_accuracy"].mean == np.mean(rows["prediction"] == rows["label"])
    assert summary["robust_accuracy"].mean == np.mean(rows["robust_correct"])
    assert summary["gini"].mean == pytest.approx(np.mean(rows["gini"].astype(float)))
    assert summary["aopc_rel"].mean == pytest.approx(rows["aopc_morf"].mean() / rows["aopc_lerf"].mean(), rel=1e-5)
    assert summary["ris"].mean == pytest.approx(np.nanmean(rows["ris"].astype(float)))
    assert summary["ris"].n == 200 - run.rows["ris"].null_count < 200
    assert all(interval.low <= interval.mean <= interval.high for interval in summary.values())


def test_an_accuracy_of_nothing_or_everything_is_not_certain(make_run) -> None:
    summary = summarise(read_run(make_run(means=(2.0, -1.0, 0.5, 0.01, 0.3, 1.0, 0.0))))
    assert summary["clean_accuracy"].mean == summary["clean_accuracy"].high == 1 > summary["clean_accuracy"].low
    assert summary["robust_accuracy"].mean == summary["robust_accuracy"].low == 0 < summary["robust_accuracy"].high


def test_comparison_is_the_contract(six_runs) -> None:
    comparison = compare(read_runs(six_runs))
    assert list(comparison) == ["regular", "at", "at-smoothing", "sgt", "scaat", "scaat-fast"]
    assert [run["method"] for run in comparison.values()] == [
        "Regular",
        "AdversarialTraining",
        "AdversarialTraining",
        "SaliencyGuided",
        "SCAAT",
        "SCAAT",
    ]
    assert [run["smoothing"] for run in comparison.values()] == [None, None, "gaussian", None, None, None]
    assert all(run["caveats"] == [] for run in comparison.values())
    for run in comparison.values():
        assert list(run) == ["method", "control", "activation", "smoothing", "metrics", "caveats"]
        for values in run["metrics"].values():
            assert list(values) == ["mean", "low", "high", "n"]
    assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison
    shown = [name for name in BARE if name not in PREDICTED[2:]]
    assert list(comparison["regular"]["metrics"])[: len(shown)] == shown


def test_a_metric_without_any_value_is_null(make_run) -> None:
    path = make_run(images=1, gallery=1)
    table = pq.read_table(path / "rows.parquet")
    place = table.column_names.index("ris")
    pq.write_table(table.set_column(place, "ris", pa.nulls(1, pa.float32())), path / "rows.parquet")
    metrics = compare([read_run(path)])["regular"]["metrics"]
    assert metrics["ris"] == {"mean": None, "low": None, "high": None, "n": 0}
    assert metrics["gini"]["low"] == metrics["gini"]["mean"] == metrics["gini"]["high"]


def test_difference_is_of_the_means_and_paired(six_runs) -> None:
    regular, *_, scaat, _ = read_runs(six_runs)
    for name in ("clean_accuracy", "gini", "aopc_lerf", "aopc_rel"):
        apart = scaat.measures[name].difference(scaat, regular)
        assert apart.mean == pytest.approx(summarise(scaat)[name].mean - summarise(regular)[name].mean)
    assert scaat.measures["aopc_rel"].difference(scaat, scaat) == Interval(0.0, 0.0, 0.0, 200)
    gini = scaat.measures["gini"].difference(scaat, regular)
    alone = summarise(scaat)["gini"]
    assert gini.high - gini.low < alone.high - alone.low


def test_runs_that_differ_in_images_are_refused(make_run) -> None:
    with pytest.raises(InputError, match="different images"):
        compare([read_run(make_run("one")), read_run(make_run("other", images=50))])


def test_differences_from_a_baseline_stand_beside_the_metrics(six_runs) -> None:
    runs = read_runs(six_runs)
    baseline, scaat = runs[0], runs[4]
    plain, against = compare(runs), compare(runs, baseline=baseline)
    assert against["regular"] == plain["regular"]
    for name, run in against.items():
        assert {key: run[key] for key in plain[name]} == plain[name]
    found = against["scaat"]
    assert found["baseline"] == "regular" and list(found["differences"]) == list(found["metrics"])
    for name in ("gini", "clean_accuracy", "aopc_rel", "ris"):
        expected = scaat.measures[name].difference(scaat, baseline)
        values = found["differences"][name]
        assert Interval(**values) == expected
    assert list(compare(runs, metrics=["gini"], baseline=baseline)["scaat"]["differences"]) == ["gini"]


def test_a_metric_that_the_baseline_lacks_has_no_difference(make_run) -> None:
    few, many = read_runs([make_run("few", saliency=("vanilla_gradient",)), make_run("many")])
    assert not [name for name in compare([few, many], baseline=few)["many"]["differences"] if "/" in name]


def _with_column(path, name: str, values: pa.Array):
    table = pq.read_table(path / "rows.parquet")
    info = json.loads(table.schema.metadata[b"pellucid"])
    info["columns"][name] = info["columns"]["ris"]
    metadata = {"pellucid": json.dumps(info)}
    pq.write_table(table.append_column(name, values).replace_schema_metadata(metadata), path / "rows.parquet")
    return path


@pytest.mark.parametrize("form", ["text", "csv", "latex", "markdown", "json"])
def test_infinite_values_are_left_out_and_counted(make_run, form) -> None:
    one = make_run("one", images=9)
    other = make_run("other", images=9)
    _with_column(one, "ris_elementwise", pa.array([np.inf, *range(8)], pa.float32()))
    _with_column(other, "ris_elementwise", pa.array([np.inf] * 9, pa.float32()))
    runs = read_runs([one, other])
    comparison = compare(runs, baseline=runs[0])
    found = comparison["one"]["metrics"]["ris_elementwise"]
    assert (found["mean"], found["n"]) == (3.5, 8)
    assert comparison["other"]["metrics"]["ris_elementwise"] == {"mean": None, "low": None, "high": None, "n": 0}
    assert comparison["other"]["differences"]["ris_elementwise"]["n"] == 0
    text = render(comparison, form)
    assert "3.5" in text and "inf" not in text.lower()


def test_plain_numbers_are_what_json_can_hold() -> None:
    nan, inf = float("nan"), float("inf")
    assert interval_data(Interval(nan, -inf, inf, 3)) == {"mean": None, "low": None, "high": None, "n": 3}
    assert interval_data(Interval(1.0, 0.5, inf, 3)) == {"mean": 1.0, "low": 0.5, "high": None, "n": 3}


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (
            "lerf_curve",
            "'lerf_curve' is a curve for each image, which has no place in a table; `pellucid report` draws it",
        ),
        ("lerf_curve/smoothgrad", "'lerf_curve/smoothgrad' is a curve .*; `pellucid report` draws it"),
        (
            "robust_curve",
            "no run has the metric 'robust_curve'; `pellucid evaluate --metrics robust_curve` measures it",
        ),
        ("robust_correct", "the mean of 'robust_correct' is called robust_accuracy; ask for that"),
        ("hoyer", "no run has the metric 'hoyer'; `pellucid evaluate --metrics hoyer` measures it"),
        ("ginni", r"no run has the metric 'ginni'; did you mean gini"),
        ("qqqqqq", "no run has the metric 'qqqqqq'; `pellucid metrics` lists them"),
    ],
)
def test_a_metric_that_no_table_has_is_one_sentence(make_run, metric, sentence) -> None:
    runs = [read_run(make_run())]
    for function in (compare, definitions):
        with pytest.raises(InputError, match=f"^{sentence}") as refused:
            function(runs, metrics=[metric])
        assert len(str(refused.value)) < 120
