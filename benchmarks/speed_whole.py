"""The demo from its first to its last second, in a fresh clone; ten minutes."""

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
OURS = ("OMP_NUM_THREADS", "PYTHONPATH", "ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL")
"""Variables of this benchmark's own processes, which are not for those that it times."""

TRIED = (
    "Two threads for LeNet-5: an epoch of Fashion-MNIST takes as long as with one, so that the demo trains two "
    "networks at once, each with one thread.",
)
"""What did not help."""


def rows() -> list[Row]:
    """The quick demo alone and one network at a time; the demo in a fresh clone, alone and beside a busy process."""
    quick = demo("--quick")
    one = demo("--quick", *ONE_AFTER_THE_OTHER)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "pellucid")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        install = seconds(["scripts/environment", "demo"], clone)
        whole = seconds(["make", "--no-print-directory", "demo"], clone)
        with busy(1):
            beside = seconds(["make", "--no-print-directory", "demo", "ARGS=--out runs/beside"], clone)
        cases = (
            ("`pellucid demo --quick`", 25.0, "s", quick, ""),
            ("the same, one network at a time, over side by side", None, "×", one / quick, ""),
            ("`make demo` in a fresh clone, what it installs", None, "s", install, "Packages from the network."),
            ("`make demo` in a fresh clone, the rest", None, "s", whole, "Data, training, measuring, report."),
            ("`make demo` in a fresh clone", 240.0, "s", install + whole, "The two lines before together."),
            ("`make demo` beside a busy process, nothing to install", None, "s", beside, ""),
        )
    return [
        row_of([figure], what=what, target=target, unit=unit, command=COMMAND, note=note)
        for what, target, unit, figure, note in cases
    ]


def demo(*options: str) -> float:
    """Seconds of the demo in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        return seconds([sys.executable, "-m", "pellucid", "demo", *options], Path(folder))


def seconds(command: list[str], folder: Path) -> float:
    """How long a command takes."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return time.perf_counter() - start
