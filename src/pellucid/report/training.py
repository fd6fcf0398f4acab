"""Figures of the trainings: losses and times, and the numbers that methods keep of every training picture."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pellucid.report.drawing import Panel, Styles, draw_panel, line
from pellucid.runs.evaluated import Floats, Run

__all__ = ["sample_panels", "seconds_per_step", "training"]


def sample_panels(runs: Sequence[Run], style: Styles, name: str = "q") -> list[Panel]:
    """Distribution of q over training pictures at the end, and its course, for the runs that have it.

    Args:
        runs: runs of one report.
        style: of each run.
        name: of another number that a method keeps for every training picture.
    """
    having = [(run, run.per_sample[name]) for run in runs if name in run.per_sample]
    having = [(run, epochs) for run, epochs in having if all(np.isfinite(values).any() for values in epochs.values())]
    if not having:
        return []

    # q moves in steps, 0.05 by default: bins lie around its values, not between them.
    edges = np.linspace(-0.025, 1.025, 22)
    if name != "q":
        edges = np.histogram_bin_edges(np.concatenate([_finite(q[max(q)]) for _, q in having]), bins=21)

    def draw_end(axes: Axes) -> str:
        medians = []
        for run, q in having:
            last = _finite(q[max(q)])
            share = 100 * np.histogram(last, bins=edges)[0] / len(last)
            color, dashes = style[run.name].color, style[run.name].dashes
            axes.stairs(share, edges, fill=True, color=color, alpha=0.15)
            axes.stairs(share, edges, color=color, linestyle=dashes, linewidth=1.5)
            medians.append(f"{run.name} {np.median(last):.2f}")
        axes.set(
            title=f"{name} at the end of training",
            xlabel="q: share of the picture that may be perturbed" if name == "q" else name,
            ylabel="training pictures (%)",
        )
        return f"Distribution of {name} at the end of training; medians: {', '.join(medians)}."

    panels = [draw_panel(draw_end, f"{name}-end")]
    for number, (run, q) in enumerate(having):

        def draw_course(axes: Axes, run: Run = run, q: Mapping[int, Floats] = q) -> str:
            epochs = sorted(q)
            low, lower, middle, upper, high = np.array(
                [np.quantile(_finite(q[e]), (0.05, 0.25, 0.5, 0.75, 0.95)) for e in epochs]
            ).T
            x, color = np.array(epochs) + 1, style[run.name].color
            axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
            axes.fill_between(x, lower, upper, color=color, alpha=0.3, linewidth=0)
            axes.plot(x, middle, **line(style[run.name]))
            if name == "q":
                axes.set_ylim(0, 1)
            axes.set(title=f"{name} during training: {run.name}", ylabel=name)
            _epochs(axes)
            return f"{name} of {run.name} by epoch: median from {middle[0]:.2f} to {middle[-1]:.2f}."

        panels.append(draw_panel(draw_course, f"{name}-course-{number}"))
    return panels


def training(runs: Sequence[Run], style: Styles, baseline: Run) -> list[Panel]:
    """Loss, validation accuracy and seconds by epoch, and seconds a step against the baseline.

    Networks that were measured as they were given have none of them; without a baseline that was trained, the first
    that was takes its place.
    """
    runs = [run for run in runs if not run.is_as_given]
    panels: list[Panel] = []
    if not runs:
        return panels
    baseline = runs[0] if baseline.is_as_given else baseline
    for column, title, label, scale in (
        ("loss", "Training loss", "loss (each method's own)", 1),
        ("validation_accuracy", "Validation accuracy", "accuracy (%)", 100),
        ("seconds", "Time per epoch", "seconds", 1),
    ):
        having = [run for run in runs if len(run.training.get(column, ()))]

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
                axes.plot(np.arange(1, len(y) + 1), y, **line(style[run.name]))
                ends.append(f"{run.name} {y[-1]:.3g}")
            axes.set(title=title, ylabel=label)
            _epochs(axes)
            if column == "seconds":
                axes.set_ylim(bottom=0)
            return f"{title} by epoch; last epoch: {', '.join(ends)}."

        if having:  # without validation images there is no validation accuracy, without epochs nothing at all
            panels.append(draw_panel(draw, column))

    def draw_steps(axes: Axes) -> str:
        of_baseline = seconds_per_step(baseline)
        factors = [seconds_per_step(run) / of_baseline for run in trained]
        places = np.arange(len(trained))[::-1]
        axes.barh(places, factors, color=[style[run.name].color for run in trained], height=0.6)
        for place, factor in zip(places, factors, strict=True):
            axes.annotate(f"{factor:.1f}×", (factor, place), (4, 0), textcoords="offset points", va="center")
        axes.set_yticks(places, [run.name for run in trained])
        axes.set_xlim(0, 1.2 * max(factors))
        axes.grid(axis="y", visible=False)
        axes.set(title="Time per training step", xlabel=f"times that of {baseline.name}")
        pairs = (f"{run.name} {factor:.1f}" for run, factor in zip(trained, factors, strict=True))
        return f"Seconds per training step as a multiple of {baseline.name}: {', '.join(pairs)}."

    trained = [run for run in runs if len(run.training["step"])]
    if baseline in trained:
        panels.append(draw_panel(draw_steps, "steps", height=max(3.0, 0.32 * len(trained) + 1)))
    return panels


def seconds_per_step(run: Run) -> float:
    """Median over the epochs of an epoch's seconds divided by its steps."""
    steps = np.diff(run.training["step"], prepend=0)
    return float(np.median(run.training["seconds"] / steps))


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
