"""Numbers that a method's state keeps of every training image: from a user's module into the report."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from pellucid import Data, Evaluation, Experiment, InputError, Network, evaluate, fit
from pellucid.report import write_report
from pellucid.runs.directory import RunDirectory
from pellucid.runs.evaluated import read_run
from pellucid.runs.per_sample import append_epoch


@pytest.fixture
def experiment(users) -> Experiment:
    data = Data(name="things_of_a_user:make", validation=6, channels=1, augmentation="none", workers=0)
    return Experiment(dataset=data, network=Network(name="lenet5"), method=users.Remembering(), epochs=3, batch_size=27)


def test_a_users_own_numbers_reach_the_report(experiment, tmp_path) -> None:
    run = fit(experiment, tmp_path / "remembering", progress=False)
    evaluate(run, Evaluation(images=12, metrics=("gini",), saliency=("vanilla_gradient",), gallery=2), progress=False)
    read = read_run(run)
    assert set(read.per_sample) == {"last_loss", "visits"} and read.q is None
    assert [numbers.tolist() for numbers in read.per_sample["visits"].values()] == [[n] * 54 for n in (1, 2, 3)]
    assert pq.read_table(run / "last_loss.parquet").column_names == ["epoch", "index", "last_loss"]
    kept = read.extremes("last_loss")
    np.testing.assert_allclose(
        kept["last_loss"], np.sort(read.per_sample["last_loss"][2])[[*range(8), *range(-1, -9, -1)]]
    )
    assert kept["images"].shape == (16, 1, 28, 28)
    assert read.extremes("visits") == {}, "the same for every image"
    page = write_report([run], tmp_path / "report.html").read_text()
    assert "What else a method keeps of each training picture" in page
    assert "last_loss at the end of training" in page and "largest last_loss" in page
    assert "How much of each picture SCAAT may perturb" not in page


def test_an_interrupted_epochs_numbers_are_replaced(tmp_path) -> None:
    file = RunDirectory(tmp_path).sample_numbers("age")
    for epoch, value in [(0, 1.0), (1, 2.0), (2, 3.0), (1, 4.0)]:
        append_epoch(file, epoch, np.full(2, value, np.float32))
    assert pq.read_table(file).to_pydict() == {
        "epoch": [0, 0, 1, 1],
        "index": [0, 1, 0, 1],
        "age": [1.0, 1.0, 4.0, 4.0],
    }


def test_numbers_that_no_run_can_store_stop_before_the_first_step(users, experiment, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(users.Memory, "per_sample", lambda self: {"rows": self.last})
    with pytest.raises(InputError, match="Memory.per_sample must name its numbers"):
        fit(experiment, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_without_numbers_of_each_image_no_file_is_left(users, experiment, tmp_path, monkeypatch) -> None:
    monkeypatch.delattr(users.Memory, "per_sample")
    run = fit(replace(experiment, epochs=1), tmp_path / "run", progress=False)
    assert not list(run.glob("*.parquet")) and not list(run.glob("extremes*"))
