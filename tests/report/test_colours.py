"""The colours of heatmaps."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.report.colours import Scale, brightest, level, palette


@pytest.mark.parametrize("signed", [False, True])
def test_the_palette_can_be_read_back(signed: bool) -> None:
    colours = palette(signed=signed)
    assert colours.shape == (256, 3) and len({tuple(colour) for colour in colours.tolist()}) == 256


def test_a_signed_scale_is_white_at_zero_red_for_and_blue_against() -> None:
    picture = np.asarray(Scale(signed=True, top=1.0).picture(np.array([[-2.0, -1.0, 0.0, 1.0]])).convert("RGB"))
    against, also, zero, speaks_for = picture[0].astype(int)
    assert np.array_equal(against, also), "what lies beyond the top has its colour"
    assert against[2] > against[0] + 50 and speaks_for[0] > speaks_for[2] + 50 and zero.min() > 240


@given(seed=st.integers(0, 99), factor=st.floats(0.1, 10))
def test_one_scale_compares_maps_and_each_its_own_does_not(seed: int, factor: float) -> None:
    one = np.random.default_rng(seed).normal(size=(6, 6)).astype(np.float32)
    larger = (factor * one).astype(np.float32)
    own, common = Scale(signed=True), Scale.common([one, larger])
    np.testing.assert_allclose(own.levels(one), own.levels(larger), atol=1e-5)
    assert common == Scale(signed=True, top=brightest(np.stack([one, larger])))
    inside = (common.levels(larger) > 0) & (common.levels(larger) < 1)
    expected = (larger / common.of(one) / 2 + 0.5)[inside]
    np.testing.assert_allclose(common.levels(larger)[inside], expected, atol=1e-6)
    np.testing.assert_allclose(own.levels(-one), 1 - own.levels(one), atol=1e-6)


def test_a_map_without_signs_is_drawn_as_ever() -> None:
    heatmap = np.random.default_rng(0).random((9, 9), dtype=np.float32)
    expected = np.clip(heatmap / float(np.percentile(heatmap, 99)), 0, 1)
    np.testing.assert_array_equal(level(heatmap), expected)
    assert Scale.common([heatmap]) == Scale(top=brightest(heatmap))
    assert Scale().of(np.zeros((2, 2))) == 1


@pytest.mark.parametrize("top", [0, -1, float("nan"), float("inf")])
def test_a_top_that_cannot_be(top: float) -> None:
    with pytest.raises(InputError, match="the top of a colour scale must be a number above 0, got"):
        Scale(top=top)
