"""What was measured, shown: ``pellucid compare``, ``report`` and ``metrics``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pellucid.cli.options import Parser, names

__all__ = ["compare", "metrics", "report"]


def compare(arguments: Sequence[str]) -> None:
    """Print a table of measured run directories."""
    parser = Parser("compare", "Table of measured run directories: means with 95 % intervals.")
    parser.add_argument("run", type=Path, nargs="+", help="measured run directories")
    parser.add_argument("--baseline", type=Path, help="run that the others' paired differences are told from")
    parser.add_argument("--format", default="text", help="text, json, csv, latex, markdown or html")
    parser.add_argument("--metrics", default="", help="names or families with commas between; all by default")
    parser.add_argument("--by", help="a column of the table of labels, or class: numbers per subgroup of the images")
    parser.add_argument("--definitions", action="store_true", help="tell below the table what each column means")
    parsed = parser.parse_args(arguments)
    from pellucid import report

    metrics = names(parsed.metrics)
    paths = list(dict.fromkeys(Path(path).absolute() for path in (parsed.baseline, *parsed.run) if path is not None))
    runs = report.read_runs(paths)
    baseline = runs[0] if parsed.baseline is not None else None
    table: dict[str, dict[str, Any]]
    if parsed.by is None:
        meaning = report.definitions(runs, metrics) if parsed.definitions else None
        table = report.compare(runs, metrics=metrics, baseline=baseline)
    else:
        shown = [measure.name for measure in report.measures_by(runs, parsed.by, metrics)]
        meaning = report.definitions(runs, shown) if parsed.definitions else None
        table = report.compare_by(runs, parsed.by, metrics=metrics, baseline=baseline)
    print(report.render(table, parsed.format, definitions=meaning))


def report(arguments: Sequence[str]) -> None:
    """Write a page about measured run directories."""
    parser = Parser("report", "One self-contained HTML page about measured run directories.")
    told = "measured run directories; the first one trained in the regular way is the baseline, otherwise the first"
    parser.add_argument("run", type=Path, nargs="+", help=told)
    parser.add_argument("--out", default=Path("report.html"), type=Path, help="the page")
    parser.add_argument("--title", help="first line of the page")
    parser.add_argument("--figures", type=Path, help="folder for every figure as SVG, PDF and PNG too")
    parser.add_argument("--cards", action="store_true", help="make a trust card for each picture, beside the page")
    parsed = parser.parse_args(arguments)
    from pellucid.report import write_report

    cards = None
    if parsed.cards:
        from pellucid.cli.explain import cards_beside

        cards = cards_beside(parsed.run, parsed.out)
    title = {} if parsed.title is None else {"title": parsed.title}
    print(write_report(parsed.run, parsed.out, figures=parsed.figures, cards=cards, **title))


def metrics(arguments: Sequence[str]) -> None:
    """Print what metrics mean."""
    parser = Parser("metrics", "What every metric means, and where it comes from.")
    parser.add_argument("name", nargs="*", help="metrics or families, such as gini or stability; all by default")
    parser.add_argument("--format", default="text", help="text, markdown or json")
    parsed = parser.parse_args(arguments)
    from pellucid.report import describe

    print(describe(parsed.name, parsed.format))
