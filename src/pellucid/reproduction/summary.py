"""A table's numbers and the verdict on each of its claims, from the runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pellucid.data import load
from pellucid.recipes.table import Claim, Table, source
from pellucid.report.caveats import caveats
from pellucid.report.measures import measure_of
from pellucid.report.table import definitions, statistic
from pellucid.reproduction.background import by_class, with_background
from pellucid.reproduction.choice import Reproduction, folder, table_name
from pellucid.reproduction.cost import step_ratios
from pellucid.reproduction.curves import panels
from pellucid.reproduction.expression import expression
from pellucid.runs.directory import Run, read_run
from pellucid.runs.environment import told_commit
from pellucid.statistics import Interval, mean_interval, of_share
from pellucid.statistics.seeds import hierarchical_interval, hierarchical_ratio, hierarchical_statistic

__all__ = ["network", "summarise"]

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]


def summarise(choice: Reproduction, table: Table, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A table's numbers from the runs, ready for JSON.

    Each number is the mean over seeds, its 95 % interval over seeds and images; a claim is confirmed where the interval
    lies within what it allows, refuted where it lies outside, else cannot be told; nor where it does not hold under
    all attacks of that radius, or where no image tells two networks apart.

    Args:
        choice: where the runs are.
        table: what is told.
        facts: versions and commit, `pellucid.runs.environment.environment`.
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
        "name": table_name(choice, table),
        "paper": table.paper,
        "table": table.number,
        "title": table.title,
        "dataset": source(table.dataset, choice.path),
        "scale": choice.scale,
        "network": network(table),
        "training_images": _trained_on(table),
        "epochs": next(iter(table.runs.values())).epochs,
        "target": table.evaluation.target,
        "images": n,
        "accuracy_images": _predictions(next(iter(runs.values()))[0]).num_rows,
        "split": next(iter(runs.values()))[0].info["split"],
        "seeds": choice.seeds,
        "metrics": list(table.metrics) + (["time"] if table.time else []),
        "measured": measured,
        "published": {run: dict(values) for run, values in table.published.items()},
        "published_on": table.published_on,
        "q": {name: _last_q(each) for name, each in runs.items() if each[0].q},
        "q_by_class": {
            claim.run: _finite(by_class(runs[claim.run])) for claim in table.claims if claim.metric == "q_within_class"
        },
        "figures": {figure: panels(figure, runs) for figure in table.figures},
        "claims": [_checked(claim, runs, n, times) for claim in table.claims],
        "notes": list(table.notes),
        "robust_eps": _radius(runs[first][0]),
        "trainings": {name: expression(each.method, each.smoothing) for name, each in table.runs.items()},
        "common": _common(table),
        "caveats": sorted({sentence for each in runs.values() for run in each for sentence in _caveats(run)}),
        "definitions": definitions([each[0] for each in runs.values()], table.metrics),
        "environment": {**facts, "device_name": runs[first][0].environment["device_name"]},
        "trained_at": sorted({told_commit(run.environment) for each in runs.values() for run in each}),
        "command": _command(choice, table),
    }


def _caveats(run: Run) -> list[str]:
    return [f"{run.name}, {run.path.parent.name}: {sentence}" for sentence in caveats(run)]


def network(table: Table) -> str:
    """Names of the table's networks, with the options that make them other than usual."""
    networks = {
        each.network.name + "".join(f", {key} {value}" for key, value in sorted(each.network.options.items())): None
        for each in table.runs.values()
    }
    return "; ".join(networks)


def _trained_on(table: Table) -> int:
    """Training images of each network."""
    data = next(iter(table.runs.values())).dataset
    return data.limit or len(load(data, "train"))


def _common(table: Table) -> str:
    """What all networks of a table are trained with."""
    one = next(iter(table.runs.values()))
    return f"{expression(one.optimizer)}, {expression(one.schedule)}, batch_size={one.batch_size}"


def _radius(run: Run) -> float | None:
    """The radius at which robust accuracy and AutoAttack are measured."""
    column = run.columns.get("robust_correct")
    return None if column is None else float(column["parameters"]["eps"])


def _last_q(runs: Sequence[Run]) -> dict[str, float]:
    """Share of the features that may change at the end of training, over all samples and seeds; mean of all epochs."""
    last = np.concatenate([run.q[max(run.q)] for run in runs if run.q])
    low, high = np.quantile(last, (0.05, 0.95))
    over_training = float(np.mean([run.training["q"].mean() for run in runs]))
    return {"mean": float(last.mean()), "low": float(low), "high": float(high), "over_training": over_training}


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
    found = hierarchical_statistic(statistics_of, n)
    if metric in group[0].rows.column_names:  # each network's mean is over the images that have a value
        found = replace(found, n=min(int(np.isfinite(run.values(metric)).sum()) for run in group))
    return of_share(found) if measure_of(metric).unit == "%" else found


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


def _change_by_masking(metric: str, run: Run) -> FloatArray:
    """Accuracy of each measured image while its pixels are masked, less that of the whole image, (n,)."""
    return np.asarray(run.values(metric) - (run.values("prediction") == run.values("label")), dtype=np.float64)


def _mean(values: FloatArray) -> Statistic:
    return lambda weight: weight @ values / weight.sum(axis=1)


def _ratio(runs: Sequence[Run], suffix: str, n: int) -> Interval:
    """Mean MoRF over mean LeRF, both over seeds and images; none where LeRF may be 0 and the ratio anything."""
    morf, lerf = ([statistic(run, f"aopc_{order}{suffix}") for run in runs] for order in ("morf", "lerf"))
    if not hierarchical_statistic([lerf], n).low > 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return hierarchical_statistic([morf, lerf], n, function=lambda means: means[0] / means[1])


def _checked(
    claim: Claim, runs: Mapping[str, Sequence[Run]], n: int, times: Mapping[str, Interval] | None = None
) -> dict[str, Any]:
    """A claim with the number found and the verdict, which of robust accuracy must hold under all attacks made."""
    found = times[claim.run] if times and claim.metric == "time" else _found(claim, runs, n)
    verdict = _verdict(claim, found)
    doubted = False
    if verdict != "cannot be told" and _is_of_attack(claim, runs):
        attacked = {
            name: [_under_every_attack(run) for run in runs[name]] for name in (claim.run, claim.baseline) if name
        }
        doubted = verdict != _verdict(claim, _found(replace(claim, eps=None), attacked, n))
    return {
        "text": claim.text,
        "metric": claim.metric,
        "run": claim.run,
        "baseline": claim.baseline,
        "kind": claim.kind,
        "whose": claim.whose,
        "eps": claim.eps,
        "from_clean": claim.from_clean,
        "allowed": [claim.low, claim.high],
        "found": _plain(found),
        "verdict": "cannot be told" if doubted else verdict,
        "attack_too_weak": doubted,
    }


def _verdict(claim: Claim, found: Interval) -> str:
    """Whether an interval lies within what a claim allows, outside, or across."""
    verdicts = set()
    for bound, sign in ((claim.low, 1), (claim.high, -1)):
        if bound is not None:
            low, high = sorted((sign * (found.low - bound), sign * (found.high - bound)))
            verdicts.add("confirmed" if low >= 0 else "refuted" if high < 0 else "cannot be told")
    # Two networks that no image tells apart, such as two that withstand no attack, show nothing either way.
    if not found.n or found.low == found.high in (claim.low, claim.high):
        return "cannot be told"
    return next(word for word in ("refuted", "cannot be told", "confirmed") if word in verdicts)


def _is_of_attack(claim: Claim, runs: Mapping[str, Sequence[Run]]) -> bool:
    """Whether a claim is of robust accuracy at the radius at which further attacks were made."""
    if claim.metric != "robust_accuracy":
        return False
    radius = _radius(runs[claim.run][0])
    return radius is not None and (claim.eps is None or math.isclose(claim.eps, radius))


def _under_every_attack(run: Run) -> Run:
    """The run with only those images robustly right that withstood every attack of that radius that was measured."""
    attacks = [name for name in run.rows.column_names if name.startswith("masking_") and name != "masking_unbounded"]
    if "autoattack_correct" in run.columns:
        attacks += ["autoattack_correct"] * (run.columns["autoattack_correct"]["parameters"]["eps"] == _radius(run))
    right = np.fmin.reduce([run.values(name) for name in ("robust_correct", *attacks)])  # of those that are known
    place = run.rows.column_names.index("robust_correct")
    return replace(run, rows=run.rows.set_column(place, "robust_correct", pa.array(right)))


def _found(claim: Claim, runs: Mapping[str, Sequence[Run]], n: int) -> Interval:
    """The number that a claim is about."""
    if claim.kind == "correlation":
        return with_background(runs[claim.run], within_class=claim.metric == "q_within_class")
    if claim.kind == "value":
        return _interval(runs[claim.run], claim.metric, n)
    if claim.kind == "typical":
        return _typical(runs[claim.run], runs[claim.baseline], claim.metric)
    both = [runs[claim.run], runs[claim.baseline]]
    if claim.from_clean:
        run, baseline = ([_mean(_change_by_masking(claim.metric, each)) for each in own] for own in both)
    else:
        (run, baseline), n = _statistics(both, claim.metric, n, claim.eps)
    if claim.kind == "difference":
        return hierarchical_statistic([run, baseline], n, function=lambda means: means[0] - means[1])
    return hierarchical_ratio(run, baseline, n)


def _typical(ones: Sequence[Run], others: Sequence[Run], metric: str) -> Interval:
    """Geometric mean of the factors between two trainings of a seed, over the images that all networks have."""
    values = [(one.values(metric), other.values(metric)) for one, other in zip(ones, others, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.array([np.log(one) - np.log(other) for one, other in values])
    logs[~np.isfinite(logs)] = np.nan
    found = hierarchical_interval(logs) if len(logs) > 1 else mean_interval(logs[0])
    return Interval(math.exp(found.mean), math.exp(found.low), math.exp(found.high), found.n)


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _plain(interval: Interval) -> dict[str, Any]:
    numbers = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {key: None if math.isnan(value) else value for key, value in numbers.items()} | {"n": interval.n}
