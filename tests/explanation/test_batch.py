"""From the command line to the files: batches with broken pictures, every output, exit codes."""

import csv
import hashlib
import io
import json
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import save_file

from pellucid import explanation
from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.explanation.batch import explain
from pellucid.explanation.reference import of_folder
from pellucid.explanation.trust_rules import Thresholds

from .conftest import FACTORY, pixels


@pytest.fixture
def pictures(tmp_path):
    """A folder with four pictures and three files that are none."""
    path = tmp_path / "pictures"
    (path / "more").mkdir(parents=True)
    for i, name in enumerate(("a.png", "B.png", "more/b.jpg", "more/a.png")):
        Image.fromarray(pixels(i)).save(path / name, quality=95)
    (path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (path / "empty.tif").touch()
    (path / "text.jpg").write_text("no picture")
    return path


def test_a_batch_goes_on_past_what_cannot_be_read(subject, examination, pictures, folder, tmp_path) -> None:
    out = tmp_path / "out"
    reference = of_folder(subject, folder, examination, progress=False)
    summary = explain(
        subject, [pictures, "nowhere.png"], out, examination=examination, reference=reference,
        formats=("png", "html", "json", "npz"), batch_size=3, progress=False,
    )  # fmt: skip
    assert [Path(entry["source"]).name for entry in summary.made] == ["B.png", "a.png", "a.png", "b.jpg"]
    assert [entry["prediction"].partition(",")[0] for entry in summary.made] == [
        "top right", "top left", "low right", "low left",
    ]  # fmt: skip
    assert len(summary.skipped) == 4 and all(entry["source"] in entry["reason"] for entry in summary.skipped)
    stems = ["B-card", "a-card", "a-2-card", "b-2-card"]
    assert {file.name for file in out.iterdir()} == {
        *(f"{stem}.{form}" for stem in stems for form in ("png", "html", "json", "npz")),
        "summary.json",
        "cards.csv",
        "index.html",
    }
    assert json.loads((out / "summary.json").read_text()) == {"explained": summary.made, "skipped": summary.skipped}
    page = (out / "index.html").read_text()
    assert all(f'href="{name}-card.html"' in page for name in ("B", "a", "a-2", "b-2"))
    assert page.count("data:image/png;base64,") == 4, "a thumbnail for each card"
    assert 'href="index.html#a-2-card"' in (out / "a-2-card.html").read_text()
    with (out / "cards.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 8 and {row["level"] for row in rows[:4]} == {entry["level"] for entry in summary.made}
    assert rows[0]["predicted"] == "top right" and "nowhere.png" in rows[-1]["reason"]


def test_the_files_say_the_same(subject, examination, folder, tmp_path) -> None:
    reference = of_folder(subject, folder, examination, progress=False)
    file = folder / "05.png"
    summary = explain(
        subject, [file], tmp_path, examination=examination, reference=reference,
        formats=("png", "html", "json", "npz"), progress=False,
    )  # fmt: skip
    (entry,) = summary.made
    card = json.loads((tmp_path / "05-card.json").read_text())
    assert card["sentence"] == entry["sentence"] and card["judgement"] == entry["level"] == "no objection"
    assert card["prediction"][0]["name"] == card["explained"]["name"] == "top right"
    assert list(card["maps"]) == ["vanilla_gradient", "inputxgradient"]
    truth = card["maps"]["vanilla_gradient"]["figures"]
    assert truth["gini"] == {"value": 0.75, "percentile": 50.0}
    assert truth["beats_random"] == {"value": 1.0, "percentile": None}
    assert card["reference"] == "24 pictures of reference" and card["settings"]["draws"] == 2
    arrays = np.load(tmp_path / "05-card.npz")
    np.testing.assert_array_equal(arrays["image"], pixels(1, seed=5))
    assert arrays["heatmap/vanilla_gradient"].shape == (16, 16)
    assert arrays["attribution/inputxgradient"].shape == (3, 16, 16)
    with Image.open(tmp_path / "05-card.png") as picture:
        assert picture.size[0] > 700
    html = (tmp_path / "05-card.html").read_text()
    assert entry["sentence"] in html and "better than 50 %" in html and "All cards" not in html
    proof = card["maps"]["vanilla_gradient"]["evidence"]
    assert proof["most_marked_covered"] < proof["least_marked_covered"] <= proof["probability"] + 0.05
    assert len(proof["random_covered"]) == 2 * examination.random_maps and len(proof["noisy_copies"]) == 2
    assert card["provenance"]["image_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert card["provenance"]["network"] == "quadrants" and "16 × 16" in card["provenance"]["preprocessing"]
    assert not (tmp_path / "summary.json").exists()


def test_a_picture_that_is_called_a_card_is_explained(subject, examination, folder) -> None:
    files = sorted(folder.iterdir())
    files[0].rename(folder / "id-card.png")
    for file in files[1:]:
        file.unlink()
    for sources in ([folder], [folder / "id-card.png"]):
        summary = explain(subject, sources, folder, examination=examination, formats=("png",), progress=False)
        assert [entry["source"] for entry in summary.made] == [str(folder / "id-card.png")]


def test_cards_are_not_explained(subject, examination, folder) -> None:
    for file in sorted(folder.iterdir())[2:]:
        file.unlink()
    for _ in range(2):
        summary = explain(subject, [folder], folder, examination=examination, formats=("png",), progress=False)
        assert len(summary.made) == 2


def test_the_packages_names_are_loaded_on_first_use() -> None:
    assert [name for name in explanation.__all__ if getattr(explanation, name) is None] == []
    with pytest.raises(AttributeError, match="attribute Trust"):
        explanation.Trust  # noqa: B018  attribute access is what is tested


def test_batches_and_order_change_no_figure(subject, examination, folder, tmp_path) -> None:
    files = sorted(folder.iterdir())[:5]
    found = []
    for size, order in ((1, files), (4, files[::-1])):
        out = tmp_path / str(size)
        explain(subject, order, out, examination=examination, formats=("json",), batch_size=size, progress=False)
        found.append([json.loads((out / f"{file.stem}-card.json").read_text()) for file in files])
    for one, other in zip(*found, strict=True):
        for name, map_ in one["maps"].items():
            assert map_["judgement"] == other["maps"][name]["judgement"]
            for figure, value in map_["figures"].items():
                assert value["value"] == pytest.approx(other["maps"][name]["figures"][figure]["value"], abs=1e-5)


def test_one_image_that_the_network_cannot_take_spares_the_others(subject, examination, folder, tmp_path) -> None:
    Image.new("RGB", (16, 16)).save(folder / "black.png")

    class Picky(torch.nn.Module):
        def forward(self, x):
            return subject.model(x) / (x.mean((1, 2, 3)) > 0.01)[:, None]

    picky = type(subject)("picky", Picky().eval(), subject.classes, subject.shape, "1")
    summary = explain(picky, [folder], tmp_path, examination=examination, formats=("json",), progress=False)
    assert len(summary.made) == 24
    assert re.search(
        r"black.png cannot be explained: the network's logits must be finite", summary.skipped[0]["reason"]
    )

    class Strict(torch.nn.Module):
        def forward(self, x):
            assert (x.mean((1, 2, 3)) > 0.01).all()
            return subject.model(x)

    strict = type(subject)("strict", Strict().eval(), subject.classes, subject.shape, "1")
    words = [folder / "black.png", next(folder.glob("*0.png"))]
    summary = explain(strict, words, tmp_path, examination=examination, formats=("json",), progress=False)
    assert len(summary.made) == 1
    assert re.search(r"black.png cannot be explained: \w", summary.skipped[0]["reason"])


def test_odd_names_spoil_no_batch(subject, examination, tmp_path) -> None:
    folder, out = tmp_path / "named", tmp_path / "out"
    folder.mkdir()
    bad = os.fsdecode(b"b\xff.png")
    names = [f"{'ä' * 120}.png", f"{'ä' * 120}b.png", "new\nline.png", bad]
    for name in names:
        Image.fromarray(pixels(0)).save(folder / name)
    (folder / f"{bad}.jpg").touch()
    summary = explain(
        subject, [folder], out, examination=examination, formats=("json", "html", "png"), progress=False
    )  # fmt: skip
    assert len(summary.made) == 4 and len(summary.skipped) == 1
    stems = {"new·line", "b·", "ä" * 100, f"{'ä' * 100}-2"}
    assert {file.name for file in out.glob("*-card.json")} == {f"{stem}-card.json" for stem in stems}
    assert "b·.png.jpg is empty" in json.loads((out / "summary.json").read_text())["skipped"][0]["reason"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"formats": ("gif",)}, "format must be of png, html, json, npz, got 'gif'"),
        ({"formats": ()}, "at least one"),
        ({"target": "cat"}, "one of the 4 classes, by number or name, got 'cat'"),
        ({"target": 4}, "got '4'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_asked_for(subject, examination, folder, tmp_path, options, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        explain(subject, [folder], tmp_path / "out", examination=examination, progress=False, **options)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def words(tmp_path, monkeypatch):
    """A command line for a user's own network."""
    (tmp_path / "of_a_user.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "of_a_user", raising=False)
    save_file({"scale": torch.tensor(8.0)}, tmp_path / "w.safetensors")
    (tmp_path / "names.txt").write_text("top left\ntop right\nlow left\nlow right\n")
    network = ["--network", "of_a_user:Quadrants", "--weights", "w.safetensors", "--classes", "names.txt"]
    return ["explain", *network, "--size", "16", "--saliency", "vanilla_gradient,captum.attr.InputXGradient"]


def test_any_network_on_the_command_line(words, pictures, folder, capsys) -> None:
    assert main([*words, "pictures", "--reference", "reference", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert out.count("No check speaks against the vanilla gradient map") == 4
    assert err.count("pellucid: skipped: ") == 3 and "4 explained, 3 skipped" in err
    assert len(list(Path("explanations").glob("*-card.json"))) == 4
    assert main([*words, "pictures/a.png", "--target", "low right", "--mean", "0,0,0", "--std", "1,1,1", "--full"]) == 0
    assert json.loads(Path("explanations/a-card.json").read_text())["explained"]["name"] == "low right"


def odd_pictures(path) -> dict[str, str]:
    """Pictures of every odd kind with what is said of those that are skipped; nothing for those that are explained."""
    deep, good = pixels().astype(np.uint16) * 257, Image.fromarray(pixels())
    content = io.BytesIO()
    good.save(content, "PNG")
    good.convert("RGBA").save(path / "alpha.png")
    Image.fromarray(deep[..., 0]).save(path / "sixteen-bits.png")
    tifffile.imwrite(path / "sixteen-bits.tif", deep, photometric="rgb")
    Image.new("1", (10_000, 10_000), 1).save(path / "hundred-megapixels.png")
    good.save(path / "animated.gif", save_all=True, append_images=[good.rotate(90)])
    exif = Image.Exif()
    exif[0x0112] = 6
    good.save(path / "turned.jpg", exif=exif)
    np.save(path / "seven-channels.npy", np.zeros((16, 16, 7), np.uint8))
    np.save(path / "code.npy", np.array([SimpleNamespace()], dtype=object), allow_pickle=True)
    (path / "cut.png").write_bytes(content.getvalue()[:300])
    (path / "empty.png").touch()
    (path / "text.jpg").write_text("no picture")
    made = ("alpha.png", "animated.gif", "hundred-megapixels.png", "sixteen-bits.png", "sixteen-bits.tif", "turned.jpg")
    return dict.fromkeys(made, "") | {
        "code.npy": "is not a NumPy array of numbers that can be read: Object arrays cannot be loaded",
        "cut.png": "is damaged or no picture: ",
        "empty.png": "is empty; PNG, JPEG, TIFF, GIF, WebP and BMP pictures, NumPy arrays and DICOM files are accepted",
        "seven-channels.npy": "is an array of shape (16, 16, 7); (h, w), (h, w, c) or (c, h, w) with 1, 3",
        "text.jpg": "is not a picture; PNG, JPEG, ",
    }


def test_every_odd_picture_is_explained_or_told_in_one_sentence(words, tmp_path, capsys) -> None:
    (tmp_path / "odd").mkdir()
    told = odd_pictures(tmp_path / "odd")
    assert main([*words, "odd", "--out", "cards", "--format", "json"]) == 0
    summary = json.loads(Path("cards/summary.json").read_text())
    assert [Path(entry["source"]).name for entry in summary["explained"]] == [name for name in told if not told[name]]
    skipped = {Path(entry["source"]).name: entry["reason"] for entry in summary["skipped"]}
    assert list(skipped) == [name for name in told if told[name]]
    assert all(f"odd/{name} {told[name]}" in reason and "\n" not in reason for name, reason in skipped.items())
    said = capsys.readouterr().err.splitlines()
    lines = [line for line in said if "nothing normalises" not in line]  # a note, once in a process
    assert lines == [
        *(f"pellucid: skipped: {reason}" for reason in skipped.values()),
        "pellucid: 1 of 6 cards cannot tell; --full draws more",
        "pellucid: 6 explained, 5 skipped",
    ]
    notes = [json.loads(Path(f"cards/{name}-card.json").read_text())["notes"] for name in ("animated", "alpha")]
    assert notes == [["the first of 2 frames"], []]


def test_standard_input(words, capsys, monkeypatch) -> None:
    content = io.BytesIO()
    Image.fromarray(pixels(2)).save(content, "PNG")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content.getvalue())))
    assert main([*words, "-", "--out", "here"]) == 0
    assert capsys.readouterr().out.startswith("standard input: low left")
    assert Path("here/stdin-card.html").is_file()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("pictures/broken.png", r"^pellucid: pictures/broken.png is "),
        ("pictures/broken.png pictures/empty.tif", "none of 2 images could be explained; the first: pictures/broken"),
        ("pictures/a.png --weights trap.pt", "pickled objects, which may run code"),
        ("pictures/a.png --weights nowhere.pt", "no weights file nowhere.pt"),
        ("pictures/a.png --classes 5.5", "class names 5.5 cannot be read"),
        ("pictures/a.png --options 3", "options must be a JSON object"),
        ("pictures/a.png --mean red", "mean must be numbers with commas between"),
        ("pictures/a.png --reference nowhere", "reference nowhere is not a folder of pictures"),
        ("pictures/a.png --saliency smothgrad", "saliency must be vanilla_gradient"),
        ("pictures/a.png --format gif", "format must be of png"),
        ("pictures/a.png --target cat", "target must be one of the 4 classes"),
        ("pictures/a.png --out names.txt", "out must be a folder"),
        ("pictures/a.png --accelerator tpu", "accelerator must be auto, cpu, cuda or mps, got 'tpu'"),
    ],
)
def test_mistakes_are_one_sentence(words, pictures, capsys, more, sentence) -> None:
    torch.save({"scale": SimpleNamespace}, "trap.pt")
    before = set(Path().rglob("*"))
    assert main([*words, *more.split()]) == 2
    said = capsys.readouterr().err.splitlines()
    lines = [line for line in said if "nothing normalises" not in line]  # a note, once in a process
    assert re.search(sentence, lines[-1]), lines
    assert len(lines) == 1 and {path for path in Path().rglob("*") if "pyc" not in str(path)} <= before


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("explain cat.png", "give a run directory and then images, got only 'cat.png'"),
        ("explain nowhere cat.png", "nowhere is not a run directory"),
        ("explain run cat.png --weights w.pt", "--weights is for --network, which is missing"),
        ("explain run cat.png --size -4", "--size is for --network, which is missing"),
        ("explain run cat.png --channels 7", "--channels is for --network, which is missing"),
        ("explain run cat.png --classes names.txt", "--classes is for --network, which is missing"),
        ("explain run cat.png --task multilabel", "--task is for --network, which is missing"),
        ("explain run cat.png --options nonsense", "--options is for --network, which is missing"),
    ],
)
def test_a_run_is_named_first(tmp_path, monkeypatch, capsys, line, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    assert sentence in capsys.readouterr().err


OWN_METRIC = """
from pellucid import Column, Metric

class Peak(Metric):
    columns = {"peak": Column(title="Peak", direction="higher")}

    def __call__(self, case):
        return {"peak": case.heatmap.flatten(1).amax(1)}
"""


def test_a_run_with_its_own_reference(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    tiny = ["--dataset.limit=64", "--batch_size=32", "--epochs=1", "--accelerator=cpu"]
    assert main(["train", "run", *tiny]) == 0
    image = np.random.default_rng(0).integers(0, 255, (28, 28)).astype(np.uint8)
    Image.fromarray(image).save("one.png")
    assert main(["explain", "run", "one.png", "--out", "before", "--format", "json"]) == 0
    before = json.loads(Path("before/one-card.json").read_text())
    assert before["reference"] is None and "thresholds" not in before["settings"]
    assert main(["explain", "run", "one.png", "--out", "calibrated", "--format", "json", "--calibrated"]) == 0
    calibrated = json.loads(Path("calibrated/one-card.json").read_text())
    assert calibrated["settings"]["thresholds"] == asdict(Thresholds.calibrated())
    assert calibrated["maps"]["vanilla_gradient"]["figures"] == before["maps"]["vanilla_gradient"]["figures"]
    (tmp_path / "of_a_user.py").write_text(OWN_METRIC)
    monkeypatch.delitem(sys.modules, "of_a_user", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    measured = ["--images=24", "--saliency=[vanilla_gradient,smoothgrad]", "--gallery=4", "--steps=4", "--repeats=1"]
    measured += ["--metrics=[default,of_a_user.Peak]"]
    assert main(["evaluate", "run", *measured, "--draws=2"]) == 0
    assert main(["explain", "run/model.safetensors", "one.png", "--out", "after"]) == 0
    card = json.loads(Path("after/one-card.json").read_text())
    assert card["network"] == "run" and card["reference"] == "24 test images of fashion-mnist"
    assert list(card["maps"]) == ["vanilla_gradient", "smoothgrad"]
    figures = card["maps"]["vanilla_gradient"]["figures"]
    assert all(0 <= figures[name]["percentile"] <= 100 for name in ("gini", "faithfulness", "ris", "ros", "peak"))
    smooth = card["maps"]["smoothgrad"]["figures"]
    assert smooth["ris"]["percentile"] is None and smooth["gini"]["percentile"] is not None
    assert card["settings"]["metrics"] == {"Peak": {}}
    assert smooth["peak"]["value"] > 0 and smooth["peak"]["percentile"] is not None
    assert card["settings"]["steps"] == 4 and card["settings"]["draws_of"] == {"vanilla_gradient": 2}
