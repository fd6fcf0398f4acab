"""Train an experiment into a run directory, on one process or many, resumable at any moment."""

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from pellucid.config import to_config
from pellucid.core.errors import InputError
from pellucid.core.modes import evaluating
from pellucid.data import Dataset, Loader, load
from pellucid.edits.smoothing import smoothing_words
from pellucid.methods.objective import Objective
from pellucid.runs.checkpoint import Checkpoint
from pellucid.runs.directory import RunDirectory
from pellucid.runs.engine import (
    Interrupted,
    Log,
    any_process,
    is_first_process,
    launch,
    make_fabric,
    make_loggers,
    progress_bar,
    stop_signals,
)
from pellucid.runs.settings import Experiment, read_experiment
from pellucid.runs.trained import build_network, facts_of, load_network

__all__ = [
    "Interrupted",
    "Log",
    "build_network",
    "fit",
    "is_first_process",
    "launch",
    "load_network",
    "make_fabric",
    "train_step",
]


def fit(
    experiment: Experiment,
    run: str | Path,
    *,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | str = 1,
    num_nodes: int = 1,
    strategy: str = "auto",
    progress: bool = True,
    log: Log | None = None,
    snapshots: int = 0,
) -> Path:
    """Train and leave a run directory.

    It holds the settings, the machine, what is known of the data, the log (a row per epoch), a checkpoint for resuming,
    for methods that keep numbers of every training image these numbers (SCAAT: q by epoch and index, ``q.parquet``)
    and, once finished, the weights (``model.safetensors``) and the images with the smallest and the largest such
    numbers; `RunDirectory` names every file. A checkpoint is written after every epoch and when SIGTERM or SIGINT
    arrives; a resumed run ends with the same bits on a CPU.

    Args:
        experiment: what to train.
        run: the directory; must not hold another run.
        resume: continue the run that the directory holds, or begin it where there is none. A finished one is left.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: processes on this machine, one device each.
        num_nodes: machines; the run directory is on a disk that all of them share.
        strategy: ``auto``, ``ddp``, ``ddp_spawn`` or ``ddp_fork``.
        progress: show a bar on a terminal.
        log: where numbers go besides ``train.csv``, while it trains: ``tensorboard`` or ``csv`` into the directory's
            folder ``log``, or ``wandb``; nowhere by default.
        snapshots: epochs between two snapshots of the maps of a few fixed images (validation images where there are
            any), which the report shows; 0, the default, for none.

    Returns:
        The run directory.

    Raises:
        InputError: a setting that cannot be, data or a logger's package that is not there, a loss that is not finite,
            or a run that was begun with other settings or other training images.
        Interrupted: stopped by a signal, after the checkpoint was written.
    """
    directory = RunDirectory(run)
    if not isinstance(experiment, Experiment):
        raise InputError(f"experiment must be a pellucid.Experiment, got {experiment!r}")
    to_config(experiment)  # refuses what no file can name before anything is trained
    if snapshots < 0:
        raise InputError(f"snapshots must be the epochs between two, or 0 for none, got {snapshots}")
    loggers = make_loggers(log, directory)
    _check_directory(experiment, directory, resume)
    if directory.is_finished:
        return directory.path
    fabric = make_fabric(accelerator, devices, num_nodes, strategy, experiment.precision, loggers=loggers)
    work = partial(_fit, experiment=experiment, directory=directory, progress=progress, snapshots=snapshots)
    launch(fabric, work)
    if not directory.weights.exists():  # a spawned process was stopped, which its parent is not told
        raise Interrupted("SIGTERM")
    return directory.path


def _check_directory(experiment: Experiment, directory: RunDirectory, resume: bool) -> None:
    run = directory.path
    if run.exists() and not run.is_dir():
        raise InputError(f"the run directory {run} is a file; give a folder")
    if not directory.is_begun:
        if directory.foreign:
            raise InputError(f"{run} holds {directory.foreign[0]!r} and no run; give a new or empty folder")
        return
    if not resume:
        raise InputError(f"{run} holds a run already; continue it with --resume or give another folder")
    difference = _first_difference(to_config(read_experiment(run)), to_config(experiment))
    if difference is not None:
        name, there, asked = difference
        raise InputError(
            f"{run} was begun with another {name}: {there} there, {asked} asked for; "
            "resume with the same settings or give another folder"
        )


def _first_difference(there: Any, asked: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Dotted name and both values of the first setting in which two configs differ."""
    if there == asked:
        return None
    if not (isinstance(there, dict) and isinstance(asked, dict) and there.keys() == asked.keys()):
        return name, there, asked
    if there.get("class_path") != asked.get("class_path"):
        return name, there["class_path"], asked["class_path"]
    inner = (_first_difference(there[key], asked[key], f"{name}.{key}".strip(".")) for key in asked)
    return next(difference for difference in inner if difference is not None)


def _fit(fabric: Fabric, experiment: Experiment, directory: RunDirectory, progress: bool, snapshots: int) -> None:
    train, validation = load(experiment.dataset, "train"), load(experiment.dataset, "validation")
    model = build_network(experiment, train)
    if progress and fabric.is_global_zero and experiment.smoothing is not None:
        print(f"{directory.path.name}: {smoothing_words(model)}", file=sys.stderr)

    def loader(dataset: Dataset, *, shuffle: bool) -> Loader:
        return Loader(
            dataset, batch_size=experiment.batch_size, device=fabric.device, shuffle=shuffle, seed=experiment.seed,
            augmentation=experiment.dataset.augmentation if shuffle else "none", rank=fabric.global_rank,
            world=fabric.world_size, drop_last=shuffle, workers=experiment.dataset.workers,
        )  # fmt: skip

    batches = loader(train, shuffle=True)
    objective = Objective(model, experiment.method, len(train), experiment.epochs * len(batches), seed=experiment.seed)
    # q is the same in every process already; DDP need not send rank 0's.
    objective._ddp_params_and_buffers_to_ignore = [f"state.{name}" for name, _ in objective.state.named_buffers()]  # type: ignore[assignment]
    optimizer = experiment.optimizer.build(objective.parameters())
    schedule = experiment.schedule.build(optimizer, steps_per_epoch=len(batches), epochs=experiment.epochs)
    wrapped, wrapped_optimizer = fabric.setup(objective, optimizer)
    checkpoint = Checkpoint(
        fabric, experiment, directory, facts_of(model, train), objective, optimizer, schedule,
        snapshots=snapshots, watched=validation if len(validation) else train,
    )  # fmt: skip
    checkpoint.restore()
    sample_names = list(checkpoint.sample_numbers())
    if fabric.is_global_zero:
        directory.remove_half_written(sample_names)
    fabric.barrier()

    done, total = checkpoint.epoch * len(batches) + checkpoint.batch, experiment.epochs * len(batches)
    bar = progress_bar(fabric, progress, total=total, initial=done, desc=directory.path.name, unit="step")
    with bar, stop_signals() as stop:
        while checkpoint.epoch < experiment.epochs:
            clock = time.perf_counter() - checkpoint.seconds
            for batch in batches.epoch(checkpoint.epoch, start=checkpoint.batch):
                checkpoint.add(train_step(fabric, wrapped, wrapped_optimizer, schedule, batch))
                if checkpoint.is_new:  # after the first step, so that a mistake it finds leaves no directory
                    checkpoint.begin()
                bar.update()
                alone = fabric.world_size == 1  # otherwise all processes ask one another at the same steps
                if checkpoint.batch % 10 == 0 or (stop and alone):
                    checkpoint.seconds = time.perf_counter() - clock
                    if checkpoint.batch % 50 == 0:
                        loss = checkpoint.check_finite()
                        bar.set_postfix_str(f"loss {loss:.3f}")
                        checkpoint.log({"running_loss": loss}, checkpoint.epoch * len(batches) + checkpoint.batch)
                    if any_process(fabric, bool(stop)):
                        checkpoint.save()
                        raise Interrupted(stop[0] if stop else "SIGTERM")
            checkpoint.seconds = time.perf_counter() - clock
            checkpoint.check_finite()
            scores = validation_scores(fabric, model, loader(validation, shuffle=False)) if len(validation) else {}
            checkpoint.end_epoch(scores)
            if any_process(fabric, bool(stop)):
                raise Interrupted(stop[0] if stop else "SIGTERM")
    if fabric.is_global_zero:
        for logger in fabric.loggers:
            logger.finalize("success")
        checkpoint.finish(train)
    fabric.barrier()


def train_step(fabric: Fabric, objective: Any, optimizer: Any, schedule: Any, batch: Any) -> dict[str, Tensor]:
    """One optimizer step on one batch, with Fabric's wrappers of the objective and the optimizer; its losses."""
    losses: dict[str, Tensor] = objective(*batch)
    fabric.backward(losses["loss"])
    optimizer.step()
    optimizer.zero_grad()
    schedule.step()
    return losses


@torch.no_grad()
def validation_scores(fabric: Fabric, model: nn.Module, batches: Loader) -> dict[str, float]:
    """Accuracy and cross-entropy on the validation images, over all processes."""
    totals = torch.zeros(3, device=fabric.device)
    with evaluating(model), fabric.autocast():
        for image, label, *_ in batches.epoch(0):
            logits = model(image)
            right = (logits.argmax(1) == label).sum()
            loss = F.cross_entropy(logits.float(), label, reduction="sum")
            totals += torch.stack([right.float(), loss, torch.tensor(float(len(label)), device=fabric.device)])
    right, loss, count = cast(Tensor, fabric.all_reduce(totals, reduce_op="sum")).tolist()
    return {"validation_accuracy": right / count, "validation_loss": loss / count}
