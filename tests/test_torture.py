"""Commands killed before any of their file operations can be given again, and end as if nobody had disturbed them.

`make torture` does the same for longer, and more; this keeps its parts honest.
"""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ALL_OF_THEM = 900
"""Seconds for one command, which are enough for each of its operations on two cores."""


@pytest.fixture(scope="module")
def torture():
    """The scripts of `make torture`, which import each other as scripts do."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCHMARKS))
    import torture_crashes
    import torture_damage
    import torture_faults
    import torture_scene

    yield {"crashes": torture_crashes, "damage": torture_damage, "faults": torture_faults, "scene": torture_scene}
    sys.path.remove(str(BENCHMARKS))
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


@pytest.fixture(scope="module")
def commands(torture, tmp_path_factory):
    return torture["crashes"].commands(tmp_path_factory.mktemp("torture").resolve())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "evaluate", "evaluate again", "explain", "study new"])
def test_killed_before_every_file_operation(torture, commands, tmp_path, name) -> None:
    found = torture["crashes"].crashes(commands[name], tmp_path.resolve(), seconds=ALL_OF_THEM)
    assert found["wrong"] == [] and found["tried"] == found["operations"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["select", "reproduce"])
def test_killed_before_file_operations_of_many_trainings(torture, commands, tmp_path, name) -> None:
    found = torture["crashes"].crashes(commands[name], tmp_path.resolve(), seconds=120)
    assert found["wrong"] == [] and found["tried"] > 3 and found["operations"] > 400


@pytest.mark.slow
def test_faults_races_and_kills(torture, commands, tmp_path) -> None:
    root = tmp_path.resolve()
    faults = torture["faults"].faults(commands["evaluate"], root, seconds=600)
    assert [what for fault in faults for what in fault["wrong"]] == [] and len(faults) > 25
    races = torture["faults"].races(commands, root, seconds=30)
    assert [what for race in races for what in race["wrong"]] == [] and sum(race["refused"] for race in races) > 2
    kills = torture["faults"].kills(commands["train"], root, seconds=20)
    assert kills["wrong"] == [] and kills["identical"] == kills["trainings"] > 0


@pytest.mark.slow
def test_flipped_bits_and_mutated_files(torture, tmp_path) -> None:
    root = tmp_path.resolve() / "scene"
    root.mkdir()
    torture["damage"].scene(root)
    for file in torture["damage"].bits(root, seconds=60):
        assert file["passed"] == [] and file["flipped"] == file["refused"] > 10, file
    readers = torture["damage"].mutations(root, files=400, seconds=120)
    assert [what for reader in readers for what in reader["wrong"]] == [] and len(readers) == 34


@pytest.mark.slow
def test_the_harness_sees_what_is_wrong(torture, commands, tmp_path, monkeypatch) -> None:
    """A command that removes the old rows first, and one that leaves a temporary file, are found."""
    root, evaluate = tmp_path.resolve(), commands["evaluate again"]
    (root / "whole").mkdir()
    (root / "cut").mkdir()
    for folder in ("whole", "cut"):
        evaluate.given(root / folder / "place")
    assert torture["scene"].differences(root / "whole", root / "cut") == []
    (root / "cut" / "place" / "run" / ".rows-abcd1234.partial.parquet").touch()
    (root / "cut" / "place" / "run" / "maps.safetensors").unlink()
    weights = root / "cut" / "place" / "run" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    found = torture["scene"].differences(root / "whole", root / "cut")
    assert [what.rpartition("/")[2] for what in found] == [
        "maps.safetensors is missing", "model.safetensors differs", ".rows-abcd1234.partial.parquet was left",
    ]  # fmt: skip
