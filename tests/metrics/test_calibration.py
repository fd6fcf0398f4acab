"""Calibration in bins of equal mass: identities, naive references, bad input."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.metrics.calibration import adaptive_calibration_error, equal_mass_calibration_error
from pellucid.metrics.scores import expected_calibration_error


def test_identities() -> None:
    assert equal_mass_calibration_error([1.0] * 4, [True] * 4) == 0
    assert equal_mass_calibration_error([1.0] * 4, [False] * 4) == 1
    one_bin = equal_mass_calibration_error([0.2, 0.9], [True, False], bins=1)
    assert one_bin == expected_calibration_error([0.2, 0.9], [True, False], bins=1)
    assert adaptive_calibration_error(np.eye(3), [0, 1, 2]) == 0
    assert adaptive_calibration_error([[1.0, 0.0]] * 2, [1, 1]) == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40, unique_by=lambda row: row[0]))
def test_bins_hold_as_many_images(rows: list[tuple[float, bool]]) -> None:
    order = sorted(rows)
    n, bins = len(rows), min(5, len(rows))
    place = [i * bins // n for i in range(n)]
    parts = [[order[i] for i in range(n) if place[i] == one] for one in range(bins)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    error = sum(abs(sum(right - confidence for confidence, right in part)) for part in parts) / n
    found = equal_mass_calibration_error([c for c, _ in rows], [r for _, r in rows], bins=5)
    assert found == pytest.approx(error, abs=1e-12)


def test_all_classes_are_the_mean_of_each() -> None:
    random = np.random.default_rng(0)
    probability, label = random.dirichlet([1, 1, 1], 50), random.integers(0, 3, 50)
    each = [equal_mass_calibration_error(probability[:, k], label == k, bins=7) for k in range(3)]
    assert adaptive_calibration_error(probability, label, bins=7) == pytest.approx(np.mean(each))
    weight = random.integers(0, 3, (4, 50)).astype(float)
    each = [equal_mass_calibration_error(probability[:, k], label == k, bins=7, weight=weight) for k in range(3)]
    assert adaptive_calibration_error(probability, label, bins=7, weight=weight) == pytest.approx(np.mean(each, axis=0))


def test_calibrated_probabilities_have_little_and_overconfidence_has_its_excess() -> None:
    random = np.random.default_rng(0)
    chance = 0.5 + 0.4 * random.random(50_000)
    correct = random.random(50_000) < chance
    assert equal_mass_calibration_error(chance, correct) < 0.01
    assert equal_mass_calibration_error(chance + 0.1, correct) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: equal_mass_calibration_error([1.5], [True]), r"confidence must be in \[0, 1\]"),
        (lambda: equal_mass_calibration_error([0.5], [True], bins=0), "bins must be at least 1, got 0"),
        (lambda: adaptive_calibration_error([0.5], [0]), r"must be \(n, classes\) and label \(n,\)"),
        (lambda: adaptive_calibration_error([[-0.5, 1.5]], [0]), r"probability must be in \[0, 1\]"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
