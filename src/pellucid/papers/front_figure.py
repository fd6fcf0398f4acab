"""The compositions on every axis at once, as lines, saved as SVG and PNG."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from pellucid.core.files import whole_file
from pellucid.papers.pellucid import CRITERIA
from pellucid.report.drawing import PALETTE
from pellucid.runs.measures import Measure
from pellucid.statistics.pareto import Criterion

__all__ = ["draw"]

INK, FAINT = "#1a1d21", "#b9bfc6"
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))
METRICS = [criterion.metric for criterion in CRITERIA]
STYLE: Any = {"svg.hashsalt": "pellucid", "svg.fonttype": "none", "font.size": 9, "text.parse_math": False}


def draw(trace: Mapping[str, Any], out: Path) -> list[Path]:
    """The candidates as lines over one axis for each number, each axis with its best value at the top.

    The front is coloured and named, the rest is grey, the recommended one is thick; a hollow point on LeRF belongs to a
    network whose MoRF is below regular training's.

    Args:
        trace: the trace of compositions.
        out: the files without their endings.

    Returns:
        The SVG and the PNG.
    """
    rows = [row for row in trace["rows"] if all(row["measured"][metric]["mean"] is not None for metric in METRICS)]
    values = {metric: [row["measured"][metric]["mean"] for row in rows] for metric in METRICS}
    places = {criterion.metric: _places(criterion, values[criterion.metric]) for criterion in CRITERIA}
    shown = [row for row in rows if row["front"]]
    with rc_context(STYLE):
        figure = Figure(figsize=(11, max(4.2, 0.24 * len(shown) + 1.6)), dpi=150, layout="constrained")
        axes = figure.subplots()
        for row in sorted(rows, key=lambda row: (row["front"], row["run"] == trace["recommended"])):
            number = shown.index(row) if row["front"] else None
            colour = FAINT if number is None else PALETTE[number % len(PALETTE)]
            heights = [places[metric][rows.index(row)] for metric in METRICS]
            axes.plot(
                range(len(METRICS)),
                heights,
                color=colour,
                linestyle="-" if number is None else DASHES[number // len(PALETTE) % len(DASHES)],
                linewidth=3 if row["run"] == trace["recommended"] else 1.5 if row["front"] else 0.8,
                zorder=2 if row["front"] else 1,
            )
            for x, (metric, height) in enumerate(zip(METRICS, heights, strict=True)):
                hollow = metric == "aopc_lerf" and not row["morf_not_below"]
                axes.plot(
                    x, height, "o", markersize=4, color=colour, markerfacecolor="white" if hollow else colour, zorder=3
                )
        last = {row["run"]: places[METRICS[-1]][rows.index(row)] for row in shown}
        for number, (name, height) in enumerate(_spread(last, 0.055 * 17 / max(17, len(shown)))):
            index = [row["run"] for row in shown].index(name)
            axes.annotate(
                name,
                (len(METRICS) - 1, last[name]),
                xytext=(len(METRICS) - 0.8, height),
                verticalalignment="center",
                color=PALETTE[index % len(PALETTE)],
                fontweight="bold" if name == trace["recommended"] else "normal",
                arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "relpos": (0, 0.5)},
                zorder=number,
            )
        for x, criterion in enumerate(CRITERIA):
            axes.vlines(x, 0, 1, color=INK, linewidth=0.8, zorder=0)
            low, high = min(values[criterion.metric]), max(values[criterion.metric])
            worst, best = (low, high) if criterion.higher else (high, low)
            for height, value, side in ((1.035, best, "bottom"), (-0.035, worst, "top")):
                axes.text(x, height, _number(value, criterion.metric), ha="center", va=side, color=INK)
        axes.set_xticks(range(len(METRICS)), [Measure.named(metric).head for metric in METRICS])
        axes.set(xlim=(-0.3, len(METRICS) + 0.7), ylim=(-0.12, 1.12), yticks=[])
        axes.tick_params(axis="x", length=0, pad=4)
        axes.spines[:].set_visible(False)
        axes.set_title(
            f"{len(shown)} of {len(trace['rows'])} compositions are on the front ({trace['dataset']}, "
            f"{trace['images']} validation images); better is up",
            loc="left",
            fontweight="bold",
        )
        files = [out.with_name(out.name + ending) for ending in (".svg", ".png")]
        for file, metadata in zip(files, ({"Date": None}, {"Software": None}), strict=True):
            with whole_file(file) as temporary:
                figure.savefig(temporary, metadata=metadata)
    return files


def _places(criterion: Criterion, values: Sequence[float]) -> list[float]:
    """Heights in [0, 1], the best value at 1; ratios on a logarithmic scale."""
    scaled = [math.log(max(value, 1e-12)) if criterion.ratio else value for value in values]
    low, high = min(scaled), max(scaled)
    heights = [(value - low) / (high - low) if high > low else 0.5 for value in scaled]
    return heights if criterion.higher else [1 - height for height in heights]


def _spread(heights: Mapping[str, float], gap: float) -> list[tuple[str, float]]:
    """Names with heights at least ``gap`` apart, in order, as near to their own as that allows, within the axis."""
    order = sorted(heights, key=lambda name: heights[name])
    placed: list[float] = []
    for name in order:
        placed.append(max(heights[name], placed[-1] + gap if placed else 0.0))
    over = max(0.0, placed[-1] - 1.05) if placed else 0.0
    ceiling = math.inf
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], ceiling, 1.05) if over else placed[i]
        ceiling = placed[i] - gap
    return list(zip(order, placed, strict=True))


def _number(value: float, metric: str) -> str:
    return f"{value * Measure.named(metric).scale:.3g}".replace("-", "−")
