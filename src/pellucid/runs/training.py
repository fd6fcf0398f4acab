"""Train an experiment into a run directory, on one process or many, resumable at any moment."""

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from pellucid.config import to_config
from pellucid.core.cores import check_threads
from pellucid.core.errors import InputError
from pellucid.core.modes import evaluating, wake
from pellucid.core.randomness import fork
from pellucid.data import Dataset, Loader, load
from pellucid.edits.smoothing import smoothing_words
from pellucid.methods.objective import Objective
from pellucid.methods.terms import cross_entropy, right_shares
from pellucid.runs.checkpoint import Checkpoint, write_beginning, write_rows, write_weights
from pellucid.runs.compiling import compile_network
from pellucid.runs.continuation import is_done
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
from pellucid.runs.fabric import Fabric
from pellucid.runs.fine_tuning import FineTuning, check_task, weights_of_classes
from pellucid.runs.layers import freeze, only_head, parameter_groups, what_trains
from pellucid.runs.lock import working_on
from pellucid.runs.provenance import ended
from pellucid.runs.selection import moving_average, selection_of
from pellucid.runs.settings import Experiment
from pellucid.runs.step import train_step
from pellucid.runs.threads import recorded_threads, settle_threads, threads_kept
from pellucid.runs.trained import beside_training, build_network, facts_of, load_network

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

SCORED = 1000
"""Validation images of your own that are scored after an epoch, or a quarter as many as train, if that is more."""

FROM_THE_BEGINNING = FineTuning(running_statistics="all")
"""What a run goes by that says nothing of fine-tuning."""


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
    threads: int | None = None,
) -> Path:
    """Train and leave a run directory.

    It holds the settings, the machine, what is known of the data, the log (a row per epoch), a checkpoint for resuming,
    for methods that keep numbers of every training image these numbers (SCAAT: q by epoch and index, ``q.parquet``)
    and, once finished, the weights (``model.safetensors``) and the images with the smallest and the largest such
    numbers; `RunDirectory` names every file. A checkpoint is written after every epoch and when SIGTERM or SIGINT
    arrives; a resumed run ends with the same bits on a CPU. After every epoch the validation images are scored: of your
    own images at most 1,000, or a quarter as many as train if that is more, and the same ones every time.

    The network is put in training mode once, but for what its factory froze (`pellucid.core.modes.wake`), and a line on
    the terminal says what trains. With ``experiment.epochs`` 0 nothing does: the run is the network as it is given, so
    that it can be measured and compared.

    Args:
        experiment: what to train.
        run: the directory; must not hold another run.
        resume: continue the run that the directory holds, or begin it where there is none. A finished one is left.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: processes on this machine, one device each.
        num_nodes: machines; the run directory is on a disk that all of them share.
        strategy: ``auto``, ``ddp``, ``ddp_spawn`` or ``ddp_fork``.
        progress: show what trains and a bar on a terminal; what trains is shown of every run that is fine-tuned.
        log: where numbers go besides ``train.csv``, while it trains: ``tensorboard`` or ``csv`` into the directory's
            folder ``log``, or ``wandb``; nowhere by default.
        snapshots: epochs between two snapshots of the maps of a few fixed images (validation images where there are
            any), which the report shows; 0, the default, for none.
        threads: of this process, for a network on a CPU. None: as many as the network has work for and the machine
            has cores that nobody else is using, or what ``OMP_NUM_THREADS`` says; a run that is continued keeps the
            number that it was begun with. Another number changes results by no more than rounding.

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
    check_threads(threads)
    if snapshots < 0:
        raise InputError(f"snapshots must be the number of epochs between two of them, or 0 for none, got {snapshots}")
    loggers = make_loggers(log, directory)
    if is_done(experiment, directory, resume):
        return directory.path
    fabric = make_fabric(accelerator, devices, num_nodes, strategy, experiment.precision, loggers=loggers)
    with threads_kept(), working_on(directory.path) if fabric.is_global_zero else nullcontext():
        if is_done(experiment, directory, resume):  # asked once more, as nobody else changes it from here on
            return directory.path
        if experiment.epochs == 0:
            launch(fabric, partial(_leave_as_given, experiment=experiment, directory=directory))
            return directory.path
        work = partial(
            _fit, experiment=experiment, directory=directory, progress=progress, snapshots=snapshots, threads=threads
        )
        launch(fabric, work)
        if not directory.weights.exists():  # a spawned process was stopped, which its parent is not told
            raise Interrupted("SIGTERM")
    return directory.path


def _leave_as_given(fabric: Fabric, experiment: Experiment, directory: RunDirectory) -> None:
    """A finished run of no epoch: the network with the weights that it is given."""
    train = load(experiment.dataset, "train")
    model = build_network(experiment, train)
    if fabric.is_global_zero:
        write_beginning(
            directory, experiment, facts_of(model, train, *beside_training(experiment.dataset)), model, fabric
        )
        write_rows(directory, [])
        ended(directory)
        write_weights(directory, model.state_dict())
    fabric.barrier()


def _fit(
    fabric: Fabric, experiment: Experiment, directory: RunDirectory, progress: bool, snapshots: int, threads: int | None
) -> None:
    train = load(experiment.dataset, "train")
    validation, *tested = beside_training(experiment.dataset)
    tuning = experiment.fine_tuning or FROM_THE_BEGINNING
    check_task(tuning, train.task)
    selection = selection_of(tuning, len(validation))
    model = build_network(experiment, train)
    wake(model)
    freeze(model, tuning)
    if fabric.device.type == "cpu" and fabric.world_size == 1:  # Fabric deals the cores to several processes
        known = threads or recorded_threads(directory.environment)
        settle_threads(model, train.shape, experiment.batch_size, asked=known)
    if progress and fabric.is_global_zero and experiment.smoothing is not None:
        print(f"{directory.path.name}: {smoothing_words(model)}", file=sys.stderr)

    def loader(dataset: Dataset, *, shuffle: bool) -> Loader:
        return Loader(
            dataset, batch_size=experiment.batch_size, device=fabric.device, shuffle=shuffle, seed=experiment.seed,
            augmentation=experiment.dataset.augmentation if shuffle else "none", rank=fabric.global_rank,
            world=fabric.world_size, balanced=shuffle and tuning.sampling == "balanced", drop_last=shuffle,
            workers=experiment.dataset.workers,
        )  # fmt: skip

    # Not of published sets, whose validation images are few beside those that train.
    scored = (
        validation if experiment.dataset.is_fixed else validation.some(max(SCORED, len(train) // 4), experiment.seed)
    )
    batches = loader(train, shuffle=True)
    objective = Objective(
        model, experiment.method, len(train), experiment.epochs * len(batches), seed=experiment.seed, task=train.task,
        class_weights=weights_of_classes(tuning.class_weights, train.labels.tolist(), train.classes),
        label_smoothing=tuning.label_smoothing, running_statistics=tuning.running_statistics,
    )  # fmt: skip
    # q is the same in every process already; DDP need not send rank 0's.
    objective._ddp_params_and_buffers_to_ignore = [f"state.{name}" for name, _ in objective.state.named_buffers()]  # type: ignore[assignment]
    groups = parameter_groups(objective, model, lr=experiment.optimizer.lr, layer_decay=tuning.layer_decay)
    optimizer = experiment.optimizer.build(groups)
    steps = -(-len(batches) // tuning.accumulate)
    rising = round(tuning.warmup * steps * experiment.epochs)
    schedule = experiment.schedule.build(optimizer, steps_per_epoch=steps, epochs=experiment.epochs, rising=rising)
    wrapped, wrapped_optimizer = fabric.setup(objective, optimizer)
    compile_network(model, experiment.compile, fabric.device)
    average = None if tuning.ema is None else moving_average(model, tuning.ema)
    checkpoint = Checkpoint(
        fabric, experiment, directory, facts_of(model, train, validation, *tested), objective, optimizer, schedule,
        snapshots=snapshots, watched=validation if len(validation) else train, average=average, selection=selection,
    )  # fmt: skip
    checkpoint.restore()
    checkpoint.sample_numbers()  # what the method names wrongly is told before the first step
    if progress and fabric.is_global_zero and (experiment.fine_tuning is not None or sys.stderr.isatty()):
        print(f"{directory.path.name}: {_told(model, experiment)}", file=sys.stderr)
    done, total = checkpoint.epoch * len(batches) + checkpoint.batch, experiment.epochs * len(batches)
    bar = progress_bar(fabric, progress, total=total, initial=done, desc=directory.path.name, unit="step")
    with bar, stop_signals() as stop:
        while not checkpoint.is_over:
            clock = time.perf_counter() - checkpoint.seconds
            alone = fabric.world_size == 1  # otherwise all processes ask one another at the same steps
            rest: AbstractContextManager[Sequence[nn.Parameter]] = nullcontext(())
            if checkpoint.epoch < tuning.head_epochs:
                rest = only_head(model, spare=alone)
            with rest as resting:
                for batch in batches.epoch(checkpoint.epoch, start=checkpoint.batch):
                    together, last = _place(checkpoint.batch, len(batches), tuning.accumulate)
                    losses = train_step(
                        fabric, wrapped, wrapped_optimizer, schedule, batch, batches=together, last=last,
                        clip=tuning.clip, resting=resting,
                    )  # fmt: skip
                    checkpoint.add(losses)
                    if average is not None and last:
                        average.update_parameters(model)
                    if checkpoint.is_new:  # after the first step, so that a mistake it finds leaves no directory
                        checkpoint.begin()
                    bar.update()
                    # Nothing is saved between the batches of a step, whose gradients no checkpoint holds.
                    if checkpoint.batch % (10 * tuning.accumulate) == 0 or (stop and alone and last):
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
            scores = {}
            if len(validation):
                classes = len(train.classes) if tuning.score == "balanced_accuracy" else None
                with fork(experiment.seed, checkpoint.epoch, "validation", device=fabric.device):
                    scores = validation_scores(fabric, checkpoint.network, loader(scored, shuffle=False), classes)
            checkpoint.end_epoch(scores)
            if any_process(fabric, bool(stop)):
                raise Interrupted(stop[0] if stop else "SIGTERM")
    if fabric.is_global_zero:
        for logger in fabric.loggers:
            logger.finalize("success")
        checkpoint.finish(train)
    fabric.barrier()


def _told(model: nn.Module, experiment: Experiment) -> str:
    """What trains, and in which epochs only the last layer does."""
    epochs = 0 if experiment.fine_tuning is None else experiment.fine_tuning.head_epochs
    if not epochs:
        return what_trains(model)
    if epochs >= experiment.epochs:
        return "only the last layer is trained, and BatchNorm keeps its statistics"
    first = "epoch" if epochs == 1 else f"{epochs} epochs"
    return f"{what_trains(model)}; in the first {first} only the last layer is trained"


def _place(batch: int, batches: int, accumulate: int) -> tuple[int, bool]:
    """Of how many batches the step is that a batch of an epoch belongs to, and whether it is the last of them.

    >>> [_place(batch, batches=5, accumulate=2) for batch in range(5)]
    [(2, False), (2, True), (2, False), (2, True), (1, True)]
    """
    first = batch // accumulate * accumulate
    together = min(accumulate, batches - first)
    return together, batch + 1 == first + together


@torch.no_grad()
def validation_scores(
    fabric: Fabric, model: nn.Module, batches: Loader, classes: int | None = None
) -> dict[str, float]:
    """Accuracy and cross-entropy on the validation images, over all processes.

    With several labels per image the accuracy is the mean over the images of the share of known labels that is right.

    Args:
        fabric: of this process.
        model: the network.
        batches: the validation images.
        classes: their number, where the mean of their accuracies is wanted too; None: not.
    """
    totals = torch.zeros(3, device=fabric.device)
    by_class = torch.zeros(2, classes or 0, device=fabric.device)
    with evaluating(model), fabric.autocast():
        for image, label, *_ in batches.epoch(0):
            logits = model(image)
            right = right_shares(logits, label).sum()
            loss = cross_entropy(logits.float(), label, reduction="sum")
            totals += torch.stack([right.float(), loss, torch.tensor(float(len(label)), device=fabric.device)])
            if classes is not None:
                by_class[0] += label[logits.argmax(1) == label].bincount(minlength=classes)
                by_class[1] += label.bincount(minlength=classes)
    right, loss, count = cast(Tensor, fabric.all_reduce(totals, reduce_op="sum")).tolist()
    scores = {"validation_accuracy": right / count, "validation_loss": loss / count}
    if classes is not None:
        of_class, there = cast(Tensor, fabric.all_reduce(by_class, reduce_op="sum"))
        scores["validation_balanced_accuracy"] = (of_class[there > 0] / there[there > 0]).mean().item()
    return scores
