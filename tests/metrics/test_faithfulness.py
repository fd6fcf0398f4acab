"""Perturbation curves: identities and limits, an independent numpy reference, properties, bad input."""

import copy
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics import perturbation_curve, perturbation_curves

from .conftest import SMALL, faithfulness_network as network, faithfulness_setting as setting, logit_of, random

ZERO = torch.tensor([0])


class TestIdentities:
    def test_a_network_that_ignores_the_image_has_no_decay(self) -> None:
        x, target, heatmap = setting()
        constant = torch.linspace(-1, 2, 5, dtype=torch.float64)
        curves = perturbation_curves(lambda x: constant.expand(len(x), 5), x, target, heatmap)
        assert all(torch.equal(curve, torch.zeros(4, 21).double()) for curve in curves.values())

    def test_shape_first_column_and_dtype(self) -> None:
        x, target, heatmap = setting()
        curves = perturbation_curves(network(), x, target, heatmap, **SMALL)
        assert list(curves) == ["morf", "lerf"]
        for curve in curves.values():
            assert curve.shape == (4, 4)
            assert curve.dtype == torch.float64
            assert (curve[:, 0] == 0).all()
            assert (curve[:, 1:] != 0).all()
            assert (curve.abs() <= 1).all()

    def test_everything_replaced_is_the_noise_itself(self) -> None:
        x, target, heatmap = setting()
        model, draws = network(), SampleDraws(3, (0, 1, 2, 3))
        curves = perturbation_curves(
            model, x, target, heatmap, fraction=1, steps=4, repeats=3, region=3, generator=draws
        )
        with torch.no_grad():
            noise = [draws.of(f"perturbation/{repeat}").uniform(x.shape).double() for repeat in range(3)]
            score = lambda image: model(image).softmax(1)[torch.arange(4), target]
            expected = score(x) - torch.stack([score(image) for image in noise]).mean(0)
        torch.testing.assert_close(curves["morf"][:, -1], expected)
        torch.testing.assert_close(curves["lerf"][:, -1], expected)

    def test_only_the_relevant_region_counts(self) -> None:
        # The probability is one pixel's brightness; the map points at it.
        x = random(6, 1, 10, 10).clamp(0.2, 0.8)
        heatmap = torch.zeros(6, 10, 10).double()
        heatmap[:, 4, 7] = 1
        model = logit_of(lambda x: x[:, 0, 4, 7].clamp(1e-6, 1 - 1e-6))
        draws = SampleDraws(0, tuple(range(6)))
        target = torch.zeros(6, dtype=torch.int64)
        curves = perturbation_curves(
            model, x, target, heatmap, fraction=0.5, steps=5, repeats=4, region=1, generator=draws
        )
        assert curves["lerf"].abs().max() < 1e-15
        noise = torch.stack([draws.of(f"perturbation/{r}").uniform(x.shape)[:, 0, 4, 7].double() for r in range(4)])
        expected = x[:, 0, 4, 7] - noise.mean(0)
        torch.testing.assert_close(curves["morf"][:, 1:], expected[:, None].expand(6, 5))

    def test_mean_fill_of_a_linear_probability(self) -> None:
        # p = mean of the image; replacing by the mean pixel loses sum(x_i - mean) / n.
        x = torch.tensor([[0.9, 0.1], [0.5, 0.3]]).double().view(1, 1, 2, 2)
        model = logit_of(lambda x: x.mean((1, 2, 3)))
        curves = perturbation_curves(model, x, ZERO, x[:, 0], fraction=1, steps=4, region=1, fill="mean")
        morf = torch.tensor([[0, 0.45, 0.5, 0.35, 0]]).double() / 4
        lerf = torch.tensor([[0, -0.35, -0.5, -0.45, 0]]).double() / 4
        torch.testing.assert_close(curves["morf"], morf)
        torch.testing.assert_close(curves["lerf"], lerf)

    def test_mean_fill_is_per_channel_and_needs_no_noise(self) -> None:
        x, target, heatmap = setting()
        flat = x.mean((2, 3), keepdim=True).expand_as(x).contiguous()
        before = torch.get_rng_state()
        curves = perturbation_curves(network(), x, target, heatmap, **SMALL, fill="mean")
        assert torch.equal(before, torch.get_rng_state())
        assert (curves["morf"][:, 1:] != 0).all()
        unchanged = perturbation_curves(network(), flat, target, heatmap, **SMALL, fill="mean")
        assert unchanged["morf"].abs().max() < 1e-14

    def test_flat_map_has_equal_curves_from_the_top_left(self) -> None:
        x, target, _ = setting()
        flat = torch.ones(4, 12, 12)
        curves = perturbation_curves(network(), x, target, flat, **SMALL, generator=SampleDraws(0, (0, 1, 2, 3)))
        assert torch.equal(curves["morf"], curves["lerf"])
        seen: list[Tensor] = []
        record = lambda image: (seen.append(image), torch.zeros(len(image), 2))[1]
        perturbation_curve(
            record, torch.zeros(1, 1, 4, 4), ZERO, torch.zeros(1, 4, 4), order="morf", fraction=0.5, steps=2, repeats=1,
            region=2,
        )  # fmt: skip
        changed = (torch.cat(seen)[:, 0] != 0).int().tolist()
        empty, left, both = [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]
        assert changed == [[empty] * 4, [left, left, empty, empty], [both, both, empty, empty]]

    def test_morf_of_a_map_is_lerf_of_its_reverse(self) -> None:
        x, target, heatmap = setting()
        draws = SampleDraws(0, (0, 1, 2, 3))
        one = perturbation_curves(network(), x, target, heatmap, **SMALL, generator=draws)
        other = perturbation_curves(network(), x, target, heatmap.max() - heatmap, **SMALL, generator=draws)
        torch.testing.assert_close(one["morf"], other["lerf"])
        torch.testing.assert_close(one["lerf"], other["morf"])

    def test_steps_replace_more_and_more_of_the_same_noise(self) -> None:
        seen: list[Tensor] = []

        def record(image: Tensor) -> Tensor:
            seen.append(image.clone())
            return torch.zeros(len(image), 2)

        x, heatmap = torch.full((1, 2, 28, 28), 0.5), random(1, 28, 28)
        perturbation_curve(record, x, ZERO, heatmap, order="lerf", repeats=1)
        images = torch.cat(seen)
        assert len(images) == 1 + 20
        changed = (images != 0.5).any(1)
        regions = [round(196 * 0.2 * step / 20 + 1e-9) for step in range(21)]
        assert changed.sum((1, 2)).tolist() == [4 * count for count in regions]
        assert regions[-1] == 39
        for before, after in itertools.pairwise(images):
            kept = (before != 0.5).any(0)
            assert torch.equal(before[:, kept], after[:, kept])


class TestReference:
    """One image, one step, one repeat at a time, in numpy but for the network."""

    @staticmethod
    def curve(
        model: Callable[[Tensor], Tensor], x: np.ndarray, target: int, heatmap: np.ndarray, noise: np.ndarray, *,
        order: str, fraction: float, steps: int, region: int,
    ) -> list[float]:  # fmt: skip
        def probability(image: np.ndarray) -> float:
            with torch.no_grad():
                logits = model(torch.from_numpy(image)[None])[0].numpy()
            exponential = np.exp(logits - logits.max())
            return float(exponential[target] / exponential.sum())

        corners = [(i, j) for i in range(0, x.shape[1], region) for j in range(0, x.shape[2], region)]
        relevance = [heatmap[i : i + region, j : j + region].mean() for i, j in corners]
        ranked = sorted(range(len(corners)), key=lambda k: (-relevance[k] if order == "morf" else relevance[k], k))
        curve = [0.0]
        for step in range(1, steps + 1):
            count = math.floor(len(corners) * Fraction(str(fraction)) * step / steps + Fraction(1, 2))
            decay = 0.0
            for one in noise:
                image = x.copy()
                for k in ranked[:count]:
                    i, j = corners[k]
                    image[:, i : i + region, j : j + region] = one[:, i : i + region, j : j + region]
                decay += probability(x) - probability(image)
            curve.append(decay / len(noise))
        return curve

    @settings(max_examples=40, deadline=None)
    @given(
        n=st.integers(1, 5), c=st.integers(1, 3), h=st.integers(7, 13), w=st.integers(7, 13), region=st.integers(1, 3),
        steps=st.integers(1, 4), fraction=st.sampled_from([1.0, 0.5, 0.7]), repeats=st.integers(1, 3),
        levels=st.sampled_from([1, 2, 100]), chunk=st.integers(1, 40), seed=st.integers(0, 1000),
    )  # fmt: skip
    def test_random_settings(
        self, n: int, c: int, h: int, w: int, region: int, steps: int, fraction: float, repeats: int, levels: int,
        chunk: int, seed: int,
    ) -> None:  # fmt: skip
        x, target, heatmap = setting(n, c, h, w, seed)
        heatmap = (heatmap * levels).floor()  # few levels: many ties
        model, draws = network(seed, c), SampleDraws(seed, tuple(range(n)))
        options: dict[str, Any] = {"fraction": fraction, "steps": steps, "region": region}
        curves = perturbation_curves(
            model, x, target, heatmap, **options, repeats=repeats, chunk=chunk, generator=draws
        )
        noise = torch.stack([draws.of(f"perturbation/{r}").uniform(x.shape) for r in range(repeats)], 1).double()
        for order, curve in curves.items():
            reference = [
                self.curve(
                    model, x[i].numpy(), int(target[i]), heatmap[i].numpy(), noise[i].numpy(), order=order, **options
                )
                for i in range(n)
            ]
            torch.testing.assert_close(curve, torch.tensor(reference, dtype=torch.float64), atol=1e-9, rtol=0)


class TestProperties:
    @pytest.mark.parametrize(("order", "fill"), [("morf", "uniform"), ("random", "blur"), ("lerf", "linear")])
    def test_chunk_changes_nothing(self, order: Any, fill: Any) -> None:
        x, target, heatmap = setting(7)
        draws = SampleDraws(0, tuple(range(7)))
        curves = [
            perturbation_curve(
                network(), x, target, heatmap, order=order, fill=fill, **SMALL, generator=draws, chunk=chunk
            )
            for chunk in (1, 2, 3, 7, 8, 21, 1000)
        ]  # fmt: skip
        for curve in curves[1:]:
            torch.testing.assert_close(curve, curves[0], atol=1e-12, rtol=0)

    @pytest.mark.parametrize("fill", ["uniform", "linear"])
    def test_chunk_bounds_every_forward(self, fill: Any) -> None:
        sizes: list[int] = []

        def record(image: Tensor) -> Tensor:
            sizes.append(len(image))
            return torch.zeros(len(image), 5)

        x, target, heatmap = setting(7)
        perturbation_curves(record, x, target, heatmap, **SMALL, fill=fill, chunk=5)
        assert max(sizes) == 5
        assert sum(sizes) == 7 * (1 + 2 * SMALL["steps"] * SMALL["repeats"])

    @settings(max_examples=20, deadline=None)
    @given(order=st.permutations(range(5)), count=st.integers(1, 5), fill=st.sampled_from(["uniform", "linear"]))
    def test_batch_mates_never_matter(self, order: list[int], count: int, fill: Any) -> None:
        x, target, heatmap = setting(5)
        index = (11, 5, 900, 0, 7)
        options: dict[str, Any] = {"orders": ("morf", "lerf", "random"), "fill": fill, **SMALL}
        all_five = perturbation_curves(network(), x, target, heatmap, **options, generator=SampleDraws(4, index))
        chosen = order[:count]
        some = perturbation_curves(
            network(), x[chosen], target[chosen], heatmap[chosen], **options,
            generator=SampleDraws(4, tuple(index[i] for i in chosen)),
        )  # fmt: skip
        for name, curve in some.items():
            torch.testing.assert_close(curve, all_five[name][chosen], atol=1e-12, rtol=0)

    def test_one_curve_is_the_same_as_both(self) -> None:
        x, target, heatmap = setting()
        draws = SampleDraws(1, (0, 1, 2, 3))
        both = perturbation_curves(network(), x, target, heatmap, **SMALL, generator=draws)
        for order in ("morf", "lerf"):
            alone = perturbation_curve(network(), x, target, heatmap, order=order, **SMALL, generator=draws)
            assert torch.equal(alone, both[order])

    @settings(max_examples=15, deadline=None)
    @given(exponent=st.integers(-20, 20))
    def test_scale_of_the_map_does_not_matter(self, exponent: int) -> None:
        x, target, heatmap = setting()
        draws = SampleDraws(1, (0, 1, 2, 3))
        one = perturbation_curves(network(), x, target, heatmap, **SMALL, generator=draws)
        other = perturbation_curves(network(), x, target, heatmap * 2.0**exponent, **SMALL, generator=draws)
        assert torch.equal(one["morf"], other["morf"])

    def test_noise_depends_on_the_generator_alone(self) -> None:
        x, target, heatmap = setting()
        curve = lambda generator: perturbation_curve(
            network(), x, target, heatmap, order="morf", **SMALL, generator=generator
        )
        assert torch.equal(curve(torch.Generator().manual_seed(1)), curve(torch.Generator().manual_seed(1)))
        assert not torch.equal(curve(torch.Generator().manual_seed(1)), curve(torch.Generator().manual_seed(2)))
        before = torch.get_rng_state()
        curve(SampleDraws(0, (0, 1, 2, 3)))
        assert torch.equal(before, torch.get_rng_state())

    def test_nothing_of_the_caller_changes(self) -> None:
        x, target, heatmap = setting()
        x.requires_grad_()
        model = network()
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        kept = copy.deepcopy((x, target, heatmap, model.state_dict(), [p.grad for p in model.parameters()]))
        curve = perturbation_curve(model, x, target, heatmap, order="morf", **SMALL)
        assert not curve.requires_grad
        assert x.grad is None
        assert not any(module.training for module in model.modules())
        now = (x, target, heatmap, model.state_dict(), [p.grad for p in model.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(kept[:3], now[:3], strict=True))
        assert all(torch.equal(value, now[3][name]) for name, value in kept[3].items())
        assert all(torch.equal(a, b) for a, b in zip(kept[4], now[4], strict=True))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("label", [torch.int64, torch.int32, torch.uint8])
    def test_dtypes(self, dtype: torch.dtype, label: torch.dtype) -> None:
        x, target, heatmap = setting()
        curve = perturbation_curve(
            network(dtype=dtype), x.to(dtype), target.to(label), heatmap.float(), order="morf", **SMALL,
            generator=SampleDraws(0, (0, 1, 2, 3)),
        )  # fmt: skip
        assert curve.dtype == dtype
        expected = perturbation_curve(
            network(), x, target, heatmap, order="morf", **SMALL, generator=SampleDraws(0, (0, 1, 2, 3))
        )
        torch.testing.assert_close(curve.double(), expected, atol=1e-6, rtol=0)

    def test_channels_last(self) -> None:
        x, target, heatmap = setting()
        draws = SampleDraws(0, (0, 1, 2, 3))
        one = perturbation_curve(network(), x, target, heatmap, order="lerf", **SMALL, generator=draws)
        x = x.contiguous(memory_format=torch.channels_last)
        other = perturbation_curve(network(), x, target, heatmap, order="lerf", **SMALL, generator=draws)
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"heatmap": random(4, 6, 6)}, r"heatmap must be \(4, 12, 12\) as the images are, got \(4, 6, 6\)"),
            ({"heatmap": -random(4, 12, 12)}, "heatmap must be non-negative, got -0.99"),
            ({"heatmap": torch.full((4, 12, 12), math.nan)}, "heatmap must be finite"),
            ({"x": random(4, 3, 12, 12) * 255}, r"pixels must be in \[0, 1\], got values from .* to 254"),
            ({"x": torch.full((4, 3, 12, 12), math.nan)}, r"pixels must be in \[0, 1\], got values from nan"),
            ({"x": torch.zeros(4, 3, 12, 12, dtype=torch.uint8)}, "images must be floating point.*torch.uint8"),
            ({"x": random(3, 12, 12)}, r"images must be .*got torch.float64 of shape \(3, 12, 12\)"),
            ({"target": torch.tensor([0, 1, 2, 5])}, r"classes must be in \[0, 4\], got values from 0 to 5"),
            ({"target": torch.tensor([0, 1, -1, 2])}, r"classes must be in \[0, 4\], got values from -1 to 2"),
            ({"target": torch.tensor([0, 1])}, r"classes must be 4 whole numbers.*got torch.int64 \(2,\)"),
            ({"target": torch.zeros(4)}, r"classes must be 4 whole numbers.*got torch.float32"),
            ({"order": "roar"}, "order must be one of morf, lerf, random, got 'roar'"),
            ({"fill": "black"}, "fill must be one of uniform, mean, blur, linear, got 'black'"),
            ({"fraction": 0.0}, r"fraction must be in \(0, 1\], got 0.0"),
            ({"fraction": 1.5}, r"fraction must be in \(0, 1\], got 1.5"),
            ({"steps": 0}, "region and steps must be at least 1, got 2 and 0"),
            ({"region": 0}, "region and steps must be at least 1, got 0 and 3"),
            ({"chunk": 0}, "chunk must be at least 1, got 0"),
            ({"repeats": 0}, "repeats must be at least 1, got 0"),
            ({"region": 20}, "each step must replace at least one region, got 1 regions of 20 px x 0.5 in 3 steps"),
            ({"steps": 19}, "each step must replace at least one region, got 36 regions"),
            ({"model": network().train()}, "network must be in eval mode, got '.*' in training mode"),
            ({"model": lambda x: x.flatten(1) * math.nan}, "network's logits must be finite, got nan"),
            ({"model": lambda x: x}, r"network must return logits \(4, classes\), got shape \(4, 3, 12, 12\)"),
        ],
    )
    def test_one_sentence(self, change: dict[str, Any], message: str) -> None:
        x, target, heatmap = setting()
        given = {"model": network(), "x": x, "target": target, "heatmap": heatmap, "order": "morf", **SMALL} | change
        with pytest.raises(InputError, match=message):
            perturbation_curve(**given)

    def test_nan_on_a_replaced_image_only(self) -> None:
        model = lambda x: torch.stack([x.mean((1, 2, 3)), (0.5 - x).abs().amax((1, 2, 3)).neg().sqrt()], 1)
        x = torch.full((1, 1, 6, 6), 0.5)
        with pytest.raises(InputError, match="logits must be finite, got nan or infinity on a partly replaced image"):
            perturbation_curve(model, x, ZERO, random(1, 6, 6), order="morf", **SMALL)

    def test_one_frozen_layer_in_training_mode_is_named(self) -> None:
        model = network()
        model[1].train()
        x, target, heatmap = setting()
        with pytest.raises(InputError, match="got '1' in training mode"):
            perturbation_curve(model, x, target, heatmap, order="morf", **SMALL)
