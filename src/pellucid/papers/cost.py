"""What training steps and measured images cost on this machine."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from pellucid.core.progress import duration
from pellucid.data import Dataset, load
from pellucid.methods.objective import Objective
from pellucid.papers.stages import Stage
from pellucid.runs.evaluation import measurement_of
from pellucid.runs.settings import Experiment
from pellucid.runs.training import build_network
from pellucid.statistics import Interval, ratio_interval

__all__ = ["Cost", "duration", "estimated_cost", "step_ratios"]


@dataclass(frozen=True)
class Cost:
    """What a stage is expected to take, in seconds on one process with all threads, or on one GPU."""

    training: float
    measuring: float


def estimated_cost(stage: Stage, *, steps: int = 3, images: int = 4) -> Cost:
    """Measure a few training steps and a few images, and multiply.

    Args:
        stage: one network.
        steps: training steps that are timed, after one that is not.
        images: images that are measured.

    Raises:
        InputError: data that is missing.
    """
    experiment, evaluation, device = stage.experiment, stage.evaluation, _device()
    dataset = load(experiment.dataset, "train")
    step, total = _step(experiment, dataset)
    seconds = [step() for _ in range(steps + 1)]
    held_out = load(experiment.dataset, evaluation.split)  # of which alone an image with a part exchanged is known
    measure = measurement_of(evaluation, experiment.dataset.name, held_out, device=device)
    index = torch.arange(min(images, len(held_out)))
    x = held_out.take(index).to(device).float() / 255
    model = build_network(experiment, dataset).to(device).eval()
    with torch.no_grad():
        label = model(x).argmax(dim=1)  # an attack gives up at once on an image that is misclassified
    start = time.perf_counter()
    measure(model, x, label, index.tolist(), held_out.truth_of(index))
    _wait()
    measured = (time.perf_counter() - start) / len(index)
    return Cost(total * statistics.median(seconds[1:]), evaluation.images * measured)


def step_ratios(experiments: Mapping[str, Experiment], *, rounds: int = 20) -> dict[str, Interval]:
    """Time of a training step as a multiple of the first experiment's, in rounds that time each of them once.

    Args:
        experiments: by name, on the same images.
        rounds: that are counted, after one that is not.

    Returns:
        Ratios of mean times with their 95 % bootstrap interval over rounds.
    """
    steps = {name: _step(experiment, load(experiment.dataset, "train"))[0] for name, experiment in experiments.items()}
    times = [{name: step() for name, step in steps.items()} for _ in range(rounds + 1)][1:]
    first = [seconds[next(iter(steps))] for seconds in times]
    return {name: ratio_interval([seconds[name] for seconds in times], first, floor=1e-9) for name in steps}


def _step(experiment: Experiment, dataset: Dataset) -> tuple[Callable[[], float], int]:
    """A function that takes one training step and returns its seconds, and how many steps the training has."""
    device = _device()
    model = build_network(experiment, dataset).to(device)
    batch_size = min(experiment.batch_size, len(dataset))
    total = len(dataset) // batch_size * experiment.epochs
    objective = Objective(model, experiment.method, len(dataset), total).to(device)
    optimizer = experiment.optimizer.build(model.parameters())
    index = torch.arange(batch_size)
    x, label = dataset.take(index).to(device).float() / 255, dataset.labels[index].to(device)
    index = index.to(device)

    def step() -> float:
        _wait()
        start = time.perf_counter()
        optimizer.zero_grad()
        objective(x, label, index)["loss"].backward()
        optimizer.step()
        _wait()
        return time.perf_counter() - start

    return step, total


def _device() -> torch.device:
    """Where training would run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
