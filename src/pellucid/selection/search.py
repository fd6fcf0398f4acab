"""Every candidate trained, measured on validation images, and judged by the rule; what is there is skipped."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from pellucid.core.errors import InputError
from pellucid.core.files import check_writable, whole_file
from pellucid.data import load
from pellucid.methods import Regular
from pellucid.recipes import ismail2021, pellucid as compositions, xu2023
from pellucid.recipes.table import Scale, Setting, setting, source, where
from pellucid.report.table import summarise
from pellucid.reproduction import Stage, duration, estimated_cost, finished
from pellucid.runs.directory import Run, read_run
from pellucid.runs.environment import environment, told_commit
from pellucid.runs.settings import Experiment
from pellucid.selection.figure import draw
from pellucid.selection.grids import grid
from pellucid.selection.page import page
from pellucid.statistics import Interval
from pellucid.statistics.pareto import Criterion, best_or_tied, front, recommended

__all__ = ["SEARCHES", "Selection", "forecast", "select"]

SEARCHES: Mapping[str, tuple[str, ...]] = {
    "ismail2021": ismail2021.DATASETS,
    "pellucid": compositions.DATASETS,
    "xu2023": xu2023.DATASETS,
    "xu2023-again": xu2023.DATASETS,
    "xu2023-longer": xu2023.DATASETS,
    "xu2023-one-step": xu2023.DATASETS,
}
"""What is chosen for (SGT, compositions, SCAAT, also once more, in more epochs, with one step), and the datasets."""
BASELINE = "regular"
IMAGES = 1000


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is chosen, and where.

    Args:
        search: a key of `SEARCHES`.
        dataset: name of the dataset.
        scale: ``smoke``, ``cpu`` or ``full``; see `pellucid.recipes.table.setting`.
        path: folder of the dataset's files.
        network: another network than the recipe's, by the name that `pellucid train --network.name` takes.
        seed: of every training.
        jobs: trainings at once, each with its share of the cores (or the devices).
        out: folder of the run directories.
        results: folder of the traces.
    """

    search: str
    dataset: str = "fashion-mnist"
    scale: Scale = "cpu"
    path: str | None = None
    network: str | None = None
    seed: int = 0
    jobs: int = 1
    out: Path = Path("runs/selection")
    results: Path = Path("results")

    def __post_init__(self) -> None:
        if self.search not in SEARCHES:
            raise InputError(f"what is selected must be one of {', '.join(SEARCHES)}, got {self.search!r}")
        known = SEARCHES[self.search]
        if self.dataset not in known:
            raise InputError(f"dataset of {self.search} must be one of {', '.join(known)}, got {self.dataset!r}")
        if self.jobs < 1:
            raise InputError(f"jobs must be at least 1, got {self.jobs}")

    @property
    def file(self) -> Path:
        """The trace without its ending."""
        seed = f"-seed{self.seed}" if self.seed else ""
        return self.results / f"selection-{self.search}-{self.where}{seed}"

    @property
    def where(self) -> str:
        """Dataset, network where it is not the recipe's, and scale, as folders and files are named."""
        return where(self.dataset, self.path, self.network, self.scale)


def select(choice: Selection, *, progress: bool = True) -> list[Path]:
    """Train every candidate, measure it on validation images, apply the rule, write the trace.

    Finished candidates are skipped, killed ones are continued; test images are not touched. Writes
    selection-SEARCH-DATASET-SCALE.json and .md, for compositions also the figure, .svg and .png.

    Args:
        choice: what is chosen.
        progress: show a bar on a terminal.

    Returns:
        The files, the Markdown first.

    Raises:
        InputError: data that is not here, fewer training images than are kept for validation, a folder of results
            that takes no file.
    """
    at = _prepared(choice)
    check_writable(choice.results)
    with tqdm(desc=choice.search, unit="network", dynamic_ncols=True, disable=None if progress else True) as bar:

        def measured(runs: Mapping[str, Experiment]) -> dict[str, Run]:
            bar.total = bar.n + len(runs)
            stages = [_stage(choice, at, name, experiment) for name, experiment in runs.items()]
            for stage in finished(stages, choice.jobs):
                bar.set_postfix_str(stage.run.name)
                bar.update()
            return {name: read_run(stage.run) for name, stage in zip(runs, stages, strict=True)}

        found = _front(choice, at, measured) if choice.search == "pellucid" else _chosen(choice, at, measured)
    texts = {".md": page(found), ".json": json.dumps(found, indent=1) + "\n"}
    for ending, text in texts.items():
        with whole_file(choice.file.with_name(choice.file.name + ending)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    written_to = [choice.file.with_name(choice.file.name + ending) for ending in texts]
    return written_to + ([] if choice.search != "pellucid" else draw(found, choice.file))


def _prepared(choice: Selection) -> Setting:
    at = setting(choice.dataset, choice.scale, path=choice.path, network=choice.network)
    load(at.base.dataset, "validation")  # what is wrong with them is told before anything is trained
    if choice.search == "pellucid":
        evaluation = compositions.evaluation(at)
    else:
        evaluation = replace(at.evaluation, metrics=("gini", "aopc_morf", "aopc_lerf"), saliency=at.maps[:1])
    evaluation = replace(evaluation, split="validation", images=min(IMAGES, evaluation.images), gallery=1)
    longer = 1 if choice.search == "pellucid" else grid(choice.search, at, choice.scale).longer
    base = replace(at.base, seed=choice.seed, epochs=longer * at.base.epochs)
    return replace(at, base=base, evaluation=evaluation)


def _stage(choice: Selection, at: Setting, name: str, experiment: Experiment) -> Stage:
    folder = choice.out / choice.search / choice.where / f"seed{choice.seed}"
    return Stage(run=folder / name, experiment=experiment, evaluation=at.evaluation)


Measured = Callable[[Mapping[str, Experiment]], dict[str, Run]]


def _chosen(choice: Selection, at: Setting, measured: Measured) -> dict[str, Any]:
    """Stage by stage, the setting that the rule names."""
    declared = grid(choice.search, at, choice.scale)
    rows: dict[str, dict[str, Any]] = {}
    chosen, regular = declared.start, replace(at.base, method=Regular())
    for title, vary in declared.stages.items():
        methods = {_name(declared.settings(method)): method for method in (chosen, *vary(chosen))}
        wanted = {BASELINE: regular} | {name: replace(at.base, method=method) for name, method in methods.items()}
        runs = measured({name: experiment for name, experiment in wanted.items() if name not in rows})
        for name, run in runs.items():
            settings = None if name == BASELINE else declared.settings(methods[name])
            rows[name] = {"run": name, "stage": title, "settings": settings, **_numbers(run)}
            rows[name]["refused"] = _refusal(rows[name], rows[BASELINE], declared.accuracy_lost)
        allowed = [name for name in methods if rows[name]["refused"] is None]
        if allowed:
            chosen = methods[min(allowed, key=lambda name: rows[name]["measured"]["aopc_lerf"]["mean"])]
        else:
            chosen = methods[max(methods, key=lambda name: rows[name]["validation_accuracy"])]
    last = _name(declared.settings(chosen))
    return {
        **_facts(choice, at, read_run(_stage(choice, at, BASELINE, regular).run)),
        "rule": declared.rule,
        "chosen": last if rows[last]["refused"] is None else None,
        "rows": list(rows.values()),
    }


def _name(settings: Mapping[str, float | str]) -> str:
    return "-".join(f"{name}-{value}" for name, value in settings.items())


def _numbers(run: Run) -> dict[str, Any]:
    """What is known of a candidate; of SCAAT also q over all images and epochs."""
    measured = {name: _plain(interval) for name, interval in summarise(run).items()}
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


def _front(choice: Selection, at: Setting, measured: Measured) -> dict[str, Any]:
    """Every composition on the five axes, the Pareto front, and the one that is best or tied most often."""
    grid = {each.name: each for each in compositions.candidates(at, choice.scale)}
    others = compositions.rivals(at, choice.scale)
    runs = measured(
        {name: compositions.experiment(at, each) for name, each in grid.items()}
        | {name: replace(at.base, method=method) for name, method in others.items()}
    )
    rows = {
        name: {"run": name, "settings": asdict(grid[name]) if name in grid else None, **_numbers(run)}
        for name, run in runs.items()
    }
    least = rows[BASELINE]["measured"]["aopc_morf"]["mean"]
    for row in rows.values():
        row["morf_not_below"] = row["measured"]["aopc_morf"]["mean"] >= least
    levels = {name: _levels(row) for name, row in rows.items()}
    on = front({name: [level for axis in own.values() for level in axis] for name, own in levels.items()})
    tied = best_or_tied(levels)
    for name, row in rows.items():
        row["front"], row["best_or_tied"] = name in on, tied[name]
    best = recommended(levels)
    return {
        **_facts(choice, at, runs[BASELINE]),
        "steps": {each.metric: each.step for axis in compositions.AXES.values() for each in axis},
        "front": on,
        "recommended": best,
        "wins_everywhere": [name for name in rows if len(tied[name]) == len(compositions.AXES)],
        "rows": list(rows.values()),
    }


def _levels(row: Mapping[str, Any]) -> dict[str, list[float]]:
    def level(criterion: Criterion) -> float:
        if criterion.metric == "aopc_lerf" and not row["morf_not_below"]:
            return -math.inf
        return criterion.level(row["measured"][criterion.metric]["mean"])

    return {axis: [level(criterion) for criterion in criteria] for axis, criteria in compositions.AXES.items()}


def _plain(interval: Interval) -> dict[str, Any]:
    numbers = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {key: None if math.isnan(value) else value for key, value in numbers.items()} | {"n": interval.n}


def _facts(choice: Selection, at: Setting, run: Run) -> dict[str, Any]:
    path = " --path PATH" if choice.path else ""
    network = f" --network {choice.network}" if choice.network else ""
    jobs = f" --jobs {choice.jobs}" if choice.jobs > 1 else ""
    return {
        "name": choice.file.name,
        "search": choice.search,
        "dataset": source(choice.dataset, choice.path),
        "scale": choice.scale,
        "network": at.base.network.name,
        "epochs": at.base.epochs,
        "split": run.info["split"],
        "images": run.rows.num_rows,
        "validation_images": len(load(at.base.dataset, "validation")),
        "seed": choice.seed,
        "environment": environment(torch.device("cpu")) | {"device_name": run.environment["device_name"]},
        "command": f"pellucid select {choice.search} --dataset {choice.dataset}{path}{network} --scale "
        f"{choice.scale} --seed {choice.seed}{jobs}",
    }


def forecast(choice: Selection, *, say: Callable[[str], None] = print) -> None:
    """Say how many candidates there are, and about how long they would take here.

    Args:
        choice: what would be chosen.
        say: takes each line.
    """
    at = _prepared(choice)
    if choice.search == "pellucid":
        kinds = {each.name: compositions.experiment(at, each) for each in compositions.candidates(at, choice.scale)}
        kinds |= {
            name: replace(at.base, method=method) for name, method in compositions.rivals(at, choice.scale).items()
        }
        counts = dict.fromkeys(kinds, 1)
    else:
        declared = grid(choice.search, at, choice.scale)
        kinds = {BASELINE: replace(at.base, method=Regular())}
        counts = {BASELINE: 1}
        for title, vary in declared.stages.items():
            methods = {_name(declared.settings(method)): method for method in (declared.start, *vary(declared.start))}
            name = next(iter(methods))
            kinds[title] = replace(at.base, method=methods[name])
            counts[title] = len(methods) - (title != next(iter(declared.stages)))
    total = 0.0
    for name, experiment in kinds.items():
        cost = estimated_cost(_stage(choice, at, name, experiment))
        total += counts[name] * (cost.training + cost.measuring)
        say(
            f"  {name:<36} {counts[name]:>3} × (training {duration(cost.training)}, measuring "
            f"{duration(cost.measuring)})"
        )
    say(
        f"{sum(counts.values())} networks; about {duration(total)} on {torch.get_num_threads()} threads, if none is "
        "there already."
    )
