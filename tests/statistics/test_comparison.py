"""Holm's correction: an independent implementation as reference, bounds, bad input."""

import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from statsmodels.stats.multitest import multipletests

from pellucid.core.errors import InputError
from pellucid.statistics.comparison import holm


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.sampled_from([0.0, 1e-9, 0.01, 0.02, 0.4, 1.0])))
@settings(max_examples=50)
def test_agrees_with_statsmodels_ties_included(p: np.ndarray) -> None:
    with mock.patch("gc.collect"):  # which statsmodels does in every call; half a second among all tests
        assert holm(p).tolist() == multipletests(p, method="holm")[1].tolist()


def test_agrees_with_statsmodels_on_many() -> None:
    p = np.random.default_rng(0).random(1000) ** 9
    assert holm(p).tolist() == multipletests(p, method="holm")[1].tolist()


@pytest.mark.parametrize("m", [1, 2, 3, 8])
def test_between_p_and_bonferroni(m: int) -> None:
    for p in np.random.default_rng(m).random((5, m)) ** 2:
        corrected = holm(p)
        assert (corrected >= p * (1 - 1e-12)).all()
        assert (corrected <= np.minimum(1, m * p) * (1 + 1e-12)).all()


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([0.1, 1.5], r"p-values must be in \[0, 1\], got 1.5"),
        ([math.nan], r"p-values must be in \[0, 1\], got nan"),
        ([], r"p-values must be \(m,\) with m >= 1"),
    ],
)
def test_bad_p_values_are_one_sentence(p: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        holm(p)
