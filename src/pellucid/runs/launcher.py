"""What has started this process beside others: torchrun, srun, ``fabric run``, mpirun. Imports no torch."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pellucid.core.errors import InputError

__all__ = ["MARKERS", "NAMES", "Launcher", "launcher"]


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """What has started several copies of one command, and which of them this process is.

    Args:
        name: of the program, such as ``torchrun``.
        processes: how many there are on all machines.
        rank: number of this process among them, from 0.
        here: how many of them are on this machine.
        local_rank: number of this process among those of its machine, from 0.
        machine: number of this machine, from 0.
        address: host at which the processes meet, that of rank 0.
        port: of that host.
    """

    name: str
    processes: int
    rank: int
    here: int
    local_rank: int
    machine: int
    address: str
    port: int

    @property
    def machines(self) -> int:
        """How many machines there are, where each has as many processes as this one."""
        return -(-self.processes // self.here)


def launcher(environ: Mapping[str, str] | None = None) -> Launcher | None:
    """What has started this process as one of several, from its environment; None where it was started alone.

    Args:
        environ: names and values; those of this process by default.

    Raises:
        InputError: it is one of several, but how they find one another is not said; or a job of several tasks in which
            ``srun`` has not started this process.

    >>> kubernetes = {"WORLD_SIZE": "4", "RANK": "3", "MASTER_ADDR": "first", "MASTER_PORT": "23456"}
    >>> found = launcher(kubernetes)
    >>> found.processes, found.rank, found.machines
    (4, 3, 4)
    >>> launcher({"WORLD_SIZE": "1", "RANK": "0"}) is None
    True
    """
    environ = os.environ if environ is None else environ
    for name, marker in MARKERS.items():
        if marker in environ:
            names = NAMES[name]
            processes = _number(environ, names["processes"], name)
            if processes == 1:
                return None
            return _found(environ, name, processes)
    _check_srun(environ)
    return None


MARKERS = {
    "torchrun": "TORCHELASTIC_RUN_ID",
    "srun": "SLURM_STEP_NUM_TASKS",
    "mpirun": "OMPI_COMM_WORLD_RANK",
    "mpiexec": "PMI_RANK",
    "the cluster": "RANK",
}
"""Which variable tells of which program; of several the first counts, as torchrun may be started by srun."""
NAMES: Mapping[str, Mapping[str, str]] = {
    "torchrun": {
        "processes": "WORLD_SIZE", "rank": "RANK", "here": "LOCAL_WORLD_SIZE", "local_rank": "LOCAL_RANK",
        "machine": "GROUP_RANK",
    },
    "srun": {
        "processes": "SLURM_STEP_NUM_TASKS", "rank": "SLURM_PROCID", "local_rank": "SLURM_LOCALID",
        "machine": "SLURM_NODEID",
    },
    "mpirun": {
        "processes": "OMPI_COMM_WORLD_SIZE", "rank": "OMPI_COMM_WORLD_RANK", "here": "OMPI_COMM_WORLD_LOCAL_SIZE",
        "local_rank": "OMPI_COMM_WORLD_LOCAL_RANK",
    },
    "mpiexec": {
        "processes": "PMI_SIZE", "rank": "PMI_RANK", "here": "MPI_LOCALNRANKS", "local_rank": "MPI_LOCALRANKID",
    },
    "the cluster": {
        "processes": "WORLD_SIZE", "rank": "RANK", "here": "LOCAL_WORLD_SIZE", "local_rank": "LOCAL_RANK",
        "machine": "NODE_RANK",
    },
}  # fmt: skip


def _found(environ: Mapping[str, str], name: str, processes: int) -> Launcher:
    names = NAMES[name]
    rank = _number(environ, names["rank"], name)
    # One process a machine, where nothing says otherwise, as a cluster of containers has it.
    local_rank = _number(environ, names["local_rank"], name, otherwise=0)
    machine = _number(environ, names["machine"], name) if names.get("machine", "") in environ else None
    here = _tasks_here(environ, machine or 0) if name == "srun" else _number(environ, names["here"], name, otherwise=1)
    if not (rank < processes and local_rank < here <= processes):
        raise InputError(
            f"{name} has started process {rank} of {processes}, and {local_rank} of {here} on this machine, which "
            f"is impossible; check {', '.join(names.values())}"
        )
    address, port = environ.get("MASTER_ADDR"), environ.get("MASTER_PORT")
    if name == "srun":
        address, port = address or _first_host(environ), port or _port_of_job(environ)
    missing = [key for key, value in (("MASTER_ADDR", address), ("MASTER_PORT", port)) if not value]
    if missing or not address or not port:
        raise InputError(
            f"{name} has started {processes} processes, which are one training, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set, so that they cannot find one another; set the host of "
            "process 0 and a free port of it, or start with torchrun"
        )
    if not port.isdigit():
        raise InputError(f"MASTER_PORT must be a number, got {port!r}")
    return Launcher(
        name="fabric run" if "LT_CLI_USED" in environ and name == "torchrun" else name, processes=processes, rank=rank,
        here=here, local_rank=local_rank, machine=rank // here if machine is None else machine, address=address,
        port=int(port),
    )  # fmt: skip


def _number(environ: Mapping[str, str], key: str, name: str, *, otherwise: int | None = None) -> int:
    text = environ.get(key)
    if text is None and otherwise is not None:
        return otherwise
    if text is None:
        raise InputError(f"{name} has started this process as one of several, but {key} is not set")
    if not text.isdigit():
        raise InputError(f"{key} must be a number, got {text!r}")
    return int(text)


def _tasks_here(environ: Mapping[str, str], machine: int) -> int:
    """Tasks of a job step on one machine; ``2(x3),1`` says two on each of three machines and one on a fourth.

    >>> [_tasks_here({"SLURM_STEP_TASKS_PER_NODE": "2(x3),1"}, machine) for machine in range(4)]
    [2, 2, 2, 1]
    """
    text = environ.get("SLURM_STEP_TASKS_PER_NODE") or environ.get("SLURM_TASKS_PER_NODE", "")
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise InputError(f"SLURM_STEP_TASKS_PER_NODE must be such as 2(x3),1, got {text!r}")
        counts += [int(match[1])] * int(match[2] or 1)
    if machine >= len(counts):
        raise InputError(f"SLURM_STEP_TASKS_PER_NODE must name machine {machine}, got {text!r}")
    return counts[machine]


def _first_host(environ: Mapping[str, str]) -> str | None:
    """The first machine of a job step, of a list such as ``gpu[03-05,9],login``.

    >>> [_first_host({"SLURM_STEP_NODELIST": text}) for text in ("gpu[03-05,9],login", "a1,a2", "rack2-n[7]")]
    ['gpu03', 'a1', 'rack2-n7']
    """
    text = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST") or environ.get("SLURM_NODELIST", "")
    match = re.match(r"([^,\[]+)(?:\[(\w+)[^\]]*\]([^,]*))?", text)
    return None if match is None else "".join(part or "" for part in match.groups())


def _port_of_job(environ: Mapping[str, str]) -> str | None:
    """A port that all processes of a job step agree on and those of another one seldom share."""
    job, step = environ.get("SLURM_JOB_ID", ""), environ.get("SLURM_STEP_ID", "0")
    return str(12000 + (13 * int(job) + int(step)) % 20000) if job.isdigit() and step.isdigit() else None


def _check_srun(environ: Mapping[str, str]) -> None:
    """Refuse a job of several tasks that ``srun`` has not started: each would be a training of its own."""
    tasks, job = environ.get("SLURM_NTASKS", "1"), environ.get("SLURM_JOB_NAME")
    if tasks.isdigit() and int(tasks) > 1 and job not in ("bash", "interactive"):
        raise InputError(
            f"this SLURM job has {tasks} tasks, but SLURM_STEP_NUM_TASKS is not set, so that srun has not started this "
            "process; put srun in front of the command, or ask for one task"
        )
