"""Randomised networks and maps that ignore them: identities, scipy's references, properties, bad input."""

import copy
import math
from typing import Any

import captum.attr
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics.sanity import (
    Randomisation,
    baseline_similarity,
    edge_map,
    random_map,
    randomisation_similarity,
    randomise,
    randomised_layers,
)
from pellucid.saliency import SmoothGrad, VanillaGradient, heatmap

from .conftest import random

ORDERS: list[Randomisation] = ["cascading", "independent"]
LAYERS = ["5", "3", "1", "0"]


def network() -> nn.Sequential:
    with randomness.fork(0):
        layers = nn.Sequential(
            nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.Flatten(), nn.Linear(128, 3)
        )
        nn.init.normal_(layers[1].weight)  # as if trained
        nn.init.normal_(layers[1].running_mean)
    return layers.double().eval()


def changed(before: nn.Module, after: nn.Module) -> set[str]:
    """The layers of which some parameter or buffer differs."""
    new = after.state_dict()
    return {name.split(".")[0] for name, old in before.state_dict().items() if not torch.equal(old, new[name])}


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x.flatten(1)[:, :3]


class Scaled(nn.Module):
    """Layer scale, a temperature, and places that nothing has learned, each a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((4, 1, 1), 0.1))
        self.temperature = nn.Parameter(torch.tensor(2.0))
        self.order = nn.Parameter(torch.arange(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.temperature * self.gamma * x[:, self.order]


class TestRandomise:
    def test_cascading_goes_from_the_last_layer_to_the_first(self) -> None:
        model = network()
        steps = list(randomise(model))
        assert [name for name, _ in steps] == LAYERS
        for i, (_, copied) in enumerate(steps):
            assert changed(model, copied) == set(LAYERS[: i + 1])

    def test_independent_changes_one_layer_of_each_copy(self) -> None:
        model = network()
        assert [(name, changed(model, new)) for name, new in randomise(model, order="independent")] == [
            (name, {name}) for name in LAYERS
        ]

    def test_a_layers_weights_depend_on_seed_and_name_alone(self) -> None:
        model = network()
        cascading, alone = dict(randomise(model)), dict(randomise(model, order="independent"))
        other = dict(randomise(model, seed=1))
        for name in ("0", "3", "5"):
            weight = alone[name].get_submodule(name).weight
            assert torch.equal(cascading[name].get_submodule(name).weight, weight)
            assert torch.equal(cascading["0"].get_submodule(name).weight, weight)
            assert not torch.equal(other[name].get_submodule(name).weight, weight)

    def test_weights_are_those_of_a_fresh_layer(self) -> None:
        (_, new), *_ = randomise(network())
        weight = new[5].weight
        # torch's default is uniform within 1/sqrt(inputs).
        assert weight.abs().max() <= 1 / math.sqrt(128)
        assert scipy.stats.kstest(weight.detach().flatten(), "uniform", (-(128**-0.5), 2 * 128**-0.5)).pvalue > 0.01

    @pytest.mark.parametrize("order", ORDERS)
    def test_nothing_of_the_caller_changes(self, order: Randomisation) -> None:
        model, state = network(), torch.get_rng_state()
        model[0].train()
        kept = copy.deepcopy(model.state_dict())
        for _, new in randomise(model, order=order):
            assert [m.training for m in new.modules()] == [m.training for m in model.modules()]
            for parameter in new.parameters():
                parameter.data.zero_()  # what is done to a copy reaches neither the network nor the next copy
        assert all(torch.equal(now, kept[name]) for name, now in model.state_dict().items())
        assert torch.equal(torch.get_rng_state(), state)
        assert dict(randomise(model, order=order))["0"][5].weight.abs().sum() > 0

    def test_a_reset_of_ones_own(self) -> None:
        ((name, new),) = randomise(Bare(), reset=lambda layer: nn.init.normal_(layer.scale))
        assert name == ""
        assert new.scale.item() != 1

    def test_what_a_module_holds_itself_is_drawn_anew_in_its_own_size(self) -> None:
        token = Bare()
        token.scale = nn.Parameter(3 + torch.randn(1, 20, 50))
        (_, new), *_ = randomise(token)
        assert new.scale.mean().abs() < 0.5 and new.scale.square().mean().sqrt().item() == pytest.approx(
            token.scale.square().mean().sqrt().item(), rel=0.1
        )
        ((name, bare),) = randomise(Bare())
        assert name == "" and bare.scale.item() not in (0, 1)

    @pytest.mark.parametrize("order", ORDERS)
    def test_networks_with_parameters_of_every_kind(self, order: Randomisation) -> None:
        model = nn.Sequential(nn.Conv2d(2, 4, 3), Scaled(), nn.Flatten(), weight_norm(nn.Linear(144, 3))).double()
        x, target = random(2, 2, 8, 8), torch.tensor([0, 2])
        found = randomisation_similarity(model.eval(), x, target, VanillaGradient(), order=order)
        assert list(found) == randomised_layers(model)
        assert all(value.isfinite().all() for value in found.values())
        for name, new in randomise(model, order=order):
            assert any(not torch.equal(a, b) for a, b in zip(
                model.get_submodule(name).parameters(), new.get_submodule(name).parameters(), strict=True
            )), name  # fmt: skip
        assert torch.equal(new[1].order, torch.arange(4)) and new[1].temperature.ndim == 0

    def test_a_transformers_maps_are_checked(self) -> None:
        class Attends(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.patch, self.place = nn.Conv2d(2, 4, 2, stride=2), nn.Parameter(torch.randn(1, 16, 4))
                self.attention, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 3)

            def forward(self, x: Tensor) -> Tensor:
                tokens = self.patch(x).flatten(2).transpose(1, 2) + self.place
                logits: Tensor = self.head(self.attention(tokens, tokens, tokens)[0].mean(1))
                return logits

        model, x, target = Attends().double().eval(), random(4, 2, 8, 8), torch.tensor([0, 1, 2, 0])
        for saliency in ("rollout", "gradcam"):
            similarity = randomisation_similarity(model, x, target, saliency)
            assert list(similarity) == ["head", "attention.out_proj", "attention", "patch", ""]
            assert all((value >= -1).all() and (value <= 1).all() for value in similarity.values())
            fully = similarity[""]
            assert (fully < 0.99).all(), "another network, another map"
        same = randomisation_similarity(model, x, target, "rollout")["head"]
        assert same.tolist() == pytest.approx([1] * 4), "rollout does not look at the head"

    @pytest.mark.parametrize(
        ("model", "keywords", "message"),
        [
            (nn.Flatten(), {}, "Flatten has no layer with parameters"),
            (network(), {"order": "reverse"}, "order must be cascading or independent, got 'reverse'"),
        ],
    )
    def test_bad_input(self, model: nn.Module, keywords: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            list(randomise(model, **keywords))


class TestSimilarity:
    x, target = random(4, 2, 8, 8), torch.tensor([0, 1, 2, 0])

    @pytest.mark.parametrize("order", ORDERS)
    def test_what_ignores_the_network_stays(self, order: Randomisation) -> None:
        flat = lambda model, x, target: torch.ones_like(x)
        for saliency in (edge_map, random_map, flat):
            found = randomisation_similarity(network(), self.x, self.target, saliency, order=order)
            assert list(found) == LAYERS
            for value in found.values():
                torch.testing.assert_close(value, torch.ones(4, dtype=torch.float64))

    def test_noise_that_is_drawn_anew_has_none(self) -> None:
        model, noise = nn.Sequential(nn.Flatten(), nn.Linear(3200, 3)).double().eval(), torch.Generator().manual_seed(0)
        explain = lambda model, x, target: torch.randn(x.shape, generator=noise)
        found = randomisation_similarity(model, random(4, 2, 40, 40), self.target, explain)
        assert torch.stack(list(found.values())).abs().max() < 0.12

    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.parametrize("channels", ["mean_abs", "signed_mean"])
    def test_agrees_with_scipy(self, order: Randomisation, channels: Any) -> None:
        model, explain = network(), VanillaGradient()
        found = randomisation_similarity(model, self.x, self.target, explain, order=order, channels=channels, seed=3)
        before = heatmap(explain(model, self.x, self.target), channels=channels)
        for name, new in randomise(model, order=order, seed=3):
            after = heatmap(explain(new, self.x, self.target), channels=channels)
            expected = [scipy.stats.spearmanr(a.flatten(), b.flatten())[0] for a, b in zip(before, after, strict=True)]
            assert found[name].tolist() == pytest.approx(expected)

    def test_a_gradient_does_not_stay(self) -> None:
        model, x = network(), random(30, 2, 8, 8)
        found = randomisation_similarity(model, x, torch.arange(30) % 3, VanillaGradient(), channels="signed_mean")
        assert found["0"].abs().mean() < 0.3

    def test_ties_and_flat_maps(self) -> None:
        rows = iter([[0, 0, 1, 2], [3, 3, 5, 9], [1, 1, 1, 1], [2, 1, 0, 0], [0, 0, 0, 0]])
        given = lambda model, x, target: torch.tensor(next(rows), dtype=x.dtype).reshape(1, 1, 2, 2)
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.Flatten()).eval()
        found = randomisation_similarity(model, torch.rand(1, 1, 2, 2), torch.tensor([0]), given)
        expected = [1.0, 0.0, scipy.stats.spearmanr([0, 0, 1, 2], [2, 1, 0, 0])[0], 0.0]
        assert [value.item() for value in found.values()] == pytest.approx(expected)
        flat = lambda model, x, target: torch.zeros_like(x)
        assert set(randomisation_similarity(model, torch.rand(1, 1, 2, 2), torch.tensor([0]), flat)["0"].tolist()) == {
            1
        }

    @pytest.mark.parametrize("generator", [None, torch.Generator(), SampleDraws(0, (0, 1, 2, 3))])
    def test_a_saliency_that_draws_gets_the_same_numbers(self, generator: randomness.Generator) -> None:
        unchanged = randomisation_similarity(
            network(), self.x, self.target, SmoothGrad(samples=2), reset=lambda layer: None, generator=generator
        )
        for value in unchanged.values():
            torch.testing.assert_close(value, torch.ones(4, dtype=torch.float64))

    @settings(max_examples=8)
    @given(order=st.permutations(range(4)), count=st.integers(1, 4))
    def test_batch_mates_never_matter(self, order: list[int], count: int) -> None:
        chosen, explain = order[:count], SmoothGrad(samples=2)
        model, draws = network(), SampleDraws(0, (5, 80, 1, 7))
        everyone = randomisation_similarity(model, self.x, self.target, explain, generator=draws)
        some = randomisation_similarity(
            model, self.x[chosen], self.target[chosen], explain,
            generator=SampleDraws(0, tuple(draws.index[i] for i in chosen)),
        )  # fmt: skip
        for name in LAYERS:
            torch.testing.assert_close(some[name], everyone[name][chosen])

    def test_captums_class(self) -> None:
        ours = randomisation_similarity(network(), self.x, self.target, VanillaGradient())
        captums = randomisation_similarity(network(), self.x, self.target, captum.attr.Saliency)
        for name in LAYERS:
            torch.testing.assert_close(ours[name], captums[name])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"saliency": captum.attr.Saliency(network())}, "only the network it was built on; give its class"),
            ({"saliency": lambda model, x, target: x * math.nan}, "attribution must be finite, got nan"),
            ({"target": torch.tensor([0, 1, 2, 3])}, r"classes must be in \[0, 2\]"),
            ({"x": random(4, 2, 8, 8) + 1}, r"pixels must be in \[0, 1\]"),
            ({"model": network().train()}, "must be in eval mode"),
        ],
    )
    def test_bad_input(self, change: dict[str, Any], message: str) -> None:
        given = {"model": network(), "x": self.x, "target": self.target, "saliency": edge_map} | change
        with pytest.raises(InputError, match=message):
            randomisation_similarity(**given)


class TestBaselineSimilarity:
    x, target = random(4, 2, 8, 8), torch.tensor([0, 1, 2, 0])

    def test_of_maps_that_look_at_no_network(self) -> None:
        edges = baseline_similarity(network(), self.x, self.target, edge_map)
        noise = baseline_similarity(network(), self.x, self.target, random_map)
        for value in (edges["edge_map"], edges["random_networks"], noise["random_networks"]):
            torch.testing.assert_close(value, torch.ones(4, dtype=torch.float64))
        for value in (edges["random_map"], noise["edge_map"], noise["random_map"]):
            assert value.abs().max() < 0.5

    def test_agrees_with_scipy(self) -> None:
        model, explain = network(), VanillaGradient()
        draws = SampleDraws(0, (5, 80, 1, 7))
        found = baseline_similarity(model, self.x, self.target, explain, seed=3, generator=draws)
        own, edges, noise, *untrained = (
            heatmap(attribution)
            for attribution in (
                explain(model, self.x, self.target),
                edge_map(model, self.x, self.target),
                random_map(model, self.x, self.target, generator=draws.of("sanity/random_map")),
                *(explain(list(randomise(model, seed=seed))[-1][1], self.x, self.target) for seed in (3, 4)),
            )
        )
        pairs = {"edge_map": (own, edges), "random_map": (own, noise), "random_networks": untrained}
        assert set(found) == set(pairs)
        for name, (one, other) in pairs.items():
            expected = [scipy.stats.spearmanr(a.flatten(), b.flatten())[0] for a, b in zip(one, other, strict=True)]
            assert found[name].tolist() == pytest.approx(expected)


class TestBaselines:
    target = torch.tensor([0, 1])

    def test_edges_of_a_flat_image_and_of_a_ramp(self) -> None:
        assert edge_map(None, torch.full((2, 3, 5, 4), 0.3), self.target).abs().max() < 1e-7
        ramp = (3 * torch.arange(5.0)[:, None] + 4 * torch.arange(6.0))[None, None] / 100
        torch.testing.assert_close(edge_map(None, ramp, self.target)[..., 1:-1, 1:-1], torch.full((1, 1, 3, 4), 0.05))

    @pytest.mark.parametrize("shape", [(2, 3, 8, 7), (1, 1, 1, 1), (2, 1, 1, 5)])
    def test_edges_agree_with_scipy(self, shape: tuple[int, ...]) -> None:
        x = random(*shape)
        expected = [
            [np.hypot(*(scipy.ndimage.sobel(c, axis) for axis in (0, 1))) / 8 for c in one] for one in x.numpy()
        ]
        torch.testing.assert_close(edge_map(None, x, self.target), torch.from_numpy(np.array(expected)))

    def test_edges_have_a_finite_gradient(self) -> None:
        x = random(2, 1, 6, 6)
        x[0] = 0.5
        x.requires_grad_()
        edge_map(None, x, self.target, create_graph=True).sum().backward()
        assert x.grad is not None and torch.isfinite(x.grad).all() and x.grad[1].abs().sum() > 0
        assert not edge_map(None, x, self.target).requires_grad

    def test_a_random_map_is_normal_noise_of_its_image(self) -> None:
        x = random(2, 3, 40, 40)
        noise = random_map(None, x, self.target, generator=SampleDraws(0, (3, 4)))
        assert noise.shape == x.shape and noise.dtype == x.dtype
        assert scipy.stats.kstest(noise.flatten(), "norm").pvalue > 0.01
        assert torch.equal(random_map(None, x[1:], self.target[1:], generator=SampleDraws(0, (4,))), noise[1:])

    def test_a_random_map_cannot_be_differentiated(self) -> None:
        with pytest.raises(InputError, match="random_map does not depend on the image"):
            random_map(None, random(1, 1, 2, 2), self.target[:1], create_graph=True)
