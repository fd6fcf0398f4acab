"""Figures of what was measured of the networks: curves, distributions, and one number against another."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pellucid.metrics.suite import column_name
from pellucid.report.drawing import INK, Panel, Styles, draw_band, draw_panel, line
from pellucid.report.verdict import with_unit
from pellucid.runs.evaluated import Floats, Run
from pellucid.runs.measures import Measure
from pellucid.statistics import Interval, mean_bands, pareto

__all__ = ["curvature", "distributions", "perturbation", "randomisation", "robustness", "stability", "trade_offs"]

NEAR_ZERO = 30
"""The axis of LeRF is linear up to the largest value divided by this."""
POINTS = 1200
"""Points of a scatter plot, of all runs together."""
BINS = 40


def perturbation(runs: Sequence[Run], style: Styles, method: str) -> list[Panel]:
    """MoRF and LeRF: lost confidence against the share of the picture that was replaced, with 95 % bands.

    Where it was measured, a thin dotted line shows each network's mean for a random order.
    """
    random_curve = column_name("random_curve", method)
    panels = []
    for order, title in (("morf", "Most relevant first (MoRF)"), ("lerf", "Least relevant first (LeRF)")):
        name = column_name(f"{order}_curve", method)
        having = [run for run in runs if name in run.rows.column_names]
        if not having:
            continue

        def draw(
            axes: Axes, order: str = order, title: str = title, name: str = name, having: list[Run] = having
        ) -> str:
            ends, largest = [], 0.0
            bands = mean_bands([run.curves(name) for run in having])
            for run, (mean, low, high) in zip(having, bands, strict=True):
                last = mean[-1]
                fraction = run.columns[name]["parameters"]["fraction"]
                x = 100 * fraction * np.arange(len(mean)) / (len(mean) - 1)
                largest = max(largest, np.abs(mean).max())
                ends.append(f"{run.name} {last:.2g}")
                draw_band(axes, x, (mean, low, high), style[run.name], markevery=max(1, len(x) // 5))
                if random_curve in run.rows.column_names:
                    chance = np.nanmean(run.curves(random_curve), axis=0)
                    axes.plot(x, chance, color=style[run.name].color, linestyle=":", linewidth=0.9)
            if order == "lerf" and largest > 0:
                _signed_logarithmic(axes, largest / NEAR_ZERO)
            axes.set(title=title, xlabel="replaced share of the picture (%)")
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.set_ylabel("lost confidence")
            return f"{title}: mean lost confidence once the largest share is replaced: {', '.join(ends)}."

        panels.append(draw_panel(draw, f"{order}-{method}", method=method))
    return panels


def randomisation(runs: Sequence[Run], style: Styles, method: str) -> list[Panel]:
    """Rank correlation with the trained network's map while layers are made random, last layer first."""
    name = column_name("randomisation", method)
    having = [run for run in runs if name in run.rows.column_names]
    if not having:
        return []

    def draw(axes: Axes) -> str:
        ends, most = [], 0
        bands = mean_bands([run.curves(name) for run in having])
        for run, (mean, low, high) in zip(having, bands, strict=True):
            x = np.arange(1, len(mean) + 1)
            most = max(most, len(mean))
            draw_band(axes, x, (mean, low, high), style[run.name])
            ends.append(f"{run.name} {mean[-1]:.2f}")
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_ylim(top=1)
        axes.set_xlim(0.8, most + 0.2)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set(
            title="Random layers, from the last on",
            xlabel="layers made random",
            ylabel="rank correlation with the map before",
        )
        return f"Mean rank correlation with the trained network's map once all layers are random: {', '.join(ends)}."

    return [draw_panel(draw, f"randomisation-{method}", method=method)]


def robustness(runs: Sequence[Run], style: Styles) -> list[Panel]:
    """Accuracy under attack against its radius, with 95 % bands; radius 0 is the clean accuracy."""
    having = [run for run in runs if "robust_curve" in run.rows.column_names]
    if not having:
        return []

    def draw(axes: Axes) -> str:
        ends = []
        clean = [run.right for run in having]
        curves = [np.column_stack([c, run.curves("robust_curve")]) for c, run in zip(clean, having, strict=True)]
        for run, band in zip(having, mean_bands(curves), strict=True):
            radius = np.array([0, *run.columns["robust_curve"]["parameters"]["eps"]])
            mean, low, high = (100 * curve for curve in band)
            draw_band(axes, radius, (mean, low, high), style[run.name])
            ends.append(f"{run.name} {mean[-1]:.0f} %")
        axes.set_ylim(0, 100)
        axes.set(
            title="Accuracy under attack", xlabel="largest change of a pixel (pixels are 0 to 1)", ylabel="accuracy (%)"
        )
        return f"Accuracy by radius of the attack; at the largest: {', '.join(ends)}."

    return [draw_panel(draw, "robustness")]


def trade_offs(
    runs: Sequence[Run], summaries: Mapping[str, Mapping[str, Interval]], style: Styles, measures: Sequence[Measure]
) -> list[Panel]:
    """Clean accuracy against each of some measures, one point with 95 % intervals per run, and the Pareto front."""
    panels, accuracy = [], Measure.named("clean_accuracy")
    for measure in measures:
        name = measure.name
        having = [run for run in runs if name in summaries[run.name] and summaries[run.name][name].n]
        if not having:
            continue

        def draw(axes: Axes, measure: Measure = measure, having: Sequence[Run] = having) -> str:
            name, said = measure.name, []
            for run in having:
                x, y = summaries[run.name]["clean_accuracy"], summaries[run.name][name]
                axes.errorbar(
                    100 * x.mean,
                    measure.scale * y.mean,
                    xerr=_bars(x, 100),
                    yerr=_bars(y, measure.scale),
                    capsize=2,
                    elinewidth=1,
                    **line(style[run.name]) | {"linestyle": "none", "markersize": 8},
                )
                said.append(f"{run.name} {with_unit(x, accuracy)} and {with_unit(y, measure)}")
            front = _front(having, summaries, measure)
            corners = [(summaries[run.name]["clean_accuracy"].mean, summaries[run.name][name].mean) for run in front]
            if len(front) > 1:
                x, y = np.array(corners).T
                axes.step(100 * x, measure.scale * y, where="pre", color=INK, linestyle="--", linewidth=1, alpha=0.6)
            if measure.own_name == "aopc_lerf" and min(summaries[run.name][name].low for run in having) > 0:
                _logarithmic(axes)
            axes.set(title=f"Accuracy and {measure.title}", xlabel="accuracy (%) ↑", ylabel=measure.head)
            best = f" No run is better in both than {', '.join(run.name for run in front)}." if front else ""
            return f"Accuracy and {measure.title} of each run: {'; '.join(said)}.{best}"

        panels.append(draw_panel(draw, f"trade-{name.replace('/', '-')}", method=measure.saliency))
    return panels


def _front(having: Sequence[Run], summaries: Mapping[str, Mapping[str, Interval]], measure: Measure) -> list[Run]:
    """Runs that no other one beats in accuracy and in the metric, by rising accuracy; none without a better direction.

    One is beaten where another is at least as good in both and better in one, by their means.
    """
    if not measure.sign:
        return []
    numbers = {run.name: summaries[run.name] for run in having}
    points = {
        name: (summary["clean_accuracy"].mean, measure.sign * summary[measure.name].mean)
        for name, summary in numbers.items()
    }
    unbeaten = pareto.front(points)
    front = [run for run in having if run.name in unbeaten]
    return sorted(front, key=lambda run: points[run.name][0])


def distributions(runs: Sequence[Run], style: Styles, method: str) -> list[Panel]:
    """Gini index and entropy of the single maps, a histogram in a row for each run."""
    return _all_ridges(runs, style, [column_name(name, method) for name in ("gini", "entropy")])


def curvature(runs: Sequence[Run], style: Styles) -> list[Panel]:
    """How fast the gradient turns around each picture, a histogram in a row for each run."""
    return _all_ridges(runs, style, ["gradient_variation", "top_hessian_eigenvalue", "hessian_trace"])


def _all_ridges(runs: Sequence[Run], style: Styles, names: Sequence[str]) -> list[Panel]:
    panels = []
    for name in names:
        measured = [run for run in runs if name in run.measures]
        values = {run.name: run.values(name) for run in measured}
        values = {key: numbers[np.isfinite(numbers)] for key, numbers in values.items()}
        values = {key: numbers for key, numbers in values.items() if len(numbers)}
        if not values:
            continue
        measure = measured[0].measures[name]

        def draw(axes: Axes, measure: Measure = measure, values: Mapping[str, Floats] = values) -> str:
            _ridges(axes, {key: measure.scale * numbers for key, numbers in values.items()}, style)
            axes.set(title=measure.title, xlabel=measure.head)
            medians = (f"{key} {measure.scale * np.median(numbers):.3g}" for key, numbers in values.items())
            return f"Distribution of {measure.title} over the pictures; medians: {', '.join(medians)}."

        height = max(3.0, 0.36 * len(values) + 1)
        panels.append(
            draw_panel(draw, f"distribution-{name.replace('/', '-')}", method=measure.saliency, height=height)
        )
    return panels


def _ridges(axes: Axes, values: Mapping[str, Floats], style: Styles) -> None:
    """A histogram in a row for each run over common bins, its highest bin as high as the row; a tick at the median.

    The axis is logarithmic where positive values spread over more than two powers of ten. It spans all but the most
    extreme hundredth of the values at either end; what lies beyond falls into the last bins.
    """
    ends = np.array([np.quantile(numbers, (0.01, 0.99)) for numbers in values.values()])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    positive = all(numbers.min() > 0 for numbers in values.values())
    logarithmic = positive and high > 100 * low
    if not high > low:  # one picture, or a number that is the same for all
        low, high = low - 0.5, high + 0.5
    edges = np.geomspace(low, high, BINS + 1) if logarithmic else np.linspace(low, high, BINS + 1)
    for place, (name, numbers) in zip(range(len(values))[::-1], values.items(), strict=True):
        count = np.histogram(np.clip(numbers, edges[0], edges[-1]), bins=edges)[0]
        color, median = style[name].color, float(np.clip(np.median(numbers), low, high))
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
            color, marker = style[run.name].color, style[run.name].marker
            axes.plot(x[chosen], y[chosen], color=color, marker=marker, ls="none", ms=2.5, mew=0, alpha=0.45)
            said.append(f"{run.name} {np.median(x[there]):.2g} and {np.median(y[there]):.2g}")
        if said:
            _logarithmic(axes)
            _logarithmic(axes, "x")
        axes.set(
            title="Stability, picture by picture",
            xlabel="RIS: change of the map by change of the picture ↓",
            ylabel="ROS: by change of the output ↓",
        )
        return f"RIS and ROS of single pictures; medians: {'; '.join(said) or 'none was measured'}."

    return [draw_panel(draw, f"stability-{method}", method=method)]


def _logarithmic(axes: Axes, which: Literal["x", "y"] = "y") -> None:
    """A logarithmic axis with plain numbers; 2 and 5 are named too where few powers of ten are in sight."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high > 50 * low else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _signed_logarithmic(axes: Axes, linear: float) -> None:
    """An axis that shows values near and below 0: linear up to ``linear``, logarithmic beyond."""
    exponent = math.floor(math.log10(linear))
    linear = next(digit for digit in (1, 2, 5, 10) if digit * 10.0**exponent >= linear * 0.999) * 10.0**exponent
    axes.set_yscale("symlog", linthresh=linear, linscale=0.7)
    low, high = axes.get_ylim()
    exponents = range(math.floor(math.log10(linear)), math.ceil(math.log10(max(abs(low), abs(high), linear))) + 1)
    places = sorted({digit * 10.0**power for power in exponents for digit in (1, 2, 5)} | {linear})
    ticks = [0.0, *(sign * place for place in places for sign in (1, -1) if place >= linear * 0.999)]
    axes.set_yticks([tick for tick in ticks if low <= tick <= high])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.axhline(0, color=INK, linewidth=0.8)


def _bars(interval: Interval, scale: float) -> list[list[float]]:
    return [[scale * (interval.mean - interval.low)], [scale * (interval.high - interval.mean)]]
