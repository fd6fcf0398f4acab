"""Regions: their default side, their order with ties, and how many are replaced."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st

from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics import default_region
from pellucid.metrics.regions import blocks, ranks_of


class TestDefaultRegion:
    def test_default_region(self) -> None:
        assert [default_region(side) for side in (1, 8, 23, 24, 28, 32, 64, 96, 160, 224, 384)] == [
            1, 1, 1, 2, 2, 2, 4, 8, 8, 16, 32,
        ]  # fmt: skip
        for side in range(12, 400):
            assert 12 <= math.ceil(side / default_region(side)) <= 25

    def test_no_pixel(self) -> None:
        with pytest.raises(InputError, match="side must be at least 1 pixel, got 0"):
            default_region(0)


class TestRanks:
    def test_ties_keep_reading_order(self) -> None:
        heatmap = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]])
        assert ranks_of(heatmap, "morf", 1).tolist() == [[[[3, 0, 4], [1, 5, 2]]]]
        assert ranks_of(heatmap, "lerf", 1).tolist() == [[[[0, 3, 1], [4, 2, 5]]]]

    def test_cut_regions_are_ranked_by_their_mean(self) -> None:
        heatmap = torch.tensor([[[0.5, 0.5, 0.6], [0.5, 0.5, 0.6], [0.4, 0.4, 0.7]]])
        assert ranks_of(heatmap, "morf", 2).tolist() == [[[[2, 2, 1], [2, 2, 1], [3, 3, 0]]]]

    def test_a_region_larger_than_the_image_is_the_image(self) -> None:
        for order in ("morf", "lerf", "random"):
            assert torch.equal(ranks_of(torch.rand(2, 3, 4), order, 9), torch.zeros(2, 1, 3, 4, dtype=torch.int32))

    @settings(max_examples=30, deadline=None)
    @given(n=st.integers(1, 4), h=st.integers(1, 9), w=st.integers(1, 9), region=st.integers(1, 5))
    def test_random_is_an_order_of_its_own_for_every_image(self, n: int, h: int, w: int, region: int) -> None:
        draws = SampleDraws(0, tuple(range(n)))
        ranks = ranks_of(torch.zeros(n, h, w), "random", region, draws)
        regions = math.ceil(h / region) * math.ceil(w / region)
        for i in range(n):
            assert sorted(ranks[i, 0, ::region, ::region].flatten().tolist()) == list(range(regions))
            alone = ranks_of(torch.ones(1, h, w), "random", region, SampleDraws(0, (i,)))
            assert torch.equal(alone[0], ranks[i])

    def test_random_orders_are_even(self) -> None:
        ranks = ranks_of(torch.zeros(6000, 2, 2), "random", 1, torch.Generator().manual_seed(0))
        for pixel in ranks.flatten(1).T:
            assert (pixel.bincount(minlength=4) - 1500).abs().max() < 150  # four standard deviations are 134


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 9), steps=st.integers(1, 7), chunk=st.integers(1, 70))
def test_blocks_cover_everything_once_within_the_chunk(n: int, steps: int, chunk: int) -> None:
    ranks = torch.arange(n * 4, dtype=torch.int32).view(n, 1, 2, 2) % 4
    counts = torch.arange(1, steps + 1, dtype=torch.int32)
    seen = torch.zeros(n, steps, dtype=torch.int32)
    for rows, columns, replaced in blocks(ranks, counts, chunk):
        seen[rows, columns] += 1
        assert replaced.shape[0] * replaced.shape[1] <= chunk
        assert torch.equal(replaced.sum((2, 3, 4)), counts[columns].clamp(max=4).expand(len(replaced), -1))
    assert (seen == 1).all()
