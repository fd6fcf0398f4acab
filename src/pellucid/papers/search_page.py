"""The trace of a selection as Markdown."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pellucid.papers.pellucid import BASELINE, CRITERIA, told_step
from pellucid.papers.plan import SEARCHES
from pellucid.papers.table_page import cell
from pellucid.runs.environment import told_commit
from pellucid.runs.measures import Measure

__all__ = ["page"]


def page(trace: Mapping[str, Any]) -> str:
    """The trace's Markdown from its JSON."""
    facts = trace["environment"]
    lines = [
        *(_front_lines(trace) if trace["search"] == "pellucid" else _chosen_lines(trace)),
        "",
        f"{facts['device_name']}, Python {facts['python']}, torch {facts['packages']['torch']}, pellucid "
        f"{facts['pellucid']}, commit {told_commit(facts)}{_trained_at(trace)}, {facts['started']}. "
        f"Regenerate: `{trace['command']}`.",
        "",
    ]
    return "\n".join(lines)


def _where(trace: Mapping[str, Any]) -> str:
    return (
        f"{trace['dataset']}, {trace['network']}, scale `{trace['scale']}`, {_counted(trace['epochs'], 'epoch')}, one "
        f"training each (seed {trace['seed']}); measured on {trace['images']} validation images. "
        "No test image was touched."
    )


def _chosen_lines(trace: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Settings of {SEARCHES[trace['search']]}, chosen on validation images: {trace['dataset']}"
    yield ""
    yield " ".join([_where(trace), f"The rule: {trace['rule']}.", *trace.get("notes", ())])
    yield ""
    chosen = f"`{trace['chosen']}`" if trace["chosen"] else "none; no candidate keeps the rule"
    yield f"Chosen: **{chosen}**."
    names = list(trace["rows"][-1]["settings"])
    metrics = [name for name in ("aopc_lerf", "aopc_morf", "gini") if name in trace["rows"][0]["measured"]]
    stage = None
    for row in trace["rows"]:
        if row["stage"] != stage:
            stage = row["stage"]
            yield from ("", f"## {stage}", "")
            accuracy = f"validation accuracy (%, n {trace['validation_images']})"
            yield "| " + " | ".join([*names, accuracy, *map(_head, metrics)]) + " | passed by for |"
            yield "| " + "--- | " * len(names) + "---: | " * (1 + len(metrics)) + "--- |"
        settings = row["settings"] or dict.fromkeys(names, "")
        cells = [str(settings[name]) for name in names]
        if row["settings"] is None:
            cells[0] = BASELINE
        if row["run"] == trace["chosen"]:
            cells = [f"**{setting}**" for setting in cells]
        cells.append(f"{100 * row['validation_accuracy']:.1f}")
        cells += [cell(row["measured"][metric], metric) for metric in metrics]
        yield "| " + " | ".join(cells) + f" | {'' if row['settings'] is None else row['refused'] or ''} |"


def _front_lines(trace: Mapping[str, Any]) -> Iterator[str]:
    criteria = [replace(criterion, step=trace["steps"][criterion.metric]) for criterion in CRITERIA]
    steps = ", ".join(f"{Measure.named(criterion.metric).title} {told_step(criterion)}" for criterion in criteria)
    everywhere = trace["wins_everywhere"]
    yield f"# Compositions of {SEARCHES['pellucid']}: {trace['dataset']}"
    yield ""
    yield (
        f"{_where(trace)} Two values count as equal where they round to the same step ({steps}). A network whose MoRF "
        "is below regular training's is behind all others on faithfulness; its MoRF stands in brackets. Best on "
        "stability are those that no other beats on RIS and ROS together."
    )
    yield ""
    if everywhere:
        yield f"Best or tied on all five axes: {', '.join(f'**{name}**' for name in everywhere)}."
    else:
        row = next(row for row in trace["rows"] if row["run"] == trace["recommended"])
        others = [
            other["run"]
            for other in trace["rows"]
            if other["front"] and len(other["best_or_tied"]) == len(row["best_or_tied"]) and other is not row
        ]
        also = f"; so are {', '.join(others)}, with a worse mean rank over all numbers" if others else ""
        yield (
            "**No composition is best or tied on all five axes.** Best or tied on the most, "
            f"{len(row['best_or_tied'])}: **{row['run']}** ({', '.join(row['best_or_tied'])}){also}."
        )
    yield ""
    yield f"![The front on every axis]({_figure_name(trace)}.svg)"
    metrics = [*trace["steps"], "aopc_morf"]
    for title, on in (("The Pareto front", True), ("Dominated", False)):
        rows = [row for row in trace["rows"] if row["front"] is on]
        if rows:
            yield from ("", f"## {title}", "")
            yield "| run | " + " | ".join(map(_head, metrics)) + " | best or tied on |"
            yield "| --- |" + " ---: |" * len(metrics) + " --- |"
        for row in rows:
            cells = [cell(row["measured"][metric], metric) for metric in metrics]
            if not row["morf_not_below"]:
                cells[-1] = f"({cells[-1]})"
            name = f"**{row['run']}**" if row["run"] == trace["recommended"] else row["run"]
            yield f"| {name} | " + " | ".join(cells) + f" | {', '.join(row['best_or_tied'])} |"


def _head(metric: str) -> str:
    return Measure.named(metric).head


def _counted(number: float, noun: str) -> str:
    return f"{number:g} {noun}" + ("" if number == 1 else "s")


def _trained_at(trace: Mapping[str, Any]) -> str:
    commits = dict.fromkeys(row["commit"] for row in trace["rows"] if "commit" in row)
    return f", networks trained at {', '.join(commits)}" if commits else ""


def _figure_name(trace: Mapping[str, Any]) -> str:
    return str(trace.get("name", f"selection-{trace['search']}-{trace['dataset']}-{trace['scale']}"))
