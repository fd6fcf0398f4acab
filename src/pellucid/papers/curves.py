"""What a paper's figures show, as numbers ready for JSON: curves with their bands, distributions over maps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.metrics.suite import column_name
from pellucid.papers.table import Figure
from pellucid.report.measures import saliency_title
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure
from pellucid.statistics import mean_band
from pellucid.statistics.seeds import hierarchical_interval

__all__ = ["panels"]

Floats = npt.NDArray[np.float64]
Runs = Mapping[str, Sequence[Run]]
Panels = list[dict[str, Any]]
ORDERS = {"morf": "most relevant first", "lerf": "least relevant first"}
BINS = 40


def panels(figure: Figure, runs: Runs) -> Panels:
    """The panels of a figure; none for a gallery, which shows pictures.

    A panel has ``title``, ``x_label``, ``y_label`` and, by run, a curve (``x``; ``mean``, ``low``, ``high``, the 95 %
    interval of each point over seeds and images) or a distribution over all maps of all seeds (``edges``; ``share`` in
    percent, ``median``).

    Args:
        figure: one of a table's.
        runs: by name, a run for each seed.
    """
    kinds = next(iter(runs.values()))[0].saliency_methods
    made: dict[str, Callable[[], Panels]] = {
        "decay": lambda: [_decay(runs, order, kind) for kind in kinds for order in ORDERS],
        "masking": lambda: [_masking(runs, order, kind) for kind in kinds for order in ORDERS],
        "radius": lambda: [_radius(runs)],
        "entropy": lambda: [_distribution(runs, "entropy", kind) for kind in kinds],
    }
    return made[figure]() if figure in made else []


def _decay(runs: Runs, order: str, kind: str) -> dict[str, Any]:
    """Lost confidence by the replaced share, figure 2b of Xu et al. 2023."""
    name = column_name(f"{order}_curve", kind)
    fraction = _parameters(runs, name)["fraction"]
    curves = {key: [run.curves(name) for run in seeds] for key, seeds in runs.items()}
    points = next(iter(curves.values()))[0].shape[1]
    return {
        "title": f"{saliency_title(kind)}, {ORDERS[order]}",
        "x_label": "replaced share of the picture (%)",
        "y_label": "lost confidence",
        "x": _plain(100 * fraction * np.arange(points) / (points - 1)),
        "runs": {run: _band(seeds) for run, seeds in curves.items()},
    }


def _masking(runs: Runs, order: str, kind: str) -> dict[str, Any]:
    """Accuracy (%) by the imputed share; without any, of the same images."""
    name = column_name(f"road_{order}_curve", kind)
    shares = _parameters(runs, name)["shares"]
    return {
        "title": f"{saliency_title(kind)}, {ORDERS[order]}",
        "x_label": "imputed share of the pixels (%)",
        "y_label": "accuracy (%)",
        "x": _plain(100 * np.array([0, *shares])),
        "runs": {key: _band([_from_clean(run, name) for run in seeds]) for key, seeds in runs.items()},
    }


def _radius(runs: Runs) -> dict[str, Any]:
    """Accuracy (%) under attack by radius; at radius 0 the clean one, of the same images."""
    radii = _parameters(runs, "robust_curve")["eps"]
    return {
        "title": "Accuracy under attack",
        "x_label": "largest change of a pixel (pixels are 0 to 1)",
        "y_label": "accuracy (%)",
        "x": _plain(np.array([0, *radii])),
        "runs": {key: _band([_from_clean(run, "robust_curve") for run in seeds]) for key, seeds in runs.items()},
    }


def _distribution(runs: Runs, metric: str, kind: str) -> dict[str, Any]:
    """A number of the single maps, figure 2a of Xu et al. 2023."""
    name, measure = column_name(metric, kind), Measure.named(metric)
    values = {key: np.concatenate([run.values(name) for run in seeds]) for key, seeds in runs.items()}
    values = {run: measure.scale * maps[np.isfinite(maps)] for run, maps in values.items()}
    everything = np.concatenate(list(values.values()))
    edges = np.linspace(everything.min(), max(everything.max(), everything.min() + 1e-6), BINS + 1)
    return {
        "title": saliency_title(kind),
        "x_label": f"{measure.title.lower()} ({measure.unit})",
        "y_label": "maps (%)",
        "edges": _plain(edges),
        "runs": {
            run: {
                "share": _plain(100 * np.histogram(maps, bins=edges)[0] / len(maps)),
                "median": _plain(np.median(maps)),
            }
            for run, maps in values.items()
        },
    }


def _parameters(runs: Runs, name: str) -> dict[str, Any]:
    parameters: dict[str, Any] = next(iter(runs.values()))[0].columns[name]["parameters"]
    return parameters


def _from_clean(run: Run, name: str) -> Floats:
    """A curve of correctness in percent, begun with that of the unchanged image, (n, 1 + points)."""
    return 100 * np.column_stack([run.right, run.curves(name)])


def _band(curves: Sequence[Floats]) -> dict[str, Any]:
    """Mean and interval of each point, over seeds and images, or over the images of one seed."""
    if len(curves) == 1:
        mean, low, high = mean_band(curves[0])
    else:
        points = [hierarchical_interval(point) for point in np.moveaxis(np.stack(curves), 2, 0)]
        mean, low, high = (np.array([getattr(point, end) for point in points]) for end in ("mean", "low", "high"))
    return {"mean": _plain(mean), "low": _plain(low), "high": _plain(high)}


def _plain(values: npt.ArrayLike) -> Any:
    """Numbers of six digits, enough to draw."""
    return np.vectorize(lambda value: float(f"{value:.6g}"))(values).tolist()
