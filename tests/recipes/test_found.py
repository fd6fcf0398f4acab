"""The recipes' settings are those that the searches' traces name."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.methods import SaliencyGuided
from pellucid.recipes import xu2023
from pellucid.recipes.found import (
    LONGER,
    SCAAT_FOUND,
    SGT_FOUND,
    ScaatSettings,
    again_scaat,
    longer_scaat,
    mean_q,
    moving_q,
    one_step_scaat,
    saliency_guided,
    scaat,
)
from pellucid.recipes.table import setting, where
from pellucid.selection import grid

RESULTS = Path(__file__).parents[2] / "results"


MOVING = [key for key, found in SCAAT_FOUND.items() if found.moving_mean_q is not None]
ONE_STEP = [key for key, found in SCAAT_FOUND.items() if found.one_step_weight is not None]
AGAIN = [key for key, found in SCAAT_FOUND.items() if found.again_eps is not None]
LONG = [key for key, found in SCAAT_FOUND.items() if found.longer_eps is not None]
PATHS = {"cifar10": "cifar10-jpeg"}
"""The folder of images that stood in for a dataset's in its search."""


def trace(search: str, dataset: str, network: str | None = None) -> dict:
    usual = setting(dataset, "cpu", path=PATHS.get(dataset)).base.network.name
    place = where(dataset, PATHS.get(dataset), None if network == usual else network, "cpu")
    return json.loads((RESULTS / f"selection-{search}-{place}.json").read_text())


@pytest.mark.parametrize("known", [MOVING, ONE_STEP, LONG])
def test_one_network_at_least_has_every_search(known) -> None:
    assert ("fashion-mnist", "lenet5") in known


@pytest.mark.parametrize(("dataset", "network"), SCAAT_FOUND)
def test_scaat_s_settings_are_the_chosen_ones(dataset, network) -> None:
    found, at = trace("xu2023", dataset, network), setting(dataset, "cpu", network=network)
    (chosen,) = [row for row in found["rows"] if row["run"] == found["chosen"]]
    assert grid("xu2023", at, "cpu").settings(scaat(at)) == chosen["settings"]
    assert mean_q(at) == pytest.approx(chosen["mean_q"], abs=0.005)


def test_what_a_search_of_a_larger_network_leaves_alone_is_as_it_was_trained(monkeypatch) -> None:
    at = setting("pcam", "cpu")
    start = grid("xu2023", at, "cpu").start
    found = ScaatSettings(eps=start.attack.eps, weight=start.weight, q=start.q, mean_q=0.5)
    monkeypatch.setitem(SCAAT_FOUND, ("pcam", at.base.network.name), found)
    assert scaat(at) == start and start.region == 8


@pytest.mark.parametrize(("dataset", "network"), MOVING)
def test_the_fixed_q_is_the_mean_of_the_moving_one(dataset, network) -> None:
    found, at = trace("xu2023", dataset, network), setting(dataset, "cpu", network=network)
    moving, fixed = moving_q(at)
    (same,) = [row for row in found["rows"] if row["settings"] == grid("xu2023", at, "cpu").settings(moving)]
    assert fixed.q == pytest.approx(same["mean_q"], abs=0.005) and not fixed.adaptive and moving.adaptive


@pytest.mark.parametrize(("dataset", "network"), ONE_STEP)
def test_the_weight_of_one_step_is_the_one_as_accurate_as_four(dataset, network) -> None:
    four, one, at = (
        trace("xu2023", dataset, network),
        trace("xu2023-one-step", dataset, network),
        setting(dataset, "cpu", network=network),
    )
    (wanted,) = [row["validation_accuracy"] for row in four["rows"] if row["run"] == four["chosen"]]
    nearest = min(
        (row for row in one["rows"] if row["settings"]), key=lambda row: abs(row["validation_accuracy"] - wanted)
    )
    assert one_step_scaat(at).weight == nearest["settings"]["weight"]
    assert (one_step_scaat(at).share, one_step_scaat(at).attack.steps) == (1 / 8, 1)


@pytest.mark.parametrize(("dataset", "network"), AGAIN)
def test_the_settings_that_were_searched_again_are_the_chosen_ones(dataset, network) -> None:
    found, at = trace("xu2023-again", dataset, network), setting(dataset, "cpu", network=network)
    (chosen,) = [row for row in found["rows"] if row["run"] == found["chosen"]]
    assert grid("xu2023-again", at, "cpu").settings(again_scaat(at)) == chosen["settings"]
    assert replace(again_scaat(at), attack=scaat(at).attack, weight=scaat(at).weight) == scaat(at)
    table = xu2023.table_1_again(dataset, "cpu", network=network)
    assert table.runs["scaat-again"].method == again_scaat(at)
    assert all(claim.run == "scaat-again" for claim in table.claims) and table.claims


@pytest.mark.parametrize(("dataset", "network"), LONG)
def test_the_settings_of_longer_trainings_are_the_chosen_ones(dataset, network) -> None:
    found, at = trace("xu2023-longer", dataset, network), setting(dataset, "cpu", network=network)
    (chosen,) = [row for row in found["rows"] if row["run"] == found["chosen"]]
    assert grid("xu2023-longer", at, "cpu").settings(longer_scaat(at)) == chosen["settings"]
    assert found["epochs"] == LONGER * at.base.epochs
    assert replace(longer_scaat(at), attack=scaat(at).attack, weight=scaat(at).weight) == scaat(at)


@pytest.mark.parametrize(("dataset", "network"), SGT_FOUND)
def test_saliency_guided_training_s_settings_are_the_chosen_ones(dataset, network) -> None:
    found, at = trace("ismail2021", dataset, network), setting(dataset, "cpu", network=network)
    if found["chosen"] is None:  # then the paper's stand
        assert saliency_guided(at) == SaliencyGuided()
    else:
        (chosen,) = [row for row in found["rows"] if row["run"] == found["chosen"]]
        assert grid("ismail2021", at, "cpu").settings(saliency_guided(at)) == chosen["settings"]


def test_where_no_search_found_any_the_packages_settings_stand() -> None:
    at = setting("cifar10", "cpu")
    assert trace("xu2023", "cifar10")["chosen"] is None
    assert scaat(at).weight == 1.0 and mean_q(at) == scaat(at).q
    assert saliency_guided(at) == SaliencyGuided()
    assert scaat(setting("mnist", "cpu")) == scaat(setting("fashion-mnist", "cpu"))
    assert scaat(setting("fashion-mnist", "cpu", network="resnet18")).weight == 1.0


def test_another_network_is_trained_with_the_searched_networks_settings_too() -> None:
    found = scaat(setting("fashion-mnist", "cpu"))
    table = xu2023.table_1("fashion-mnist", "cpu", network="resnet18")
    assert table.runs["scaat-lenet5"].method == found != table.runs["scaat"].method
    assert table.runs["scaat-lenet5"].network.name == "resnet18"
    assert {claim.run for claim in table.claims} == {"sgt", "scaat", "scaat-lenet5"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("fashion-mnist", "cpu"),
        ("cifar10", "cpu", None, "vgg16-bn"),
        ("mnist", "full", None, "lenet5"),
        ("mnist", "full"),
    ],
)
def test_no_settings_are_borrowed_that_no_search_has_found(arguments) -> None:
    assert set(xu2023.table_1(*arguments).runs) == {"regular", "sgt", "scaat"}


def test_where_nothing_was_searched_again_nothing_is_trained_again() -> None:
    table, usual = (make("cifar10", "cpu") for make in (xu2023.table_1_again, xu2023.table_1))
    assert table.runs == usual.runs and table.claims == usual.claims and table.group == usual.group


def test_a_longer_training_without_a_search_is_not_made_twice() -> None:
    table = xu2023.table_1_longer("fashion-mnist", "cpu", network="resnet18")
    assert set(table.runs) == {"regular", "sgt", "scaat"} >= {claim.run for claim in table.claims}
    assert "scaat-same" in xu2023.table_1_longer("fashion-mnist", "cpu").runs
