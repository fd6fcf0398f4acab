"""A comparison written down: text for a terminal, CSV, LaTeX, Markdown, HTML or JSON."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from itertools import groupby
from typing import Any, Literal, get_args

from pellucid.core.errors import InputError
from pellucid.core.spreadsheet import write_row
from pellucid.core.terminal import rendered
from pellucid.report.caveats import merged
from pellucid.report.cells import BESIDE, Comparison, cell, measures_shown, printable, sections_of, trained
from pellucid.report.measures import saliency_title
from pellucid.report.text_table import Ranks, text_table
from pellucid.report.words import number
from pellucid.runs.measures import Measure

__all__ = ["Format", "render"]

Format = Literal["text", "csv", "latex", "markdown", "html", "json"]


def render(
    comparison: Comparison,
    form: Format,
    *,
    definitions: Mapping[str, Mapping[str, Any]] | None = None,
    ranks: Ranks | None = None,
    line: int | None = None,
    styled: bool = False,
) -> str:
    """Write a comparison in one of six forms.

    Args:
        comparison: what `compare` returned; differences from a baseline become rows of their own.
        form: ``text`` for a terminal, ``csv`` (full precision, a row per run), ``latex`` (booktabs), ``markdown``,
            ``html`` (tables for a page or a notebook) or ``json``.
        definitions: what `pellucid.report.table.definitions` returned, to be told below the table; in ``json`` it then
            stands beside the comparison, ``{"runs": ..., "definitions": ...}``. A CSV has no place for them.
        ranks: for ``text``, who is among the best, as `pellucid.report.text_table.ranks` says it.
        line: for ``text``, letters in a line; those of the terminal by default.
        styled: for ``text``, whether the best are bold.

    Returns:
        The text, without a newline at its end.

    Raises:
        InputError: another form, or definitions in a CSV.
    """
    text = partial(text_table, ranked=ranks, line=line, styled=styled)
    writers: dict[str, Callable[[Comparison], str]] = {
        "text": text, "csv": _csv, "latex": _latex, "markdown": _markdown, "html": _html, "json": _json
    }  # fmt: skip
    if form not in writers:
        raise InputError(f"format must be one of {', '.join(get_args(Format))}, got {form!r}")
    if definitions is not None and form == "csv":
        raise InputError("a CSV has no place for definitions; take text, json, latex, markdown or html")
    if definitions is not None and form == "json":
        return _json({"runs": comparison, "definitions": definitions})
    if form != "json":
        comparison = _with_differences(comparison)
    below = [*_caveats(comparison), *(_defined(name, column) for name, column in (definitions or {}).items())]
    # What a form writes before each line of a note.
    before = {"markdown": "- ", "latex": "% ", "html": "<p>"}.get(form, "")
    escapes: dict[str, Callable[[str], str]] = {"markdown": _escape_markdown, "html": escape}
    escaped = escapes.get(form, str)
    lines = [escaped(printable(sentence)) for sentence in below]
    if form == "text":
        lines = [rendered(sentence, line=line) for sentence in lines]
    notes = "" if form in ("csv", "json") else "\n".join(before + sentence for sentence in lines)
    return writers[form](comparison).rstrip("\n") + (f"\n\n{notes}" if notes else "")


def _with_differences(comparison: Comparison) -> Comparison:
    """The differences from the baseline as rows of their own, below the runs."""
    rows = {
        f"{key} − {run['baseline']}": {
            "method": "",
            **dict.fromkeys(BESIDE),
            "metrics": run["differences"],
        }
        for key, run in comparison.items()
        if "differences" in run
    }
    return {**comparison, **rows}


def _caveats(comparison: Comparison) -> list[str]:
    said = {key: run.get("caveats", ()) for key, run in comparison.items()}
    return [f"! {', '.join(names)}: {sentence}" for sentence, names in merged(said).items()]


def _defined(name: str, column: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{key} {number(value)}" for key, value in column["parameters"].items())
    notes = "; ".join(part for part in (settings, column["source"]) if part)
    unit = f" In {column['unit']}." if column["unit"] else ""
    better = {"higher": " Higher is better.", "lower": " Lower is better.", "none": ""}[column["direction"]]
    return f"{name}: {column['definition']}{unit}{better}" + (f" ({notes})" if notes else "")


def _json(comparison: Mapping[str, Any]) -> str:
    return json.dumps(comparison, indent=2, ensure_ascii=False, allow_nan=False)


def _csv(comparison: Comparison) -> str:
    names = [measure.name for measure in measures_shown(comparison)]
    out = io.StringIO()
    ends = ("", "_low", "_high", "_n")
    write_row(out, ["run", "method", *BESIDE, *(name + end for name in names for end in ends)])
    for key, run in comparison.items():
        cells = [
            "" if name not in run["metrics"] else run["metrics"][name][part]
            for name in names
            for part in ("mean", "low", "high", "n")
        ]
        write_row(out, [key, run["method"], *(run.get(part) for part in BESIDE), *cells])
    return out.getvalue()


WIDE = 14
"""Columns beyond which a table of Markdown or LaTeX is cut by question."""


def _tables(comparison: Comparison) -> list[tuple[str, list[Measure]]]:
    """The tables of Markdown and LaTeX, each with its title: one for each section, or several of a wide one."""
    tables = []
    for method, whole in sections_of(comparison).items():
        parts: dict[str, list[Measure]] = {}
        for measure in whole:
            parts.setdefault(measure.column.question if len(whole) > WIDE else "", []).append(measure)
        for question, measures in parts.items():
            title = ". ".join(part for part in (f"{saliency_title(method)} maps" if method else "", question) if part)
            tables.append((title if question or not title else f"{title}:", measures))
    return tables


def _markdown(comparison: Comparison) -> str:
    tables = []
    for title, measures in _tables(comparison):
        lines = [["Run", "Trained with", *(_escape_markdown(measure.head) for measure in measures)]]
        lines.append(["---", "---", *("---:" for _ in measures)])
        for key, run in comparison.items():
            texts = [_escape_markdown(printable(text)) for text in (key, trained(run))]
            lines.append([*texts, *(cell(run["metrics"], measure) for measure in measures)])
        heading = [f"{title}\n"] if title else []
        tables.append("\n".join([*heading, *(f"| {' | '.join(cells)} |" for cells in lines)]))
    return "\n\n".join(tables)


def _html(comparison: Comparison) -> str:
    """A table for each section; intervals stand small beside their means."""
    tables = []
    for title, measures in _tables(comparison):
        heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in ["Run", "Trained with"])
        heads += "".join(
            f'<th scope="col" title="{escape(measure.definition)}">{escape(measure.head)}</th>' for measure in measures
        )
        rows = []
        for key, run in comparison.items():
            cells = [f"<td>{escape(printable(trained(run)))}</td>"]
            for measure in measures:
                mean, _, interval = cell(run["metrics"], measure).partition(" ")
                cells.append(f"<td>{escape(mean)}{f' <small>{escape(interval)}</small>' if interval else ''}</td>")
            rows.append(f'<tr><th scope="row">{escape(printable(key))}</th>{"".join(cells)}</tr>')
        caption = f"<caption>{escape(title)}</caption>" if title else ""
        tables.append(f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>")
    return "\n".join(tables)


def _escape_markdown(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|~#" else letter for letter in text)


_LATEX = {
    **{letter: f"\\{letter}" for letter in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "×10⁻³": r"$\times 10^{-3}$",
    "−": "$-$",
    "–": "--",
}


def _escape_latex(text: str) -> str:
    power = "×10⁻³"
    parts = ["".join(_LATEX.get(letter, letter) for letter in part) for part in text.split(power)]
    return _LATEX[power].join(parts)


def _latex(comparison: Comparison) -> str:
    r"""One tabular per kind of map for ``\usepackage{booktabs}``, each run's intervals in a line below its means."""
    tables = []
    for title, measures in _tables(comparison):
        questions, rules, column = ["", ""], [], 3
        for question, of in groupby(measures, key=lambda measure: measure.column.question):
            span = len(list(of))
            questions.append(rf"\multicolumn{{{span}}}{{c}}{{{_escape_latex(question)}}}")
            rules.append(rf"\cmidrule(lr){{{column}-{column + span - 1}}}")
            column += span
        titles = [_escape_latex(f"{measure.title} {measure.arrow}".rstrip()) for measure in measures]
        units = [_escape_latex(f"({measure.unit})") if measure.unit else "" for measure in measures]
        rows = []
        for key, run in comparison.items():
            means, intervals = zip(
                *(cell(run["metrics"], measure).partition(" ")[::2] for measure in measures), strict=True
            )
            small = [rf"{{\scriptsize {_escape_latex(interval)}}}" if interval else "" for interval in intervals]
            texts = [_escape_latex(printable(text)) for text in (key, trained(run))]
            rows.append(_latex_row([*texts, *map(_escape_latex, means)]))
            rows += [_latex_row(["", "", *small]), r"\addlinespace[2pt]"] if any(intervals) else []
        lines = [
            " ".join(part for part in ("%", title, "Mean, and below it the 95 % interval over images.") if part),
            rf"\begin{{tabular}}{{ll{'r' * len(measures)}}}",
            r"\toprule",
            _latex_row(questions),
            " ".join(rules),
            _latex_row(["Run", "Trained with", *titles]),
            *([_latex_row(["", "", *units])] if any(units) else []),
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
        ]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _latex_row(cells: Sequence[str]) -> str:
    row = " & ".join(cells) + r" \\"
    # The line break before this row would take a bracket or a star for its own.
    return "{}" + row if row[0] in "[*" else row
