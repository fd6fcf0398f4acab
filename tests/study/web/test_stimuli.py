"""From runs to a study folder: the rule of choice, pictures that reveal nothing, mistakes."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.runs.evaluated import read_runs
from pellucid.study.folder import freeze, is_frozen, read_manifest, read_study, registration
from pellucid.study.stimuli import New, choose_images, new_study, render


def test_all_correct_is_so_for_every_network_and_balanced(runs: list[Path]) -> None:
    read = read_runs(runs)
    chosen, practice = choose_images(read, New(images=12, practice=3))
    assert len(set(chosen) | set(practice)) == 15
    for run in read:
        assert (run.maps["prediction"][chosen] == run.maps["label"][chosen]).all()
    assert set(Counter(read[0].maps["label"][chosen].tolist()).values()) == {3}


def test_stratified_is_half_and_half(runs: list[Path]) -> None:
    read = read_runs(runs)
    chosen, _ = choose_images(read, New(images=7, choose="stratified"))
    right = read[0].maps["prediction"][chosen] == read[0].maps["label"][chosen]
    assert (right.sum(), (~right).sum()) == (4, 3)


def test_the_choice_is_a_function_of_the_seed(runs: list[Path]) -> None:
    read = read_runs(runs)
    choices = [choose_images(read, New(images=6, seed=seed)) for seed in (0, 0, 1, 2, 3)]
    assert choices[0] == choices[1]
    assert len({str(each) for each in choices}) > 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": 21}, "21 images that every network names correctly were asked for, but .* 18 such among 24"),
        ({"images": 15, "choose": "stratified"}, "7 images that every network names wrongly"),
        ({"images": 18, "practice": 9}, "9 practice trials need images of their own, but 6 of 24 are left"),
        ({"images": 4}, "multiple of the number of conditions .3."),
        ({"images": 3, "points": 6}, "points must be 5 or 7, got 6"),
        ({"images": 3, "ask": ("beauty",)}, "got 'beauty'"),
        ({"images": 3, "ask": ()}, "at least one question"),
        ({"images": 3, "languages": ("fr",)}, "no language 'fr'; there are en, de"),
        ({"images": 3, "saliency": "lime"}, "kept no lime maps; there are vanilla_gradient"),
        ({"images": 0}, "images must be at least 1"),
    ],
)
def test_mistakes_are_sentences_and_leave_nothing(
    runs: list[Path], tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        new_study(runs, tmp_path / "study", New(**changes))
    assert not list(tmp_path.iterdir())


def test_one_run_or_a_used_folder_is_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two runs, got 1"):
        new_study(runs[:1], tmp_path / "study", New(images=3))
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(InputError, match="exists already"):
        new_study(runs, tmp_path / "used", New(images=3))


def test_a_folder_holds_what_the_manifest_says(template: Path) -> None:
    study, manifest = read_study(template), read_manifest(template)
    assert Counter(each.condition for each in manifest) == {**dict.fromkeys(study.conditions, 3), "": 1}
    assert {f"{each.stimulus}.png" for each in manifest} == {path.name for path in (template / "stimuli").iterdir()}
    assert len({path.stat().st_mtime for path in (template / "stimuli").iterdir()}) == 1
    practice = {each.image for each in manifest if each.practice}
    assert not practice & {each.image for each in manifest if not each.practice}


def test_file_names_come_from_no_seed(runs: list[Path], tmp_path: Path) -> None:
    folders = [new_study(runs, tmp_path / name, New(images=3)) for name in ("a", "b")]
    first, second = ({each.stimulus for each in read_manifest(folder)} for folder in folders)
    assert not first & second
    assert registration(folders[0]) != registration(folders[1])


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 224, 160), (3, 400, 500), (1, 1, 1)])
def test_pictures_are_photograph_and_map_of_one_size(shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, shape, dtype=np.uint8)
    picture = Image.open(io.BytesIO(render(image, random.random(shape[1:]))))
    assert picture.info == {} and picture.mode == "RGBA"
    assert (picture.width - 20) % 2 == 0 and max((picture.width - 20) // 2, picture.height) <= 400


def test_a_map_times_a_constant_is_the_same_picture() -> None:
    random = np.random.default_rng(0)
    image, heatmap = random.integers(0, 256, (1, 28, 28), dtype=np.uint8), random.random((28, 28))
    assert render(image, heatmap) == render(image, 64 * heatmap)
    assert render(image, 0 * heatmap) == render(image, np.zeros((28, 28)))


def test_freezing_holds(template: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "study"
    shutil.copytree(template, folder)
    assert not is_frozen(folder)
    assert freeze(folder) == freeze(folder) == registration(folder)
    assert is_frozen(folder)
    picture = folder / read_manifest(folder)[0].file
    content = picture.read_bytes()
    picture.write_bytes(content + b"x")
    with pytest.raises(InputError, match="was changed after the study was made"):
        freeze(folder)
    picture.unlink()
    with pytest.raises(InputError, match="is missing"):
        read_manifest(folder)
    picture.write_bytes(content)
    manifest = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(manifest.replace("scaat", "other"))
    with pytest.raises(InputError, match="manifest.csv was changed after the study was frozen"):
        is_frozen(folder)


def test_a_manifest_cannot_name_other_files(template: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "study"
    shutil.copytree(template, folder)
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for file_name in ("../study.yaml", "/etc/passwd", "stimuli/../study.yaml"):
        rows[0]["file"] = file_name
        with (folder / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        with pytest.raises(InputError, match="must be stimuli/NAME.png"):
            read_manifest(folder)
