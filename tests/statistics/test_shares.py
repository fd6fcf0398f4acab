"""Intervals of shares: identities, SciPy and naive references, coverage, and that none has no width."""

import itertools
import math
import re

import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.statistics import Interval
from pellucid.statistics.shares import (
    clopper_pearson,
    combined_difference,
    combined_mean,
    images_to_show,
    not_certain,
    share_difference,
    share_interval,
    tango,
    unseen,
    wilson,
)

Z = 1.959963984540054
counted = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counted)
def test_shares_agree_with_scipy(counts: tuple[int, int]) -> None:
    for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        scipys = scipy.stats.binomtest(*counts).proportion_ci(0.95, method=method)
        assert (ours(*counts).low, ours(*counts).high) == pytest.approx((scipys.low, scipys.high), abs=1e-9)
        assert ours(*counts).low <= ours(*counts).mean <= ours(*counts).high


def _naive(gained: int, lost: int, n: int) -> list[float]:
    """Both ends of Tango's interval, the most likely share found by trying and the ends by Brent's method."""

    def score(difference: float) -> float:
        def unlikely(q: float) -> float:
            return -(
                scipy.special.xlogy(gained, q + difference)
                + scipy.special.xlogy(lost, q)
                + scipy.special.xlogy(n - gained - lost, 1 - 2 * q - difference)
            )

        low, high = max(0.0, -difference), (1 - difference) / 2
        q = scipy.optimize.minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
        return (gained - lost - n * difference) / math.sqrt(n * (2 * q + difference * (1 - difference)))

    found = (gained - lost) / n
    return [
        scipy.optimize.brentq(lambda d: score(d) - Z, -1 + 1e-9, found - 1e-9),
        scipy.optimize.brentq(lambda d: score(d) + Z, found + 1e-9, 1 - 1e-9),
    ]


@pytest.mark.parametrize("counts", [(3, 5, 40), (1, 0, 30), (12, 2, 50), (0, 7, 100), (20, 19, 44)])
def test_tango_agrees_with_its_definition(counts: tuple[int, int, int]) -> None:
    found = tango(*counts)
    assert [found.low, found.high] == pytest.approx(_naive(*counts), abs=2e-5)


@given(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 200)))
def test_tango_is_ordered_antisymmetric_and_never_certain(counts: tuple[int, int, int]) -> None:
    gained, lost, equal = counts
    n = gained + lost + equal
    if not n:
        return
    found, other = tango(gained, lost, n), tango(lost, gained, n)
    assert -1 <= found.low <= found.mean <= found.high <= 1
    assert found.high - found.low > 0
    assert (found.low, found.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert tango(gained, lost, n, confidence=0.99).low <= found.low + 1e-12


@pytest.mark.parametrize("n", [1, 30, 381])
def test_equal_answers_leave_the_unseen_open(n: int) -> None:
    found = tango(0, 0, n)
    assert (found.mean, found.low, found.high) == pytest.approx((0, -unseen(n), unseen(n)), abs=1e-9)
    assert unseen(n) == pytest.approx(Z**2 / (n + Z**2))


def test_a_network_that_is_worse_seldom_looks_equal() -> None:
    """Truly 5 points worse, 30 images: Tango's interval reaches above 0 as it should, and its low end covers."""
    n, lost = 30, scipy.stats.binom(30, 0.05)
    missed = sum(lost.pmf(k) for k in range(n + 1) if not tango(0, k, n).low <= -0.05 <= tango(0, k, n).high)
    assert missed < 0.06
    passes = sum(lost.pmf(k) for k in range(n + 1) if tango(0, k, n).low >= -0.01)
    assert passes == 0


def test_tango_covers_as_often_as_it_says() -> None:
    """Exactly, over all outcomes of 20 pairs, whose shares of gained and lost are these."""
    n = 20
    for gain, loss in ((0.05, 0.1), (0.2, 0.2), (0.02, 0.02)):
        covered = 0.0
        for b, c in itertools.product(range(n + 1), repeat=2):
            if b + c <= n:
                chance = scipy.stats.multinomial.pmf([b, c, n - b - c], n, [gain, loss, 1 - gain - loss])
                found = tango(b, c, n)
                covered += chance * (found.low <= gain - loss <= found.high)
        assert covered > 0.935, (gain, loss)


def _passes(n: int, gain: float, loss: float, bound: float) -> float:
    """How often the whole interval lies above a bound, exactly, over all counts of n images."""
    total = 0.0
    for lost in range(n + 1):
        chance, most = scipy.stats.binom.pmf(lost, n, loss), n - lost
        if chance < 1e-9 or tango(most, lost, n).low < bound:
            continue
        low, high = 0, most  # the fewest gained with which it passes
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if tango(middle, lost, n).low >= bound else (middle + 1, high)
        total += chance * scipy.stats.binom.sf(low - 1, most, gain / (1 - loss))
    return total


@pytest.mark.parametrize(("n", "gain"), [(30, 0.1), (60, 0.02), (381, 0.0)])
def test_a_network_five_points_worse_seldom_passes_a_margin_of_one(n: int, gain: float) -> None:
    assert _passes(n, gain, gain + 0.05, -0.01) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 30, 50, 100, 200, 381, 500, 800])
def test_what_is_worse_by_the_margin_or_more_passes_in_one_case_of_thirty(n: int) -> None:
    """At any number of images and of differing answers; 2.5 % is what one side of a 95 % interval promises."""
    for gain, worse in itertools.product((0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4), (0.01, 0.05)):
        assert _passes(n, gain, gain + worse, -0.01) < 0.03, (gain, worse)


@given(st.floats(0.005, 0.5), st.floats(0, 1))
def test_as_many_images_as_needed_and_one_fewer(margin: float, differing: float) -> None:
    n = images_to_show(margin)
    assert unseen(n) <= margin * (1 + 1e-9) and (n == 1 or unseen(n - 1) > margin * (1 - 1e-9))
    half = math.ceil(images_to_show(margin, differing=differing) * differing / 2)
    if 2 * half <= images_to_show(margin, differing=differing):
        assert tango(half, half, images_to_show(margin, differing=differing)).low >= -margin
    assert images_to_show(margin, differing=differing) >= n


def test_a_difference_is_never_more_certain_than_what_is_unseen() -> None:
    assert not_certain(Interval(0.3, 0.1, 0.5, 30), 1000) == Interval(0.3, 0.1, 0.5, 30)
    assert not_certain(Interval(0.99, 0.99, 0.99, 30), 30).high == 1
    assert not not_certain(share_difference([math.nan], [1]), 30).n


def test_missing_values_are_left_out() -> None:
    nan = math.nan
    assert share_interval([1, nan, 0]) == clopper_pearson(1, 2)
    assert share_difference([1, 1, nan, 0], [0, nan, 1, 0]) == tango(1, 0, 2)
    assert not share_interval([nan]).n and not share_difference([nan], [1]).n


def test_a_mean_of_shares_is_narrower_than_one_of_them() -> None:
    parts = [wilson(9, 10), wilson(18, 20), clopper_pearson(0, 0)]
    found = combined_mean(parts)
    assert (found.mean, found.n) == (pytest.approx(0.9), 30)
    assert wilson(9, 10).low < found.low < found.high < wilson(9, 10).high
    assert not combined_mean([]).n


def test_newcombes_difference() -> None:
    """Newcombe 1998, table II: 56/70 and 48/80, method 10 gives 0.0524 to 0.3339."""
    found = combined_difference(wilson(56, 70), wilson(48, 80))
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert not combined_difference(wilson(1, 2), wilson(0, 0)).n


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: images_to_show(0), "margin must be in (0, 1), got 0"),
        (lambda: images_to_show(0.1, differing=2), "differing must be in [0, 1], got 2"),
        (lambda: wilson(3, 2), "from 0 to the number of images, got 3 of 2"),
        (lambda: clopper_pearson(-1, 2), "got -1 of 2"),
        (lambda: tango(-1, 0, 2), "must be at least 0, got -1 and 0"),
        (lambda: tango(2, 1, 2), "got 3 of 2"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        call()
