"""Agreement: limits and identities, then the published examples."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from pellucid.core.errors import InputError
from pellucid.study.agreement import icc, krippendorff_interval

_ = float("nan")
# Krippendorff 2011, section C: four observers, twelve units, values missing.
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]
# Shrout and Fleiss 1979, table 2: six targets, four judges.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]

tables = arrays(np.float64, (3, 6), elements=st.integers(1, 5).map(float))


def krippendorff_alpha(ratings: Any) -> float:
    return krippendorff_interval(ratings, resamples=100).mean


def test_alpha_of_krippendorffs_example() -> None:
    assert krippendorff_alpha(KRIPPENDORFF) == pytest.approx(0.815, abs=5e-4)


def test_icc_of_shrout_and_fleiss() -> None:
    assert icc(SHROUT_FLEISS) == pytest.approx(0.29, abs=5e-3)
    assert icc(SHROUT_FLEISS, average=True) == pytest.approx(0.62, abs=5e-3)


@settings(max_examples=30)
@given(tables)
def test_alpha_by_its_definition(table: np.ndarray) -> None:
    pairs = [(a, b) for unit in table.T for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j]
    everything = table.ravel()
    whole = [(a, b) for i, a in enumerate(everything) for j, b in enumerate(everything) if i != j]

    def apart(a: float, b: float) -> float:
        between = ((everything > min(a, b)) & (everything < max(a, b))).sum()
        return float(between + ((everything == a).sum() + (everything == b).sum()) / 2) ** 2 if a != b else 0.0

    by_chance = np.mean([apart(a, b) for a, b in whole])
    if not by_chance:
        assert np.isnan(krippendorff_alpha(table))
    else:
        assert krippendorff_alpha(table) == pytest.approx(1 - np.mean([apart(a, b) for a, b in pairs]) / by_chance)


@settings(max_examples=30)
@given(tables, st.permutations(range(3)))
def test_alpha_does_not_know_the_raters(table: np.ndarray, order: list[int]) -> None:
    assert krippendorff_alpha(table[order]) == pytest.approx(krippendorff_alpha(table), nan_ok=True)


@settings(max_examples=30)
@given(tables)
def test_ordinal_alpha_knows_the_order_alone(table: np.ndarray) -> None:
    assert krippendorff_alpha(table**3) == pytest.approx(krippendorff_alpha(table), nan_ok=True)


def test_full_agreement_and_chance() -> None:
    same = np.tile(np.arange(1, 6), (4, 1))
    assert krippendorff_alpha(same) == 1
    noise = np.random.default_rng(0).integers(1, 6, (20, 300))
    assert krippendorff_alpha(noise) == pytest.approx(0, abs=0.01)


def test_the_interval_holds_alpha_and_units_that_count() -> None:
    found = krippendorff_interval(KRIPPENDORFF)
    assert found.n == 11  # the last unit was rated once
    assert found.mean == krippendorff_alpha(KRIPPENDORFF)
    assert found.low < found.mean < found.high
    assert np.isnan(krippendorff_interval([[3, 3], [3, 3]]).mean)


def test_icc_of_equal_and_of_shifted_raters() -> None:
    targets = np.array([1.0, 4.0, 2.0, 6.0])
    assert icc(np.stack([targets] * 3, axis=1)) == 1
    shifted = np.stack([targets, targets + 2], axis=1)
    assert icc(shifted) < 1  # absolute agreement, not consistency alone
    one, average = icc(shifted), icc(shifted, average=True)
    assert average == pytest.approx(2 * one / (1 + one))  # Spearman and Brown
    assert np.isnan(icc(np.ones((3, 2))))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: krippendorff_alpha([1, 2, 3]), r"\(raters, units\)"),
        (lambda: icc([[1, 2, 3]]), "at least 2 of each"),
        (lambda: icc([[1, _], [1, 2]]), "complete"),
    ],
)
def test_mistakes_are_told(call, said: str) -> None:
    with pytest.raises(InputError, match=said):
        call()
