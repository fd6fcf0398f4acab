"""The comparison of runs: every metric of each with its interval, and paired differences between two."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.errors import InputError
from pellucid.report.measures import MEASURES
from pellucid.report.runs import Floats, Run, check_comparable
from pellucid.statistics import Interval, mean_interval, paired_difference, paired_ratio_difference, ratio_interval

__all__ = ["compare", "difference", "metric_names", "summarise"]


def metric_names(run: Run) -> list[str]:
    """Metrics that the run's rows hold, in the order of every table, bare ones (vanilla gradient) first."""
    present = set(run.rows.column_names)
    names = ["clean_accuracy"]
    if "robust_correct" in present:
        names.append("robust_accuracy")
    for method in run.saliency_methods:
        suffix = "" if method == "vanilla_gradient" else f"/{method}"
        for measure in list(MEASURES)[2:]:
            stored = ["aopc_morf", "aopc_lerf"] if measure == "aopc_rel" else [measure]
            if all(column + suffix in present for column in stored):
                names.append(measure + suffix)
    return names


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
        sample = _sample(run, name)
        summary[name] = ratio_interval(*sample) if isinstance(sample, tuple) else mean_interval(sample)
    return summary


def difference(run: Run, baseline: Run, name: str) -> Interval:
    """A metric of ``run`` minus that of ``baseline``, paired over the images, with its 95 % interval.

    Args:
        run: an evaluated run.
        baseline: another, over the same images.
        name: a metric that both have.
    """
    ours, theirs = _sample(run, name), _sample(baseline, name)
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        return paired_ratio_difference(ours, theirs)
    return paired_difference(ours, theirs)


def compare(runs: Sequence[Run], *, metrics: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """The comparison as plain data, ready for JSON.

    Args:
        runs: runs with different names, evaluated on the same images.
        metrics: names of those that are wanted; all by default.

    Returns:
        ``{run: {"method": ..., "smoothing": ..., "metrics": {name: {"mean", "low", "high", "n"}}}}``; a number that
        does not exist (n = 0) is None.

    Raises:
        InputError: runs that cannot stand in one table, a metric that none of them has.
    """
    check_comparable(runs)
    there = list(dict.fromkeys(name for run in runs for name in metric_names(run)))
    unknown = [name for name in metrics if name not in there]
    if unknown:
        raise InputError(f"no run has the metric {unknown[0]!r}; there are {', '.join(there)}")
    return {
        run.name: {
            "method": run.method,
            "smoothing": run.smoothing,
            "metrics": {
                name: _plain(interval) for name, interval in summarise(run).items() if not metrics or name in metrics
            },
        }
        for run in runs
    }


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
    return {key: None if math.isnan(value) else value for key, value in numbers.items()} | {"n": interval.n}
