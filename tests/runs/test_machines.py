"""Many machines: process groups on loopback are one training, however started; a lost process; another number of them.

LeNet-5 has no BatchNorm, so that several processes with parts of each batch do what one does with all of it.
"""

import os
import signal
import socket
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

SETTINGS = [
    *["--accelerator=cpu", "--dataset.limit=192", "--dataset.validation=48", "--batch_size=48", "--epochs=2"],
    *["--method=SCAAT", "--method.attack.eps=0.2", "--method.attack.step_size=0.2"],
]
LONG = [*SETTINGS, "--dataset.limit=4096", "--epochs=40"]
PELLUCID = ["-m", "pellucid"]
SCRIPT = "import sys\nfrom pellucid.cli import main\n\nif __name__ == '__main__':\n    sys.exit(main())\n"
LOST = "has lost another one, which ended or cannot be reached; what was finished is kept, and --resume continues"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def started(command, environ=None):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "LT_", "MASTER_"))}
    return subprocess.Popen(
        command, env=clean | (environ or {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(*processes, code=0):
    ends = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), [err for _, err in ends]
    return ends


def torchrun(words, folder):
    return [
        started([sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}",
                 *PELLUCID, *words])
    ]  # fmt: skip


def srun(words, folder):
    """What two tasks of a job step see, one on each of two machines."""
    step = {
        "SLURM_JOB_ID": free_port(), "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_STEP_NODELIST": "localhost", "SLURM_LOCALID": "0",
    }  # fmt: skip
    ranks = [step | {"SLURM_PROCID": rank, "SLURM_NODEID": rank} for rank in ("0", "1")]
    return [started([sys.executable, *PELLUCID, *words], environ) for environ in ranks]


def fabric_run(words, folder):
    """Two process groups, as two machines have them."""
    script, port = folder / "pellucid", free_port()
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "lightning_fabric.cli", "--devices=1", "--num-nodes=2"]
    meet = [f"--main-port={port}", "--main-address=127.0.0.1", str(script)]
    return [started([*command, f"--node-rank={rank}", *meet, *words]) for rank in (0, 1)]


def containers(words, folder):
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2"}
    return [started([sys.executable, *PELLUCID, *words], meet | {"RANK": rank}) for rank in ("0", "1")]


def nodes(words, folder):
    """Two machines that pellucid itself is told of, with one process each."""
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    words = [*words, "--num-nodes=2"]
    return [started([sys.executable, *PELLUCID, *words], meet | {"NODE_RANK": rank}) for rank in ("0", "1")]


LAUNCHERS = [torchrun, srun, fabric_run, containers, nodes]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The training by one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    finish(started([sys.executable, *PELLUCID, "train", str(run), *SETTINGS]))
    finish(started([sys.executable, *PELLUCID, "evaluate", str(run), "--images=24", "--metrics=gini,ris"]))
    return run


def same(run, other):
    one, two = load_file(run / "model.safetensors"), load_file(other / "model.safetensors")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
    assert pq.read_table(run / "q.parquet").equals(pq.read_table(other / "q.parquet"))


@pytest.mark.parametrize("launch", LAUNCHERS)
def test_processes_started_by_others_are_one_training(alone, tmp_path, launch) -> None:
    run = tmp_path / "run"
    ends = finish(*launch(["train", str(run), *SETTINGS], tmp_path))
    assert "".join(out for out, _ in ends).split() == [str(run)], "said once"
    same(alone, run)
    if launch is torchrun:
        finish(*launch(["evaluate", str(run), "--accelerator=cpu", "--images=24", "--metrics=gini,ris"], tmp_path))
        ours, theirs = (pq.read_table(one / "rows.parquet") for one in (alone, run))
        assert ours["index"].equals(theirs["index"])
        for name in ("gini", "ris"):
            assert theirs[name].to_numpy() == pytest.approx(ours[name].to_numpy(), rel=1e-2)


def processes_below(pid):
    """Ids of all processes that one has started, and those that these have."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(name), *processes_below(int(name))]
    return found


def wait_for(run, *processes):
    deadline = time.monotonic() + 120
    while not (run / "experiment.yaml").exists():
        assert time.monotonic() < deadline and all(process.poll() is None for process in processes)
        time.sleep(0.05)
    time.sleep(0.5)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_ends_the_other_in_one_sentence(tmp_path, lost) -> None:
    run = tmp_path / "run"
    both = containers(["train", str(run), *LONG], tmp_path)
    wait_for(run, *both)
    both[lost].kill()
    clock, other = time.monotonic(), both[1 - lost]
    _, said = other.communicate(timeout=60)
    both[lost].communicate()
    assert time.monotonic() - clock < 30 and other.returncode == 1
    told = [line for line in said.splitlines() if line.startswith("pellucid: ")]
    assert told == [f"pellucid: process {1 - lost} of 2 {LOST}"] and "Traceback" not in said


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_a_lost_process_of_ones_own_is_one_sentence_too(tmp_path, strategy) -> None:
    run = tmp_path / "run"
    first = started([sys.executable, *PELLUCID, "train", str(run), *LONG, "--devices=2", f"--strategy={strategy}"])
    wait_for(run, first)
    os.kill(max(processes_below(first.pid)), signal.SIGKILL)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 1 and LOST in said and "Traceback" not in said


def test_a_run_goes_on_with_another_number_of_processes(tmp_path) -> None:
    """Two processes, stopped within an epoch, then three: as one alone from the beginning."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    settings = ["--accelerator=cpu", "--dataset.limit=1920", "--dataset.validation=48", "--batch_size=48", "--epochs=3"]
    command = [sys.executable, *PELLUCID, "train"]
    finish(started([*command, str(whole), *settings]))
    cut = started([*command, str(run), *settings, "--devices=2"])
    while not (run / "experiment.yaml").exists():
        assert cut.poll() is None
        time.sleep(0.02)
    cut.terminate()
    finish(cut, code=143)
    assert not (run / "model.safetensors").exists()
    finish(started([*command, str(run), *settings, "--resume", "--devices=3"]))
    one, three = (load_file(folder / "model.safetensors") for folder in (whole, run))
    for name, value in one.items():
        torch.testing.assert_close(three[name], value, rtol=0, atol=1e-5)
