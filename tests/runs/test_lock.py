"""One process at a time works on a run directory."""

import os
import signal
import subprocess
import sys

import pytest

from pellucid import Data, Experiment, fit
from pellucid.core.errors import InputError
from pellucid.runs.directory import RunDirectory
from pellucid.runs.lock import working_on

TINY = Experiment(dataset=Data(name="fashion-mnist", limit=64, validation=0), epochs=1, batch_size=32)
HOLD = """
import sys
from pellucid.runs.lock import working_on
sys.argv = ["/usr/bin/pellucid", "train"]
with working_on("run"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_another_process_is_told_who_works_there_until_that_ends(tmp_path, holder) -> None:
    said = rf"run is being worked on by process {holder.pid} of machine \S+ \(pellucid train\) since 20\d\d-.*; wait"
    with pytest.raises(InputError, match=said), working_on(tmp_path / "run"):
        raise AssertionError("two processes in one directory")
    holder.communicate()
    assert not (tmp_path / "run").exists(), "nothing was written there"
    with working_on(tmp_path / "run"):
        pass


def test_a_killed_process_holds_nothing(tmp_path, holder) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    (tmp_path / "run" / ".state-abcd1234.partial.pt").write_text("half")
    with working_on(tmp_path / "run") as directory:
        assert [file.name for file in directory.path.iterdir()] == [".lock"], "what it left is gone"


def test_a_directory_that_was_there_or_was_written_into_stays(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "new/run", "other/run"):
        with working_on(tmp_path / place) as directory:
            assert directory.path.is_dir()
            if place == "new/run":
                directory.experiment.write_text("epochs: 1")
    assert {file.name for file in (tmp_path / "new" / "run").iterdir()} == {"experiment.yaml", ".lock"}
    assert (tmp_path / "empty").is_dir() and not (tmp_path / "other").exists()


def test_places_that_cannot_be_held(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file; give a folder"), working_on(tmp_path / "file"):
        pass
    said = "is being worked on by process"
    with working_on(tmp_path / "run"), pytest.raises(InputError, match=said), working_on(tmp_path / "run"):
        pass
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").write_text("not ours")
    with working_on(tmp_path / "run"):
        (tmp_path / "run" / ".lock").write_text("not ours")
        with pytest.raises(InputError, match="is being worked on by another process"), working_on(tmp_path / "run"):
            pass
    assert os.listdir(tmp_path / "run") == [".lock"]


def test_a_first_checkpoint_of_another_process_is_no_foreign_file(tmp_path, monkeypatch) -> None:
    run = fit(TINY, tmp_path / "run", progress=False)
    (run / "model.safetensors").unlink()
    asked = []

    def begun(directory) -> bool:
        asked.append(directory)
        return len(asked) > 1  # asked first just before the other process has written it

    monkeypatch.setattr(RunDirectory, "is_begun", property(begun))
    with pytest.raises(InputError, match="holds a run already; continue it with --resume"):
        fit(TINY, run, progress=False)


def test_whatever_a_damaged_checkpoint_raises_is_one_sentence(tmp_path, monkeypatch) -> None:
    run = fit(TINY, tmp_path / "run", progress=False)
    (run / "model.safetensors").unlink()

    def damaged(path):
        raise IndexError("list index out of range")  # as PyTorch's reader of old files does

    monkeypatch.setattr("pellucid.runs.checkpoint.read_torch_file", damaged)
    with pytest.raises(InputError, match="state.pt is not a checkpoint of this experiment: list index out of range"):
        fit(TINY, run, resume=True, progress=False)
