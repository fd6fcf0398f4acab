"""The verdict on maps of randomised networks: limits, the share it estimates, its sentence, bad input."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.metrics.survival import THRESHOLD, survives
from pellucid.statistics import mean_interval


def test_maps_that_stay_survive_and_maps_that_go_do_not() -> None:
    assert survives({"fc": np.ones(9), "conv": np.ones(9)}).verdict == "survives"
    assert survives({"fc": np.ones(9), "conv": np.zeros(9)}).verdict == "falls"
    assert survives({"conv": -np.ones(9)}).verdict == "falls"


def test_the_last_layer_alone_decides() -> None:
    low, high = np.full(5, 0.1), np.full(5, 0.9)
    assert survives({"a": low, "b": low, "c": high}).verdict == "survives"
    assert survives({"a": high, "b": high, "c": low}).verdict == "falls"


def test_the_threshold_itself_is_not_above_it() -> None:
    assert survives({"conv": np.full(5, THRESHOLD)}).verdict == "falls"


def test_intervals_are_those_of_the_mean() -> None:
    values = np.random.default_rng(0).uniform(0.2, 0.9, (2, 40))
    values[0, 3] = math.nan
    found = survives({"fc": values[0], "conv": values[1]}, baselines={"edge map": values[0]}, confidence=0.9, seed=3)
    assert list(found.layers) == ["fc", "conv"]
    assert found.layers["fc"] == found.baselines["edge map"] == mean_interval(values[0], confidence=0.9, seed=3)
    assert found.last == mean_interval(values[1], confidence=0.9, seed=3)
    assert found.layers["fc"].n == 39


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), st.floats(0.05, 0.95))
def test_the_verdict_is_where_the_interval_lies(values: list[float], threshold: float) -> None:
    found = survives({"conv": values}, threshold=threshold, resamples=50)
    expected = {(True, False): "survives", (False, True): "falls", (False, False): "unclear"}
    assert found.verdict == expected[(found.last.low > threshold, found.last.high <= threshold)]


@given(st.floats(-1, 1))
def test_one_image_tells_nothing(value: float) -> None:
    found = survives({"conv": [value, math.nan]}, resamples=20)
    assert found.verdict == "unclear"
    assert found.sentence().startswith("There are too few images to tell")
    assert "on 1 image," in found.sentence()


def test_no_image_at_all() -> None:
    found = survives({"conv": [math.nan]})
    assert found.verdict == "unclear"
    assert found.sentence() == "Whether the maps survive when every layer is random was measured on no image."


@pytest.mark.parametrize(("share", "verdict"), [(0.3, "falls"), (0.7, "survives")])
def test_the_correlation_is_the_share_that_image_and_architecture_decide(share: float, verdict: str) -> None:
    # The model of the docstring: ranks s + a of the trained and s + b of the random network, normal for simplicity.
    random = np.random.default_rng(0)
    same = math.sqrt(share) * random.normal(size=(60, 784))
    own, other = (same + math.sqrt(1 - share) * random.normal(size=(60, 784)) for _ in range(2))
    found = [scipy.stats.spearmanr(a, b)[0] for a, b in zip(own, other, strict=True)]
    assert np.mean(found) == pytest.approx(share, abs=0.03)
    assert survives({"conv": found}).verdict == verdict


def test_baselines_are_told_and_do_not_decide() -> None:
    values = np.linspace(0.1, 0.3, 20)
    alone, beside = survives({"conv": values}), survives({"conv": values}, baselines={"an edge map": np.full(20, 0.9)})
    assert alone.verdict == beside.verdict == "falls"
    assert beside.sentence() == alone.sentence() + " For comparison: an edge map 0.90 [0.90, 0.90]."
    assert alone.sentence() == (
        "The maps do not survive when every layer is random: rank correlation 0.20 [0.17, 0.23] on 20 images, not above"
        " 0.5. They show more than the images, which does not mean that they are right."
    )


@pytest.mark.parametrize(
    ("similarity", "keywords", "message"),
    [
        ({}, {}, "similarity must have at least one layer, got none"),
        ({"fc": [0.1, 0.2], "conv": [0.1]}, {}, "every layer must have one value for each image, got fc 2, conv 1"),
        ({"conv": [[0.1, 0.2]]}, {}, r"the values of conv must be \(n,\), one for each image, got shape \(1, 2\)"),
        ({"conv": [0.1, 1.5]}, {}, r"the values of conv must be correlations in \[-1, 1\], got 1.5"),
        ({"conv": [0.1]}, {"baselines": {"edges": [-2]}}, r"the values of edges must be correlations .* got -2"),
        ({"conv": [0.1]}, {"threshold": 1.0}, r"threshold must be in \(0, 1\), got 1.0"),
    ],
)
def test_bad_input(similarity: Any, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        survives(similarity, **keywords)
