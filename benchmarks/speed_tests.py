"""The checks and the quick tests in a fresh clone, as `.ci/run` has them; eight minutes."""

import subprocess
import tempfile
from pathlib import Path

from speed import Row, row_of
from speed_whole import ROOT, seconds

__all__ = ["TRIED", "rows"]

COMMAND = "python benchmarks/speed.py --only tests"

TRIED: tuple[str, ...] = ()
"""What did not help."""


def rows() -> list[Row]:
    """The seconds of the quick tests; an error where one of them, or a check, fails."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "pellucid")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        seconds(["make", "check"], clone)  # installs what the tests need, too
        taken = seconds(["make", "test", "ARGS=-q"], clone)
    what = "`make test` in a fresh clone, in two processes"
    return [row_of([taken], what=what, target=240.0, unit="s", command=COMMAND, note="What it needs is there.")]
