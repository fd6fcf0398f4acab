"""Intervals over seeds and images: identities, coverage in simulations, ratios that agree with differences."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from pellucid.core.errors import InputError
from pellucid.statistics import mean_interval
from pellucid.statistics.seeds import hierarchical_interval, hierarchical_ratio, hierarchical_statistic


class TestHierarchical:
    def test_networks_that_agree_leave_the_interval_over_images(self) -> None:
        values = np.random.default_rng(0).random(50)
        ours, images = hierarchical_interval(np.tile(values, (3, 1))), mean_interval(values)
        assert (ours.mean, ours.low, ours.high, ours.n) == pytest.approx((images.mean, images.low, images.high, 50))

    def test_images_that_agree_leave_students_interval_over_seeds(self) -> None:
        seeds = np.array([0.0, 0.0, 1.0])
        ours = hierarchical_interval(np.repeat(seeds[:, None], 20, axis=1))
        low, high = scipy.stats.t.interval(0.95, 2, seeds.mean(), scipy.stats.sem(seeds))
        assert (ours.mean, ours.low, ours.high, ours.n) == pytest.approx((1 / 3, low, high, 20))

    def test_variance_of_seeds_and_images_add_up(self) -> None:
        random = np.random.default_rng(0)
        seeds, images = random.normal(size=(40, 1)), 8 * random.normal(size=400)
        ours = hierarchical_interval(seeds + images, resamples=20_000)
        error = math.sqrt(seeds.var(ddof=1) / 40 + images.var() / 400)
        assert ours.mean == pytest.approx(seeds.mean() + images.mean())
        assert (ours.high - ours.low) / (2 * 1.96) == pytest.approx(error, rel=0.04)

    @pytest.mark.parametrize("seeds", [2, 3, 5])
    def test_covers_as_often_as_it_says_however_few_seeds(self, seeds: int) -> None:
        random = np.random.default_rng(seeds)
        covered = []
        for _ in range(300):
            of_seeds, of_images = random.normal(size=(seeds, 1)), random.normal(size=60)
            values = of_seeds + of_images + random.normal(size=(seeds, 60))
            interval = hierarchical_interval(values, resamples=200)
            covered.append(interval.low <= 0 <= interval.high)
        assert 0.92 <= np.mean(covered) <= 0.99  # the bootstrap of seeds has 0.73 for three of them

    def test_is_wider_than_the_interval_of_images_alone(self) -> None:
        values = np.random.default_rng(0).normal(size=(5, 40)) + np.arange(5)[:, None]
        ours, images = hierarchical_interval(values), mean_interval(values.mean(axis=0))
        assert ours.mean == pytest.approx(images.mean)
        assert ours.low < images.low < images.high < ours.high

    def test_an_image_missing_under_one_seed_is_dropped(self) -> None:
        values = np.random.default_rng(0).random((3, 5))
        holed = np.insert(values, 2, [1.0, math.nan, 2.0], axis=1)
        assert hierarchical_interval(holed) == hierarchical_interval(values)
        assert hierarchical_interval(np.full((2, 3), math.nan)).n == 0

    @settings(max_examples=30)
    @given(hnp.arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(1, 20)), elements=st.floats(-1e3, 1e3)))
    def test_holds_the_interval_of_images(self, values: np.ndarray) -> None:
        ours, images = hierarchical_interval(values, resamples=200), mean_interval(values.mean(axis=0), resamples=200)
        tiny = 1e-6
        assert ours.low <= images.low + tiny and images.high - tiny <= ours.high

    def test_of_any_statistic(self) -> None:
        values = np.random.default_rng(1).normal(2, 1, size=(2, 4, 30)) + np.arange(4)[None, :, None]

        def mean(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            return lambda weight: weight @ rows / weight.sum(axis=1)

        groups = [[mean(rows) for rows in group] for group in values]
        for ours, theirs in (
            (hierarchical_statistic(groups[:1], 30), hierarchical_interval(values[0])),
            (
                hierarchical_statistic(groups, 30, function=lambda means: means[0] - means[1]),
                hierarchical_interval(values[0] - values[1]),
            ),
        ):
            assert (ours.mean, ours.low, ours.high) == pytest.approx((theirs.mean, theirs.low, theirs.high))
        ratio = hierarchical_statistic(groups, 30, function=lambda means: means[0] / means[1])
        assert ratio.mean == pytest.approx(values[0].mean() / values[1].mean())
        assert hierarchical_statistic(groups, 30, function=lambda means: means[0] * np.nan).n == 0
        with pytest.raises(InputError, match="same number of seeds"):
            hierarchical_statistic([groups[0], groups[1][:2]], 30)

    @pytest.mark.parametrize("shape", [(5,), (1, 5), (2, 3, 4)])
    def test_bad_input(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match=r"values must be \(seeds, images\) with at least 2 seeds, got shape"):
            hierarchical_interval(np.zeros(shape))


@pytest.mark.parametrize("seed", range(5))
def test_a_ratio_s_interval_holds_the_factors_that_the_difference_does_not_exclude(seed: int) -> None:
    random = np.random.default_rng(seed)
    shared = random.normal(size=50)
    run, baseline = (
        [mean_of(level + 0.3 * random.normal() + shared + random.normal(size=50)) for _ in range(4)]
        for level in (3.0, 2.0)
    )
    found = hierarchical_ratio(run, baseline, 50)
    assert found.low < found.mean < found.high
    for factor, inside in (
        (found.low - 1e-3, False),
        (found.low + 1e-3, True),
        (found.high - 1e-3, True),
        (found.high + 1e-3, False),
    ):
        over = hierarchical_statistic([run, baseline], 50, function=lambda means, k=factor: means[0] - k * means[1])
        assert (over.low <= 0 <= over.high) is inside


def test_a_ratio_to_what_may_be_nothing_is_empty() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 40))
    run, baseline = ([mean_of(one) for one in own] for own in (values[0] + 1, values[1] * 0.1))
    assert hierarchical_ratio(run, baseline, 40).n == 0
    with pytest.raises(InputError, match="same number of seeds"):
        hierarchical_ratio(run, baseline[:1], 40)


def mean_of(values):
    return lambda weight: weight @ values / weight.sum(axis=1)
