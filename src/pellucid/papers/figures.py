"""A paper's figures: curves and distributions, drawn from a table's JSON."""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pellucid.core.files import whole_file
from pellucid.report.drawing import INK, RC, Styles, draw_band, line, styles_of

__all__ = ["CAPTIONS", "draw"]

CAPTIONS = {
    "decay": "Lost confidence while regions are replaced by noise, in the order of the map",
    "entropy": "Distribution of the maps' entropy over all images and seeds; a tick at the median",
    "masking": "Accuracy while pixels are imputed, in the order of the map",
    "radius": "Accuracy under attack by radius",
    "maps": "Vanilla gradient maps of test pictures, of the first seed's networks; each has a scale of its own",
    "q": "Training pictures with the smallest and the largest q at the end, with their maps, of the first seed",
}
"""What each figure shows."""
SIZES = {"decay": (2, 4.5, 2.7), "masking": (2, 4.5, 2.7), "entropy": (3, 3.6, 2.2), "radius": (1, 6.5, 3.8)}
"""Columns, and the width and height of a panel in inches."""


def draw(name: str, panels: Sequence[Mapping[str, Any]], out: Path) -> Path:
    """A figure of curves or distributions as SVG.

    Args:
        name: of the figure.
        panels: its numbers, `pellucid.papers.curves.panels`.
        out: the file.

    Returns:
        ``out``.
    """
    runs = list(panels[0]["runs"])
    style = styles_of(runs, runs[0])
    most, width, height = SIZES[name]
    columns = min(most, len(panels))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width * columns, height * rows + 0.4), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for panel, axes in zip(panels, grid.flat, strict=False):
            (_distributions if "edges" in panel else _curves)(axes, panel, style)
            axes.set(title=panel["title"], xlabel=panel["x_label"])
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        if "edges" not in panels[0]:  # a distribution's row has its run's name
            handles = [Line2D([], [], label=run, **line(style[run])) for run in runs]
            figure.legend(handles=handles, loc="outside lower center", ncols=min(len(runs), 6), frameon=False)
        with whole_file(out) as temporary:
            figure.savefig(temporary, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    return out


def _curves(axes: Axes, panel: Mapping[str, Any], style: Styles) -> None:
    x = panel["x"]
    for run, band in panel["runs"].items():
        ends = [band[end] for end in ("mean", "low", "high")]
        draw_band(axes, x, ends, style[run], markevery=max(1, len(x) // 5))
    if "%" in panel["y_label"]:
        axes.set_ylim(0, 100)
    axes.set_ylabel(panel["y_label"])


def _distributions(axes: Axes, panel: Mapping[str, Any], style: Styles) -> None:
    """A histogram in a row for each run, its highest bin as high as the row."""
    for place, (run, bins) in zip(range(len(style))[::-1], panel["runs"].items(), strict=True):
        heights = place + 0.85 * np.array(bins["share"]) / max(bins["share"])
        axes.stairs(heights, panel["edges"], baseline=place, fill=True, color=style[run].color, alpha=0.35)
        axes.stairs(heights, panel["edges"], baseline=place, color=style[run].color, linewidth=1)
        axes.plot([bins["median"]] * 2, [place, place + 0.85], color=INK, linewidth=1.5)
    axes.set_yticks(range(len(style))[::-1], list(panel["runs"]))
    axes.set_ylim(-0.1, len(style))
    axes.grid(axis="y", visible=False)
