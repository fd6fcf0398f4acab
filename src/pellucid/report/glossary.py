"""Every metric with its definition and source, for reading."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from textwrap import TextWrapper
from typing import Literal, get_args

from pellucid.core.errors import InputError
from pellucid.metrics.definitions import COLUMNS, DEFAULT, DERIVED, FAMILIES, Column, Family, is_of_map, select
from pellucid.report.measures import ARROWS

__all__ = ["Format", "describe"]

Format = Literal["text", "markdown", "json"]


def describe(names: Sequence[str] = (), form: Format = "text", *, width: int = 100) -> str:
    """What each metric means, family by family.

    Args:
        names: columns, derived numbers or families, as in ``pellucid evaluate --metrics``; all by default.
        form: ``text`` for a terminal, ``markdown`` or ``json``.
        width: letters in a line of text.

    Returns:
        The text, without a newline at its end.

    Raises:
        InputError: an unknown name or form.

    >>> print(describe(["gini"]))
    sparsity: Is the map concentrated?
      gini ↑ *  Concentration of the map: 0 when all pixels weigh the same, near 1 when few hold everything.
                (Hurley and Rickard 2009)
    <BLANKLINE>
    ↑ higher is better, ↓ lower is better, * measured by default; `pellucid evaluate --metrics` takes these names.
    """
    if form not in get_args(Format):
        raise InputError(f"format must be one of {', '.join(get_args(Format))}, got {form!r}")
    known = {name: column for name, column in COLUMNS.items() if column.family != "prediction"} | DERIVED
    if not names:
        names = list(FAMILIES)
    select(names)  # refuses what it does not know
    whole = {*names, *(FAMILIES if "all" in names else ()), *(DEFAULT if "default" in names else ())}
    shown = {name: column for name, column in known.items() if name in whole or column.family in whole}
    by_family = {
        family: {name: column for name, column in shown.items() if column.family == family} for family in FAMILIES
    }
    by_family = {family: table for family, table in by_family.items() if table}
    if form == "json":
        plain = {
            name: asdict(column) | {"per_map": is_of_map(name), "default": name in DEFAULT}
            for name, column in shown.items()
        }
        return json.dumps(plain, indent=2, ensure_ascii=False)
    return (_markdown if form == "markdown" else _text)(by_family, width)


def _marks(name: str, column: Column) -> str:
    always = column.family == "prediction" or name in DEFAULT or name in ("robust_accuracy", "aopc_rel")
    return " ".join(part for part in (ARROWS[column.direction], "*" if always else "") if part)


def _explained(column: Column) -> str:
    unit = f" In {column.unit}." if column.unit else ""
    settings = ", ".join(f"{key} {value}" for key, value in column.parameters.items())
    notes = "; ".join(part for part in (column.source, settings) if part)
    return column.definition + unit + (f" ({notes})" if notes else "")


def _text(by_family: dict[Family, dict[str, Column]], width: int) -> str:
    lines = []
    for family, table in by_family.items():
        lines.append(f"{family}: {FAMILIES[family]}")
        heads = {name: f"{name} {_marks(name, column)}".rstrip() for name, column in table.items()}
        indent = min(34, max(map(len, heads.values()))) + 4
        for name, column in table.items():
            wrapper = TextWrapper(width=width, initial_indent=" " * indent, subsequent_indent=" " * indent)
            wrapped = wrapper.fill(_explained(column))
            head = f"  {heads[name]}".ljust(indent)
            lines.append(head + wrapped[indent:] if len(head) == indent else f"{head}\n{wrapped}")
        lines.append("")
    lines.append(
        "↑ higher is better, ↓ lower is better, * measured by default; `pellucid evaluate --metrics` takes these names."
    )
    return "\n".join(lines)


def _markdown(by_family: dict[Family, dict[str, Column]], width: int) -> str:
    lines = ["| metric | better | unit | definition | settings | source |", "| --- | --- | --- | --- | --- | --- |"]
    for family, table in by_family.items():
        lines.append(f"| **{family}** | | | {FAMILIES[family]} | | |")
        for name, column in table.items():
            settings = ", ".join(f"{key} {value}" for key, value in column.parameters.items())
            cells = [f"`{name}`", ARROWS[column.direction], column.unit, column.definition, settings, column.source]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
