"""What was measured, shown: ``pellucid compare``, ``report`` and ``metrics``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pellucid.cli.options import Parser, names

__all__ = ["compare", "metrics", "report"]


def compare(arguments: Sequence[str]) -> None:
    """Print a table of measured run directories."""
    parser = Parser(
        "compare",
        "Print a table of measured networks: means over the test images, with 95 % intervals.",
        examples=(
            ("pellucid compare runs/regular runs/scaat --metrics clean_accuracy,gini", "two measures of two networks"),
            (
                "pellucid compare runs/scaat --baseline runs/regular --format markdown",
                "every measure, and the paired differences from a baseline",
            ),
        ),
    )
    parser.add_argument("run", type=Path, nargs="+", help="folders that `pellucid evaluate` has measured")
    parser.add_argument("--baseline", type=Path, help="also show the difference of every run from this one")
    parser.add_argument(
        "--format", default="text", metavar="text|json|csv|latex|markdown|html", help="how to write the table"
    )
    parser.add_argument(
        "--metrics", default="", help="names or families of measures, with commas between; all by default"
    )
    parser.add_argument("--by", help="split the images by a column of the table of labels, or by class")
    parser.add_argument("--definitions", action="store_true", help="explain each column below the table")
    parsed = parser.parse_args(arguments)
    from pellucid import report
    from pellucid.core.terminal import is_styled
    from pellucid.report.text_table import ranks

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
    if parsed.format != "text":
        print(report.render(table, parsed.format, definitions=meaning))
        return
    told = ranks(runs) if parsed.by is None and len(runs) > 1 else None
    print(report.render(table, "text", definitions=meaning, ranks=told, styled=is_styled()))


def report(arguments: Sequence[str]) -> None:
    """Write a page about measured run directories."""
    parser = Parser(
        "report",
        "Write one web page about measured networks. It needs no other file and no network connection. The baseline "
        "is the first run that was trained in the regular way, or the first run if there is none.",
        examples=(
            ("pellucid report runs/regular runs/scaat", "a page about two networks: report.html"),
            (
                "pellucid report runs/regular runs/scaat --out two.html --figures figures",
                "the page under another name, and each figure as files of its own",
            ),
        ),
    )
    parser.add_argument("run", type=Path, nargs="+", help="folders that `pellucid evaluate` has measured")
    parser.add_argument("--out", default=Path("report.html"), type=Path, help="the file to write")
    parser.add_argument("--title", metavar="TEXT", help="first line of the page")
    parser.add_argument(
        "--cards", action="store_true", help="also write a trust card for each picture, in a folder beside the page"
    )
    parser.add_argument("--figures", type=Path, help="also write every figure there, as SVG, PDF and PNG")
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
    parser = Parser(
        "metrics",
        "Explain what every metric means, and where it comes from.",
        examples=(
            ("pellucid metrics gini stability", "one metric, and one family of metrics"),
            ("pellucid metrics --format json", "all of them, for a program"),
        ),
    )
    parser.add_argument("name", nargs="*", help="metrics or families, such as gini or stability; all by default")
    parser.add_argument("--format", default="text", metavar="text|markdown|json", help="how to write the list")
    parsed = parser.parse_args(arguments)
    from pellucid.core.terminal import width
    from pellucid.report import describe

    print(describe(parsed.name, parsed.format, width=min(100, width())))
