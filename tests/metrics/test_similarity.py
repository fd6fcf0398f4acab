"""Similarity of maps: identities and limits, scikit-image and scipy, properties, bad input."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import rankdata, spearmanr
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics.perturbation import noisy_image
from pellucid.metrics.similarity import _ranks, _ranks_on_device, map_similarity, rank_correlation, ssim
from pellucid.saliency import SmoothGrad, VanillaGradient, heatmap

from .conftest import random


def setting(n: int = 4, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    with randomness.fork(seed):
        model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 4))
    model, x = model.double().eval(), random(n, 2, 8, 8, seed=seed)
    with torch.no_grad():
        return model, x, model(x).argmax(1)


# Few values, so that ties are common.
pairs = st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9)).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.float64, shape, elements=st.integers(-4, 4).map(float))] * 2)
)


class TestSSIM:
    @settings(max_examples=40, deadline=None)
    @given(
        n=st.integers(1, 3), h=st.integers(7, 20), w=st.integers(7, 20), window=st.sampled_from([3, 5, 7]),
        data_range=st.sampled_from([0.1, 1.0, 2.0, 255.0]), scale=st.sampled_from([1e-3, 1.0, 50.0]),
        seed=st.integers(0, 999),
    )  # fmt: skip
    def test_scikit_image(
        self, n: int, h: int, w: int, window: int, data_range: float, scale: float, seed: int
    ) -> None:
        a = random(n, h, w, seed=seed) * scale
        b = a + (random(n, h, w, seed=seed + 1) - 0.5) * scale
        expected = [
            structural_similarity(one.numpy(), other.numpy(), win_size=window, data_range=data_range)
            for one, other in zip(a, b, strict=True)
        ]
        value = ssim(a, b, window=window, data_range=data_range)
        assert value.tolist() == pytest.approx(expected, abs=1e-9)
        torch.testing.assert_close(ssim(b, a, window=window, data_range=data_range), value, rtol=1e-9, atol=1e-12)

    def test_equal_maps_and_flat_maps(self) -> None:
        a = random(2, 9, 11)
        torch.testing.assert_close(ssim(a, a.clone()), torch.ones(2).double())
        flat = torch.full((1, 8, 8), 0.7).double()
        torch.testing.assert_close(ssim(flat, flat), torch.ones(1).double())
        torch.testing.assert_close(ssim(flat * 0, flat * 0), torch.ones(1).double())
        assert ssim(flat, flat * 0).item() == pytest.approx(1e-4 / (0.49 + 1e-4))

    def test_unrelated_maps(self) -> None:
        assert ssim(random(1, 100, 100), random(1, 100, 100, seed=1)).abs().item() < 0.7
        value = ssim(random(1, 100, 100), 1 - random(1, 100, 100), data_range=1e-6)
        assert value.item() < -0.8

    def test_a_range_too_large_makes_all_alike(self) -> None:
        assert ssim(random(1, 20, 20) * 1e-3, random(1, 20, 20, seed=1) * 1e-3, data_range=2).item() > 0.99


class TestRankCorrelation:
    @settings(max_examples=100, deadline=None)
    @given(maps=pairs, dtype=st.sampled_from([np.float32, np.float64]))
    def test_scipy(self, maps: tuple[np.ndarray, np.ndarray], dtype: Any) -> None:
        value = rank_correlation(*(torch.from_numpy(map_.astype(dtype)) for map_ in maps))
        for a, b, got in zip(*maps, value.tolist(), strict=True):
            flat = np.ptp(a) == 0, np.ptp(b) == 0
            expected = float(all(flat)) if any(flat) else spearmanr(a.ravel(), b.ravel()).statistic
            assert got == pytest.approx(expected, abs=1e-12 if dtype is np.float64 else 1e-7)

    @settings(max_examples=50, deadline=None)
    @given(
        values=hnp.arrays(
            np.float32,
            (2, 12),
            elements=st.floats(allow_nan=False, allow_infinity=False, width=32) | st.sampled_from([0, -0.0]),
        )
    )
    def test_ranks_of_every_number_on_every_device(self, values: np.ndarray) -> None:
        ranks = _ranks(torch.from_numpy(values))
        assert torch.equal(ranks, _ranks_on_device(torch.from_numpy(values)))
        assert ranks.tolist() == (rankdata(values, axis=1) - 6.5).tolist()

    @settings(max_examples=30, deadline=None)
    @given(maps=pairs, scale=st.floats(1e-3, 1e3), shift=st.integers(-5, 5))
    def test_rising_functions_change_nothing(
        self, maps: tuple[np.ndarray, np.ndarray], scale: float, shift: int
    ) -> None:
        a, b = map(torch.from_numpy, maps)
        value = rank_correlation(a, b)
        torch.testing.assert_close(rank_correlation(scale * a, b.exp()), value, rtol=0, atol=1e-12)
        torch.testing.assert_close(rank_correlation(b + shift, a), value, rtol=0, atol=1e-12)

    def test_order_and_opposite_order(self) -> None:
        a = random(3, 16, 16)
        torch.testing.assert_close(rank_correlation(a, a**3), torch.ones(3).double())
        torch.testing.assert_close(rank_correlation(a, -a), -torch.ones(3).double())


BOTH = [ssim, rank_correlation]


class TestPropertiesOfBoth:
    @settings(max_examples=15, deadline=None)
    @given(order=st.permutations(range(4)), count=st.integers(1, 4))
    def test_batch_mates_never_matter(self, order: list[int], count: int) -> None:
        a, b, chosen = random(4, 9, 8), random(4, 9, 8, seed=1), order[:count]
        for measure in BOTH:
            some, everyone = measure(a[chosen], b[chosen]), measure(a, b)[chosen]
            torch.testing.assert_close(some, everyone, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("measure", BOTH)
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
    def test_dtype_kept_and_input_untouched(self, measure: Any, dtype: torch.dtype) -> None:
        a, b = random(2, 12, 10).to(dtype), random(2, 10, 12, seed=1).mT.to(dtype)
        before = a.clone(), b.clone()
        value = measure(a, b)
        assert (value.dtype, value.shape) == (dtype, (2,))
        torch.testing.assert_close(value, measure(a.double(), b.double()).to(dtype))
        assert torch.equal(a, before[0]) and torch.equal(b, before[1])

    @pytest.mark.parametrize("measure", BOTH)
    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (torch.ones(1, 8, 9), r"two equal \(n, h, w\), got shapes \(1, 8, 8\) and \(1, 8, 9\)"),
            (torch.full((1, 8, 8), math.nan), "maps must be finite, got nan"),
            (torch.ones(1, 8, 8).long(), "maps must be floating point, got torch.int64"),
        ],
    )
    def test_one_sentence(self, measure: Any, other: Tensor, message: str) -> None:
        with pytest.raises(InputError, match=message):
            measure(torch.ones(1, 8, 8), other)

    def test_one_sentence_about_ssim(self) -> None:
        for window in (1, 4, 9):
            with pytest.raises(InputError, match=f"window must be odd, from 3.*got {window} for 8 x 8 pixels"):
                ssim(torch.ones(1, 8, 8), torch.ones(1, 8, 8), window=window)
        with pytest.raises(InputError, match="data_range must be above 0, got 0"):
            ssim(torch.ones(1, 8, 8), torch.ones(1, 8, 8), data_range=0)


class TestMapSimilarity:
    @settings(max_examples=10, deadline=None)
    @given(
        noise=st.sampled_from(["gaussian", "uniform", "one-sided"]), seed=st.integers(0, 999), normalise=st.booleans()
    )
    def test_written_again_with_scikit_image_and_scipy(self, noise: Any, seed: int, normalise: bool) -> None:
        model, x, target = setting(3, seed)
        source = SampleDraws(seed, (0, 1, 2))
        value = map_similarity(
            model, x, target, VanillaGradient(), normalise=normalise, window=5, data_range=2, noise=noise, sigma=0.2,
            draws=4, generator=source,
        )  # fmt: skip

        def drawn(image: Tensor, i: int) -> np.ndarray:
            found = heatmap(VanillaGradient()(model, image, target))[i].numpy()
            return found / found.max() if normalise else found

        with torch.no_grad():
            clean = model(x).argmax(1)
        for i in range(3):
            alike, order = [], []
            for draw in range(4):
                noisy = noisy_image(x, source.of(f"stability/{draw}"), noise=noise, sigma=0.2)
                with torch.no_grad():
                    if model(noisy)[i].argmax() != clean[i]:
                        continue
                a, b = drawn(x, i), drawn(noisy, i)
                alike.append(structural_similarity(a, b, win_size=5, data_range=2))
                order.append(spearmanr(a.ravel(), b.ravel()).statistic)
            expected = (np.mean(alike), np.mean(order)) if alike else (math.nan, math.nan)
            got = value["ssim"][i].item(), value["rank_correlation"][i].item()
            assert got == pytest.approx(expected, abs=1e-9, nan_ok=True)
            assert value["coverage"][i].item() == len(alike) / 4

    def test_constant_and_all_zero_maps_are_alike(self) -> None:
        model, x, target = setting()
        for constant in (random(4, 2, 8, 8), torch.zeros(4, 2, 8, 8).double()):
            value = map_similarity(model, x, target, lambda model, x, target, map=constant: map, sigma=1e-3)
            for name in ("ssim", "rank_correlation", "coverage"):
                torch.testing.assert_close(value[name], torch.ones(4).double())

    def test_nan_only_where_no_draw_keeps_the_prediction(self) -> None:
        x = torch.full((2, 1, 8, 8), 0.3).double()
        x[0, 0, -1, -1] = 0.5
        half = lambda x: torch.stack([torch.ones(len(x)), 2 * (x[:, 0, -1, -1] != 0.5)], 1).double()
        value = map_similarity(half, x, torch.tensor([0, 1]), lambda model, x, target: x)
        assert value["coverage"].tolist() == [0, 1]
        assert value["ssim"].isnan().tolist() == value["rank_correlation"].isnan().tolist() == [True, False]

    @settings(max_examples=10, deadline=None)
    @given(order=st.permutations(range(5)), count=st.integers(1, 5), scale=st.floats(1e-6, 1e6))
    def test_batch_mates_and_the_scale_of_the_map_never_matter(
        self, order: list[int], count: int, scale: float
    ) -> None:
        model, x, target = setting(5)
        explain, chosen = SmoothGrad(samples=2), order[:count]
        scaled = lambda *arguments, generator: explain(*arguments, generator=generator) * scale
        everyone = map_similarity(model, x, target, explain, draws=2, generator=SampleDraws(4, (3, 1, 4, 9, 5)))
        some = map_similarity(
            model, x[chosen], target[chosen], scaled, draws=2,
            generator=SampleDraws(4, tuple((3, 1, 4, 9, 5)[i] for i in chosen)),
        )  # fmt: skip
        for name, value in some.items():
            torch.testing.assert_close(value, everyone[name][chosen], rtol=1e-7, atol=1e-9, equal_nan=True)

    def test_nothing_of_the_caller_changes(self) -> None:
        model, x, target = setting()
        kept = copy.deepcopy((x, target, model.state_dict()))
        value = map_similarity(model.float(), x.float(), target, VanillaGradient(), draws=2)
        assert {one.dtype for one in value.values()} == {torch.float32}
        assert torch.equal(x, kept[0]) and torch.equal(target, kept[1])
        assert all(parameter.grad is None for parameter in model.parameters())
        assert not any(module.training for module in model.modules())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"window": 9}, "window must be odd, from 3 to the map's smaller side, got 9 for 8 x 8 pixels"),
            ({"data_range": -1.0}, "data_range must be above 0, got -1.0"),
            ({"draws": 0}, "draws must be above 0, got 0"),
            ({"noise": "salt"}, "noise must be one of gaussian, uniform, one-sided, got 'salt'"),
            ({"channels": "max"}, "channels must be one of mean_abs"),
            ({"target": torch.tensor([0, 1, 2, 4])}, r"classes must be in \[0, 3\]"),
        ],
    )
    def test_one_sentence(self, change: dict[str, Any], message: str) -> None:
        model, x, target = setting()
        with pytest.raises(InputError, match=message):
            map_similarity(**{"model": model, "x": x, "target": target, "saliency": VanillaGradient()} | change)
