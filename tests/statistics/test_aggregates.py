"""Numbers of a set of images: what each interval must hold, DeLong by naive loops, coverage."""

import math

import numpy as np
import pytest

from pellucid.metrics.ranking import auc_influence, average_precision, average_precision_influence
from pellucid.metrics.scores import auc, balanced_accuracy
from pellucid.statistics import Interval, mean_interval, paired_difference
from pellucid.statistics.aggregates import Mean, MeanOfShares, Ratio, Share, images_to_tell
from pellucid.statistics.scores import Resampled, Smooth, stratified_counts
from pellucid.statistics.seeds import hierarchical_statistic
from pellucid.statistics.shares import clopper_pearson, share_difference, tango, unseen, wilson

Z = 1.959963984540054


def area(score: np.ndarray, positive: np.ndarray) -> Smooth:
    sizes = (int(min(positive.sum(), (~positive).sum())),)
    influence = auc_influence(score, positive)
    return Smooth(lambda weight: auc(score, positive, weight=weight), positive, sizes, influence)


def pair(random: np.random.Generator, n: int, quality: float = 1.0, noise: float = 0.3):
    """Scores of two networks of the same images, which err alike but for some noise."""
    positive = np.arange(n) % 3 == 0
    shared = random.normal(size=n) + quality * positive
    return positive, shared + noise * random.normal(size=n), shared + noise * random.normal(size=n)


def naive_variance(positive: np.ndarray, *scores: np.ndarray) -> float:
    """DeLong's variance of an AUC, or of the difference of two, by loops over all pairs."""
    placed_positive, placed_negative = [], []
    for score in scores:
        wins = np.array([[(p > n) + 0.5 * (p == n) for n in score[~positive]] for p in score[positive]])
        placed_positive.append(wins.mean(axis=1))
        placed_negative.append(wins.mean(axis=0))
    signs = [1, -1][: len(scores)]
    of_positive = sum(sign * placed for sign, placed in zip(signs, placed_positive, strict=True))
    of_negative = sum(sign * placed for sign, placed in zip(signs, placed_negative, strict=True))
    return of_positive.var(ddof=1) / positive.sum() + of_negative.var(ddof=1) / (~positive).sum()


def test_means_and_ratios_are_those_of_intervals() -> None:
    a, b = np.random.default_rng(0).gamma(2.0, size=(2, 50))
    a[3] = math.nan
    assert Mean(a).interval() == mean_interval(a)
    assert Mean(a).minus(Mean(b)) == paired_difference(a, b)
    assert Mean(a).over(Mean(b)).mean == pytest.approx(np.nanmean(a) / np.mean(np.delete(b, 3)))
    weight = np.random.default_rng(1).integers(0, 3, (5, 50)).astype(float)
    there = ~np.isnan(a)
    assert Mean(a).weighted(weight) == pytest.approx([np.average(a[there], weights=row[there]) for row in weight])
    nothing = Ratio(a, b - b.mean())
    assert not nothing.interval().n and np.isnan(nothing.weighted(weight)).all()
    seeds = [Ratio(a, b).weighted, Ratio(a, 2 * b).weighted]
    assert hierarchical_statistic([seeds], 50).n and not hierarchical_statistic([[*seeds, nothing.weighted]], 50).n
    assert Ratio(b, b).interval().mean == 1


def test_shares_are_counted() -> None:
    a, b = np.array([1.0, 1, 1, 0] * 10), np.array([1.0, 0, 1, 1] * 10)
    assert Share(a).interval() == clopper_pearson(30, 40)
    assert Share(a).minus(Share(b)) == tango(10, 10, 40)
    again = Share(a).over(Share(a))
    assert again.mean == 1 and again.low <= 1 - unseen(40) / 0.75 and again.high >= 1 + unseen(40) / 0.75 - 1e-9


def test_no_difference_of_shares_is_certain() -> None:
    """Of yes or no, of parts of an image's labels, of classes, and where only a few images differ."""
    label_accuracy = np.tile([1 / 3, 2 / 3, 1.0], 10)
    partly = Mean(label_accuracy, is_share=True)
    once = Mean(np.where(np.arange(30) == 4, 1 / 3, label_accuracy), is_share=True)
    assert partly.minus(partly).high == -partly.minus(partly).low == pytest.approx(unseen(30))
    assert once.minus(partly).low <= once.minus(partly).mean - unseen(30) and once.minus(partly).high > 0
    many = Mean(label_accuracy[::-1].copy(), is_share=True)
    assert many.minus(partly) == paired_difference(many.values, partly.values)
    right = Share(np.ones(30))
    assert partly.minus(right) == paired_difference(partly.values, right.values)
    assert Mean(label_accuracy).minus(Mean(label_accuracy)) == Interval(0.0, 0.0, 0.0, 30)  # no share: as it was
    assert Mean(np.full(30, 0.5), is_share=True).interval().high > 0.5


def test_none_of_thirty_is_no_certain_multiple() -> None:
    """0 of 30 robust beside 15 of 30: up to a fifth of the baseline's is left open."""
    none, half = Share(np.zeros(30)), Share(np.arange(30) % 2)
    found = none.over(half)
    assert (found.mean, found.low) == (0, 0)
    assert found.high == pytest.approx((none.minus(half).high + 0.5) / 0.5) and found.high > 0.2


@pytest.mark.parametrize("differing", [0, 6])
def test_as_many_images_as_are_said_would_tell(differing: int) -> None:
    """Two networks that each win on half of the differing images, repeated until the margin is shown."""
    right = np.ones(60)
    a, b = right.copy(), right.copy()
    a[: differing // 2], b[differing // 2 : differing] = 0, 0
    needed = Share(a).images_to_tell(Share(b), -0.02)
    repeats = math.ceil(needed / 60)
    enough, few = (Share(np.tile(a, k)).minus(Share(np.tile(b, k))) for k in (repeats, max(1, repeats - 2)))
    assert enough.low >= -0.02 > few.low
    assert differing or needed == 189


def test_images_that_would_tell_of_other_numbers() -> None:
    label = np.tile([0, 1], 100)
    classes = MeanOfShares(np.ones(200), label, lambda weight: np.ones(len(weight)))
    needed = classes.images_to_tell(classes, -0.01)
    size = needed // 2
    assert math.hypot(unseen(size), unseen(size)) / 2 == pytest.approx(0.01, rel=0.01)
    values = np.random.default_rng(0).normal(size=(2, 100))
    found = Mean(values[0]).minus(Mean(values[1]))
    bound = found.mean - 0.25 * (found.mean - found.low)
    assert Mean(values[0]).images_to_tell(Mean(values[1]), bound) == pytest.approx(1600, abs=2)
    assert Mean(values[0]).images_to_tell(Mean(values[1]), found.mean) is None
    assert Share(np.ones(5)).images_to_tell(Share(np.ones(5)), 0.0) is None
    assert images_to_tell(Interval(0.0, -1.0, 1.0, 100), 1e-9) is None
    assert Share(np.full(3, math.nan)).images_to_tell(Share(np.ones(3)), 0.5) is None


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(30, 30), (50, 5), (20, 20, 20, 4)])
def test_balanced_accuracy_covers_and_seldom_passes(sizes: tuple[int, ...]) -> None:
    """Networks of which one is truly 5 points worse on every class, however rare."""
    random, label = np.random.default_rng(0), np.repeat(np.arange(len(sizes)), sizes)
    for gain in (0.0, 0.02, 0.1):
        covered = passed = 0
        for _ in range(1000):
            drawn = random.random(len(label))
            lost, gained = drawn < gain + 0.05, drawn > 1 - gain
            ours, theirs = ((~side).astype(float) for side in (lost, gained))
            a, b = (MeanOfShares(right, label, lambda weight: np.zeros(len(weight))) for right in (ours, theirs))
            found = a.minus(b)
            covered += found.low <= -0.05 <= found.high
            passed += found.low >= -0.01
        assert covered >= 940 and passed <= 30, (gain, covered, passed)


def test_a_mean_of_shares_weighs_classes_alike() -> None:
    label = np.array([0] * 40 + [1] * 10)
    prediction = np.where(np.arange(50) % 5 == 0, 1 - label, label)
    right = (prediction == label).astype(float)

    def statistic(weight):
        return balanced_accuracy(prediction, label, weight=weight)

    found = MeanOfShares(right, label, statistic)
    interval = found.interval()
    assert interval.mean == pytest.approx(balanced_accuracy(prediction, label)) and interval.n == 50
    assert interval.low < 0.8 - (0.8 - wilson(8, 10).low) / 2 and interval.low > wilson(8, 10).low
    same = found.minus(found)
    assert same.high == -same.low == pytest.approx(math.hypot(unseen(40), unseen(10)) / 2)
    one = MeanOfShares(right, np.zeros(50), statistic)
    assert one.minus(one) == share_difference(right, right)


def test_delong_by_naive_loops() -> None:
    random = np.random.default_rng(0)
    positive, a, b = pair(random, 60)
    a, b = a.round(1), b.round(1)  # with ties
    first, second = area(a, positive), area(b, positive)
    error = math.sqrt(naive_variance(positive, a))
    odds = math.log(first.value / (1 - first.value))
    half = Z * error / (first.value * (1 - first.value))
    ends = [1 / (1 + math.exp(-(odds + sign * half))) for sign in (-1, 1)]
    assert [first.interval().low, first.interval().high] == pytest.approx(ends)
    half = max(Z * math.sqrt(naive_variance(positive, a, b)), unseen(20))
    found = first.minus(second)
    assert [found.mean, found.low, found.high] == pytest.approx(
        [first.value - second.value, first.value - second.value - half, first.value - second.value + half]
    )


def test_delongs_difference_of_many_images_is_its_own() -> None:
    positive, a, b = pair(np.random.default_rng(0), 450, noise=1.0)
    found = area(a, positive).minus(area(b, positive))
    assert found.high - found.mean == pytest.approx(Z * math.sqrt(naive_variance(positive, a, b)))


def test_two_perfect_rankings_are_not_certain() -> None:
    """Both networks order 15 and 15 images without a mistake: an AUC of .78 and a loss of 20 points stay open."""
    positive = np.arange(30) % 2 == 0
    a, b = positive + 0.1 * np.random.default_rng(0).random((2, 30))
    alone, difference = area(a, positive).interval(), area(b, positive).minus(area(a, positive))
    assert (alone.mean, alone.high) == (1, 1) and alone.low == pytest.approx(0.025 ** (1 / 15))
    assert (difference.mean, difference.low) == (0, pytest.approx(-unseen(15)))


def test_resampling_keeps_the_classes() -> None:
    label = np.random.default_rng(0).integers(0, 3, 50)
    counts = stratified_counts(label, resamples=500)
    for one in range(3):
        assert (counts[:, label == one].sum(axis=1) == (label == one).sum()).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.25)
    assert np.array_equal(counts, stratified_counts(label + 7, resamples=500))


def test_bootstrap_and_formula_agree() -> None:
    """The two ways to an interval of one number give the same, for a single network and for a difference."""
    positive, a, b = pair(np.random.default_rng(3), 400, noise=0.8)
    for number, influence in ((auc, auc_influence), (average_precision, average_precision_influence)):
        both = []
        for score in (a, b):

            def statistic(weight, score=score, number=number):
                return number(score, positive, weight=weight)

            sizes = (int(positive.sum()),)
            both.append(
                (
                    Smooth(statistic, positive, sizes, influence(score, positive)),
                    Resampled(statistic, positive, sizes),
                )
            )
        (smooth, drawn), (other, other_drawn) = both
        wide, narrow = smooth.interval(), drawn.interval()
        assert [wide.low, wide.high] == pytest.approx([narrow.low, narrow.high], abs=0.012)
        wide, narrow = smooth.minus(other), drawn.minus(other_drawn)
        assert [wide.low, wide.high] == pytest.approx([narrow.low, narrow.high], abs=0.012)


@pytest.mark.parametrize("n", [45, 300])
def test_delong_covers_as_often_as_it_says(n: int) -> None:
    """400 sets of images: alone it covers the AUC of 0.75, paired the true difference of 0."""
    random = np.random.default_rng(0)
    alone = paired = 0
    true = 0.7508  # the chance that N(1, 1 + .09) lies above N(0, 1 + .09), by the normal distribution's function
    for _ in range(400):
        positive, a, b = pair(random, n)
        first, second = area(a, positive), area(b, positive)
        alone += first.interval().low <= true <= first.interval().high
        paired += not first.minus(second).excludes(0)
    assert 0.92 < alone / 400 <= 1 and paired / 400 > 0.93


def test_what_does_not_exist_is_empty() -> None:
    nowhere = Resampled(lambda weight: np.full(len(weight), np.nan), np.zeros(5), ())
    assert not nowhere.interval().n and not nowhere.minus(nowhere).n
    smooth = Smooth(lambda weight: np.full(len(weight), np.nan), np.zeros(5), (), np.zeros(5))
    assert not smooth.interval().n and not smooth.minus(smooth).n


def test_no_interval_is_narrower_than_that_of_the_share_it_is() -> None:
    """The score of a fixed threshold, with a bootstrap: the exact interval is the wider one."""
    positive = np.arange(40) % 2 == 0
    right = np.where(positive, np.arange(40) != 0, np.nan).astype(float)

    def statistic(weight):
        return weight[:, positive] @ right[positive] / weight[:, positive].sum(axis=1)

    bare = Resampled(statistic, positive, (20,))
    exact = Resampled(statistic, positive, (20,), Share(right))
    assert exact.interval().low == clopper_pearson(19, 20).low < bare.interval().low
    assert exact.minus(exact).high == pytest.approx(unseen(20))
