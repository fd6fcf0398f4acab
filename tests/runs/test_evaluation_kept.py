"""What an evaluation leaves where it is stopped, resumed, or asked for again otherwise."""

import signal
import time

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

import pellucid.runs.rows
from pellucid import SCAAT, Data, Evaluation, Experiment, evaluate, fgsm, fit

KEPT = ("rows.parquet", "maps.safetensors", "evaluation.yaml")
QUICK = Evaluation(images=24, saliency=("vanilla_gradient", "smoothgrad"), steps=4, repeats=2, draws=3, gallery=12)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "scaat"
    method = SCAAT(attack=fgsm(eps=0.2))
    return fit(Experiment(dataset=Data(limit=512), method=method, epochs=2, batch_size=64), folder)


def rows(run):
    return pq.read_table(run / "rows.parquet")


def copied(run, to):
    to.mkdir()
    for name in ("experiment.yaml", "model.safetensors"):
        (to / name).write_bytes((run / name).read_bytes())
    return to


def test_interrupted_evaluation_keeps_its_rows(run, pellucid_process, tmp_path):
    cut = copied(run, tmp_path / "cut")
    command = ["evaluate", cut, "--images=400", "--batch_size=10", "--resume"]
    process = pellucid_process(*command)
    deadline = time.monotonic() + 120
    while not list(cut.glob(".rows-*/000002.parquet")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (cut / "rows.parquet").exists()
    kept = {file: file.stat().st_mtime_ns for file in cut.glob(".rows-*/*.parquet")}
    process = pellucid_process(*command)
    while len(list(cut.glob(".rows-*/*.parquet"))) <= len(kept):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items())
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.splitlines()[-1] == "pellucid: stopped by SIGTERM; what was finished is kept, and --resume continues"


def test_resume_leaves_finished_rows_and_other_settings_replace_them(run, tmp_path):
    other = copied(run, tmp_path / "run")
    evaluate(other, QUICK)
    written = (other / "rows.parquet").stat().st_mtime_ns
    evaluate(other, QUICK, resume=True)
    assert (other / "rows.parquet").stat().st_mtime_ns == written
    evaluate(other, Evaluation(**vars(QUICK) | {"images": 5}), resume=True)
    assert rows(other).num_rows == 5


def test_another_network_to_transfer_from_is_measured_anew(run, tmp_path):
    source = copied(run, tmp_path / "source")
    settings = {"metrics": ("masking_transfer",), "images": 2, "gallery": 1, "transfer": str(source)}
    one = evaluate(copied(run, tmp_path / "one"), Evaluation(**settings))
    key = pq.read_schema(one / "rows.parquet").metadata[b"pellucid.key"]
    written = (one / "rows.parquet").stat().st_mtime_ns
    evaluate(one, Evaluation(**settings), resume=True)
    assert (one / "rows.parquet").stat().st_mtime_ns == written
    weights = load_file(source / "model.safetensors")
    save_file({name: value / 2 for name, value in weights.items()}, source / "model.safetensors")
    evaluate(one, Evaluation(**settings), resume=True)
    assert pq.read_schema(one / "rows.parquet").metadata[b"pellucid.key"] != key


def test_old_rows_stay_until_the_new_ones_are_whole(run, tmp_path, monkeypatch):
    quick = {"metrics": ("gini",), "images": 2, "gallery": 1, "saliency": ("vanilla_gradient",)}
    other = evaluate(copied(run, tmp_path / "run"), Evaluation(**quick))

    def killed(maps, **settings):
        raise KeyboardInterrupt

    before = {file: file.read_bytes() for file in other.iterdir() if file.name in KEPT}
    monkeypatch.setattr(pellucid.runs.rows, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(other, Evaluation(**quick | {"target": "true"}))
    assert {file: file.read_bytes() for file in before} == before and len(before) == 3
    monkeypatch.undo()
    evaluate(other, Evaluation(**quick | {"target": "true"}), resume=True)
    assert rows(other).num_rows == 2 and not list(other.glob(".rows-*"))
