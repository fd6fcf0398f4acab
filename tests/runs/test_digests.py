"""Weights, checkpoint, rows and maps are what was written, or are refused by everyone who reads them."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from pellucid import Data, Evaluation, Experiment, Network, evaluate, fit, load
from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.explanation.explained_network import of_run
from pellucid.report.page import write_report
from pellucid.runs.digests import check_digest, digested_file
from pellucid.runs.evaluated import read_run

QUICK = Evaluation(images=4, metrics=("gini",), saliency=("vanilla_gradient",), gallery=2)
SETTINGS = Experiment(dataset=Data(limit=64, validation=0), network=Network(name="lenet5"), epochs=1, batch_size=64)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    run = fit(SETTINGS, tmp_path_factory.mktemp("runs") / "small", progress=False)
    return evaluate(run, QUICK, progress=False)


@pytest.fixture
def run(measured, tmp_path):
    tell.cache_clear()
    return shutil.copytree(measured, tmp_path / "run")


def flip(file, place) -> None:
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    file.write_bytes(content)


READERS = {
    "load": lambda run: load(run),
    "evaluate": lambda run: evaluate(run, QUICK, progress=False),
    "explain": lambda run: of_run(run),
    "report": lambda run: write_report([run], run.parent / "report.html"),
}


@pytest.mark.parametrize("place", [0.002, 0.3, 0.62, 1])
def test_flipped_bits_of_weights_are_refused_by_all(run, place) -> None:
    flip(run / "model.safetensors", place)
    for read in READERS.values():
        with pytest.raises(InputError, match="model.safetensors is damaged or was changed: its SHA-256 is"):
            read(run)
    assert not (run.parent / "report.html").exists()


@pytest.mark.parametrize("file", ["rows.parquet", "maps.safetensors"])
@pytest.mark.parametrize("place", [0, 0.1, 0.5, 0.9, 1])
def test_flipped_bits_of_an_evaluation_are_refused(run, file, place) -> None:
    flip(run / file, place)
    with pytest.raises(InputError, match=f"{file} is damaged or was changed: .* evaluate it again: pellucid evaluate"):
        read_run(run).maps  # noqa: B018


@pytest.mark.parametrize("place", [0, 0.1, 0.5, 0.9, 1])
def test_flipped_bits_of_a_checkpoint_are_refused(run, place) -> None:
    (run / "model.safetensors").unlink()
    flip(run / "state.pt", place)
    with pytest.raises(InputError, match="state.pt is damaged or was changed: .* restore it, or train into another"):
        fit(SETTINGS, run, resume=True, progress=False)
    assert not (run / "model.safetensors").exists()


def test_a_damaged_record_is_no_reason_to_trust(run) -> None:
    record = run / "digests.json"
    whole = record.read_text()
    for damaged in (whole[:-9], "[1]", '{"model.safetensors": 3}', "\0"):
        record.write_text(damaged)
        with pytest.raises(InputError, match="digests.json .*(restore it, or delete it)"):
            load(run)
    record.write_text(whole)
    load(run)


def test_runs_of_an_older_pellucid_are_read_with_a_word(run, capsys) -> None:
    (run / "digests.json").unlink()
    read_run(run)
    assert capsys.readouterr().err.count("have no digest") == 1


def test_weights_that_another_program_has_put_there_are_told_and_never_under_old_rows(run, capsys) -> None:
    halved = {name: value / 2 for name, value in load_file(run / "model.safetensors").items()}
    save_file(halved, run / "model.safetensors")
    assert torch.equal(load(run).network.fc3.weight, halved["network.fc3.weight"])
    assert "model.safetensors was replaced by another program" in capsys.readouterr().err
    with pytest.raises(InputError, match="rows.parquet was measured with other weights than model.safetensors holds"):
        read_run(run)
    evaluate(run, QUICK, progress=False)
    assert read_run(run).rows.num_rows == 4


def test_rows_and_maps_of_two_evaluations_never_stand_together(run, tmp_path) -> None:
    old = (run / "maps.safetensors").read_bytes(), json.loads((run / "digests.json").read_text())["maps.safetensors"]
    evaluate(run, Evaluation(**vars(QUICK) | {"images": 5}), progress=False)
    (run / "maps.safetensors").write_bytes(old[0])  # known, as a process that is killed may leave it there
    assert set(old[1][:1]) < set(json.loads((run / "digests.json").read_text())["maps.safetensors"])
    with pytest.raises(InputError, match="is of another evaluation than the rows, which was interrupted"):
        read_run(run).maps  # noqa: B018


def test_between_the_record_and_the_replacement_both_files_are_known(tmp_path, monkeypatch) -> None:
    file, digests = tmp_path / "numbers", tmp_path / "digests"
    contents = [b"first", b"second", b"third"]
    for content in contents:
        with digested_file(file, digests) as temporary:
            temporary.write_bytes(content)
        check_digest(file, digests, "")
    replace = Path.replace

    def killed(self, target):
        if target == file:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt), digested_file(file, digests) as temporary:
        temporary.write_bytes(b"fourth")
    monkeypatch.undo()
    known = json.loads(digests.read_text())["numbers"]
    assert len(known) == 2
    for content in (b"third", b"fourth"):  # the one that is there, and the one that was about to be
        file.write_bytes(content)
        check_digest(file, digests, "")
    file.write_bytes(b"first")
    with pytest.raises(InputError):
        check_digest(file, digests, "")
    with digested_file(file, digests) as temporary:
        temporary.write_bytes(b"fifth")
    assert len(json.loads(digests.read_text())["numbers"]) == 1, "a damaged file is not made good by its successor"


def test_every_process_that_worked_on_a_run_is_listed(run) -> None:
    work = json.loads((run / "environment.json").read_text())["work"]
    assert [entry["work"] for entry in work] == ["training", "evaluation"]
    assert all(entry["ended"] >= entry["started"] and entry["threads"] == 1 for entry in work)
    (run / "model.safetensors").unlink()
    fit(SETTINGS, run, resume=True, progress=False)
    facts = json.loads((run / "environment.json").read_text())
    assert [entry["work"] for entry in facts["work"]] == ["training", "evaluation", "resumed training"]
    assert facts["started"] == facts["work"][0]["started"] and facts["parameters"] > 0
    del facts["work"]  # as an older pellucid wrote it
    (run / "environment.json").write_text(json.dumps(facts))
    evaluate(run, QUICK, progress=False)
    work = json.loads((run / "environment.json").read_text())["work"]
    assert [entry["work"] for entry in work] == ["training", "evaluation"]
    assert read_run(run).environment["pellucid"] and pq.read_schema(run / "rows.parquet").metadata[b"pellucid.weights"]


def test_a_second_evaluation_keeps_what_another_one_measured(run, capsys) -> None:
    files = ("evaluation.yaml", "maps.safetensors", "rows.parquet")
    evaluate(run, QUICK, progress=False)
    assert "was measured before, in the same way; its 4 rows stay" in capsys.readouterr().err
    assert not (run / "earlier").exists(), "the same rows again lose nothing"
    first = {name: (run / name).read_bytes() for name in files}
    three, two = (Evaluation(**vars(QUICK) | {"images": images}) for images in (3, 2))
    evaluate(run, three, progress=False)
    said = capsys.readouterr().err
    (kept,) = (run / "earlier").iterdir()
    assert f"was measured before, with images 4 where 3 is asked for; its 4 rows are kept in {kept}" in said
    assert {file.name: file.read_bytes() for file in kept.iterdir()} == first
    evaluate(run, QUICK, progress=False)
    evaluate(run, three, progress=False)
    assert len(list((run / "earlier").iterdir())) == 2, "what was kept is not copied again"
    evaluate(run, two, overwrite=True, progress=False)
    assert len(list((run / "earlier").iterdir())) == 2
    evaluate(run, three, overwrite=True, progress=False)
    capsys.readouterr()
    (run / ".rows-0123").mkdir()  # a process that was killed when its rows were whole may leave it
    evaluate(run, Evaluation(**vars(QUICK) | {"images": 3}), resume=True, progress=False)
    assert [file.name for file in run.glob(".*")] == [".lock"]
    assert "measured before" not in capsys.readouterr().err
