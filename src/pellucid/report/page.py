"""One self-contained HTML page about a set of runs: what was compared, what came out, what it looks like."""

import json
import re
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
from pellucid.report import drawing, verdict
from pellucid.report.caveats import caveats, merged, survivals
from pellucid.report.colours import COLORMAP, SIGNED_COLORMAP, palette
from pellucid.report.formats import render
from pellucid.report.gallery import Gallery, color_bar, gallery, orders
from pellucid.report.measures import saliency_title, written
from pellucid.report.sections import sections
from pellucid.report.subgroups import sections_by
from pellucid.report.table import plain, summarise
from pellucid.report.training import seconds_per_step
from pellucid.report.words import number, training_words
from pellucid.runs.directory import Run, read_runs
from pellucid.runs.measures import Measure, measures_of
from pellucid.runs.subgroups import FEWEST
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
    "gradcam": "where the last layer's features that speak for the answer are, coarse as that layer",
    "gradcam_plus_plus": "the same, with several small things of a kind counted alike",
    "layercam": "where the last layer's features speak for the answer, place by place",
    "rollout": "where attention comes from over all blocks, whatever the answer is",
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
    environment.filters["unbroken"] = lambda text: re.sub(r" (?=%)|(?<=p [<=]) |(?<=\(p) ", "\u00a0", text)
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
    signed = any(map_.signed for row in pictures.rows for maps in row.heatmaps.values() for map_ in maps if map_)
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
        "color_bar": color_bar(signed=signed),
        "signed": signed,
        "colormap": SIGNED_COLORMAP if signed else COLORMAP,
        "subgroups": sections_by(runs),
        "fewest": FEWEST,
        "figures": sections(runs, summaries, style, baseline, measures, survived),
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
    if baseline.is_as_given:
        return ""
    unit = seconds_per_step(baseline)
    trained = [run for run in runs if run is not baseline and not run.is_as_given]
    factors = [f"{run.name} {seconds_per_step(run) / unit:.1f}×" for run in trained]
    return f"Time per training step, as a multiple of {baseline.name}’s: {', '.join(factors)}." * bool(factors)


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
    palettes = {"palette": palette().tobytes().hex(), "signed": palette(signed=True).tobytes().hex()}
    text = json.dumps({**palettes, "better": better, "values": values}, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _words(run: Run) -> str:
    """How it was trained, with no line break between a symbol and its number."""
    return re.sub("([ελβ]) ", "\\1\u00a0", training_words(run.config))


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
