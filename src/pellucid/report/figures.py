"""Figures as SVG text that stands inside the page: text stays text, ink follows the page's light or dark mode."""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pellucid.metrics.definitions import column_name
from pellucid.report.measures import ARROWS, direction, measure_of
from pellucid.report.runs import Floats, Run
from pellucid.report.verdict import with_unit
from pellucid.statistics import Interval, mean_band

__all__ = [
    "Panel",
    "Style",
    "key",
    "perturbation",
    "q_panels",
    "randomisation",
    "robustness",
    "seconds_per_step",
    "styles",
    "trade_offs",
    "training",
]

INK = "#0b0c0d"
"""Stands for the page's text colour; `_svg` writes ``currentColor`` instead."""
# Okabe and Ito's colours for all kinds of colour vision, without black (the baseline is ink) and the faint yellow.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS, DASHES = "osD^vPX", ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2, 2, 2)))
BELOW = 1e-12
_RC: Any = {
    "svg.fonttype": "none",
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


@dataclass(frozen=True)
class Style:
    """A run's colour, marker and dashes, the same in every figure."""

    color: str
    marker: str
    dashes: Any


@dataclass(frozen=True)
class Panel:
    """One drawing: its SVG, what it shows in words, and the saliency method it belongs to (None: to all)."""

    svg: str
    alt: str
    method: str | None = None


Styles = Mapping[str, Style]


def styles(runs: Sequence[Run], baseline: Run) -> dict[str, Style]:
    """A style for every run; the baseline is drawn in ink. No two of the first 42 others share colour and marker."""
    found, others = {}, 0
    for run in runs:
        if run is baseline:
            found[run.name] = Style(INK, "o", "-")
            continue
        turn, place = divmod(others, len(PALETTE))
        dashes = DASHES[(others + 1) % len(DASHES)]
        found[run.name] = Style(PALETTE[place], MARKERS[(others + turn + 1) % len(MARKERS)], dashes)
        others += 1
    return found


def key(style: Style, *, name: str) -> str:
    """A short line with the run's marker, for a legend in HTML."""
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(0.5, 0.18))
        figure.add_artist(Line2D([0.05, 0.5, 0.95], [0.5] * 3, markevery=[1], **_line(style)))
        return _svg(figure, name, None)


def perturbation(runs: Sequence[Run], style: Styles, method: str) -> list[Panel]:
    """MoRF and LeRF: lost confidence against the share of the picture that was replaced, with 95 % bands."""
    suffix = "" if method == "vanilla_gradient" else f"/{method}"
    having = [run for run in runs if f"morf_curve{suffix}" in run.rows.column_names]
    panels = []
    for order, title in (("morf", "Most relevant first (MoRF)"), ("lerf", "Least relevant first (LeRF)")):

        def draw(axes: Axes, order: str = order, title: str = title) -> str:
            ends, least = [], []
            for run in having:
                mean, low, high = mean_band(run.curves(f"{order}_curve{suffix}"))
                last, fraction = mean[-1], run.columns[f"aopc_{order}{suffix}"]["parameters"]["fraction"]
                x = 100 * fraction * np.arange(len(mean)) / (len(mean) - 1)
                if order == "lerf":  # what is 0 or less lies below a logarithmic axis
                    mean, low, high = (np.maximum(curve, BELOW) for curve in (mean, low, high))
                    least.append(mean[mean > BELOW].min(initial=0.1))
                ends.append(f"{run.name} {last:.2g}")
                axes.fill_between(x, low, high, color=style[run.name].color, alpha=0.15, linewidth=0)
                axes.plot(x, mean, markevery=max(1, len(x) // 5), **_line(style[run.name]))
            if least:
                axes.set_ylim(bottom=min(least) / 2)
                _logarithmic(axes)
            axes.set_title(title)
            axes.set_xlabel("replaced share of the picture (%)")
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.set_ylabel("lost confidence" + (", logarithmic" if order == "lerf" else ""))
            return f"{title}: mean lost confidence once the largest share is replaced: {', '.join(ends)}."

        panels.append(_panel(draw, f"{order}-{method}", method=method))
    return panels


def randomisation(runs: Sequence[Run], style: Styles, method: str) -> list[Panel]:
    """Rank correlation with the trained network's map while layers are made random, last layer first."""
    name = column_name("randomisation", method)
    having = [run for run in runs if name in run.rows.column_names]
    if not having:
        return []

    def draw(axes: Axes) -> str:
        ends, most = [], 0
        for run in having:
            mean, low, high = mean_band(run.curves(name))
            x = np.arange(1, len(mean) + 1)
            most = max(most, len(mean))
            axes.fill_between(x, low, high, color=style[run.name].color, alpha=0.15, linewidth=0)
            axes.plot(x, mean, **_line(style[run.name]))
            ends.append(f"{run.name} {mean[-1]:.2f}")
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_ylim(top=1)
        axes.set_xlim(0.8, most + 0.2)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_title("Random layers, from the last on")
        axes.set_xlabel("layers made random")
        axes.set_ylabel("rank correlation with the map before")
        return f"Mean rank correlation with the trained network's map once all layers are random: {', '.join(ends)}."

    return [_panel(draw, f"randomisation-{method}", method=method)]


def robustness(runs: Sequence[Run], style: Styles) -> list[Panel]:
    """Accuracy under attack against its radius, with 95 % bands; radius 0 is the clean accuracy."""
    having = [run for run in runs if "robust_curve" in run.rows.column_names]
    if not having:
        return []

    def draw(axes: Axes) -> str:
        ends = []
        for run in having:
            radius = np.array([0, *run.columns["robust_curve"]["parameters"]["eps"]])
            clean = run.values("prediction") == run.values("label")
            mean, low, high = mean_band(np.column_stack([clean, run.curves("robust_curve")]))
            axes.fill_between(radius, 100 * low, 100 * high, color=style[run.name].color, alpha=0.15, linewidth=0)
            axes.plot(radius, 100 * mean, **_line(style[run.name]))
            ends.append(f"{run.name} {100 * mean[-1]:.0f} %")
        axes.set_ylim(0, 100)
        axes.set_title("Accuracy under attack")
        axes.set_xlabel("largest change of a pixel (pixels are 0 to 1)")
        axes.set_ylabel("accuracy (%)")
        return f"Accuracy by radius of the attack; at the largest: {', '.join(ends)}."

    return [_panel(draw, "robustness")]


def q_panels(runs: Sequence[Run], style: Styles) -> list[Panel]:
    """Distribution of q over training samples at the end, and its course, for the runs that have q."""
    having = [(run, run.q) for run in runs if run.q]
    if not having:
        return []

    def draw_end(axes: Axes) -> str:
        medians = []
        for run, q in having:
            last = q[max(q)]
            # q moves in steps, 0.05 by default: bins lie around its values, not between them.
            edges = np.linspace(-0.025, 1.025, 22)
            share = 100 * np.histogram(last, bins=edges)[0] / len(last)
            color, dashes = style[run.name].color, style[run.name].dashes
            axes.stairs(share, edges, fill=True, color=color, alpha=0.15)
            axes.stairs(share, edges, color=color, linestyle=dashes, linewidth=1.5)
            medians.append(f"{run.name} {np.median(last):.2f}")
        axes.set_title("q at the end of training")
        axes.set_xlabel("q: share of the picture that may be perturbed")
        axes.set_ylabel("training pictures (%)")
        return f"Distribution of q at the end of training; medians: {', '.join(medians)}."

    panels = [_panel(draw_end, "q-end")]
    for number, (run, q) in enumerate(having):

        def draw_course(axes: Axes, run: Run = run, q: Mapping[int, Floats] = q) -> str:
            epochs = sorted(q)
            low, lower, middle, upper, high = np.array(
                [np.quantile(q[e], (0.05, 0.25, 0.5, 0.75, 0.95)) for e in epochs]
            ).T
            x, color = np.array(epochs) + 1, style[run.name].color
            axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
            axes.fill_between(x, lower, upper, color=color, alpha=0.3, linewidth=0)
            axes.plot(x, middle, **_line(style[run.name]))
            axes.set_ylim(0, 1)
            axes.set_title(f"q during training: {run.name}")
            axes.set_ylabel("q")
            _epochs(axes)
            return f"q of {run.name} by epoch: median from {middle[0]:.2f} to {middle[-1]:.2f}."

        panels.append(_panel(draw_course, f"q-course-{number}"))
    return panels


def training(runs: Sequence[Run], style: Styles, baseline: Run) -> list[Panel]:
    """Loss, validation accuracy and seconds by epoch, and seconds a step against the baseline."""
    panels = []
    for column, title, label, scale in (
        ("loss", "Training loss", "loss (each method's own)", 1),
        ("validation_accuracy", "Validation accuracy", "accuracy (%)", 100),
        ("seconds", "Time per epoch", "seconds", 1),
    ):
        having = [run for run in runs if column in run.training]

        def draw(
            axes: Axes,
            having: Sequence[Run] = having,
            column: str = column,
            title: str = title,
            label: str = label,
            scale: int = scale,
        ) -> str:
            ends = []
            for run in having:
                y = scale * run.training[column]
                axes.plot(np.arange(1, len(y) + 1), y, **_line(style[run.name]))
                ends.append(f"{run.name} {y[-1]:.3g}")
            axes.set_title(title)
            axes.set_ylabel(label)
            _epochs(axes)
            if column == "seconds":
                axes.set_ylim(bottom=0)
            return f"{title} by epoch; last epoch: {', '.join(ends)}."

        if having:  # a run without validation images has no validation accuracy
            panels.append(_panel(draw, column))

    def draw_steps(axes: Axes) -> str:
        of_baseline = seconds_per_step(baseline)
        factors = [seconds_per_step(run) / of_baseline for run in runs]
        places = np.arange(len(runs))[::-1]
        axes.barh(places, factors, color=[style[run.name].color for run in runs], height=0.6)
        for place, factor in zip(places, factors, strict=True):
            axes.annotate(f"{factor:.1f}×", (factor, place), (4, 0), textcoords="offset points", va="center")
        axes.set_yticks(places, [run.name for run in runs])
        axes.set_xlim(0, 1.2 * max(factors))
        axes.grid(axis="y", visible=False)
        axes.set_title("Time per training step")
        axes.set_xlabel(f"times that of {baseline.name}")
        pairs = (f"{run.name} {factor:.1f}" for run, factor in zip(runs, factors, strict=True))
        return f"Seconds per training step as a multiple of {baseline.name}: {', '.join(pairs)}."

    panels.append(_panel(draw_steps, "steps", height=max(3.0, 0.32 * len(runs) + 1)))
    return panels


def seconds_per_step(run: Run) -> float:
    """Median over the epochs of an epoch's seconds divided by its steps."""
    steps = np.diff(run.training["step"], prepend=0)
    return float(np.median(run.training["seconds"] / steps))


def trade_offs(
    runs: Sequence[Run], summaries: Mapping[str, Mapping[str, Interval]], style: Styles, names: Sequence[str]
) -> list[Panel]:
    """Clean accuracy against each of the named metrics, one point with 95 % intervals per run."""
    panels = []
    for name in names:
        having = [run for run in runs if name in summaries[run.name] and summaries[run.name][name].n]
        if not having:
            continue

        def draw(axes: Axes, name: str = name, having: Sequence[Run] = having) -> str:
            measure, said = measure_of(name), []
            for run in having:
                x, y = summaries[run.name]["clean_accuracy"], summaries[run.name][name]
                axes.errorbar(
                    100 * x.mean,
                    measure.scale * y.mean,
                    xerr=_bars(x, 100),
                    yerr=_bars(y, measure.scale),
                    capsize=2,
                    elinewidth=1,
                    **_line(style[run.name]) | {"linestyle": "none", "markersize": 8},
                )
                said.append(f"{run.name} {with_unit(x, 'clean_accuracy')} and {with_unit(y, name)}")
            if measure.name == "aopc_lerf" and min(summaries[run.name][name].low for run in having) > 0:
                _logarithmic(axes)
            axes.set_title(f"Accuracy and {measure.title}")
            axes.set_xlabel("accuracy (%) ↑")
            unit = f" ({measure.unit})" if measure.unit else ""
            axes.set_ylabel(f"{measure.title}{unit} {ARROWS[direction(name)]}")
            return f"Accuracy and {measure.title} of each run: {'; '.join(said)}."

        method = name.partition("/")[2] or "vanilla_gradient"
        panels.append(_panel(draw, f"trade-{name.replace('/', '-')}", method=None if "accuracy" in name else method))
    return panels


def _logarithmic(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers; 2 and 5 are named too where few powers of ten are in sight."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 50 * low else (1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _bars(interval: Interval, scale: float) -> list[list[float]]:
    return [[scale * (interval.mean - interval.low)], [scale * (interval.high - interval.mean)]]


def _line(style: Style) -> dict[str, Any]:
    return {"color": style.color, "marker": style.marker, "linestyle": style.dashes}


def _epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]


def _panel(draw: Callable[[Axes], str], name: str, *, method: str | None = None, height: float = 3.0) -> Panel:
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(4.4, height), layout="constrained")
        alt = draw(figure.subplots())
        return Panel(_svg(figure, name, alt), alt, method)


def _svg(figure: Figure, name: str, alt: str | None) -> str:
    """The figure as an SVG element whose ids begin with ``name``, hidden from screen readers where ``alt`` is None."""
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has its own fonts
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"\s*<metadata>.*?</metadata>|\s*<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = text.replace(INK, "currentColor")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    heard = 'aria-hidden="true"' if alt is None else f'role="img" aria-label="{_attribute(alt)}"'
    head = re.search(r'viewBox="[^"]*"', text)
    assert head is not None  # matplotlib always writes one
    return f'<svg xmlns="http://www.w3.org/2000/svg" {head[0]} {heard}{text[text.index(">") :]}'.replace(
        "xlink:href", "href"
    )


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
