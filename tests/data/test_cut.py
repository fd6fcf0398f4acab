"""Shares of a set: every image in one part, every class alike, no group in two parts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from pellucid.core.errors import InputError
from pellucid.data import Data
from pellucid.data.cut import apart, cut, grouped, order, stratified
from pellucid.data.splits import Stored


def stored(labels, groups=None, *, whole=False):
    labels = torch.as_tensor(labels)
    images = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    names = tuple(map(str, range(int(labels.max()) + 1)))
    groups = None if groups is None else tuple(groups)
    return Stored(images, labels, names, (1, 2, 2), groups=groups, whole=whole)


@pytest.mark.parametrize("grouped_by", [None, 3])
def test_images_of_several_labels_are_cut(grouped_by):
    draws = torch.Generator().manual_seed(0)
    labels = (torch.rand(60, 3, generator=draws) < 0.4).float()
    labels[0], labels[1] = torch.tensor([0.0, 0.0, 0.0]), torch.tensor([1.0, torch.nan, 0.0])
    groups = None if grouped_by is None else tuple(f"p{i // grouped_by}" for i in range(60))
    train = Stored(torch.zeros(60, 1, 2, 2, dtype=torch.uint8), labels, ("a", "b", "c"), (1, 2, 2), groups=groups,
                   whole=True)  # fmt: skip
    for data in (Data(name="folder", path="x"), Data(name="folder", path="x", validation=9, test=9)):
        parts = cut(train, data, "x", validates=True)
        assert sorted(torch.cat(parts).tolist()) == list(range(60)) and all(len(part) >= 6 for part in parts)
        if groups is not None:
            apart = [{groups[i] for i in part.tolist()} for part in parts]
            assert not (apart[0] & apart[1] or apart[0] & apart[2] or apart[1] & apart[2])


def folder(**more):
    return Data(name="folder", path="x", **more)


def test_a_share_of_equal_classes_is_exact():
    labels = torch.arange(100) % 4
    taken = stratified(labels, 20, order(100, 0, "test"))
    assert torch.bincount(labels[taken]).tolist() == [5] * 4 and len(set(taken.tolist())) == 20


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=60), st.integers(0, 3), st.data())
def test_every_class_gives_its_share_and_keeps_some(labels, seed, data):
    count = data.draw(st.integers(1, len(labels) - 1))
    taken = stratified(torch.tensor(labels), count, order(len(labels), seed, "validation")).tolist()
    assert len(set(taken)) == len(taken)
    shared = sum(labels.count(c) > 1 for c in labels)
    for c in set(labels):
        size, given_ = labels.count(c), sum(labels[i] == c for i in taken)
        if size == 1:
            assert given_ == 0
        else:
            assert 1 <= given_ <= size - 1
            assert abs(given_ - size * count / shared) <= 1 or given_ in (1, size - 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=50), st.floats(0, 0.9), st.floats(0, 0.9), st.booleans())
def test_the_three_parts_are_a_partition(labels, validation, test, whole):
    choice = folder(validation=validation, test=test)
    parts = cut(stored(labels, whole=whole), choice, "x", validates=True)
    rows = torch.cat(parts)
    assert sorted(rows.tolist()) == list(range(len(labels)))
    assert all(part.tolist() == sorted(part.tolist()) for part in parts) and len(parts.train)


def test_a_number_of_validation_images_is_drawn_as_ever():
    """Of all images alike, by the order that older runs were made with."""
    labels = torch.arange(60) % 3
    parts = cut(stored(labels), folder(validation=7, split_seed=3), "x", validates=True)
    assert parts.validation.tolist() == sorted(order(60, 3, "validation")[:7].tolist())


def test_the_usual_number_is_a_fifth_up_to_25_000_images():
    small, large, larger = (stored(torch.arange(n) % 10) for n in (600, 25_000, 30_000))
    assert [len(part) for part in cut(small, folder(), "x", validates=True)] == [480, 120, 0]
    assert [len(part) for part in cut(large, folder(), "x", validates=True)] == [20_000, 5000, 0]
    parts = cut(larger, folder(), "x", validates=True)
    assert parts.validation.tolist() == sorted(order(30_000, 0, "validation")[:5000].tolist())


def reference(labels, groups, share, drawn):
    """scikit-learn's greedy with a fold for what is kept and one for the rest, and then single groups that change."""
    names = list(dict.fromkeys(groups[i] for i in drawn))
    table = {name: np.bincount(labels[[g == name for g in groups]], minlength=labels.max() + 1) for name in names}
    sizes = np.bincount(labels)
    folds = {True: np.zeros(len(sizes)), False: np.zeros(len(sizes))}
    of = {}
    for name in sorted(names, key=lambda name: -np.std(table[name])):
        spread = {}
        for side in (False, True):
            filled = {key: counts + (table[name] if key == side else 0) for key, counts in folds.items()}
            shares = np.array([filled[True] / (sizes * share), filled[False] / (sizes * (1 - share))])
            spread[side] = round(float(shares.std(axis=0).mean()), 9)
        of[name] = spread[True] < spread[False]
        folds[of[name]] += table[name]

    def uneven(of):
        kept = sum((table[name] for name in names if of[name]), np.zeros(len(sizes)))
        return round(float(np.abs(kept / (sizes * share) - (sizes - kept) / (sizes * (1 - share))).mean()), 9)

    before = None
    while before != of:
        before = dict(of)
        for name in names:
            if uneven(of | {name: not of[name]}) < uneven(of):
                of[name] = not of[name]
    if len(set(of.values())) == 1:
        least = min(names, key=lambda name: table[name].sum())
        of[least] = not of[least]
    return [i for i, name in enumerate(groups) if of[name]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 12), st.sampled_from([0.2, 0.25, 0.5]))
def test_groups_are_shared_as_the_reference_does(seed, count, share):
    random = np.random.default_rng(seed)
    n = 40
    groups = [f"g{i}" for i in [0, 1, *random.integers(0, count, n - 2)]]
    labels = np.array([0, 1, *random.integers(0, 2, n - 2)])
    drawn = torch.from_numpy(random.permutation(n))
    taken = grouped(torch.from_numpy(labels), groups, round(share * n), drawn)
    assert taken.tolist() == reference(labels, groups, share, drawn.tolist())
    assert not {groups[i] for i in taken} & {groups[i] for i in set(range(n)) - set(taken.tolist())}


def test_many_small_groups_give_every_class_its_share():
    random = np.random.default_rng(0)
    group = random.integers(0, 200, 1000)
    labels = torch.from_numpy((random.random(1000) < np.where(group % 2, 0.1, 0.4)).astype(np.int64))
    parts = cut(stored(labels, map(str, group), whole=True), folder(), "x", validates=True)
    positive = float(labels.float().mean())
    for part, share in zip(parts, (0.64, 0.16, 0.2), strict=True):
        assert len(part) == pytest.approx(1000 * share, abs=8)
        assert float(labels[part].float().mean()) == pytest.approx(positive, abs=0.02)
    found = [{str(group[i]) for i in part} for part in parts]
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])


def test_images_of_no_group_are_each_alone():
    taken = grouped(torch.arange(20) % 2, [""] * 10 + ["a"] * 10, 6, order(20, 0, "test"))
    assert set(taken.tolist()) <= set(range(10)) and len(taken) == 6
    apart({"train": stored([0, 1], ["", "a"]), "test": stored([0, 1], ["", "b"])}, "x")


def test_too_much_and_too_few_groups_are_sentences():
    with pytest.raises(
        InputError, match="test must be less than the 4 training images of x, got 4; set --dataset.test"
    ):
        cut(stored([0, 1] * 2), folder(test=4), "x", validates=True)
    with pytest.raises(InputError, match="the 1 groups of x are too few to keep some for validation"):
        cut(stored([0, 1] * 4, ["a"] * 8), folder(), "x", validates=True)
    with pytest.raises(InputError, match="group 'a' of x has images in train and in test"):
        apart({"train": stored([0], ["a"]), "test": stored([0], ["a"])}, "x")
