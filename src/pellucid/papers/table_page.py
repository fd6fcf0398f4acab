"""A table as Markdown, from its JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pellucid.metrics.column import Column
from pellucid.papers.figures import CAPTIONS
from pellucid.report.measures import saliency_title, written
from pellucid.report.words import number
from pellucid.runs.environment import told_commit
from pellucid.runs.measures import Measure
from pellucid.statistics import Interval

__all__ = ["cell", "claim_number", "columns", "fewer_images", "figure_file", "page", "verdicts"]

_SAID_ABOVE = ("saliency", "target")
_OF_ONE_SEED = {"confirmed": "so in this one network", "refuted": "not so in this one network"}
TIME = Measure("time", Column(title="Time of a training step", direction="lower"))
"""The number of a table that no evaluation stores: a training step's time, as a multiple of the first run's."""


def page(result: Mapping[str, Any]) -> str:
    """A table's Markdown from its JSON: measured with its interval, published beside it."""
    published, metrics = result["published"], result["metrics"]
    lines = [
        f"# {result['paper']}, {result['table']}: {result['title']}",
        "",
        f"{result['dataset']}, {result['network']}, scale `{result['scale']}`: {result['training_images']} training "
        f"images, {result['epochs']} epoch{'s' * (result['epochs'] > 1)}, {result['seeds']} "
        f"seed{'s' * (result['seeds'] > 1)}; {result['images']} {result['split']} images"
        f"{', accuracy of all {}'.format(result['accuracy_images']) if 'clean_accuracy' in metrics else ''}"
        f"{_attacked(result)}. "
        f"Mean [95 % interval over {_over(result)}]; – stands for a ratio "
        f"whose divisor may be 0. Maps and their measures are of the {result['target']} class."
        + (f" *Published* numbers are of {result['published_on']}." if published and result["published_on"] else "")
        + (" *Published* numbers stand below ours." if published and not result["published_on"] else ""),
        "",
    ]
    sections: dict[str | None, list[str]] = {}
    for metric in metrics:
        sections.setdefault(_measure(metric).saliency, []).append(metric)
    for method, names in sections.items():
        if method:
            lines += [f"{saliency_title(method)} maps{_settings(result, names)}:", ""]
        lines += [*columns(result, names), ""]
    if result["scale"] == "smoke":
        lines += ["Scale `smoke` shows that the command runs: its numbers mean nothing, and no verdict is shown.", ""]
    elif result["claims"]:
        lines += [*verdicts(result["claims"], result["seeds"]), ""]
    for name in result["figures"]:
        lines += [
            f"{CAPTIONS[name]}{_bands(result, name)}:",
            "",
            f"![{CAPTIONS[name]}]({figure_file(result, name)})",
            "",
        ]
    caveats = [*result["notes"], *result["caveats"], *_said_of_q(result), *fewer_images(result)]
    if "time" in metrics:
        caveats.append("Times are of single steps, in rounds of one of each training, with their interval over rounds.")
    lines += [f"- {sentence}" for sentence in caveats] + [""] * bool(caveats)
    lines += [
        f"How they were trained, all with `{result['common']}`; what is not named has the package's default:",
        "",
        *(f"- {run}: `{training}`" for run, training in result["trainings"].items()),
        "",
    ]
    lines += ["What the numbers are:", "", *_defined(result), ""]
    facts = result["environment"]
    lines += [
        f"{facts['device_name']}, Python {facts['python']}, torch {facts['packages']['torch']}, pellucid "
        f"{facts['pellucid']}, {facts['started']}, commit {told_commit(facts)}, networks trained at "
        f"{', '.join(result['trained_at'])}. Regenerate: `{result['command']}`.",
        "",
    ]
    return "\n".join(lines)


def columns(result: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """Lines of a Markdown table of some of a table's numbers, published ones below ours."""
    yield "| run | " + " | ".join(_measure(name).head for name in names) + " |"
    yield "| --- |" + " ---: |" * len(names)
    for run, values in result["measured"].items():
        yield f"| {run} | " + " | ".join(cell(values[name], name) for name in names) + " |"
        there = result["published"].get(run, {})
        if any(name in there for name in names):
            yield (
                "| *published* | "
                + " | ".join(_published(there[name], name) if name in there else "" for name in names)
                + " |"
            )


def verdicts(claims: Sequence[Mapping[str, Any]], seeds: int) -> Iterator[str]:
    """Lines of a Markdown table of claims: the paper's own, and bounds and controls of ours.

    Args:
        claims: as `pellucid.papers.claim.checked` gives them.
        seeds: of the table; one seed confirms and refutes nothing, since it speaks of one network each.
    """
    of_maps = any(claim["kind"] != "correlation" and _measure(claim["metric"]).saliency for claim in claims)
    yield f"| claim{', of vanilla gradient maps where none are named' if of_maps else ''} | whose | found | verdict |"
    yield "| --- | --- | ---: | --- |"
    for claim in claims:
        doubt = ", not so under all attacks" if claim["attack_too_weak"] else ""
        verdict = _OF_ONE_SEED.get(claim["verdict"], claim["verdict"]) if seeds == 1 else claim["verdict"]
        yield f"| {claim['text']} | {claim['whose']} | {claim_number(claim)} | **{verdict}**{doubt} |"


def figure_file(result: Mapping[str, Any], name: str) -> str:
    """The name of a figure's file; a gallery is a PNG."""
    ending = "svg" if result["figures"][name] else "png"
    return f"{result['name']}-{name}.{ending}"


def _attacked(result: Mapping[str, Any]) -> str:
    shown = {"robust_accuracy", "autoattack_correct"} & set(result["metrics"])
    return f", attacked at ε {result['robust_eps']:.4g}" if shown else ""


def _said_of_q(result: Mapping[str, Any]) -> list[str]:
    return [
        f"{run}: q {q['over_training']:.2f} on the mean of all epochs, at the end {q['mean']:.2f}, {q['low']:.2f} to "
        f"{q['high']:.2f} for nine samples in ten."
        for run, q in result["q"].items()
    ] + [
        f"{run}: that correlation by class, the mean over seeds: "
        + ", ".join(f"{name} {_signed(value)}" for name, value in classes.items())
        + "."
        for run, classes in result.get("q_by_class", {}).items()
    ]


def fewer_images(result: Mapping[str, Any]) -> list[str]:
    """How many images have a value of the numbers that not all have, such as RIS where a change turns the class.

    Args:
        result: ``metrics``, how many ``images`` were measured, and by network and metric what was ``measured``.
    """
    counts: dict[str, list[int]] = {}
    for metric in result["metrics"]:
        if metric != "time":
            images = [values[metric]["n"] for values in result["measured"].values()]
            counts.setdefault(_measure(metric).title, []).extend(images)
    titles: dict[str, list[str]] = {}
    for title, images in counts.items():
        least, most = min(images), max(images)
        if 0 < least < result["images"]:
            told = f"{least} to {most}" if least < most else str(least)
            titles.setdefault(told, []).append(title)
    words = "; ".join(f"{told} for {', '.join(names)}" for told, names in titles.items())
    return [f"Not every image has a value of every number: {words}, by network."] if words else []


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def _settings(result: Mapping[str, Any], metrics: Sequence[str]) -> str:
    """How the maps of some numbers were made."""
    known = (result["definitions"].get(metric, {}).get("parameters", {}).get("saliency") for metric in metrics)
    return next((f", `{saliency}`" for saliency in known if saliency), "")


def _defined(result: Mapping[str, Any]) -> Iterator[str]:
    """A line for each number, once for all kinds of map, with the settings it was measured with."""
    told = dict.fromkeys(_measure(metric).title for metric in result["metrics"] if metric != "time")
    for metric, column in result["definitions"].items():
        title = _measure(metric).title
        if title not in told:
            continue
        del told[title]
        unit = f" In {column['unit']}." if column["unit"] else ""
        settings = ", ".join(
            f"{key} {number(value)}" for key, value in column["parameters"].items() if key not in _SAID_ABOVE
        )
        notes = "; ".join(part for part in (settings, column["source"]) if part)
        yield f"- {title}: {column['definition']}{unit}" + (f" ({notes})" if notes else "")


def _bands(result: Mapping[str, Any], name: str) -> str:
    curves = any("x" in panel for panel in result["figures"][name])
    return f"; bands are 95 % intervals over {_over(result)}" if curves else ""


def _over(result: Mapping[str, Any]) -> str:
    return "seeds and images" if result["seeds"] > 1 else "images, of one seed"


def _measure(metric: str) -> Measure:
    return TIME if metric == TIME.name else Measure.named(metric)


def cell(values: Mapping[str, Any], metric: str) -> str:
    """A number with its interval, as a column has it."""
    if values["mean"] is None:
        return "–"
    if metric == "time":
        return f"{values['mean']:.2f}× [{values['low']:.2f}, {values['high']:.2f}]"
    mean, low, high = written(Interval(**values), _measure(metric))
    return f"{mean} [{low}, {high}]"


def _published(value: float, metric: str) -> str:
    return f"*{value:g}×*" if metric == "time" else f"*{value * _measure(metric).scale:.4g}*"


def claim_number(claim: Mapping[str, Any]) -> str:
    """A claim's number with its interval, as a table says it."""
    values = claim["found"]
    if values["mean"] is None:
        return "–"
    if claim["kind"] in ("factor", "typical") or claim["metric"] == "time":
        words = "{:.3g}× [{:.3g}, {:.3g}]".format(*(values[key] for key in ("mean", "low", "high")))
        return words.replace("-", "−") + (f", {values['n']} images" if claim["kind"] == "typical" else "")
    if claim["kind"] == "correlation":
        words = "ρ {:.2f} [{:.2f}, {:.2f}]".format(*(values[key] for key in ("mean", "low", "high")))
        return words.replace("-", "−")
    measure = _measure(claim["metric"])
    scale, unit = measure.scale, measure.unit
    of_one_run = claim["kind"] == "value"
    # Means of equal numbers differ by rounding.
    scaled = [scale * values[key] if abs(values[key]) > 1e-12 else 0.0 for key in ("mean", "low", "high")]
    numbers = [f"{value:{'' if of_one_run else '+'}.3g}" for value in scaled]
    words = f"{numbers[0]} [{numbers[1]}, {numbers[2]}]" + (
        f" {unit if of_one_run else unit.replace('%', 'points')}" if unit else ""
    )
    return words.replace("-", "−")
