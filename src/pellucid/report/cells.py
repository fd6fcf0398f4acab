"""What stands in the cells of a comparison, whatever form it is written in."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pellucid.report.measures import written
from pellucid.runs.measures import Measure, ordered
from pellucid.statistics import Interval

__all__ = [
    "BESIDE",
    "Comparison",
    "cell",
    "interval",
    "measures_shown",
    "padded",
    "printable",
    "sections_of",
    "trained",
]

Comparison = Mapping[str, Mapping[str, Any]]

BESIDE = ("control", "activation", "smoothing")
"""What a run's training may have had beside its method, None where it had not; a table need not have them all."""


def interval(metrics: Mapping[str, Mapping[str, Any]], name: str) -> Interval | None:
    """A number of a run with its interval; None where the run has no such number."""
    if name not in metrics:
        return None
    values = metrics[name]
    mean, low, high = (math.nan if values[key] is None else values[key] for key in ("mean", "low", "high"))
    return Interval(mean, low, high, values["n"])


def measures_shown(comparison: Comparison) -> list[Measure]:
    """Metrics that any run has: one table for the runs, even where one was measured with fewer maps."""
    told = {name: column for run in comparison.values() for name, column in run.get("columns", {}).items()}
    return ordered(Measure.named(name, told.get(name)) for run in comparison.values() for name in run["metrics"])


def trained(run: Mapping[str, Any]) -> str:
    """How a run was trained: its method, and what it had beside it."""
    return " + ".join([str(run["method"]), *(run[part] for part in BESIDE if run.get(part))])


def cell(metrics: Mapping[str, Mapping[str, Any]], measure: Measure) -> str:
    """A number of a run as a table shows it, with its interval; a dash where it does not exist."""
    found = interval(metrics, measure.name)
    if found is None or not found.n or not math.isfinite(found.mean):
        return "–"
    mean, low, high = written(found, measure)
    return f"{mean} [{low}, {high}]"


def sections_of(comparison: Comparison) -> dict[str | None, list[Measure]]:
    """Measures by saliency method; None holds the accuracies, which need no map."""
    sections: dict[str | None, list[Measure]] = {}
    for measure in measures_shown(comparison):
        sections.setdefault(measure.saliency, []).append(measure)
    return sections


def padded(texts: Sequence[str], align: Callable[[str, int], str]) -> list[str]:
    """Texts of one length, by ``str.ljust`` or ``str.rjust``."""
    return [align(text, max(map(len, texts))) for text in texts]


def printable(text: str) -> str:
    """A text whose control characters are written out, so that a name cannot move the cursor."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
