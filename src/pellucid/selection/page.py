"""The trace of a selection as Markdown."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pellucid.recipes.pellucid import AXES, told_step
from pellucid.report.measures import ARROWS, direction, measure_of, written
from pellucid.runs.environment import told_commit
from pellucid.statistics import Interval

__all__ = ["head", "page"]

BASELINE = "regular"


def page(found: Mapping[str, Any]) -> str:
    """The trace's Markdown from its JSON."""
    facts = found["environment"]
    head = _front_lines(found) if found["search"] == "pellucid" else _chosen_lines(found)
    lines = [
        *head,
        "",
        f"{facts['device_name']}, Python {facts['python']}, torch {facts['packages']['torch']}, pellucid "
        f"{facts['pellucid']}, commit {told_commit(facts)}{_trained_at(found)}, {facts['started']}. "
        f"Regenerate: `{found['command']}`.",
        "",
    ]
    return "\n".join(lines)


def _where(found: Mapping[str, Any]) -> str:
    return (
        f"{found['dataset']}, {found['network']}, scale `{found['scale']}`, {_counted(found['epochs'], 'epoch')}, one "
        f"training each (seed {found['seed']}); measured on {found['images']} validation images. "
        "No test image was touched."
    )


def _chosen_lines(found: Mapping[str, Any]) -> Iterator[str]:
    of = {
        "xu2023": "SCAAT",
        "xu2023-again": "SCAAT once more, with the q that was found",
        "xu2023-longer": "SCAAT in four times the epochs",
        "xu2023-one-step": "SCAAT with one step on an eighth of each batch",
        "ismail2021": "saliency-guided training",
    }[found["search"]]
    yield f"# Settings of {of}, chosen on validation images: {found['dataset']}"
    yield ""
    if found["search"] == "xu2023-one-step":
        yield (
            f"{_where(found)} The rule: {found['rule']}. The recipe does not follow it: since table 3 showed λ 1 a "
            "point less accurate than four steps on test images, it takes the λ whose validation accuracy is nearest "
            "to theirs."
        )
    else:
        carried = any(row["stage"] == "as found for LeNet-5" for row in found["rows"])
        yield f"{_where(found)} The rule: {found['rule']}." + (
            " What was found for LeNet-5 was added when its numbers on test images were known." * carried
            + " Declared when Fashion-MNIST's ablations of eps and λ, on validation images too, were known."
            * (found["search"] == "xu2023-again")
        )
    yield ""
    chosen = f"`{found['chosen']}`" if found["chosen"] else "none; no candidate keeps the rule"
    yield f"Chosen: **{chosen}**."
    names = list(found["rows"][-1]["settings"])
    metrics = [name for name in ("aopc_lerf", "aopc_morf", "gini") if name in found["rows"][0]["measured"]]
    stage = None
    for row in found["rows"]:
        if row["stage"] != stage:
            stage = row["stage"]
            yield from ("", f"## {stage}", "")
            heads = [*names, f"validation accuracy (%, n {found['validation_images']})", *map(head, metrics)]
            yield "| " + " | ".join(heads) + " | passed by for |"
            yield "| " + "--- | " * len(names) + "---: | " * (1 + len(metrics)) + "--- |"
        settings = row["settings"] or dict.fromkeys(names, "")
        cells = [str(settings[name]) for name in names]
        if row["settings"] is None:
            cells[0] = BASELINE
        if row["run"] == found["chosen"]:
            cells = [f"**{cell}**" for cell in cells]
        cells.append(f"{100 * row['validation_accuracy']:.1f}")
        cells += [_cell(row["measured"][metric], metric) for metric in metrics]
        yield "| " + " | ".join(cells) + f" | {'' if row['settings'] is None else row['refused'] or ''} |"


def _front_lines(found: Mapping[str, Any]) -> Iterator[str]:
    criteria = [replace(each, step=found["steps"][each.metric]) for axis in AXES.values() for each in axis]
    steps = ", ".join(f"{measure_of(each.metric).title} {told_step(each)}" for each in criteria)
    everywhere = found["wins_everywhere"]
    yield f"# Compositions of SCAAT, adversarial training and smoothing: {found['dataset']}"
    yield ""
    yield (
        f"{_where(found)} Two values count as equal where they round to the same step ({steps}). A network whose MoRF "
        "is below regular training's is behind all others on faithfulness; its MoRF stands in brackets. Best on "
        "stability are those that no other beats on RIS and ROS together."
    )
    yield ""
    if everywhere:
        yield f"Best or tied on all five axes: {', '.join(f'**{name}**' for name in everywhere)}."
    else:
        row = next(row for row in found["rows"] if row["run"] == found["recommended"])
        others = [
            each["run"]
            for each in found["rows"]
            if each["front"] and len(each["best_or_tied"]) == len(row["best_or_tied"]) and each is not row
        ]
        also = f"; so are {', '.join(others)}, with a worse mean rank over all numbers" if others else ""
        yield (
            "**No composition is best or tied on all five axes.** Best or tied on the most, "
            f"{len(row['best_or_tied'])}: **{row['run']}** ({', '.join(row['best_or_tied'])}){also}."
        )
    yield ""
    yield f"![The front on every axis]({_figure_name(found)}.svg)"
    metrics = [*found["steps"], "aopc_morf"]
    for title, on in (("The Pareto front", True), ("Dominated", False)):
        rows = [row for row in found["rows"] if row["front"] is on]
        if rows:
            yield from ("", f"## {title}", "")
            yield "| run | " + " | ".join(head(metric) for metric in metrics) + " | best or tied on |"
            yield "| --- |" + " ---: |" * len(metrics) + " --- |"
        for row in rows:
            cells = [_cell(row["measured"][metric], metric) for metric in metrics]
            if not row["morf_not_below"]:
                cells[-1] = f"({cells[-1]})"
            name = f"**{row['run']}**" if row["run"] == found["recommended"] else row["run"]
            yield f"| {name} | " + " | ".join(cells) + f" | {', '.join(row['best_or_tied'])} |"


def _counted(number: float, noun: str) -> str:
    return f"{number:g} {noun}" + ("" if number == 1 else "s")


def head(metric: str) -> str:
    """A number's title, unit and better direction, as a column's head.

    >>> head("aopc_lerf")
    'LeRF (×10⁻³) ↓'
    """
    measure = measure_of(metric)
    parts = (measure.title, f"({measure.unit})" if measure.unit else "", ARROWS[direction(metric)])
    return " ".join(part for part in parts if part)


def _cell(values: Mapping[str, Any], metric: str) -> str:
    if values["mean"] is None:
        return "–"
    mean, low, high = written(Interval(**values), metric)
    return f"{mean} [{low}, {high}]"


def _trained_at(found: Mapping[str, Any]) -> str:
    commits = dict.fromkeys(row["commit"] for row in found["rows"] if "commit" in row)
    return f", networks trained at {', '.join(commits)}" if commits else ""


def _figure_name(found: Mapping[str, Any]) -> str:
    return str(found.get("name", f"selection-{found['search']}-{found['dataset']}-{found['scale']}"))
