"""Every candidate trained, measured on validation images, and judged by the rule; what is there is skipped."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from pellucid.core.files import check_writable
from pellucid.core.progress import Progress
from pellucid.data import load
from pellucid.methods import Regular
from pellucid.papers import pellucid as compositions
from pellucid.papers.cost import duration, estimated_cost
from pellucid.papers.front_figure import draw
from pellucid.papers.grids import grid
from pellucid.papers.pellucid import BASELINE
from pellucid.papers.plan import Selection, source
from pellucid.papers.reproduce import write
from pellucid.papers.search_page import page
from pellucid.papers.setting import Setting, setting
from pellucid.papers.stages import Stage, carried_out, jobs_of
from pellucid.report.table import interval_data, summarise
from pellucid.runs.environment import environment, told_commit
from pellucid.runs.evaluated import Run, read_run
from pellucid.runs.settings import Experiment
from pellucid.statistics.pareto import Criterion, best_or_tied, front, recommended

__all__ = ["Selection", "forecast", "select"]

IMAGES = 1000


def select(plan: Selection, *, progress: bool = True) -> list[Path]:
    """Train every candidate, measure it on validation images, apply the rule, write the trace.

    Finished candidates are skipped, killed ones are continued; test images are not touched. Writes
    selection-SEARCH-DATASET-SCALE.json and .md, for compositions also the figure, .svg and .png.

    Args:
        plan: what is chosen.
        progress: show a bar on a terminal.

    Returns:
        The files, the Markdown first.

    Raises:
        InputError: data that is missing, fewer training images than are kept for validation, or a folder of results
            that cannot be written to.
    """
    at = _prepared(plan)
    check_writable(plan.results)
    with Progress(plan.search, [], shown=progress, foreseen=sum(_candidates(plan, at)[1].values())) as told:

        def measured(runs: Mapping[str, Experiment]) -> dict[str, Run]:
            stages = [_stage(plan, at, name, experiment) for name, experiment in runs.items()]
            told.more(jobs_of(stages))
            carried_out(stages, told, plan.jobs)
            return {name: read_run(stage.run) for name, stage in zip(runs, stages, strict=True)}

        trace = _front(plan, at, measured) if plan.search == "pellucid" else _chosen(plan, at, measured)
    files = [write(trace, page(trace), plan.file), Path(f"{plan.file}.json")]
    return files + (draw(trace, plan.file) if plan.search == "pellucid" else [])


def _prepared(plan: Selection) -> Setting:
    at = setting(plan.dataset, plan.scale, path=plan.path, network=plan.network)
    load(at.base.dataset, "validation")  # what is wrong with them is told before anything is trained
    if plan.search == "pellucid":
        evaluation = compositions.evaluation(at)
    else:
        evaluation = replace(at.evaluation, metrics=("gini", "aopc_morf", "aopc_lerf"), saliency=at.maps[:1])
    evaluation = replace(evaluation, split="validation", images=min(IMAGES, evaluation.images), gallery=1)
    longer = 1 if plan.search == "pellucid" else grid(plan.search, at).longer
    base = replace(at.base, seed=plan.seed, epochs=longer * at.base.epochs)
    return replace(at, base=base, evaluation=evaluation)


def _stage(plan: Selection, at: Setting, name: str, experiment: Experiment) -> Stage:
    folder = plan.out / plan.search / plan.where / f"seed{plan.seed}"
    return Stage(run=folder / name, experiment=experiment, evaluation=at.evaluation)


Measured = Callable[[Mapping[str, Experiment]], dict[str, Run]]


def _chosen(plan: Selection, at: Setting, measured: Measured) -> dict[str, Any]:
    """Stage by stage, the setting that the rule names."""
    declared = grid(plan.search, at)
    rows: dict[str, dict[str, Any]] = {}
    chosen, regular = declared.start, replace(at.base, method=Regular())
    for title in declared.stages:
        methods = declared.variants(chosen, title)
        wanted = {BASELINE: regular} | {name: replace(at.base, method=method) for name, method in methods.items()}
        runs = measured({name: experiment for name, experiment in wanted.items() if name not in rows})
        for name, run in runs.items():
            settings = None if name == BASELINE else declared.settings(methods[name])
            rows[name] = {"run": name, "stage": title, "settings": settings, **_numbers(run)}
            rows[name]["refused"] = _refusal(rows[name], rows[BASELINE], declared.accuracy_lost)
        allowed = [name for name in methods if rows[name]["refused"] is None]
        if allowed:
            last = min(allowed, key=lambda name: rows[name]["measured"]["aopc_lerf"]["mean"])
        else:
            last = max(methods, key=lambda name: rows[name]["validation_accuracy"])
        chosen = methods[last]
    return {
        **_facts(plan, at, read_run(_stage(plan, at, BASELINE, regular).run)),
        "rule": declared.rule,
        "notes": list(declared.notes),
        "chosen": last if rows[last]["refused"] is None else None,
        "rows": list(rows.values()),
    }


def _numbers(run: Run) -> dict[str, Any]:
    """What is known of a candidate; of SCAAT also q over all images and epochs."""
    measured = {name: interval_data(interval) for name, interval in summarise(run).items()}
    return {
        # Of all validation images after the last epoch; the measured ones are fewer.
        "validation_accuracy": float(run.training["validation_accuracy"][-1]),
        "measured": measured,
        "commit": told_commit(run.environment),
    } | ({"mean_q": float(run.training["q"].mean())} if "q" in run.training else {})


def _refusal(row: Mapping[str, Any], baseline: Mapping[str, Any], accuracy_lost: float) -> str | None:
    """Why the rule passes a candidate by, or None."""
    if row["run"] == baseline["run"]:
        return "baseline"
    lost = baseline["validation_accuracy"] - row["validation_accuracy"]
    if lost > accuracy_lost + 1e-9:  # 50 of 5000 images are .01
        return "accuracy"
    if row["measured"]["aopc_morf"]["mean"] < baseline["measured"]["aopc_morf"]["mean"]:
        return "MoRF"
    return None


def _front(plan: Selection, at: Setting, measured: Measured) -> dict[str, Any]:
    """Every composition on the five axes, the Pareto front, and the one that is best or tied most often."""
    settings = {candidate.name: asdict(candidate) for candidate in compositions.candidates(at)}
    runs = measured(compositions.trainings(at))
    rows = {name: {"run": name, "settings": settings.get(name), **_numbers(run)} for name, run in runs.items()}
    least = rows[BASELINE]["measured"]["aopc_morf"]["mean"]
    for row in rows.values():
        row["morf_not_below"] = row["measured"]["aopc_morf"]["mean"] >= least
    levels = {name: _levels(row) for name, row in rows.items()}
    on = front({name: [level for axis in axes.values() for level in axis] for name, axes in levels.items()})
    tied = best_or_tied(levels)
    for name, row in rows.items():
        row["front"], row["best_or_tied"] = name in on, tied[name]
    return {
        **_facts(plan, at, runs[BASELINE]),
        "steps": {criterion.metric: criterion.step for criterion in compositions.CRITERIA},
        "front": on,
        "recommended": recommended(levels),
        "wins_everywhere": [name for name in rows if len(tied[name]) == len(compositions.AXES)],
        "rows": list(rows.values()),
    }


def _levels(row: Mapping[str, Any]) -> dict[str, list[float]]:
    def level(criterion: Criterion) -> float:
        if criterion.metric == "aopc_lerf" and not row["morf_not_below"]:
            return -math.inf
        return criterion.level(row["measured"][criterion.metric]["mean"])

    return {axis: [level(criterion) for criterion in criteria] for axis, criteria in compositions.AXES.items()}


def _facts(plan: Selection, at: Setting, run: Run) -> dict[str, Any]:
    facts = environment(torch.device("cpu")) | {"device_name": run.environment["device_name"]}
    del facts["command"]  # it may hold a path of this machine; the trace has one without
    return {
        "name": plan.file.name,
        "search": plan.search,
        "dataset": source(plan.dataset, plan.path),
        "scale": plan.scale,
        "network": at.base.network.name,
        "epochs": at.base.epochs,
        "split": run.info["split"],
        "images": run.rows.num_rows,
        "validation_images": len(load(at.base.dataset, "validation")),
        "seed": plan.seed,
        "environment": facts,
        "command": f"pellucid select {plan.search} {plan.options} --seed {plan.seed}"
        + (f" --jobs {plan.jobs}" if plan.jobs and plan.jobs > 1 else ""),
    }


def forecast(plan: Selection) -> None:
    """Say how many candidates there are, and about how long they would take here.

    Args:
        plan: what would be chosen.
    """
    at = _prepared(plan)
    kinds, counts = _candidates(plan, at)
    total = 0.0
    for name, experiment in kinds.items():
        cost = estimated_cost(_stage(plan, at, name, experiment))
        total += counts[name] * (cost.training + cost.measuring)
        print(
            f"  {name:<36} {counts[name]:>3} × (training {duration(cost.training)}, measuring "
            f"{duration(cost.measuring)})"
        )
    print(
        f"{sum(counts.values())} networks; about {duration(total)} on {torch.get_num_threads()} threads, if none is "
        "there already."
    )


def _candidates(plan: Selection, at: Setting) -> tuple[dict[str, Experiment], dict[str, int]]:
    """A training of each kind by its name, and how many there are of it."""
    if plan.search == "pellucid":
        kinds = dict(compositions.trainings(at))
        return kinds, dict.fromkeys(kinds, 1)
    declared = grid(plan.search, at)
    kinds = {BASELINE: replace(at.base, method=Regular())}
    counts = {BASELINE: 1}
    for number, title in enumerate(declared.stages):
        methods = declared.variants(declared.start, title)
        kinds[title] = replace(at.base, method=declared.start)
        counts[title] = len(methods) - (number > 0)
    return kinds, counts
