"""The trace of a leaderboard's search as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pellucid.leaderboard.page import origins
from pellucid.leaderboard.rules import refusal
from pellucid.report.words import number
from pellucid.runs.measures import Measure

__all__ = ["page"]

SEVERAL = "The candidates were searched by several commands, each beside a regular network of its own."


def page(trace: Mapping[str, Any]) -> str:
    """The trace's Markdown from its JSON: the rules, what was chosen, and every candidate."""
    seeds = trace["seeds"]
    begun = trace.get("begun_epochs", 0)
    further = f", from the weights of a regular network (epochs: {begun})" if begun else ""
    lines = [
        f"# Settings of the leaderboards on {trace['family']} images, chosen on {trace['dataset']}'s validation images",
        "",
        f"{trace['dataset']}, {trace['network']}, {trace['epochs']} epochs of {trace['training_images']} images, half "
        f"of the board's{further}, seed{'s' * (len(seeds) > 1)} "
        f"{', '.join(map(str, seeds))}, which test nothing; {trace['images']} validation images, accuracy of all of "
        "them. No test image was touched. Means of so few seeds: they choose, they show nothing.",
        "",
        f"The rule for strengths: {trace['rules']['entries']}. The rule for the preset: {trace['rules']['preset']}. "
        f"Beside it, {trace['rules']['front']}.",
        "",
    ]
    if trace["scale"] == "smoke":
        lines += ["Scale `smoke` shows that the command runs: its numbers mean nothing.", ""]
    if trace["winner"] is not None:
        loss = trace["allowed_loss"]
        how = (
            "no composition keeps the rule, so the most accurate"
            if loss is None
            else f"at most {100 * loss:g} point(s) of accuracy"
            + ("" if trace["faithful"] else ", and less faithful than regular training by that measure")
        )
        others = "".join(f" `{name}`: `{run}`." for name, run in trace["front"].items())
        lines += [f"The preset `trustworthy`: **`{trace['winner']}`** ({how}).{others}", ""]
        lines += [
            "## Compositions",
            "",
            *_table(trace, trace["compositions"], {trace["winner"], *trace["front"].values()}, preset=True),
            "",
        ]
    lines += ["## Strengths of methods and controls", ""]
    lines += [*_table(trace, trace["rows"], set(trace["chosen"].values()), preset=False), ""]
    return "\n".join([*lines, *origins(trace, SEVERAL)])


def _table(
    trace: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], chosen: set[str], *, preset: bool
) -> Iterator[str]:
    regular = rows[0] if preset else trace["regular"]
    metrics = list(regular["measured"])
    heads = [Measure.named(name).head for name in metrics]
    yield "| candidate | settings | validation accuracy (%) | " + " | ".join([*heads, "seconds"]) + " | passed by for |"
    yield "| --- | --- | ---: |" + " ---: |" * (len(heads) + 1) + " --- |"
    for row in rows:
        loss = (trace["allowed_loss"] or 0.02) if preset else 0.02
        reason = "" if row is regular else refusal(row, regular, loss, faithful=preset and trace["faithful"]) or ""
        name = f"**{row['run']}**" if row["run"] in chosen else row["run"]
        settings = ", ".join(f"{key} {number(value)}" for key, value in row["settings"].items())
        cells = [_written(row["measured"].get(metric), metric) for metric in metrics]
        yield (
            f"| {name} | {settings} | {100 * row['validation_accuracy']:.1f} | "
            + " | ".join([*cells, f"{row['seconds']:.0f}"])
            + f" | {reason} |"
        )


def _written(value: float | None, metric: str) -> str:
    return "–" if value is None else f"{value * Measure.named(metric).scale:.3g}".replace("-", "−")
