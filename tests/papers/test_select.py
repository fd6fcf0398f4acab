"""Searches run end to end on real images, choose by their rule, and never see a test image."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.data import load
from pellucid.papers import select as search
from pellucid.papers.pellucid import AXES, candidates
from pellucid.papers.plan import SEARCHES
from pellucid.papers.search_page import page
from pellucid.papers.select import Selection, forecast, select
from pellucid.papers.setting import setting
from pellucid.report import read_run, summarise
from pellucid.runs.settings import read_experiment

RESULTS = Path(__file__).parents[2] / "results" / "raw"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """A search at the smallest scale; made once."""
    folder = tmp_path_factory.mktemp("selection")
    made = {}

    def of(name: str):
        if name not in made:
            plan = Selection(search=name, scale="smoke", out=folder / "runs", results=folder / "results")
            made[name] = plan, select(plan, progress=False)
        plan, files = made[name]
        return plan, files, json.loads(files[1].read_text())

    return of


@pytest.mark.parametrize("name", ["ismail2021", pytest.param("pellucid", marks=pytest.mark.slow)])
def test_a_search_leaves_its_trace(smoke, name) -> None:
    plan, files, found = smoke(name)
    assert [file.name for file in files[:2]] == [
        f"selection-{name}-fashion-mnist-smoke{end}" for end in (".md", ".json")
    ]
    assert files[0].read_text() == page(found)
    for figure in re.findall(r"!\[.*\]\((.*)\)", page(found)):
        assert (plan.results / figure) in files
    assert "command" not in found["environment"] and found["command"].startswith(f"pellucid select {name} --dataset ")
    assert (found["split"], found["images"], found["validation_images"]) == ("validation", 6, 64)
    folder = plan.out / name / "fashion-mnist-smoke" / "seed0"
    assert sorted(row["run"] for row in found["rows"]) == sorted(run.name for run in folder.iterdir())
    for row in found["rows"]:
        run = read_run(folder / row["run"])
        assert row["measured"]["aopc_lerf"]["mean"] == summarise(run)["aopc_lerf"].mean
        assert row["validation_accuracy"] == run.training["validation_accuracy"][-1]


def test_no_test_image_is_measured(smoke, monkeypatch, tmp_path) -> None:
    plan, _, _ = smoke("ismail2021")
    seen = []
    for module in ("pellucid.runs.trained", "pellucid.runs.training", "pellucid.papers.select"):
        monkeypatch.setattr(f"{module}.load", lambda data, split, **k: seen.append(split) or load(data, split, **k))
    monkeypatch.setattr(search, "grid", _one)
    select(replace(plan, out=tmp_path / "runs", results=tmp_path / "results"), progress=False)
    assert set(seen) == {"train", "validation"}


def _one(name, at):
    """A grid of the method that it begins with."""
    return replace(original(name, at), stages={"nothing": lambda method: []})


original = search.grid


def test_what_is_there_is_left_and_the_rest_is_made(smoke) -> None:
    plan, files, found = smoke("ismail2021")
    folder = plan.out / "ismail2021" / "fashion-mnist-smoke" / "seed0"
    runs = sorted(folder.iterdir())
    times = [(run / "rows.parquet").stat().st_mtime_ns for run in runs]
    (runs[1] / "rows.parquet").unlink()
    assert select(plan, progress=False) == files
    again = [(run / "rows.parquet").stat().st_mtime_ns for run in runs]
    assert [a != b for a, b in zip(times, again, strict=True)] == [run == runs[1] for run in runs]
    after = json.loads(files[1].read_text())
    assert (after["rows"], after["chosen"]) == (found["rows"], found["chosen"])


@pytest.mark.slow
def test_compositions_stand_on_five_axes_and_the_front_is_drawn(smoke) -> None:
    plan, files, found = smoke("pellucid")
    assert [file.suffix for file in files] == [".md", ".json", ".svg", ".png"]
    assert files[2].read_text().startswith("<?xml") and files[3].read_bytes()[1:4] == b"PNG"
    at = setting("fashion-mnist", "smoke")
    assert [row["run"] for row in found["rows"]] == [each.name for each in candidates(at)]
    for row in found["rows"]:
        assert set(row["best_or_tied"]) <= set(AXES)
        assert row["front"] is (row["run"] in found["front"])
        run = plan.out / "pellucid" / "fashion-mnist-smoke" / "seed0" / row["run"]
        assert (read_experiment(run).smoothing is None) is (row["settings"]["filter"] is None)
        assert "robust_correct" in pq.read_table(run / "rows.parquet").column_names
    assert found["recommended"] in found["front"]


def _row(name, accuracy, morf):
    return {"run": name, "validation_accuracy": accuracy, "measured": {"aopc_morf": {"mean": morf}}}


@pytest.mark.parametrize(
    ("accuracy", "morf", "reason"),
    [(0.88, 0.3, None), (0.87, 0.3, None), (0.8698, 0.3, "accuracy"), (0.88, 0.25, None), (0.88, 0.249, "MoRF")],
)
def test_the_rule(accuracy, morf, reason) -> None:
    assert search._refusal(_row("a", accuracy, morf), _row("regular", 0.88, 0.25), 0.01) == reason


def test_each_stage_varies_what_the_one_before_has_chosen(monkeypatch) -> None:
    """The whole grid of SCAAT, with numbers instead of trainings: the rule finds the best along each stage."""
    plan = Selection(search="xu2023", scale="cpu")
    at = setting("fashion-mnist", "cpu")
    asked = []

    found_run = SimpleNamespace(
        info={"split": "validation"}, rows=SimpleNamespace(num_rows=1000), environment={"device_name": "none"}
    )

    def measured(runs):
        asked.append(list(runs))
        return {name: (name, experiment.method) for name, experiment in runs.items()}

    def numbers(run):
        name, method = run
        if name == "regular":
            return {"validation_accuracy": 0.88, "measured": {m: {"mean": 0.2} for m in ("aopc_morf", "aopc_lerf")}}
        lost = 0.02 if method.attack.eps > 0.25 else 0.005
        lerf = 1 - method.attack.eps + abs(method.q - 0.8) + abs(method.region - 4) - 0.01 * method.weight
        morf = 0.1 if method.weight > 0.5 else 0.3
        return {
            "validation_accuracy": 0.88 - lost,
            "measured": {"aopc_morf": {"mean": morf}, "aopc_lerf": {"mean": lerf}},
        }

    monkeypatch.setattr(search, "_numbers", numbers)
    monkeypatch.setattr(search, "read_run", lambda path: found_run)
    found = search._chosen(plan, at, measured)
    assert found["chosen"] == "eps-0.2-weight-0.3-q-0.8-gamma-0.02-region-4"
    assert [len(names) for names in asked] == [13, 8, 2]
    assert {row["refused"] for row in found["rows"]} == {None, "accuracy", "MoRF", "baseline"}
    assert len({row["run"] for row in found["rows"]}) == len(found["rows"]) == 23

    lossy = lambda run: numbers(run) | ({} if run[0] == "regular" else {"validation_accuracy": 0.5})
    monkeypatch.setattr(search, "_numbers", lossy)
    assert search._chosen(plan, at, measured)["chosen"] is None

    del asked[:]
    least = lambda run: lossy(run) | ({} if run[0] == "regular" else {"validation_accuracy": 0.5 - run[1].attack.eps})
    monkeypatch.setattr(search, "_numbers", least)
    assert search._chosen(plan, at, measured)["chosen"] is None
    assert all("eps-0.1-" in name for name in asked[1]), "a stage goes on from the one that loses the least"


def _folder(folder: Path, *splits: str, each: int = 2) -> Path:
    random = np.random.default_rng(0)
    for split in splits:
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for number in range(each):
                pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")
    return folder


@pytest.mark.parametrize("splits", [("train", "test"), ("train", "val")])
def test_of_a_folder_without_validation_images_training_images_are_kept(tmp_path, splits) -> None:
    """Images of val alone are what a folder is tested on, not what is chosen by."""
    path = str(_folder(tmp_path / "d", *splits, each=20))
    at = search._prepared(Selection(search="xu2023", dataset="imagenette", scale="smoke", path=path))
    assert at.evaluation.split == "validation"
    kept, test = (load(at.base.dataset, split) for split in ("validation", "test"))
    assert len(kept) == 16 and len(test) == 40
    everything = torch.cat([kept.take(torch.arange(16)), test.take(torch.arange(40))]).flatten(1)
    assert len(everything.unique(dim=0)) == 56


@pytest.mark.parametrize("splits", [("train", "test"), ("train", "val")])
def test_without_enough_training_images_nothing_is_chosen(tmp_path, splits) -> None:
    plan = Selection(search="xu2023", dataset="imagenette", scale="smoke", path=str(_folder(tmp_path / "d", *splits)))
    with pytest.raises(InputError, match="validation must be less than the 4 training images of d, got 16"):
        select(replace(plan, out=tmp_path / "runs", results=tmp_path / "results"), progress=False)
    assert not (tmp_path / "runs").exists() and not (tmp_path / "results").exists()


def test_a_folder_with_three_splits_has_them(tmp_path) -> None:
    path = str(_folder(tmp_path, "train", "val", "test"))
    plan = Selection(search="xu2023", dataset="imagenette", scale="smoke", path=path)
    assert search._prepared(plan).evaluation.split == "validation"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "select smith2020",
            "what is selected must be one of ismail2021, pellucid, xu2023, xu2023-again, xu2023-longer, "
            "xu2023-one-step, got 'smith2020'",
        ),
        ("select ismail2021 --dataset pcam", "dataset of ismail2021 must be one of mnist, fashion-mnist, cifar10"),
        ("select pellucid --jobs 0", "jobs must be at least 1, got 0"),
        ("select pellucid --scale tiny", "scale must be one of smoke, cpu, full, got 'tiny'"),
    ],
)
def test_mistakes_get_one_sentence(capsys, words, sentence) -> None:
    assert main(words.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"pellucid: {sentence}") and said.count("\n") == 1


@pytest.mark.parametrize(("name", "epochs"), [("xu2023", 5), ("xu2023-longer", 20)])
def test_a_longer_search_trains_every_network_longer(name, epochs) -> None:
    assert search._prepared(Selection(search=name)).base.epochs == epochs


@pytest.mark.parametrize(("name", "count"), [("xu2023", 5), ("pellucid", 8)])
def test_a_forecast_counts_every_candidate(monkeypatch, capsys, name, count) -> None:
    cost = SimpleNamespace(training=60.0, measuring=30.0)
    monkeypatch.setattr(search, "estimated_cost", lambda stage: cost)
    forecast(Selection(search=name, scale="smoke"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{count} networks; about {round(1.5 * count)} min on ")


def test_every_search_has_datasets_and_published_pages_have_its_numbers(numbers) -> None:
    assert all(Selection(search=name).dataset == "fashion-mnist" for name in SEARCHES)
    for file in RESULTS.glob("selection-*.json"):
        published = file.with_suffix(".md").read_text()
        assert numbers(published) == numbers(page(json.loads(file.read_text()))), file.name
