"""A table's numbers and the verdict on each of its claims, from the runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pellucid.environment import environment
from pellucid.recipes.table import Claim, Table, source
from pellucid.report.caveats import caveats
from pellucid.report.runs import Run, read_run
from pellucid.report.table import statistic
from pellucid.reproduction.choice import Reproduction, folder
from pellucid.reproduction.cost import step_ratios
from pellucid.reproduction.curves import panels
from pellucid.seeds import hierarchical_ratio, hierarchical_statistic
from pellucid.statistics import Interval

__all__ = ["network", "summarise"]

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]


def summarise(choice: Reproduction, table: Table) -> dict[str, Any]:
    """A table's numbers from the runs, ready for JSON.

    Each number is the mean over seeds, its 95 % interval over seeds and images; a claim is confirmed where the interval
    lies within what it allows, refuted where it lies outside, else cannot be told.
    """
    runs = {name: [read_run(folder(choice, table, name, seed)) for seed in range(choice.seeds)] for name in table.runs}
    n = next(iter(runs.values()))[0].rows.num_rows
    times = step_ratios(table.runs) if table.time else {}
    first = next(iter(runs))
    measured: dict[str, dict[str, Any]] = {}
    for name, each in runs.items():
        measured[name] = {metric: _plain(_interval(each, metric, n)) for metric in table.metrics}
        if table.time:
            measured[name]["time"] = _plain(times[name])
    return {
        "name": f"{table.paper}-{table.number}-{choice.where}",
        "paper": table.paper,
        "table": table.number,
        "title": table.title,
        "dataset": source(table.dataset, choice.path),
        "scale": choice.scale,
        "network": network(table),
        "images": n,
        "accuracy_images": _predictions(next(iter(runs.values()))[0]).num_rows,
        "split": next(iter(runs.values()))[0].info["split"],
        "seeds": choice.seeds,
        "metrics": list(table.metrics) + (["time"] if table.time else []),
        "measured": measured,
        "published": {run: dict(values) for run, values in table.published.items()},
        "published_on": table.published_on,
        "figures": {figure: panels(figure, table, runs) for figure in table.figures},
        "claims": [_checked(claim, runs, n) for claim in table.claims],
        "caveats": sorted({sentence for each in runs.values() for run in each for sentence in _caveats(run)}),
        "environment": environment(torch.device("cpu")) | {"device_name": runs[first][0].environment["device_name"]},
        "trained_at": sorted({str(run.environment["commit"])[:10] for each in runs.values() for run in each}),
        "command": _command(choice, table),
    }


def _caveats(run: Run) -> list[str]:
    return [f"{run.name}, {run.path.parent.name}: {sentence}" for sentence in caveats(run)]


def network(table: Table) -> str:
    """Names of the table's networks."""
    networks = dict.fromkeys(experiment.network.name for experiment in table.runs.values())
    return ", ".join(networks)


def _command(choice: Reproduction, table: Table) -> str:
    path = (" --path PATH" if choice.path else "") + (f" --network {choice.network}" if choice.network else "")
    return (
        f"pellucid reproduce {choice.paper} --table {table.number} --dataset {table.dataset}{path} "
        f"--scale {choice.scale} --seeds {choice.seeds}"
    )


def _interval(group: Sequence[Run], metric: str, n: int) -> Interval:
    bare, slash, method = metric.partition("/")
    if bare == "aopc_rel":
        return _ratio(group, slash + method, n)
    statistics_of, n = _statistics([group], metric, n)
    return hierarchical_statistic(statistics_of, n)


def _statistics(
    groups: Sequence[Sequence[Run]], metric: str, n: int, eps: float | None = None
) -> tuple[list[list[Statistic]], int]:
    """The metric of every network as a function of how often each image counts, and how many images there are."""
    if eps is not None:
        return [[_mean(_correct_at(eps, run)) for run in runs] for runs in groups], n
    if metric != "clean_accuracy":
        return [[statistic(run, metric) for run in runs] for runs in groups], n
    right = [[_right(run) for run in runs] for runs in groups]
    return [[_mean(each) for each in own] for own in right], len(right[0][0])


def _predictions(run: Run) -> pa.Table:
    return pq.read_table(run.path / f"predictions-{run.info['split']}.parquet")


def _right(run: Run) -> FloatArray:
    """Whether each image of the whole split is classified rightly, (n,)."""
    table = _predictions(run)
    return np.asarray(table["prediction"].to_numpy() == table["label"].to_numpy(), dtype=np.float64)


def _correct_at(eps: float, run: Run) -> FloatArray:
    """Whether each image withstands the attack of one radius of the robust curve, (n,)."""
    radii = run.columns["robust_curve"]["parameters"]["eps"]
    return run.curves("robust_curve")[:, int(np.argmin(np.abs(np.array(radii) - eps)))]


def _mean(values: FloatArray) -> Statistic:
    return lambda weight: weight @ values / weight.sum(axis=1)


def _ratio(runs: Sequence[Run], suffix: str, n: int) -> Interval:
    """Mean MoRF over mean LeRF, both over seeds and images; none where LeRF may be 0 and the ratio anything."""
    morf, lerf = ([statistic(run, f"aopc_{order}{suffix}") for run in runs] for order in ("morf", "lerf"))
    if not hierarchical_statistic([lerf], n).low > 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return hierarchical_statistic([morf, lerf], n, function=lambda means: means[0] / means[1])


def _checked(claim: Claim, runs: Mapping[str, Sequence[Run]], n: int) -> dict[str, Any]:
    """A claim with the number found and the verdict: its interval lies within what is allowed, outside, or across."""
    (run, baseline), n = _statistics([runs[claim.run], runs[claim.baseline]], claim.metric, n, claim.eps)
    if claim.kind == "difference":
        found = hierarchical_statistic([run, baseline], n, function=lambda means: means[0] - means[1])
    else:
        found = hierarchical_ratio(run, baseline, n)
    verdicts = set()
    for bound, sign in ((claim.low, 1), (claim.high, -1)):
        if bound is not None:
            low, high = sorted((sign * (found.low - bound), sign * (found.high - bound)))
            verdicts.add("confirmed" if low >= 0 else "refuted" if high < 0 else "cannot be told")
    # Two networks that no image tells apart, such as two that withstand no attack, show nothing either way.
    if not found.n or found.low == found.high in (claim.low, claim.high):
        verdicts = {"cannot be told"}
    worst = next(word for word in ("refuted", "cannot be told", "confirmed") if word in verdicts)
    return {
        "text": claim.text,
        "metric": claim.metric,
        "run": claim.run,
        "baseline": claim.baseline,
        "kind": claim.kind,
        "allowed": [claim.low, claim.high],
        "found": _plain(found),
        "verdict": worst,
    }


def _plain(interval: Interval) -> dict[str, Any]:
    numbers = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {key: None if math.isnan(value) else value for key, value in numbers.items()} | {"n": interval.n}
