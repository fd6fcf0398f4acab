import csv
import json
import shutil
from collections import Counter
from dataclasses import replace
from html import escape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import pellucid.tuning.measuring
from pellucid.config import from_config, read_yaml
from pellucid.core.errors import InputError
from pellucid.core.progress import duration
from pellucid.data import load
from pellucid.models import Network, build
from pellucid.report import read_runs
from pellucid.tuning.measuring import measuring_seconds
from pellucid.tuning.plan import Tune
from pellucid.tuning.tune import Decisions, experiments, tune


def weights_of(network: str, folder: Path, *, shape=(1, 28, 28), **options) -> str:
    """A file of some weights of one of pellucid's own networks, which has ten classes."""
    built = build(Network(name=network, options=options), classes=10, shape=shape, mean=(), std=(), unknown="leave")
    torch.save(built.state_dict(), folder / "weights.pt")
    return str(folder / "weights.pt")


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Tune:
    """Bright and dark photographs of 28 pixels, without a split; fewer than a batch of the default size train."""
    folder = tmp_path_factory.mktemp("photos")
    draws = np.random.default_rng(0)
    for name, level in (("bright", 160), ("dark", 40)):
        (folder / name).mkdir()
        for number in range(20):
            pixels = draws.integers(level, level + 60, (28, 28), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02d}.png")
    out = tmp_path_factory.mktemp("out")
    return Tune(
        photos=str(folder), network="lenet5", weights=weights_of("lenet5", out), mean=(0.4,), std=(0.3,),
        out=out / "tuned", preset="fast", minutes=0.1,
        epochs=1, channels=1, measured=4, metrics=("gini", "ris"), composites=5, cards=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tuned(plan):
    said: list[str] = []
    return tune(plan, say=said.append, progress=False), said


def test_before_control_and_after_are_measured_on_the_same_photographs(plan, tuned) -> None:
    report, said = tuned
    assert report.read_text().startswith("<!doctype html>") or "<html" in report.read_text()
    before, control, after = read_runs([plan.out / name for name in ("before", "control", "after")])
    assert before.rows["index"].to_pylist() == control.rows["index"].to_pylist() == after.rows["index"].to_pylist()
    assert (control.method, after.method) == ("Regular", "StructuredAdversarialTraining")
    assert "minutes" not in said[0] and said[0].startswith("about ")
    decided = from_config(read_yaml(plan.out / "plan.yaml"), Decisions)
    assert 0 < decided.expected <= decided.measuring
    assert f"take {duration(decided.expected)}" in said[0]
    assert said[1] == "4 test photographs are too few for a verdict, which needs 20; add photographs"
    assert said[2].startswith("no composites are made, so the mass of a map on the object is not measured: they are ")
    told = json.loads((plan.out / "tune.json").read_text())
    assert list(told["rows"]) == ["before", "control", "after"]
    assert all(sum(row["cards"].values()) == 2 for row in told["rows"].values())
    assert told["shown"] == ["clean_accuracy", "gini", "ris", "no_objection"]
    assert told["verdict"]["ending"] == "cannot be told" and said[-1] == told["verdict"]["sentence"]
    concluded = report.read_text().split('id="conclusion"')[1].split("</article>")[0]
    assert "Was the tuning worth it?" in concluded and "That cannot be told" in concluded
    assert escape(told["verdict"]["sentence"]) in concluded
    assert "Of 2 trust cards of each network, without objection are: " in concluded
    carded = [row["label"] for row in csv.DictReader((plan.out / "photographs.csv").read_text().splitlines())
              if row["after card"]]  # fmt: skip
    assert carded == ["bright", "dark"]  # not the first photographs of the folder, which lies sorted by class
    with (plan.out / "photographs.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    tested = [row for row in listed if row["split"] == "test"]
    assert {row["split"] for row in listed} == {"train", "validation", "test"} and len(tested) == 8
    assert all((Path(plan.photos) / row["file"]).is_file() for row in listed)
    assert [row["file"].split("/")[-2] for row in tested] == [row["label"] for row in tested]
    classes = sorted({row["label"] for row in listed})
    rows = after.rows.select(["index", "prediction"]).to_pylist()
    answers = {row["index"]: classes[row["prediction"]] for row in rows}
    assert {i: row["after answer"] for i, row in enumerate(tested) if row["after answer"]} == answers
    cards = Counter(row["control card"] for row in tested if row["control card"])
    assert cards == Counter({level: n for level, n in told["rows"]["control"]["cards"].items() if n})
    page = (plan.out / "tune.md").read_text()
    assert "is a first guess" in page and told["verdict"]["sentence"] in page


def test_measuring_is_expected_to_take_what_its_photographs_cards_and_composites_do(plan, monkeypatch) -> None:
    monkeypatch.setattr(pellucid.tuning.measuring, "cost_of", lambda *_: SimpleNamespace(of=lambda _: 2.0))
    tests, network = load(plan.data(None), "test"), nn.Linear(1, 1)
    assert len(tests) == 8
    assert measuring_seconds(replace(plan, measured=5, cards=4), network, tests) == 3 * (5 + 1.5 * 4) * 2
    assert measuring_seconds(replace(plan, measured=50, cards=40), network, tests) == 3 * (8 + 1.5 * 8) * 2
    assert measuring_seconds(replace(plan, measured=5, cards=0, control=False), network, tests) == 2 * 5 * 2
    assert network.training  # as it was
    monkeypatch.setattr(pellucid.tuning.measuring, "why_not_pasted", lambda _: "")
    assert measuring_seconds(replace(plan, measured=5, cards=4, composites=20), network, tests) == 3 * (11 + 20) * 2


def test_photographs_without_a_split_are_measured_on_composites_too(plan, tmp_path) -> None:
    for path in Path(plan.photos).rglob("*.png"):
        place = tmp_path / "photos" / path.relative_to(plan.photos)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).convert("RGB").resize((64, 64)).save(place)
    colour = replace(
        plan, photos=str(tmp_path / "photos"), out=tmp_path / "out", network="resnet18-224", options={"width": 4},
        weights=weights_of("resnet18-224", tmp_path, shape=(3, 64, 64), width=4),
        channels=3, metrics=("gini",), cards=0, composites=6,
    )  # fmt: skip
    said: list[str] = []
    tune(colour, say=said.append, progress=False)
    assert "measuring on composites of the photographs" in said and not any("no composites" in line for line in said)
    told = json.loads((colour.out / "tune.json").read_text())
    assert told["composites"] == 6
    for name in ("before", "control", "after"):
        assert 0 < told["rows"][name]["mass"]["mean"] < 1
        assert read_runs([colour.out / "composites" / name])[0].rows.num_rows == 6
    assert "mass" in told["differences"] and "6 composites of them" in (colour.out / "tune.md").read_text()


def test_the_same_command_again_leaves_everything(plan, tuned) -> None:
    files = [plan.out / name / file for name in ("before", "control", "after")
             for file in ("model.safetensors", "rows.parquet")]  # fmt: skip
    times = [file.stat().st_mtime_ns for file in files]
    tune(replace(plan, minutes=5), say=lambda _: None, progress=False)
    assert [file.stat().st_mtime_ns for file in files] == times


def test_another_plan_is_refused(plan, tuned) -> None:
    with pytest.raises(InputError, match="was begun with another lr: 0.001 there, 0.1 asked for; give the same, or"):
        tune(replace(plan, lr=0.1), say=lambda _: None, progress=False)


def test_photographs_that_came_later_are_refused(plan, tuned) -> None:
    later = Path(plan.photos) / "bright" / "later.png"
    shutil.copy(Path(plan.photos) / "bright" / "00.png", later)
    try:
        with pytest.raises(InputError, match="has changed since .* was begun: 41 files, 40 then; restore it, or give"):
            tune(plan, say=lambda _: None, progress=False)
    finally:
        later.unlink()


def test_a_folder_that_holds_something_else_is_refused(plan, tmp_path) -> None:
    (tmp_path / "notes.txt").touch()
    for out, sentence in (
        (tmp_path, "is not a tuning, as it holds 'notes.txt'; give a new or empty folder"),
        (Path(plan.photos), "out must lie outside the folder of photographs, got"),
        (Path(plan.photos) / "bright" / "new", "out must lie outside the folder of photographs, got"),
    ):
        with pytest.raises(InputError, match=sentence):
            tune(replace(plan, out=out), say=lambda _: None, progress=False)
    assert not (Path(plan.photos) / "bright" / "new").exists() and [*tmp_path.iterdir()] == [tmp_path / "notes.txt"]


@pytest.mark.parametrize(
    ("network", "options", "sentence"),
    [
        (
            "resnet18",
            None,
            "resnet18 has random weights, and tune begins with trained ones; give weights, the file that",
        ),
        (
            "timm:resnet18",
            {"pretrained": False},
            "timm:resnet18 has random .*; leave the option pretrained out, or give",
        ),
        ("resnt18", None, "unknown network 'resnt18', did you mean resnet18"),
    ],
)
def test_a_network_with_random_weights_is_refused(plan, network, options, sentence) -> None:
    wanted = replace(plan, network=network, options=options, weights=None, out=plan.out.parent / "random")
    with pytest.raises(InputError, match=f"^{sentence}"):
        tune(wanted, say=lambda _: None, progress=False)


def test_weights_that_do_not_say_how_pixels_are_normalised_are_asked_for_it(plan, tuned) -> None:
    decided = from_config(read_yaml(plan.out / "plan.yaml"), Decisions)
    network = experiments(decided)["after"].network
    assert (network.mean, network.std) == ((0.4,), (0.3,))
    with pytest.raises(InputError, match=r"\(--mean and --std of tune\) as they were trained with"):
        tune(replace(plan, mean=None, std=None, out=plan.out.parent / "other"), say=lambda _: None, progress=False)


def test_a_refusal_leaves_no_folder(plan, tmp_path) -> None:
    (tmp_path / "photos" / "one").mkdir(parents=True)
    wrong = {"photos": str(tmp_path / "photos")}, {"photos": "nowhere"}, {"network": "no_such_network"}
    for changes in wrong:
        with pytest.raises(InputError):
            tune(replace(plan, out=tmp_path / "deep" / "out", **changes), say=lambda _: None, progress=False)
        assert not (tmp_path / "deep").exists()


def test_before_trains_a_last_layer_and_nothing_where_it_fits(plan, tuned) -> None:
    decided = from_config(read_yaml(plan.out / "plan.yaml"), Decisions)
    made = experiments(decided)
    assert made["before"].fine_tuning.head_epochs == made["before"].epochs == 1
    assert experiments(replace(decided, fits=True))["before"].epochs == 0
    assert made["control"] == replace(made["after"], method=made["control"].method)
    assert "control" not in experiments(replace(decided, plan=replace(plan, control=False)))
