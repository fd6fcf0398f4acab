"""Throughput of `pellucid explain` on a batch, as a share of that of the bare passes that it needs.

    python benchmarks/explain_cost.py         about three minutes on two cores; writes results/explain-cost.{json,md}

Every call of the network during a run is written down: how many images, and whether their gradient was taken. The same
calls are then made again in plain PyTorch, with nothing around them. Both are timed in the processor's time of the
whole process, drawing and writing the cards included, which other processes on the machine hardly change; the wall
clock stands beside it. Rounds alternate, and the median over rounds is taken.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pellucid.environment import environment
from pellucid.explanation import Examination, explain
from pellucid.explanation.subject import Subject, of_network
from pellucid.input_gradient import input_gradient

CASES = {
    "ResNet-18, 3×224×224": {"network": "resnet18-224", "size": 224, "channels": 3, "classes": 1000},
    "LeNet-5, 1×28×28": {"network": "lenet5", "size": 28, "channels": 1, "classes": 10},
}


class Listening(nn.Module):
    """The network, with a list of the calls it got: number of images, and whether a gradient was asked for."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.calls: list[tuple[int, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((len(x), x.requires_grad))
        return self.inner(x)


def bare(model: nn.Module, calls: list[tuple[int, bool]], shape: tuple[int, int, int]) -> None:
    """The same passes and nothing else."""
    x = torch.rand(max(count for count, _ in calls), *shape)
    for count, gradient in calls:
        if gradient:
            input_gradient(lambda x: model(x)[:, 0], x[:count])
        else:
            with torch.no_grad():
                model(x[:count])


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor and of the clock."""
    processor, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - clock


def pictures(folder: Path, count: int) -> None:
    random = np.random.default_rng(0)
    for i in range(count):
        small = random.integers(0, 255, (12, 16, 3)).astype(np.uint8)
        Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg")


def measure(case: dict[str, Any], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Seconds an image and the ratio of one network, by the files that are written."""
    made = of_network(**case)
    model = Listening(made.model).eval()
    subject = Subject(made.name, model, made.classes, made.shape, made.weights)
    examination = Examination.quick(options.saliency.split(","))
    rows = {}
    for forms in (("png", "html", "json"), ("json",)):
        times = []
        for number in range(options.rounds + 1):
            model.calls = []
            with tempfile.TemporaryDirectory() as folder:
                pictures(Path(folder), options.images)
                call = partial(
                    explain, subject, [folder], Path(folder) / "out",
                    examination=examination, formats=forms, progress=False,
                )  # fmt: skip
                cards = timed(call)
            passes = timed(partial(bare, made.model, model.calls, made.shape))
            if number:  # the first warms up
                times.append((*cards, *passes))
        rows[", ".join(forms)] = {
            "throughput": statistics.median(passes / cards for cards, _, passes, _ in times),
            "cards_processor_s": statistics.median(cards for cards, *_ in times) / options.images,
            "passes_processor_s": statistics.median(passes for _, _, passes, _ in times) / options.images,
            "cards_clock_s": statistics.median(clock for _, clock, *_ in times) / options.images,
            "forward_images": sum(n for n, gradient in model.calls if not gradient) / options.images,
            "gradient_images": sum(n for n, gradient in model.calls if gradient) / options.images,
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--saliency", default="vanilla_gradient,smoothgrad,integrated_gradients")
    parser.add_argument("--out", type=Path, default=Path("results/explain-cost"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows = {}
    for title, case in CASES.items():
        rows |= {f"{title}; {forms}": row for forms, row in measure(case, options).items()}
    facts = environment(torch.device("cpu"))
    lines = [
        "# Cost of trust cards in a batch",
        "",
        f"Quick cards of {options.saliency.replace(',', ', ')}, seconds of one processor an image.",
        "",
        "| network; files | passes alone | cards | throughput | forward / gradient images |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['passes_processor_s']:.3f} | {row['cards_processor_s']:.3f} | {row['throughput']:.2f} "
            f"| {row['forward_images']:.0f} / {row['gradient_images']:.0f} |"
        )
    lines += [
        "",
        f"Median over {options.rounds} rounds of {options.images} images. {facts['device_name']}, {options.threads} "
        f"threads, torch {facts['packages']['torch']}, commit {facts['commit']}, {facts['started']}.",
        f"Regenerate: `python benchmarks/explain_cost.py --threads {options.threads} --images {options.images} "
        f"--rounds {options.rounds} --saliency {options.saliency}`.",
        "",
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps({"environment": facts, "rows": rows}, indent=1) + "\n")
    options.out.with_suffix(".md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
