"""Quality per cost: cheaper forms of trustworthy training on the truth set, and their Pareto front.

    python benchmarks/fast.py                           an hour on one core; writes results/fast.{json,md}
    python benchmarks/fast.py --only "truest" --seeds 1    fewer variants, those whose names contain it

Each variant of `fast_variants` is trained on half of the training images of the truth set ``beside``, with seeds that
test nothing, and measured on validation images, as `pellucid leaderboard truth:beside --search` does. What is there is
skipped. A step's cost is the processor's time, of all variants in turn, round after round, so that other programs on
the machine count little. With ``--minutes`` no training begins after that time, and the table has what is complete.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fast_variants import VARIANTS, Variant
from lightning_fabric import Fabric

from pellucid import Objective
from pellucid.core.files import whole_file
from pellucid.data import Loader, load
from pellucid.leaderboard.boards import board
from pellucid.leaderboard.evaluation import SomeImages, curves
from pellucid.leaderboard.plan import Leaderboard
from pellucid.leaderboard.run import stage_of
from pellucid.papers import measured
from pellucid.papers.setting import Setting
from pellucid.papers.stages import finished
from pellucid.report.table import interval_data
from pellucid.runs.environment import environment
from pellucid.runs.evaluated import Run, read_run
from pellucid.runs.training import build_network, train_step
from pellucid.statistics import Interval
from pellucid.statistics.pareto import Criterion, front
from pellucid.statistics.seeds import hierarchical_statistic

FIRST_SEED = 101
IMAGES, CURVE_IMAGES = 300, 50
NAMES = ("mass", "mass_checked", "gini", "robust_correct")
SHOWN = {
    "clean_accuracy": "accuracy (%)",
    "mass": "mass on the cause (%)",
    "faithfulness_normalised": "normalised faithfulness (%)",
    "gini": "Gini index (%)",
    "robust_accuracy": "robust accuracy (%)",
}
CRITERIA = tuple(Criterion(metric=name, higher=True, step=0.01) for name in SHOWN)
CHEAP = Criterion(metric="cost", higher=False, step=1.05, ratio=True)


def setting() -> tuple[Leaderboard, Setting]:
    """The board's training on half of its images, and a few measures of validation images."""
    plan = Leaderboard(name="truth:beside")
    at = board(plan)
    limit = at.base.dataset.limit
    assert limit is not None
    noise, _ = curves(replace(at.evaluation, steps=10, repeats=1))
    evaluation = replace(
        at.evaluation, split="validation", images=IMAGES, gallery=1,
        metrics=(*NAMES, SomeImages(of=noise, share=CURVE_IMAGES / IMAGES)),
    )  # fmt: skip
    base = replace(at.base, dataset=replace(at.base.dataset, limit=limit // 2))
    return plan, replace(at, base=base, evaluation=evaluation)


def trained(variants: Sequence[Variant], seeds: int, out: Path, until: float) -> dict[str, dict[int, Run]]:
    """The runs of every variant by seed; those of the first seed first, and the further variants last."""
    plan, at = setting()
    plan = replace(plan, out=out)
    runs: dict[str, dict[int, Run]] = {}
    every = sorted(product(variants, range(FIRST_SEED, FIRST_SEED + seeds)), key=lambda one: (one[0].further, one[1]))
    for variant, seed in every:
        folder = variant.name.replace("/", "-of-").replace(", ", "-").replace(" ", "-").replace("×", "x")
        stage = stage_of(plan, folder, replace(variant.experiment(at), seed=seed), at.evaluation)
        if time.time() > until and not (stage.run / "evaluation.yaml").exists():
            continue
        for done in finished([stage], 1):
            runs.setdefault(variant.name, {})[seed] = read_run(done.run)
            print(f"{time.strftime('%H:%M:%S')} seed {seed}: {variant.name}", flush=True)
    return runs


def costs(variants: Sequence[Variant], *, rounds: int, steps: int) -> dict[str, list[float]]:
    """Processor time of a step as a multiple of regular training's, one value a round."""
    _, at = setting()
    train = load(at.base.dataset, "train")
    loader = Loader(train, batch_size=at.base.batch_size, shuffle=True, seed=FIRST_SEED, drop_last=True)
    batch = next(loader.epoch(0))
    fabric = Fabric(accelerator="cpu", devices=1)
    works = {}
    for variant in variants:
        experiment = variant.experiment(at)
        objective = Objective(build_network(experiment, train), experiment.method, len(train), 1000).train()
        optimizer = experiment.optimizer.build(objective.parameters())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        works[variant.name] = (*fabric.setup(objective, optimizer), schedule)

    def seconds(work: tuple[Any, ...]) -> float:
        clock = time.process_time()
        for _ in range(steps):
            train_step(fabric, *work, batch)
        return time.process_time() - clock

    for work in works.values():
        seconds(work)
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: [one / other for one, other in zip(values, times["regular"], strict=True)]
            for name, values in times.items()}  # fmt: skip


def of_rounds(values: Sequence[float]) -> dict[str, float]:
    """Median, and the quarter below and above it."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return {"median": float(middle), "low": float(low), "high": float(high), "rounds": len(values)}


def minus(runs: Mapping[int, Run], others: Mapping[int, Run], metric: str, n: int) -> Interval:
    """How much more of a number one training has than another, over the seeds and images that both have."""
    both = sorted(set(runs) & set(others))
    (ours, theirs), n = measured.statistics([[of[seed] for seed in both] for of in (runs, others)], metric, n)
    return hierarchical_statistic([ours, theirs], n, function=lambda means: means[0] - means[1])


def summary(
    variants: Sequence[Variant], runs: Mapping[str, Mapping[int, Run]], cost: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """All numbers, ready for JSON."""
    n = next(iter(runs["regular"].values())).rows.num_rows
    rows = []
    for variant in variants:
        if variant.name not in runs:
            continue
        own, whole = runs[variant.name], runs.get(variant.of, {})
        apart = variant.of != variant.name and set(own) & set(whole)
        rows.append(
            {
                "name": variant.name,
                "of": variant.of,
                "method": repr(variant.method),
                "softplus": variant.softplus,
                "block": variant.block,
                "seeds": len(own),
                "cost": of_rounds(cost[variant.name]),
                "measured": {name: interval_data(measured.interval(list(own.values()), name, n)) for name in SHOWN},
                "minus": {name: interval_data(minus(own, whole, name, n)) for name in SHOWN} if apart else {},
            }
        )
    levels = {
        row["name"]: [
            CHEAP.level(row["cost"]["median"]),
            *(one.level(row["measured"][one.metric]["mean"]) for one in CRITERIA),
        ]
        for row in rows
    }
    return {"images": n, "rows": rows, "front": front(levels)}


def page(result: Mapping[str, Any]) -> str:
    """results/fast.md."""
    facts, rows = result["environment"], result["rows"]

    def told(value: Mapping[str, Any], sign: str = "") -> str:
        if value["mean"] is None or not np.isfinite(value["mean"]):
            return "–"
        bold = "**" if sign and (value["low"] > 0 or value["high"] < 0) else ""
        numbers = f"{100 * value['mean']:{sign}.1f} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"
        return f"{bold}{numbers}{bold}"

    head = " | ".join(SHOWN.values())
    lines = [
        "# Cheaper forms of trustworthy training", "",
        f"truth:beside, LeNet-5, {result['training_images']} training images, {result['epochs']} epochs; "
        f"{result['images']} validation images, {CURVE_IMAGES} of them for faithfulness; seeds "
        f"{', '.join(map(str, result['seeds']))}, which test nothing. Mean [95 % interval over seeds and images, with "
        "one seed over images alone]. "
        "*Cost* is the processor's time of a step as a multiple of regular training's, the median over "
        f"{rows[0]['cost']['rounds']} rounds [the middle half of them], one thread. ★ marks the Pareto front of cost "
        "(in steps of 5 %) and the five measures (in steps of a point).", "",
        f"| training | seeds | cost | {head} |", f"| --- | ---: | ---: |{' ---: |' * len(SHOWN)}",
    ]  # fmt: skip
    for row in rows:
        cost = row["cost"]
        star = " ★" if row["name"] in result["front"] else ""
        numbers = " | ".join(told(row["measured"][name]) for name in SHOWN)
        lines.append(
            f"| {row['name']}{star} | {row['seeds']} | {cost['median']:.2f} [{cost['low']:.2f}, {cost['high']:.2f}] "
            f"| {numbers} |"
        )
    lines += [
        "", "## Against the training that each is a cheaper form of", "",
        "The difference in points, with its 95 % interval over seeds and images; bold where that excludes 0.", "",
        f"| training | minus | {head} |", f"| --- | --- |{' ---: |' * len(SHOWN)}",
    ]  # fmt: skip
    for row in rows:
        if row["minus"]:
            numbers = " | ".join(told(row["minus"][name], "+") for name in SHOWN)
            lines.append(f"| {row['name']} | {row['of']} | {numbers} |")
    lines += ["", "## How each was trained", ""]
    for row in rows:
        further = "" if row["softplus"] is None else f", softplus of sharpness {row['softplus']:g} for ReLU"
        further += ", Gaussian smoothing block" if row["block"] else ""
        lines.append(f"- {row['name']}: `{row['method']}`{further}")
    if result["missing"]:
        lines += ["", f"Not trained yet: {'; '.join(result['missing'])}."]
    lines += [
        "",
        f"{facts['device_name']}, one thread, load {result['load']:.1f} when it ended, Python {facts['python']}, torch "
        f"{facts['packages']['torch']}, commit {facts['commit'][:10]}{' with changes' if facts['dirty'] else ''}, "
        f"{facts['started']}. Regenerate: `{result['command']}`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="part of the names of the variants that are trained")
    parser.add_argument("--minutes", type=float, default=1e6, help="after which no training begins")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--runs", type=Path, default=Path("runs/fast"))
    parser.add_argument("--out", type=Path, default=Path("results/fast"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = environment(torch.device("cpu"))
    del facts["command"]  # it may hold a path of this machine
    variants = [one for one in VARIANTS if options.only in one.name or one.name == "regular"]
    runs = trained(variants, options.seeds, options.runs, time.time() + 60 * options.minutes)
    cost = costs([one for one in variants if one.name in runs], rounds=options.rounds, steps=8)
    _, at = setting()
    result = {
        **summary(variants, runs, cost),
        "training_images": at.base.dataset.limit,
        "epochs": at.base.epochs,
        "seeds": list(range(FIRST_SEED, FIRST_SEED + options.seeds)),
        "missing": [one.name for one in variants if one.name not in runs],
        "load": os.getloadavg()[0],
        "environment": facts,
        "command": f"python benchmarks/fast.py --seeds {options.seeds}",
    }
    for ending, text in {".json": json.dumps(result, indent=1) + "\n", ".md": page(result)}.items():
        with whole_file(options.out.with_suffix(ending)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(page(result))


if __name__ == "__main__":
    main()
