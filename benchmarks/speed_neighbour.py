"""A training beside busy processes, against the share of the cores that is fairly its own.

A child process trains the demo's network as `pellucid train` would: its threads are chosen where it starts, beside the
busy processes. Beside k of them its fair share of c cores with t threads is t · c / (t + k), and no more than t; the
fair slow-down is the share alone, over the share beside them.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from speed import Row, row_of

__all__ = ["TRIED", "rows"]

TARGET = 1.3
BUSY = (1, 2, 4)
SECONDS = 4.0
COMMAND = "python benchmarks/speed.py --only neighbour"

TRIED: tuple[str, ...] = ()
"""What did not help."""


def rows(rounds: int = 5) -> list[Row]:
    """A row for each number of busy processes: slow-down over the fair one; and what turning threads cost before."""
    from pellucid.core.cores import sleep_while_waiting, usable_cores

    sleep_while_waiting()
    cores = usable_cores()
    rates: dict[tuple[str, int], list[float]] = {}
    threads: dict[int, int] = {}
    turning = os.environ | {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": str(cores)}
    chosen = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    for _ in range(rounds):
        for count in (0, *BUSY):
            with busy(count):
                with training(chosen) as child:
                    threads[count] = child.threads
                    rates.setdefault(("chosen", count), []).append(child.rate())
                if count in (0, 2):
                    with training(turning) as child:
                        rates.setdefault(("turning", count), []).append(child.rate())
    found = []
    for count in BUSY:
        fair = share(threads[0], cores, 0) / share(threads[count], cores, count)
        slower = [
            alone / beside / fair for alone, beside in zip(rates["chosen", 0], rates["chosen", count], strict=True)
        ]
        found.append(
            row_of(
                slower,
                what=f"training of the demo's network beside {count} busy process{'es' * (count > 1)}, slow-down over "
                f"the fair {fair:.2g}×",
                target=TARGET, unit="×", command=COMMAND, note=f"{threads[count]} thread(s), {threads[0]} alone.",
            )
        )  # fmt: skip
    fair = share(cores, cores, 0) / share(cores, cores, 2)
    before = [a / b / fair for a, b in zip(rates["turning", 0], rates["turning", 2], strict=True)]
    found.append(
        row_of(
            before, what="the same beside 2, with threads that turn while they wait, as torch has them", target=None,
            unit="×", command=COMMAND, note=f"{cores} threads.",
        )
    )  # fmt: skip
    return found


def share(threads: int, cores: int, busy: int) -> float:
    """Cores' worth of work that is fairly a process's own beside so many busy ones."""
    return min(threads, cores * threads / (threads + busy))


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but keep a core busy."""
    workers = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


class Training:
    """A child process that trains until it is told to stop."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip
        self.threads = int(self.asked("begin"))

    def asked(self, word: str) -> str:
        """What the child answers to a word."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def rate(self) -> float:
        """Steps in a second."""
        return float(self.asked("go"))


@contextmanager
def training(environment: dict[str, str]) -> Iterator[Training]:
    """A child process in an environment, ready to be measured."""
    child = Training(environment)
    try:
        yield child
    finally:
        child.process.kill()
        child.process.communicate()


def rate(work: Callable[[], None], seconds: float) -> float:
    """How often a second a piece of work is done."""
    work()
    clock, steps = time.perf_counter(), 0
    while time.perf_counter() - clock < seconds:
        work()
        steps += 1
    return steps / (time.perf_counter() - clock)


def child() -> None:
    """Choose the threads, then train for a while whenever a line arrives."""
    from pellucid.core.cores import sleep_while_waiting

    sleep_while_waiting()
    import torch
    from step_cost import NETWORKS, steps

    from pellucid.models import build
    from pellucid.runs.threads import settle_threads

    network, shape = NETWORKS["LeNet-5, 1×28×28"]
    settle_threads(build(network, classes=10, shape=shape, mean=(0.5,), std=(0.5,)), shape, 128)
    work = steps(network, shape, 128, torch.device("cpu"))["AT, PGD-4"]
    with suppress(BrokenPipeError):
        for line in sys.stdin:
            print(rate(work, SECONDS) if line == "go\n" else torch.get_num_threads(), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", action="store_true", help="train, as a process that the benchmark watches")
    if parser.parse_args().child:
        child()
    else:
        print(*rows(), sep="\n")
