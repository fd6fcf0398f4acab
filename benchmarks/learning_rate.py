"""Adam's learning rate at scale `cpu`: validation accuracy of regular training after the recipes' few epochs.

    python benchmarks/learning_rate.py                           five minutes on two cores; Fashion-MNIST
    python benchmarks/learning_rate.py --dataset cifar10 --path FOLDER --seeds 2      an image folder

Writes results/raw/learning-rate-DATASET.{json,md}. No test image is touched; runs are kept and continued.
"""

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import Experiment, fit
from pellucid.core.files import whole_file
from pellucid.papers.plan import source
from pellucid.papers.setting import TRAINING_IMAGES, setting
from pellucid.runs.directory import RunDirectory
from pellucid.runs.settings import Optimizer

RATES = (0.001, 0.002, 0.005, 0.01, 0.02)


def base(dataset: str, path: str | None) -> Experiment:
    """Regular training as the recipes have it, with 5 000 training images kept for validation."""
    usual = setting(dataset, "cpu", path=path).base
    return replace(usual, dataset=replace(usual.dataset, validation=5000))


def trained(experiment: Experiment, run: Path) -> dict[str, float]:
    """Accuracy and loss on the validation images after the last epoch."""
    fit(experiment, run, resume=True)
    with RunDirectory(run).training.open() as file:
        last = list(csv.DictReader(file))[-1]
    return {name: float(last[f"validation_{name}"]) for name in ("accuracy", "loss")}


def page(result: dict[str, Any]) -> str:
    """results/raw/learning-rate-DATASET.md."""
    facts, seeds = result["environment"], result["seeds"]
    words = "seed" if seeds == 1 else "seeds"
    lines = [
        f"# Learning rate at scale `cpu`: {result['dataset']}",
        "",
        f"Regular training, {result['network']}, {result['images']} images, {result['epochs']} epochs, Adam with one "
        f"cycle, {seeds} {words}. Mean and range over seeds; the recipes train with **{result['chosen']:g}**.",
        "",
        "| learning rate | validation accuracy (%, n 5000) | validation loss |",
        "| ---: | ---: | ---: |",
    ]
    for row in result["rows"]:
        accuracy, loss = 100 * np.array(row["accuracy"]), np.array(row["loss"])
        lines.append(
            f"| {row['lr']:g} | {accuracy.mean():.1f} ({accuracy.min():.1f} to {accuracy.max():.1f}) | "
            f"{loss.mean():.3f} ({loss.min():.3f} to {loss.max():.3f}) |"
        )
    lines += [
        "",
        f"{facts['device_name']}, Python {facts['python']}, torch {facts['packages']['torch']}, commit "
        f"{facts['commit']}{' with changes' if facts['dirty'] else ''}, {facts['started']}. Regenerate: "
        f"`{result['command']}`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--path", help="folder of the images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/learning-rate"))
    parser.add_argument("--results", type=Path, default=Path("results/raw"))
    options = parser.parse_args()
    usual, images = base(options.dataset, options.path), source(options.dataset, options.path)
    rows = []
    for lr in RATES:
        scores = []
        for seed in range(options.seeds):
            run = options.runs / images / f"lr-{lr:g}-seed{seed}"
            scores.append(trained(replace(usual, optimizer=Optimizer(lr=lr), seed=seed), run))
        rows.append({"lr": lr} | {name: [score[name] for score in scores] for name in ("accuracy", "loss")})
        print(rows[-1], flush=True)
    folder = " --path FOLDER" if options.path else ""
    facts = json.loads(RunDirectory(run).environment.read_text())
    del facts["command"]  # it may hold a path of this machine
    result = {
        "environment": facts,
        "command": f"python benchmarks/learning_rate.py --dataset {options.dataset}{folder} --seeds {options.seeds}",
        "dataset": images,
        "network": usual.network.name,
        "images": usual.dataset.limit or TRAINING_IMAGES[options.dataset] - 5000,
        "epochs": usual.epochs,
        "seeds": options.seeds,
        "chosen": usual.optimizer.lr,
        "rows": rows,
    }
    stem = options.results / f"learning-rate-{images}"
    for ending, text in {".json": json.dumps(result, indent=1) + "\n", ".md": page(result)}.items():
        with whole_file(stem.with_suffix(ending)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(page(result))


if __name__ == "__main__":
    main()
