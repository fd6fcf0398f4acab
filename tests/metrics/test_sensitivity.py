"""Local Lipschitz estimate and max-sensitivity: known functions, Captum, properties, bad input."""

import math
from typing import Any

import pytest
import torch
from captum.metrics import sensitivity_max
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics.perturbation import noisy_image
from pellucid.metrics.sensitivity import local_lipschitz, max_sensitivity
from pellucid.saliency import SmoothGrad, VanillaGradient

from .conftest import random

BOTH = [local_lipschitz, max_sensitivity]


def setting(n: int = 4, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    with randomness.fork(seed):
        model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 4))
    return model.double().eval(), random(n, 2, 8, 8, seed=seed), torch.arange(n) % 4


class TestKnownFunctions:
    def test_gradient_of_half_the_square_is_the_image(self) -> None:
        # e(x) = 3 x has the Lipschitz constant 3 everywhere.
        square = lambda x: torch.stack([1.5 * x.square().sum((1, 2, 3)), x.sum((1, 2, 3))], 1)
        x, target = random(3, 2, 6, 6), torch.zeros(3).long()
        torch.testing.assert_close(
            local_lipschitz(square, x, target, VanillaGradient()), torch.full((3,), 3.0).double()
        )

    def test_never_above_the_largest_eigenvalue_and_close_to_it_in_one_dimension(self) -> None:
        curved = lambda x: torch.stack([x[:, 0, 0, 0] ** 3, x[:, 0, 0, 0]], 1)
        x, target = torch.full((1, 1, 1, 1), 0.5).double(), torch.tensor([0])
        value = local_lipschitz(curved, x, target, VanillaGradient(), radius=0.01, draws=200)
        assert 3.025 < value.item() <= 6 * 0.505 + 1e-9

    @pytest.mark.parametrize("measure", BOTH)
    def test_linear_network(self, measure: Any) -> None:
        model = nn.Sequential(nn.Flatten(), nn.Linear(128, 4)).double().eval()
        x, target = random(4, 2, 8, 8), torch.arange(4)
        assert measure(model, x, target, VanillaGradient()).tolist() == [0] * 4

    def test_zero_map_of_the_clean_image(self) -> None:
        model, x, target = setting()
        given = lambda model, image, target: torch.zeros_like(x) if torch.equal(image, x) else torch.full_like(x, 2.0)
        torch.testing.assert_close(max_sensitivity(model, x, target, given), torch.full((4,), 2 * 128**0.5).double())

    def test_an_image_that_no_draw_changes(self) -> None:
        class Down:
            def of(self, purpose: str) -> "Down":
                return self

            def uniform(self, shape: Any, *, device: Any = "cpu") -> Tensor:
                return torch.zeros(*shape, device=device)

            def normal(self, shape: Any, *, device: Any = "cpu") -> Tensor:
                return torch.zeros(*shape, device=device)

        model, x, target = setting()
        black = torch.zeros_like(x)
        assert local_lipschitz(model, black, target, VanillaGradient(), generator=Down()).tolist() == [0] * 4


class TestReference:
    @settings(max_examples=15, deadline=None)
    @given(n=st.integers(1, 4), draws=st.integers(1, 5), radius=st.sampled_from([0.02, 0.3]), seed=st.integers(0, 999))
    def test_captum_on_the_same_images(self, n: int, draws: int, radius: float, seed: int) -> None:
        model, x, target = setting(n, seed)
        source = SampleDraws(seed, tuple(range(n)))
        noisy = [
            noisy_image(x, source.of(f"stability/{draw}"), noise="uniform", sigma=radius / 3**0.5)
            for draw in range(draws)
        ]
        assert max(float((one - x).abs().max()) for one in noisy) <= radius + 1e-12

        def explain(images: Tensor, target: Tensor) -> Tensor:
            with torch.enable_grad():  # Captum calls it under no_grad,
                # and repeats the classes of a batch, but not that of a single image.
                return VanillaGradient()(model, images, target.expand(len(images)))

        def as_given(images: Any, target: Tensor) -> Any:
            # Captum hands over a tuple for the clean images, and iterates over what comes back.
            return (explain(images[0], target),) if isinstance(images, tuple) else explain(images, target)

        expected = sensitivity_max(
            as_given, x, perturb_func=lambda repeated: torch.stack(noisy, 1).flatten(0, 1), n_perturb_samples=draws,
            target=target,
        )  # fmt: skip
        given = {"radius": radius, "draws": draws, "generator": source}
        value = max_sensitivity(model, x, target, VanillaGradient(), **given)
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)

        clean = explain(x, target)
        for i, got in enumerate(local_lipschitz(model, x, target, VanillaGradient(), **given).tolist()):
            steps = [float((explain(one, target)[i] - clean[i]).norm() / (one[i] - x[i]).norm()) for one in noisy]
            assert got == pytest.approx(max(steps), rel=1e-9)


class TestProperties:
    @pytest.mark.parametrize("measure", BOTH)
    @settings(max_examples=10, deadline=None)
    @given(order=st.permutations(range(5)), count=st.integers(1, 5))
    def test_batch_mates_never_matter(self, measure: Any, order: list[int], count: int) -> None:
        model, x, target = setting(5)
        chosen, index = order[:count], (11, 5, 900, 0, 7)
        everyone = measure(model, x, target, SmoothGrad(samples=2), draws=2, generator=SampleDraws(4, index))
        some = measure(
            model, x[chosen], target[chosen], SmoothGrad(samples=2), draws=2,
            generator=SampleDraws(4, tuple(index[i] for i in chosen)),
        )  # fmt: skip
        torch.testing.assert_close(some, everyone[chosen], rtol=1e-7, atol=1e-12)

    @settings(max_examples=10, deadline=None)
    @given(scale=st.floats(1e-6, 1e6))
    def test_scale_of_the_map(self, scale: float) -> None:
        model, x, target = setting()
        vanilla, given = VanillaGradient(), {"draws": 2, "generator": SampleDraws(0, (0, 1, 2, 3))}
        scaled = lambda *arguments: vanilla(*arguments) * scale
        one, other = (max_sensitivity(model, x, target, explain, **given) for explain in (vanilla, scaled))
        torch.testing.assert_close(one, other, rtol=1e-9, atol=0)
        one, other = (local_lipschitz(model, x, target, explain, **given) for explain in (vanilla, scaled))
        torch.testing.assert_close(one * scale, other, rtol=1e-9, atol=0)

    @pytest.mark.parametrize("measure", BOTH)
    def test_more_draws_never_lower_it(self, measure: Any) -> None:
        model, x, target = setting()
        few, many = (
            measure(model, x, target, VanillaGradient(), draws=draws, generator=SampleDraws(0, (0, 1, 2, 3)))
            for draws in (2, 9)
        )
        assert (many >= few).all() and (many > few).any()

    @pytest.mark.parametrize("measure", BOTH)
    def test_nothing_of_the_caller_changes(self, measure: Any) -> None:
        model, x, target = setting()
        model, x = model.float(), x.float().requires_grad_()
        before = x.detach().clone()
        value = measure(model, x, target, VanillaGradient(), draws=2)
        assert (value.dtype, value.shape, value.requires_grad) == (torch.float32, (4,), False)
        assert torch.equal(x, before) and x.grad is None
        assert all(parameter.grad is None for parameter in model.parameters())

    @pytest.mark.parametrize("measure", BOTH)
    def test_one_forward_pass_besides_the_explanations(self, measure: Any) -> None:
        model, x, target = setting()
        calls: list[int] = []
        handle = model.register_forward_hook(lambda *_: calls.append(1))
        measure(model, x, target, lambda model, x, target: x, draws=5)
        handle.remove()
        assert len(calls) == 1


class TestBadInput:
    @pytest.mark.parametrize("measure", BOTH)
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"radius": 0.0}, "radius must be above 0, got 0.0"),
            ({"radius": math.nan}, "radius must be above 0, got nan"),
            ({"draws": 0}, "draws must be above 0, got 0"),
            ({"x": random(4, 2, 8, 8) * 2}, r"pixels must be in \[0, 1\]"),
            ({"target": torch.tensor([0, 1, 2, 4])}, r"classes must be in \[0, 3\]"),
            ({"saliency": lambda model, x, target: x * math.nan}, "attribution must be finite, got nan"),
        ],
    )
    def test_one_sentence(self, measure: Any, change: dict[str, Any], message: str) -> None:
        model, x, target = setting()
        with pytest.raises(InputError, match=message):
            measure(**{"model": model, "x": x, "target": target, "saliency": VanillaGradient()} | change)
