"""What has started a process: each launcher's variables, and what is missing, in one sentence."""

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given, strategies as st
from lightning_fabric.utilities.rank_zero import rank_zero_only

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.runs.engine import make_fabric
from pellucid.runs.launcher import MARKERS, launcher

MEET = {"MASTER_ADDR": "first.host", "MASTER_PORT": "29500"}
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "6", "RANK": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "3",
    "GROUP_RANK": "1", **MEET,
}  # fmt: skip
SRUN = {
    "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "7",
    "SLURM_STEP_NUM_TASKS": "7", "SLURM_STEP_TASKS_PER_NODE": "2(x3),1", "SLURM_STEP_NODELIST": "gpu[03-05,9]",
    "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NODEID": "2",
}  # fmt: skip
MPIRUN = {
    "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1", **MEET,
}  # fmt: skip
MPIEXEC = {"PMI_SIZE": "4", "PMI_RANK": "3", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1", **MEET}
CONTAINERS = {"WORLD_SIZE": "3", "RANK": "2", **MEET}


@pytest.fixture
def environment():
    """A function that makes some variables the environment's only ones of their kind."""

    def only(values):
        for name in [*os.environ]:
            if name.startswith(("SLURM_", "OMPI_", "PMI_", "LT_", "MASTER_", "TORCHELASTIC_")) or name in (
                *("RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK"),
            ):
                del os.environ[name]
        os.environ.update(values)

    before, rank = dict(os.environ), rank_zero_only.rank
    yield only
    os.environ.clear()
    os.environ.update(before)
    rank_zero_only.rank = rank  # Fabric keeps it for the whole process, and only the first rank writes logs


@pytest.mark.parametrize(
    ("environ", "name", "numbers"),
    [
        (TORCHRUN, "torchrun", (6, 4, 3, 1, 1, 2)),
        (TORCHRUN | {"LT_CLI_USED": "1"}, "fabric run", (6, 4, 3, 1, 1, 2)),
        (TORCHRUN | SRUN, "torchrun", (6, 4, 3, 1, 1, 2)),
        (SRUN, "srun", (7, 5, 2, 1, 2, 4)),
        (MPIRUN, "mpirun", (4, 3, 2, 1, 1, 2)),
        (MPIEXEC, "mpiexec", (4, 3, 2, 1, 1, 2)),
        (CONTAINERS, "the cluster", (3, 2, 1, 0, 2, 3)),
    ],
)
def test_each_launcher_is_understood(environ, name, numbers) -> None:
    found = launcher(environ)
    assert found is not None and found.name == name
    assert (
        found.processes, found.rank, found.here, found.local_rank, found.machine, found.machines
    ) == numbers  # fmt: skip
    assert found.address == ("gpu03" if name == "srun" else "first.host")


def test_the_processes_of_a_job_step_meet_at_one_port() -> None:
    """All ranks say the same one, which is free for users; another step or job seldom has it."""
    ranks = [launcher(SRUN | {"SLURM_PROCID": str(rank)}) for rank in range(7)]
    assert len({one.port for one in ranks}) == 1 and 1024 < ranks[0].port < 32768
    others = [SRUN | {"SLURM_STEP_ID": "1"}, SRUN | {"SLURM_JOB_ID": "4712"}]
    assert all(launcher(other).port != ranks[0].port for other in others)
    assert (launcher(SRUN | MEET).address, launcher(SRUN | MEET).port) == ("first.host", 29500)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WORLD_SIZE": "2", "LOCAL_RANK": "1", "NODE_RANK": "0", **MEET},  # of a process that Fabric has started
        {"WORLD_SIZE": "1", "RANK": "0"},
        TORCHRUN | {"WORLD_SIZE": "1", "RANK": "0"},
        {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"},
        {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive"},
        {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
    ],
)
def test_a_process_alone_is_alone(environ) -> None:
    assert launcher(environ) is None


def without(environ, *names):
    return {name: value for name, value in environ.items() if name not in names}


WRONG = [
    (without(TORCHRUN, "MASTER_ADDR"), "torchrun has started 6 processes, which are one training, but MASTER_ADDR is"),
    (without(CONTAINERS, *MEET), "the cluster has started 3 processes, which are one training, but MASTER_ADDR and"),
    (without(MPIRUN, "MASTER_PORT"), "mpirun has started 4 processes, which are one training, but MASTER_PORT is not"),
    (without(SRUN, "SLURM_STEP_NUM_TASKS"), "this SLURM job has 7 tasks, but SLURM_STEP_NUM_TASKS is not set"),
    (without(SRUN, "SLURM_PROCID"), "srun has started this process as one of several, but SLURM_PROCID is not set"),
    (without(SRUN, "SLURM_JOB_ID"), "srun has started 7 processes, which are one training, but MASTER_PORT is not set"),
    (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "two"}, "SLURM_STEP_TASKS_PER_NODE must be such as 2(x3),1, got 'two'"),
    (SRUN | {"SLURM_NODEID": "9"}, "SLURM_STEP_TASKS_PER_NODE must name machine 9, got '2(x3),1'"),
    (without(CONTAINERS, "WORLD_SIZE"), "the cluster has started this process as one of several, but WORLD_SIZE"),
    (CONTAINERS | {"WORLD_SIZE": "many"}, "WORLD_SIZE must be a number, got 'many'"),
    (CONTAINERS | {"MASTER_PORT": "http"}, "MASTER_PORT must be a number, got 'http'"),
    (
        CONTAINERS | {"RANK": "3"},
        "the cluster has started process 3 of 3, and 0 of 1 on this machine, which is impossible",
    ),
    (TORCHRUN | {"LOCAL_RANK": "3"}, "torchrun has started process 4 of 6, and 3 of 3 on this machine"),
]


@pytest.mark.parametrize(("environ", "sentence"), WRONG)
def test_what_is_missing_is_one_sentence(environ, sentence) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)) as told:
        launcher(environ)
    assert "\n" not in str(told.value)


@given(
    st.dictionaries(st.sampled_from([*TORCHRUN, *SRUN, *MPIRUN, *MPIEXEC]), st.sampled_from(["", "0", "1", "-1", "x"]))
)
def test_any_environment_is_understood_or_refused(environ) -> None:
    try:
        found = launcher(environ)
    except InputError:
        return
    assert found is None or 0 <= found.rank < found.processes


@pytest.mark.parametrize(
    ("environ", "settings", "sentence"),
    [
        (TORCHRUN, {"devices": 2}, "devices is 2, but torchrun has started 6 processes, 3 on this machine"),
        (TORCHRUN, {"num_nodes": 3}, "num_nodes is 3, but torchrun has started 6 processes"),
        (SRUN, {"strategy": "ddp_spawn"}, "strategy 'ddp_spawn' starts processes itself, but srun has started 7"),
        (
            TORCHRUN | {"LT_CLI_USED": "1", "LT_PRECISION": "bf16-mixed"}, {},
            "fabric run was told precision bf16-mixed, and pellucid 32-true",
        ),
        (
            TORCHRUN | {"LT_CLI_USED": "1", "LT_ACCELERATOR": "cuda"}, {},
            "fabric run was told accelerator cuda, and pellucid cpu",
        ),
        ({}, {"num_nodes": 2}, "num_nodes is 2, but MASTER_ADDR, MASTER_PORT, NODE_RANK are not set on this machine"),
        (MEET, {"num_nodes": 2}, "num_nodes is 2, but NODE_RANK is not set on this machine"),
    ],
)  # fmt: skip
def test_options_that_contradict_the_launcher(environment, environ, settings, sentence) -> None:
    environment(environ)
    given = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "strategy": "auto", **settings}
    with pytest.raises(InputError, match=re.escape(sentence)):
        make_fabric(**given)


@pytest.mark.parametrize("environ", [TORCHRUN, SRUN, MPIRUN, CONTAINERS, TORCHRUN | {"LT_CLI_USED": "1"}])
@pytest.mark.parametrize("devices", [1, "auto"])
def test_fabric_takes_what_was_started(environment, environ, devices) -> None:
    environment(environ)
    fabric, found = make_fabric("cpu", devices, 1, "auto"), launcher(environ)
    assert (fabric.world_size, fabric.global_rank) == (found.processes, found.rank)
    assert (fabric.local_rank, fabric.node_rank) == (found.local_rank, found.machine)
    place = fabric.strategy.cluster_environment
    assert (place.main_address, place.main_port) == (found.address, found.port)
    assert ("LT_CLI_USED" in os.environ) == ("LT_CLI_USED" in environ)


def test_processes_that_are_started_from_one_are_not_of_its_launcher(environment) -> None:
    environment({"WORLD_SIZE": "1", "RANK": "0", **MEET})
    assert make_fabric("cpu", 2, 1, "ddp").world_size == 2
    assert not {*MARKERS.values()} & {*os.environ}


@pytest.mark.parametrize("command", ["compare", "report", "demo", "tune"])
def test_a_command_of_one_process_says_so(environment, capsys, command) -> None:
    environment(TORCHRUN)
    assert main([command, "nothing"]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"pellucid: {command} runs in one process, but torchrun has started 6; only train and evaluate run in several\n"
    )


def test_it_is_found_without_torch() -> None:
    code = "import sys, pellucid.runs.launcher; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
