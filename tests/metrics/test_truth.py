"""Measures beside a mask: identities and limits, numpy loops as a reference, properties, bad input."""

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics import (
    Case,
    CheckedMass,
    DecoyConfession,
    Interventions,
    MassBaselines,
    PartRank,
    RelevanceMass,
    confession,
    edge_map,
    mass_chance,
    mass_checked,
    mass_edges,
    mass_lift,
    mass_random,
    part_losses,
    part_rank,
    pointing_game,
    prediction_changes,
    rank_accuracy,
    relevance_mass,
)
from pellucid.metrics.measure import measured

from .conftest import random

OF_MASK = (relevance_mass, rank_accuracy, pointing_game)


def masks(n: int = 5, h: int = 6, w: int = 9, seed: int = 0) -> Tensor:
    mask = random(n, h, w, seed=seed + 100) < 0.3
    mask[:, 0, 0], mask[:, -1, -1] = True, False  # neither empty nor full
    return mask


class TestIdentities:
    @pytest.mark.parametrize("measure", [*OF_MASK, mass_lift])
    def test_the_mask_itself_has_1(self, measure: Any) -> None:
        mask = masks()
        assert torch.equal(measure(mask.double(), mask), torch.ones(5).double())

    @pytest.mark.parametrize("measure", OF_MASK)
    def test_its_complement_has_0(self, measure: Any) -> None:
        mask = masks()
        assert measure(random(5, 6, 9) * ~mask, mask).abs().max() == 0

    @pytest.mark.parametrize("measure", OF_MASK)
    def test_a_flat_map_has_chance(self, measure: Any) -> None:
        mask = masks()
        torch.testing.assert_close(measure(torch.full((5, 6, 9), 0.1), mask), mask.flatten(1).float().mean(1))
        torch.testing.assert_close(mass_chance(mask), mask.flatten(1).float().mean(1))
        torch.testing.assert_close(mass_lift(torch.full((5, 6, 9), 0.1), mask), torch.zeros(5), atol=1e-6, rtol=0)

    @pytest.mark.parametrize("measure", [*OF_MASK, mass_lift])
    def test_an_unknown_and_a_full_mask_have_no_value(self, measure: Any) -> None:
        mask = torch.stack([torch.zeros(4, 4), torch.ones(4, 4), torch.eye(4)]).bool()
        assert measure(torch.ones(3, 4, 4), mask).isnan().tolist() == [True, True, False]
        assert mass_chance(mask).isnan().tolist() == [True, True, False]

    def test_a_map_of_zeros_has_no_mass_and_the_ranks_of_chance(self) -> None:
        mask, zeros = masks(2), torch.zeros(2, 6, 9)
        assert relevance_mass(zeros, mask).isnan().all() and mass_lift(zeros, mask).isnan().all()
        torch.testing.assert_close(rank_accuracy(zeros, mask), mass_chance(mask))

    def test_large_values_do_not_overflow(self) -> None:
        huge = torch.full((1, 4, 4), torch.finfo(torch.float32).max)
        assert relevance_mass(huge, torch.eye(4).bool()[None]).item() == 0.25

    @settings(max_examples=30, deadline=None)
    @given(exponent=st.integers(-40, 40), seed=st.integers(0, 99))
    def test_scale_of_the_map_does_not_matter(self, exponent: int, seed: int) -> None:
        heatmap, mask = random(3, 6, 9, seed=seed), masks(3, seed=seed)
        for measure in (*OF_MASK, mass_lift):
            assert torch.equal(measure(heatmap, mask), measure(heatmap * 2.0**exponent, mask))

    def test_random_maps_have_chance_on_average(self) -> None:
        mask = masks(1).expand(2000, -1, -1)
        mass = mass_random(mask, generator=SampleDraws(0, tuple(range(2000))))
        assert mass.std() > 0
        assert mass.mean() == pytest.approx(mass_chance(mask[:1]).item(), abs=4 * mass.std().item() / 2000**0.5)

    def test_edges_are_those_of_the_edge_detector(self) -> None:
        x, mask = random(4, 3, 6, 9), masks(4)
        edges = edge_map(None, x, torch.zeros(4)).abs().mean(1)
        torch.testing.assert_close(mass_edges(x, mask), (edges * mask).sum((1, 2)) / edges.sum((1, 2)))
        assert mass_edges(torch.full((1, 1, 6, 9), 0.5), mask[:1]).isnan().all()


class TestReference:
    """One image at a time, in numpy."""

    @settings(max_examples=40, deadline=None)
    @given(h=st.integers(2, 7), w=st.integers(2, 7), levels=st.sampled_from([1, 2, 3, 1000]), seed=st.integers(0, 999))
    def test_measures_of_a_mask(self, h: int, w: int, levels: int, seed: int) -> None:
        heatmap, mask = (random(4, h, w, seed=seed) * levels).ceil(), masks(4, h, w, seed)
        found = [measure(heatmap, mask).tolist() for measure in OF_MASK]
        for i in range(4):
            pixels, inside = heatmap[i].numpy().ravel(), mask[i].numpy().ravel()
            count = int(inside.sum())
            assert found[0][i] == pytest.approx(pixels[inside].sum() / pixels.sum())
            for wanted, of in ((count, found[1]), (1, found[2])):
                chance = 0.0  # that each pixel of the mask is among the highest, ties in random order
                for pixel in pixels[inside]:
                    above, tied = sum(other > pixel for other in pixels), sum(other == pixel for other in pixels)
                    chance += min(1.0, max(0.0, (wanted - above) / tied))
                assert of[i] == pytest.approx(chance / wanted, abs=1e-9)

    @settings(max_examples=40, deadline=None)
    @given(parts=st.integers(3, 6), seed=st.integers(0, 999), levels=st.sampled_from([2, 1000]))
    def test_order_of_the_parts(self, parts: int, seed: int, levels: int) -> None:
        heatmap = random(5, 4, 8, seed=seed)
        where = {str(k): random(5, 4, 8, seed=seed + k + 1) < 0.2 for k in range(parts)}
        losses = {name: (random(5, seed=seed + 50 + int(name)) * levels).floor() for name in where}
        found = part_rank(heatmap, where, losses).tolist()
        for i in range(5):
            there = [name for name in where if where[name][i].any()]
            mass = [float(heatmap[i][where[name][i]].sum()) for name in there]
            loss = [float(losses[name][i]) for name in there]
            if len(there) < 3 or len(set(loss)) == 1:
                assert np.isnan(found[i])
            else:
                assert found[i] == pytest.approx(scipy.stats.spearmanr(mass, loss).statistic, abs=1e-9)

    def test_every_choice_of_two_tied_pixels_counts_alike(self) -> None:
        heatmap, mask = torch.tensor([[[5.0, 2.0, 2.0, 2.0, 1.0]]]), torch.tensor([[[True, True, False, False, True]]])
        choices = [len({0, *tied} & {0, 1, 4}) / 3 for tied in itertools.combinations((1, 2, 3), 2)]
        assert rank_accuracy(heatmap, mask).item() == pytest.approx(np.mean(choices))


def left_or_right(x: Tensor) -> Tensor:
    """Two classes: the brightness of the left half, which decides, and of the right one."""
    left, right = x[..., : x.shape[-1] // 2].mean((1, 2, 3)), x[..., x.shape[-1] // 2 :].mean((1, 2, 3))
    return torch.stack([left, right], dim=1)


class TestInterventions:
    def test_only_what_is_looked_at_changes_the_prediction(self) -> None:
        x = torch.zeros(2, 1, 4, 8)
        x[..., :4], x[..., 4:] = 0.9, 0.2
        cause, rest = x.clone(), x.clone()
        cause[..., :4] = 0.0
        rest[..., 4:] = 0.5
        assert prediction_changes(left_or_right, x, cause).tolist() == [True, True]
        assert prediction_changes(left_or_right, x, rest).tolist() == [False, False]
        assert not prediction_changes(left_or_right, x, x, chunk=1).any()

    def test_mass_is_checked_where_the_cause_alone_decides(self) -> None:
        heatmap, mask = random(4, 6, 9), masks(4)
        cause, rest = torch.tensor([True, True, False, False]), torch.tensor([False, True, False, True])
        checked = mass_checked(heatmap, mask, cause, rest)
        assert checked.isnan().tolist() == [False, True, True, True]
        assert checked[0] == relevance_mass(heatmap, mask)[0]

    def test_losses_of_a_linear_network_are_its_weights(self) -> None:
        weight = random(6, seed=3)
        model = lambda x: torch.stack([x.flatten(1) @ weight, x.flatten(1) @ -weight], dim=1)
        x = torch.ones(3, 1, 1, 6).double()
        without = {str(k): x.clone() for k in range(6)}
        for name, image in without.items():
            image[..., int(name)] = 0
        losses = part_losses(model, x, torch.tensor([0, 1, 0]), without, chunk=2)
        for k in range(6):
            torch.testing.assert_close(losses[str(k)], weight[k] * torch.tensor([1.0, -1.0, 1.0]).double())
        where = {str(k): (torch.arange(6) == k).expand(3, 1, 6) for k in range(6)}
        ranks = part_rank(weight.expand(3, 1, 6), where, losses)
        torch.testing.assert_close(ranks, torch.tensor([1.0, -1.0, 1.0]).double())

    def test_a_flat_map_orders_no_parts_of_one_size_and_two_are_too_few(self) -> None:
        where = {name: (torch.arange(3) == k).expand(1, 1, 3) for k, name in enumerate("abc")}
        losses = {name: torch.tensor([float(k)]) for k, name in enumerate("abc")}
        assert part_rank(torch.ones(1, 1, 3), where, losses).isnan().all()
        del where["a"], losses["a"]
        assert part_rank(torch.tensor([[[1.0, 2.0, 3.0]]]), where, losses).isnan().all()
        assert part_rank(torch.ones(1, 1, 3), {}, {}).isnan().all()

    def test_a_confession_is_more_than_a_flat_map_says(self) -> None:
        decoy = torch.zeros(4, 6, 6).bool()
        decoy[:, :2, :2] = True
        heatmap = torch.full((4, 6, 6), 0.1)
        heatmap[1, 0, 0], heatmap[2, 5, 5], heatmap[3] = 0.11, 0.11, 0
        told = confession(heatmap, decoy, torch.ones(4).bool())
        assert told[:3].tolist() == [0, 1, 0] and told[3].isnan()
        assert confession(heatmap, decoy, torch.zeros(4).bool()).isnan().all()


def case(**changes: Any) -> Case:
    x = random(4, 1, 6, 8).float()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval()
    names = ("cause", "rest", "decoy", *(f"without {part}" for part in "abc"))
    given: dict[str, Any] = {
        "model": model, "x": x, "label": torch.arange(4) % 3, "index": torch.arange(4), "mask": masks(4, 6, 8),
        "changed": {name: random(4, 1, 6, 8, seed=k + 1).float() for k, name in enumerate(names)},
        "parts": {name: masks(4, 6, 8, seed=k) for k, name in enumerate(("a", "b", "c", "decoy"))},
    }  # fmt: skip
    return Case(**given | changes)


class TestMetrics:
    def test_each_is_its_function(self) -> None:
        seen = case()
        heatmap, follow = seen.heatmap, lambda name: prediction_changes(seen.model, seen.x, seen.changed[name])
        torch.testing.assert_close(measured(RelevanceMass(), seen)["mass"], relevance_mass(heatmap, seen.mask))
        for name, column in (("cause", "follows_cause"), ("rest", "follows_rest"), ("decoy", "reliance")):
            assert torch.equal(measured(Interventions(), seen)[column], follow(name).float())
        checked = mass_checked(heatmap, seen.mask, follow("cause"), follow("rest"))
        torch.testing.assert_close(measured(CheckedMass(), seen)["mass_checked"], checked, equal_nan=True)
        without = {name: seen.changed[f"without {name}"] for name in "abc"}
        losses = part_losses(seen.model, seen.x, seen.prediction, without)
        rank = part_rank(heatmap, {name: seen.parts[name] for name in "abc"}, losses)
        torch.testing.assert_close(measured(PartRank(), seen)["part_rank"], rank)
        told = measured(DecoyConfession(), seen)
        torch.testing.assert_close(told["decoy_mass"], relevance_mass(heatmap, seen.parts["decoy"]))
        expected = confession(heatmap, seen.parts["decoy"], follow("decoy"))
        torch.testing.assert_close(told["confession"], expected, equal_nan=True)

    def test_a_random_map_is_the_images_own(self) -> None:
        whole = measured(MassBaselines(), case())["mass_random"]
        part = case()
        alone = case(**{name: getattr(part, name)[2:3] for name in ("x", "label", "index", "mask")})
        assert torch.equal(measured(MassBaselines(), alone)["mass_random"], whole[2:3])

    @pytest.mark.parametrize(
        ("metric", "change", "sentence"),
        [
            (
                RelevanceMass(),
                {"mask": None},
                "this metric needs mask, which marks what decides the class of each image",
            ),
            (CheckedMass(), {"changed": {}}, "this metric needs changed['cause'], the images with that thing"),
            (DecoyConfession(), {"parts": {}}, "this metric needs parts['decoy'], where that part is in each image"),
        ],
    )
    def test_what_was_not_given_is_told(self, metric: Any, change: dict[str, Any], sentence: str) -> None:
        with pytest.raises(InputError) as caught:
            measured(metric, case(**change))
        assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: relevance_mass(torch.ones(1, 2, 2), torch.ones(1, 2, 2)), "a mask must be bool (n, h, w), got"),
        (
            lambda: rank_accuracy(torch.ones(2, 2, 2), torch.ones(1, 2, 2).bool()),
            "the mask must be (2, 2, 2) as the map is, got (1, 2, 2)",
        ),
        (lambda: pointing_game(-torch.ones(1, 2, 2), torch.ones(1, 2, 2).bool()), "heatmap must be non-negative"),
        (lambda: mass_chance(torch.ones(2, 2).bool()), "a mask must be bool (n, h, w), got torch.bool (2, 2)"),
        (
            lambda: mass_checked(torch.ones(1, 2, 2), torch.eye(2).bool()[None], torch.ones(1), torch.ones(1).bool()),
            "follows_cause must be bool (1,), one for each image, got torch.float32 (1,)",
        ),
        (
            lambda: prediction_changes(left_or_right, torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 4)),
            "the changed images must be (1, 1, 2, 2) as the images are, got (1, 1, 2, 4)",
        ),
        (
            lambda: prediction_changes(left_or_right, torch.ones(1, 1, 2, 2), 255 * torch.ones(1, 1, 2, 2)),
            "pixels must be in [0, 1], got values from 255 to 255",
        ),
        (lambda: part_rank(torch.ones(1, 2, 2), {"a": torch.eye(2).bool()[None]}, {}), "parts and losses must have"),
        (
            lambda: part_rank(torch.ones(1, 2, 2), {"a": torch.eye(2).bool()[None]}, {"a": torch.tensor([np.nan])}),
            "the loss of 'a' must be 1 finite numbers",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(call: Any, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(sentence)
