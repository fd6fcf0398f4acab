"""All checks and measurements that need a GPU, in one call of less than ten minutes.

    PYTHONPATH=src python benchmarks/gpu.py --out OUT              (--device cpu tries the script itself)

It needs no data from outside: it draws a folder of coloured shapes. Every method is trained on the device and on the
CPU, whose losses must agree; in mixed precision too; interrupted after an epoch and resumed to the same weights; then
measured. `step_cost.py` and `metric_cost.py` follow. Exit code 1 if a check failed.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from pellucid import (
    PGD,
    SCAAT,
    AdversarialTraining,
    Data,
    Evaluation,
    Experiment,
    Method,
    Network,
    Regular,
    SaliencyGuided,
    Smoothing,
    evaluate,
    fit,
)
from pellucid.runs.directory import RunDirectory
from pellucid.runs.environment import environment

ATTACK = PGD(eps=8 / 255, step_size=4 / 255, steps=2)
METHODS: dict[str, Method] = {
    "regular": Regular(),
    "at": AdversarialTraining(attack=ATTACK),
    "sgt": SaliencyGuided(),
    "sgt-at": SaliencyGuided(attack=ATTACK),
    "scaat": SCAAT(attack=ATTACK),
}


def draw_shapes(folder: Path, *, images: int, size: int = 32) -> Path:
    """Discs, squares and bars of random colour and place on noise, as an image folder of three classes."""
    random = np.random.default_rng(0)
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    for split, count in (("train", images), ("test", images // 4)):
        for number in range(count):
            kind = number % 3
            x, y = random.uniform(0.3, 0.7, 2) * size
            inside = [
                np.hypot(across - x, down - y) < size / 5,
                np.maximum(abs(across - x), abs(down - y)) < size / 6,
                abs(across - x) < size / 10,
            ][kind]
            picture = random.integers(0, 90, (size, size, 3))
            picture[inside] = random.integers(130, 255, 3)
            place = folder / split / ["disc", "square", "bar"][kind] / f"{number:05d}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.astype(np.uint8)).save(place)
    return folder


def losses(run: Path) -> list[float]:
    with RunDirectory(run).training.open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--no-cost", action="store_true", help="leave the costs out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    device = options.device
    checks: list[dict[str, object]] = []

    def check(name: str, passed: bool, **facts: object) -> None:
        checks.append({"check": name, "passed": bool(passed), **facts})
        print("ok  " if passed else "FAIL", name, facts, flush=True)

    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        data = Data(name="folder", path=str(draw_shapes(root / "shapes", images=options.images)), validation=96)
        base = Experiment(
            dataset=data,
            network=Network(name="resnet18", options={"width": 16}),
            smoothing=Smoothing(layers=("layer1",)),
            epochs=2,
            batch_size=96,
            channels_last=True,
        )
        for name, method in METHODS.items():
            experiment = replace(base, method=method)
            clock = time.perf_counter()
            there = fit(experiment, root / name, accelerator=device)
            seconds = time.perf_counter() - clock
            again = fit(experiment, root / f"{name}-again", accelerator=device)
            here = fit(experiment, root / f"{name}-cpu", accelerator="cpu")
            check(
                f"{name}: as on the CPU",
                np.allclose(losses(there), losses(here), rtol=0.1),
                device=losses(there),
                cpu=losses(here),
                seconds=round(seconds, 1),
            )
            first, second = (load_file(RunDirectory(run).weights) for run in (there, again))
            apart = max((first[key].float() - second[key].float()).abs().max().item() for key in first)
            check(f"{name}: twice the same", apart < 1e-2, largest_difference=apart, losses=losses(again))
            for precision in ("bf16-mixed", "16-mixed") if device == "cuda" else ("bf16-mixed",):
                mixed = replace(experiment, precision=precision)
                run = fit(mixed, root / f"{name}-{precision}", accelerator=device)
                check(f"{name}: {precision}", np.allclose(losses(run), losses(there), rtol=0.25), losses=losses(run))
            clock = time.perf_counter()
            evaluate(there, Evaluation(images=200), accelerator=device)
            seconds = round(time.perf_counter() - clock, 1)
            check(f"{name}: measured", RunDirectory(there).is_evaluated, seconds=seconds)
    facts = environment(torch.device(device))
    (options.out / "gpu.json").write_text(json.dumps({"environment": facts, "checks": checks}, indent=1) + "\n")
    if not options.no_cost:
        for name in ("step_cost", "metric_cost"):
            script = str(Path(__file__).with_name(f"{name}.py"))
            out = str(options.out / f"{name.replace('_', '-')}-{device}")
            subprocess.run([sys.executable, script, "--device", device, "--out", out, "--seconds", "40"], check=True)
    return 0 if all(made["passed"] for made in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
