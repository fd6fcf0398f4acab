"""The grids are what they say, each candidate can be named, and none is declared twice."""

import pytest

from pellucid.config import from_config, to_config
from pellucid.methods import SCAAT, SaliencyGuided
from pellucid.papers.grids import grid
from pellucid.papers.setting import setting


@pytest.mark.parametrize("dataset", ["fashion-mnist", "mnist", "cifar10", "pcam"])
@pytest.mark.parametrize(
    ("search", "kind"),
    [
        ("xu2023", SCAAT),
        ("xu2023-one-step", SCAAT),
        ("xu2023-longer", SCAAT),
        ("xu2023-again", SCAAT),
        ("ismail2021", SaliencyGuided),
    ],
)
def test_stages_vary_their_own_settings_alone(search, kind, dataset) -> None:
    at = setting(dataset, "full")
    declared = grid(search, at)
    fixed = declared.settings(declared.start)
    varied = set()
    for vary in declared.stages.values():
        methods = vary(declared.start)
        settings = [declared.settings(method) for method in methods]
        assert all(type(method) is kind for method in methods)
        assert len({tuple(own.values()) for own in settings}) == len(methods) == len(set(methods))
        moved = {name for name in fixed if len({own[name] for own in settings}) > 1}
        assert moved and not moved & varied
        for method, own in zip(methods, settings, strict=True):
            assert {name: own[name] for name in fixed if name not in moved} == {
                name: value for name, value in fixed.items() if name not in moved
            }
            assert from_config(to_config(method), kind) == method
        varied |= moved
    assert varied == set(fixed)


@pytest.mark.parametrize("search", ["xu2023", "ismail2021"])
def test_a_smoke_test_tries_few(search) -> None:
    at = setting("fashion-mnist", "smoke")
    declared = grid(search, at)
    assert all(len(vary(declared.start)) <= 2 for vary in declared.stages.values())


def test_the_rule_is_written_down() -> None:
    declared = grid("xu2023", setting("fashion-mnist", "cpu"))
    assert "at most 1 points of validation accuracy" in declared.rule and "MoRF is not below" in declared.rule


@pytest.mark.parametrize(("dataset", "network"), [("cifar10", None), ("fashion-mnist", "resnet18")])
def test_of_a_larger_network_one_number_is_varied_after_the_other(dataset, network) -> None:
    declared = grid("xu2023", setting(dataset, "cpu", network=network))
    start = declared.settings(declared.start)
    tried = {
        title: [declared.settings(each) for each in vary(declared.start)] for title, vary in declared.stages.items()
    }
    carried = tried.pop("as found for LeNet-5", [])
    assert len(carried) == (dataset == "fashion-mnist") and start not in carried
    assert {title: len(settings) for title, settings in tried.items()} == {"eps": 4, "λ": 3}
    for name, settings in zip(("eps", "weight"), tried.values(), strict=True):
        assert start in settings and len({own[name] for own in settings}) == len(settings)
        assert all(own | {name: start[name]} == start for own in settings)


def test_of_saliency_guided_training_of_a_larger_network_too() -> None:
    declared = grid("ismail2021", setting("cifar10", "cpu"))
    start = declared.settings(declared.start)
    for name, vary in zip(("fraction", "weight", "ranking"), declared.stages.values(), strict=True):
        settings = [declared.settings(method) for method in vary(declared.start)]
        assert start in settings and len({own[name] for own in settings}) == len(settings) > 1
        assert all(own | {name: start[name]} == start for own in settings)
