"""A metric of a user's own in an evaluation: measured, told, left out with a sentence, measured again."""

import json
import shutil
import sys

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

import pellucid.runs.rows
from pellucid import Data, Evaluation, Experiment, InputError, evaluate, fit


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small trained run that nothing has measured."""
    experiment = Experiment(dataset=Data(limit=64), epochs=1, batch_size=32)
    return fit(experiment, tmp_path_factory.mktemp("runs") / "small", progress=False)


@pytest.fixture
def fresh(trained, tmp_path):
    """Makes a copy of the run by a name."""
    return lambda name: shutil.copytree(trained, tmp_path / name)


def rows(run):
    return pq.read_table(run / "rows.parquet")


PEAK = """
from dataclasses import dataclass
from pathlib import Path

import pellucid


@dataclass(frozen=True, kw_only=True)
class Peak(pellucid.Metric):
    scale: float = 1.0
    columns = {"peak": pellucid.Column(title="Peak", question="How bright is it?", unit="", direction="higher")}

    def __call__(self, case):
        return {"peak": self.scale * case.heatmap.flatten(1).amax(1)}


class Broken(Peak):
    columns = {"broken": pellucid.Column(title="Broken")}
    repaired = False

    def __call__(self, case):
        return {"broken": case.heatmap.sum((1, 2)) if self.repaired else case.heatmap}


class Careless(Peak):
    columns = {"careless": pellucid.Column(title="Careless")}

    def __call__(self, case):
        return {"careless": case.heatmap.mul_(2).amax((1, 2))}


class Noisy(Peak):
    about = "noisy maps"
    columns = {"noisy": pellucid.Column(title="Noisy")}

    def __call__(self, case):
        return {"noisy": max(seen.attribution.abs_().sum() for seen in case.noisy(draws=1)).expand(len(case))}


class Settled(Peak):
    columns = {"settled": pellucid.Column(title="Settled")}

    def __call__(self, case):
        return {"settled": case.heatmap.sum((1, 2))}

    def settings(self, column, model=None, seed=0):
        return {"file": Path("a"), "peak": Peak(), "odd": object() if self.scale == 2 else 1}
"""


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    """A package of the user's with a metric of their own."""
    (tmp_path / "own_metrics.py").write_text(PEAK)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_metrics", None)


FEW = {"images": 3, "gallery": 1, "saliency": ("vanilla_gradient", "smoothgrad")}


def test_a_metric_of_ones_own_is_measured(fresh, own_package):
    named = evaluate(fresh("named"), Evaluation(metrics=("gini", "own_metrics.Peak"), **FEW))
    from own_metrics import Peak

    given = evaluate(fresh("given"), Evaluation(metrics=("gini", Peak(scale=2.0)), **FEW))
    table, doubled = rows(named), rows(given)
    assert table.column_names[7:] == ["gini", "peak", "gini/smoothgrad", "peak/smoothgrad"]
    maps = load_file(named / "maps.safetensors")
    by_index = {row["index"]: row["peak/smoothgrad"] for row in table.to_pylist()}
    assert by_index[maps["index"].item()] == pytest.approx(maps["heatmap/smoothgrad"].amax().item(), rel=1e-5)
    assert doubled["peak"].to_pylist() == pytest.approx([2 * value for value in table["peak"].to_pylist()])
    column = json.loads(doubled.schema.metadata[b"pellucid"])["columns"]["peak/smoothgrad"]
    assert column["parameters"]["scale"] == 2.0 and column["question"] == "How bright is it?"
    before = (given / "rows.parquet").stat().st_mtime_ns
    evaluate(given, Evaluation(metrics=("gini", Peak(scale=2.0)), **FEW), resume=True)
    assert (given / "rows.parquet").stat().st_mtime_ns == before, "the same settings are the same evaluation"


def test_a_metric_that_fails_does_not_lose_the_others(fresh, own_package, capsys):
    folder = fresh("broken")
    with pytest.raises(InputError) as caught:
        evaluate(folder, Evaluation(metrics=("gini", "own_metrics.Broken", "own_metrics.Peak"), batch_size=2, **FEW))
    reason = "Broken was left out: 'broken' of Broken must have shape (2,), a number for each image, got (2, 28, 28)"
    assert str(caught.value) == f"{reason}; all other measures are in {folder / 'rows.parquet'}"
    assert capsys.readouterr().err == f"pellucid: {reason}\n"
    assert rows(folder).column_names[7:] == ["gini", "peak", "gini/smoothgrad", "peak/smoothgrad"]


@pytest.mark.parametrize("careless", ["Careless", "Noisy"])
def test_no_metric_may_change_what_all_share(fresh, own_package, careless):
    folder = fresh("careless")
    names = ("gini", "ris", f"own_metrics.{careless}", "own_metrics.Peak")
    sentence = f"^{careless} changes a tensor of the case in place, which all metrics share; change a copy$"
    with pytest.raises(InputError, match=sentence):
        evaluate(folder, Evaluation(metrics=names, draws=1, **FEW))


def test_what_failed_is_measured_when_the_evaluation_is_resumed(fresh, own_package, monkeypatch):
    folder = fresh("broken")
    choice = Evaluation(metrics=("gini", "own_metrics.Broken"), batch_size=2, **FEW)
    with monkeypatch.context() as patch:  # stopped before its parts are put together
        patch.setattr(pellucid.runs.rows, "write_yaml", interrupt)
        with pytest.raises(KeyboardInterrupt):
            evaluate(folder, choice)
    assert len(list(folder.glob(".rows-*/*.parquet"))) == 2
    with pytest.raises(InputError, match="all other measures are in"):
        evaluate(folder, choice, resume=True)
    import own_metrics

    monkeypatch.setattr(own_metrics.Broken, "repaired", True)
    evaluate(folder, choice, resume=True)
    assert "broken" in rows(folder).column_names


def test_a_part_in_which_a_metric_failed_is_measured_again(fresh, own_package, monkeypatch):
    folder = fresh("broken")
    choice = Evaluation(metrics=("gini", "own_metrics.Broken"), batch_size=2, **FEW)
    with monkeypatch.context() as patch:
        patch.setattr(pellucid.runs.rows, "write_yaml", interrupt)
        with pytest.raises(KeyboardInterrupt):
            evaluate(folder, choice)
    import own_metrics

    monkeypatch.setattr(own_metrics.Broken, "repaired", True)
    evaluate(folder, choice, resume=True)
    assert rows(folder)["broken"].null_count == 0


def interrupt(*_):
    raise KeyboardInterrupt


def test_settings_that_a_file_can_hold_are_told_and_others_refused_at_once(fresh, own_package, monkeypatch):
    from own_metrics import Settled

    folder = fresh("settled")
    evaluate(folder, Evaluation(metrics=(Settled(),), **FEW))
    told = json.loads(rows(folder).schema.metadata[b"pellucid"])["columns"]["settled"]["parameters"]
    assert told["file"] == "a" and told["peak"]["class_path"] == "own_metrics.Peak"
    monkeypatch.setattr(Settled, "__call__", interrupt)
    with pytest.raises(InputError, match="cannot be written to a file"):
        evaluate(folder, Evaluation(metrics=(Settled(scale=2),), **FEW))
