"""What the columns of a report mean, for its table of definitions."""

from collections.abc import Sequence
from typing import Any

from pellucid.report.contrasts import Summaries
from pellucid.report.words import number
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure

__all__ = ["meanings"]


def meanings(runs: Sequence[Run], measures: Sequence[Measure], summaries: Summaries) -> list[dict[str, Any]]:
    """What each column means, once for all kinds of map: its measure, settings, number of pictures and coverage.

    Args:
        runs: runs that may be compared.
        measures: of any of them.
        summaries: `summarise` of each by name.
    """
    of_name: dict[str, list[Measure]] = {}
    for measure in measures:
        of_name.setdefault(measure.own_name, []).append(measure)
    definitions = []
    for of_maps in of_name.values():
        measure, column = of_maps[0], of_maps[0].column
        numbers = [summary.get(of_map.name) for summary in summaries.values() for of_map in of_maps]
        counts = [interval.n for interval in numbers if interval is not None]
        definitions.append(
            {
                "measure": measure,
                "parameters": ", ".join(f"{key} {number(value)}" for key, value in column.parameters.items()),
                "n": f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}",
                "coverage": _coverage(runs) if column.family == "stability" else "",
            }
        )
    return definitions


def _coverage(runs: Sequence[Run]) -> str:
    """Share of the noisy pictures that kept their prediction, by run: stability is measured on these alone."""
    column = "stability_coverage"
    shares = [(run.name, run.values(column).mean()) for run in runs if column in run.rows.column_names]
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)
