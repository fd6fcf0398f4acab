"""Figures as SVG text that stands inside the page: text stays text, ink follows the page's light or dark mode."""

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pellucid.files import whole_file
from pellucid.metrics.definitions import column_name
from pellucid.report.measures import ARROWS, direction, measure_of
from pellucid.report.runs import Floats, Run
from pellucid.report.verdict import with_unit
from pellucid.statistics import Interval, mean_band

__all__ = [
    "Panel",
    "Style",
    "curvature",
    "distributions",
    "key",
    "perturbation",
    "q_panels",
    "randomisation",
    "robustness",
    "seconds_per_step",
    "stability",
    "styles",
    "trade_offs",
    "training",
    "write_figures",
]

INK = "#0b0c0d"
"""Stands for the page's text colour; `_svg` writes ``currentColor`` instead."""
# Okabe and Ito's colours for all kinds of colour vision, without black (the baseline is ink) and the faint yellow.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS, DASHES = "osD^vPX", ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2, 2, 2)))
BELOW = 1e-12
POINTS = 1200
"""Points of a scatter plot, of all runs together."""
BINS = 40
_RC: Any = {
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


@dataclass(frozen=True)
class Style:
    """A run's colour, marker and dashes, the same in every figure."""

    color: str
    marker: str
    dashes: Any


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
    """MoRF and LeRF: lost confidence against the share of the picture that was replaced, with 95 % bands.

    Where it was measured, a thin dotted line shows each network's mean for a random order.
    """
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
                if f"random_curve{suffix}" in run.rows.column_names:
                    chance = np.nanmean(run.curves(f"random_curve{suffix}"), axis=0)
                    chance = np.maximum(chance, BELOW) if order == "lerf" else chance
                    axes.plot(x, chance, color=style[run.name].color, linestyle=":", linewidth=0.9)
            if least:
                # Less than a thousandth of the largest is nothing, however small the logarithm makes it.
                axes.set_ylim(bottom=max(min(least) / 2, axes.get_ylim()[1] / 3000))
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
    """Clean accuracy against each of the named metrics, one point with 95 % intervals per run, and the Pareto front."""
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
            front = _front(having, summaries, name)
            corners = [(summaries[run.name]["clean_accuracy"].mean, summaries[run.name][name].mean) for run in front]
            if len(front) > 1:
                x, y = np.array(corners).T
                axes.step(100 * x, measure.scale * y, where="pre", color=INK, linestyle="--", linewidth=1, alpha=0.6)
            if measure.name == "aopc_lerf" and min(summaries[run.name][name].low for run in having) > 0:
                _logarithmic(axes)
            axes.set_title(f"Accuracy and {measure.title}")
            axes.set_xlabel("accuracy (%) ↑")
            unit = f" ({measure.unit})" if measure.unit else ""
            axes.set_ylabel(f"{measure.title}{unit} {ARROWS[direction(name)]}")
            best = f" No run is better in both than {', '.join(run.name for run in front)}." if front else ""
            return f"Accuracy and {measure.title} of each run: {'; '.join(said)}.{best}"

        method = name.partition("/")[2] or "vanilla_gradient"
        panels.append(_panel(draw, f"trade-{name.replace('/', '-')}", method=None if "accuracy" in name else method))
    return panels


def _front(having: Sequence[Run], summaries: Mapping[str, Mapping[str, Interval]], name: str) -> list[Run]:
    """Runs that no other one beats in accuracy and in the metric, by rising accuracy; none without a better direction.

    One is beaten where another is at least as good in both and better in one, by their means.
    """
    sign = {"higher": 1, "lower": -1, "none": 0}[direction(name)]
    if not sign:
        return []
    points = {
        run.name: (summaries[run.name]["clean_accuracy"].mean, sign * summaries[run.name][name].mean) for run in having
    }

    def is_beaten(x: float, y: float) -> bool:
        return any(a >= x and b >= y and (a, b) != (x, y) for a, b in points.values())

    front = [run for run in having if not is_beaten(*points[run.name])]
    return sorted(front, key=lambda run: points[run.name][0])


def distributions(runs: Sequence[Run], style: Styles, method: str) -> list[Panel]:
    """Gini index and entropy of the single maps, a histogram in a row for each run."""
    return _all_ridges(runs, style, [(column_name(name, method), method) for name in ("gini", "entropy")])


def curvature(runs: Sequence[Run], style: Styles) -> list[Panel]:
    """How fast the gradient turns around each picture, a histogram in a row for each run."""
    names = ("gradient_variation", "top_hessian_eigenvalue", "hessian_trace")
    return _all_ridges(runs, style, [(name, None) for name in names])


def _all_ridges(runs: Sequence[Run], style: Styles, wanted: Sequence[tuple[str, str | None]]) -> list[Panel]:
    panels = []
    for name, method in wanted:
        values = {run.name: run.values(name) for run in runs if name in run.rows.column_names}
        values = {key: found[np.isfinite(found)] for key, found in values.items()}
        values = {key: found for key, found in values.items() if len(found)}
        if not values:
            continue

        def draw(axes: Axes, name: str = name, values: Mapping[str, Floats] = values) -> str:
            measure = measure_of(name)
            _ridges(axes, {key: measure.scale * found for key, found in values.items()}, style)
            axes.set_title(measure.title)
            axes.set_xlabel(f"{measure.title} {measure.unit and f'({measure.unit}) '}{ARROWS[direction(name)]}".strip())
            medians = (f"{key} {measure.scale * np.median(found):.3g}" for key, found in values.items())
            return f"Distribution of {measure.title} over the pictures; medians: {', '.join(medians)}."

        height = max(3.0, 0.36 * len(values) + 1)
        panels.append(_panel(draw, f"distribution-{name.replace('/', '-')}", method=method, height=height))
    return panels


def _ridges(axes: Axes, values: Mapping[str, Floats], style: Styles) -> None:
    """A histogram in a row for each run over common bins, its highest bin as high as the row; a tick at the median.

    The axis is logarithmic where positive values spread over more than two powers of ten. It spans all but the most
    extreme hundredth of the values at either end; what lies beyond falls into the last bins.
    """
    ends = np.array([np.quantile(found, (0.01, 0.99)) for found in values.values()])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if not high > low:
        low, high = low - 0.5, high + 0.5
    positive = all(found.min() > 0 for found in values.values())
    logarithmic = positive and high > 100 * low
    edges = np.geomspace(low, high, BINS + 1) if logarithmic else np.linspace(low, high, BINS + 1)
    for place, (name, found) in zip(range(len(values))[::-1], values.items(), strict=True):
        count = np.histogram(np.clip(found, edges[0], edges[-1]), bins=edges)[0]
        color, median = style[name].color, float(np.clip(np.median(found), low, high))
        axes.stairs(place + 0.85 * count / count.max(), edges, baseline=place, fill=True, color=color, alpha=0.35)
        axes.stairs(place + 0.85 * count / count.max(), edges, baseline=place, color=color, linewidth=1)
        axes.plot([median] * 2, [place, place + 0.85], color=INK, linewidth=1.5)
    if logarithmic:
        _logarithmic(axes, "x")
    axes.set_yticks(range(len(values))[::-1], list(values))
    axes.set_ylim(-0.1, len(values))
    axes.grid(axis="y", visible=False)


def stability(runs: Sequence[Run], style: Styles, method: str) -> list[Panel]:
    """RIS against ROS, a point a picture, at most `POINTS` of them, evenly from all."""
    ris, ros = (column_name(name, method) for name in ("ris", "ros"))
    having = [run for run in runs if {ris, ros} <= set(run.rows.column_names)]
    if not having:
        return []

    def draw(axes: Axes) -> str:
        said = []
        for run in having:
            x, y = run.values(ris), run.values(ros)
            there = np.flatnonzero((x > 0) & (y > 0))  # NaN is neither
            if not len(there):
                continue
            step = max(1, math.ceil(len(there) * len(having) / POINTS))
            chosen = there[::step]
            one = style[run.name]
            axes.plot(x[chosen], y[chosen], color=one.color, marker=one.marker, ls="none", ms=2.5, mew=0, alpha=0.45)
            said.append(f"{run.name} {np.median(x[there]):.2g} and {np.median(y[there]):.2g}")
        if said:
            _logarithmic(axes)
            _logarithmic(axes, "x")
        axes.set_title("Stability, picture by picture")
        axes.set_xlabel("RIS: change of the map by change of the picture ↓")
        axes.set_ylabel("ROS: by change of the output ↓")
        return f"RIS and ROS of single pictures; medians: {'; '.join(said) or 'none was measured'}."

    return [_panel(draw, f"stability-{method}", method=method)]


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
    lines = [Line2D([], [], label=name, **_line(one)) for name, one in style.items()]
    for panel in panels:
        if panel.figure is None:
            continue
        with matplotlib.rc_context(_RC), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            columns = 3 if max(map(len, style)) < 16 else 1
            figure, rows = panel.figure, math.ceil(len(lines) / columns)
            figure.set_figheight(figure.get_figheight() + 0.2 * rows)
            figure.legend(handles=lines, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
            for kind, about in metadata.items():
                path = folder / f"{panel.name}.{kind}"
                with whole_file(path) as temporary:
                    figure.savefig(temporary, format=kind, dpi=200, facecolor="white", metadata=about)
                written.append(path)
    return written


def _logarithmic(axes: Axes, which: Literal["x", "y"] = "y") -> None:
    """A logarithmic axis with plain numbers; 2 and 5 are named too where few powers of ten are in sight."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high > 50 * low else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


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
        return Panel(_svg(figure, name, alt), alt, method, name, figure)


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
