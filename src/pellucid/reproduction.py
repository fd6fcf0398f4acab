"""A paper's table from one command: train and measure what is missing, then write measured beside published."""

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from pellucid.data import load
from pellucid.environment import environment
from pellucid.errors import InputError
from pellucid.evaluation import Evaluation, evaluate, measurement_of
from pellucid.experiment import Experiment
from pellucid.files import whole_file
from pellucid.objective import Objective
from pellucid.predictions import predict
from pellucid.recipes.table import TRAINING_IMAGES, Claim, Scale, Table
from pellucid.report.measures import ARROWS, direction, measure_of, saliency_of, saliency_title, written
from pellucid.report.runs import Run, read_run
from pellucid.report.table import statistic
from pellucid.statistics import Interval, hierarchical_statistic
from pellucid.training import build_network, fit

__all__ = [
    "PAPERS",
    "Cost",
    "Reproduction",
    "Stage",
    "duration",
    "estimated_cost",
    "finished",
    "forecast",
    "page",
    "plan",
    "reproduce",
    "summarise",
    "tables",
]

FloatArray = npt.NDArray[np.float64]
PAPERS = ("bhusal2026", "guesmi2024", "ismail2021", "pellucid", "xu2023")


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What is reproduced, and where.

    Args:
        paper: one of `PAPERS`.
        table: number of the table; all of the paper's but its ablations by default.
        dataset: name of the dataset.
        scale: ``smoke``, ``cpu`` or ``full``; see `pellucid.recipes.table.setting`.
        path: folder of the dataset's files.
        seeds: trainings of each network.
        jobs: trainings at once, each with its share of the cores.
        devices: numbers of the GPUs that trainings are dealt to; the first alone by default.
        out: folder of the run directories.
        results: folder of the tables.
    """

    paper: str
    table: str | None = None
    dataset: str = "fashion-mnist"
    scale: Scale = "cpu"
    path: str | None = None
    seeds: int = 5
    jobs: int = 1
    devices: tuple[int, ...] = ()
    out: Path = Path("runs/papers")
    results: Path = Path("results")

    def __post_init__(self) -> None:
        if self.paper not in PAPERS:
            raise InputError(f"paper must be one of {', '.join(PAPERS)}, got {self.paper!r}")
        for name in ("seeds", "jobs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        known = torch.cuda.device_count()
        for device in self.devices:
            if not 0 <= device < known:
                raise InputError(f"devices must be numbers of GPUs, of which this machine has {known}, got {device}")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One network to train and measure."""

    run: Path
    experiment: Experiment
    evaluation: Evaluation


def tables(choice: Reproduction) -> list[Table]:
    """The tables that are asked for.

    Raises:
        InputError: a table or dataset that the paper does not have.

    >>> [table.number for table in tables(Reproduction(paper="xu2023"))]
    ['1', '2', '3']
    """
    recipe = import_module(f"pellucid.recipes.{choice.paper}")
    known: Mapping[str, Callable[..., Table]] = recipe.TABLES
    if choice.dataset not in recipe.DATASETS:
        raise InputError(
            f"dataset of {choice.paper} must be one of {', '.join(recipe.DATASETS)}, got {choice.dataset!r}"
        )
    if choice.table is not None and choice.table not in known:
        raise InputError(f"table of {choice.paper} must be one of {', '.join(known)}, got {choice.table!r}")
    numbers = [choice.table] if choice.table else [number for number in known if not number.startswith("ablation")]
    return [known[number](choice.dataset, choice.scale, choice.path) for number in numbers]


def plan(choice: Reproduction, wanted: Sequence[Table]) -> list[Stage]:
    """Every network of the tables once, all runs of the first seed first."""
    stages: dict[Path, Stage] = {}
    for seed in range(choice.seeds):
        for table in wanted:
            for name, experiment in table.runs.items():
                run = _folder(choice, table, name, seed)
                stage = Stage(run=run, experiment=replace(experiment, seed=seed), evaluation=table.evaluation)
                if stages.setdefault(run, stage) != stage:
                    raise InputError(f"two tables of {choice.paper} mean different networks by {name!r}")
    return list(stages.values())


def _folder(choice: Reproduction, table: Table, name: str, seed: int) -> Path:
    group = table.group or table.number
    return choice.out / choice.paper / f"{choice.dataset}-{choice.scale}" / group / f"seed{seed}" / name


def reproduce(choice: Reproduction, *, progress: bool = True) -> list[Path]:
    """Train and measure what is missing, then write each table.

    Finished stages are skipped, killed ones are continued. Writes PAPER-TABLE-DATASET-SCALE.json and .md.

    Args:
        choice: what is reproduced.
        progress: show a bar on a terminal.

    Returns:
        The Markdown files.

    Raises:
        InputError: a paper, table or dataset that is not known, or data that is not here.
    """
    wanted = tables(choice)
    stages = plan(choice, wanted)
    with tqdm(
        total=len(stages), desc=f"{choice.paper}", unit="network", dynamic_ncols=True,
        disable=None if progress else True,
    ) as bar:  # fmt: skip
        for stage in finished(stages, choice.jobs, choice.devices):
            bar.set_postfix_str("/".join(stage.run.parts[-2:]))
            bar.update()
    written_to = []
    for table in wanted:
        result = summarise(choice, table)
        name = choice.results / f"{table.paper}-{table.number}-{table.dataset}-{choice.scale}"
        choice.results.mkdir(parents=True, exist_ok=True)
        for ending, text in ((".json", json.dumps(result, indent=1) + "\n"), (".md", page(result))):
            with whole_file(Path(f"{name}{ending}")) as temporary:
                temporary.write_text(text, encoding="utf-8")
        written_to.append(Path(f"{name}.md"))
    return written_to


def finished(stages: Sequence[Stage], jobs: int, devices: Sequence[int] = ()) -> Iterator[Stage]:
    """Each stage once it is trained and measured; what is there is left.

    Args:
        stages: networks.
        jobs: processes, at least one for each device.
        devices: numbers of the GPUs that the processes are dealt to.
    """
    jobs = max(jobs, len(devices))
    if jobs == 1 and not devices:
        for stage in stages:
            _run(stage, None)
            yield stage
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = get_context("spawn")
    dealt = context.SimpleQueue()
    for number in range(jobs):
        dealt.put(devices[number % len(devices)] if devices else None)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_take_device, initargs=(dealt,)) as pool:
        waiting = {pool.submit(_run, stage, threads): stage for stage in stages}
        try:
            while waiting:
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    yield waiting.pop(future)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _take_device(dealt: Any) -> None:
    """Leave this process one GPU, before it looks for any."""
    device = dealt.get()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(device)


def _run(stage: Stage, threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)
    stage.run.parent.mkdir(parents=True, exist_ok=True)
    fit(stage.experiment, stage.run, resume=True, progress=threads is None)
    evaluate(stage.run, stage.evaluation, resume=True, progress=threads is None)
    predict(stage.run, stage.evaluation.split)


def summarise(choice: Reproduction, table: Table) -> dict[str, Any]:
    """A table's numbers from the runs, ready for JSON.

    Each number is the mean over seeds, its 95 % interval over seeds and images; a claim is confirmed where the interval
    lies within what it allows, refuted where it lies outside, else cannot be told. A factor is judged by the difference
    of the run and that many times the baseline, which needs no division.
    """
    runs = {name: [read_run(_folder(choice, table, name, seed)) for seed in range(choice.seeds)] for name in table.runs}
    n = next(iter(runs.values()))[0].rows.num_rows
    seconds = {name: _seconds(each) for name, each in runs.items()}
    first = next(iter(runs))
    measured: dict[str, dict[str, Any]] = {}
    for name, each in runs.items():
        measured[name] = {metric: _plain(_interval([each], metric, n)) for metric in table.metrics}
        if table.time:
            ratios = [own / base for own, base in zip(seconds[name], seconds[first], strict=True)]
            measured[name]["time"] = {"mean": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    return {
        "paper": table.paper,
        "table": table.number,
        "title": table.title,
        "dataset": table.dataset,
        "scale": choice.scale,
        "network": _network(table),
        "images": n,
        "accuracy_images": _predictions(next(iter(runs.values()))[0]).num_rows,
        "split": next(iter(runs.values()))[0].info["split"],
        "seeds": choice.seeds,
        "metrics": list(table.metrics) + (["time"] if table.time else []),
        "measured": measured,
        "published": {run: dict(values) for run, values in table.published.items()},
        "published_on": table.published_on,
        "claims": [_checked(claim, runs, n) for claim in table.claims],
        "caveats": sorted({sentence for each in runs.values() for run in each for sentence in _caveats(run)}),
        "environment": environment(torch.device("cpu")) | {"device_name": runs[first][0].environment["device_name"]},
        "command": _command(choice, table),
    }


def _caveats(run: Run) -> list[str]:
    from pellucid.report.caveats import caveats

    return [f"{run.name}, {run.path.parent.name}: {sentence}" for sentence in caveats(run)]


def _network(table: Table) -> str:
    networks = dict.fromkeys(experiment.network.name for experiment in table.runs.values())
    return ", ".join(networks)


def _command(choice: Reproduction, table: Table) -> str:
    path = " --path PATH" if choice.path else ""
    return (
        f"pellucid reproduce {choice.paper} --table {table.number} --dataset {table.dataset}{path} "
        f"--scale {choice.scale} --seeds {choice.seeds}"
    )


def _seconds(runs: Sequence[Run]) -> list[float]:
    """Median seconds of an epoch, by seed; epochs of one recipe have the same steps."""
    return [float(np.median(run.training["seconds"])) for run in runs]


def _interval(
    groups: Sequence[Sequence[Run]], metric: str, n: int, function: Callable[[Any], Any] = lambda means: means[0]
) -> Interval:
    bare, slash, method = metric.partition("/")
    if bare == "aopc_rel":
        return _ratio(groups[0], slash + method, n)
    if bare == "clean_accuracy":
        right = [[_right(run) for run in runs] for runs in groups]
        return hierarchical_statistic(
            [[_mean(each) for each in own] for own in right], len(right[0][0]), function=function
        )
    return hierarchical_statistic([[statistic(run, metric) for run in runs] for runs in groups], n, function=function)


def _predictions(run: Run) -> pa.Table:
    return pq.read_table(run.path / f"predictions-{run.info['split']}.parquet")


def _right(run: Run) -> FloatArray:
    """Whether each image of the whole split is classified rightly, (n,)."""
    table = _predictions(run)
    return np.asarray(table["prediction"].to_numpy() == table["label"].to_numpy(), dtype=np.float64)


def _mean(values: FloatArray) -> Callable[[FloatArray], FloatArray]:
    return lambda weight: weight @ values / weight.sum(axis=1)


def _ratio(runs: Sequence[Run], suffix: str, n: int) -> Interval:
    """Mean MoRF over mean LeRF, both over seeds and images; none where LeRF may be 0 and the ratio anything."""
    morf, lerf = ([statistic(run, f"aopc_{order}{suffix}") for run in runs] for order in ("morf", "lerf"))
    if not hierarchical_statistic([lerf], n).low > 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return hierarchical_statistic([morf, lerf], n, function=lambda means: means[0] / means[1])


def _checked(claim: Claim, runs: Mapping[str, Sequence[Run]], n: int) -> dict[str, Any]:
    pair = [runs[claim.run], runs[claim.baseline]]
    if claim.kind == "difference":
        found = _interval(pair, claim.metric, n, lambda means: means[0] - means[1])
        beyond: list[tuple[float | None, float | None]] = [(bound, 1.0) for bound in (claim.low, claim.high)]
    else:
        found = Interval(math.nan, math.nan, math.nan, 0)
        if _interval(pair[1:], claim.metric, n).low > 0:  # else a factor of it says nothing
            with np.errstate(divide="ignore", invalid="ignore"):
                found = _interval(pair, claim.metric, n, lambda means: means[0] / means[1])
        beyond = [(0.0 if bound is not None else None, bound) for bound in (claim.low, claim.high)]
    verdicts = set()
    for sign, (bound, factor) in zip((1, -1), beyond, strict=True):
        if bound is None or factor is None:
            continue
        # A factor is at most 1/5 where run - baseline / 5 is at most 0; that needs no division.
        over = _interval(pair, claim.metric, n, lambda means, k=factor: means[0] - k * means[1])  # type: ignore[misc]
        low, high = sorted((sign * (over.low - bound), sign * (over.high - bound)))
        verdicts.add("confirmed" if low >= 0 else "refuted" if high < 0 else "cannot be told")
    if not found.n:
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


def page(result: Mapping[str, Any]) -> str:
    """A table's Markdown from its JSON: measured with its interval, published beside it."""
    published, metrics = result["published"], result["metrics"]
    lines = [
        f"# {result['paper']}, {result['table']}: {result['title']}",
        "",
        f"{result['dataset']}, {result['network']}, scale `{result['scale']}`: {result['seeds']} seeds, "
        f"{result['images']} {result['split']} images, accuracy of all {result['accuracy_images']}. "
        f"Mean [95 % interval over {_over(result)}]; – stands for a ratio "
        "whose divisor may be 0."
        + (f" *Published* numbers are of {result['published_on']}." if published and result["published_on"] else "")
        + (" *Published* numbers stand below ours." if published and not result["published_on"] else ""),
        "",
    ]
    sections: dict[str | None, list[str]] = {}
    for metric in metrics:
        sections.setdefault(None if metric == "time" else saliency_of(metric), []).append(metric)
    for method, names in sections.items():
        if method:
            lines += [f"{saliency_title(method)} maps:", ""]
        lines.append("| run | " + " | ".join(_head(name) for name in names) + " |")
        lines.append("| --- |" + " ---: |" * len(names))
        for run, values in result["measured"].items():
            lines.append(f"| {run} | " + " | ".join(_cell(values[name], name) for name in names) + " |")
            there = published.get(run, {})
            if any(name in there for name in names):
                cells = [_one(there[name], name) if name in there else "" for name in names]
                lines.append("| *published* | " + " | ".join(cells) + " |")
        lines.append("")
    if result["claims"]:
        lines += ["| claim | found | verdict |", "| --- | ---: | --- |"]
        lines += [f"| {claim['text']} | {_found(claim)} | **{claim['verdict']}** |" for claim in result["claims"]]
        lines.append("")
    lines += [f"- {sentence}" for sentence in result["caveats"]] + [""] * bool(result["caveats"])
    facts = result["environment"]
    lines += [
        f"{facts['device_name']}, Python {facts['python']}, torch {facts['packages']['torch']}, pellucid "
        f"{facts['pellucid']}, commit {facts['commit']}, {facts['started']}. Regenerate: `{result['command']}`.",
        "",
    ]
    return "\n".join(lines)


def _over(result: Mapping[str, Any]) -> str:
    return "seeds and images" if result["seeds"] > 1 else "images, of one seed"


def _head(metric: str) -> str:
    if metric == "time":
        return "time of an epoch, median [least, greatest] of the seeds"
    measure = measure_of(metric)
    return " ".join(
        part for part in (measure.title, f"({measure.unit})" if measure.unit else "", ARROWS[direction(metric)]) if part
    )


def _cell(values: Mapping[str, Any], metric: str) -> str:
    if values["mean"] is None:
        return "–"
    if metric == "time":
        return f"{values['mean']:.2f}× [{values['low']:.2f}, {values['high']:.2f}]"
    mean, low, high = written(Interval(**values), metric)
    return f"{mean} [{low}, {high}]"


def _one(value: float, metric: str) -> str:
    return f"*{value:g}×*" if metric == "time" else f"*{value * measure_of(metric).scale:.4g}*"


def _found(claim: Mapping[str, Any]) -> str:
    values = claim["found"]
    if values["mean"] is None:
        return "–"
    if claim["kind"] == "factor":
        return "{:.3g}× [{:.3g}, {:.3g}]".format(*(values[key] for key in ("mean", "low", "high")))
    scale, unit = measure_of(claim["metric"]).scale, measure_of(claim["metric"]).unit
    numbers = [f"{scale * values[key]:+.3g}" for key in ("mean", "low", "high")]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]" + (f" {unit.replace('%', 'points')}" if unit else "")


@dataclass(frozen=True)
class Cost:
    """What a stage is expected to take, in seconds on one process with all threads."""

    training: float
    measuring: float


def estimated_cost(stage: Stage, *, steps: int = 3, images: int = 4) -> Cost:
    """Measure a few training steps and a few images, and multiply.

    Args:
        stage: one network.
        steps: training steps that are timed, after one that is not.
        images: images that are measured.

    Raises:
        InputError: data that is not here.
    """
    experiment, evaluation = stage.experiment, stage.evaluation
    dataset = load(experiment.dataset, "train")
    model = build_network(experiment, dataset)
    batch_size = min(experiment.batch_size, len(dataset))
    total = len(dataset) // batch_size * experiment.epochs
    objective = Objective(model, experiment.method, len(dataset), total)
    optimizer = experiment.optimizer.build(model.parameters())
    index = torch.arange(batch_size)
    x, label = dataset.take(index).float() / 255, dataset.labels[index]
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        objective(x, label, index)["loss"].backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    measure = measurement_of(evaluation, experiment.dataset.name, dataset)
    start = time.perf_counter()
    measure(model.eval(), x[:images], label[:images], list(range(images)))
    measured = (time.perf_counter() - start) / min(images, batch_size)
    return Cost(total * statistics.median(seconds[1:]), evaluation.images * measured)


def forecast(choice: Reproduction, *, say: Callable[[str], None] = print) -> None:
    """Say what would be trained and measured, and about how long it would take here.

    Args:
        choice: what would be reproduced.
        say: takes each line.
    """
    wanted = tables(choice)
    stages = plan(choice, wanted)
    for table in wanted:
        say(f"{table.paper}, {table.number}: {table.title} ({table.dataset}, {_network(table)}, {choice.scale})")
    left, costs = 0.0, {}
    for stage in stages:
        key = (stage.run.name, stage.run.parent.parent)
        if key not in costs:
            costs[key] = estimated_cost(stage)
        trained = (stage.run / "model.safetensors").exists()
        measured = (stage.run / "rows.parquet").exists()
        left += costs[key].training * (not trained) + costs[key].measuring * (not measured)
        if stage.experiment.seed == 0:
            state = "there" if measured else "trained" if trained else "to do"
            say(
                f"  {stage.run.name:<24} training {duration(costs[key].training):>8}, measuring "
                f"{duration(costs[key].measuring):>8}, each of {choice.seeds} seeds ({state})"
            )
    say(f"{len(stages)} networks; about {duration(left)} of work is left, on {torch.get_num_threads()} threads.")
    if choice.scale == "full":
        _say_of_all_images(choice, stages, costs, say)


def _say_of_all_images(
    choice: Reproduction, stages: Sequence[Stage], costs: Mapping[Any, Cost], say: Callable[[str], None]
) -> None:
    """Where a part of a dataset lies here, what the whole of it would take; for plans made before the data is there."""
    here, every = len(load(stages[0].experiment.dataset, "train")), TRAINING_IMAGES[choice.dataset]
    if here < 0.9 * every:  # some may be kept for validation
        total = sum(
            costs[stage.run.name, stage.run.parent.parent].training * every / here
            + costs[stage.run.name, stage.run.parent.parent].measuring
            for stage in stages
        )
        say(f"Of {every} training images {here} are here; with all of them it would be about {duration(total)}.")


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as people say them.

    >>> duration(59), duration(300), duration(7200)
    ('59 s', '5 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
