"""Commands from the moment that they are given: processor time of help, and the clock until a training's first step."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from speed import Row, row_of

__all__ = ["TRIED", "rows"]

COMMAND = "python benchmarks/speed.py --only program"
PELLUCID = [sys.executable, "-m", "pellucid"]

TRIED: tuple[str, ...] = ()
"""What did not help."""


def rows(rounds: int = 5) -> list[Row]:
    """A row for importing, for the program's help, for the slowest command's help and for a first step."""
    from pellucid.cli.main import main  # noqa: F401  # compiled before anything is timed

    commands = _commands()
    helps = {name: [processor([*PELLUCID, name, "--help"]) for _ in range(rounds)] for name in commands}
    slowest = max(helps, key=lambda name: sorted(helps[name])[rounds // 2])
    cases = (
        ("`import pellucid`", 0.1, [processor([sys.executable, "-c", "import pellucid"]) for _ in range(rounds)], ""),
        ("`pellucid --help`", 0.15, [processor([*PELLUCID, "--help"]) for _ in range(rounds)], ""),
        (f"`pellucid {slowest} --help`", 0.6, helps[slowest], f"The slowest of {len(helps)} commands."),
    )
    bare = [processor([sys.executable, "-c", ""]) for _ in range(rounds)]
    found = [
        row_of(seconds, what=f"{what}, processor time", target=target, unit="s", command=COMMAND, note=note)
        for what, target, seconds, note in cases
    ]
    found.append(row_of(bare, what="Python itself, processor time", target=None, unit="s", command=COMMAND))
    pairs = [(first_step(), bare_step()) for _ in range(rounds)]
    first = [pellucid for pellucid, _ in pairs]
    found.append(
        row_of(
            first, what="`pellucid train` on Fashion-MNIST, from the command until its first step is done", target=3.0,
            unit="s", command=COMMAND, note="LeNet-5; on the clock.",
        )
    )  # fmt: skip
    found.append(
        row_of(
            [bare for _, bare in pairs], what="A step of plain PyTorch, from the command until it is done",
            target=None, unit="s", command=COMMAND,
            note="Importing PyTorch, one layer, one step of SGD: no training with PyTorch starts sooner.",
        )
    )  # fmt: skip
    return found


def _commands() -> list[str]:
    """Every command that has options of its own."""
    try:
        from pellucid.cli.commands import COMMANDS
    except ImportError:
        from pellucid.cli.main import COMMANDS
    return list(COMMANDS)


def processor(command: list[str]) -> float:
    """Seconds of processor time that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_step() -> float:
    """Seconds from the command until the run says what it is, which it does after its first step."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "run", "environment.json")
        start = time.perf_counter()
        process = subprocess.Popen(
            [*PELLUCID, "train", said.parent, "--epochs", "50"], stderr=subprocess.DEVNULL, env=environment
        )
        while not said.exists():
            if process.poll() is not None:
                raise RuntimeError(f"the training ended with {process.returncode} before its first step")
            time.sleep(0.005)
        seconds = time.perf_counter() - start
        process.kill()
        process.wait()
    return seconds


def bare_step() -> float:
    """Seconds that a program of plain PyTorch takes for one step of one layer, its imports included."""
    program = """
import torch
layer = torch.nn.Linear(784, 10)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
torch.nn.functional.cross_entropy(layer(torch.rand(64, 784)), torch.zeros(64, dtype=torch.long)).backward()
optimizer.step()
optimizer.zero_grad()
"""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start
