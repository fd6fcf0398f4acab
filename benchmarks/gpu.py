"""All checks and measurements that need a GPU, in one call of less than ten minutes.

    PYTHONPATH=src python benchmarks/gpu.py --out OUT              (--device cpu tries the script itself)

It needs no data from outside: it draws a folder of coloured shapes. The checks take about four minutes, the costs as
long again. A machine that lacks platformdirs or shtab takes them, which are pure Python, from a folder on PYTHONPATH.

Every method is trained on the device and on the CPU, whose losses must agree; in mixed precision too; twice with
PyTorch's deterministic algorithms, which must end with the same bits; then measured. A step must not wait for the GPU,
and compiled or recorded in CUDA graphs it must have the losses of an eager one (`gpu_steps.py`). `step_cost.py` and
`metric_cost.py` follow. Exit code 1 if a check failed.

Two trainings with PyTorch's usual algorithms need not be alike, however right both are: backward passes of convolutions
add in no fixed order on a GPU, Adam's first steps move each weight by the sign of its gradient, whose rounding decides
where it is near 0, and BatchNorm's running statistics add up what follows. How far apart they end is told, not judged.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from gpu_steps import sync_free, ways
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


@contextmanager
def deterministic() -> Iterator[None]:
    """PyTorch takes algorithms that add in one order alone, and refuses operations that have none."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def apart(run: Path, other: Path) -> float:
    """The largest difference of any number in the weights and running statistics of two runs."""
    first, second = (load_file(RunDirectory(one).weights) for one in (run, other))
    return max((first[key].double() - second[key].double()).abs().max().item() for key in first)


def losses(run: Path) -> list[float]:
    with RunDirectory(run).training.open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--steps", type=int, default=20, help="steps of which the median is timed")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--no-cost", action="store_true", help="leave the costs out")
    options = parser.parse_args()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which deterministic products need, before the first
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
            here = fit(experiment, root / f"{name}-cpu", accelerator="cpu")
            check(
                f"{name}: as on the CPU",
                np.allclose(losses(there), losses(here), rtol=0.1),
                device=losses(there),
                cpu=losses(here),
                seconds=round(seconds, 1),
            )
            try:
                with deterministic():
                    twice = [fit(experiment, root / f"{name}-{turn}", accelerator=device) for turn in ("1st", "2nd")]
                difference = apart(*twice)
                check(
                    f"{name}: twice the same, deterministic", difference == 0, largest_difference=difference,
                    from_usual_algorithms=apart(there, twice[0]),
                )  # fmt: skip
            except RuntimeError as error:
                check(f"{name}: twice the same, deterministic", False, refused=str(error).splitlines()[0])
            for precision in ("bf16-mixed", "16-mixed") if device == "cuda" else ("bf16-mixed",):
                mixed = replace(experiment, precision=precision)
                run = fit(mixed, root / f"{name}-{precision}", accelerator=device)
                check(f"{name}: {precision}", np.allclose(losses(run), losses(there), rtol=0.25), losses=losses(run))
            clock = time.perf_counter()
            evaluate(there, Evaluation(images=200), accelerator=device)
            seconds = round(time.perf_counter() - clock, 1)
            check(f"{name}: measured", RunDirectory(there).is_evaluated, seconds=seconds)
    if device == "cuda":
        for name, waits in sync_free(METHODS).items():
            check(f"{name}: no step waits for the GPU", not waits, waits=waits)
    stepped = {}
    for name in ("regular", "scaat"):
        for precision in ("32-true", "bf16-mixed") if device == "cuda" else ("32-true",):
            found = ways(METHODS[name], device, steps=options.steps, precision=precision)
            stepped[f"{name}, {precision}"] = {way: asdict(one) for way, one in found.items()}
            eager = found.pop("off")
            for way, one in found.items():
                close = np.allclose(one.losses, eager.losses, rtol=1e-3 if precision == "32-true" else 0.05)
                times = round(eager.milliseconds / one.milliseconds, 2)
                check(f"{name}: compile {way}, {precision}", close, times_as_fast=times, losses=one.losses)
    facts = environment(torch.device(device))
    (options.out / "gpu.json").write_text(
        json.dumps({"environment": facts, "checks": checks, "steps": stepped}, indent=1) + "\n"
    )
    if not options.no_cost:
        for name in ("step_cost", "metric_cost"):
            script = str(Path(__file__).with_name(f"{name}.py"))
            out = str(options.out / f"{name.replace('_', '-')}-{device}")
            subprocess.run([sys.executable, script, "--device", device, "--out", out, "--seconds", "40"], check=True)
    return 0 if all(made["passed"] for made in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
