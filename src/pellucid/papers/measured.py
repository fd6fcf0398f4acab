"""A number of a table with its interval, over all seeds and images of a training."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pellucid.metrics.suite import column_name, split
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure, Statistic
from pellucid.statistics import Interval, of_share, shares
from pellucid.statistics.seeds import hierarchical_statistic

__all__ = ["FloatArray", "interval", "mean", "not_certain", "predictions", "robust_eps", "statistics"]

FloatArray = npt.NDArray[np.float64]


def interval(runs: Sequence[Run], metric: str, n: int) -> Interval:
    """The mean of a metric over seeds and images, with its 95 % interval.

    Args:
        runs: one a seed.
        metric: name, as in `pellucid compare`.
        n: measured images.
    """
    if split(metric)[0] == "aopc_rel":
        return _ratio(runs, metric, n)
    statistics_of, n = statistics([runs], metric, n)
    over_all = hierarchical_statistic(statistics_of, n)
    if metric in runs[0].rows.column_names:  # each network's mean is over the images that have a value
        over_all = replace(over_all, n=min(int(np.isfinite(run.values(metric)).sum()) for run in runs))
    return of_share(over_all) if Measure.named(metric).unit == "%" else over_all


def not_certain(difference: Interval, metric: str, *, confidence: float = 0.95) -> Interval:
    """The difference of two trainings, widened where all their networks answer every image alike.

    Args:
        difference: of a metric over seeds and images, with its interval.
        metric: its name; what is no share keeps its interval.
        confidence: of the interval.

    >>> round(not_certain(Interval(0.0, 0.0, 0.0, 1000), "clean_accuracy").low, 4)
    -0.0038
    """
    if difference.low != difference.high or Measure.named(metric).unit != "%":
        return difference
    return shares.not_certain(difference, difference.n, confidence=confidence)


def statistics(groups: Sequence[Sequence[Run]], metric: str, n: int) -> tuple[list[list[Statistic]], int]:
    """The metric of every network as a `Statistic`, and how many images it is of; accuracy is of the whole split."""
    if metric != "clean_accuracy":
        return [[run.measures[metric].statistic(run) for run in runs] for runs in groups], n
    right = [[_right(run) for run in runs] for runs in groups]
    return [[mean(values) for values in group] for group in right], len(right[0][0])


def mean(values: FloatArray) -> Statistic:
    """The mean of numbers of single images, (n,), as a `Statistic`."""
    return lambda weight: weight @ values / weight.sum(axis=1)


def predictions(run: Run) -> pa.Table:
    """Prediction and label of every image of the split that was measured."""
    return pq.read_table(run.path / f"predictions-{run.info['split']}.parquet")


def robust_eps(run: Run) -> float | None:
    """The radius at which robust accuracy and AutoAttack are measured."""
    column = run.columns.get("robust_correct")
    return None if column is None else float(column["parameters"]["eps"])


def _right(run: Run) -> FloatArray:
    """Whether each image of the whole split is classified rightly, (n,)."""
    table = predictions(run)
    return np.asarray(table["prediction"].to_numpy() == table["label"].to_numpy(), dtype=np.float64)


def _ratio(runs: Sequence[Run], metric: str, n: int) -> Interval:
    """Mean MoRF over mean LeRF, both over seeds and images; none where LeRF may be 0 and the ratio anything."""
    names = (column_name(f"aopc_{order}", split(metric)[1]) for order in ("morf", "lerf"))
    morf, lerf = ([run.measures[name].statistic(run) for run in runs] for name in names)
    if not hierarchical_statistic([lerf], n).low > 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return hierarchical_statistic([morf, lerf], n, function=lambda means: means[0] / means[1])
