"""One self-contained HTML page about a set of runs: what to take, what came out, what it looks like."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.report import drawing, verdict
from pellucid.report.caveats import caveats, merged, survivals
from pellucid.report.colours import COLORMAP, SIGNED_COLORMAP, palette
from pellucid.report.confusion import confusions
from pellucid.report.contrasts import contrasts
from pellucid.report.copies import copies
from pellucid.report.gallery import Gallery, color_bar, gallery, orders
from pellucid.report.hardest import hardest
from pellucid.report.meanings import meanings
from pellucid.report.measures import saliency_title, spoken_saliency
from pellucid.report.origin import details
from pellucid.report.page_table import cell, chooser, groups
from pellucid.report.recommendation import contests, recommend
from pellucid.report.rows_csv import rows_csv
from pellucid.report.scale import scale
from pellucid.report.sections import sections
from pellucid.report.subgroups import sections_by
from pellucid.report.table import summaries_of
from pellucid.report.training import seconds_per_step
from pellucid.report.weights import weighed
from pellucid.report.words import dataset_words, number, told_apart, training_words
from pellucid.runs.evaluated import Run, read_runs
from pellucid.runs.measures import Measure, measures_of
from pellucid.runs.subgroups import FEWEST
from pellucid.statistics import Interval

__all__ = ["MOST_RUNS", "Conclusion", "write_report"]

GALLERY_SHOWN = 6
"""Rows of the gallery that are open at first."""

MANY = 8
"""Runs beyond which what each gained and paid is folded, so that the table stays in reach."""

MOST_RUNS = 100
"""Runs of a report at most: a page of more could not be read, and would take minutes to write."""

TITLE = "Which network’s saliency maps can be trusted?"

SCRIPTS = ("maps", "view", "table", "weights", "gallery", "lightbox", "page")
"""The page's scripts, in the order in which they run."""

Summaries = Mapping[str, Mapping[str, Interval]]
Cards = Mapping[tuple[int, int], str]

SALIENCY_PLAIN = {
    "vanilla_gradient": "how strongly each pixel moves the network's answer",
    "smoothgrad": "the same, averaged over noisy copies of the picture",
    "integrated_gradients": "the same, summed on the way from a black picture to the real one",
    "gradcam": "where the last layer's features that speak for the answer are, coarse as that layer",
    "gradcam_plus_plus": "the same, with several small things of a kind counted alike",
    "layercam": "where the last layer's features speak for the answer, place by place",
    "rollout": "where attention comes from over all blocks, whatever the answer is",
}


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What was concluded of the networks beforehand, by a rule of its own, such as that of `pellucid.tune`.

    Args:
        question: that it answers.
        answer: in a few words, what to do.
        words: sentences that say why.
    """

    question: str
    answer: str
    words: tuple[str, ...] = ()


def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    figures: str | Path | None = None,
    title: str = TITLE,
    cards: Mapping[str, Mapping[int, str]] | None = None,
    conclusion: Conclusion | None = None,
) -> Path:
    """Write one HTML file that compares evaluated runs; it needs no other file and no network.

    The first run that was trained in the regular way, with neither smoothing nor another activation, is the baseline
    that the others are held against; where there is none, the first run.

    Args:
        runs: run directories over the same images, at most `MOST_RUNS`.
        out: the file to write.
        figures: folder for all figures as SVG, PDF and PNG too; none by default.
        title: the page's first line.
        cards: by run and by index of a gallery picture, the address of its trust card, as
            `pellucid.explanation.gallery_cards` returns them; none by default.
        conclusion: what was concluded beforehand, by a rule of its own; it stands above the recommendation.

    Returns:
        ``out``.

    Raises:
        InputError: a run that cannot be read, runs that cannot be compared, or more than `MOST_RUNS`; a file whose name
            does not end in .html, or a file in the folder's place.
    """
    if len(runs) > MOST_RUNS:
        raise InputError(f"a report compares at most {MOST_RUNS} runs, got {len(runs)}; choose those that matter")
    out = Path(out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"a report is a page, whose name ends in .html; got {out}")
    if figures is not None and Path(figures).is_file():
        raise InputError(f"figures must be a folder, and {figures} is a file")
    read = read_runs(runs)
    content = _content(read, title, cards or {}) | {"conclusion": conclusion}
    html = _render(content)
    with whole_file(out) as temporary:
        temporary.write_text(html, encoding="utf-8")
    if figures is not None:
        panels = [panel for section in content["figures"] for panel in section["panels"]]
        drawing.write_figures(panels, drawing.styles(read, verdict.baseline_of(read)), figures)
    return out


def _render(content: Mapping[str, Any]) -> str:
    package = files("pellucid.report")
    templates = package.joinpath("templates")

    def text(name: str) -> str:
        return templates.joinpath(name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(text),
    )
    environment.globals |= {"number": number}
    environment.filters["unbroken"] = lambda text: re.sub(r" (?=%)|(?<=p [<=]) |(?<=\(p) ", "\u00a0", text)
    environment.filters["named"] = _named
    style = package.joinpath("page.css").read_text(encoding="utf-8") + text("report.css")
    script = "\n".join(text(f"{name}.js") for name in SCRIPTS)
    return environment.get_template("page.html").render(style=Markup(style), script=Markup(script), **content)


def _content(runs: Sequence[Run], title: str, cards: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    baseline = verdict.baseline_of(runs)
    summaries = summaries_of(runs)
    contrasted = contrasts(runs, summaries, baseline)
    standing = verdict.standings(runs, summaries, baseline, contrasted)
    methods = list(dict.fromkeys(method for run in runs for method in run.saliency_methods))
    measures = measures_of(runs)
    own_names = {name: place for place, name in enumerate(dict.fromkeys(measure.own_name for measure in measures))}
    found = contests(runs, summaries, contrasted)
    advice = recommend(runs, summaries, contrasted, baseline, found)
    pictures = gallery(runs, methods)
    signed = any(map_.signed for row in pictures.rows for maps in row.heatmaps.values() for map_ in maps if map_)
    sorted_by = orders(runs, pictures)
    style = drawing.styles(runs, baseline)
    survived = {run.name: survivals(run) for run in runs}
    warned = {run.name: caveats(run) for run in runs}
    numbers = {run.name: place for place, run in enumerate(runs)}
    spelled_of = dict(zip(numbers, told_apart([run.config for run in runs]), strict=True))
    content = {
        "title": title,
        "date": _date(runs),
        "runs": [
            {
                "number": place,
                "name": run.name,
                "words": _words(run),
                "spelled": spelled_of[run.name],
                "key": Markup(drawing.key(style[run.name], name=f"key-{place}")),
                "baseline": run is baseline,
                "has_q": run.q is not None,
            }
            for place, run in enumerate(runs)
        ],
        "numbers": numbers,
        "spelled": spelled_of,
        "baseline": baseline.name,
        "info": baseline.info,
        "dataset": dataset_words(baseline),
        "count": len(runs),
        "many": len(runs) > MANY,
        "images": f"{baseline.rows.num_rows:,}",
        "advice": advice,
        "alone": _alone(runs, baseline),
        "ground": _ground(found),
        "scale": scale(runs, summaries, baseline, found),
        "sanity": verdict.sanity(survived),
        "caveats": [(", ".join(names), said) for said, names in merged(warned).items()],
        **weighed(found, [run.name for run in runs]),
        "changes": [
            {"number": numbers[change.run], "run": change.run}
            | {"better": change.better, "worse": change.worse, "level": change.level}
            for change in verdict.changes(runs, summaries, standing, baseline)
        ],
        "cost": _cost(runs, baseline),
        "copies": copies(runs, summaries, warned),
        "rows": rows_csv(runs),
        "methods": [
            {"name": method, "title": saliency_title(method), "plain": SALIENCY_PLAIN.get(method, "")}
            for method in methods
        ],
        "spoken": spoken_saliency(runs[0].saliency_methods[0]) if runs[0].saliency_methods else "saliency",
        "groups": groups(measures),
        "own_names": own_names,
        "chooser": chooser(measures, own_names),
        "measures": measures,
        "cells": {
            run.name: [cell(run, runs, baseline, measure, summaries, standing) for measure in measures] for run in runs
        },
        "definitions": meanings(runs, measures, summaries),
        "gallery": pictures,
        "gallery_shown": GALLERY_SHOWN,
        "shown_classes": {row.label for row in pictures.rows},
        "gallery_data": _gallery_data(sorted_by),
        "cards": {(numbers[name], index): link for name, of_run in cards.items() for index, link in of_run.items()},
        "orders": list({measure.own_name: measure.title for measure in sorted_by}.items()),
        "example": _example(runs, baseline, pictures, advice[0].runs[:1] if advice else []),
        "color_bar": color_bar(signed=signed),
        "signed": signed,
        "colormap": SIGNED_COLORMAP if signed else COLORMAP,
        "subgroups": sections_by(runs),
        "confusions": confusions(runs),
        "hardest": hardest(runs, pictures),
        "fewest": FEWEST,
        "figures": sections(runs, summaries, style, baseline, measures, survived),
        "details": [details(run, _words(run)) for run in runs],
        "command": shlex.join(["pellucid", "report", *(run.name for run in runs), "--out", "report.html"]),
        "pellucid": baseline.environment.get("pellucid"),
    }
    return content | {"contents": _contents(content)}


def _named(text: str, names: Iterable[str]) -> Markup:
    """A sentence with the networks' names in bold, so that a name such as ``at`` is not read as a word."""
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    parts = re.split(rf"(?<![\w-])({longest_first})(?![\w-])", text)
    return Markup().join(Markup("<b>{}</b>").format(part) if place % 2 else part for place, part in enumerate(parts))


def _contents(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The page's sections, in their order, by short names."""
    listed = [
        ("recommendation", "Recommendation", True),
        ("weights", "Priorities", content["questions"] and content["count"] > 1),
        ("changes", "Gains", content["changes"]),
        ("table", "Table", True),
        ("gallery", "Pictures", True),
        ("subgroups", "Classes", True),
        ("mistakes", "Mistakes", content["confusions"]),
        ("hardest", "Hardest", True),
        *((section["id"], section["short"], True) for section in content["figures"]),
        ("origin", "Origin", True),
    ]
    return [(id_, name) for id_, name, there in listed if there]


def _date(runs: Sequence[Run]) -> str:
    """When the networks were trained, from what their runs recorded."""
    began = []
    for run in runs:
        try:
            began.append(datetime.fromisoformat(str(run.environment.get("started", ""))))
        except ValueError:
            continue
    days = sorted({moment.date() for moment in began})
    if not days:
        return ""
    first, last = (f"{day.day} {day:%B %Y}" for day in (days[0], days[-1]))
    return f"Trained on {first}" if first == last else f"Trained from {first} to {last}"


def _alone(runs: Sequence[Run], baseline: Run) -> str:
    if len(runs) == 1:
        return f"There is nothing to compare: only one run was given, {baseline.name}. The table has its numbers."
    return "Nothing that could choose a network was measured of two runs; the table has what was."


def _ground(found: Sequence[Any]) -> str:
    """What the recommendation for maps rests on."""
    names = {contest.measure.own_name for contest in found}
    if "mass" in names:
        return "What decides the class of these pictures is known, so the maps were compared with the truth."
    if "gini" in names:
        return (
            "It is not known what decides the class of these pictures, so no map could be compared with the truth. "
            "On images for which it is known, networks with more concentrated maps mostly had truer maps. That is "
            "evidence, not proof."
        )
    return ""


def _example(runs: Sequence[Run], baseline: Run, pictures: Gallery, best: Sequence[str]) -> dict[str, Any] | None:
    """A picture that every run names correctly, if there is one, with the baseline's map and the recommended one's."""
    if not pictures.rows:
        return None
    method = runs[0].saliency_methods[0]
    rows = [row for row in pictures.rows if all(right for _, _, right in row.predictions)]
    row = (rows or pictures.rows)[0]
    names = [run.name for run in runs]
    maps = [(name, row.heatmaps[method][names.index(name)]) for name in dict.fromkeys((baseline.name, *best))]
    return {"label": row.label, "image": row.image, "maps": [(name, picture) for name, picture in maps if picture]}


def _cost(runs: Sequence[Run], baseline: Run) -> str:
    """Time per training step against the baseline, in one sentence; empty for one run."""
    if baseline.is_as_given:
        return ""
    unit = seconds_per_step(baseline)
    trained = [run for run in runs if run is not baseline and not run.is_as_given]
    factors = [f"{run.name} {seconds_per_step(run) / unit:.1f}×" for run in trained]
    return f"Time per training step, as a multiple of {baseline.name}’s: {', '.join(factors)}." * bool(factors)


def _gallery_data(sorted_by: Mapping[Measure, list[list[float | None]]]) -> Markup:
    """What the page's script sorts and colours by, as JSON that may stand inside a script element."""
    values: dict[str, dict[str, Any]] = {}
    for measure, rows in sorted_by.items():
        values.setdefault(measure.own_name, {})[measure.saliency or ""] = rows
    better = {measure.own_name: measure.column.direction for measure in sorted_by}
    palettes = {"palette": palette().tobytes().hex(), "signed": palette(signed=True).tobytes().hex()}
    text = json.dumps({**palettes, "better": better, "values": values}, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _words(run: Run) -> str:
    """How it was trained, with no line break between a symbol and its number."""
    return re.sub("([ελβ]) ", "\\1\u00a0", training_words(run.config))
