"""A run knows its data: what is no longer as it was is refused, or measured again with a word."""

import json

import pyarrow.parquet as pq
import pytest

from pellucid import Data, Evaluation, Experiment, InputError, Network, Regular, evaluate, fit
from pellucid.runs.directory import RunDirectory
from pellucid.runs.evaluated import read_runs
from pellucid.runs.trained import open_run

PICTURES = Experiment(
    dataset=Data(name="things_of_a_user:make", validation=6, channels=1, augmentation="none", workers=0),
    network=Network(name="lenet5"),
    method=Regular(),
    epochs=1,
    batch_size=18,
)
FEW = Evaluation(images=6, metrics=("clean_accuracy",), saliency=("vanilla_gradient",), gallery=1, batch_size=3)


@pytest.fixture
def run(users, tmp_path):
    return fit(PICTURES, tmp_path / "run", progress=False)


def test_a_run_remembers_all_of_its_splits(users, run) -> None:
    contents = RunDirectory(run).facts.contents
    assert contents.keys() == {"train", "validation", "test"}
    for split in contents:
        assert open_run(run, split)[1].contents == contents[split]


def test_changed_test_images_are_told_and_measured_again(users, run, capsys) -> None:
    evaluate(run, FEW, progress=False)
    rows = RunDirectory(run).rows
    written = rows.stat().st_mtime_ns
    evaluate(run, FEW, resume=True, progress=False)
    assert rows.stat().st_mtime_ns == written and "have changed" not in capsys.readouterr().err
    users.SEED = 1
    evaluate(run, FEW, resume=True, progress=False)
    assert rows.stat().st_mtime_ns > written
    told = capsys.readouterr().err
    assert f"the test images of things_of_a_user:make have changed since {run} recorded them" in told


def test_rows_of_images_that_are_no_longer_here_are_kept(users, run, monkeypatch) -> None:
    evaluate(run, FEW, progress=False)
    written = RunDirectory(run).rows.stat().st_mtime_ns
    monkeypatch.delattr(users, "make")
    evaluate(run, FEW, resume=True, progress=False)
    assert RunDirectory(run).rows.stat().st_mtime_ns == written


def test_a_renamed_class_is_refused_although_rows_are_there(users, run) -> None:
    evaluate(run, FEW, progress=False)
    users.CLASSES = {"train": ["ant", "bee", "lynx"], "test": ["ant", "bee", "lynx"]}
    with pytest.raises(InputError, match="was trained on other classes"):
        evaluate(run, FEW, resume=True, progress=False)


def test_rows_of_before_are_kept_although_they_do_not_say_of_what(users, run) -> None:
    evaluate(run, FEW, progress=False)
    file = RunDirectory(run).rows
    table = pq.read_table(file)
    info = json.loads(table.schema.metadata[b"pellucid"])
    del info["contents"], info["pixels"]
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"pellucid": json.dumps(info)}), file)
    written = file.stat().st_mtime_ns
    evaluate(run, FEW, resume=True, progress=False)
    assert file.stat().st_mtime_ns == written


def test_an_interrupted_evaluation_of_other_images_begins_again(users, run, monkeypatch) -> None:
    from pellucid.runs import rows as module

    write = module._column

    def stopped(value):
        if any(RunDirectory(run).path.glob(".rows-*/*.parquet")):
            raise KeyboardInterrupt
        return write(value)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_column", stopped)
        with pytest.raises(KeyboardInterrupt):
            evaluate(run, FEW, progress=False)
    import things_of_a_user

    things_of_a_user.SEED = 1
    evaluate(run, FEW, resume=True, progress=False)
    after = pq.read_table(RunDirectory(run).rows)
    evaluate(run, FEW, progress=False)
    assert after.equals(pq.read_table(RunDirectory(run).rows))


def test_runs_that_saw_other_pixels_are_not_compared(users, run, tmp_path) -> None:
    other = fit(PICTURES, tmp_path / "other", progress=False)
    for one in (run, other):
        evaluate(one, FEW, progress=False)
    assert len(read_runs([run, other])) == 2
    users.SEED = 1
    evaluate(other, FEW, progress=False)
    with pytest.raises(InputError, match="'run' and 'other' were evaluated on different images: those of things_of"):
        read_runs([run, other])


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_training_does_not_go_on_with_other_images(users, run, split) -> None:
    directory = RunDirectory(run)
    directory.weights.unlink()
    facts = json.loads(directory.data.read_text())
    facts["contents"][split] = "0" * 16
    directory.data.write_text(json.dumps(facts))
    kind = "training" if split == "train" else split
    with pytest.raises(InputError, match=f"the {kind} images of .*run have changed since it was begun .fingerprint 0"):
        fit(PICTURES, run, resume=True, progress=False)


def test_another_machine_is_told_at_resume_and_at_evaluation(users, run, capsys) -> None:
    directory = RunDirectory(run)
    environment = json.loads(directory.environment.read_text())
    environment["packages"]["torch"] = "2.5.1"
    directory.environment.write_text(json.dumps(environment))
    evaluate(run, FEW, progress=False)
    told = capsys.readouterr().err
    assert f"{run} was begun with torch 2.5.1 and is measured with torch " in told
    directory.weights.unlink()
    fit(PICTURES, run, resume=True, progress=False)
    assert (
        f"{run} was begun with torch 2.5.1 and " in (told := capsys.readouterr().err) and " goes on with torch " in told
    )
