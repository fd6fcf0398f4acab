"""One module knows the names of a run directory's files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pellucid
from pellucid.runs import RunDirectory

PACKAGE = Path(pellucid.__file__).parent
NAMES = {value.name for key, value in vars(RunDirectory("run")).items() if key not in ("path", "logs")}


def spelled(path: Path) -> set[str]:
    """The file names that a module's strings are or end with."""
    strings = [
        node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)
    ]
    return {Path(text).name for text in strings if isinstance(text, str) and " " not in text} & NAMES


def test_no_other_module_spells_a_file_name() -> None:
    found = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if spelled(path)}
    exported = {name for name in found if name.startswith("exports/")}  # files of a folder that no run is in
    assert found - exported - {"runs/evaluation.py"} == {"runs/directory.py"}


def test_the_state_of_a_run_is_read_from_its_files(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    states = [(directory.is_begun, directory.is_finished, directory.is_evaluated)]
    for file in (directory.checkpoint, directory.weights, directory.rows):
        file.touch()
        states.append((directory.is_begun, directory.is_finished, directory.is_evaluated))
    assert states == [(False, False, False), (True, False, False), (True, True, False), (True, True, True)]


def test_numbers_of_each_image_are_found_by_their_files(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    for file in (directory.rows, directory.predictions("test"), *map(directory.sample_numbers, ("q", "last_loss"))):
        file.touch()
    assert directory.sample_names == ["last_loss", "q"]
    assert {directory.extremes(name).name for name in ("q", "last_loss")} == {
        "extremes.safetensors",
        "extremes-last_loss.safetensors",
    }


@pytest.mark.parametrize("name", ["notes.txt", "rows.parquet", "data.parquet", "model"])
def test_what_training_did_not_leave_is_foreign(tmp_path: Path, name: str) -> None:
    directory = RunDirectory(tmp_path)
    (tmp_path / ".hidden").touch()
    assert directory.foreign == []
    (tmp_path / name).touch()
    assert directory.foreign == [name]


def test_what_an_interrupted_first_epoch_left_is_not_foreign(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    for file in (directory.experiment, directory.data, directory.training, directory.sample_numbers("q")):
        file.touch()
    directory.logs.mkdir()
    assert directory.foreign == []


def test_half_written_files_are_removed_and_no_others(tmp_path: Path) -> None:
    earlier = (".state-x1abcdef.pt", ".q-x2abcdef.parquet", ".model-x3abcdef.safetensors")
    ours = (".rows-x4abcdef.partial.parquet", ".report-x5abcdef.partial.html")
    others = (".rows-key", ".mine-1.txt", ".data-1.csv", ".personal-x6abcdef.txt", "rows-x7abcdef.partial.parquet")
    for name in (*earlier, *ours, *others):
        (tmp_path / name).touch()
    RunDirectory(tmp_path).remove_left()
    assert {file.name for file in tmp_path.iterdir()} == set(others)


def test_runs_are_read_without_torch() -> None:
    program = "import sys, pellucid.runs as runs; runs.read_run, runs.RunDirectory; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
