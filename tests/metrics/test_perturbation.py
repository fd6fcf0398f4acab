"""Noisy images: moments and range, clipping, what stays as it was."""

import pytest
import torch

from pellucid.core.randomness import SampleDraws
from pellucid.metrics.perturbation import Noise, noisy_image

from .conftest import random

NOISES: list[Noise] = ["gaussian", "uniform", "one-sided"]


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
