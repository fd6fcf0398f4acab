"""One network of a table: trained, measured and classified where that is not done yet, and what that costs."""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from pellucid.data import load
from pellucid.evaluation import Evaluation, evaluate, measurement_of
from pellucid.experiment import Experiment
from pellucid.objective import Objective
from pellucid.predictions import predict
from pellucid.training import build_network, fit

__all__ = ["Cost", "Stage", "duration", "estimated_cost", "finished"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One network to train and measure."""

    run: Path
    experiment: Experiment
    evaluation: Evaluation


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


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as people say them.

    >>> duration(59), duration(300), duration(7200)
    ('59 s', '5 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
