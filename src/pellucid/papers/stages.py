"""One network of a table: trained, measured and classified where that is not done yet."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import active_children, get_context
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from pellucid.core.cores import usable_cores
from pellucid.core.errors import InputError
from pellucid.core.progress import Job, Progress
from pellucid.data import load
from pellucid.papers.cluster import done_on_cluster
from pellucid.papers.plan import Reproduction
from pellucid.papers.table import Table
from pellucid.runs.directory import RunDirectory
from pellucid.runs.evaluation import Evaluation, evaluate
from pellucid.runs.predictions import predict
from pellucid.runs.settings import Experiment
from pellucid.runs.threads import multiplications, side_by_side
from pellucid.runs.training import build_network, fit

__all__ = ["Stage", "carried_out", "finished", "folder", "jobs_of", "stages_of", "usual_jobs"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One network to train and measure.

    Args:
        run: its directory.
        experiment: how it is trained.
        evaluation: how it is measured.
        classified: whether it also classifies every image of the measured split.
    """

    run: Path
    experiment: Experiment
    evaluation: Evaluation
    classified: bool = True


def stages_of(plan: Reproduction, wanted: Sequence[Table]) -> list[Stage]:
    """Every network of the tables once, all runs of the first seed first."""
    stages: dict[Path, Stage] = {}
    for seed in range(plan.seeds):
        for table in wanted:
            for name, experiment in table.runs.items():
                run = folder(plan, table, name, seed)
                stage = Stage(run=run, experiment=replace(experiment, seed=seed), evaluation=table.evaluation)
                if stages.setdefault(run, stage) != stage:
                    raise InputError(f"two tables of {plan.paper} mean different networks by {name!r}")
    return list(stages.values())


def folder(plan: Reproduction, table: Table, name: str, seed: int) -> Path:
    """The run directory of one of a table's networks."""
    return plan.out / plan.paper / plan.where / (table.group or table.number) / f"seed{seed}" / name


def finished(
    stages: Sequence[Stage], jobs: int | None, devices: Sequence[int] = (), cluster: str | None = None
) -> Iterator[Stage]:
    """Each stage once it is trained and measured; what is there is left.

    Args:
        stages: networks.
        jobs: processes, at least one for each device. None: what `usual_jobs` says.
        devices: numbers of the GPUs that the processes are dealt to.
        cluster: address of a Ray cluster, on each of whose machines there are as many processes.
    """
    if cluster is not None:
        there = [replace(stage, run=stage.run.absolute()) for stage in stages]
        for done in done_on_cluster(_run, there, cluster, jobs or 1):
            yield stages[there.index(done)]
        return
    if jobs is None:
        jobs = 1 if devices else usual_jobs(stages)
    jobs = max(jobs, len(devices))
    if jobs == 1 and not devices:
        for stage in stages:
            _run(stage, None)
            yield stage
        return
    threads = max(1, usable_cores() // jobs)
    context, others = get_context("spawn"), set(active_children())
    dealt = context.SimpleQueue()
    for number in range(jobs):
        dealt.put(devices[number % len(devices)] if devices else None)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(dealt,)) as pool:
        # No more than are at work: a process that is stopped must not find another.
        left = iter(stages)
        waiting = {pool.submit(_run, stage, threads): stage for stage in islice(left, jobs)}
        try:
            while waiting:
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    stage = waiting.pop(future)
                    waiting |= {pool.submit(_run, another, threads): another for another in islice(left, 1)}
                    yield stage
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(active_children()) - others:  # each keeps where its training stands
                process.terminate()
            raise


def carried_out(
    stages: Sequence[Stage],
    progress: Progress,
    jobs: int | None,
    devices: Sequence[int] = (),
    cluster: str | None = None,
) -> None:
    """Train and measure networks, and say how long the rest will take.

    Args:
        stages: networks, whose jobs `jobs_of` has told to ``progress``.
        progress: where it is said.
        jobs: as in `finished`, as are the arguments that follow.
        devices: numbers of the GPUs.
        cluster: address of a Ray cluster.
    """
    known = dict(zip((stage.run for stage in stages), jobs_of(stages), strict=True))
    for stage in finished(stages, jobs, devices, cluster):
        progress.done(known[stage.run])


def jobs_of(stages: Sequence[Stage]) -> list[Job]:
    """The stages as jobs: trainings of one name under other seeds take as long; what is there takes no time."""
    weights = [0.0 if RunDirectory(stage.run).is_evaluated else 1.0 for stage in stages]
    return [Job(str(stage.run), stage.run.name, weight) for stage, weight in zip(stages, weights, strict=True)]


def usual_jobs(stages: Sequence[Stage]) -> int:
    """How many networks are trained at once where nobody says: one a free core where all are tiny, otherwise one.

    Networks on a GPU, and those of a person who has set ``OMP_NUM_THREADS``, come one after the other.

    Args:
        stages: networks; those that are measured already do not count.
    """
    left = [stage for stage in stages if not RunDirectory(stage.run).is_evaluated]
    if len(left) < 2 or torch.cuda.is_available() or "OMP_NUM_THREADS" in os.environ:
        return 1
    work = 0
    for experiment in {repr((one.experiment.network, one.experiment.dataset)): one.experiment for one in left}.values():
        data = load(experiment.dataset, "test")
        work = max(work, experiment.batch_size * multiplications(build_network(experiment, data), data.shape))
    return side_by_side(work, len(left))


def _begin(dealt: Any) -> None:
    """Let this process clean up when it is stopped, and leave it one GPU."""
    signal.signal(signal.SIGTERM, _stop)
    _take_device(dealt)


def _take_device(dealt: Any) -> None:
    """Leave this process one GPU, before it looks for any."""
    device = dealt.get()
    if device is not None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[device] if visible else str(device)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run(stage: Stage, threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)
    stage.run.parent.mkdir(parents=True, exist_ok=True)
    fit(stage.experiment, stage.run, resume=True, progress=threads is None, threads=threads)
    evaluate(stage.run, stage.evaluation, resume=True, progress=threads is None, threads=threads)
    if stage.classified:
        predict(stage.run, stage.evaluation.split)
