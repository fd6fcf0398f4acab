"""One self-contained HTML page about a set of runs: what was compared, what came out, what it looks like."""

import json
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from pellucid.core.files import whole_file
from pellucid.metrics.suite import column_name
from pellucid.metrics.survival import Survival
from pellucid.report import drawing, figures as drawn, verdict
from pellucid.report.caveats import caveats, merged, survivals
from pellucid.report.formats import render
from pellucid.report.gallery import (
    COLORMAP,
    Gallery,
    color_bar,
    extremes,
    gallery,
    orders,
    palette,
    snapshots,
    strips,
)
from pellucid.report.measures import saliency_title, written
from pellucid.report.table import plain, summarise
from pellucid.report.words import number, training_words
from pellucid.runs.directory import Run, read_runs
from pellucid.runs.measures import Measure, measures_of
from pellucid.statistics import Interval

__all__ = ["write_report"]

GALLERY_SHOWN = 6
"""Rows of the gallery that are open at first."""

MANY = 8
"""Runs beyond which what each gained and paid is folded, so that the table stays in reach."""

Summaries = Mapping[str, Mapping[str, Interval]]

SALIENCY_PLAIN = {
    "vanilla_gradient": "how strongly each pixel moves the network's answer",
    "smoothgrad": "the same, averaged over noisy copies of the picture",
    "integrated_gradients": "the same, summed on the way from a black picture to the real one",
}


def write_report(runs: Sequence[str | Path], out: str | Path, *, figures: str | Path | None = None) -> Path:
    """Write one HTML file that compares evaluated runs; it needs no other file and no network.

    The first run that was trained in the regular way is the baseline that the others are held against.

    Args:
        runs: run directories over the same images.
        out: the file to write.
        figures: folder for all figures as SVG, PDF and PNG too; none by default.

    Returns:
        ``out``.

    Raises:
        InputError: a run that cannot be read, or runs that cannot be compared.
    """
    out = Path(out)
    read = read_runs(runs)
    content = _content(read)
    html = _render(content)
    with whole_file(out) as temporary:
        temporary.write_text(html, encoding="utf-8")
    if figures is not None:
        panels = [panel for section in content["figures"] for panel in section["panels"]]
        drawing.write_figures(panels, drawing.styles(read, verdict.baseline_of(read)), figures)
    return out


def _render(content: Mapping[str, Any]) -> str:
    package = files("pellucid.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"number": number}
    environment.filters["unbroken"] = lambda text: text.replace(" %", "\u00a0%")
    template = environment.from_string(package.joinpath("page.html").read_text(encoding="utf-8"))
    style, script = (Markup(package.joinpath(f"page.{kind}").read_text(encoding="utf-8")) for kind in ("css", "js"))
    return template.render(style=style, script=script, **content)


def _content(runs: Sequence[Run]) -> dict[str, Any]:
    baseline = verdict.baseline_of(runs)
    summaries = {run.name: summarise(run) for run in runs}
    standing = verdict.standings(runs, summaries, baseline)
    methods = list(dict.fromkeys(method for run in runs for method in run.saliency_methods))
    measures = measures_of(runs)
    answers = verdict.answers(runs, summaries, standing, baseline)
    pictures = gallery(runs, methods)
    sorted_by = orders(runs, pictures)
    style = drawing.styles(runs, baseline)
    survived = {run.name: survivals(run) for run in runs}
    warned = {run.name: caveats(run) for run in runs}
    return {
        "runs": [
            {
                "name": run.name,
                "words": _words(run),
                "key": Markup(drawing.key(style[run.name], name=f"key-{number}")),
                "baseline": run is baseline,
                "has_q": run.q is not None,
            }
            for number, run in enumerate(runs)
        ],
        "baseline": baseline.name,
        "info": baseline.info,
        "count": len(runs),
        "many": len(runs) > MANY,
        "images": f"{baseline.rows.num_rows:,}",
        "headline": verdict.headline(answers),
        "sanity": verdict.sanity(survived),
        "copies": _copies(runs, summaries, warned),
        "bargain": verdict.bargain(runs, summaries, standing, baseline),
        "answers": answers,
        "caveats": [(", ".join(names), said) for said, names in merged(warned).items()],
        "changes": verdict.changes(runs, summaries, standing, baseline),
        "cost": _cost(runs, baseline),
        "methods": [
            {"name": method, "title": saliency_title(method), "plain": SALIENCY_PLAIN.get(method, "")}
            for method in methods
        ],
        "spoken": saliency_title(runs[0].saliency_methods[0]).lower(),
        "groups": _groups(measures),
        "measures": measures,
        "further": len({measure.own_name for measure in measures if not measure.is_main}),
        "cells": {
            run.name: [_cell(run, baseline, measure, summaries, standing) for measure in measures] for run in runs
        },
        "definitions": _definitions(runs, measures, summaries),
        "gallery": pictures,
        "gallery_shown": GALLERY_SHOWN,
        "shown_classes": {row.label for row in pictures.rows},
        "gallery_data": _gallery_data(sorted_by),
        "orders": list({measure.own_name: measure.title for measure in sorted_by}.items()),
        "example": _example(runs, baseline, pictures, summaries),
        "color_bar": color_bar(),
        "colormap": COLORMAP,
        "figures": _figures(runs, summaries, style, baseline, methods, measures, survived),
        "details": [_details(run) for run in runs],
        "command": shlex.join(["pellucid", "report", *(run.name for run in runs), "--out", "report.html"]),
        "pellucid": baseline.environment.get("pellucid"),
    }


def _groups(measures: Sequence[Measure]) -> list[dict[str, Any]]:
    """Neighbouring columns that answer the same question about the same maps."""
    groups = groupby(measures, key=lambda measure: (measure.column.question, measure.saliency, not measure.is_main))
    return [
        {"title": question, "method": method, "more": more, "span": len(list(columns))}
        for (question, method, more), columns in groups
    ]


def _cell(
    run: Run,
    baseline: Run,
    measure: Measure,
    summaries: Summaries,
    standing: Mapping[tuple[str, str], verdict.Standing],
) -> dict[str, Any]:
    interval, where = summaries[run.name].get(measure.name), standing.get((run.name, measure.name))
    cell: dict[str, Any] = {"measure": measure, "interval": None}
    if interval is None or where is None:
        return cell
    mean, low, high = written(interval, measure)
    by = verdict.amount(interval, summaries[baseline.name].get(measure.name), where.difference, measure)
    p = "" if where.p is None else "; p < 0.001" if where.p < 0.001 else f"; p = {where.p:.2g}"
    said = {
        "better": f"better than {baseline.name}: {by}{p}",
        "worse": f"worse than {baseline.name}: {by}{p}",
        "level": f"cannot be told apart from {baseline.name}: {by}{p}",
        "": "",
    }[where.change]
    shown = {"mean": mean, "low": low, "high": high, "rank": where.rank, "change": where.change, "said": said}
    return cell | {"interval": interval} | shown


def _definitions(runs: Sequence[Run], measures: Sequence[Measure], summaries: Summaries) -> list[dict[str, Any]]:
    of_name: dict[str, list[Measure]] = {}
    for measure in measures:
        of_name.setdefault(measure.own_name, []).append(measure)
    definitions = []
    for of_maps in of_name.values():
        measure, column = of_maps[0], of_maps[0].column
        numbers = [summary.get(of_map.name) for summary in summaries.values() for of_map in of_maps]
        counts = [interval.n for interval in numbers if interval is not None]
        definitions.append(
            {
                "measure": measure,
                "parameters": ", ".join(f"{key} {number(value)}" for key, value in column.parameters.items()),
                "n": f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}",
                "coverage": _coverage(runs) if column.family == "stability" else "",
            }
        )
    return definitions


def _coverage(runs: Sequence[Run]) -> str:
    """Share of the noisy pictures that kept their prediction, by run: stability is measured on these alone."""
    column = "stability_coverage"
    shares = [(run.name, run.values(column).mean()) for run in runs if column in run.rows.column_names]
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)


def _example(runs: Sequence[Run], baseline: Run, pictures: Gallery, summaries: Summaries) -> dict[str, Any] | None:
    """A picture that every run names correctly, with the baseline's map and that of the run with the lowest LeRF."""
    method = runs[0].saliency_methods[0]
    metric = column_name("aopc_lerf", method)
    having = [run for run in runs if metric in summaries[run.name]]
    rows = [row for row in pictures.rows if all(right for _, _, right in row.predictions)]
    if not rows or not having:
        return None
    calm = min(having, key=lambda run: summaries[run.name][metric].mean)
    row = rows[0]
    maps = [(run.name, row.heatmaps[method][list(runs).index(run)]) for run in dict.fromkeys((baseline, calm))]
    return {"label": row.label, "image": row.image, "maps": [(name, picture) for name, picture in maps if picture]}


def _cost(runs: Sequence[Run], baseline: Run) -> str:
    """Time per training step against the baseline, in one sentence; empty for one run."""
    unit = drawn.seconds_per_step(baseline)
    factors = [f"{run.name} {drawn.seconds_per_step(run) / unit:.1f}×" for run in runs if run is not baseline]
    return f"Time per training step, as a multiple of {baseline.name}’s: {', '.join(factors)}." * bool(factors)


def _figures(
    runs: Sequence[Run],
    summaries: Summaries,
    style: drawing.Styles,
    baseline: Run,
    methods: Sequence[str],
    measures: Sequence[Measure],
    survived: Mapping[str, Mapping[str, Survival]],
) -> list[dict[str, Any]]:
    shown = {"robust_accuracy", "gini", "aopc_lerf", "ris"}
    shown |= {measure.own_name for measure in measures if measure.is_foreign and measure.column.contest}
    trade_offs = [measure for measure in measures if measure.own_name in shown]
    kept = list(dict.fromkeys(name for run in runs for name in run.per_sample if name != "q"))
    sections: list[dict[str, Any]] = [
        {
            "id": "curves",
            "title": "What happens when pixels are destroyed",
            "text": "Noise replaces the picture bit by bit, in the order of the map, and the network’s confidence in "
            "its answer is followed. Most relevant first (MoRF): the pixels that the map calls relevant go first; a "
            "true map makes the curve climb fast. Least relevant first (LeRF): a true map keeps the curve near zero; "
            "the axis is logarithmic, and a curve that is not drawn there has lost nothing. Thin dotted lines, where "
            "measured, are a random order’s: what a map that knows nothing would have. Bands are 95 % bootstrap "
            "intervals over the pictures.",
            "panels": [panel for method in methods for panel in drawn.perturbation(runs, style, method)],
        },
        {
            "id": "distributions",
            "title": "How concentrated the maps are, picture by picture",
            "text": "Each row shows how one network’s maps spread over the pictures; the tick is the median. What lies "
            "beyond the axis, the most extreme hundredth at either end, is counted in the outermost bars.",
            "panels": [panel for method in methods for panel in drawn.distributions(runs, style, method)],
        },
        {
            "id": "stability",
            "title": "How steady the maps are, picture by picture",
            "text": "Each point is one picture under one network. Further left, its map changes less for the same "
            "change of the picture (RIS); further down, less for the same change of the output (ROS). Both axes are "
            f"logarithmic. At most {drawn.POINTS:,} points are drawn, evenly taken from all pictures.",
            "panels": [panel for method in methods for panel in drawn.stability(runs, style, method)],
        },
        {
            "id": "randomised",
            "title": "Do the maps depend on what was learned?",
            "text": "The network’s layers are replaced by random ones, one after the other from the last to the first, "
            "and each map is compared with the one before. A map that speaks about the network falls to where it has "
            "nothing left in common; one that stays the same speaks about the picture alone, as an edge detector "
            "does. Bands are 95 % bootstrap intervals over the pictures.",
            "panels": [panel for method in methods for panel in drawn.randomisation(runs, style, method)],
            "notes": _survivals(survived),
            "strips": [strip for method in methods for strip in strips(runs, method)],
        },
        {
            "id": "robustness",
            "title": "How the predictions stand up to stronger attacks",
            "text": "An attacker changes every pixel by at most the radius, so that the network errs. Bands are 95 % "
            "bootstrap intervals over the pictures.",
            "panels": drawn.robustness(runs, style),
        },
        {
            "id": "curvature",
            "title": "How fast the gradient turns around the pictures",
            "text": "A gradient that turns fast belongs to its pixel values alone; a slightly different picture has "
            "another map. Each row shows one network; the tick is the median, and the outermost bars hold what lies "
            "beyond the axis.",
            "panels": drawn.curvature(runs, style),
        },
        {
            "id": "trade-offs",
            "title": "What better maps cost in accuracy",
            "text": "Each point is one network, with its 95 % intervals. Further right is more accurate; the arrow at "
            "the vertical axis points to the better maps. The dashed line joins the networks that no other one beats "
            "in both (the Pareto front), by their means.",
            "panels": drawn.trade_offs(runs, summaries, style, trade_offs),
        },
        {
            "id": "q",
            "title": "How much of each picture SCAAT may perturb",
            "text": "SCAAT perturbs only the share q of a picture that the map calls irrelevant, and adapts q to each "
            "training picture: up while the network still answers correctly, down when it does not. So hard pictures "
            "end with a small q. In the course, the line is the median, the dark band holds half of the pictures and "
            "the light band nine in ten. The pictures below are a few of those with the smallest and the largest q, "
            "where training kept them; many more may share a value.",
            "panels": drawn.sample_panels(runs, style),
            "extremes": extremes(runs),
        },
        {
            "id": "sample-numbers",
            "title": "What else a method keeps of each training picture",
            "text": "Some methods keep numbers of every training picture while they train. In the course, the line is "
            "the median, the dark band holds half of the pictures and the light band nine in ten. The pictures below "
            "are a few of those with the smallest and the largest number, where training kept them.",
            "panels": [panel for name in kept for panel in drawn.sample_panels(runs, style, name)],
            "extremes": [row for name in kept for row in extremes(runs, name)],
        },
        {
            "id": "snapshots",
            "title": "How the maps came about",
            "text": "The same pictures after several epochs of training: what swayed the network then, and what it "
            "answered. Each map has its own colour scale.",
            "panels": [],
            "strips": snapshots(runs),
        },
        {
            "id": "training",
            "title": "Training",
            "text": "Losses of different methods add different terms and cannot be compared with each other. Times are "
            "wall-clock times on the machine of each run.",
            "panels": drawn.training(runs, style, baseline),
        },
    ]
    whole = [{"notes": [], "strips": [], "extremes": []} | section for section in sections]
    return [section for section in whole if section["panels"] or section["strips"]]


def _survivals(survived: Mapping[str, Mapping[str, Survival]]) -> list[dict[str, Any]]:
    """By run and saliency method, whether the maps survived when all layers were random."""
    return [
        {"method": method, "name": name, "verdict": survival.verdict, "text": survival.sentence()}
        for name, of_run in survived.items()
        for method, survival in of_run.items()
    ]


def _copies(runs: Sequence[Run], summaries: Summaries, warned: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The table as `pellucid compare` writes it: everything as CSV, the main measures as LaTeX and Markdown."""

    def comparison(*, main: bool) -> dict[str, dict[str, Any]]:
        return {
            run.name: plain(
                run,
                {
                    name: interval
                    for name, interval in summaries[run.name].items()
                    if run.measures[name].is_main or not main
                },
                warned[run.name],
            )
            for run in runs
        }

    whole, main = comparison(main=False), comparison(main=True)
    return [
        {"id": "csv", "title": "CSV", "what": "every measure in full", "text": render(whole, "csv")},
        {"id": "latex", "title": "LaTeX", "what": "the main measures", "text": render(main, "latex")},
        {"id": "markdown", "title": "Markdown", "what": "the main measures", "text": render(main, "markdown")},
    ]


def _gallery_data(sorted_by: Mapping[Measure, list[list[float | None]]]) -> Markup:
    """What the page's script sorts and colours by, as JSON that may stand inside a script element."""
    values: dict[str, dict[str, Any]] = {}
    for measure, rows in sorted_by.items():
        values.setdefault(measure.own_name, {})[measure.saliency or ""] = rows
    better = {measure.own_name: measure.column.direction for measure in sorted_by}
    text = json.dumps({"palette": palette(), "better": better, "values": values}, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _words(run: Run) -> str:
    """How it was trained, with no line break between a symbol and its number."""
    return training_words(run.config).replace("ε ", "ε\u00a0").replace("λ ", "λ\u00a0")


def _details(run: Run) -> dict[str, Any]:
    environment = run.environment
    commit, command = environment.get("commit"), environment.get("command", "")
    packages = ", ".join(f"{name} {version}" for name, version in environment.get("packages", {}).items() if version)
    return {
        "name": run.name,
        "words": _words(run),
        "command": command if command not in ("", "-c") else "not recorded: it was trained from Python",
        "settings": yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True),
        "facts": {
            "Commit": (commit + (", with uncommitted changes" if environment.get("dirty") else "")) if commit else "–",
            "Device": f"{environment.get('device_name', '–')} ({environment.get('device', '–')})",
            "Threads": environment.get("threads", "–"),
            "Started": environment.get("started", "–"),
            "Trained for": f"{run.training['seconds'].sum():.0f} s in {len(run.training['seconds'])} epochs",
            "Trained weights": f"{environment['parameters']:,}" if "parameters" in environment else "–",
            "Software": f"pellucid {environment['pellucid']}, Python {environment['python']}, {packages}",
            "Platform": environment.get("platform", "–"),
        },
    }
