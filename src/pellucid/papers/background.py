"""How SCAAT's q goes with the background of the training pictures."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata

from pellucid.data import load
from pellucid.runs.evaluated import Run
from pellucid.runs.settings import read_experiment
from pellucid.statistics import Interval
from pellucid.statistics.seeds import hierarchical_statistic

__all__ = ["by_class", "correlation", "ranks", "with_background"]

FloatArray = npt.NDArray[np.float64]
PICTURES = 5000


def with_background(runs: Sequence[Run], *, within_class: bool) -> Interval:
    """Spearman's correlation of q at the end of training with the share of black pixels.

    Over 5000 training pictures, evenly spaced, and seeds.

    Args:
        runs: trainings by SCAAT on the same pictures, whose background is black; one a seed.
        within_class: rank each picture among those of its class, so that classes with more background do not count.
    """
    black, label, _, last = _pictures(runs)
    kind = label if within_class else np.zeros_like(label)
    pairs = [correlation(ranks(q, kind), ranks(black, kind)) for q in last]
    return hierarchical_statistic([pairs], len(label))


def by_class(runs: Sequence[Run]) -> dict[str, float]:
    """The same correlation among the pictures of each class, the mean over seeds; NaN where q is the same for all."""
    black, label, classes, last = _pictures(runs)
    means = {}
    for number, name in enumerate(classes):
        of_class = label == number
        same_kind = np.zeros(of_class.sum())
        pairs = [correlation(ranks(q[of_class], same_kind), ranks(black[of_class], same_kind)) for q in last]
        means[name] = float(np.mean([pair(np.ones((1, len(same_kind)))) for pair in pairs]))
    return means


def _pictures(
    runs: Sequence[Run],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], tuple[str, ...], list[npt.NDArray[Any]]]:
    """Share of black pixels and label of 5000 training pictures, the classes, and q at the end of each training."""
    images = load(read_experiment(runs[0].path).dataset, "train")
    index = np.linspace(0, len(images) - 1, min(len(images), PICTURES)).astype(np.int64)
    black = (images.take(torch.from_numpy(index)) == 0).flatten(1).float().mean(dim=1).numpy()
    last = [run.q[max(run.q)][index] for run in runs if run.q]
    return black, images.labels[index].numpy(), tuple(images.classes), last


def ranks(values: npt.NDArray[Any], kind: npt.NDArray[Any]) -> FloatArray:
    """Each value's rank among those of its kind, in (0, 1); ties share theirs.

    >>> ranks(np.array([3.0, 1.0, 8.0, 9.0]), np.array([0, 0, 1, 1])).tolist()
    [0.75, 0.25, 0.25, 0.75]
    """
    shares = np.empty(len(values))
    for value in np.unique(kind):
        same = kind == value
        shares[same] = (rankdata(values[same]) - 0.5) / same.sum()
    return shares


def correlation(x: FloatArray, y: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Pearson's correlation as a function of how often each image counts, (resamples, n) to (resamples,)."""

    def weighted(weight: FloatArray) -> FloatArray:
        total = weight.sum(axis=1)
        mean_x, mean_y = weight @ x / total, weight @ y / total
        covariance = weight @ (x * y) / total - mean_x * mean_y
        spread = (weight @ x**2 / total - mean_x**2) * (weight @ y**2 / total - mean_y**2)
        with np.errstate(invalid="ignore"):  # 0 / 0 where one of them is the same everywhere
            return np.asarray(covariance / np.sqrt(spread), dtype=np.float64)

    return weighted
