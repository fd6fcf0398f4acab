"""Relative stability: identities and limits, an independent numpy reference, properties, bad input."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pellucid import randomness
from pellucid.errors import InputError
from pellucid.metrics.perturbation import Noise, noisy_image, observations
from pellucid.metrics.stability import relative_stability
from pellucid.models import Network, build
from pellucid.randomness import SampleDraws
from pellucid.saliency import SmoothGrad, VanillaGradient


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(seed: int = 0, channels: int = 2) -> nn.Sequential:
    with randomness.fork(seed):
        layers = nn.Sequential(
            nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Dropout(), nn.Linear(24, 4),
        )  # fmt: skip
    return layers.double().eval()


def setting(n: int = 4, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    model, x = network(seed), random(n, 2, 8, 8, seed=seed)
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def linear() -> nn.Sequential:
    with randomness.fork(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(128, 4)).double().eval()


def last_pixel(x: Tensor) -> Tensor:
    """Class 1 where the last pixel is above a half, class 0 elsewhere."""
    return torch.stack([torch.ones_like(x[:, 0, -1, -1]), 2 * (x[:, 0, -1, -1] > 0.5).to(x.dtype)], 1)


def exactly_half(x: Tensor) -> Tensor:
    """Class 0 only where the last pixel is a half to the last digit: every draw leaves it."""
    return torch.stack([torch.ones_like(x[:, 0, -1, -1]), 2 * (x[:, 0, -1, -1] != 0.5).to(x.dtype)], 1)


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


class Waves:
    """Draws without chance, so that stored numbers depend on no generator."""

    def __init__(self, phase: int = 0) -> None:
        self.phase = phase

    def of(self, purpose: str) -> "Waves":
        return Waves(self.phase + sum(map(ord, purpose)))

    def normal(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        return 1.5 * torch.sin(1.3 * torch.arange(math.prod(shape), dtype=torch.float64) + self.phase).view(*shape)

    def uniform(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        return (self.normal(shape) / 1.5 + 1) / 2


def known() -> tuple[nn.Sequential, Tensor, Tensor]:
    """A network and images from formulas; two images have pixels that are exactly 0."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)).double().eval()
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.sin(torch.arange(parameter.numel()) * 2.7 + i).view(parameter.shape))
    x = ((torch.sin(torch.arange(48, dtype=torch.float64) * 0.9) + 1) / 2).view(3, 1, 4, 4)
    x[:2, :, 0, :2] = 0
    return model, x, torch.tensor([0, 2, 1])


def gradient_times_image(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    return VanillaGradient()(model, x, target) * x


FORMS = {"ris", "ros", "rrs"}
NOISES: list[Noise] = ["gaussian", "uniform", "one-sided"]


# Of quantus 0.6.0, on what TestElementwise.arrays gives, float64:
#   RelativeInputStability().relative_input_stability_objective(x, noisy, e, e_noisy)
#   RelativeOutputStability().relative_output_stability_objective(f, f_noisy, e, e_noisy)
#   RelativeRepresentationStability().relative_representation_stability_objective(l, l_noisy, e, e_noisy)
# and the maximum over the four draws.
QUANTUS = {
    "gaussian": {
        "ris": [1.0000000000000002, 1.0, 1.0000000000000002],
        "ros": [107490.22298989583, 386307.6583920222, 887.8269927943903],
        "rrs": [56680.758650956115, 50747.55329433224, 54.08516367163089],
    },
    "uniform": {
        "ris": [1.0000000000000002, 1.0, 1.0000000000000002],
        "ros": [101603.48359282744, 344181.6343946946, 561.5866624516498],
        "rrs": [56320.076315618564, 50161.8830781668, 48.26246189875379],
    },
    "one-sided": {
        "ris": [0.44064470022208346, 0.764855134473226, 1.0000000000000002],
        "ros": [1061540.128986902, 1337690.5143084773, 2023.9881275352209],
        "rrs": [558638.4927591615, 806869.4004717373, 154.4908840903985],
    },
}


class TestElementwise:
    @staticmethod
    def arrays(noise: Noise, draw: int) -> dict[str, np.ndarray]:
        model, x, target = known()
        noisy = noisy_image(x, Waves().of(f"stability/{draw}"), noise=noise, sigma=0.02, between=(0.01, 0.03))
        with torch.no_grad():
            numbers = {"x": x, "noisy": noisy, "f": model(x), "f_noisy": model(noisy)}
            hidden = model[:2](x), model[:2](noisy)
        numbers |= {"l": hidden[0], "l_noisy": hidden[1], "e": gradient_times_image(model, x, target)}
        numbers["e_noisy"] = gradient_times_image(model, noisy, target)
        return {name: value.numpy() for name, value in numbers.items()}

    @pytest.mark.parametrize("noise", NOISES)
    def test_equals_quantus(self, noise: Noise) -> None:
        model, x, target = known()
        value = relative_stability(
            model, x, target, gradient_times_image, form="elementwise", layer="1", noise=noise, sigma=0.02,
            between=(0.01, 0.03), draws=4, generator=Waves(),
        )  # fmt: skip
        assert value["coverage"].tolist() == [1] * 3
        for name, expected in QUANTUS[noise].items():
            assert value[f"{name}_elementwise"].tolist() == pytest.approx(expected, rel=1e-9)

    @settings(max_examples=15, deadline=None)
    @given(
        noise=st.sampled_from(NOISES), draws=st.integers(1, 4), seed=st.integers(0, 1000),
        eps_min=st.sampled_from([1e-6, 0.3]),
    )  # fmt: skip
    def test_written_again(self, noise: Noise, draws: int, seed: int, eps_min: float) -> None:
        model, x, target = setting(3, seed)
        x = x * (x > 0.3)
        source = SampleDraws(seed, (0, 1, 2))
        value = relative_stability(
            model, x, target, gradient_times_image, form="elementwise", layer="0", noise=noise, sigma=0.2, draws=draws,
            eps_min=eps_min, generator=source,
        )  # fmt: skip

        def size(a: Tensor, b: Tensor) -> float:
            return math.sqrt(sum(((p - q) / (p or eps_min)) ** 2 for p, q in zip(a.ravel(), b.ravel(), strict=True)))

        with torch.no_grad():
            f, hidden = model(x), model[0](x)
        e = gradient_times_image(model, x, target)
        worst = {name: [math.nan] * 3 for name in FORMS}
        for draw in range(draws):
            noisy = noisy_image(x, source.of(f"stability/{draw}"), noise=noise, sigma=0.2)
            with torch.no_grad():
                f_noisy, hidden_noisy = model(noisy), model[0](noisy)
            e_noisy = gradient_times_image(model, noisy, target)
            for i in range(3):
                if f[i].argmax() != f_noisy[i].argmax():
                    continue
                above = size(e[i].numpy(), e_noisy[i].numpy())
                below = {
                    "ris": size(x[i].numpy(), noisy[i].numpy()),
                    "rrs": size(hidden[i].numpy(), hidden_noisy[i].numpy()),
                    "ros": float((f[i] - f_noisy[i]).norm()),
                }
                for name in FORMS:
                    worst[name][i] = np.fmax(worst[name][i], above / (below[name] or eps_min))
        for name in FORMS:
            assert value[f"{name}_elementwise"].tolist() == pytest.approx(worst[name], rel=1e-9, nan_ok=True)

    def test_ruled_by_pixels_near_zero_where_the_norm_form_is_not(self) -> None:
        # peers.md 3: one pixel that goes from 1e-9 to 1e-4 in a map of ones.
        model, x, target = setting(1)
        maps = [torch.ones_like(x), torch.ones_like(x)]
        maps[0][0, 0, 0, 0], maps[1][0, 0, 0, 0] = 1e-9, 1e-4
        given = lambda model, image, target: maps[0] if torch.equal(image, x) else maps[1]
        value = relative_stability(model, x, target, given, form="both", sigma=1e-3, generator=SampleDraws(0, (0,)))
        assert value["ros_elementwise"] > 1e6
        assert value["ris"] < 1e-1

    def test_all_zero_maps_images_and_logits_are_defined(self) -> None:
        model, x, target = known()
        zero = lambda model, x, target: torch.zeros_like(x)
        value = relative_stability(model, x, target, zero, form="elementwise", layer="1", sigma=1e-3)
        assert all(value[f"{name}_elementwise"].tolist() == [0] * 3 for name in FORMS)
        constant = lambda x: torch.tensor([[3.0, 4.0, 4.5]]).double().expand(len(x), 3)
        value = relative_stability(constant, torch.zeros_like(x), target, lambda model, x, target: x, form="both")
        torch.testing.assert_close(value["ris_elementwise"], torch.ones(3).double())
        assert value["ros_elementwise"].isfinite().all() and (value["ros_elementwise"] > 1e6).all()

    def test_too_large_for_single_precision_squares(self) -> None:
        model, x, target = setting()
        model, x = model.float(), x.float()
        given = lambda model, image, target: torch.full_like(x, 1e-25 if torch.equal(image, x) else 1.0)
        value = relative_stability(model, x, target, given, form="elementwise", sigma=1e-3)
        assert value["ris_elementwise"].isfinite().all()
        assert (value["ris_elementwise"] > 1e24).all()


class TestFormsAndLayers:
    @pytest.mark.parametrize("noise", NOISES)
    def test_one_pass_gives_what_two_give(self, noise: Noise) -> None:
        model, x, target = setting()
        result = {
            form: relative_stability(
                model, x, target, VanillaGradient(), form=form, layer="2", noise=noise, sigma=0.2, draws=3,
                generator=SampleDraws(1, (0, 1, 2, 3)),
            )
            for form in ("norm", "elementwise", "both")
        }  # fmt: skip
        assert set(result["norm"]) == FORMS | {"coverage"}
        assert set(result["elementwise"]) == {f"{name}_elementwise" for name in FORMS} | {"coverage"}
        both = result["norm"] | result["elementwise"]
        assert set(result["both"]) == set(both)
        for name, value in result["both"].items():
            torch.testing.assert_close(value, both[name], rtol=0, atol=0, equal_nan=True)

    def test_one_pass_explains_each_image_once(self) -> None:
        calls: list[int] = []

        def count(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
            calls.append(len(x))
            return x

        model, x, target = setting()
        relative_stability(model, x, target, count, form="both", layer="2", draws=5)
        assert calls == [4] * 6

    def test_map_equal_to_the_representation_has_rrs_1(self) -> None:
        model, x, target = setting()

        def as_hidden(model: nn.Sequential, x: Tensor, target: Tensor) -> Tensor:
            with torch.no_grad():
                return torch.nn.functional.pad(model[:5](x), (0, 40)).view(-1, 1, 8, 8)

        value = relative_stability(model, x, target, as_hidden, layer="4", sigma=0.01)
        torch.testing.assert_close(value["rrs"], torch.ones(4).double())

    def test_an_in_place_layer_that_follows_changes_nothing(self) -> None:
        model, x, target = known()
        separate = copy.deepcopy(model)
        separate[2] = nn.ReLU().eval()
        given = {"form": "both", "layer": "1", "sigma": 0.02, "generator": SampleDraws(0, (0, 1, 2))}
        one = relative_stability(model, x, target, VanillaGradient(), **given)
        other = relative_stability(separate, x, target, VanillaGradient(), **given)
        assert all(torch.equal(one[name], other[name]) for name in one)

        rectified = relative_stability(model, x, target, VanillaGradient(), **given | {"layer": "2"})
        assert not torch.equal(one["rrs_elementwise"], rectified["rrs_elementwise"])

    def test_a_layer_run_twice_gives_its_last_output(self) -> None:
        model, x, target = setting()
        twice = nn.Sequential(model, nn.Identity(), nn.Tanh())
        twice.append(twice[2]).eval()
        value = relative_stability(twice, x, target, VanillaGradient(), layer="2", sigma=0.01, generator=Waves())
        torch.testing.assert_close(value["rrs"], value["ros"])

    @pytest.mark.parametrize(
        ("name", "shape", "last", "features"),
        [
            ("lenet5", (1, 28, 28), "network.fc3", 84),
            ("resnet18", (3, 8, 8), "network.fc", 512),
            ("vgg16", (3, 32, 32), "network.classifier", 512),
            ("wrn28-10", (3, 8, 8), "network.fc", 640),
        ],
    )
    def test_penultimate_is_what_the_last_layer_reads(
        self, name: str, shape: tuple[int, int, int], last: str, features: int
    ) -> None:
        mean = [0.5] * shape[0]
        with randomness.fork(0):
            model = build(Network(name=name), classes=7, shape=shape, mean=mean, std=mean).eval()
        x = random(2, *shape).float()
        clean, noisy = observations(
            model, x, torch.tensor([0, 1]), lambda model, x, target: x, noise="gaussian", sigma=0.1, between=(0, 1),
            draws=1, layer="penultimate", generator=SampleDraws(0, (0, 1)),
        )  # fmt: skip
        with torch.no_grad():
            for seen in (clean, noisy):
                assert seen.hidden.shape == (2, features)
                torch.testing.assert_close(model.get_submodule(last)(seen.hidden), seen.logits)
        assert not torch.equal(clean.hidden, noisy.hidden)

    def test_penultimate_of_a_users_network(self) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.body = nn.Sequential(nn.Flatten(), nn.Linear(128, 16), nn.Tanh())
                self.out = nn.Linear(16, 4)

            def forward(self, x: Tensor) -> Tensor:
                logits: Tensor = self.out(input=self.body(x))
                return logits

        with randomness.fork(0):
            model = Own().double().eval()
        x, target = random(4, 2, 8, 8), torch.arange(4)
        one, other = (
            relative_stability(
                model, x, target, VanillaGradient(), form="both", layer=layer, generator=SampleDraws(0, (0, 1, 2, 3))
            )
            for layer in ("penultimate", "body")
        )
        assert set(one) > FORMS
        for key, value in one.items():
            torch.testing.assert_close(value, other[key], rtol=0, atol=0, equal_nan=True)

    def test_a_layer_of_that_name_comes_first(self) -> None:
        with randomness.fork(0):
            named = nn.Sequential()
            named.add_module("flat", nn.Flatten())
            named.add_module("penultimate", nn.Linear(128, 16))
            named.add_module("tanh", nn.Tanh())
            named.add_module("last", nn.Linear(16, 4))
        x, target = random(3, 2, 8, 8), torch.arange(3)
        found = [
            relative_stability(
                model.double().eval(), x, target, VanillaGradient(), layer=layer, generator=SampleDraws(0, (0, 1, 2))
            )["rrs"]
            for model, layer in ((named, "penultimate"), (nn.Sequential(*named), "1"), (nn.Sequential(*named), "2"))
        ]
        assert torch.equal(found[0], found[1])
        assert not torch.equal(found[0], found[2])

    def test_no_hook_is_left(self) -> None:
        model, x, target = setting()
        relative_stability(model, x, target, VanillaGradient(), layer="0", draws=1)
        relative_stability(model, x, target, VanillaGradient(), layer="penultimate", draws=1)
        with pytest.raises(InputError, match="must be finite"):
            relative_stability(model, x, target, lambda model, x, target: x * math.nan, layer="0")
        assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())

    @pytest.mark.parametrize("form", ["norm", "elementwise"])
    def test_nan_only_where_no_draw_keeps_the_prediction(self, form: str) -> None:
        x = torch.zeros(2, 1, 4, 4).double()
        x[0, 0, -1, -1], x[1, 0, -1, -1] = 0.5, 0.1
        value = relative_stability(exactly_half, x, torch.tensor([0, 0]), lambda model, x, target: x, form=form)
        assert value["coverage"].tolist() == [0, 1]
        for name in value.keys() - {"coverage"}:
            assert value[name].isnan().tolist() == [True, False]

    @settings(max_examples=15, deadline=None)
    @given(order=st.permutations(range(5)), count=st.integers(1, 5), noise=st.sampled_from(NOISES))
    def test_batch_mates_never_matter(self, order: list[int], count: int, noise: Noise) -> None:
        model, x, target = setting(5)
        index, chosen = (11, 5, 900, 0, 7), order[:count]
        call = lambda rows: relative_stability(
            model, x[rows], target[rows], VanillaGradient(), form="both", layer="2", noise=noise, draws=3,
            generator=SampleDraws(4, tuple(index[i] for i in rows)),
        )  # fmt: skip
        everyone, some = call(list(range(5))), call(chosen)
        for name, value in some.items():
            torch.testing.assert_close(value, everyone[name][chosen], rtol=1e-7, atol=1e-12, equal_nan=True)


class TestNoise:
    @pytest.mark.parametrize(
        ("noise", "mean", "deviation", "low", "high"),
        [
            ("gaussian", 0, 0.05, -0.4, 0.4),
            ("uniform", 0, 0.05, -0.05 * 3**0.5, 0.05 * 3**0.5),
            ("one-sided", 0.11, 0.18 / 12**0.5, 0.02, 0.2),
        ],
    )
    def test_moments_and_range(self, noise: Noise, mean: float, deviation: float, low: float, high: float) -> None:
        x = torch.full((4, 2, 64, 64), 0.5, dtype=torch.float64)
        change = noisy_image(x, SampleDraws(0, (0, 1, 2, 3)), noise=noise) - x
        assert change.mean().item() == pytest.approx(mean, abs=0.001)
        assert change.std().item() == pytest.approx(deviation, rel=0.02)
        assert low - 1e-9 <= change.min() and change.max() <= high + 1e-9

    def test_clipped_but_for_the_one_sided(self) -> None:
        x = random(2, 1, 16, 16).round()
        for noise in ("gaussian", "uniform"):
            noisy = noisy_image(x, SampleDraws(0, (0, 1)), noise=noise)
            assert (noisy.min(), noisy.max()) == (0, 1)
        assert noisy_image(x, SampleDraws(0, (0, 1)), noise="one-sided").max() > 1.15

    @pytest.mark.parametrize("noise", NOISES)
    def test_input_untouched_and_dtype_kept(self, noise: Noise) -> None:
        x = random(2, 1, 4, 4).float().requires_grad_()
        before = x.detach().clone()
        noisy = noisy_image(x, torch.Generator().manual_seed(0), noise=noise)
        assert torch.equal(x, before)
        assert (noisy.dtype, noisy.shape, noisy.requires_grad) == (torch.float32, x.shape, False)


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
            ({"noise": "salt"}, "noise must be gaussian, uniform, one-sided, got 'salt'"),
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
