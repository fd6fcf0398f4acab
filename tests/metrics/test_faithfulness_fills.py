"""Blurred and imputed regions of perturbation curves: a loop over images, noise, systems solved, a flat image."""

import math
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from pellucid.core.randomness import SampleDraws
from pellucid.metrics import blurred, faithfulness, linear_imputation, perturbation_curves

from .conftest import SMALL, faithfulness_network as network, faithfulness_setting as setting, random


class TestFills:
    """Blurred and imputed regions, one image and one step at a time."""

    @staticmethod
    def masks(heatmap: Tensor, order: str, region: int, counts: list[int]) -> list[Tensor]:
        h, w = heatmap.shape
        corners = [(i, j) for i in range(0, h, region) for j in range(0, w, region)]
        relevance = [float(heatmap[i : i + region, j : j + region].mean()) for i, j in corners]
        sign = -1 if order == "morf" else 1
        ranked = sorted(range(len(corners)), key=lambda k: (sign * relevance[k], k))
        masks = []
        for count in counts:
            mask = torch.zeros(1, 1, h, w, dtype=torch.bool)
            for k in ranked[:count]:
                i, j = corners[k]
                mask[..., i : i + region, j : j + region] = True
            masks.append(mask)
        return masks

    @settings(max_examples=15, deadline=None)
    @given(
        fill=st.sampled_from(["blur", "linear"]), n=st.integers(1, 4), c=st.integers(1, 3), h=st.integers(7, 12),
        w=st.integers(7, 12), region=st.integers(1, 3), levels=st.sampled_from([1, 2, 100]), chunk=st.integers(1, 30),
        seed=st.integers(0, 1000),
    )  # fmt: skip
    def test_random_settings(
        self, fill: Any, n: int, c: int, h: int, w: int, region: int, levels: int, chunk: int, seed: int
    ) -> None:
        x, target, heatmap = setting(n, c, h, w, seed)
        heatmap = (heatmap * levels).floor()
        model, draws = network(seed, c), SampleDraws(seed, tuple(range(n)))
        curves = perturbation_curves(
            model, x, target, heatmap, fraction=1, steps=3, repeats=2, region=region, fill=fill, chunk=chunk,
            generator=draws,
        )  # fmt: skip
        regions = math.ceil(h / region) * math.ceil(w / region)
        counts = [math.floor(Fraction(regions * step, 3) + Fraction(1, 2)) for step in (1, 2, 3)]
        noise = [draws.of(f"perturbation/{repeat}").normal(x.shape).double() for repeat in range(2)]
        score = lambda image, i: model(image).softmax(1)[0, target[i]]
        with torch.no_grad():
            for order, curve in curves.items():
                for i in range(n):
                    one = x[i : i + 1]
                    expected = [torch.zeros((), dtype=torch.float64)]
                    for mask in self.masks(heatmap[i], order, region, counts):
                        if fill == "blur":
                            filled = [torch.where(mask, blurred(one), one)]
                        else:
                            filled = [linear_imputation(one, mask) + mask * 0.01 * draw[i] for draw in noise]
                        expected.append(score(one, i) - torch.stack([score(image, i) for image in filled]).mean())
                    torch.testing.assert_close(curve[i], torch.stack(expected), atol=1e-9, rtol=0)

    def test_blur_needs_no_noise(self) -> None:
        x, target, heatmap = setting()
        before = torch.get_rng_state()
        curves = perturbation_curves(network(), x, target, heatmap, **SMALL, fill="blur")
        assert torch.equal(before, torch.get_rng_state())
        assert (curves["morf"][:, 1:] != 0).all()

    def test_each_system_is_solved_once_for_all_repeats(self, monkeypatch: pytest.MonkeyPatch) -> None:
        solved: list[int] = []

        def record(x: Tensor, removed: Tensor) -> Tensor:
            solved.append(len(x))
            return linear_imputation(x, removed)

        monkeypatch.setattr(faithfulness, "linear_imputation", record)
        x, target, heatmap = setting(7)
        perturbation_curves(network(), x, target, heatmap, **SMALL, fill="linear", chunk=5)
        assert max(solved) == 5
        assert sum(solved) == 7 * 2 * SMALL["steps"]

    def test_a_hole_in_a_flat_image_is_filled_without_a_trace(self) -> None:
        x, target, heatmap = torch.full((2, 3, 12, 12), 0.4).double(), torch.tensor([0, 0]), random(2, 12, 12)
        contrast = lambda x: torch.stack([20 * x.std((1, 2, 3)), torch.zeros(len(x))], dim=1)
        imputed = perturbation_curves(contrast, x, target, heatmap, **SMALL, fill="linear")
        assert imputed["morf"].abs().max() < 0.05  # ROAD's noise alone
        replaced = perturbation_curves(contrast, x, target, heatmap, **SMALL, fill="uniform")
        assert (replaced["morf"][:, -1] < -0.3).all()
