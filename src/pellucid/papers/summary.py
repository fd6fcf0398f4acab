"""A table's numbers and the verdict on each of its claims, from the runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.data import load
from pellucid.papers.background import by_class
from pellucid.papers.claim import checked
from pellucid.papers.cost import step_ratios
from pellucid.papers.curves import panels
from pellucid.papers.expression import expression
from pellucid.papers.measured import interval, predictions, robust_eps
from pellucid.papers.plan import Reproduction, source
from pellucid.papers.stages import folder
from pellucid.papers.table import Table, table_name
from pellucid.report.caveats import caveats
from pellucid.report.table import definitions, interval_data
from pellucid.runs.environment import told_commit
from pellucid.runs.evaluated import Run, read_run

__all__ = ["network", "summarise"]


def summarise(plan: Reproduction, table: Table, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A table's numbers from the runs, ready for JSON.

    Each number is the mean over seeds, with its 95 % interval over seeds and images. A claim is confirmed where the
    interval lies within what it allows, and refuted where it lies outside. It cannot be told in all other cases, where
    it does not hold under all attacks of that radius, and where no image tells two networks apart.

    Args:
        plan: where the runs are.
        table: what is told.
        facts: versions and commit, `pellucid.runs.environment.environment`.
    """
    runs = {name: [read_run(folder(plan, table, name, seed)) for seed in range(plan.seeds)] for name in table.runs}
    first, every_run = next(iter(runs.values()))[0], [run for seeds in runs.values() for run in seeds]
    n, trained = first.rows.num_rows, next(iter(table.runs.values()))
    times = step_ratios(table.runs) if table.time else {}
    measured = {
        name: {metric: interval_data(interval(seeds, metric, n)) for metric in table.metrics}
        | ({"time": interval_data(times[name])} if table.time else {})
        for name, seeds in runs.items()
    }
    return {
        "name": table_name(plan, table),
        "paper": plan.paper,
        "table": table.number,
        "title": table.title,
        "dataset": source(plan.dataset, plan.path),
        "scale": plan.scale,
        "network": network(table),
        "training_images": trained.dataset.limit or len(load(trained.dataset, "train")),
        "epochs": trained.epochs,
        "target": table.evaluation.target,
        "images": n,
        "accuracy_images": predictions(first).num_rows,
        "split": first.info["split"],
        "seeds": plan.seeds,
        "metrics": list(table.metrics) + (["time"] if table.time else []),
        "measured": measured,
        "published": {run: dict(values) for run, values in table.published.items()},
        "published_on": table.published_on,
        "q": {name: _last_q(seeds) for name, seeds in runs.items() if seeds[0].q},
        "q_by_class": {
            claim.run: _finite(by_class(runs[claim.run])) for claim in table.claims if claim.metric == "q_within_class"
        },
        "figures": {figure: panels(figure, runs) for figure in table.figures},
        "claims": [checked(claim, runs, n, times) for claim in table.claims],
        "notes": list(table.notes),
        "robust_eps": robust_eps(first),
        "trainings": {name: expression(run.method, run.activation, run.smoothing) for name, run in table.runs.items()},
        "common": f"{expression(trained.optimizer)}, {expression(trained.schedule)}, batch_size={trained.batch_size}",
        "caveats": sorted({sentence for run in every_run for sentence in _caveats(run)}),
        "definitions": definitions([seeds[0] for seeds in runs.values()], table.metrics),
        "environment": {**facts, "device_name": first.environment["device_name"]},
        "trained_at": sorted({told_commit(run.environment) for run in every_run}),
        "command": f"pellucid reproduce {plan.paper} --table {table.number} {plan.options} --seeds {plan.seeds}"
        + (" --trace FILE" if plan.trace else ""),
    }


def _caveats(run: Run) -> list[str]:
    return [f"{run.name}, {run.path.parent.name}: {sentence}" for sentence in caveats(run)]


def network(table: Table) -> str:
    """Names of the table's networks, with the options that make them other than usual."""
    networks = (run.network for run in table.runs.values())
    told = (
        ", ".join([chosen.name, *(f"{key} {value}" for key, value in sorted(chosen.options.items()))])
        for chosen in networks
    )
    return "; ".join(dict.fromkeys(told))


def _last_q(runs: Sequence[Run]) -> dict[str, float]:
    """Share of the features that may change at the end of training, over all samples and seeds; mean of all epochs."""
    last = np.concatenate([run.q[max(run.q)] for run in runs if run.q])
    low, high = np.quantile(last, (0.05, 0.95))
    over_training = float(np.mean([run.training["q"].mean() for run in runs]))
    return {"mean": float(last.mean()), "low": float(low), "high": float(high), "over_training": over_training}


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}
