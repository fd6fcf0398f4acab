"""A metric from somebody's own package stands wherever pellucid's stand, with nothing changed in pellucid."""

import csv
import io
import json
import sys

import pytest

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.data import Data
from pellucid.report import compare, definitions, describe, read_runs, render, write_report
from pellucid.report.contrasts import contrasts
from pellucid.report.gate import check
from pellucid.report.recommendation import contests
from pellucid.report.requirement import parse
from pellucid.runs.evaluated import read_run
from pellucid.runs.evaluation import Evaluation, evaluate
from pellucid.runs.measures import Measure
from pellucid.runs.settings import Experiment
from pellucid.runs.training import fit
from pellucid.statistics import ratio_interval

PEAK = """
from dataclasses import dataclass

import pellucid


@dataclass(frozen=True, kw_only=True)
class Peak(pellucid.Metric):
    scale: float = 1.0
    columns = {
        "peak": pellucid.Column(
            title="Peak",
            question="How bright is the brightest pixel?",
            contest="Whose brightest pixel is brightest?",
            unit="×10⁻³",
            scale=1000,
            direction="higher",
        ),
        "level": pellucid.Column(title="Level", shown=False),
    }
    aggregates = {
        "peak_by_level": pellucid.Column(
            title="Peak / level", direction="higher", aggregate="ratio of means", of=("peak", "level")
        )
    }

    def __call__(self, case):
        map = self.scale * case.heatmap.flatten(1)
        return {"peak": map.amax(1), "level": map.mean(1)}
"""
OWN = ["peak", "peak_by_level", "peak/smoothgrad", "peak_by_level/smoothgrad"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "someones_metrics.py").write_text(PEAK)
    monkeypatch.syspath_prepend(tmp_path)
    yield "someones_metrics.Peak"
    sys.modules.pop("someones_metrics", None)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two runs that were measured with `Peak`; the package is gone when they are read."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "someones_metrics.py").write_text(PEAK)
    names = ("clean_accuracy", "gini", "someones_metrics.Peak")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        evaluation = Evaluation(images=30, gallery=2, saliency=("vanilla_gradient", "smoothgrad"), metrics=names)
        for seed, name in enumerate(("one", "other")):
            fit(Experiment(dataset=Data(limit=128), epochs=1, batch_size=64, seed=seed), folder / name)
            evaluate(folder / name, evaluation)
    sys.modules.pop("someones_metrics", None)
    return [folder / "one", folder / "other"]


def test_it_is_resolved_once_by_what_its_rows_tell(measured) -> None:
    run = read_run(measured[0])
    assert [name for name in run.measures if name.startswith(("peak", "level"))] == OWN
    peak, ratio = run.measures["peak/smoothgrad"], run.measures["peak_by_level"]
    assert (peak.head, peak.saliency, peak.own_name) == ("Peak (×10⁻³) ↑", "smoothgrad", "peak")
    assert peak.column.parameters["scale"] == 1.0
    assert peak.interval(run).mean == pytest.approx(run.values("peak/smoothgrad").mean())
    assert ratio.interval(run) == ratio_interval(run.values("peak"), run.values("level"))
    assert ratio.column.question == "Peak / level", "the title stands in for a question"


def test_compare_has_it_in_every_form(measured, capsys) -> None:
    runs = read_runs(measured)
    comparison = compare(runs, baseline=runs[0])
    names = list(comparison["one"]["metrics"])
    assert names == ["clean_accuracy", "gini", *OWN[:2], "gini/smoothgrad", *OWN[2:]]
    assert list(comparison["other"]["differences"]) == names
    assert list(comparison["one"]["columns"]) == OWN
    again = json.loads(render(comparison, "json"))
    assert again == json.loads(json.dumps(comparison))
    assert "Peak (×10⁻³) ↑" in render(again, "text") and "Peak (×10⁻³) ↑" in render(again, "markdown")
    assert "How bright is the brightest pixel?" in render(again, "latex")
    row = next(csv.DictReader(io.StringIO(render(again, "csv"))))
    assert float(row["peak/smoothgrad"]) == comparison["one"]["metrics"]["peak/smoothgrad"]["mean"]
    assert main(["compare", str(measured[0]), "--metrics", "peak", "--definitions"]) == 0
    assert "peak: How bright is the brightest pixel? Higher is better. (scale 1, " in capsys.readouterr().out
    assert list(definitions(runs, ["own"])) == OWN
    with pytest.raises(InputError, match="no run has the metric 'peek'; did you mean peak"):
        compare(runs, metrics=["peek"])
    with pytest.raises(InputError, match="`pellucid metrics` lists them, and these runs also have peak, peak_by_level"):
        compare(runs, metrics=["someones_metrics.Zq"])


def test_a_number_of_which_nothing_is_told_stands_under_its_name() -> None:
    numbers = {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 9}
    table = {"run": {"method": "Regular", "smoothing": None, "metrics": {"crest": numbers}}}
    assert ["crest", "0.50", "[0.25,", "0.75]"] in [line.split() for line in render(table, "text").splitlines()]


def test_words_of_somebody_elses_run_stay_in_their_line() -> None:
    told = {"title": "Pe\x1b[31mak\n", "question": "", "definition": "One.\nTwo.", "unit": "\u202e%"}
    measure = Measure.named("peak/smoothgrad", told)
    assert (measure.head, measure.definition) == ("Pe [31mak (%)", "One. Two.")
    assert measure.column.question == measure.title


def test_the_report_has_it(measured, tmp_path) -> None:
    html = write_report(measured, tmp_path / "report.html").read_text(encoding="utf-8")
    for part in (
        "Whose brightest pixel is brightest? <a",
        'id="about-peak"',
        'data-metric="peak/smoothgrad"',
        '<option value="peak">Peak</option>',
        '<th scope="colgroup" colspan="1" data-group="2">How bright is the brightest pixel?</th>',
        "Accuracy and Peak of each run",
        "<dt>Settings</dt><dd>scale 1",
    ):
        assert part in html, part
    runs = read_runs(measured)
    summaries = {run.name: {name: each.interval(run) for name, each in run.measures.items()} for run in runs}
    asked = contests(runs, summaries, contrasts(runs, summaries, runs[0]))
    assert [contest.measure.name for contest in asked] == ["clean_accuracy", "gini", "peak"]


def test_the_gate_takes_it(measured) -> None:
    text = "peak>=1x, peak<=1x, peak/smoothgrad>=0, peak_by_level<=1e6"
    assert [outcome.verdict for outcome in check(measured[0], measured[0], parse(text))] == ["pass"] * 4
    with pytest.raises(InputError, match="peak_by_level is not a mean over images"):
        check(measured[0], measured[1], parse("peak_by_level>=1x"))
    with pytest.raises(InputError, match="has no metric 'level'"):
        check(measured[0], measured[1], parse("level>=0"))


def test_the_list_of_metrics_describes_it(package, capsys) -> None:
    assert main(["metrics", package, "gini"]) == 0
    text = capsys.readouterr().out
    assert "own: Metrics of your own.\n  peak ↑" in text and "(scale 1.0)" in text and "Peak / level." in text
    assert "Hurley and Rickard" in text and "aopc" not in text
    plain = json.loads(describe([package], "json"))
    assert list(plain) == ["peak", "level", "peak_by_level"] and plain["peak"]["contest"]
    assert "| **own** | | | Metrics of your own. | | |" in describe([package], "markdown")
    assert "gini ↑" in describe(["pellucid.metrics.Gini"])
    assert main(["metrics", "someones_metrics.Pek"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_measures_of_one_name_are_equal_whatever_they_were_measured_with(measured) -> None:
    one, other = (read_run(path).measures["peak"] for path in measured)
    assert one == other == Measure.named("peak") and len({one, other}) == 1
