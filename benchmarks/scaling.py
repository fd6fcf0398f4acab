"""How the cost of a step and of a map grows: with pixels, classes, attack steps and noisy copies.

    python benchmarks/scaling.py               about three minutes on one core; writes results/scaling.{json,md}

Everything is the processor's time on one thread, as a multiple of the first point of its row, all points in turn, round
after round; so the load of the machine counts little. `docs/scaling.md` says what follows for large runs.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from pellucid import PGD, SCAAT, AdversarialTraining, Method, Network, Objective, Regular, SmoothGrad
from pellucid.core.files import whole_file
from pellucid.models import build
from pellucid.runs.environment import environment
from pellucid.runs.training import train_step

BATCH = 8
NETWORK = Network(name="resnet18-224", options={"width": 16})
ONE_STEP = SCAAT(attack=PGD(eps=8 / 255, step_size=8 / 255, steps=1), region=4)


def step(method: Method, *, side: int = 64, classes: int = 10, batch: int = BATCH) -> Callable[[], object]:
    """A training step of the network on images of a size."""
    model = build(NETWORK, classes=classes, shape=(3, side, side), mean=(0.5,) * 3, std=(0.5,) * 3)
    objective = Objective(model, method, num_samples=batch, total_steps=1000).train()
    fabric = Fabric(accelerator="cpu", devices=1)
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    work = (*fabric.setup(objective, optimizer), schedule)
    data = (torch.rand(batch, 3, side, side), torch.randint(0, classes, (batch,)), torch.arange(batch))
    return lambda: train_step(fabric, *work, data)


def smooth(samples: int) -> Callable[[], object]:
    """A SmoothGrad map of a few images."""
    model = build(NETWORK, classes=10, shape=(3, 64, 64), mean=(0.5,) * 3, std=(0.5,) * 3).eval()
    x, target, saliency = (
        torch.rand(BATCH, 3, 64, 64),
        torch.zeros(BATCH, dtype=torch.int64),
        SmoothGrad(samples=samples),
    )
    return lambda: saliency(model, x, target, generator=torch.Generator().manual_seed(0))


def attacked(steps: int) -> Method:
    return AdversarialTraining(attack=PGD(eps=8 / 255, step_size=2 / 255, steps=steps))


def rows() -> dict[str, dict[int, Callable[[], object]]]:
    """What grows, by its name and its values."""
    return {
        "side in pixels, regular training": {side: step(Regular(), side=side) for side in (32, 64, 128, 224)},
        "side in pixels, SCAAT of one step": {side: step(ONE_STEP, side=side) for side in (32, 64, 128, 224)},
        "classes, regular training": {classes: step(Regular(), classes=classes) for classes in (10, 100, 1000)},
        "attack steps, adversarial training": {steps: step(attacked(steps)) for steps in (1, 2, 4, 8)},
        "noisy copies, a SmoothGrad map": {samples: smooth(samples) for samples in (1, 4, 16)},
        "images in a batch, regular training": {batch: step(Regular(), batch=batch) for batch in (4, 8, 16, 32)},
    }


def timed(work: Callable[[], object]) -> float:
    clock = time.process_time()
    work()
    return time.process_time() - clock


def measured(rounds: int) -> list[dict[str, Any]]:
    """Each row's points as multiples of its first one, and the exponent that fits them best."""
    works = rows()
    times = {name: {value: [] for value in points} for name, points in works.items()}  # type: ignore[var-annotated]
    for round_ in range(rounds + 1):
        for name, points in works.items():
            for value, work in points.items():
                seconds = timed(work)
                if round_:
                    times[name][value].append(seconds)
    found = []
    for name, points in times.items():
        first = next(iter(points.values()))
        ratios = {value: [a / b for a, b in zip(seconds, first, strict=True)] for value, seconds in points.items()}
        middle = {value: statistics.median(values) for value, values in ratios.items()}
        exponent = float(np.polyfit(np.log(list(middle)), np.log(list(middle.values())), 1)[0])
        found.append(
            {
                "what": name,
                "points": [
                    {
                        "value": value,
                        "ratio": middle[value],
                        "low": float(np.quantile(values, 0.25)),
                        "high": float(np.quantile(values, 0.75)),
                        "milliseconds": 1e3 * statistics.median(points[value]),
                    }
                    for value, values in ratios.items()
                ],
                "exponent": exponent,
            }
        )
    return found


def page(result: dict[str, Any]) -> str:
    """results/scaling.md."""
    facts = result["environment"]
    lines = [
        "# How cost grows",
        "",
        "| what grows | cost, as a multiple of the first | exponent |",
        "| --- | --- | ---: |",
    ]
    for row in result["rows"]:
        points = "; ".join(
            f"{one['value']}: {one['ratio']:.2f} [{one['low']:.2f}, {one['high']:.2f}]" for one in row["points"]
        )
        lines.append(f"| {row['what']} | {points} | {row['exponent']:.2f} |")
    lines += [
        "",
        f"ResNet-18 with ImageNet's stem at a quarter of its width, {BATCH} images of 64 pixels where nothing else is "
        f"said. Median of {result['rounds']} rounds [the middle half]. The exponent p is that of the fit of "
        "the cost to valueᵖ.",
        "",
        f"{facts['device_name']}, one thread, load {result['load']:.1f}, torch {facts['packages']['torch']}, commit "
        f"{facts['commit'][:10]}{' with changes' if facts['dirty'] else ''}, {facts['started']}. Regenerate: "
        "`python benchmarks/scaling.py`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("results/scaling"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    facts = environment(torch.device("cpu"))
    del facts["command"]  # it may hold a path of this machine
    result = {
        "rows": measured(options.rounds), "rounds": options.rounds, "load": os.getloadavg()[0], "environment": facts
    }  # fmt: skip
    for ending, text in {".json": json.dumps(result, indent=1) + "\n", ".md": page(result)}.items():
        with whole_file(options.out.with_suffix(ending)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(page(result))


if __name__ == "__main__":
    main()
