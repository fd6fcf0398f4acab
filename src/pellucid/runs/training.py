"""Train an experiment into a run directory, on one process or many, resumable at any moment."""

import builtins
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
import torch.distributed as dist
import torch.nn.functional as F
from lightning_fabric import Fabric
from lightning_fabric.loggers.csv_logs import CSVLogger
from lightning_fabric.loggers.logger import Logger
from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessRaisedException
from tqdm import tqdm

from pellucid.config import to_config
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.core.modes import evaluating
from pellucid.core.randomness import fork
from pellucid.data import Dataset, Loader, load
from pellucid.edits.smoothing import smooth
from pellucid.methods.objective import Objective
from pellucid.models import build
from pellucid.runs.checkpoint import Session
from pellucid.runs.settings import Experiment, read_experiment

__all__ = ["Interrupted", "Log", "fit", "load_network"]

Log = Literal["tensorboard", "csv", "wandb"]
STRATEGIES = ("auto", "ddp", "ddp_spawn", "ddp_fork")
BEFORE_THE_FIRST_CHECKPOINT = (
    "experiment.yaml",
    "environment.json",
    "train.csv",
    "q.parquet",
    "snapshots.safetensors",
    "log",
)


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal; the checkpoint holds all that was done.

    Attributes:
        name: of the signal.
        code: exit code of a process that ends for this reason, 128 plus the signal's number.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"stopped by {name}; continue with --resume")
        self.name = name
        self.code = 128 + signal.Signals[name]

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[str]]:
        """So that a process can tell another of it."""
        return Interrupted, (self.name,)


def build_network(experiment: Experiment, dataset: Dataset) -> nn.Module:
    """The experiment's network with its smoothing blocks and its seed's initial weights, on the CPU."""
    with fork(experiment.seed, "init"):
        model = build(
            experiment.network,
            classes=len(dataset.classes),
            shape=dataset.shape,
            mean=dataset.mean,
            std=dataset.std,
        )
        if experiment.smoothing is not None:
            model = smooth(model, experiment.smoothing, example=torch.zeros(1, *dataset.shape))
    return model.to(memory_format=torch.channels_last) if experiment.channels_last else model  # type: ignore[call-overload]


def load_network(run: str | Path, dataset: Dataset) -> nn.Module:
    """The trained network of a run directory, in eval mode, on the CPU.

    Args:
        run: the directory.
        dataset: any split of the experiment's dataset; gives classes and shape.

    Raises:
        InputError: the run is not finished, or its weights are those of another network.
    """
    run = Path(run)
    experiment = read_experiment(run)
    # The weights that training began with are in model.safetensors' place now; their file may be gone.
    experiment = replace(experiment, network=replace(experiment.network, weights=None))
    model = build_network(experiment, dataset)
    file = run / "model.safetensors"
    if not file.is_file():
        raise InputError(f"{run} has no model.safetensors: its training is not finished; continue it with --resume")
    try:
        model.load_state_dict(load_file(file))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} does not fit the network of {run / 'experiment.yaml'}: {reason[:300]}") from None
    except Exception as error:  # safetensors raises its own class for a damaged file
        raise InputError(f"{file} cannot be read, it may be truncated: {error}") from None
    return model.eval()


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

    It holds ``experiment.yaml``, ``environment.json``, ``train.csv`` (a row per epoch), ``state.pt`` (for resuming),
    ``q.parquet`` (SCAAT: q by epoch and index) and, once finished, ``model.safetensors`` (SCAAT: also
    ``extremes.safetensors``, the images with the smallest and the largest q). A checkpoint is written
    after every epoch and when SIGTERM or SIGINT arrives; a resumed run ends with the same bits on a CPU.

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
        InputError: a setting that cannot be, data or a logger's package that is not there, a loss that is not finite.
        Interrupted: stopped by a signal, after the checkpoint was written.
    """
    run = Path(run)
    if not isinstance(experiment, Experiment):
        raise InputError(f"experiment must be a pellucid.Experiment, got {experiment!r}")
    to_config(experiment)  # refuses what no file can name before anything is trained
    if snapshots < 0:
        raise InputError(f"snapshots must be the epochs between two, or 0 for none, got {snapshots}")
    loggers = make_loggers(log, run)
    _check_directory(experiment, run, resume)
    if (run / "model.safetensors").exists():
        return run
    fabric = make_fabric(accelerator, devices, num_nodes, strategy, experiment.precision, loggers=loggers)
    launch(fabric, partial(_fit, experiment=experiment, run=run, progress=progress, snapshots=snapshots))
    if not (run / "model.safetensors").exists():  # a spawned process was stopped, which its parent is not told
        raise Interrupted("SIGTERM")
    return run


def make_fabric(
    accelerator: str,
    devices: int | str,
    num_nodes: int,
    strategy: str,
    precision: str = "32-true",
    *,
    loggers: Sequence[Logger] = (),
) -> Fabric:
    """Fabric for one process or replicas on many."""
    if strategy not in STRATEGIES:
        raise InputError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy!r}")
    try:
        return Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=num_nodes,
            strategy=strategy,
            precision=cast(Any, precision),
            loggers=list(loggers),
        )
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"accelerator {accelerator!r} with devices {devices!r}: {reason}") from None


def make_loggers(log: Log | None, run: Path) -> list[Logger]:
    """Fabric's loggers of a run; none for None.

    Raises:
        InputError: an unknown name, or its package is not there.
    """
    if log is None:
        return []
    if log not in get_args(Log):
        raise InputError(f"log must be one of {', '.join(get_args(Log))}, got {log!r}")
    try:
        match log:
            case "csv":
                return [CSVLogger(run, name="log")]
            case "tensorboard":
                return [TensorBoardLogger(run, name="log")]
            case _:
                from lightning.pytorch.loggers import WandbLogger

                return [cast(Logger, WandbLogger(name=run.name, save_dir=run / "log"))]
    except ImportError:
        raise InputError(f"log {log!r} needs a package that is not here; pip install 'pellucid[{log}]'") from None


def launch(fabric: Fabric, work: Callable[[Fabric], None]) -> None:
    """Do the work in every process of ``fabric``; a user's mistake found in a child process is told as one."""
    try:
        fabric.launch(work)
    except ProcessRaisedException as error:
        last = str(error).strip().splitlines()[-1]
        name, _, sentence = last.partition(": ")
        if name == f"{InputError.__module__}.{InputError.__qualname__}":
            raise InputError(sentence) from None
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, OSError):
            raise OSError(sentence) from None
        raise


def is_first_process() -> bool:
    """Whether this process is the one that reports; the only one without a distributed run."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


def _check_directory(experiment: Experiment, run: Path, resume: bool) -> None:
    if run.exists() and not run.is_dir():
        raise InputError(f"the run directory {run} is a file; give a folder")
    if not (run / "state.pt").exists() and not (run / "model.safetensors").exists():
        others = [file.name for file in run.glob("[!.]*") if file.name not in BEFORE_THE_FIRST_CHECKPOINT]
        if others:
            raise InputError(f"{run} holds {others[0]!r} and no run; give a new or empty folder")
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


def _fit(fabric: Fabric, experiment: Experiment, run: Path, progress: bool, snapshots: int) -> None:
    train, validation = load(experiment.dataset, "train"), load(experiment.dataset, "validation")
    model = build_network(experiment, train)

    def loader(dataset: Dataset, *, shuffle: bool) -> Loader:
        return Loader(
            dataset,
            batch_size=experiment.batch_size,
            device=fabric.device,
            shuffle=shuffle,
            seed=experiment.seed,
            augmentation=experiment.dataset.augmentation if shuffle else "none",
            rank=fabric.global_rank,
            world=fabric.world_size,
            drop_last=shuffle,
            workers=experiment.dataset.workers,
        )

    batches = loader(train, shuffle=True)
    objective = Objective(model, experiment.method, len(train), experiment.epochs * len(batches), seed=experiment.seed)
    # q is the same in every process already; DDP need not send rank 0's.
    objective._ddp_params_and_buffers_to_ignore = [f"state.{name}" for name, _ in objective.state.named_buffers()]  # type: ignore[assignment]
    optimizer = experiment.optimizer.build(objective.parameters())
    schedule = experiment.schedule.build(optimizer, steps_per_epoch=len(batches), epochs=experiment.epochs)
    wrapped, wrapped_optimizer = fabric.setup(objective, optimizer)
    watched = validation if len(validation) else train
    session = Session(fabric, experiment, run, objective, optimizer, schedule, snapshots=snapshots, watched=watched)
    session.restore()
    if fabric.is_global_zero:
        for name in ("experiment", "environment", "train", "q", "state", "model", "snapshots", "extremes"):
            for left in run.glob(f".{name}-*"):
                left.unlink()  # half-written by a process that was killed
    fabric.barrier()

    bar = tqdm(
        total=experiment.epochs * len(batches),
        initial=session.epoch * len(batches) + session.batch,
        desc=run.name,
        unit="step",
        dynamic_ncols=True,
        disable=None if progress and fabric.is_global_zero else True,
    )
    with bar, _signals() as stop:
        while session.epoch < experiment.epochs:
            clock = time.perf_counter() - session.seconds
            for batch in batches.epoch(session.epoch, start=session.batch):
                session.add(train_step(fabric, wrapped, wrapped_optimizer, schedule, batch))
                if session.is_new:  # after the first step, so that a mistake it finds leaves no directory
                    session.begin()
                bar.update()
                alone = fabric.world_size == 1  # else all processes ask one another at the same steps
                if session.batch % 10 == 0 or (stop and alone):
                    session.seconds = time.perf_counter() - clock
                    if session.batch % 50 == 0:
                        loss = session.check_finite()
                        bar.set_postfix_str(f"loss {loss:.3f}")
                        session.log({"running_loss": loss}, session.epoch * len(batches) + session.batch)
                    if _any(fabric, bool(stop)):
                        session.save()
                        raise Interrupted(stop[0] if stop else "SIGTERM")
            session.seconds = time.perf_counter() - clock
            session.check_finite()
            scores = validation_scores(fabric, model, loader(validation, shuffle=False)) if len(validation) else {}
            session.end_epoch(scores)
            if _any(fabric, bool(stop)):
                raise Interrupted(stop[0] if stop else "SIGTERM")
    if fabric.is_global_zero:
        for logger in fabric.loggers:
            logger.finalize("success")
        session.write_extremes(train)
        # Cloned, since safetensors refuses weights that share memory, as tied ones do.
        weights = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
        with whole_file(run / "model.safetensors") as temporary:
            temporary.write_bytes(save(weights))
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
        for image, label, _ in batches.epoch(0):
            logits = model(image)
            right = (logits.argmax(1) == label).sum()
            loss = F.cross_entropy(logits.float(), label, reduction="sum")
            totals += torch.stack([right.float(), loss, torch.tensor(float(len(label)), device=fabric.device)])
    right, loss, count = cast(Tensor, fabric.all_reduce(totals, reduce_op="sum")).tolist()
    return {"validation_accuracy": right / count, "validation_loss": loss / count}


@contextmanager
def _signals() -> Iterator[list[str]]:
    """A list that gets a signal's name when SIGTERM or SIGINT arrives; a second one acts as ever.

    In a process of a pool a second one does nothing: a terminal tells it of the first, and its parent does too.
    """
    received: list[str] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: Any) -> None:
        received.append(signal.Signals(number).name)
        for known, handler in before.items():
            signal.signal(known, handler if parent_process() is None else (lambda *_: None))

    try:
        for number in before:
            signal.signal(number, note)
    except ValueError:  # not the main thread, where no signal arrives
        before = {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _any(fabric: Fabric, flag: bool) -> bool:
    """Whether any process says so; all of them stop at the same step."""
    if fabric.world_size == 1:
        return flag
    return bool(cast(Tensor, fabric.all_reduce(torch.tensor(float(flag)), reduce_op="sum")).item())
