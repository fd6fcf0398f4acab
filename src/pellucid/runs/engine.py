"""The processes that train or measure: started, told to stop, and heard when one of them fails."""

import builtins
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any, Literal, cast, get_args

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException
from tqdm import tqdm

from pellucid.config.trusted import carried
from pellucid.core.checks import at_least, one_of
from pellucid.core.cores import usable_cores
from pellucid.core.errors import InputError
from pellucid.runs.directory import RunDirectory
from pellucid.runs.fabric import (
    ClusterEnvironment,
    CSVLogger,
    Fabric,
    LightningEnvironment,
    Logger,
    MisconfigurationException,
    TensorBoardLogger,
)
from pellucid.runs.launcher import MARKERS, Launcher, launcher

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
A_CORE = 4
"""Processes that one core of a CPU may have; each holds the network and the data."""


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
    """Fabric for one process or replicas on many, whether they are started from here or have been already.

    Args:
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: processes on this machine, or ``auto``; 1 also where torchrun, srun and the like have started them.
        num_nodes: machines; likewise.
        strategy: one of `STRATEGIES`.
        precision: of the arithmetic.
        loggers: where numbers go while it trains.

    Raises:
        InputError: a setting that cannot be, or one that what has started this process contradicts.
    """
    one_of(STRATEGIES, strategy=strategy)
    found, asked = launcher(), (accelerator, devices)
    place: ClusterEnvironment = LightningEnvironment()
    if found is not None:
        _check_agrees(found, devices, num_nodes, strategy)
        place, devices, num_nodes, strategy = _Started(found), found.here, found.machines, "ddp"
    elif num_nodes > 1:
        _check_meeting_place(num_nodes)
    if found is None and devices != 1:
        for name in MARKERS.values():  # of a launcher of one process, for those that it starts are not of it
            os.environ.pop(name, None)
    with _settings_of_fabric_run() as settings:
        accelerator = _agreed("accelerator", accelerator, "auto", settings)
        _agreed("precision", precision, None, settings)
        _check_place(accelerator, devices, precision)
        try:
            return Fabric(
                accelerator=accelerator, devices=devices, num_nodes=num_nodes, strategy=strategy,
                precision=cast(Any, precision), loggers=list(loggers), plugins=[place],
            )  # fmt: skip
        except (ValueError, RuntimeError, MisconfigurationException) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"accelerator {asked[0]!r} with devices {asked[1]!r}: {reason}") from None


def _check_place(accelerator: str, devices: int | str, precision: str) -> None:
    """Refuse what this machine has not, before Fabric does so in words of its own."""
    one_of(("auto", "cpu", "cuda", "gpu", "mps"), accelerator=accelerator)
    present = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    kind = "cpu" if accelerator == "cpu" or present is None else present.type
    if accelerator not in ("auto", "cpu", kind) and (accelerator, kind) != ("gpu", "cuda"):
        raise InputError(f"accelerator {accelerator!r} is not available; this machine has {present or 'only a cpu'}")
    if isinstance(devices, int):
        at_least(1, devices=devices)
        most = A_CORE * usable_cores()
        if kind == "cpu" and devices > most:
            raise InputError(f"devices must be at most {most}, {A_CORE} processes for each core, got {devices}")
    if kind == "cpu" and precision == "16-mixed":
        raise InputError("precision 16-mixed is not possible on a cpu; give bf16-mixed or 32-true")


class _Started(ClusterEnvironment):
    """How Fabric is told of processes that have been started already.

    Args:
        found: by what, and which of them this is.
    """

    def __init__(self, found: Launcher) -> None:
        super().__init__()
        self.found = found

    creates_processes_externally = property(lambda self: True)
    main_address = property(lambda self: self.found.address)
    main_port = property(lambda self: self.found.port)

    @staticmethod
    def detect() -> bool:
        return launcher() is not None

    def world_size(self) -> int:
        return self.found.processes

    def set_world_size(self, size: int) -> None: ...

    def global_rank(self) -> int:
        return self.found.rank

    def set_global_rank(self, rank: int) -> None: ...

    def local_rank(self) -> int:
        return self.found.local_rank

    def node_rank(self) -> int:
        return self.found.machine


def _check_agrees(found: Launcher, devices: int | str, num_nodes: int, strategy: str) -> None:
    """Refuse to start processes where they have been started already, unless as many are asked for."""
    for name, asked, there in (("devices", devices, found.here), ("num_nodes", num_nodes, found.machines)):
        if asked not in (1, "auto", there):
            raise InputError(
                f"{name} is {asked}, but {found.name} has started {found.processes} processes, {found.here} on this "
                f"machine; leave {name} out"
            )
    if strategy not in ("auto", "ddp"):
        raise InputError(
            f"strategy {strategy!r} starts processes itself, but {found.name} has started {found.processes}; leave it "
            "out"
        )


def _check_meeting_place(num_nodes: int) -> None:
    """Refuse several machines that cannot find one another; each would wait for half an hour."""
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if name not in os.environ]
    if missing:
        raise InputError(
            f"num_nodes is {num_nodes}, but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set on "
            "this machine, so that the machines cannot find one another; set them, or start with torchrun, srun or "
            "fabric run"
        )


@contextmanager
def _settings_of_fabric_run() -> Iterator[dict[str, str]]:
    """What ``fabric run`` was told, hidden from Fabric, which refuses devices named twice and a second launch."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("LT_")}
    for name in settings:
        del os.environ[name]
    try:
        yield settings
    finally:
        os.environ.update(settings)


def _agreed(name: str, ours: str, default: str | None, settings: dict[str, str]) -> str:
    """A setting that ``fabric run`` may have been told instead of pellucid."""
    told = settings.get(f"LT_{name.upper()}", ours)
    if told != ours and ours != default:
        raise InputError(f"fabric run was told {name} {told}, and pellucid {ours}; give it to pellucid only")
    return told


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
    """Do the work in every process of ``fabric``; a user's mistake found in a child process is told as one.

    Raises:
        ChildProcessError: another process has ended, or could not be reached, so that this one cannot go on.
    """
    try:
        with _settings_of_fabric_run():
            fabric.launch(carried(work))
    except ProcessRaisedException as error:
        last = str(error).strip().splitlines()[-1]
        name, _, sentence = last.partition(": ")
        if name == f"{InputError.__module__}.{InputError.__qualname__}":
            raise InputError(sentence) from None
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, OSError):
            raise OSError(sentence) from None
        if _is_of_another(sentence):
            raise _lost(fabric) from None
        raise
    except ProcessExitedException:
        raise _lost(fabric) from None
    except RuntimeError as error:
        if fabric.world_size > 1 and (isinstance(error, dist.DistError) or _is_of_another(str(error))):
            raise _lost(fabric) from None
        raise


def _is_of_another(message: str) -> bool:
    """Whether an error's words are those of a connection that another process has left."""
    return any(words in message for words in ("Connection closed by peer", "Connection reset", "gloo", "NCCL"))


def _lost(fabric: Fabric) -> ChildProcessError:
    return ChildProcessError(
        f"process {fabric.global_rank} of {fabric.world_size} has lost another one, which ended or cannot be reached; "
        "what was finished is kept, and --resume continues"
    )


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
