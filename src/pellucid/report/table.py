"""The comparison of runs: every metric of each with its interval, and paired differences between two."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

import numpy as np

from pellucid.core.errors import InputError
from pellucid.metrics.definitions import COLUMNS, DERIVED, FAMILIES, is_of_map
from pellucid.metrics.scores import auc, balanced_accuracy, expected_calibration_error
from pellucid.report.caveats import caveats
from pellucid.report.measures import MEASURES, measure_of
from pellucid.runs.directory import Floats, Run, check_comparable
from pellucid.statistics import (
    Interval,
    mean_interval,
    of_share,
    paired_difference,
    paired_ratio_difference,
    ratio_interval,
    weighted_interval,
)

__all__ = ["compare", "definitions", "difference", "metric_names", "statistic", "summarise"]

Statistic = Callable[[Floats], Floats]


def metric_names(run: Run) -> list[str]:
    """Metrics that the run's rows hold, in the order of every table, bare ones (vanilla gradient) first."""
    present = set(run.rows.column_names)
    names = [name for name in MEASURES if not is_of_map(name) and _is_there(name, "", present, run)]
    for method in run.saliency_methods:
        suffix = "" if method == "vanilla_gradient" else f"/{method}"
        names += [name + suffix for name in MEASURES if is_of_map(name) and _is_there(name, suffix, present, run)]
    return names


def _is_there(name: str, suffix: str, present: set[str], run: Run) -> bool:
    stored = {
        "clean_accuracy": [],
        "balanced_accuracy": [],
        "calibration_error": [],
        "auc": [] if len(run.info["classes"]) == 2 else ["two classes"],
        "robust_accuracy": ["robust_correct"],
        "aopc_rel": ["aopc_morf", "aopc_lerf"],
    }.get(name, [name])
    return all(column + suffix in present for column in stored)


def summarise(run: Run) -> dict[str, Interval]:
    """Every metric of a run over its test images, with 95 % percentile bootstrap intervals.

    ``clean_accuracy`` is the share of images whose prediction is the label, ``robust_accuracy`` the mean of
    ``robust_correct``, ``aopc_rel`` the ratio of the means of ``aopc_morf`` and ``aopc_lerf``; the rest are means.

    Args:
        run: an evaluated run.

    Returns:
        Interval by metric name; metrics of other saliency maps than the vanilla gradient have a suffix.
    """
    summary = {}
    for name in metric_names(run):
        if name in _STATISTICS:
            found = weighted_interval(_STATISTICS[name](run), run.rows.num_rows)
        else:
            sample = _sample(run, name)
            found = ratio_interval(*sample) if isinstance(sample, tuple) else mean_interval(sample)
        summary[name] = of_share(found) if measure_of(name).unit == "%" else found
    return summary


def difference(run: Run, baseline: Run, name: str) -> Interval:
    """A metric of ``run`` minus that of ``baseline``, paired over the images, with its 95 % interval.

    Args:
        run: an evaluated run.
        baseline: another, over the same images.
        name: a metric that both have.
    """
    if name in _STATISTICS:
        ours_of, theirs_of = _STATISTICS[name](run), _STATISTICS[name](baseline)
        return weighted_interval(lambda weight: ours_of(weight) - theirs_of(weight), run.rows.num_rows)
    ours, theirs = _sample(run, name), _sample(baseline, name)
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        return paired_ratio_difference(ours, theirs)
    return paired_difference(ours, theirs)


def statistic(run: Run, name: str) -> Statistic:
    """A metric of a run as a function of how often each image counts, for a bootstrap over several runs together.

    Args:
        run: an evaluated run.
        name: one of its metrics.

    Returns:
        Function of weights (resamples, n) to (resamples,); NaN where no image that counts has a value.
    """
    if name in _STATISTICS:
        return _STATISTICS[name](run)
    sample = _sample(run, name)
    if isinstance(sample, tuple):
        above, below = _mean(sample[0]), _mean(sample[1])
        return lambda weight: above(weight) / np.maximum(below(weight), 1e-6)
    return _mean(sample)


def _mean(values: Floats) -> Statistic:
    there = ~np.isnan(values)
    filled = np.where(there, values, 0)

    def mean(weight: Floats) -> Floats:
        count = weight @ there
        found: Floats = np.divide(weight @ filled, count, out=np.full(len(weight), np.nan), where=count > 0)
        return found

    return mean


def compare(
    runs: Sequence[Run], *, metrics: Sequence[str] = (), baseline: Run | None = None
) -> dict[str, dict[str, Any]]:
    """The comparison as plain data, ready for JSON.

    Args:
        runs: runs with different names, evaluated on the same images.
        metrics: names of those that are wanted, or families; by default all that was measured, without the balanced
            accuracy and the calibration error, which every run has.
        baseline: one of the runs, from which every other one's differences are told too.

    Returns:
        ``{run: {"method": ..., "smoothing": ..., "metrics": {name: {"mean", "low", "high", "n"}}, "caveats": [...]}}``;
        a number that does not exist (n = 0) is None, and `pellucid.report.caveats.caveats` says what the last are. With
        a baseline every other run has also ``baseline``, its name, and ``differences``, like ``metrics``: the run minus
        the baseline, paired over the images.

    Raises:
        InputError: runs that cannot stand in one table, a metric that none of them has, or a curve.
    """
    check_comparable(runs)
    there = list(dict.fromkeys(name for run in runs for name in metric_names(run)))
    wanted = _wanted(metrics, there, runs)
    return {
        run.name: {
            "method": run.method,
            "smoothing": run.smoothing,
            "metrics": {name: _plain(interval) for name, interval in summarise(run).items() if name in wanted},
            "caveats": caveats(run),
            **({} if baseline is None or run.name == baseline.name else _against(run, baseline, wanted)),
        }
        for run in runs
    }


def _against(run: Run, baseline: Run, wanted: set[str]) -> dict[str, Any]:
    there = set(metric_names(baseline)) & wanted
    differences = {name: _plain(difference(run, baseline, name)) for name in metric_names(run) if name in there}
    return {"baseline": baseline.name, "differences": differences}


def definitions(runs: Sequence[Run], metrics: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """What the columns of `compare` mean, with the settings that the runs were measured with.

    Args:
        runs: runs that may be compared.
        metrics: as in `compare`.

    Returns:
        By metric: title, definition, unit, direction, parameters and source.
    """
    there = list(dict.fromkeys(name for run in runs for name in metric_names(run)))
    wanted = _wanted(metrics, there, runs)
    found = {}
    for name in there:
        if name in wanted:
            stored = [run.columns[name] for run in runs if name in run.columns]
            known = stored[0] if stored else asdict(DERIVED[name.partition("/")[0]])
            if name == "robust_accuracy":
                known = known | {"parameters": runs[0].columns["robust_correct"]["parameters"]}
            keys = ("title", "definition", "unit", "direction", "parameters", "source")
            found[name] = {key: known[key] for key in keys}
    return found


DRAWN = ("robust_curve", "morf_curve", "lerf_curve", "random_curve")
"""Curves that the report has a figure of."""


def _wanted(metrics: Sequence[str], there: Sequence[str], runs: Sequence[Run]) -> set[str]:
    if not metrics:
        return set(there) - {"balanced_accuracy", "calibration_error"}
    found = set()
    for metric in metrics:
        of = {name for name in there if metric in (name, MEASURES[name.partition("/")[0]].family, "all")}
        if not of:
            raise InputError(_not_there(metric, there, runs))
        found |= of
    return found


def _not_there(metric: str, there: Sequence[str], runs: Sequence[Run]) -> str:
    """Why a metric that was asked for is not among those that can be shown."""
    bare = metric.partition("/")[0]
    if bare in COLUMNS and COLUMNS[bare].curve and any(metric in run.rows.column_names for run in runs):
        where = "`pellucid report` draws it" if bare in DRAWN else "rows.parquet holds it"
        return f"{metric!r} is a curve for each image, which has no place in a table; {where}"
    if metric == "robust_correct":
        return "the mean of 'robust_correct' is called robust_accuracy; ask for that"
    if bare in (*COLUMNS, *DERIVED) or metric in FAMILIES:
        return f"no run has the metric {metric!r}; `pellucid evaluate --metrics {bare}` measures it"
    close = get_close_matches(metric, [*there, *FAMILIES], n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`pellucid metrics` lists them"
    return f"no run has the metric {metric!r}; {hint}"


def _balanced_accuracy(run: Run) -> Statistic:
    prediction, label = (run.rows[name].to_numpy() for name in ("prediction", "label"))
    return lambda weight: balanced_accuracy(prediction, label, weight=weight)


def _calibration_error(run: Run) -> Statistic:
    confidence = np.clip(run.values("score"), 0, 1)
    right = run.values("prediction") == run.values("label")
    return lambda weight: expected_calibration_error(confidence, right, weight=weight)


def _auc(run: Run) -> Statistic:
    score, positive = run.values("score"), run.values("label") == 1
    of_one = np.where(run.values("prediction") == 1, score, 1 - score)
    if positive.all() or not positive.any():
        return lambda weight: np.full(len(weight), np.nan)
    return lambda weight: auc(of_one, positive, weight=weight)


_STATISTICS: dict[str, Callable[[Run], Statistic]] = {
    "balanced_accuracy": _balanced_accuracy,
    "calibration_error": _calibration_error,
    "auc": _auc,
}
"""Numbers of all images together that are no mean, as functions of how often each image counts."""


def _sample(run: Run, name: str) -> Floats | tuple[Floats, Floats]:
    """What a metric is computed from: one value per image, or two where it is a ratio of means."""
    bare, slash, method = name.partition("/")
    if bare == "clean_accuracy":
        right: Floats = (run.values("prediction") == run.values("label")).astype(np.float64)
        return right
    if bare == "robust_accuracy":
        return run.values("robust_correct")
    if bare == "aopc_rel":
        return run.values(f"aopc_morf{slash}{method}"), run.values(f"aopc_lerf{slash}{method}")
    return run.values(name)


def _plain(interval: Interval) -> dict[str, float | int | None]:
    numbers = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {key: value if math.isfinite(value) else None for key, value in numbers.items()} | {"n": interval.n}
