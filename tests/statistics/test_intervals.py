"""Intervals: identities, SciPy's bootstrap as reference, coverage."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from pellucid.statistics import (
    Interval,
    bootstrapped,
    difference_of,
    mean_band,
    mean_interval,
    mean_of,
    of_share,
    paired_difference,
    paired_ratio_difference,
    ratio_difference_of,
    ratio_interval,
    ratio_of,
)
from pellucid.statistics.resamples import blocks, counts_of

values_of_images = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3))


def test_no_value_gives_nan_and_n_zero() -> None:
    for empty in (mean_interval([]), mean_interval([math.nan]), ratio_interval([], []), paired_difference([], [])):
        assert empty.n == 0
        assert math.isnan(empty.mean)
        assert math.isnan(empty.low)
        assert math.isnan(empty.high)
        assert not empty.excludes(0.0)


def test_one_value_is_its_own_interval() -> None:
    assert mean_interval([0.37]) == Interval(0.37, 0.37, 0.37, 1)


def test_equal_values_have_no_width() -> None:
    assert mean_interval([0.1] * 7) == Interval(pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1), 7)


def test_nan_is_dropped_as_if_never_there() -> None:
    assert mean_interval([1.0, math.nan, 5.0, 2.0]) == mean_interval([1.0, 5.0, 2.0])
    assert ratio_interval([1, 2, math.nan, 4], [1, math.nan, 3, 5]) == ratio_interval([1, 4], [1, 5])
    assert paired_difference([1, 2, math.nan], [0, math.nan, 3]) == Interval(1.0, 1.0, 1.0, 1)


def test_booleans_are_shares() -> None:
    share = mean_interval(np.array([True, True, False, False]))
    assert share.mean == 0.5
    assert share.n == 4


@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("n", [1, 6, 200])
def test_a_share_of_none_or_all_is_not_certain(share: int, n: int) -> None:
    exact = scipy.stats.binomtest(share * n, n).proportion_ci(0.9, method="exact")
    found = of_share(mean_interval([share] * n), confidence=0.9)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert (found.mean, found.n) == (share, n)


@pytest.mark.parametrize("share", [0.25, 0.5, 2 / 3])
def test_images_of_one_share_leave_other_shares_open(share: float) -> None:
    """As far as a hidden group of images, unseen 30 times, may move the mean if all of it had 0, or 1."""
    hidden = scipy.stats.binomtest(0, 30).proportion_ci(0.95, method="exact").high
    found = of_share(mean_interval([share] * 30))
    assert (found.low, found.high) == pytest.approx(((1 - hidden) * share, (1 - hidden) * share + hidden))


@pytest.mark.parametrize("values", [[], [-3.0, -3.0], [1.5, 1.5], [0.0, 1.0, 1.0]])
def test_other_shares_keep_their_interval(values: list[float]) -> None:
    assert repr(of_share(mean_interval(values))) == repr(mean_interval(values))


def test_mean_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).gamma(1.0, size=300)
    ours = mean_interval(values, resamples=20_000)
    scipys = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert ours.mean == values.mean()
    # Two bootstraps with other random numbers differ by the Monte Carlo error of a 2.5 % quantile.
    assert ours.low == pytest.approx(scipys.low, abs=0.06 * (scipys.high - scipys.low))
    assert ours.high == pytest.approx(scipys.high, abs=0.06 * (scipys.high - scipys.low))


def test_ratio_interval_agrees_with_scipys_paired_bootstrap() -> None:
    random = np.random.default_rng(2)
    denominator = random.gamma(2.0, size=200)
    numerator = 3 * denominator + random.normal(size=200)
    ours = ratio_interval(numerator, denominator, resamples=20_000)
    scipys = scipy.stats.bootstrap(
        (numerator, denominator),
        lambda a, b, axis: a.mean(axis=axis) / b.mean(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    width = scipys.high - scipys.low
    assert (ours.low, ours.high) == (
        pytest.approx(scipys.low, abs=0.06 * width),
        pytest.approx(scipys.high, abs=0.06 * width),
    )


def test_ratio_is_of_means_not_mean_of_ratios() -> None:
    assert ratio_interval([1.0, 3.0], [1.0, 1e-3]).mean == pytest.approx(2 / 0.5005)


def test_ratio_has_a_floor() -> None:
    assert ratio_interval([1.0, 1.0], [-1.0, 0.0], floor=1e-2) == Interval(100.0, 100.0, 100.0, 2)


def test_pairing_tells_apart_what_overlapping_intervals_cannot() -> None:
    random = np.random.default_rng(0)
    b = random.normal(size=200)
    a = b + 0.1 + 0.01 * random.normal(size=200)
    assert mean_interval(a).low < mean_interval(b).high
    assert paired_difference(a, b).low > 0
    assert paired_difference(a, b).excludes(0.0)


def test_difference_of_equal_runs_is_zero_and_antisymmetric() -> None:
    random = np.random.default_rng(0)
    a, b, c = random.random((3, 50))
    assert paired_difference(a, a) == Interval(0.0, 0.0, 0.0, 50)
    forth, back = paired_difference(a, b), paired_difference(b, a)
    assert (forth.mean, forth.low, forth.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert paired_ratio_difference((a, c), (a, c)) == Interval(0.0, 0.0, 0.0, 50)
    single = paired_ratio_difference((a, np.ones(50)), (b, np.ones(50)))
    assert (single.mean, single.low, single.high) == pytest.approx((forth.mean, forth.low, forth.high))


def test_band_is_the_interval_at_every_point() -> None:
    curves = np.random.default_rng(0).random((60, 4))
    mean, low, high = mean_band(curves)
    for point in range(4):
        alone = mean_interval(curves[:, point])
        assert (mean[point], low[point], high[point]) == pytest.approx((alone.mean, alone.low, alone.high))


def test_interval_covers_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    intervals = [mean_interval(random.normal(size=100)) for _ in range(400)]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert 0.91 <= covered <= 0.98


@settings(max_examples=50, deadline=None)
@given(values_of_images, st.floats(0.1, 10), st.floats(-100, 100))
def test_interval_is_ordered_and_moves_with_the_values(values: np.ndarray, factor: float, shift: float) -> None:
    interval = mean_interval(values)
    tiny = 1e-6
    assert values.min() - tiny <= interval.low <= interval.high <= values.max() + tiny
    moved = mean_interval(factor * values + shift)
    expected = (factor * interval.low + shift, factor * interval.high + shift)
    assert (moved.low, moved.high) == pytest.approx(expected, abs=1e-6)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(0).random(30)
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values, seed=1) != mean_interval(values)


@settings(max_examples=20)
@given(n=st.integers(1, 300), resamples=st.sampled_from([1, 49, 50, 250, 333]), seed=st.integers(0, 9))
def test_resamples_are_those_that_are_drawn_one_after_the_other(n: int, resamples: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    expected = [np.bincount(random.integers(0, n, n), minlength=n) for _ in range(resamples)]
    assert np.array_equal(counts_of.__wrapped__(n, resamples, seed), expected)
    assert np.array_equal(np.concatenate(list(blocks(n, resamples, seed))), expected)


def test_many_numbers_together_are_the_same_as_alone() -> None:
    """Of two numbers of images, one with a kept and one with a passing bootstrap, and of means, ratios, none."""
    random = np.random.default_rng(0)
    columns = [random.normal(size=n) for n in (307, 307, 301, 307, 301, 12)]
    asked = [mean_of(column) for column in columns]
    asked += [difference_of(columns[0], columns[1]), ratio_of(columns[2], abs(columns[4])), mean_of([])]
    asked += [ratio_difference_of((columns[0], abs(columns[1])), (columns[3], abs(columns[3])))]
    alone = [bootstrapped([one])[0] for one in asked]
    for together, one in zip(bootstrapped(asked), alone, strict=True):
        expected = pytest.approx((one.mean, one.low, one.high), rel=1e-12, abs=1e-15, nan_ok=True)
        assert (together.mean, together.low, together.high) == expected
        assert together.n == one.n
    tail = (1 - 0.95) / 2
    for column, found in zip(columns, alone, strict=False):
        drawn = np.concatenate([block @ (column - column.mean()) for block in blocks(len(column), 2000, 0)])
        expected = np.quantile(drawn / len(column) + column.mean(), [tail, 1 - tail])
        assert (found.mean, found.low, found.high) == pytest.approx((column.mean(), *expected), rel=1e-12, abs=1e-15)
