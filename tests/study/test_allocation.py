"""Balance of the allocation: over positions, successions, images and conditions, at every number of participants."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.study.allocation import shuffled, trials, williams

conditions = st.integers(2, 7)


def spread(counts: list[int]) -> int:
    return max(counts) - min(counts)


@given(conditions)
def test_every_row_and_position_has_every_condition_equally_often(k: int) -> None:
    square = williams(k)
    assert len(square) == (k if k % 2 == 0 else 2 * k)
    assert all(sorted(row) == list(range(k)) for row in square)
    assert all(
        set(Counter(column).values()) == {len(square) // k} and len(set(column)) == k
        for column in zip(*square, strict=True)
    )


@given(conditions)
def test_every_condition_follows_every_other_equally_often(k: int) -> None:
    follows = Counter(pair for row in williams(k) for pair in pairwise(row))
    assert len(follows) == k * (k - 1)
    assert len(set(follows.values())) == 1


def test_one_condition_has_no_square() -> None:
    with pytest.raises(InputError, match="at least 2 conditions, got 1"):
        williams(1)


@given(conditions, st.integers(1, 4), st.integers(0, 2**31), st.integers(0, 200))
def test_a_participant_sees_each_image_once_and_each_condition_equally_often(
    k: int, m: int, seed: int, slot: int
) -> None:
    shown = trials(slot=slot, conditions=k, images=k * m, seed=seed)
    assert sorted(each.image for each in shown) == list(range(k * m))
    for block in range(m):
        assert sorted(each.condition for each in shown if each.block == block) == list(range(k))


@given(conditions, st.integers(1, 9), st.integers(0, 2**31), st.integers(0, 200))
def test_full_crossing_shows_each_image_under_each_condition(k: int, images: int, seed: int, slot: int) -> None:
    shown = trials(slot=slot, conditions=k, images=images, seed=seed, crossing="full")
    assert sorted((each.image, each.condition) for each in shown) == [(i, c) for i in range(images) for c in range(k)]
    assert sorted(each.image for each in shown[:images]) == list(range(images))  # no image again before all were seen


@given(conditions, st.integers(1, 3), st.integers(0, 2**31), st.integers(1, 45))
def test_counts_of_two_conditions_never_differ_by_more_than_one(k: int, m: int, seed: int, slots: int) -> None:
    shown = [trials(slot=slot, conditions=k, images=k * m, seed=seed) for slot in range(slots)]
    first = Counter(each[0].condition for each in shown)
    assert spread([first[c] for c in range(k)]) <= 1
    under = Counter((trial.image, trial.condition) for each in shown for trial in each)
    assert all(spread([under[i, c] for c in range(k)]) <= 1 for i in range(k * m))
    total = Counter(trial.condition for each in shown for trial in each)
    assert spread([total[c] for c in range(k)]) == 0


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
def test_a_whole_cycle_balances_images_over_rows(k: int) -> None:
    rows = len(williams(k))
    pairs = Counter()
    for slot in range(k * rows):
        shown = trials(slot=slot, conditions=k, images=k, seed=0)
        pairs[shown[0].condition, next(each.condition for each in shown if each.image == 0)] += 1
    assert len(pairs) == k * k
    assert len(set(pairs.values())) == 1


@given(st.integers(0, 99), st.integers(0, 99))
def test_the_order_is_a_function_of_seed_and_slot(seed: int, slot: int) -> None:
    first, again = (trials(slot=slot, conditions=3, images=12, seed=seed) for _ in range(2))
    assert first == again


def test_orders_of_seeds_and_slots_differ() -> None:
    orders = {tuple(trials(slot=slot, conditions=3, images=12, seed=seed)) for seed in range(5) for slot in range(20)}
    assert len(orders) == 100


def test_shuffled_is_a_permutation_that_favours_nobody() -> None:
    first = Counter(shuffled(range(5), seed, "x")[0] for seed in range(2000))
    assert all(abs(first[item] - 400) < 100 for item in range(5))  # five and a half standard deviations
