"""Paired tests and effect sizes: identities, naive references, properties, bad input."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from statsmodels.stats.multitest import multipletests

from pellucid.core.errors import InputError
from pellucid.statistics import paired_difference
from pellucid.statistics.comparison import (
    Test as Kind,
    compare_pairs,
    holm,
    paired_cohens_d,
    paired_test,
    rank_biserial,
)

KINDS: list[Kind] = ["permutation", "wilcoxon"]

two_runs = hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(2, 30)), elements=st.integers(-9, 9).map(float))


def runs(n: int, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    b = random.normal(size=n)
    return b + shift + 0.5 * random.normal(size=n), b


class TestPaired:
    @pytest.mark.parametrize("kind", KINDS)
    def test_equal_runs(self, kind: Kind) -> None:
        a, _ = runs(20, 0)
        assert paired_test(a, a, test=kind) == 1
        assert paired_cohens_d(a, a) == rank_biserial(a, a) == 0

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_better_on_every_image(self, kind: Kind) -> None:
        a, b = np.arange(8) + np.linspace(1, 2, 8), np.arange(8.0)
        assert paired_test(a, b, test=kind) == pytest.approx(2 / 2**8)
        assert rank_biserial(a, b) == 1
        assert rank_biserial(b, a) == -1

    def test_permutation_is_the_share_of_signs(self) -> None:
        a, b = runs(9, 0.3)
        means = np.array([np.mean(np.array(s) * (a - b)) for s in itertools.product([-1, 1], repeat=9)])
        above, below = (means >= np.mean(a - b) - 1e-12).mean(), (means <= np.mean(a - b) + 1e-12).mean()
        assert paired_test(a, b) == pytest.approx(2 * min(above, below))

    def test_random_signs_come_near_the_t_test(self) -> None:
        a, b = runs(200, 0.08)
        assert paired_test(a, b) == pytest.approx(scipy.stats.ttest_rel(a, b).pvalue, abs=0.01)
        assert paired_test(a, b) == paired_test(a, b) != paired_test(a, b, seed=1)

    def test_wilcoxon_is_the_share_of_signed_ranks(self) -> None:
        a, b = runs(9, 0.3)
        ranks = np.argsort(np.argsort(np.abs(a - b))) + 1
        sums = np.array([(np.array(s) * ranks).sum() for s in itertools.product([0, 1], repeat=9)])
        above, below = (sums >= ranks[a > b].sum()).mean(), (sums <= ranks[a > b].sum()).mean()
        assert paired_test(a, b, test="wilcoxon") == pytest.approx(2 * min(above, below))

    @pytest.mark.parametrize("kind", KINDS)
    def test_runs_alike_are_rejected_as_often_as_alpha(self, kind: Kind) -> None:
        p = np.array([paired_test(*runs(30, 0, seed), test=kind, resamples=999) for seed in range(200)])
        assert 0.01 <= (p < 0.05).mean() <= 0.1

    def test_effect_sizes_agree_with_the_tests_statistics(self) -> None:
        a, b = runs(40, 0.2)
        assert paired_cohens_d(a, b) == pytest.approx(scipy.stats.ttest_rel(a, b).statistic / math.sqrt(40))
        favour = scipy.stats.wilcoxon(a, b, alternative="greater").statistic
        total = 40 * 41 / 2
        assert rank_biserial(a, b) == pytest.approx((favour - (total - favour)) / total)

    def test_a_constant_difference_is_infinitely_sure(self) -> None:
        assert paired_cohens_d([2.0, 3.0], [1.0, 2.0]) == math.inf
        assert paired_cohens_d([1.0, 2.0], [2.0, 3.0]) == -math.inf

    @pytest.mark.parametrize("measure", [paired_test, paired_cohens_d, rank_biserial])
    def test_an_image_without_a_value_is_dropped(self, measure: Callable[..., float]) -> None:
        a, b = runs(6, 0.4)
        assert measure([*a, math.nan, 1.0], [*b, 1.0, math.nan]) == measure(a, b)

    @settings(max_examples=40)
    @given(two_runs, st.sampled_from(KINDS))
    def test_properties(self, values: np.ndarray, kind: Kind) -> None:
        a, b = values
        p = paired_test(a, b, test=kind, resamples=199)
        assert 0 < p <= 1
        assert -1 <= rank_biserial(a, b) <= 1
        assert rank_biserial(b, a) == -rank_biserial(a, b)
        assert paired_cohens_d(b, a) == -paired_cohens_d(a, b)
        # Multiples of 2 are exact, so nothing may change at all.
        assert paired_test(2 * a, 2 * b, test=kind, resamples=199) == p
        assert paired_cohens_d(2 * a + 4, 2 * b + 4) == pytest.approx(paired_cohens_d(a, b))


class TestHolm:
    @given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.sampled_from([0.0, 1e-9, 0.01, 0.02, 0.4, 1.0])))
    @settings(max_examples=50)
    def test_agrees_with_statsmodels_ties_included(self, p: np.ndarray) -> None:
        assert holm(p).tolist() == multipletests(p, method="holm")[1].tolist()

    def test_agrees_with_statsmodels_on_many(self) -> None:
        p = np.random.default_rng(0).random(1000) ** 9
        assert holm(p).tolist() == multipletests(p, method="holm")[1].tolist()

    @pytest.mark.parametrize("m", [1, 2, 3, 8])
    def test_between_p_and_bonferroni(self, m: int) -> None:
        for p in np.random.default_rng(m).random((5, m)) ** 2:
            corrected = holm(p)
            assert (corrected >= p * (1 - 1e-12)).all()
            assert (corrected <= np.minimum(1, m * p) * (1 + 1e-12)).all()


class TestPairs:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_pair_is_compared_and_all_corrected_together(self, kind: Kind) -> None:
        random = np.random.default_rng(0)
        values = {name: random.normal(size=25) + shift for name, shift in [("a", 0.0), ("b", -0.3), ("c", 1.5)]}
        found = compare_pairs(values, test=kind)
        assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
        for (first, second), comparison in found.items():
            a, b = values[first], values[second]
            assert comparison.difference == paired_difference(a, b)
            assert comparison.p == paired_test(a, b, test=kind)
            assert comparison.cohens_d == paired_cohens_d(a, b)
            assert comparison.rank_biserial == rank_biserial(a, b)
        corrected = [comparison.corrected_p for comparison in found.values()]
        assert corrected == holm([comparison.p for comparison in found.values()]).tolist()
        assert found["a", "c"].corrected_p < 0.05 < found["a", "b"].corrected_p

    def test_two_runs_need_no_correction(self) -> None:
        a, b = runs(12, 0.3)
        (comparison,) = compare_pairs({"a": a, "b": b}).values()
        assert comparison.corrected_p == comparison.p


class TestBadInput:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: paired_test([1.0, 2.0], [1.0]), r"same images, got \(2,\) and \(1,\)"),
            (lambda: paired_test([[1.0, 2.0]], [[1.0, 2.0]]), r"same images, got \(1, 2\)"),
            (lambda: rank_biserial([1.0, math.inf], [1.0, 2.0]), "values must not be infinite"),
            (lambda: paired_cohens_d([1.0, math.nan], [1.0, 2.0]), "at least 2 images that both runs have, got 1"),
            (lambda: paired_test([], []), "at least 2 images that both runs have, got 0"),
            (lambda: paired_test([1.0, 2.0], [2.0, 3.0], test="t"), "permutation or wilcoxon, got 't'"),  # type: ignore[arg-type]
            (lambda: paired_test([1.0, 2.0], [2.0, 3.0], resamples=0), "resamples must be at least 1, got 0"),
            (lambda: holm([0.1, 1.5]), r"p-values must be in \[0, 1\], got 1.5"),
            (lambda: holm([math.nan]), r"p-values must be in \[0, 1\], got nan"),
            (lambda: holm([]), r"p-values must be \(m,\) with m >= 1"),
            (lambda: compare_pairs({"a": [1.0, 2.0]}), "at least 2 runs, got 1"),
        ],
    )
    def test_one_sentence(self, call: Callable[[], object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            call()
