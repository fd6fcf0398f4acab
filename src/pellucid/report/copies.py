"""The table as text that can be copied from the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.report.contrasts import Summaries
from pellucid.report.formats import render
from pellucid.report.table import plain
from pellucid.runs.evaluated import Run

__all__ = ["copies"]


def copies(runs: Sequence[Run], summaries: Summaries, warned: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The table as `pellucid compare` writes it: everything as CSV, the main measures as LaTeX and Markdown.

    Args:
        runs: runs that may be compared.
        summaries: `summarise` of each by name.
        warned: the caveats of each by name.
    """

    def comparison(*, main: bool) -> dict[str, dict[str, Any]]:
        return {
            run.name: plain(
                run,
                {
                    name: interval
                    for name, interval in summaries[run.name].items()
                    if run.measures[name].is_main or not main
                },
                warned[run.name],
            )
            for run in runs
        }

    whole, main = comparison(main=False), comparison(main=True)
    return [
        {"id": "csv", "title": "CSV", "what": "every measure in full", "text": render(whole, "csv")},
        {"id": "latex", "title": "LaTeX", "what": "the main measures", "text": render(main, "latex")},
        {"id": "markdown", "title": "Markdown", "what": "the main measures", "text": render(main, "markdown")},
    ]
