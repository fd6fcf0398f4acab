"""The demo and the quick tests, from their first to their last second; a quarter of an hour."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from speed import Row, row_of
from speed_neighbour import busy

__all__ = ["TRIED", "rows"]

ROOT = Path(__file__).parent.parent
COMMAND = "python benchmarks/speed.py --only whole"
ONE_AFTER_THE_OTHER = ["--jobs", "1"]

TRIED: tuple[str, ...] = ()
"""What did not help."""


def rows() -> list[Row]:
    """The quick demo alone, beside a busy process and one network at a time; the demo; the quick tests."""
    quick = demo("--quick")
    with busy(1):
        beside = demo("--quick")
    one = demo("--quick", *ONE_AFTER_THE_OTHER)
    whole = demo()
    cases = (
        ("`pellucid demo --quick`", 25.0, "s", quick, ""),
        ("the same beside a busy process, over alone", None, "×", beside / quick, ""),
        ("the same, one network at a time, over side by side", None, "×", one / quick, ""),
        (
            "`pellucid demo`",
            200.0,
            "s",
            whole,
            "`make demo` in a fresh clone installs too, and may take 240 s.",
        ),
        ("the quick tests, in two processes", 240.0, "s", tests(), ""),
    )
    return [
        row_of([figure], what=what, target=target, unit=unit, command=COMMAND, note=note)
        for what, target, unit, figure, note in cases
    ]


def demo(*options: str) -> float:
    """Seconds of the demo in an empty folder."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pellucid", "demo", *options], check=True, cwd=folder, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return time.perf_counter() - start


def tests() -> float:
    """Seconds of the quick tests, as `make test` runs them."""
    start = time.perf_counter()
    subprocess.run(["make", "--no-print-directory", "test", "ARGS=-q -p no:randomly"], check=True, cwd=ROOT)
    return time.perf_counter() - start
