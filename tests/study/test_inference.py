"""Tests and effect sizes: identities and limits, then scipy, statsmodels and what R prints for textbook data."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st
from statsmodels.stats.weightstats import ttost_paired

from pellucid.core.errors import InputError
from pellucid.study.inference import (
    equivalence,
    friedman,
    hodges_lehmann,
    kendalls_w,
    signed_rank,
    signed_rank_effect,
)
from pellucid.study.resampling import participant_interval, two_way_interval

halves = st.lists(st.integers(-6, 6).map(lambda whole: whole / 2), min_size=1, max_size=9)

# Hollander and Wolfe 1973, p. 29: depression before and after, R's example of wilcox.test.
BEFORE = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
AFTER = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])

# Hollander and Wolfe 1973, p. 140: three ways of rounding first base, R's example of friedman.test.
ROUNDING = [
    *[[5.40, 5.50, 5.55], [5.85, 5.70, 5.75], [5.20, 5.60, 5.50], [5.55, 5.50, 5.40], [5.90, 5.85, 5.70]],
    *[[5.45, 5.55, 5.60], [5.40, 5.40, 5.35], [5.45, 5.50, 5.35], [5.25, 5.15, 5.00], [5.85, 5.80, 5.70]],
    *[[5.25, 5.20, 5.10], [5.65, 5.55, 5.45], [5.60, 5.35, 5.45], [5.05, 5.00, 4.95], [5.50, 5.50, 5.40]],
    *[[5.45, 5.55, 5.50], [5.55, 5.55, 5.35], [5.45, 5.50, 5.55], [5.50, 5.45, 5.25], [5.65, 5.60, 5.40]],
    *[[5.70, 5.65, 5.55], [6.30, 6.30, 6.25]],
]


def test_signed_rank_of_r_example() -> None:
    found = signed_rank(BEFORE - AFTER)
    assert (found.statistic, found.n, found.zeros) == (40, 9, 0)
    assert found.p == 0.0390625
    assert signed_rank(BEFORE - AFTER, alternative="greater").p == 0.01953125
    assert hodges_lehmann(BEFORE - AFTER) == pytest.approx(0.46)


def test_friedman_of_r_example() -> None:
    found = friedman(ROUNDING)
    assert found.statistic == pytest.approx(11.143, abs=5e-4)
    assert found.p == pytest.approx(0.003805, abs=5e-7)
    assert found.w == pytest.approx(11.143 / 44, abs=1e-4)
    assert not found.permuted


@settings(max_examples=30)
@given(halves)
def test_signed_rank_is_exact_with_ties_and_zeros(differences: list[float]) -> None:
    ranks = scipy.stats.rankdata(np.abs(differences))  # Pratt: zeros are ranked, then left out
    kept = [rank for rank, one in zip(ranks, differences, strict=True) if one]
    observed = sum(rank for rank, one in zip(ranks, differences, strict=True) if one > 0)
    sums = [sum(signs) for signs in itertools.product(*[(0, rank) for rank in kept])]
    greater, less = np.mean([one >= observed for one in sums]), np.mean([one <= observed for one in sums])
    assert signed_rank(differences).p == pytest.approx(min(1, 2 * min(greater, less)))
    assert signed_rank(differences, alternative="greater").p == pytest.approx(greater)
    assert signed_rank(differences, alternative="less").p == pytest.approx(less)


@settings(max_examples=30)
@given(halves)
def test_the_other_direction_has_the_same_p(differences: list[float]) -> None:
    there, back = signed_rank(differences), signed_rank([-one for one in differences])
    assert there.p == pytest.approx(back.p)
    assert hodges_lehmann(differences) == -hodges_lehmann([-one for one in differences])
    assert signed_rank_effect([*differences, 1]) == -signed_rank_effect([*(-one for one in differences), -1])


@pytest.mark.parametrize("n", [8, 30])
def test_signed_rank_without_ties_is_scipys_exact(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, size=n)
    assert signed_rank(differences).p == pytest.approx(scipy.stats.wilcoxon(differences, method="exact").pvalue)


def test_signed_rank_of_many_tends_to_scipys_normal_limit() -> None:
    differences = np.random.default_rng(5).integers(-5, 6, size=400) / 2
    limit = scipy.stats.wilcoxon(differences, zero_method="pratt", method="asymptotic").pvalue
    assert signed_rank(differences).p == pytest.approx(limit, abs=0.002)
    assert 0.01 < limit < 0.9


def test_means_that_differ_in_the_last_bit_are_tied() -> None:
    third = np.array([0.1 + 0.2 - 0.3, 1.0, -1.0 - 1e-15])
    assert signed_rank(third).zeros == 1
    assert signed_rank(third).p == 1
    assert signed_rank_effect(third) == 0


def test_no_difference_at_all() -> None:
    assert signed_rank([0.0, 0.0]).p == 1
    assert friedman([[1, 1, 1], [2, 2, 2]]).p == 1
    assert kendalls_w([[1, 1, 1], [2, 2, 2]]) == 0


@settings(max_examples=30)
@given(
    st.lists(st.tuples(*[st.integers(1, 4)] * 3), min_size=2, max_size=12).filter(lambda rows: np.ptp(rows, 1).any())
)
def test_kendalls_w_is_friedmans_statistic_over_its_largest(rows: list[tuple[int, int, int]]) -> None:
    found = friedman(rows, resamples=1)
    assert found.w == pytest.approx(kendalls_w(rows))
    assert 0 <= found.w <= 1 + 1e-9


def test_few_participants_are_permuted_within_themselves() -> None:
    rows = np.array([[1, 2, 3], [1, 3, 2], [2, 1, 3], [1, 2, 3]])
    orders = [np.array(list(itertools.permutations(row))) for row in rows]
    sums = [np.sum(table, axis=0) for table in itertools.product(*orders)]
    observed = (rows.sum(axis=0) ** 2).sum()
    exact = np.mean([(one**2).sum() >= observed for one in sums])
    found = friedman(rows, resamples=20000)
    assert found.permuted
    assert found.p == pytest.approx(exact, abs=0.012)
    assert friedman(rows).p == friedman(rows).p


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    differences = np.random.default_rng(1).normal(0.05, 0.3, size=40)
    one_sided = [
        scipy.stats.wilcoxon(differences + 0.25, alternative="greater", method="exact").pvalue,
        scipy.stats.wilcoxon(differences - 0.25, alternative="less", method="exact").pvalue,
    ]
    assert equivalence(differences, bound=0.25) == pytest.approx(max(one_sided))
    parametric = ttost_paired(differences, np.zeros(40), -0.25, 0.25)[0]
    assert equivalence(differences, bound=0.25) == pytest.approx(parametric, rel=1)  # both about 1e-4
    assert equivalence(differences + 1, bound=0.25) > 0.99


def test_hodges_lehmann_moves_with_the_values() -> None:
    values = np.random.default_rng(2).normal(size=15)
    assert hodges_lehmann(values + 3) == pytest.approx(hodges_lehmann(values) + 3)
    walsh = [(a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2)]
    assert hodges_lehmann(values) == np.median(walsh)


def rank_biserial(differences: np.ndarray) -> float:
    """By its definition: signed ranks of the differences that are not 0 over the sum of their ranks."""
    signed = np.asarray(differences)[np.asarray(differences) != 0]
    ranks = scipy.stats.rankdata(np.abs(signed))
    return float((np.sign(signed) * ranks).sum() / ranks.sum()) if len(signed) else 0.0


def test_the_effect_is_the_rank_biserial_correlation() -> None:
    assert signed_rank_effect(BEFORE - AFTER) == pytest.approx(rank_biserial(BEFORE - AFTER))
    assert signed_rank_effect(BEFORE - AFTER) == pytest.approx((2 * 40 - 45) / 45)


def test_the_interval_over_participants_covers_as_scipys_does() -> None:
    values = np.random.default_rng(3).normal(0.4, 1, size=50)
    found = participant_interval(values, hodges_lehmann, seed=1)
    scipys = scipy.stats.bootstrap(
        (values,), hodges_lehmann, vectorized=False, n_resamples=1000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert found.low < found.mean < found.high
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), abs=0.06)
    assert found.mean == hodges_lehmann(values)


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.integers(-4, 4).map(lambda whole: whole / 2), min_size=5, max_size=5), min_size=1, max_size=6)
)
def test_a_batch_is_its_parts(rows: list[list[float]]) -> None:
    for statistic in (hodges_lehmann, signed_rank_effect):
        assert statistic(rows).tolist() == [statistic(row) for row in rows]
    assert signed_rank_effect(rows).tolist() == pytest.approx([rank_biserial(row) for row in rows])
    tables = np.array([[row, row[::-1]] for row in rows])
    assert kendalls_w(tables).tolist() == [kendalls_w(table) for table in tables]


def test_two_way_interval_is_wider_where_images_differ() -> None:
    random = np.random.default_rng(4)
    same = np.full((40, 10), 3.0) + random.normal(0, 0.3, (40, 10))
    by_image = same + random.normal(0, 1, 10)
    narrow, wide = (two_way_interval(one, np.full((40, 10), 3.0)) for one in (same, by_image))
    assert wide.mean == pytest.approx((by_image - 3).mean())
    # The spread of ten images' mean is about 1 / sqrt(10).
    assert wide.high - wide.low == pytest.approx(2 * 1.96 / np.sqrt(10), rel=0.35)
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_two_way_interval_takes_what_each_participant_saw() -> None:
    nan = float("nan")
    found = two_way_interval([[5, nan], [nan, 4], [nan, nan]], [[nan, 3], [2, nan], [1, 1]], resamples=200)
    assert found.mean == 2
    assert found.n == 2


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: signed_rank([]), r"\(n,\) with n >= 1"),
        (lambda: signed_rank([1.0, float("nan")]), "finite, got nan"),
        (lambda: friedman([[1, 2], [2, 1]]), "k >= 3, got shape"),
        (lambda: equivalence([1.0], bound=0.0), "above 0, got 0"),
        (lambda: two_way_interval([[1.0]], [[1.0, 2.0]]), "one shape"),
        (lambda: two_way_interval([[1.0]], [[float("nan")]]), "no participant rated both"),
    ],
)
def test_mistakes_are_told(call, said: str) -> None:
    with pytest.raises(InputError, match=said):
        call()
