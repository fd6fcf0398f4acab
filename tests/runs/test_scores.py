"""The scores of a run's predictions: of two classes, of many, of rows of earlier versions, and of subgroups."""

import numpy as np
import pyarrow as pa
import pytest

from pellucid.core.errors import InputError
from pellucid.metrics.scores import auc
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure, measured, resolved
from pellucid.runs.outcomes import Predictions, one_against_the_others
from pellucid.runs.scores import SCORES
from pellucid.runs.subgroups import Subgroup, members, names_of, others_of, part_of, subgroups_of


def make(classes: int = 2, n: int = 200, *, keep: bool = True, seed: int = 0) -> Run:
    """A run of known rows, none of whose files exists."""
    random = np.random.default_rng(seed)
    label = random.integers(0, classes, n)
    logits = 1.5 * (label[:, None] == np.arange(classes)) + random.normal(size=(n, classes))
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = {
        "index": pa.array(np.arange(n)),
        "label": pa.array(label),
        "prediction": pa.array(probability.argmax(axis=1)),
        "score": pa.array(probability.max(axis=1).astype(np.float32)),
        "subgroup site": pa.array([None if i == 0 else "AB"[i % 2] for i in range(n)]),
    }
    if keep:
        columns["probability"] = pa.array(list(probability.astype(np.float32)), pa.list_(pa.float32()))
    info = {"classes": [f"class {k}" for k in range(classes)], "columns": {}}
    return Run("made", None, {}, pa.table(columns), info)  # type: ignore[arg-type]


def value(run: Run, name: str) -> float:
    return Measure.named(name).interval(run).mean


TWO = {name for name, score in SCORES.items() if score.two_classes}
RANKING = {name for name, score in SCORES.items() if score.ranking}


def test_what_a_run_has_depends_on_its_rows() -> None:
    def there(run: Run) -> set[str]:
        return {*resolved(run)} & {*SCORES}

    assert there(make()) == there(make(keep=False)) == {*SCORES}
    assert there(make(5)) == {*SCORES} - TWO
    assert there(make(5, keep=False)) == {*SCORES} - TWO - RANKING


def test_scores_of_two_classes() -> None:
    run = make()
    said = Predictions.of(run)
    positive = said.label == 1
    assert value(run, "sensitivity") == (said.prediction[positive] == 1).mean()
    assert value(run, "specificity") == (said.prediction[~positive] == 0).mean()
    both = (value(run, "sensitivity") + value(run, "specificity")) / 2
    assert value(run, "balanced_accuracy") == pytest.approx(both)
    assert value(run, "precision") == pytest.approx(positive[said.prediction == 1].mean())
    exact, recall = value(run, "precision"), value(run, "sensitivity")
    assert value(run, "f1") == pytest.approx(2 * exact * recall / (exact + recall))
    assert value(run, "auc") == pytest.approx(auc(said.probability[:, 1], positive))


def test_rows_without_probabilities_say_the_same_of_two_classes() -> None:
    with_them, without = make(), make(keep=False)
    for name in SCORES:
        assert value(with_them, name) == pytest.approx(value(without, name), abs=1e-6), name


def test_scores_of_many_classes_are_means_of_one_against_the_others() -> None:
    run = make(4)
    views = [one_against_the_others(run, which) for which in range(4)]
    for name in ("auc", "average_precision", "precision", "f1"):
        assert value(run, name) == pytest.approx(np.mean([value(view, name) for view in views])), name
    assert value(run, "balanced_accuracy") == pytest.approx(np.mean([value(view, "sensitivity") for view in views]))


def test_log_odds_tell_apart_what_32_bits_round_to_one() -> None:
    run = make(n=4)
    tiny = np.float32([1e-20, 1e-30, 1e-10, 1e-25])
    pairs = pa.array(list(np.column_stack([tiny, 1 - tiny])), pa.list_(pa.float32()))
    rows = run.rows.set_column(run.rows.column_names.index("probability"), "probability", pairs)
    said = Predictions.of(Run("made", None, {}, rows, run.info))  # type: ignore[arg-type]
    assert (said.probability[:, 1] == 1).all() and np.argsort(said.odds(1)).tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize("classes", [2, 5])
def test_every_interval_holds_its_number_and_a_difference_is_antisymmetric(classes: int) -> None:
    a, b = make(classes, 150), make(classes, 150, seed=1)
    b = Run("other", None, {}, b.rows.set_column(1, "label", a.rows["label"]), b.info)  # type: ignore[arg-type]
    for name in resolved(a):
        measure = Measure.named(name)
        interval = measure.interval(a)
        assert interval.low <= interval.mean <= interval.high and interval.low < interval.high, name
        found, other = measure.difference(a, b), measure.difference(b, a)
        assert found.mean == pytest.approx(interval.mean - measure.interval(b).mean), name
        assert (found.low, found.high) == pytest.approx((-other.high, -other.low), abs=1e-9), name
        same = measure.difference(a, a)
        assert same.low < 0 < same.high, f"{name} of the same answers is not certain"
        point = measure.statistic(a)(np.ones((1, 150)))[0]
        assert point == pytest.approx(interval.mean), name


def test_of_one_class_there_is_no_ranking() -> None:
    run = part_of(make(), Subgroup("class", "class 1"))
    for name in ("auc", "average_precision", "sensitivity_at_95", "specificity_at_95", "specificity"):
        assert not Measure.named(name).interval(run).n, name
    assert value(run, "sensitivity") == value(run, "clean_accuracy")


def test_other_levels_can_be_asked_for() -> None:
    run = make()
    measure = measured(run, "sensitivity_at_80")
    assert measure is not None and measure.title == "Sensitivity at 80 % specificity"
    assert measure.column.parameters == {"specificity": 0.8} and not measure.is_foreign
    assert measure.interval(run).mean >= value(run, "sensitivity_at_95")
    assert measured(run, "specificity_at_99.5") is not None
    assert measured(run, "sensitivity_at_0") is None and measured(run, "sensitivity_at_101") is None
    assert measured(make(5), "sensitivity_at_80") is None


def test_subgroups_part_the_images() -> None:
    run = make(3)
    assert names_of(run) == ["site"]
    assert subgroups_of(run, "site") == {Subgroup("site", "A"): 99, Subgroup("site", "B"): 100}
    a, rest = part_of(run, Subgroup("site", "A")), others_of(run, Subgroup("site", "A"))
    assert (a.rows.num_rows, rest.rows.num_rows) == (99, 100)  # of the first image nothing is said
    assert not set(a.rows["index"].to_pylist()) & set(rest.rows["index"].to_pylist())
    assert sum(subgroups_of(run, "class").values()) == 200


def test_the_part_of_a_class_is_its_own_images_or_it_against_the_others() -> None:
    run, one = make(3), Subgroup("class", "class 1")
    label, prediction = (run.rows[name].to_numpy() for name in ("label", "prediction"))
    assert members(run, one).sum() == (label == 1).sum()
    recall = (prediction[label == 1] == 1).mean()
    assert value(part_of(run, one, "clean_accuracy"), "clean_accuracy") == recall
    assert value(part_of(run, one, "sensitivity"), "sensitivity") == recall
    assert value(part_of(run, one, "precision"), "precision") == pytest.approx((label[prediction == 1] == 1).mean())
    assert value(part_of(run, one, "auc"), "auc") == value(one_against_the_others(run, 1), "auc")
    unranked = make(3, keep=False)
    assert value(part_of(unranked, one, "precision"), "precision") == value(part_of(run, one, "precision"), "precision")


def several(n: int = 120) -> Run:
    """Rows as an evaluation of several labels an image writes them; of a fifth of the labels the truth is unknown."""
    random = np.random.default_rng(0)
    truth = (random.random((n, 3)) < [0.3, 0.5, 0.1]).astype(np.float32)
    probability = 1 / (1 + np.exp(-(2 * truth - 1 + random.normal(size=(n, 3)))))
    truth[random.random((n, 3)) < 0.2] = np.nan
    bits = np.array([1, 2, 4])
    columns = {
        "index": pa.array(np.arange(n)),
        "label": pa.array((np.nan_to_num(truth) @ bits).astype(np.int64)),
        "prediction": pa.array(((probability >= 0.5) @ bits).astype(np.int64)),
        "score": pa.array(probability.max(axis=1).astype(np.float32)),
        "label_probability": pa.array(list(probability.astype(np.float32)), pa.list_(pa.float32())),
        "label_truth": pa.array(list(truth), pa.list_(pa.float32())),
    }
    info = {"classes": ["mass", "nodule", "rare"], "columns": {}, "task": "multilabel"}
    return Run("made", None, {}, pa.table(columns), info)  # type: ignore[arg-type]


def test_scores_of_several_labels_are_means_over_the_known() -> None:
    run = several()
    said = Predictions.of(run)
    assert {*resolved(run)} & {*SCORES} == {"auc", "average_precision"}
    each = []
    for which in range(3):
        known = ~np.isnan(said.truth[:, which])
        each.append(auc(said.probability[known, which], said.truth[known, which]))
        view = part_of(run, Subgroup("class", run.info["classes"][which]), "auc")
        assert value(view, "auc") == pytest.approx(each[-1]) and view.rows.num_rows == known.sum()
        positive = said.truth[:, which] == 1
        assert value(view, "sensitivity") == pytest.approx((said.probability[positive, which] >= 0.5).mean())
    assert value(run, "auc") == pytest.approx(np.mean(each))
    assert subgroups_of(run, "class")[Subgroup("class", "mass")] == np.nansum(said.truth[:, 0])
    interval, same = Measure.named("auc").interval(run), Measure.named("auc").difference(run, run)
    assert interval.low < interval.mean < interval.high and same.low < 0 < same.high


@pytest.mark.parametrize(
    ("subgroup", "message"),
    [
        (Subgroup("age", "7"), "has no 'age' for its images; it has site, class"),
        (Subgroup("site", "C"), "has no image whose site is 'C'; there are A, B"),
        (Subgroup("class", "class1"), "has no image whose class is 'class1'; did you mean 'class 1'"),
    ],
)
def test_unknown_subgroups(subgroup: Subgroup, message: str) -> None:
    with pytest.raises(InputError, match=message):
        part_of(make(), subgroup)
