"""Perturbation curves in random order: no look at the map, the noise of the other orders, its mean."""

from typing import Any

import torch

from pellucid.core.randomness import SampleDraws
from pellucid.metrics import perturbation_curve, perturbation_curves

from .conftest import SMALL, faithfulness_network as network, faithfulness_setting as setting, logit_of, random


class TestRandomOrder:
    def test_does_not_look_at_the_map(self) -> None:
        x, target, heatmap = setting()
        draws = SampleDraws(3, (0, 1, 2, 3))
        curve = lambda given: perturbation_curve(
            network(), x, target, given, order="random", **SMALL, generator=draws
        )  # fmt: skip
        assert torch.equal(curve(heatmap), curve(torch.zeros_like(heatmap)))
        assert not torch.equal(
            curve(heatmap), perturbation_curve(network(), x, target, heatmap, order="morf", **SMALL, generator=draws)
        )

    def test_leaves_the_other_curves_alone(self) -> None:
        x, target, heatmap = setting()
        draws = SampleDraws(3, (0, 1, 2, 3))
        orders = ("morf", "lerf", "random")
        three = perturbation_curves(network(), x, target, heatmap, orders=orders, **SMALL, generator=draws)
        two = perturbation_curves(network(), x, target, heatmap, **SMALL, generator=draws)
        assert list(three) == list(orders)
        assert all(torch.equal(three[order], two[order]) for order in two)

    def test_same_noise_and_the_same_last_step(self) -> None:
        x, target, heatmap = setting()
        orders = ("morf", "random")
        curves = perturbation_curves(
            network(), x, target, heatmap, orders=orders, fraction=1, steps=3, repeats=2, region=2,
            generator=SampleDraws(3, (0, 1, 2, 3)),
        )  # fmt: skip
        torch.testing.assert_close(curves["morf"][:, -1], curves["random"][:, -1])
        assert not torch.equal(curves["morf"][:, 1], curves["random"][:, 1])

    def test_a_random_map_has_the_random_curve_on_average(self) -> None:
        # The probability is the mean of the image, so that every step loses its share of it, whatever the order.
        n = 400
        x, target = torch.full((n, 1, 12, 12), 0.8).double(), torch.zeros(n, dtype=torch.int64)
        options: dict[str, Any] = {"fraction": 1, "steps": 4, "region": 2, "repeats": 1}
        x[:, :, :6] = 0.2
        curves = perturbation_curves(
            logit_of(lambda x: x.mean((1, 2, 3))), x, target, random(n, 12, 12), orders=("morf", "random"), **options,
            fill="mean", generator=SampleDraws(0, tuple(range(n))),
        )  # fmt: skip
        assert curves["random"].std(0)[2] > 0.01
        assert curves["random"].mean(0).abs().max() < 0.01
        assert curves["morf"].mean(0).abs().max() < 0.01
