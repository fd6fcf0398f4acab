"""Scores of rankings: identities, naive references, and influences against what images really change."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.metrics.ranking import (
    auc_influence,
    average_precision,
    average_precision_influence,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    threshold_at_sensitivity,
    threshold_at_specificity,
)
from pellucid.metrics.scores import auc

scored = st.lists(st.tuples(st.integers(0, 8).map(lambda k: k / 8), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({truth for _, truth in rows}) == 2
)


def split(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in rows]), np.array([truth for _, truth in rows])


def test_a_perfect_order_has_everything() -> None:
    truth = [False, False, True, True]
    for number in (average_precision, sensitivity_at_specificity, specificity_at_sensitivity):
        assert number([0.1, 0.2, 0.3, 0.4], truth) == 1
    assert average_precision([0.5] * 4, truth) == 0.5
    assert sensitivity_at_specificity([0.5] * 4, truth) == specificity_at_sensitivity([0.5] * 4, truth) == 0
    assert sensitivity_at_specificity([0.4, 0.3, 0.2, 0.1], truth) == 0


@given(scored)
def test_average_precision_is_its_sum_over_thresholds(rows: list[tuple[float, bool]]) -> None:
    score, truth = split(rows)
    total, before = 0.0, 0.0
    for level in np.unique(score)[::-1]:
        recall, precision = (score[truth] >= level).mean(), truth[score >= level].mean()
        total, before = total + (recall - before) * precision, recall
    assert average_precision(score, truth) == pytest.approx(total)


@given(scored, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_the_best_threshold_by_trying_them_all(rows: list[tuple[float, bool]], share: float) -> None:
    score, truth = split(rows)
    levels = [*np.unique(score), math.inf]
    rates = [((score[truth] >= level).mean(), (score[~truth] < level).mean()) for level in levels]
    best = max(hit for hit, right in rates if right >= share - 1e-9)
    assert sensitivity_at_specificity(score, truth, share) == pytest.approx(best)
    assert (score[truth] >= threshold_at_specificity(score, truth, share)).mean() == pytest.approx(best)
    best = max(right for hit, right in rates if hit >= share - 1e-9)
    assert specificity_at_sensitivity(score, truth, share) == pytest.approx(best)
    assert (score[~truth] < threshold_at_sensitivity(score, truth, share)).mean() == pytest.approx(best)


@given(scored, st.data())
def test_weights_are_repetitions(rows: list[tuple[float, bool]], data: st.DataObject) -> None:
    score, truth = split(rows)
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    repeated = np.repeat(score, counts), np.repeat(truth, counts)
    there = len(set(repeated[1].tolist())) == 2
    for number in (average_precision, sensitivity_at_specificity, specificity_at_sensitivity):
        (found,) = number(score, truth, weight=counts[None].astype(float))
        if there:
            assert found == pytest.approx(number(*repeated)), number
        elif number is not average_precision:
            assert math.isnan(found)


@given(scored)
def test_influences_cancel_in_each_class(rows: list[tuple[float, bool]]) -> None:
    score, truth = split(rows)
    for influence in (auc_influence, average_precision_influence):
        moved = influence(score, truth)
        assert moved[truth].sum() == pytest.approx(0, abs=1e-9)
        assert moved[~truth].sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("number", "influence"), [(auc, auc_influence), (average_precision, average_precision_influence)]
)
def test_an_influence_is_the_slope_in_an_images_weight(number, influence) -> None:
    """Made once more in its class, at the cost of all others of the class; the classes' sizes stay."""
    random = np.random.default_rng(0)
    truth = random.random(60) < 0.4
    score = (random.normal(size=60) + truth).round(1)
    step = 1e-6
    slopes = []
    for i in range(60):
        own = truth == truth[i]
        size = own.sum()
        weight = np.ones(60)
        weight[own] -= step / size
        weight[i] += step
        slopes.append((number(score, truth, weight=weight[None])[0] - number(score, truth)) / step)
    assert influence(score, truth) == pytest.approx(np.array(slopes), abs=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: average_precision([0.1], [True]), "needs positive and negative images, got 1 positive and 0 negative"),
        (lambda: sensitivity_at_specificity([0.1, 0.2], [True, False], 0), r"specificity must be in \(0, 1\], got 0"),
        (lambda: specificity_at_sensitivity([0.1, 0.2], [True, False], 1.5), r"sensitivity must be in \(0, 1\]"),
        (lambda: average_precision([math.inf, 0], [True, False]), "score must be finite"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
