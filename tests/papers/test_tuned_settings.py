"""The tuned settings are those that the searches' traces name, and the package brings the traces that it reads."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from pellucid.methods import SaliencyGuided
from pellucid.papers import tuned_settings, xu2023
from pellucid.papers.grids import grid
from pellucid.papers.plan import SEARCHES, where
from pellucid.papers.setting import setting
from pellucid.papers.tuned_settings import (
    LONGER,
    TunedSettings,
    by_search,
    mean_q,
    moving_q,
    one_step_scaat,
    saliency_guided,
    scaat,
)

RESULTS = Path(__file__).parents[2] / "results" / "raw"
PATHS = {"cifar10": "cifar10-jpeg"}
"""The folder of images that stood in for a dataset's in its search."""


def trace(search: str, dataset: str, network: str | None = None) -> dict:
    usual = setting(dataset, "cpu", path=PATHS.get(dataset)).base.network.name
    place = where(dataset, PATHS.get(dataset), None if network == usual else network, "cpu")
    return json.loads((RESULTS / f"selection-{search}-{place}.json").read_text())


def chosen_row(found: dict) -> dict:
    (row,) = [row for row in found["rows"] if row["run"] == found["chosen"]]
    return row


def test_the_packages_traces_are_the_published_ones() -> None:
    kept = [file for file in files("pellucid.papers").joinpath("traces").iterdir() if file.name.endswith(".json")]
    assert [file.name for file in kept] == ["selection-pellucid-fashion-mnist-cpu.json"]
    assert all(file.read_bytes() == (RESULTS / file.name).read_bytes() for file in kept)


def test_every_number_is_of_a_search_and_one_network_has_them_all() -> None:
    assert set(by_search()) == set(SEARCHES) - {"pellucid"} | {"xu2023-moving"}
    assert all(("fashion-mnist", "lenet5") in kept for name, kept in by_search().items() if name != "ismail2021")


@pytest.mark.parametrize(("dataset", "network"), by_search()["xu2023"])
def test_scaat_s_settings_are_the_chosen_ones(dataset, network) -> None:
    row, at = chosen_row(trace("xu2023", dataset, network)), setting(dataset, "cpu", network=network)
    assert grid("xu2023", at).settings(scaat(at)) == row["settings"]
    assert mean_q(at) == pytest.approx(row["mean_q"], abs=0.005)


def test_what_a_search_of_a_larger_network_leaves_alone_is_as_it_was_trained(monkeypatch) -> None:
    at = setting("pcam", "cpu")
    start = grid("xu2023", at).start
    tuned = TunedSettings(eps=start.attack.eps, weight=start.weight, q=start.q, mean_q=0.4)
    monkeypatch.setitem(by_search()["xu2023"], ("pcam", at.base.network.name), tuned)
    assert scaat(at) == start and start.region == 8 and mean_q(at) == 0.4


@pytest.mark.parametrize(("dataset", "network"), by_search()["xu2023-moving"])
def test_the_fixed_q_is_the_mean_of_the_moving_one(dataset, network) -> None:
    found, at = trace("xu2023", dataset, network), setting(dataset, "cpu", network=network)
    moving, fixed = moving_q(at)
    (same,) = [row for row in found["rows"] if row["settings"] == grid("xu2023", at).settings(moving)]
    assert fixed.q == pytest.approx(same["mean_q"], abs=0.005) and not fixed.adaptive and moving.adaptive
    kept = by_search()["xu2023-moving"][dataset, network]
    assert (kept.q, kept.gamma) == (moving.q, moving.gamma)


@pytest.mark.parametrize(("dataset", "network"), by_search()["xu2023-one-step"])
def test_the_weight_of_one_step_is_the_one_as_accurate_as_four(dataset, network) -> None:
    wanted = chosen_row(trace("xu2023", dataset, network))["validation_accuracy"]
    one, at = trace("xu2023-one-step", dataset, network), setting(dataset, "cpu", network=network)
    rows = [row for row in one["rows"] if row["settings"]]
    nearest = min(rows, key=lambda row: abs(row["validation_accuracy"] - wanted))
    assert one_step_scaat(at).weight == nearest["settings"]["weight"]
    assert (one_step_scaat(at).share, one_step_scaat(at).attack.steps) == (1 / 8, 1)


@pytest.mark.parametrize(
    ("search", "dataset", "network"),
    [(search, *key) for search in ("xu2023-again", "xu2023-longer") for key in by_search()[search]],
)
def test_the_settings_that_go_on_from_the_first_search_are_the_chosen_ones(search, dataset, network) -> None:
    found, at = trace(search, dataset, network), setting(dataset, "cpu", network=network)
    method, first = scaat(at, search=search), scaat(at)
    assert grid(search, at).settings(method) == chosen_row(found)["settings"]
    assert replace(method, attack=first.attack, weight=first.weight) == first
    assert found["epochs"] == (LONGER if search == "xu2023-longer" else 1) * at.base.epochs


def test_a_table_shows_what_was_searched_again() -> None:
    at = setting("fashion-mnist", "cpu")
    table = xu2023.table_1_again(at)
    assert table.runs["scaat-again"].method == scaat(at, search="xu2023-again")
    assert all(claim.run == "scaat-again" for claim in table.claims) and table.claims


@pytest.mark.parametrize("dataset", ["fashion-mnist", "cifar10"])
def test_saliency_guided_training_has_the_papers_settings_where_the_search_chose_none(dataset) -> None:
    found, at = trace("ismail2021", dataset), setting(dataset, "cpu")
    assert found["chosen"] is None and saliency_guided(at) == SaliencyGuided()


def test_saliency_guided_training_has_the_settings_that_a_search_chose(monkeypatch) -> None:
    kept = by_search() | {"ismail2021": {("cifar10", "resnet18"): TunedSettings(fraction=0.1, ranking="signed")}}
    monkeypatch.setattr(tuned_settings, "by_search", lambda: kept)
    assert saliency_guided(setting("cifar10", "cpu")) == SaliencyGuided(fraction=0.1, ranking="signed")


def test_where_no_search_found_any_the_packages_settings_stand() -> None:
    at = setting("cifar10", "cpu")
    assert trace("xu2023", "cifar10")["chosen"] is None
    assert scaat(at).weight == 1.0 and mean_q(at) == scaat(at).q
    assert scaat(setting("mnist", "cpu")) == scaat(setting("fashion-mnist", "cpu"))
    assert scaat(setting("fashion-mnist", "cpu", network="resnet18")).weight == 1.0


def test_another_network_is_trained_with_the_searched_networks_settings_too() -> None:
    tuned = scaat(setting("fashion-mnist", "cpu"))
    table = xu2023.table_1(setting("fashion-mnist", "cpu", network="resnet18"))
    assert table.runs["scaat-lenet5"].method == tuned != table.runs["scaat"].method
    assert table.runs["scaat-lenet5"].network.name == "resnet18"
    assert {claim.run for claim in table.claims} == {"sgt", "scaat", "scaat-lenet5"}


@pytest.mark.parametrize(
    ("dataset", "scale", "network"),
    [
        ("fashion-mnist", "cpu", None),
        ("cifar10", "cpu", "vgg16-bn"),
        ("mnist", "full", "lenet5"),
        ("mnist", "full", None),
    ],
)
def test_no_settings_are_borrowed_that_no_search_has_found(dataset, scale, network) -> None:
    assert set(xu2023.table_1(setting(dataset, scale, network=network)).runs) == {"regular", "sgt", "scaat"}


def test_where_nothing_was_searched_again_nothing_is_trained_again() -> None:
    at = setting("cifar10", "cpu")
    table, usual = xu2023.table_1_again(at), xu2023.table_1(at)
    assert table.runs == usual.runs and table.claims == usual.claims and table.group == usual.group


def test_a_longer_training_without_a_search_is_not_made_twice() -> None:
    table = xu2023.table_1_longer(setting("fashion-mnist", "cpu", network="resnet18"))
    assert set(table.runs) == {"regular", "sgt", "scaat"} >= {claim.run for claim in table.claims}
    assert "scaat-same" in xu2023.table_1_longer(setting("fashion-mnist", "cpu")).runs
