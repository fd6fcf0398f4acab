"""A board end to end on a few images: its numbers are those of its rows, and what is there is not made again."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

import pellucid.leaderboard.entries
from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.leaderboard.boards import beginning, board
from pellucid.leaderboard.entries import ENTRIES, entries_of, entry
from pellucid.leaderboard.evaluation import SomeImages
from pellucid.leaderboard.page import page
from pellucid.leaderboard.plan import BOARDS, FAMILIES, Leaderboard
from pellucid.leaderboard.rows import joined, refuse_other_rows
from pellucid.leaderboard.run import begin, leaderboard, place, runs_of, stages_of
from pellucid.leaderboard.settings import strengths
from pellucid.metrics.case import Case
from pellucid.metrics.families.faithfulness import ROAD
from pellucid.report.measures import written
from pellucid.runs.measures import Measure
from pellucid.runs.settings import read_experiment
from pellucid.runs.training import fit
from pellucid.statistics import Interval

ONLY = ("scaat", "scaat-random")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A board of regular training, SCAAT and its control, two seeds each; the plan, its files and its numbers."""
    folder = tmp_path_factory.mktemp("board")
    plan = Leaderboard(
        name="fashion-mnist", seeds=2, scale="smoke", only=ONLY, out=folder / "runs", results=folder / "results"
    )
    files = leaderboard(plan, progress=False)
    return plan, files, json.loads(files[1].read_text(encoding="utf-8"))


def test_a_board_says_what_its_rows_say(made):
    plan, files, result = made
    assert [row["name"] for row in result["rows"]] == ["regular", *ONLY]
    runs = runs_of(plan)
    assert {
        name: [int(run.path.parent.name.removeprefix("seed")) for run in seeds] for name, seeds in runs.items()
    } == {name: [1, 2] for name in ("regular", *ONLY)}
    text = files[0].read_text(encoding="utf-8")
    for row in result["rows"]:
        rows = [pq.read_table(run.path / "rows.parquet") for run in runs[row["name"]]]
        gini = np.mean([table["gini"].to_numpy().mean() for table in rows])
        assert row["measured"]["gini"]["mean"] == pytest.approx(gini, abs=1e-6)
        predictions = [pq.read_table(run.path / "predictions-test.parquet") for run in runs[row["name"]]]
        right = [np.mean(table["prediction"].to_numpy() == table["label"].to_numpy()) for table in predictions]
        assert row["measured"]["clean_accuracy"]["mean"] == pytest.approx(np.mean(right))
        told = written(Interval(**row["measured"]["gini"]), Measure.named("gini"))
        line = next(
            line for line in text.splitlines() if line.startswith("|") and f"{row['name']}" in line.split("|")[1]
        )
        assert f"{told[0]} [{told[1]}, {told[2]}]" in line


def test_a_difference_is_that_of_the_means(made):
    _, _, result = made
    rows = {row["name"]: row for row in result["rows"]}
    assert list(rows["scaat"]["against"]) == ["regular", "scaat-random"]
    for rival, found in rows["scaat"]["against"].items():
        for metric in ("gini", "clean_accuracy", "aopc_lerf"):
            means = [rows[name]["measured"][metric]["mean"] for name in ("scaat", rival)]
            assert found[metric]["mean"] == pytest.approx(means[0] - means[1], abs=1e-9)
    assert all(not rows[name]["against"] for name in ("regular", "scaat-random"))


def test_the_cost_is_a_ratio_of_the_logged_seconds(made):
    plan, _, result = made
    logged = {
        name: [run.training["seconds"].sum() / run.training["step"][-1] for run in seeds]
        for name, seeds in runs_of(plan).items()
    }
    row = next(row for row in result["rows"] if row["name"] == "scaat")
    assert row["cost"]["median"] == pytest.approx(np.median(np.divide(logged["scaat"], logged["regular"])))
    assert next(row for row in result["rows"] if row["name"] == "regular")["cost"]["median"] == 1


def test_what_is_there_is_not_made_again(made):
    plan, files, result = made
    before = {
        run.path: run.path.joinpath("rows.parquet").stat().st_mtime_ns for one in runs_of(plan).values() for run in one
    }
    leaderboard(plan, progress=False)
    assert {path: path.joinpath("rows.parquet").stat().st_mtime_ns for path in before} == before
    again = json.loads(files[1].read_text(encoding="utf-8"))
    assert again["rows"] == result["rows"]
    with pytest.raises(InputError, match="is of 2 seeds, and 1 would replace it"):
        leaderboard(replace(plan, seeds=1), progress=False)


def test_rows_of_entries_that_were_not_asked_for_stay(made):
    _, _, result = made
    others = json.loads(json.dumps(result))
    others["rows"] = [row | {"name": "decay"} if row["name"] == "scaat" else row for row in result["rows"][:2]]
    others["origins"][0] |= {"entries": ["regular", "decay"], "command": "pellucid leaderboard --only decay"}
    both = joined(result, others)
    assert [row["name"] for row in both["rows"]] == ["regular", "decay", "scaat", "scaat-random"]
    assert [one["entries"] for one in both["origins"]] == [["scaat", "scaat-random"], ["regular", "decay"]]
    text = page(both)
    missing = next(line for line in text.splitlines() if line.startswith("Not measured yet: "))
    assert {"sgt", "noise", "truest"} <= set(re.findall(r"[\w-]+", missing)) and "energy" not in missing
    assert not {"regular", "decay", "scaat", "scaat-random"} & set(re.findall(r"[\w-]+", missing))
    assert "- scaat, scaat-random: " in text and "Regenerate: `pellucid leaderboard --only decay`" in text
    again = json.loads(json.dumps(result))
    scaat = next(row for row in again["rows"] if row["name"] == "scaat")
    scaat["against"] = {"noise": {}}
    scaat["measured"]["gini"]["mean"] *= 1 + 1e-12  # another library's rounding
    kept = next(row for row in joined(result, again)["rows"] if row["name"] == "scaat")
    assert set(kept["against"]) == {"noise", "regular", "scaat-random"}  # of the same networks
    scaat["measured"]["gini"]["mean"] += 1
    kept = next(row for row in joined(result, again)["rows"] if row["name"] == "scaat")
    assert set(kept["against"]) == {"noise"}  # of others
    assert "several commands" in text and "several commands" not in page(result)
    assert joined({}, result) == result
    again = joined(both, result)
    assert [one["entries"] for one in again["origins"]] == [["decay"], ["regular", "scaat", "scaat-random"]]


@pytest.mark.parametrize(("name", "value"), [("epochs", 7), ("network", "vgg16"), ("begun_epochs", 10)])
def test_rows_that_were_trained_in_another_way_are_not_mixed(made, tmp_path, name, value):
    plan, _, result = made
    file = tmp_path / f"{plan.file.name}.json"
    file.write_text(json.dumps(result | {name: value}), encoding="utf-8")
    words = name.replace("_", " ")
    with pytest.raises(InputError, match=rf"has rows with {words} '?{value}'?, and these have .*; give another folder"):
        leaderboard(replace(plan, results=tmp_path, only=("decay",)), progress=False)
    assert not (plan.out / plan.where / "seed1" / "decay").exists()


def test_rows_of_an_older_table_that_says_nothing_of_a_beginning_are_of_none(made, tmp_path):
    _, _, result = made
    older = {name: value for name, value in result.items() if name != "begun_epochs"}
    refuse_other_rows(older, result, tmp_path / "board.json")
    with pytest.raises(InputError, match="has rows with begun epochs 0, and these have 10"):
        refuse_other_rows(older, result | {"begun_epochs": 10}, tmp_path / "board.json")


def test_other_settings_of_an_entry_have_a_folder_of_their_own(made):
    plan, _, _ = made
    stage = next(stage for stage in stages_of(plan) if stage.run.name == "scaat")
    other = replace(stage.experiment, method=replace(stage.experiment.method, weight=0.25))
    assert place(stage.run.parent, "scaat", stage.experiment) == stage.run
    assert place(stage.run.parent, "scaat", other).name == "scaat-2"


def test_networks_of_the_colour_truth_set_begin_as_a_regular_one_of_their_seed(tmp_path, monkeypatch):
    plan = Leaderboard(
        name="truth:shapes", scale="smoke", seeds=2, only=("decay",), out=tmp_path / "runs", results=tmp_path
    )
    begin(plan, plan.numbers, progress=False)
    stages = stages_of(plan)
    for stage in stages:
        start = stage.run.parent / "beginning" / "model.safetensors"
        assert stage.experiment.network.weights == str(start)
        assert read_experiment(start.parent).seed == stage.experiment.seed
        assert beginning(plan) == replace(read_experiment(start.parent), seed=0)
    fit(replace(stages[0].experiment, epochs=0), tmp_path / "untrained")
    begun = load_file(stages[0].run.parent / "beginning" / "model.safetensors")
    untrained = load_file(tmp_path / "untrained" / "model.safetensors")
    assert untrained.keys() == begun.keys() and all(torch.equal(untrained[name], begun[name]) for name in begun)
    fit(stages[0].experiment, stages[0].run)
    monkeypatch.chdir(tmp_path)
    again = stages_of(replace(plan, out=Path("runs")))[0]
    assert again.run.absolute() == stages[0].run and again.experiment == stages[0].experiment
    fit(again.experiment, again.run, resume=True)  # the same run, and nothing to refuse
    (tmp_path / "runs").rename(tmp_path / "moved")
    moved = stages_of(replace(plan, out=tmp_path / "moved"))[0]
    assert moved.run.name == f"{stages[0].run.name}-2"


def test_the_page_says_what_the_networks_began_from(made):
    _, _, result = made
    assert "from the weights" not in page(result)
    assert "1 epoch from the weights of 10 epochs of regular training" in page(result | {"begun_epochs": 10})


def test_one_seed_confirms_nothing(made):
    _, _, result = made
    one = json.loads(json.dumps(result)) | {"seeds": [1], "scale": "cpu"}
    for row in one["rows"]:
        row["seeds"] = 1
        for found in row["against"].values():
            found["gini"] |= {"mean": 0.2, "low": 0.1, "high": 0.3}
    text = page(one)
    assert set(re.findall(r"(\w+)(?: here)? is confirmed", text)) == {"nothing"} and text.count("confirmed") == 2
    assert "**+0.20" not in text and "+0.20" in text
    assert "**+0.20" in page(one | {"seeds": [1, 2]})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "mnist"}, "board must be one of fashion-mnist, truth:beside"),
        ({"name": "fashion-mnist", "seeds": 0}, "seeds must be at least 1, got 0"),
        ({"name": "fashion-mnist", "scale": "full"}, "scale of a leaderboard must be one of smoke, cpu, got 'full'"),
    ],
)
def test_a_plan_that_cannot_be_is_one_sentence(settings, said):
    with pytest.raises(InputError, match=re.escape(said)):
        Leaderboard(**settings)


def test_an_entry_that_cannot_stand_is_one_sentence(capsys, tmp_path):
    with pytest.raises(InputError, match="unknown entry 'sgd'; there are regular, short"):
        entries_of(Leaderboard(name="fashion-mnist", only=("sgd",)))
    with pytest.raises(InputError, match="energy learns from masks, which fashion-mnist has not"):
        entries_of(Leaderboard(name="fashion-mnist", only=("energy",)))
    assert main(["leaderboard", "fashion-mnist", "--search", "--results", str(tmp_path)]) == 2
    assert "searched where the truth is known, on truth:beside, truth:shapes" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in BOARDS if name != "imagenette"])
def test_every_entry_is_an_experiment_of_its_own(name):
    plan = Leaderboard(name=name)
    at = board(plan)
    experiments = {one.name: one.experiment(at, plan.family) for one in entries_of(plan)}
    told = [(experiment.method, experiment.activation, experiment.smoothing, experiment.epochs, experiment.optimizer)
            for experiment in experiments.values()]  # fmt: skip
    ours = {one.name for one in entries_of(plan) if one.kind == "ours"}  # a search may choose what another entry is
    distinct = {name: value for name, value in zip(experiments, told, strict=True) if name not in ours}
    assert len({repr(value) for value in distinct.values()}) == len(distinct)
    assert all(experiment.dataset == at.base.dataset for experiment in experiments.values())


@pytest.mark.parametrize("preset", ["trustworthy", "fast"])
def test_a_preset_with_a_saliency_mask_stands_beside_the_same_with_a_random_one(preset):
    plan = Leaderboard(name="truth:shapes")
    at = board(plan)
    ours, control = (entry(name).experiment(at, plan.family) for name in (preset, f"{preset}-random"))
    masked, drawn = ((one.method.method if preset == "trustworthy" else one.method) for one in (ours, control))
    assert masked.ranking == "absolute" and drawn == replace(masked, ranking="random")
    assert replace(ours, method=control.method) == control
    assert f"{preset}-random" in {one.name for one in entries_of(plan)}
    assert f"{preset}-random" not in {one.name for one in entries_of(Leaderboard(name="truth:beside"))}
    with pytest.raises(InputError, match=f"^{preset}-random has no row on truth:beside: {preset} has no mask"):
        entries_of(Leaderboard(name="truth:beside", only=(f"{preset}-random",)))
    assert entry(f"{preset}-random").strengths("colour") == strengths("colour", preset) | {"base": "scaat-random"}


@pytest.mark.parametrize("method", ["sgt", "scaat"])
@pytest.mark.parametrize("board_name", ["truth:beside", "truth:shapes"])
def test_a_control_with_a_random_mask_has_the_settings_of_its_method(method, board_name):
    plan = Leaderboard(name=board_name)
    at = board(plan)
    ours, same, own = (entry(f"{method}{end}").experiment(at, plan.family) for end in ("", "-random-same", "-random"))
    assert same == replace(ours, method=replace(ours.method, ranking="random"))
    assert same.method.ranking == own.method.ranking and same != own  # the search gave it other settings
    assert f"{method}-random-same" in {one.name for one in entries_of(plan)}


def test_a_control_that_has_the_settings_of_its_method_anyway_has_one_row(monkeypatch):
    monkeypatch.setattr(pellucid.leaderboard.entries, "strengths", lambda family, name: {"eps": 0.1})
    reasons = [entry(name).reason_to_skip("grey") for name in ("scaat-random", "scaat-random-same")]
    assert reasons == ["", "it is the same training as scaat-random there"]


def test_a_preset_that_is_the_same_training_as_another_has_no_row():
    plan = Leaderboard(name="truth:shapes")
    assert "truest" not in {one.name for one in entries_of(plan)}
    assert "truest" in {one.name for one in entries_of(Leaderboard(name="truth:beside"))}
    with pytest.raises(InputError, match="^truest has no row on truth:shapes: it is the same training as trustworthy"):
        entries_of(replace(plan, only=("truest",)))


def test_every_method_stands_beside_a_control():
    for one in ENTRIES:
        if one.kind == "method":
            own = [control for control in ENTRIES if control.of == one.name]
            assert own or one.against, one.name
        if one.of is not None:
            assert one.kind == "control"
            assert ENTRIES.index(entry(one.of)) < ENTRIES.index(one)
        for rival in one.against:
            assert entry(rival)
    for family in set(FAMILIES.values()) - {"colour-96"}:
        searched = [one for one in ENTRIES if one.kind in ("method", "control") and not one.settings_of]
        sizes = {one.name: len(one.grid[family]) for one in searched}
        assert set(sizes.values()) <= {3, 4}


class Brightness(torch.nn.Module):
    def forward(self, x):
        return torch.stack([x.flatten(1).mean(1), 0.5 - x.flatten(1).mean(1)], dim=1)


def test_some_images_have_the_measure_and_the_others_none():
    x, n = torch.rand(40, 1, 8, 8), 40
    case = Case(
        model=Brightness().eval(),
        x=x,
        label=torch.zeros(n, dtype=torch.long),
        index=torch.arange(n),
        given=torch.rand(n, 8, 8),
    )
    metric = ROAD(shares=(0.5,))
    whole, some = metric(case), SomeImages(of=metric, share=0.5)(case)
    there = torch.isfinite(some["road_morf"])
    assert 8 < there.sum() < 32
    assert torch.equal(some["road_morf"][there], whole["road_morf"][there].to(some["road_morf"]))
    alone = SomeImages(of=metric, share=0.5)(
        replace(case, x=x[:7], label=case.label[:7], index=case.index[:7], given=case.given[:7])
    )
    assert torch.equal(torch.isfinite(alone["road_morf"]), there[:7])
    assert all(math.isnan(value) for value in SomeImages(of=metric, share=0.0)(case)["road_morf"].tolist())
    with pytest.raises(InputError, match="share must be in"):
        SomeImages(of=metric, share=1.5)
