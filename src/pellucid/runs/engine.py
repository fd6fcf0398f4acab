"""The processes that train or measure: started, told to stop, and heard when one of them fails."""

import builtins
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any, Literal, cast, get_args

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.loggers.csv_logs import CSVLogger
from lightning_fabric.loggers.logger import Logger
from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from torch import Tensor
from torch.multiprocessing.spawn import ProcessRaisedException
from tqdm import tqdm

from pellucid.config.trusted import carried
from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.runs.directory import RunDirectory

__all__ = [
    "Interrupted",
    "Log",
    "any_process",
    "is_first_process",
    "launch",
    "make_fabric",
    "make_loggers",
    "progress_bar",
    "stop_signals",
]

Log = Literal["tensorboard", "csv", "wandb"]
STRATEGIES = ("auto", "ddp", "ddp_spawn", "ddp_fork")


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
    one_of(STRATEGIES, strategy=strategy)
    try:
        return Fabric(
            accelerator=accelerator, devices=devices, num_nodes=num_nodes, strategy=strategy,
            precision=cast(Any, precision), loggers=list(loggers),
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"accelerator {accelerator!r} with devices {devices!r}: {reason}") from None


def progress_bar(fabric: Fabric, progress: bool, **settings: Any) -> Any:
    """A bar of tqdm's, which the first process shows on a terminal where progress is asked for."""
    return tqdm(dynamic_ncols=True, disable=None if progress and fabric.is_global_zero else True, **settings)


def make_loggers(log: Log | None, directory: RunDirectory) -> list[Logger]:
    """Fabric's loggers of a run; none for None.

    Args:
        log: which one.
        directory: of the run.

    Raises:
        InputError: an unknown name, or its package is not there.
    """
    if log is None:
        return []
    one_of(get_args(Log), log=log)
    folder = directory.logs
    try:
        match log:
            case "csv":
                return [CSVLogger(folder.parent, name=folder.name)]
            case "tensorboard":
                return [TensorBoardLogger(folder.parent, name=folder.name)]
            case _:
                from lightning.pytorch.loggers import WandbLogger

                return [cast(Logger, WandbLogger(name=directory.path.name, save_dir=folder))]
    except ImportError:
        raise InputError(f"log {log!r} needs a package that is not here; pip install 'pellucid[{log}]'") from None


def launch(fabric: Fabric, work: Callable[[Fabric], None]) -> None:
    """Do the work in every process of ``fabric``; a user's mistake found in a child process is told as one."""
    try:
        fabric.launch(carried(work))
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


@contextmanager
def stop_signals() -> Iterator[list[str]]:
    """A list that gets a signal's name when SIGTERM, SIGINT or SIGHUP arrives; a second one acts as ever.

    A SIGHUP that is ignored stays so, as nohup wants it. In a process of a pool a second one does nothing: a terminal
    tells it of the first, and its parent does too.
    """
    received: list[str] = []
    stopping = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in stopping}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}

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


def any_process(fabric: Fabric, flag: bool) -> bool:
    """Whether any process says so; all of them stop at the same step."""
    if fabric.world_size == 1:
        return flag
    return bool(cast(Tensor, fabric.all_reduce(torch.tensor(float(flag)), reduce_op="sum")).item())
