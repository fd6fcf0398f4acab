"""Relative stability's forms and layers: quantus's numbers, a loop over images, networks that have a layer, batches."""

import copy
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics.perturbation import Noise, NoisyCopies, noisy_image
from pellucid.metrics.stability import relative_stability
from pellucid.models import Network, build
from pellucid.saliency import VanillaGradient

from .conftest import exactly_half, random, stability_setting as setting


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
        copies = NoisyCopies(
            model, x, torch.tensor([0, 1]), lambda model, x, target: x, generator=SampleDraws(0, (0, 1))
        )
        clean, noisy = copies.observe(noise="gaussian", sigma=0.1, between=(0, 1), draws=1, layer="penultimate")
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
