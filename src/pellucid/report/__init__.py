"""Run directories in; tables and one self-contained HTML page out. Imports no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.report.formats import render
    from pellucid.report.glossary import describe
    from pellucid.report.page import write_report
    from pellucid.report.picture import write_picture
    from pellucid.report.runs import Run, read_run, read_runs
    from pellucid.report.table import compare, definitions, summarise

__all__ = [
    "Run",
    "compare",
    "definitions",
    "describe",
    "read_run",
    "read_runs",
    "render",
    "summarise",
    "write_picture",
    "write_report",
]

_MODULE_OF = {
    "Run": "runs",
    "compare": "table",
    "definitions": "table",
    "describe": "glossary",
    "read_run": "runs",
    "read_runs": "runs",
    "render": "formats",
    "summarise": "table",
    "write_picture": "picture",
    "write_report": "page",
}


def __getattr__(name: str) -> Any:  # on first use, so that a table in a terminal does not load matplotlib
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
