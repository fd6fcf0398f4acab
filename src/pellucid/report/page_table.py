"""The page's table of all numbers: its groups of columns, the columns that can be chosen, and its cells."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from pellucid.report import verdict
from pellucid.report.contrasts import Summaries
from pellucid.report.measures import written
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure

__all__ = ["cell", "chooser", "groups"]


def chooser(measures: Sequence[Measure], own_names: Mapping[str, int]) -> list[dict[str, Any]]:
    """The columns that can be chosen, question by question; one name stands for the columns of all kinds of map."""
    questions: dict[str, dict[str, dict[str, Any]]] = {}
    for measure in measures:
        column = {"name": measure.own_name, "number": own_names[measure.own_name], "title": measure.title}
        questions.setdefault(measure.column.question, {})[measure.own_name] = column | {"main": measure.is_main}
    return [{"question": question, "columns": list(columns.values())} for question, columns in questions.items()]


def groups(measures: Sequence[Measure]) -> list[dict[str, Any]]:
    """Neighbouring columns that answer the same question about the same maps."""
    groups = groupby(measures, key=lambda measure: (measure.column.question, measure.saliency))
    return [{"title": question, "method": method, "span": len(list(columns))} for (question, method), columns in groups]


def cell(
    run: Run,
    runs: Sequence[Run],
    baseline: Run,
    measure: Measure,
    summaries: Summaries,
    standing: Mapping[tuple[str, str], verdict.Standing],
) -> dict[str, Any]:
    """One network's number as the table shows it: in words, with its star, and against the baseline."""
    interval, where = summaries[run.name].get(measure.name), standing.get((run.name, measure.name))
    cell: dict[str, Any] = {"measure": measure, "interval": None}
    if interval is None or where is None:
        return cell
    mean, low, high = written(interval, measure)
    by = verdict.amount(interval, summaries[baseline.name].get(measure.name), where.difference, measure)
    p = "" if where.p is None else "; p < 0.001" if where.p < 0.001 else f"; p = {where.p:.2g}"
    said = {
        "better": f"better than {baseline.name}: {by}{p}",
        "worse": f"worse than {baseline.name}: {by}{p}",
        "level": f"cannot be told apart from {baseline.name}: {by}{p}",
        "": "",
    }[where.change]
    shared = any(standing.get((one.name, measure.name), verdict.NOWHERE).rank == "level" for one in runs)
    star = "" if not where.rank else "☆" if shared else "★"
    shown = {"mean": mean, "low": low, "high": high, "rank": where.rank, "change": where.change, "said": said}
    return cell | {"interval": interval, "star": star} | shown
