"""Figures of an analysis: diverging Likert bars and paired differences, for the page and for a paper."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pellucid.core.files import whole_file
from pellucid.report.drawing import INK, PALETTE, RC, Panel, svg
from pellucid.study.responses import Ratings
from pellucid.study.results import Analysis, Description, Pair, Result
from pellucid.study.words import label, signed

__all__ = ["Drawing", "drawings", "panel", "write_drawing"]

FORMATS = ("svg", "pdf", "png")
# From disagreement (orange) over neutral grey to agreement (blue), told apart by every kind of colour vision.
FIVE = ("#B35806", "#F1A340", "#D3D3D3", "#92B4D8", "#2A5F9E")
SEVEN = ("#8A4200", "#CC7A29", "#F2BC7C", "#D3D3D3", "#A9C4E2", "#6391C4", "#1F4E85")
TITLE_WIDTH, NAME_WIDTH = 38, 18
"""Letters on a line of a title and of a condition's name."""
ROW = 0.42
"""Height of one condition's bar, in inches."""


@dataclass(frozen=True)
class Drawing:
    """A figure before it is written: its file's stem, its width and height in inches, and what it shows in words."""

    name: str
    size: tuple[float, float]
    alt: str
    figure: Figure


def drawings(analysis: Analysis, ratings: Mapping[str, Ratings]) -> list[Drawing]:
    """The figures of each question: the answers of a Likert question, and the differences of a tested one.

    Args:
        analysis: with its descriptions and results.
        ratings: of each question, by its name, of those who are analysed.
    """
    drawn = []
    for question in analysis.study.questions:
        described = [
            description
            for description in analysis.descriptions
            if description.question == question.name and description.subset == "all"
        ]
        if question.kind == "likert" and described:
            drawn.append(_likert(described, synthetic=analysis.synthetic))
        for result in analysis.results:
            if result.question == question.name:
                drawn.append(
                    _differences(
                        result, ratings[question.name], likert=question.kind == "likert", synthetic=analysis.synthetic
                    )
                )
    return drawn


def panel(drawing: Drawing) -> Panel:
    """A drawing as SVG that stands inside a page."""
    with matplotlib.rc_context(RC):
        return Panel(svg(drawing.figure, drawing.name, drawing.alt), drawing.alt)


def write_drawing(drawing: Drawing, folder: Path) -> list[Path]:
    """Write a drawing as SVG, PDF and PNG (300 dots an inch), black on white."""
    written = []
    rc = RC | {"pdf.fonttype": 42, "svg.fonttype": "path"}
    with matplotlib.rc_context(rc):
        for kind in FORMATS:
            path = folder / f"{drawing.name}.{kind}"
            dates = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
            with whole_file(path) as temporary:
                drawing.figure.savefig(temporary, format=kind, dpi=300, facecolor="white", metadata=dates[kind])
            written.append(path)
    return written


def _likert(described: Sequence[Description], *, synthetic: bool) -> Drawing:
    """Shares of the answers on each point, a bar per condition, centred on the neutral point."""
    points = len(described[0].shares)
    colors, name = FIVE if points == 5 else SEVEN, described[0].question
    shares = 100 * np.array([description.shares for description in described])
    middle = points // 2
    left = -shares[:, :middle].sum(axis=1) - shares[:, middle] / 2
    size = (4.4, ROW * len(described) + 1.35)
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(described))[::-1]
        start = left.copy()
        for point in range(points):
            axes.barh(places, shares[:, point], left=start, height=0.72, color=colors[point], label=str(point + 1))
            for place, share, at in zip(places, shares[:, point], start, strict=True):
                if share >= 7:
                    dark = point < 1 or point == points - 1 or (points == 7 and point == points - 2)
                    ink = "#ffffff" if dark else "#111111"
                    middle_of = (at + share / 2, place)
                    axes.annotate(f"{share:.0f}", middle_of, ha="center", va="center", color=ink, fontsize=8, zorder=5)
            start += shares[:, point]
        axes.axvline(0, color=INK, linewidth=0.8, zorder=0.9)
        axes.set_axisbelow(True)
        axes.set_yticks(places, [textwrap.fill(description.condition, NAME_WIDTH) for description in described])
        axes.grid(axis="y", visible=False)
        reach = 1.04 * max(-left.min(), start.max(), 1.0)
        axes.set_xlim(-reach, reach)
        ticks = [tick for tick in range(-100, 101, 25 if reach > 40 else 10) if abs(tick) <= reach]
        axes.set_xticks(ticks, [str(abs(tick)) for tick in ticks])
        axes.set_xlabel("answers (%), left of 0 below the neutral point")
        figure.legend(
            loc="outside lower center", ncols=points, frameon=False, fontsize=8, handlelength=1, columnspacing=0.9
        )
        _title(axes, f"{label(name)}: answers from 1 to {points}", synthetic)
    means = ", ".join(f"{description.condition} {description.mean.mean:.2f}" for description in described)
    alt = f"{_said(synthetic)}Shares of the answers to {name} by condition; means of {points} points: {means}."
    return Drawing(f"answers-{name}", size, alt, figure)


def _differences(result: Result, ratings: Ratings, *, likert: bool, synthetic: bool) -> Drawing:
    """Each participant's difference as a dot, and the shift with its interval, a row per pair of conditions."""
    size = (4.4, 0.72 * len(result.pairs) + 1.05)
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(result.pairs))[::-1].astype(float)
        for at, (place, pair) in enumerate(zip(places, result.pairs, strict=True)):
            color, values = PALETTE[at % len(PALETTE)], _values(ratings, pair)
            across = place - 0.12 + _stacked(values)
            axes.plot(values, across, "o", color=color, markersize=3, alpha=0.55, markeredgewidth=0)
            axes.plot([pair.shift.low, pair.shift.high], [place - 0.27] * 2, color=INK, linewidth=1.6)
            axes.plot([pair.shift.mean], [place - 0.27], "D", color=INK, markersize=5)
            if pair.bound is not None:
                ends = [-pair.bound, pair.bound]
                axes.vlines(ends, place - 0.42, place + 0.45, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
        axes.axvline(0, color=INK, linewidth=0.8)
        names = (textwrap.wrap(pair.condition, NAME_WIDTH) for pair in result.pairs)
        others = (textwrap.wrap(f"− {pair.against}", NAME_WIDTH) for pair in result.pairs)
        axes.set_yticks(places, ["\n".join([*name, *other]) for name, other in zip(names, others, strict=True)])
        axes.grid(axis="y", visible=False)
        axes.set_ylim(-0.5, len(result.pairs) - 0.4)
        axes.set_xlabel("difference of a participant’s means" + " (points)" * likert)
        _title(axes, f"{label(result.question)}: differences", synthetic)
    shifts = (
        f"{pair.condition} minus {pair.against} {signed(pair.shift.mean)} [{signed(pair.shift.low)}, "
        f"{signed(pair.shift.high)}]"
        for pair in result.pairs
    )
    alt = f"{_said(synthetic)}Differences of each participant in {result.question}; shifts: {'; '.join(shifts)}."
    return Drawing(f"differences-{result.question}", size, alt, figure)


def _values(ratings: Ratings, pair: Pair) -> npt.NDArray[np.float64]:
    means = ratings.pair(pair.against, pair.condition)
    return means[:, 1] - means[:, 0]


def _stacked(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Height of each dot above its row: equal values are stacked, up to half of the row."""
    order: dict[float, int] = {}
    heights = np.empty(len(values))
    for at, value in enumerate(np.round(values, 2)):
        heights[at] = order.setdefault(float(value), 0)
        order[float(value)] += 1
    return heights * min(0.06, 0.5 / max(1, max(order.values()) - 1))


def _title(axes: Axes, text: str, synthetic: bool) -> None:
    axes.set_title(textwrap.fill(text, TITLE_WIDTH))
    if synthetic:
        axes.text(
            *(0.5, 0.5, "SYNTHETIC"),
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=26,
            fontweight="bold",
            color=INK,
            alpha=0.16,
            zorder=4,  # over bars, under their numbers
        )


def _said(synthetic: bool) -> str:
    return "SYNTHETIC DATA. " if synthetic else ""
