"""A leaderboard as Markdown, from its JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pellucid.leaderboard.entries import standing
from pellucid.leaderboard.plan import FAMILIES
from pellucid.leaderboard.reading import lead
from pellucid.papers.table_page import cell, fewer_images
from pellucid.report.words import number
from pellucid.runs.environment import told_commit
from pellucid.runs.measures import Measure
from pellucid.statistics import Interval

__all__ = ["change", "origins", "page", "provenance"]

INDENT = "↳ "
SEVERAL = "Rows were measured by several commands. Each is compared with regular networks that were trained beside it."


def page(result: Mapping[str, Any]) -> str:
    """A leaderboard's Markdown from its JSON: what holds, the table with controls under their methods, and the rest."""
    lines = [f"# Leaderboard: {result['dataset']}", "", *lead(result), "", _where(result), "", *_missing(result)]
    lines += [*_table(result, result["columns"], full=True), ""]
    lines += ["## What a method adds to its controls", "", _contrast_words(result), "", *_contrasts(result), ""]
    if result["more"]:
        lines += ["## More numbers of the same networks", "", *_table(result, result["more"], full=False), ""]
    lines += [*_fewer(result), ""]
    lines += ["## How they were trained", "", f"All with `{result['common']}`, but for what is named here:", ""]
    lines += [_trained(row, result) for row in result["rows"]]
    lines += ["", "## What the numbers are", "", *_defined(result), "", *origins(result, SEVERAL)]
    return "\n".join(lines)


def provenance(result: Mapping[str, Any]) -> str:
    """Machine, versions, commits and the command that makes a page again."""
    facts = result["environment"]
    return (
        f"{facts['device_name']}, Python {facts['python']}, torch {facts['packages']['torch']}, pellucid "
        f"{facts['pellucid']}, {facts['started']}, commit {told_commit(facts)}, networks trained at "
        f"{', '.join(result['trained_at'])}. Regenerate: `{result['command']}`."
    )


def origins(result: Mapping[str, Any], several: str) -> Iterator[str]:
    """Where rows come from, a paragraph for each command that measured some of them.

    Args:
        result: with its origins.
        several: what is said before them if there are several.
    """
    if len(result["origins"]) == 1:
        yield from (provenance(result["origins"][0]), "")
        return
    yield from (several, "")
    for one in result["origins"]:
        yield f"- {', '.join(one['entries'])}: {provenance(one)}"
    yield ""


def _where(result: Mapping[str, Any]) -> str:
    seeds = result["seeds"]
    attacked = f"; attacks of ε {number(result['robust_eps'])}" if result["robust_eps"] is not None else ""
    many = len(seeds) > 1
    begun = result.get("begun_epochs", 0)
    further = f" from the weights of {_counted(begun, 'epoch')} of regular training with the same seed" if begun else ""
    numbers = ", ".join(map(str, seeds))
    return (
        f"{result['dataset']}, {result['network']}, {result['training_images']} training images, "
        f"{_counted(result['epochs'], 'epoch')}{further}. {_counted(len(seeds), 'seed')} ({numbers}), "
        "not used to choose settings; "
        f"{result['images']} {result['split']} images, accuracy of all {result['accuracy_images']}{attacked}. Mean "
        f"[95 % interval over {'seeds and images' if many else 'images, of one seed'}]; – stands where a number is not "
        "defined. Intervals are not corrected for their number; [the predictions](sentences.md) are. Maps are vanilla "
        "gradients of the predicted class. A control stands under its method (↳). AutoAttack looks at fewer images "
        "than the weaker attack of *robust accuracy*, so its number may be the higher one by chance. *Cost*: "
        "time of a training step as a multiple of regular training's, the median over seeds, as it was logged while "
        "other trainings ran beside it."
    )


def _missing(result: Mapping[str, Any]) -> Iterator[str]:
    """Which entries of the board nobody has measured yet."""
    there = {row["name"] for row in result["rows"]}
    names = [one.name for one in standing(FAMILIES[result["board"]], truth=result["truth"]) if one.name not in there]
    if names:
        yield from (f"Not measured yet: {', '.join(names)}.", "")


def _fewer(result: Mapping[str, Any]) -> list[str]:
    measured = {row["name"]: row["measured"] for row in result["rows"]}
    metrics = [*result["columns"], *result["more"]]
    return fewer_images({"metrics": metrics, "images": result["images"], "measured": measured})


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _table(result: Mapping[str, Any], columns: Sequence[str], *, full: bool) -> Iterator[str]:
    more = ["cost", "published"] if full else []
    yield "| training | seeds | " + " | ".join([*(Measure.named(name).head for name in columns), *more]) + " |"
    yield "| --- | ---: |" + " ---: |" * len(columns) + (" ---: | --- |" if full else "")
    for row in result["rows"]:
        cells = [_name(row), str(row["seeds"]), *(cell(row["measured"][name], name) for name in columns)]
        if full:
            cells += [f"{row['cost']['median']:.2g}×", "; ".join(_published(one) for one in row["published"])]
        yield "| " + " | ".join(cells) + " |"


def _name(row: Mapping[str, Any]) -> str:
    return f"**{row['name']}**" if row["kind"] in ("method", "ours") else _prefix(row) + row["name"]


def _prefix(row: Mapping[str, Any]) -> str:
    return INDENT if row["kind"] == "control" else ""


def _published(one: Mapping[str, str]) -> str:
    return f"*{one['numbers']}* ({one['on']})"


def _contrast_words(result: Mapping[str, Any]) -> str:
    over = "seeds and images" if len(result["seeds"]) > 1 else "images, of one seed: nothing here is confirmed"
    return (
        "The number of the method minus that of the training it is compared with, on the same seeds and images, with "
        f"its 95 % interval over {over}; bold where it excludes 0. With so many differences, some are bold by chance."
    )


def _contrasts(result: Mapping[str, Any]) -> Iterator[str]:
    names = result["contrasts"]
    yield "| method | compared with | " + " | ".join(Measure.named(name).head for name in names) + " |"
    yield "| --- | --- |" + " ---: |" * len(names)
    for row in result["rows"]:
        for rival, found in row["against"].items():
            told = [change(found[name], name, bold=len(result["seeds"]) > 1) for name in names]
            yield f"| {row['name']} | {rival} | " + " | ".join(told) + " |"


def change(values: Mapping[str, Any], metric: str, *, bold: bool = True) -> str:
    """A difference with its interval, in bold where it excludes 0.

    Args:
        values: as `pellucid.report.table.interval_data` gives them.
        metric: its name, which decides the unit.
        bold: whether an interval that excludes 0 is set in bold.

    >>> change({"mean": 0.05, "low": 0.03, "high": 0.07, "n": 9}, "gini")
    '**+0.050 [0.030, 0.070]**'
    """
    if values["mean"] is None:
        return "–"
    words = cell(values, metric)
    words = words if words.startswith("−") else f"+{words}"
    return f"**{words}**" if bold and (values["low"] > 0 or values["high"] < 0) else words


def _trained(row: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    source = f" ({row['source']})" if row["source"] else ""
    epochs = "" if row["epochs"] == result["epochs"] else f", {_counted(row['epochs'], 'epoch')}"
    chosen = ", ".join(f"{name} {number(value)}" for name, value in row["strengths"].items())
    return f"- {row['name']}: {row['title']}{source}; `{row['training']}`{epochs}" + (
        f"; chosen: {chosen}" if chosen else ""
    )


def _defined(result: Mapping[str, Any]) -> Iterator[str]:
    for metric in [*result["columns"], *result["more"]]:
        column, measure = result["definitions"].get(metric), Measure.named(metric)
        if column is None:
            continue
        settings = ", ".join(
            f"{key} {number(value)}" for key, value in column["parameters"].items() if key not in ("saliency", "target")
        )
        notes = "; ".join(part for part in (settings, column["source"]) if part)
        yield f"- {measure.title}: {column['definition']}" + (f" ({notes})" if notes else "")


def interval_from(values: Mapping[str, Any]) -> Interval:
    """An interval read back from JSON; empty where there is none."""
    if values["mean"] is None:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    return Interval(**values)
