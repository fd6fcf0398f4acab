"""How a figure is drawn: one style for each run, and SVG text that stands inside a page or in a file of its own.

Text stays text, and ink follows the page's light or dark mode.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pellucid.core.files import whole_file
from pellucid.runs.evaluated import Run

__all__ = [
    "INK",
    "PALETTE",
    "RC",
    "Panel",
    "Style",
    "Styles",
    "draw_band",
    "draw_panel",
    "key",
    "line",
    "styles",
    "styles_of",
    "svg",
    "write_figures",
]

INK = "#0b0c0d"
"""Stands for the page's text colour; `svg` writes ``currentColor`` instead."""
# Okabe and Ito's colours for all kinds of colour vision, without black (the baseline is ink) and the faint yellow.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS, DASHES = "osD^vPX", ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2, 2, 2)))
RC: Any = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "pellucid",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a run's name is a dollar sign
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}
"""Matplotlib's settings of every figure."""


@dataclass(frozen=True)
class Style:
    """A run's colour, marker and dashes, the same in every figure; ``number`` is its place among the runs."""

    color: str
    marker: str
    dashes: Any
    number: int = 0


@dataclass(frozen=True)
class Panel:
    """One drawing: its SVG, what it shows in words, and the saliency method it belongs to (None: to all).

    ``name`` and ``figure`` are for files of its own.
    """

    svg: str
    alt: str
    method: str | None = None
    name: str = ""
    figure: Figure | None = field(default=None, compare=False, repr=False)


Styles = Mapping[str, Style]


def styles(runs: Sequence[Run], baseline: Run) -> dict[str, Style]:
    """A style for every run; the baseline is drawn in ink. No two of the first 42 others share colour and marker."""
    return styles_of([run.name for run in runs], baseline.name)


def styles_of(names: Sequence[str], baseline: str) -> dict[str, Style]:
    """`styles` by the runs' names."""
    drawn, others = {}, 0
    for number, name in enumerate(names):
        if name == baseline:
            drawn[name] = Style(INK, "o", "-", number)
            continue
        turn, place = divmod(others, len(PALETTE))
        dashes = DASHES[(others + 1) % len(DASHES)]
        drawn[name] = Style(PALETTE[place], MARKERS[(others + turn + 1) % len(MARKERS)], dashes, number)
        others += 1
    return drawn


def key(style: Style, *, name: str) -> str:
    """A short line with the run's marker, for a legend in HTML."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(0.5, 0.18))
        figure.add_artist(Line2D([0.05, 0.5, 0.95], [0.5] * 3, markevery=[1], **line(style)))
        return svg(figure, name, None)


def write_figures(panels: Sequence[Panel], style: Styles, folder: str | Path) -> list[Path]:
    """Write every panel as SVG, PDF and PNG, with a legend below, for a paper or a slide.

    Args:
        panels: of the report.
        style: of the runs, for the legend.
        folder: where to; made if it is not there.

    Returns:
        The files.
    """
    folder = Path(folder)
    written = []
    metadata: dict[str, dict[str, None]] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    lines = [Line2D([], [], label=name, **line(drawn)) for name, drawn in style.items()]
    for panel in panels:
        if panel.figure is None:
            continue
        with matplotlib.rc_context(RC), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            columns = 3 if max(map(len, style)) < 16 else 1
            figure, rows = panel.figure, math.ceil(len(lines) / columns)
            figure.set_figheight(figure.get_figheight() + 0.2 * rows)
            figure.set_layout_engine("constrained")
            figure.legend(handles=lines, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
            for kind, about in metadata.items():
                path = folder / f"{panel.name}.{kind}"
                with whole_file(path) as temporary:
                    figure.savefig(temporary, format=kind, dpi=200, facecolor="white", metadata=about)
                written.append(path)
    return written


def line(style: Style) -> dict[str, Any]:
    """How matplotlib draws a run's line, with the class by which the page can hide it."""
    return {"color": style.color, "marker": style.marker, "linestyle": style.dashes, "gid": f"run-{style.number}"}


def draw_band(axes: Axes, x: Any, band: Sequence[Any], style: Style, **options: Any) -> None:
    """A run's curve of means in its band; ``band`` is mean, low and high."""
    mean, low, high = band
    axes.fill_between(x, low, high, color=style.color, alpha=0.15, linewidth=0, gid=f"run-{style.number}")
    axes.plot(x, mean, **options, **line(style))


def draw_panel(draw: Callable[[Axes], str], name: str, *, method: str | None = None, height: float = 3.0) -> Panel:
    """A panel that ``draw`` fills; it returns what the drawing shows in words."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(4.4, height), layout="constrained")
        alt = draw(figure.subplots())
        return Panel(svg(figure, name, alt), alt, method, name, figure)


def svg(figure: Figure, name: str, alt: str | None) -> str:
    """The figure as an SVG element whose ids begin with ``name``, hidden from screen readers where ``alt`` is None."""
    out = io.StringIO()
    FigureCanvasSVG(figure)
    figure.set_dpi(72)  # as SVG has it
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has its own fonts
        engine = figure.get_layout_engine()
        if engine is not None:  # arranged once: otherwise `savefig` draws everything twice
            engine.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"\s*<metadata>.*?</metadata>|\s*<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = text.replace(INK, "currentColor")
    text = re.sub(r'\bid="(run-\d+)"', r'class="\1"', text)  # several artists of a run share it
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    heard = 'aria-hidden="true"' if alt is None else f'role="img" aria-label="{_attribute(alt)}"'
    head = re.search(r'viewBox="[^"]*"', text)
    assert head is not None  # matplotlib always writes one
    return f'<svg xmlns="http://www.w3.org/2000/svg" {head[0]} {heard}{text[text.index(">") :]}'.replace(
        "xlink:href", "href"
    )


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
