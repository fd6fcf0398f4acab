"""What is said about runs whose relations are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from pellucid.metrics.survival import survives
from pellucid.report.contrasts import Contrast, contrasts, p_value, spoken_of
from pellucid.report.table import summarise
from pellucid.report.verdict import baseline_of, changes, sanity, standings
from pellucid.runs.evaluated import read_runs
from pellucid.statistics import Interval, mean_interval, paired_difference


@pytest.fixture(scope="module")
def said(six_runs):
    runs = read_runs(six_runs)
    summaries = {run.name: summarise(run) for run in runs}
    contrasted = contrasts(runs, summaries, runs[0])
    return runs, summaries, standings(runs, summaries, runs[0], contrasted), runs[0]


def _standings(runs, summaries, baseline):
    return standings(runs, summaries, baseline, contrasts(runs, summaries, baseline))


def test_baseline_is_the_first_regular_run_wherever_it_stands(six_runs) -> None:
    runs = read_runs(six_runs)
    assert baseline_of(runs[::-1]).name == "regular"
    assert baseline_of(runs[3:]).name == "sgt"


def test_each_metric_has_one_best_and_it_is_the_best(said) -> None:
    runs, summaries, standing, _ = said
    for name in summaries["regular"]:
        best = [run.name for run in runs if standing[run.name, name].rank == "best"]
        lower = ("entropy", "size_kb", "aopc_lerf", "ris", "ros", "calibration_error", "calibration_error_equal_mass")
        sign = -1 if name.partition("/")[0] in lower else 1
        assert best == [max(summaries, key=lambda run: sign * summaries[run][name].mean)]


def test_where_a_ratio_is_over_nothing_nobody_is_best(make_run) -> None:
    nothing, something = (0.9, 0.1, 0.5, 1e-9, 0.2, 1.0, 8.0), (0.9, 0.1, 0.5, 1e-3, 0.2, 1.0, 8.0)
    runs = read_runs([make_run("nothing", means=nothing), make_run("something", means=something)])
    summaries = {run.name: summarise(run) for run in runs}
    assert _standings(runs, summaries, runs[1])["nothing", "aopc_rel"].rank == "best"
    wide = replace(summaries["nothing"]["aopc_rel"], low=5.0)
    summaries["nothing"] = summaries["nothing"] | {"aopc_rel": wide}
    standing = _standings(runs, summaries, runs[1])
    assert [standing[run.name, "aopc_rel"].rank for run in runs] == ["", ""]


def test_change_follows_the_paired_interval_and_the_direction(said) -> None:
    _, _, standing, _ = said
    assert standing["scaat", "aopc_lerf"].change == "better"  # lower
    assert standing["scaat", "gini"].change == "better"  # higher
    assert standing["at", "clean_accuracy"].change == "worse"  # lower
    assert standing["at", "aopc_morf"].change == "worse"
    assert standing["regular", "gini"].change == ""
    for where in standing.values():
        if where.difference is not None:
            assert where.change in ("level", "") or where.difference.excludes(0.0)
            assert (where.change == "level") == (where.p >= 0.05 and where.change != "")


def test_p_is_below_five_percent_where_the_interval_excludes_zero() -> None:
    assert p_value(Interval(1.0, 1e-9, 3.0, 50)) < 0.05 < p_value(Interval(1.0, -1e-9, 1.1, 50))
    assert p_value(Interval(-1.0, -3.0, -1e-9, 50)) < 0.05 < p_value(Interval(-1.0, -1.1, 1e-9, 50))
    assert p_value(Interval(0.0, 0.0, 0.0, 50)) == 1
    assert p_value(Interval(1.0, 1.0, 1.0, 50)) == 0
    assert p_value(Interval(1.0, 1.0, 1.0, 1)) == p_value(Interval(math.nan, math.nan, math.nan, 0)) == 1


def test_p_is_near_the_permutation_tests() -> None:
    random = np.random.default_rng(0)
    for shift in (0.0, 0.1, 0.2):
        ours, theirs = random.normal(shift, 1, 400), random.normal(0, 1, 400)
        permuted = scipy.stats.permutation_test(
            (ours - theirs,), np.mean, permutation_type="samples", vectorized=True, batch=250, rng=0
        )
        assert p_value(paired_difference(ours, theirs)) == pytest.approx(permuted.pvalue, abs=0.03)


def test_the_verdicts_comparisons_are_corrected_together(said) -> None:
    runs, _, standing, _ = said
    spoken = ["clean_accuracy", "robust_accuracy", "gini", "ris"]
    assert [measure.name for measure in spoken_of(runs)] == spoken
    alone = {
        (name, run.name): p_value(standing[run.name, name].difference)
        for name in [*spoken, "entropy"]
        for run in runs[1:]
    }
    p = {where: standing[where[1], where[0]].p for where in alone}
    assert all(p[where] >= alone[where] for where in alone)
    # Every two of the six runs are compared in each of the four measures, and five with the baseline in another.
    least = min((where for where in alone if where[0] in spoken and alone[where] > 0), key=alone.get)
    assert p[least] >= min(1, 20 * alone[least])
    own = [alone[where] for where in alone if where[0] == "entropy"]
    assert p["entropy", runs[1].name] <= min(1, 2 * len(own) * max(own))


@pytest.mark.parametrize("n", [2, 5, 9, 10])
def test_few_images_tell_nothing_apart(n: int) -> None:
    """A percentile interval of two values of one sign never holds 0."""
    interval = mean_interval(np.linspace(0.01, 0.02, n))
    assert interval.low > 0 and (p_value(interval) < 0.05) == (n >= 10)


def test_one_image_tells_no_runs_apart(make_run) -> None:
    runs = read_runs([make_run("a", images=1, gallery=1), make_run("b", images=1, gallery=1)])
    standing = _standings(runs, {run.name: summarise(run) for run in runs}, runs[0])
    assert {where.change for (run, _), where in standing.items() if run == "b"} <= {"level", ""}


def test_sanity_is_said_for_each_kind_of_map() -> None:
    falls, survives_, unclear = (survives({"fc": values}) for values in ([0.0, 0.1], [0.9, 0.8], [0.9, 0.2]))
    found = {
        "a": {"vanilla_gradient": falls, "smoothgrad": survives_},
        "b": {"vanilla_gradient": falls, "smoothgrad": falls},
        "c": {"smoothgrad": unclear},
    }
    vanilla, smooth = sanity(found)
    assert vanilla.startswith("Vanilla gradient maps of every network pass the sanity check")
    assert smooth.startswith("SmoothGrad maps of a fail the sanity check")
    assert "Those of b pass. Whether SmoothGrad maps of c pass it, these pictures are too few" in smooth
    assert sanity({"a": {}}) == []
    both = sanity({"a": {"vanilla_gradient": falls, "smoothgrad": falls}})
    assert both == [
        "Vanilla gradient and SmoothGrad maps of a pass the sanity check: they change when the layers are random."
    ]


def test_two_equal_runs_cannot_be_told_apart(make_run) -> None:
    runs = read_runs([make_run("a", saliency=("vanilla_gradient",)), make_run("b", saliency=("vanilla_gradient",))])
    runs[1] = replace(runs[1], rows=runs[0].rows)
    summaries = {run.name: summarise(run) for run in runs}
    standing = _standings(runs, summaries, runs[0])
    assert {standing["a", name].rank for name in summaries["a"]} == {"best"}
    assert {standing["b", name].rank for name in summaries["a"]} == {"level"}
    assert {standing["b", name].change for name in summaries["a"]} == {"level"}
    assert changes(runs, summaries, standing, runs[0])[0].better == []


def test_changes_leave_nothing_out(said) -> None:
    found = changes(*said)
    assert [change.run for change in found] == ["at", "at-smoothing", "sgt", "scaat", "scaat-fast"]
    assert all(len(change.better + change.worse + change.level) == 4 for change in found)


def test_pairs_that_share_a_bootstrap_have_the_same_intervals(said, monkeypatch) -> None:
    runs, summaries, _, baseline = said
    alone = contrasts(runs, summaries, baseline)
    monkeypatch.setattr("pellucid.report.contrasts.FEW_RUNS", 1)
    shared = contrasts(runs, summaries, baseline)
    assert shared.keys() == alone.keys()
    assert np.isnan(runs[0].values("ris")).sum() != np.isnan(runs[1].values("ris")).sum()  # some pictures have none
    for where, test in shared.items():
        ours, theirs = (
            np.array([one.mean, one.low, one.high, one.n]) for one in (test.difference, alone[where].difference)
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_both_orders_of_a_pair_say_the_same(said) -> None:
    runs, summaries, _, baseline = said
    contrasted = contrasts(runs, summaries, baseline)
    for (name, run, other), test in contrasted.items():
        turned = contrasted[name, other, run]
        assert turned.p == test.p
        assert (turned.difference.mean, turned.difference.low) == (-test.difference.mean, -test.difference.high)
    pairs = {frozenset(where[1:]) for where in contrasted if where[0] == "gini"}
    assert len(pairs) == 15


def test_as_many_images_as_are_needed_would_tell() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0.1, 1, 200)
    found = paired_difference(values, np.zeros(200))
    assert not found.excludes(0.0)
    needed = Contrast(found, 0.2).images_needed
    for count, tells in ((0.8 * needed, False), (1.2 * needed, True)):
        like = np.resize(values, int(count))
        like += values.mean() - like.mean()
        assert paired_difference(like, np.zeros(len(like))).excludes(0.0) == tells
    assert Contrast(found, 1.0, undecided=10).images_needed > needed
    assert Contrast(Interval(0.0, -1.0, 1.0, 50), 1.0).images_needed is None
    assert Contrast(Interval(1e-9, -1.0, 1.0, 50), 1.0).images_needed is None
