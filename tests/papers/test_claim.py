"""Claims are judged by their interval, and pages say what was found."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from pellucid.papers import claim as claims, measured
from pellucid.papers.claim import Claim, checked
from pellucid.papers.table_page import claim_number, fewer_images, verdicts
from pellucid.runs.evaluated import Run


class _Values:
    def __init__(self, rows):
        self.rows = rows

    def values(self, metric):
        return self.rows


def test_a_typical_factor_is_the_geometric_mean_over_images_that_both_have(monkeypatch) -> None:
    random = np.random.default_rng(0)
    base = np.exp(random.normal(size=(3, 50)))
    noise = np.exp(0.1 * random.normal(size=(3, 50)))
    ones = [_Values(2 * row * factor) for row, factor in zip(base, noise, strict=True)]
    ones[0].rows[7] = np.nan
    ones[1].rows[8] = 0.0  # no logarithm
    found = claims._typical(ones, [_Values(row) for row in base], "ros")
    kept = np.delete(np.log(noise), [7, 8], axis=1)
    assert found.n == 48 and found.mean == pytest.approx(2 * np.exp(kept.mean()))
    assert found.low < found.mean < found.high


BASE = np.array([[1.0], [1.01], [0.99], [1.0], [1.0]]) + 0.01 * np.sin(np.arange(40))


def _means(**columns):
    """A run of which each number is the mean of some images' values."""
    statistics = {name: SimpleNamespace(statistic=lambda _, of=of: measured.mean(of)) for name, of in columns.items()}
    return SimpleNamespace(measures=statistics, rows=SimpleNamespace(column_names=()))


@pytest.mark.parametrize(
    ("run", "baseline", "bounds", "verdict"),
    [
        (2 * BASE, BASE, {"low": 0.5}, "confirmed"),
        (2 * BASE, BASE, {"low": 3.0}, "refuted"),
        (2 * BASE, BASE, {"low": 0.5, "high": 1.5}, "confirmed"),
        (2 * BASE, BASE, {"low": 0.0, "high": 0.5}, "refuted"),
        (2 * BASE, BASE, {"kind": "factor", "low": 1.9}, "confirmed"),
        (0.1 * BASE, BASE, {"kind": "factor", "high": 0.2}, "confirmed"),
        (2 * BASE, BASE, {"kind": "factor", "high": 0.2}, "refuted"),
        # Seeds that disagree, and a bound within the interval.
        (BASE * np.array([[2.0], [-1.0], [3.0], [1.0], [0.5]]), BASE, {"low": 0.0}, "cannot be told"),
        (BASE * np.array([[1.1], [0.9], [1.0], [1.2], [0.8]]), BASE, {"kind": "factor", "low": 1.0}, "cannot be told"),
        (BASE, BASE, {"low": 0.0}, "cannot be told"),
        (BASE, BASE, {"low": -0.1}, "confirmed"),
        # A factor of what may be 0 or less says nothing, whatever the quotient.
        (0.005 * BASE, -0.001 * BASE, {"kind": "factor", "high": 0.2}, "cannot be told"),
    ],
)
def test_verdicts_follow_the_interval(run, baseline, bounds, verdict) -> None:
    claim = Claim(text="t", metric="gini", run="run", baseline="baseline", **bounds)
    runs = {"run": [_means(gini=seed) for seed in run], "baseline": [_means(gini=seed) for seed in baseline]}
    assert checked(claim, runs, 40)["verdict"] == verdict


def test_what_masking_loses_counts_from_the_whole_image() -> None:
    """A network that is as good on masked images as on whole ones loses nothing, however bad it is."""

    def run(right, masked):
        columns = {"road_morf": np.array(masked, dtype=float)}
        return SimpleNamespace(values=columns.__getitem__, right=np.array(right) == 1)

    runs = {"good": [run([1, 1, 1, 1], [0.5, 0.5, 0.5, 0.5])], "bad": [run([1, 0, 0, 0], [1, 0, 0, 0])]}
    claim = Claim(text="", metric="road_morf", run="good", baseline="bad", high=0, from_clean=True)
    found = claims._interval(claim, runs, 4)
    assert (found.mean, found.low, found.high) == (-0.5, -0.5, -0.5)
    assert checked(claim, runs, 4)["verdict"] == "confirmed"


def test_a_ratio_of_what_may_be_nothing_is_not_told() -> None:
    morf, lerf = 0.3 * BASE, 0.003 * BASE
    runs = [_means(aopc_morf=morf[seed], aopc_lerf=lerf[seed]) for seed in range(5)]
    assert measured.interval(runs, "aopc_rel", 40).mean == pytest.approx(100)
    lerf = BASE * np.array([[0.001], [-0.001], [0.0], [0.002], [-0.002]])
    runs = [_means(aopc_morf=morf[seed], aopc_lerf=lerf[seed]) for seed in range(5)]
    assert measured.interval(runs, "aopc_rel", 40).n == 0


def test_a_difference_that_is_rounding_is_none() -> None:
    values = {"mean": -2.2e-16, "low": -0.02, "high": 0.02}
    found = claim_number({"found": values, "kind": "difference", "metric": "robust_accuracy"})
    assert found == "+0 [−2, +2] points"


def test_a_typical_factor_says_of_how_many_images_it_is() -> None:
    values = {"mean": 0.5, "low": 0.25, "high": 1.0, "n": 47}
    claim = {"found": values, "kind": "typical", "metric": "ris"}
    assert claim_number(claim) == "0.5× [0.25, 1], 47 images"
    assert claim_number(claim | {"kind": "factor"}) == "0.5× [0.25, 1]"


def test_a_page_says_how_many_images_have_a_value() -> None:
    counts = {
        "one": {"gini": 100, "ris": 85, "ros/smoothgrad": 85},
        "two": {"gini": 100, "ris": 99, "ros/smoothgrad": 99},
    }
    measured = {run: {name: {"n": n} for name, n in own.items()} for run, own in counts.items()}
    result = {"metrics": ["gini", "ris", "ros/smoothgrad"], "measured": measured, "images": 100}
    assert fewer_images(result) == ["Not every image has a value of every number: 85 to 99 for RIS, ROS, by network."]
    assert fewer_images(result | {"metrics": ["gini"]}) == []


N = 200


def attacked(pgd: int, autoattack: int | None = None, eps: float = 0.2) -> Run:
    """A network of which the first images withstand each attack, and AutoAttack of a radius."""
    withstood = {"robust_correct": pgd, "masking_long": pgd, "masking_unbounded": 0}
    columns = {"robust_correct": {"parameters": {"eps": 0.2}}, "robust_curve": {"parameters": {"eps": [0.1, 0.2]}}}
    if autoattack is not None:
        withstood["autoattack_correct"] = autoattack
        columns["autoattack_correct"] = {"parameters": {"eps": eps}}
    rows = {name: np.arange(N) < images for name, images in withstood.items()}
    curve = np.stack([rows["robust_correct"]] * 2, axis=1).astype(np.float32)
    table = pa.table(rows | {"robust_curve": pa.array(list(curve), pa.list_(pa.float32()))})
    return Run(name="", path=Path(), config={}, rows=table, info={"columns": columns})


@pytest.mark.parametrize(
    ("run", "baseline", "metric", "eps", "verdict"),
    [
        (attacked(160), attacked(60), "robust_accuracy", None, "confirmed"),
        (attacked(160, 60), attacked(60), "robust_accuracy", None, "cannot be told"),
        (attacked(160, 60), attacked(60), "robust_accuracy", 0.2, "cannot be told"),
        (attacked(160, 60), attacked(60), "robust_accuracy", 0.1, "confirmed"),  # not the radius of the others
        (attacked(160, 60, eps=0.3), attacked(60), "robust_accuracy", None, "confirmed"),
        (attacked(160, 140), attacked(60), "robust_accuracy", None, "confirmed"),  # weak, but what is left is enough
        (attacked(160), attacked(60, 10), "robust_accuracy", None, "confirmed"),
        (attacked(160, 140), attacked(60, 50), "autoattack_correct", None, "confirmed"),
        (attacked(60), attacked(160), "robust_accuracy", None, "refuted"),
        (attacked(60), attacked(160, 50), "robust_accuracy", None, "cannot be told"),
    ],
)
def test_robust_accuracy_must_be_told_under_all_attacks(run, baseline, metric, eps, verdict) -> None:
    claim = Claim(text="", metric=metric, run="run", baseline="baseline", low=0, eps=eps)
    found = checked(claim, {"run": [run] * 2, "baseline": [baseline] * 2}, N)
    assert found["verdict"] == verdict and found["attack_too_weak"] == (verdict == "cannot be told")
    line = list(verdicts([{**found, "text": "More robust"}], seeds=2))[-1]
    assert line.endswith("**cannot be told**, not so under all attacks |" if found["attack_too_weak"] else "** |")


@pytest.mark.parametrize("found", ["confirmed", "refuted", "cannot be told"])
def test_one_seed_confirms_and_refutes_nothing(found) -> None:
    claim = {
        "text": "More robust", "metric": "gini", "kind": "difference", "whose": "ours", "verdict": found,
        "attack_too_weak": False, "found": {"mean": 0.1, "low": 0.05, "high": 0.2, "n": 10},
    }  # fmt: skip
    one, several = (list(verdicts([claim], seeds=seeds))[-1] for seeds in (1, 2))
    assert f"**{found}**" in several
    assert "**confirmed**" not in one and "**refuted**" not in one
    assert "one network" in one or found == "cannot be told"
