"""Precision and F1: identities and naive references."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pellucid.metrics.confusion import f1, precision

named = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40)


def test_identities() -> None:
    label = [0, 0, 1, 2]
    assert precision(label, label) == f1(label, label) == 1
    assert precision([3] * 4, label) == f1([3] * 4, label) == 0
    assert f1([1, 1, 0, 0], [1, 0, 1, 0], of=1) == precision([1, 1, 0, 0], [1, 0, 1, 0], of=1) == 0.5


@given(named)
def test_agree_with_their_definitions(rows: list[tuple[int, int]]) -> None:
    predicted, label = np.array(rows).T
    precisions, f1s = [], []
    for one in np.unique(label):
        hits = ((predicted == one) & (label == one)).sum()
        exact = hits / (predicted == one).sum() if (predicted == one).any() else 0.0
        recall = hits / (label == one).sum()
        precisions.append(exact)
        f1s.append(2 * exact * recall / (exact + recall) if exact + recall else 0.0)
        assert precision(predicted, label, of=one) == pytest.approx(exact)
        assert f1(predicted, label, of=one) == pytest.approx(f1s[-1])
    assert precision(predicted, label) == pytest.approx(np.mean(precisions))
    assert f1(predicted, label) == pytest.approx(np.mean(f1s))


@given(named, st.data())
def test_weights_are_repetitions(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    predicted, label = np.array(rows).T
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    if counts.any():
        for number in (precision, f1):
            (found,) = number(predicted, label, weight=counts[None].astype(float))
            assert found == pytest.approx(number(np.repeat(predicted, counts), np.repeat(label, counts)))
