"""Relative stability: identities and limits, an independent numpy reference, properties, bad input."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics.stability import relative_stability
from pellucid.saliency import SmoothGrad, VanillaGradient

from .conftest import exactly_half, random, stability_network as network, stability_setting as setting


def linear() -> nn.Sequential:
    with randomness.fork(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(128, 4)).double().eval()


def last_pixel(x: Tensor) -> Tensor:
    """Class 1 where the last pixel is above a half, class 0 elsewhere."""
    return torch.stack([torch.ones_like(x[:, 0, -1, -1]), 2 * (x[:, 0, -1, -1] > 0.5).to(x.dtype)], 1)


class Skipping(nn.Sequential):
    """Runs its first layer, whose output is a tuple, and not its second."""

    def __init__(self) -> None:
        class Pair(nn.Module):
            def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
                return x, x

        super().__init__(Pair(), nn.Identity())
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self[0](x)[0].flatten(1)[:, :4]


class TestIdentities:
    def test_linear_network_has_a_constant_map(self) -> None:
        model, x = linear(), random(5, 2, 8, 8)
        target = model(x).argmax(1)
        value = relative_stability(model, x, target, VanillaGradient(), sigma=0.001)
        assert value["ris"].tolist() == [0] * 5
        assert value["ros"].tolist() == [0] * 5
        assert value["coverage"].tolist() == [1] * 5

    def test_map_equal_to_the_image_has_ris_1(self) -> None:
        model, x, target = setting()
        value = relative_stability(model, x, target, lambda model, x, target: 3 * x)
        torch.testing.assert_close(value["ris"], torch.ones(4).double())

    def test_map_equal_to_the_logits_has_ros_1(self) -> None:
        model, x, target = setting()

        def as_logits(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
            return torch.nn.functional.pad(model(x).detach(), (0, 60)).view(-1, 1, 8, 8)

        value = relative_stability(model, x, target, as_logits)
        torch.testing.assert_close(value["ros"], torch.ones(4).double())

    def test_clipped_to_valid_pixels(self) -> None:
        seen: list[Tensor] = []

        def record(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
            seen.append(x.clone())
            return x

        model, x, target = setting()
        relative_stability(model, x, target, record, sigma=0.5, draws=3)
        assert len(seen) == 4
        noisy = torch.stack(seen[1:])
        assert noisy.min() == 0
        assert noisy.max() == 1

    def test_noise_has_the_standard_deviation(self) -> None:
        seen: list[Tensor] = []

        def record(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
            seen.append(x.clone())
            return x

        x = torch.full((4, 2, 32, 32), 0.5, dtype=torch.float64)
        relative_stability(network(), x, torch.zeros(4, dtype=torch.int64), record, draws=8)
        noise = torch.stack(seen[1:]) - 0.5
        assert noise.std().item() == pytest.approx(0.05, rel=0.02)
        assert noise.mean().item() == pytest.approx(0, abs=0.001)
        assert not torch.equal(noise[0], noise[1])

    def test_coverage_and_nan(self) -> None:
        x = torch.zeros(2, 1, 4, 4).double()
        x[0, 0, -1, -1], x[1, 0, -1, -1] = 0.5, 0.1
        target, identity = torch.tensor([0, 0]), lambda model, x, target: x
        value = relative_stability(last_pixel, x, target, identity, draws=400)
        assert 0.4 < value["coverage"][0] < 0.6
        assert value["coverage"][1] == 1
        assert value["ris"].isfinite().all()

        value = relative_stability(exactly_half, x, target, identity)
        assert value["ris"].isnan().tolist() == [True, False]
        assert value["ros"].isnan().tolist() == [True, False]
        assert value["coverage"].tolist() == [0, 1]

    def test_prediction_may_differ_from_the_target(self) -> None:
        model, x, target = setting()
        other = (target + 1) % 4
        value = relative_stability(model, x, other, VanillaGradient())
        assert torch.equal(value["coverage"], relative_stability(model, x, target, VanillaGradient())["coverage"])
        assert value["ris"].isfinite().all()

    def test_black_images_and_empty_maps(self) -> None:
        model, x, target = setting()
        black = torch.zeros_like(x)
        label = model(black).argmax(1)
        kept = relative_stability(model, black, label, VanillaGradient(), sigma=1e-6)
        assert kept["ris"].tolist() == [0] * 4
        assert (kept["ros"] > 0).all()

        always_zero = relative_stability(model, x, target, lambda model, x, target: torch.zeros_like(x))
        assert always_zero["ris"].tolist() == [0] * 4
        assert always_zero["ros"].tolist() == [0] * 4

        def zero_on_clean(model: nn.Module, image: Tensor, target: Tensor) -> Tensor:
            return torch.zeros_like(x) if torch.equal(image, x) else torch.ones_like(x)

        undefined = relative_stability(model, x, target, zero_on_clean, sigma=0.001)
        assert undefined["ris"].isnan().all()
        assert undefined["coverage"].tolist() == [1] * 4

    def test_constant_logits_meet_the_floor(self) -> None:
        x, target, draws = random(2, 1, 4, 4), torch.tensor([0, 1]), SampleDraws(0, (0, 1))
        constant = lambda x: torch.tensor([[3.0, 4.0]]).double().expand(len(x), 2)
        low, high = (
            relative_stability(
                constant, x, target, lambda model, x, target: x, draws=1, eps_min=eps_min, generator=draws
            )
            for eps_min in (1e-6, 1e-3)
        )
        noisy = (x + 0.05 * draws.of("stability/0").normal(x.shape)).clamp(0, 1)
        change = (noisy - x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
        torch.testing.assert_close(low["ros"], change / 1e-6)
        torch.testing.assert_close(high["ros"], change / 1e-3)
        torch.testing.assert_close(high["ris"], torch.ones(2).double())


class TestReference:
    """OpenXAI's formula, one image and one draw at a time, in numpy but for the network."""

    @settings(max_examples=25, deadline=None)
    @given(
        n=st.integers(1, 4), draws=st.integers(1, 6), sigma=st.sampled_from([0.01, 0.1, 0.6]),
        eps_min=st.sampled_from([1e-6, 0.3]), seed=st.integers(0, 1000),
    )  # fmt: skip
    def test_random_settings(self, n: int, draws: int, sigma: float, eps_min: float, seed: int) -> None:
        model, x, target = setting(n, seed)
        source = SampleDraws(seed, tuple(range(n)))
        value = relative_stability(
            model, x, target, VanillaGradient(), sigma=sigma, draws=draws, eps_min=eps_min, generator=source
        )

        def f(image: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return model(torch.from_numpy(image)[None])[0].numpy()

        def e(image: np.ndarray, t: int) -> np.ndarray:
            leaf = torch.from_numpy(image)[None].requires_grad_()
            (gradient,) = torch.autograd.grad(model(leaf)[0, t], leaf)
            return gradient[0].numpy()

        def change(a: np.ndarray, b: np.ndarray) -> float:
            return float(np.sqrt(((a - b) ** 2).sum()) / np.sqrt((a**2).sum()))

        for i in range(n):
            clean, t = x[i].numpy(), int(target[i])
            ris, ros, kept = [], [], 0
            for draw in range(draws):
                noise = source.of(f"stability/{draw}").normal(x.shape)[i].double().numpy()
                noisy = np.clip(clean + sigma * noise, 0, 1)
                if f(noisy).argmax() != f(clean).argmax():
                    continue
                kept += 1
                numerator = change(e(clean, t), e(noisy, t))
                ris.append(numerator / max(change(clean, noisy), eps_min))
                ros.append(numerator / max(change(f(clean), f(noisy)), eps_min))
            expected = (max(ris), max(ros)) if kept else (math.nan, math.nan)
            got = (value["ris"][i].item(), value["ros"][i].item())
            assert got == pytest.approx(expected, rel=1e-9, nan_ok=True)
            assert value["coverage"][i].item() == pytest.approx(kept / draws)


class TestProperties:
    @settings(max_examples=15, deadline=None)
    @given(order=st.permutations(range(5)), count=st.integers(1, 5))
    def test_batch_mates_never_matter(self, order: list[int], count: int) -> None:
        model, x, target = setting(5)
        index, explain = (11, 5, 900, 0, 7), SmoothGrad(samples=2)
        everyone = relative_stability(model, x, target, explain, draws=3, generator=SampleDraws(4, index))
        chosen = order[:count]
        some = relative_stability(
            model, x[chosen], target[chosen], explain, draws=3,
            generator=SampleDraws(4, tuple(index[i] for i in chosen)),
        )  # fmt: skip
        for name, value in some.items():
            torch.testing.assert_close(value, everyone[name][chosen], rtol=1e-9, atol=1e-12, equal_nan=True)

    @settings(max_examples=10, deadline=None)
    @given(scale=st.floats(1e-6, 1e6))
    def test_scale_of_the_map_does_not_matter(self, scale: float) -> None:
        model, x, target = setting()
        draws = SampleDraws(0, (0, 1, 2, 3))
        vanilla = VanillaGradient()
        scaled = lambda *arguments: vanilla(*arguments) * scale
        one = relative_stability(model, x, target, vanilla, draws=3, generator=draws)
        other = relative_stability(model, x, target, scaled, draws=3, generator=draws)
        torch.testing.assert_close(one["ris"], other["ris"], rtol=1e-9, atol=0)

    def test_more_draws_never_lower_the_maximum(self) -> None:
        model, x, target = setting()
        draws = SampleDraws(0, (0, 1, 2, 3))
        few = relative_stability(model, x, target, VanillaGradient(), draws=3, sigma=0.01, generator=draws)
        many = relative_stability(model, x, target, VanillaGradient(), draws=12, sigma=0.01, generator=draws)
        assert (many["ris"] >= few["ris"]).all()
        assert (many["ros"] >= few["ros"]).all()

    @pytest.mark.parametrize("kind", ["draws", "generator", "none"])
    def test_a_saliency_draws_the_same_numbers_for_every_image(self, kind: str) -> None:
        seen: list[Tensor] = []

        def noise_map(model: nn.Module, x: Tensor, target: Tensor, *, generator: randomness.Generator) -> Tensor:
            seen.append(randomness.normal(x.shape, generator))
            return seen[-1].double()

        model, x, target = setting()
        generator = {
            "draws": SampleDraws(0, (0, 1, 2, 3)), "generator": torch.Generator().manual_seed(0), "none": None,
        }[kind]  # fmt: skip
        value = relative_stability(model, x, target, noise_map, sigma=1e-4, draws=3, generator=generator)
        assert len(seen) == 4
        assert all(torch.equal(seen[0], other) for other in seen[1:])
        assert value["ris"].tolist() == [0] * 4

    def test_numbers_depend_on_the_generator_alone(self) -> None:
        model, x, target = setting()
        value = lambda seed: relative_stability(
            model, x, target, SmoothGrad(samples=2), draws=2, generator=torch.Generator().manual_seed(seed)
        )["ris"]
        assert torch.equal(value(1), value(1))
        assert not torch.equal(value(1), value(2))
        before = torch.get_rng_state()
        relative_stability(model, x, target, VanillaGradient(), generator=SampleDraws(0, (0, 1, 2, 3)))
        assert torch.equal(before, torch.get_rng_state())

    def test_nothing_of_the_caller_changes(self) -> None:
        model, x, target = setting()
        x.requires_grad_()
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        kept = copy.deepcopy((x, target, model.state_dict()))
        value = relative_stability(model, x, target, VanillaGradient())
        assert not any(one.requires_grad for one in value.values())
        assert x.grad is None
        assert torch.equal(x, kept[0])
        assert torch.equal(target, kept[1])
        assert all(torch.equal(now, kept[2][name]) for name, now in model.state_dict().items())
        assert all(torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters() if p.grad is not None)
        assert all(p.grad is not None for p in model.parameters())
        assert not any(module.training for module in model.modules())

    def test_dtype_is_the_images(self) -> None:
        model, x, target = setting()
        draws = SampleDraws(0, (0, 1, 2, 3))
        double = relative_stability(model, x, target, VanillaGradient(), generator=draws)
        single = relative_stability(model.float(), x.float(), target, VanillaGradient(), generator=draws)
        for name, value in single.items():
            assert value.dtype == torch.float32
            torch.testing.assert_close(value.double(), double[name], rtol=1e-3, atol=1e-6)


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"sigma": 0.0}, "sigma must be above 0, got 0.0"),
            ({"sigma": math.nan}, "sigma must be above 0, got nan"),
            ({"draws": 0}, "draws must be above 0, got 0"),
            ({"eps_min": -1.0}, "eps_min must be above 0, got -1.0"),
            ({"x": random(4, 2, 8, 8) * 255}, r"pixels must be in \[0, 1\]"),
            ({"target": torch.tensor([0, 1, 2, 4])}, r"classes must be in \[0, 3\], got values from 0 to 4"),
            ({"model": network().train()}, "network must be in eval mode"),
            ({"model": lambda x: x.mean((2, 3)) * math.nan}, "logits must be finite, got nan"),
            ({"saliency": lambda model, x, target: x * math.inf}, "attribution must be finite, got"),
            ({"saliency": lambda model, x, target: x[:2]}, r"must return a tensor like the images \(4, 2, 8, 8\)"),
            ({"saliency": "gradient"}, "saliency.*got 'gradient'"),
            ({"form": "ratio"}, "form must be norm, elementwise, both, got 'ratio'"),
            ({"noise": "salt"}, "noise must be one of gaussian, uniform, one-sided, got 'salt'"),
            ({"noise": "one-sided", "between": (0.2, 0.1)}, "between must be 0 <= lowest < highest, got"),
            (
                {"layer": "conv9"},
                "layer must be penultimate or one of the network's \\(0, 1, 2, 3, 4, 5, 6\\), got 'conv9'",
            ),
            (
                {"layer": "0", "model": lambda x: x.mean((2, 3))},
                "layer must be penultimate or one of the network's \\(none",
            ),
            (
                {"layer": "penultimate", "model": Skipping()},
                "what the last layer with parameters reads, got a network of",
            ),
            ({"layer": "1", "model": Skipping()}, "layer '1' has no output"),
            ({"layer": "0", "model": Skipping()}, "layer '0' must return a tensor with one row for each of 4 images"),
        ],
    )
    def test_one_sentence(self, change: dict[str, Any], message: str) -> None:
        model, x, target = setting()
        given = {"model": model, "x": x, "target": target, "saliency": VanillaGradient()} | change
        with pytest.raises(InputError, match=message):
            relative_stability(**given)
