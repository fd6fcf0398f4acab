"""One self-contained HTML page about a set of runs: what was compared, what came out, what it looks like."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from pellucid.files import whole_file
from pellucid.metrics.definitions import BARE, DERIVED
from pellucid.report import figures, verdict
from pellucid.report.caveats import caveats, merged, survivals
from pellucid.report.gallery import COLORMAP, Gallery, color_bar, gallery, strips
from pellucid.report.measures import (
    ARROWS,
    MAIN,
    MEASURES,
    direction,
    measure_of,
    saliency_of,
    saliency_title,
    written,
)
from pellucid.report.runs import Run, read_runs
from pellucid.report.table import metric_names, summarise
from pellucid.report.words import number, training_words
from pellucid.statistics import Interval

__all__ = ["write_report"]

GALLERY_SHOWN = 6
"""Rows of the gallery that are open at first."""

Summaries = Mapping[str, Mapping[str, Interval]]

SALIENCY_PLAIN = {
    "vanilla_gradient": "how strongly each pixel moves the network's answer",
    "smoothgrad": "the same, averaged over noisy copies of the picture",
    "integrated_gradients": "the same, summed on the way from a black picture to the real one",
}


def write_report(runs: Sequence[str | Path], out: str | Path) -> Path:
    """Write one HTML file that compares evaluated runs; it needs no other file and no network.

    The first run that was trained in the regular way is the baseline that the others are held against.

    Args:
        runs: run directories over the same images.
        out: the file to write.

    Returns:
        ``out``.

    Raises:
        InputError: a run that cannot be read, or runs that cannot be compared.
    """
    out = Path(out)
    html = _render(read_runs(runs))
    with whole_file(out) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return out


def _render(runs: Sequence[Run]) -> str:
    package = files("pellucid.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"arrow": lambda name: ARROWS[direction(name)], "number": number}
    template = environment.from_string(package.joinpath("page.html").read_text(encoding="utf-8"))
    style, script = (Markup(package.joinpath(f"page.{kind}").read_text(encoding="utf-8")) for kind in ("css", "js"))
    return template.render(style=style, script=script, **_content(runs))


def _content(runs: Sequence[Run]) -> dict[str, Any]:
    baseline = verdict.baseline_of(runs)
    summaries = {run.name: summarise(run) for run in runs}
    standing = verdict.standings(runs, summaries, baseline)
    methods = list(dict.fromkeys(method for run in runs for method in run.saliency_methods))
    names = sorted({name for run in runs for name in metric_names(run)}, key=lambda name: _place(name, methods))
    answers = verdict.answers(runs, summaries, standing, baseline)
    pictures = gallery(runs, methods)
    style = figures.styles(runs, baseline)
    return {
        "runs": [
            {
                "name": run.name,
                "words": _words(run),
                "key": Markup(figures.key(style[run.name], name=f"key-{number}")),
                "baseline": run is baseline,
            }
            for number, run in enumerate(runs)
        ],
        "baseline": baseline.name,
        "info": baseline.info,
        "count": len(runs),
        "images": f"{baseline.rows.num_rows:,}",
        "headline": verdict.headline(answers),
        "bargain": verdict.bargain(runs, summaries, standing, baseline),
        "answers": answers,
        "caveats": [(", ".join(names), said) for said, names in merged({r.name: caveats(r) for r in runs}).items()],
        "changes": verdict.changes(runs, summaries, standing, baseline),
        "cost": _cost(runs, baseline),
        "methods": [
            {"name": method, "title": saliency_title(method), "plain": SALIENCY_PLAIN.get(method, "")}
            for method in methods
        ],
        "spoken": saliency_title(runs[0].saliency_methods[0]).lower(),
        "groups": _groups(names),
        "columns": [_column(name) for name in names],
        "further": len({measure_of(name).name for name in names if _is_more(name)}),
        "cells": {run.name: [_cell(run, baseline, name, summaries, standing) for name in names] for run in runs},
        "definitions": _definitions(runs, names, summaries),
        "gallery": pictures,
        "gallery_shown": GALLERY_SHOWN,
        "example": _example(runs, baseline, pictures, summaries),
        "color_bar": color_bar(),
        "colormap": COLORMAP,
        "figures": _figures(runs, summaries, style, baseline, methods, names),
        "details": [_details(run) for run in runs],
        "pellucid": baseline.environment.get("pellucid"),
    }


def _place(name: str, methods: Sequence[str]) -> tuple[int, int]:
    method = saliency_of(name)
    return (methods.index(method) if method else -1, list(MEASURES).index(measure_of(name).name))


def _groups(names: Sequence[str]) -> list[dict[str, Any]]:
    """Neighbouring columns that answer the same question about the same maps."""
    groups: list[dict[str, Any]] = []
    for name in names:
        group = {"title": measure_of(name).group, "method": saliency_of(name), "more": _is_more(name)}
        if not groups or any(groups[-1][key] != value for key, value in group.items()):
            groups.append(group | {"span": 0})
        groups[-1]["span"] += 1
    return groups


def _is_more(name: str) -> bool:
    """Whether a column is shown only to those who ask for all."""
    return measure_of(name).name not in MAIN


def _column(name: str) -> dict[str, Any]:
    measure = measure_of(name)
    return {
        "name": name,
        "title": measure.title,
        "unit": measure.unit,
        "method": saliency_of(name),
        "more": _is_more(name),
        "definition": f"about-{measure.name}",
        "arrow": ARROWS[direction(name)],
        "better": {"higher": "higher is better", "lower": "lower is better", "none": ""}[direction(name)],
    }


def _cell(
    run: Run,
    baseline: Run,
    name: str,
    summaries: Summaries,
    standing: Mapping[tuple[str, str], verdict.Standing],
) -> dict[str, Any]:
    interval, where = summaries[run.name].get(name), standing.get((run.name, name))
    cell: dict[str, Any] = {"name": name, "method": saliency_of(name), "more": _is_more(name), "interval": None}
    if interval is None or where is None:
        return cell
    mean, low, high = written(interval, name)
    by = verdict.amount(interval, summaries[baseline.name].get(name), where.difference, name)
    said = {
        "better": f"better than {baseline.name}: {by}",
        "worse": f"worse than {baseline.name}: {by}",
        "level": f"cannot be told apart from {baseline.name}: {by}",
        "": "",
    }[where.change]
    shown = {"mean": mean, "low": low, "high": high, "rank": where.rank, "change": where.change, "said": said}
    return cell | {"interval": interval} | shown


def _definitions(runs: Sequence[Run], names: Sequence[str], summaries: Summaries) -> list[dict[str, Any]]:
    found = []
    for measure in MEASURES.values():
        of_measure = [name for name in names if measure_of(name) is measure]
        if not of_measure:
            continue
        first = next(run for run in runs if of_measure[0] in summaries[run.name])
        column = {"robust_accuracy": "robust_correct"}.get(measure.name, of_measure[0])
        stored = first.columns.get(column, {})
        meant = DERIVED.get(measure.name)
        counts = [summary[name].n for summary in summaries.values() for name in of_measure if name in summary]
        parameters = dict(stored.get("parameters", {})) or (dict(meant.parameters) if meant else {})
        found.append(
            {
                "id": f"about-{measure.name}",
                "measure": measure,
                "more": _is_more(measure.name),
                "arrow": ARROWS[direction(measure.name)],
                "name": measure.name,
                "definition": meant.definition if meant else stored.get("definition", ""),
                "source": meant.source if meant else stored.get("source", ""),
                "parameters": ", ".join(f"{key} {number(value)}" for key, value in parameters.items()),
                "n": f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}",
                "coverage": _coverage(runs) if measure.group == MEASURES["ris"].group else "",
            }
        )
    return found


def _coverage(runs: Sequence[Run]) -> str:
    """Share of the noisy pictures that kept their prediction, by run: stability is measured on these alone."""
    column = "stability_coverage"
    shares = [(run.name, run.values(column).mean()) for run in runs if column in run.rows.column_names]
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)


def _example(runs: Sequence[Run], baseline: Run, pictures: Gallery, summaries: Summaries) -> dict[str, Any] | None:
    """A picture that every run names correctly, with the baseline's map and that of the run with the lowest LeRF."""
    method = runs[0].saliency_methods[0]
    metric = "aopc_lerf" if method == BARE else f"aopc_lerf/{method}"
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
    unit = figures.seconds_per_step(baseline)
    factors = [f"{run.name} {figures.seconds_per_step(run) / unit:.1f}×" for run in runs if run is not baseline]
    return f"Time per training step, as a multiple of {baseline.name}’s: {', '.join(factors)}." * bool(factors)


def _figures(
    runs: Sequence[Run],
    summaries: Summaries,
    style: figures.Styles,
    baseline: Run,
    methods: Sequence[str],
    names: Sequence[str],
) -> list[dict[str, Any]]:
    shown = ("robust_accuracy", "gini", "aopc_lerf", "ris")
    trade_offs = [name for name in names if measure_of(name).name in shown]
    sections: list[dict[str, Any]] = [
        {
            "id": "curves",
            "title": "What happens when pixels are destroyed",
            "text": "Noise replaces the picture bit by bit, in the order of the map, and the network’s confidence in "
            "its answer is followed. Most relevant first (MoRF): the pixels that the map calls relevant go first; a "
            "true map makes the curve climb fast. Least relevant first (LeRF): a true map keeps the curve near zero; "
            "the axis is logarithmic, and a curve that is not drawn there has lost nothing. Bands are 95 % bootstrap "
            "intervals over the pictures.",
            "panels": [panel for method in methods for panel in figures.perturbation(runs, style, method)],
        },
        {
            "id": "randomised",
            "title": "Do the maps depend on what was learned?",
            "text": "The network’s layers are replaced by random ones, one after the other from the last to the first, "
            "and each map is compared with the one before. A map that speaks about the network falls to where it has "
            "nothing left in common; one that stays the same speaks about the picture alone, as an edge detector "
            "does. Bands are 95 % bootstrap intervals over the pictures.",
            "panels": [panel for method in methods for panel in figures.randomisation(runs, style, method)],
            "notes": _survivals(runs),
            "strips": [strip for method in methods for strip in strips(runs, method)],
        },
        {
            "id": "robustness",
            "title": "How the predictions stand up to stronger attacks",
            "text": "An attacker changes every pixel by at most the radius, so that the network errs. Bands are 95 % "
            "bootstrap intervals over the pictures.",
            "panels": figures.robustness(runs, style),
        },
        {
            "id": "trade-offs",
            "title": "What better maps cost in accuracy",
            "text": "Each point is one network, with its 95 % intervals. Further right is more accurate; the arrow at "
            "the vertical axis points to the better maps.",
            "panels": figures.trade_offs(runs, summaries, style, trade_offs),
        },
        {
            "id": "q",
            "title": "How much of each picture SCAAT may perturb",
            "text": "SCAAT perturbs only the share q of a picture that the map calls irrelevant, and adapts q to each "
            "training picture: up while the network still answers correctly, down when it does not. So hard pictures "
            "end with a small q. In the course, the line is the median, the dark band holds half of the pictures and "
            "the light band nine in ten.",
            "panels": figures.q_panels(runs, style),
        },
        {
            "id": "training",
            "title": "Training",
            "text": "Losses of different methods add different terms and cannot be compared with each other. Times are "
            "wall-clock times on the machine of each run.",
            "panels": figures.training(runs, style, baseline),
        },
    ]
    return [{"notes": [], "strips": []} | section for section in sections if section["panels"]]


def _survivals(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """By run and saliency method, whether the maps survived when all layers were random."""
    return [
        {"method": method, "name": run.name, "verdict": survival.verdict, "text": survival.sentence()}
        for run in runs
        for method, survival in survivals(run).items()
    ]


def _words(run: Run) -> str:
    """How it was trained, with no line break between a symbol and its number."""
    return training_words(run.config).replace("ε ", "ε\u00a0").replace("λ ", "λ\u00a0")


def _details(run: Run) -> dict[str, Any]:
    environment = run.environment
    commit = environment.get("commit")
    packages = ", ".join(f"{name} {version}" for name, version in environment.get("packages", {}).items() if version)
    return {
        "name": run.name,
        "words": _words(run),
        "command": environment.get("command", "not recorded"),
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
