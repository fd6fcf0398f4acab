"""How numbers are written."""

import math
from itertools import groupby

import pytest
from hypothesis import given, strategies as st

from pellucid.metrics.suite import COLUMNS, DERIVED
from pellucid.report.measures import written
from pellucid.runs.measures import KNOWN, Measure, ordered
from pellucid.statistics import Interval


@pytest.mark.parametrize(
    ("interval", "name", "expected"),
    [
        (Interval(0.0131, 0.0119, 0.0144, 9), "aopc_lerf", ("13.1", "11.9", "14.4")),
        (Interval(6e-5, 5e-5, 7e-5, 9), "aopc_lerf", ("0.060", "0.050", "0.070")),
        (Interval(0.5614, 0.5571, 0.5659, 9), "gini", ("0.561", "0.557", "0.566")),
        (Interval(-0.038, -0.05, -0.025, 9), "clean_accuracy", ("−3.8", "−5.0", "−2.5")),
        (Interval(1.0, 1.0, 1.0, 9), "clean_accuracy", ("100.0", "100.0", "100.0")),
        (Interval(0.0, 0.0, 0.0, 9), "gini", ("0", "0", "0")),
        (Interval(-1e-9, -2e-3, 2e-3, 9), "gini", ("0.0000", "−0.0020", "0.0020")),
        (Interval(4213.0, 3913.0, 4513.0, 9), "aopc_rel", ("4200", "3900", "4500")),
        (Interval(190.0, 77.0, 200_000.0, 9), "aopc_rel", ("190", "77", "200000")),
        (Interval(math.nan, math.nan, math.nan, 0), "ris", ("–", "–", "–")),
    ],
)
def test_digits_follow_the_interval(interval: Interval, name: str, expected: tuple[str, str, str]) -> None:
    assert written(interval, Measure.named(name)) == expected


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1.0), st.sampled_from(sorted(KNOWN)))
def test_what_is_written_is_the_number_within_the_interval(mean: float, share: float, name: str) -> None:
    half = share * mean
    texts = written(Interval(mean, mean - half, mean + half, 9), Measure.named(name))
    scale = Measure.named(name).scale
    for text, value in zip(texts, (mean, mean - half, mean + half), strict=True):
        # Half a unit of the last digit: at most a quarter of the half width, or of four digits.
        assert abs(float(text.replace("−", "-")) / scale - value) <= max(0.17 * half, 0.06 * value)


def test_every_main_measure_has_a_better_direction() -> None:
    assert {column.direction for column in KNOWN.values() if column.main} == {"higher", "lower"}


def test_every_number_of_an_image_can_be_shown() -> None:
    hidden = {"index", "label", "prediction", "score", "robust_correct"}  # the last is shown as robust_accuracy
    shown = {name for name, column in COLUMNS.items() if column.shown and not column.curve}
    assert set(KNOWN) == shown - hidden | set(DERIVED)
    measures = ordered(map(Measure.named, KNOWN))
    needs_no_map = [measure.saliency is None for measure in measures]
    assert needs_no_map == sorted(needs_no_map, reverse=True)
    questions = [measure.column.question for measure in measures]
    assert [question for question, _ in groupby(questions)] == list(dict.fromkeys(questions))


@given(st.floats(), st.floats(), st.floats(), st.integers(0, 3), st.sampled_from(sorted(KNOWN)))
def test_any_interval_can_be_written(mean: float, low: float, high: float, n: int, name: str) -> None:
    low, high = sorted((low, high))
    texts = written(Interval(mean, low, high, n), Measure.named(name))
    numbers = [text for text in texts if text != "–"]
    assert len(numbers) in (0, 3)
    assert all(math.isfinite(float(text.replace("−", "-"))) for text in numbers)
    assert numbers or not n or not all(math.isfinite(1000 * value) for value in (mean, low, high))


def test_coverages_of_all_noises_are_percentages() -> None:
    share = Interval(0.5, 0.4, 0.6, 9)
    for name in ("stability_coverage", "stability_coverage_uniform", "stability_coverage_one_sided"):
        assert (written(share, Measure.named(name)), Measure.named(name).unit) == (("50", "40", "60"), "%")
