"""Every metric with its definition and source, for reading."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from textwrap import TextWrapper
from typing import Literal, get_args

from pellucid.core.errors import InputError
from pellucid.metrics.metric import Metric
from pellucid.metrics.suite import COLUMNS, DEFAULT, DERIVED, FAMILIES, MASKED, meanings, select
from pellucid.runs.measures import Measure

__all__ = ["Format", "describe"]

Format = Literal["text", "markdown", "json"]
OWN = "Metrics of your own."


def describe(names: Sequence[str] = (), form: Format = "text", *, width: int = 100) -> str:
    """What each metric means, family by family.

    Args:
        names: columns, derived numbers, families or import paths of your own metrics, as in
            ``pellucid evaluate --metrics``; all of pellucid's by default.
        form: ``text`` for a terminal, ``markdown`` or ``json``.
        width: letters in a line of text.

    Returns:
        The text, without a newline at its end.

    Raises:
        InputError: an unknown name or form.

    >>> print(describe(["gini"]))
    sparsity: Is the map concentrated?
      gini ↑ *  Concentration of the map: 0 if all pixels have equal weight, near 1 if a few have it all.
                (Hurley and Rickard 2009)
    <BLANKLINE>
    ↑ higher is better, ↓ lower is better, * measured by default; `pellucid evaluate --metrics` takes these names.
    """
    if form not in get_args(Format):
        raise InputError(f"format must be one of {', '.join(get_args(Format))}, got {form!r}")
    names = names or list(FAMILIES)
    select(names)  # refuses what it does not know, and two metrics of one column
    listed = {"all", "default", *FAMILIES, *COLUMNS, *DERIVED}
    given = [metric for name in names if name not in listed for metric in select([name])]
    whole = {*names, *(FAMILIES if "all" in names else ()), *((*DEFAULT, *MASKED) if "default" in names else ())}
    whole |= {name for metric in given for name in metric.columns}
    known = {name: column for name, column in COLUMNS.items() if column.family != "prediction"} | DERIVED
    shown = [Measure.named(name) for name, column in known.items() if name in whole or column.family in whole]
    shown += _own(given)
    if form == "json":
        plain = {
            measure.name: measure.column.as_dict()
            | {"per_map": measure.column.of_map, "default": measure.name in (*DEFAULT, *MASKED)}
            for measure in shown
        }
        return json.dumps(plain, indent=2, ensure_ascii=False)
    families = dict.fromkeys([*FAMILIES, *(measure.column.family for measure in shown)])
    by_family = {family: [measure for measure in shown if measure.column.family == family] for family in families}
    by_family = {family: measures for family, measures in by_family.items() if measures}
    return (_markdown if form == "markdown" else _text)(by_family, width)


def _own(metrics: Sequence[Metric]) -> list[Measure]:
    """The numbers of some metrics that pellucid itself has not, with the metrics' settings."""
    columns = {
        name: replace(column, parameters={**column.parameters, **metric.settings(name)})
        for name, (metric, column) in meanings(metrics).items()
    }
    columns |= {name: column for metric in metrics for name, column in metric.aggregates.items()}
    return [Measure.named(name, column.as_dict()) for name, column in columns.items() if name not in COLUMNS | DERIVED]


def _marks(measure: Measure) -> str:
    always = measure.column.family == "prediction" or measure.name in (*DEFAULT, *MASKED, "robust_accuracy", "aopc_rel")
    return " ".join(part for part in (measure.arrow, "*" if always else "") if part)


def _settings(measure: Measure) -> str:
    return ", ".join(f"{key} {value}" for key, value in measure.column.parameters.items())


def _explained(measure: Measure) -> str:
    unit = f" In {measure.stored_unit}." if measure.stored_unit else ""
    notes = "; ".join(part for part in (measure.column.source, _settings(measure)) if part)
    return measure.definition + unit + (f" ({notes})" if notes else "")


def _text(by_family: Mapping[str, Sequence[Measure]], width: int) -> str:
    lines = []
    for family, measures in by_family.items():
        lines.append(f"{family}: {FAMILIES.get(family, OWN)}")
        heads = [f"{measure.name} {_marks(measure)}".rstrip() for measure in measures]
        indent = min(34, max(map(len, heads))) + 4
        wrapper = TextWrapper(width=width, initial_indent=" " * indent, subsequent_indent=" " * indent)
        for name, measure in zip(heads, measures, strict=True):
            wrapped = wrapper.fill(_explained(measure))
            head = f"  {name}".ljust(indent)
            lines.append(head + wrapped[indent:] if len(head) == indent else f"{head}\n{wrapped}")
        lines.append("")
    lines.append(
        "↑ higher is better, ↓ lower is better, * measured by default; `pellucid evaluate --metrics` takes these names."
    )
    return "\n".join(lines)


def _markdown(by_family: Mapping[str, Sequence[Measure]], width: int) -> str:
    lines = ["| metric | better | unit | definition | settings | source |", "| --- | --- | --- | --- | --- | --- |"]
    for family, measures in by_family.items():
        lines.append(f"| **{family}** | | | {FAMILIES.get(family, OWN)} | | |")
        for measure in measures:
            cells = [f"`{measure.name}`", measure.arrow, measure.stored_unit, measure.definition, _settings(measure)]
            lines.append("| " + " | ".join([*cells, measure.column.source]) + " |")
    return "\n".join(lines)
