"""Scores of predictions: identities, naive references, properties, bad input."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.integrate
import torch
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.metrics.scores import auc, balanced_accuracy, expected_calibration_error

scored = st.lists(st.tuples(st.integers(0, 8).map(lambda k: k / 8), st.booleans()), min_size=1, max_size=40)


class TestAuc:
    def test_identities(self) -> None:
        truth = [False, False, True, True, True]
        assert auc([0.1, 0.2, 0.3, 0.4, 0.5], truth) == 1
        assert auc([0.5, 0.4, 0.3, 0.2, 0.1], truth) == 0
        assert auc([0.3] * 5, truth) == 0.5

    @given(scored)
    def test_is_the_share_of_pairs_in_order(self, rows: list[tuple[float, bool]]) -> None:
        score, truth = [s for s, _ in rows], [t for _, t in rows]
        pairs = [(p > n) + 0.5 * (p == n) for p, t in rows if t for n, u in rows if not u]
        if pairs:
            assert auc(score, truth) == pytest.approx(np.mean(pairs))
            assert auc([-s for s in score], truth) == pytest.approx(1 - np.mean(pairs))
            assert auc([math.exp(3 * s) for s in score], truth) == auc(score, truth)

    def test_is_the_area_under_the_curve(self) -> None:
        random = np.random.default_rng(0)
        truth = random.random(300) < 0.3
        score = (random.normal(size=300) + truth).round(1)
        levels = [math.inf, *np.unique(score)[::-1]]
        hits = [(score[truth] >= level).mean() for level in levels]
        false_alarms = [(score[~truth] >= level).mean() for level in levels]
        assert auc(score, truth) == pytest.approx(scipy.integrate.trapezoid(hits, false_alarms))


class TestBalancedAccuracy:
    def test_identities(self) -> None:
        label = [0, 0, 0, 0, 2, 2, 5]
        assert balanced_accuracy(label, label) == 1
        assert balanced_accuracy([9] * 7, label) == 0
        assert balanced_accuracy([0] * 7, label) == pytest.approx(1 / 3)

    def test_of_equal_classes_is_the_accuracy(self) -> None:
        label = np.arange(40) % 4
        prediction = np.random.default_rng(0).integers(0, 4, 40)
        assert balanced_accuracy(prediction, label) == pytest.approx((prediction == label).mean())

    @given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), min_size=1, max_size=40))
    def test_is_the_mean_recall(self, rows: list[tuple[int, int]]) -> None:
        recalls = [np.mean([p == t for p, t in rows if t == label]) for label in {t for _, t in rows}]
        assert balanced_accuracy([p for p, _ in rows], [t for _, t in rows]) == pytest.approx(np.mean(recalls))


class TestCalibration:
    def test_identities(self) -> None:
        assert expected_calibration_error([1.0] * 4, [True] * 4) == 0
        assert expected_calibration_error([1.0] * 4, [False] * 4) == 1
        assert expected_calibration_error([0.0] * 4, [False] * 4) == 0
        # One bin: the distance of the two means.
        assert expected_calibration_error([0.2, 0.9], [True, False], bins=1) == pytest.approx(0.05)

    @given(scored, st.integers(1, 20))
    def test_agrees_with_the_definition(self, rows: list[tuple[float, bool]], bins: int) -> None:
        value = 0.0
        for i in range(1, bins + 1):
            inside = [(c, t) for c, t in rows if (i - 1) / bins < c <= i / bins or (c == 0 and i == 1)]
            if inside:
                accuracy, confidence = np.mean([t for _, t in inside]), np.mean([c for c, _ in inside])
                value += len(inside) / len(rows) * abs(accuracy - confidence)
        found = expected_calibration_error([c for c, _ in rows], [t for _, t in rows], bins=bins)
        assert found == pytest.approx(value)

    def test_calibrated_confidence_has_little_and_overconfidence_has_its_excess(self) -> None:
        random = np.random.default_rng(0)
        chance = 0.5 + 0.4 * random.random(100_000)
        correct = random.random(100_000) < chance
        assert expected_calibration_error(chance, correct) < 0.01
        assert expected_calibration_error(chance + 0.1, correct) == pytest.approx(0.1, abs=0.01)

    def test_a_confidence_on_an_edge_belongs_to_the_bin_below(self) -> None:
        # 3/15 and slightly less share a bin, where right and wrong cancel; slightly more is in the next one.
        together = expected_calibration_error([0.2, 0.19], [True, False])
        apart = expected_calibration_error([0.2, 0.21], [True, False])
        assert together == pytest.approx((1 - 0.39) / 2)
        assert apart == pytest.approx((0.8 + 0.21) / 2)


def test_tensors_and_order_of_images() -> None:
    random = np.random.default_rng(0)
    confidence, correct, order = random.random(50), random.random(50) < 0.6, random.permutation(50)
    label, prediction = random.integers(0, 3, 50), random.integers(0, 3, 50)
    for measure, first, second in [
        (auc, confidence, correct),
        (expected_calibration_error, confidence, correct),
        (balanced_accuracy, prediction, label),
    ]:
        value = measure(first, second)
        assert measure(torch.from_numpy(first), torch.from_numpy(second)) == value
        assert measure(first[order], second[order]) == pytest.approx(value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auc([0.1, 0.2], [True, True]), "got 2 positive and 0 negative"),
        (lambda: auc([0.1, math.nan], [True, False]), "score must be finite, got nan"),
        (lambda: auc([0.1, 0.2], [1, 2]), "positive must hold True and False or 1 and 0, got 2"),
        (lambda: auc([0.1], [True, False]), r"same n >= 1, got shapes \[\(1,\), \(2,\)\]"),
        (lambda: balanced_accuracy([], []), r"same n >= 1, got shapes \[\(0,\), \(0,\)\]"),
        (lambda: balanced_accuracy([0.5], [1]), "prediction must hold whole class numbers, got float64"),
        (lambda: balanced_accuracy([[0, 1]], [[0, 1]]), r"must be \(n,\)"),
        (lambda: expected_calibration_error([0.5, 1.5], [1, 0]), r"\[0, 1\], got values from 0.5 to 1.5"),
        (lambda: expected_calibration_error([0.5], [True], bins=0), "bins must be at least 1, got 0"),
        (lambda: expected_calibration_error([0.5], [0.5]), "correct must hold True and False or 1 and 0, got 0.5"),
    ],
)
def test_bad_input(call: Callable[[], float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
