"""The comparison of runs: every metric of each with its interval, and paired differences between two."""

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pellucid.core.errors import InputError
from pellucid.metrics.suite import COLUMNS, DERIVED, FAMILIES, split
from pellucid.report.caveats import caveats
from pellucid.report.formats import render
from pellucid.runs.comparability import check_comparable
from pellucid.runs.evaluated import Run, read_run
from pellucid.runs.measures import Measure, columns_of, measured, measures_of, ordered
from pellucid.statistics import Interval
from pellucid.statistics.together import intervals

__all__ = ["Comparison", "compare", "definitions", "interval_data", "plain", "summaries_of", "summarise"]


class Comparison(dict[str, dict[str, Any]]):
    """What `compare` returns: plain data, which a notebook shows as a table.

    >>> Comparison()._repr_html_()
    ''
    """

    def _repr_html_(self) -> str:
        return render(self, "html")

    def _repr_markdown_(self) -> str:
        return render(self, "markdown")


def summarise(run: Run) -> dict[str, Interval]:
    """Every metric of a run over its test images, with 95 % intervals.

    ``clean_accuracy`` is the share of images whose prediction is the label, ``robust_accuracy`` the mean of
    ``robust_correct``, ``aopc_rel`` the ratio of the means of ``aopc_morf`` and ``aopc_lerf``; the scores of the
    predictions are made of all images together; the rest are means. Means have percentile bootstrap intervals, shares
    exact ones; `pellucid.statistics.aggregates` has the others.

    Args:
        run: an evaluated run.

    Returns:
        Interval by metric name; metrics of other saliency maps than the vanilla gradient have a suffix.
    """
    return summaries_of([run])[run.name]


def summaries_of(runs: Sequence[Run]) -> dict[str, dict[str, Interval]]:
    """`summarise` of each of some runs, by name, in less time than one by one.

    Args:
        runs: evaluated runs with different names.
    """
    asked = [(run, name, measure.aggregate(run)) for run in runs for name, measure in run.measures.items()]
    found: dict[str, dict[str, Interval]] = {run.name: {} for run in runs}
    for (run, name, _), interval in zip(asked, intervals([number for _, _, number in asked]), strict=True):
        found[run.name][name] = interval
    return found


def compare(
    runs: Sequence[Run | str | Path], *, metrics: Sequence[str] = (), baseline: Run | str | Path | None = None
) -> Comparison:
    """The comparison as plain data, ready for JSON; a notebook shows it as a table.

    Args:
        runs: runs with different names, evaluated on the same images; or their directories.
        metrics: names of those that are wanted, or families; by default all that was measured, of the predictions,
            which every run has scores of, the accuracy and, with two classes, the AUC alone.
        baseline: one of the runs, or its directory, from which every other one's differences are told too.

    Returns:
        ``{run: {"method": ..., "control": ..., "activation": ..., "smoothing": ..., "metrics": ..., "caveats": ...}}``.
        The metrics are ``{name: {"mean", "low", "high", "n"}}``, where a number that does not exist (n = 0) is None;
        `pellucid.report.caveats.caveats` says what the caveats are. With a baseline every other run has also
        ``baseline``, its name, and ``differences``, like ``metrics``: the run minus the baseline, paired over the
        images. A run with metrics of your own has ``columns``, their meaning by name.

    Raises:
        InputError: runs that cannot stand in one table, a metric that none of them has, or a curve.
    """
    read = [_read(run) for run in runs]
    against = None if baseline is None else _read(baseline)
    check_comparable(read)
    wanted = _wanted(metrics, read)
    return Comparison(
        {run.name: _told(run, against, [one for one in wanted if measured(run, one.name) is not None]) for run in read}
    )


def _read(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else read_run(run)


def _told(run: Run, baseline: Run | None, wanted: Sequence[Measure]) -> dict[str, Any]:
    comparison = plain(run, {measure.name: measure.interval(run) for measure in wanted}, caveats(run))
    if baseline is not None and run.name != baseline.name:
        both = [measure for measure in wanted if measured(baseline, measure.name) is not None]
        against = {measure.name: interval_data(measure.difference(run, baseline)) for measure in both}
        comparison |= {"baseline": baseline.name, "differences": against}
    return comparison


def plain(run: Run, intervals: Mapping[str, Interval], said: Sequence[str]) -> dict[str, Any]:
    """A run's part of a comparison as plain data.

    Args:
        run: an evaluated run.
        intervals: its numbers that are wanted, by name.
        said: its caveats.
    """
    measures = [Measure.named(name) if name not in run.measures else run.measures[name] for name in intervals]
    foreign = {measure.name: measure.column.as_dict() for measure in measures if measure.is_foreign}
    return {
        "method": run.method,
        "control": run.control,
        "activation": run.activation,
        "smoothing": run.smoothing,
        "metrics": {name: interval_data(interval) for name, interval in intervals.items()},
        "caveats": list(said),
        **({"columns": foreign} if foreign else {}),
    }


def definitions(runs: Sequence[Run], metrics: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """What the columns of `compare` mean, with the settings that the runs were measured with.

    Args:
        runs: runs that may be compared.
        metrics: as in `compare`.

    Returns:
        By metric: title, definition, unit of the stored number, direction, parameters and source.
    """
    return {
        measure.name: {
            "title": measure.title,
            "definition": measure.definition,
            "unit": measure.stored_unit,
            "direction": measure.column.direction,
            "parameters": dict(measure.column.parameters),
            "source": measure.column.source,
        }
        for measure in _wanted(metrics, runs)
    }


DRAWN = ("robust_curve", "morf_curve", "lerf_curve", "random_curve")
"""Curves that the report has a figure of."""


def _wanted(metrics: Sequence[str], runs: Sequence[Run]) -> list[Measure]:
    there = measures_of(runs)
    if not metrics:
        return [measure for measure in there if _is_told_unasked(measure, runs[0])]
    wanted: set[Measure] = set()
    for metric in metrics:
        chosen = {measure for measure in there if metric in (measure.name, measure.column.family, "all")}
        asked = [measure for run in runs if (measure := measured(run, metric)) is not None]
        if not (chosen or asked):
            raise InputError(_not_there(metric, there, runs))
        wanted |= {*chosen, *asked}
    return [measure for measure in ordered([*there, *wanted]) if measure in wanted]


def _is_told_unasked(measure: Measure, run: Run) -> bool:
    """Whether a table has a number unasked: of those of the predictions, which every run has, the few main ones."""
    if measure.column.family != "prediction" or measure.is_main:
        return True
    return measure.own_name == "auc" and len(run.info.get("classes", ())) == 2


def _not_there(metric: str, there: Sequence[Measure], runs: Sequence[Run]) -> str:
    """Why a metric that was asked for is not among those that can be shown."""
    columns = {name: column for run in runs for name, column in columns_of(run).items()}
    if metric in columns and columns[metric].column.curve:
        where = "`pellucid report` draws it" if split(metric)[0] in DRAWN else "rows.parquet holds it"
        return f"{metric!r} is a curve for each image, which has no place in a table; {where}"
    if metric == "robust_correct":
        return "the mean of 'robust_correct' is called robust_accuracy; ask for that"
    if split(metric)[0] in COLUMNS | DERIVED or metric in FAMILIES:
        return f"no run has the metric {metric!r}; `pellucid evaluate --metrics {split(metric)[0]}` measures it"
    close = get_close_matches(metric, [*(measure.name for measure in there), *FAMILIES], n=3)
    foreign = dict.fromkeys(measure.own_name for measure in there if measure.is_foreign)
    lists = "`pellucid metrics` lists them" + (f", and these runs also have {', '.join(foreign)}" if foreign else "")
    hint = f"did you mean {' or '.join(close)}?" if close else lists
    return f"no run has the metric {metric!r}; {hint}"


def interval_data(interval: Interval) -> dict[str, float | int | None]:
    """An interval as plain data, ready for JSON; a number that does not exist is None."""
    numbers = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {key: value if math.isfinite(value) else None for key, value in numbers.items()} | {"n": interval.n}
