"""The cores of this machine: how many this process may use, and how many nobody is using now."""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

from pellucid.core.checks import whole
from pellucid.core.errors import InputError

__all__ = ["check_threads", "free_cores", "sleep_while_waiting", "usable_cores"]

CGROUP = Path("/sys/fs/cgroup")
STAT = Path("/proc/stat")
WINDOW = 0.2
"""Seconds for which the cores are watched; the kernel counts in hundredths."""


def sleep_while_waiting(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads that wait for one another sleep, instead of turning in circles on a core that others need.

    On a busy machine a training with two turning threads took 50 times as long. The libraries read these settings when
    they are loaded, so this comes before torch is imported. What a person has set stays.

    Args:
        environment: variables of this process, which its children inherit.

    >>> settings = {"OMP_WAIT_POLICY": "ACTIVE"}
    >>> sleep_while_waiting(settings)
    >>> settings
    {'OMP_WAIT_POLICY': 'ACTIVE'}
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & {*environment}:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"  # GNU's library
        environment["KMP_BLOCKTIME"] = "0"  # Intel's and LLVM's


def usable_cores() -> int:
    """How many cores this process may use, at least 1: those it is bound to, and no more than its group's quota."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(bound, _quota(CGROUP))))


def free_cores(seconds: float = WINDOW) -> int:
    """How many of the `usable_cores` nobody else is using now, at least 1.

    Processes that have stepped back (a positive nice value) do not count as users.

    Args:
        seconds: how long the cores are watched; this call takes as long.
    """
    usable = usable_cores()
    if usable == 1:
        return 1
    before = _unused(), time.process_time(), time.perf_counter()
    if before[0] is None:  # not Linux
        return max(1, min(usable, round((os.cpu_count() or 1) - os.getloadavg()[0])))
    time.sleep(seconds)
    after = _unused(), time.process_time(), time.perf_counter()
    unused, own, passed = (float(late or 0) - float(early or 0) for late, early in zip(after, before, strict=True))
    return max(1, min(usable, round((unused + own) / passed)))


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads below 1 or above the cores that this process may use; None passes.

    >>> check_threads(0)
    Traceback (most recent call last):
    pellucid.InputError: threads must be a whole number of at least 1, got 0
    """
    if threads is None:
        return
    whole(1, threads=threads)
    if threads > (most := usable_cores()):
        raise InputError(f"threads must be at most {most}, the cores that this process may use, got {threads}")


def _unused() -> float | None:
    """Seconds that all cores together have been idle, or working for processes that have stepped back, since boot."""
    try:
        fields = STAT.read_text(encoding="ascii").split("\n", 1)[0].split()
    except OSError:
        return None
    _, nice, _, idle, waiting = (int(field) for field in fields[1:6])
    return (nice + idle + waiting) / os.sysconf("SC_CLK_TCK")


def _quota(root: Path) -> float:
    """Cores that the control group of this process may keep busy; no limit is infinity, below one is 1.

    Args:
        root: where control groups are mounted.
    """
    quotas = [float("inf")]
    for folder in _groups(root):
        try:
            if (file := folder / "cpu.max").exists():
                quota, period = file.read_text(encoding="ascii").split()
            else:
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                quota, period = ((folder / name).read_text(encoding="ascii").strip() for name in names)
            if quota not in ("max", "-1"):
                quotas.append(float(quota) / float(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return max(1.0, min(quotas))


def _groups(root: Path) -> list[Path]:
    """The folders that may limit this process: of its groups and of those around them."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    folders = [root, root / "cpu"]
    for _, names, place in (line.split(":", 2) for line in lines):
        if names == "" or "cpu" in names.split(","):
            top = root if names == "" else root / "cpu"
            inside = top / place.strip("/")
            folders += [folder for folder in (inside, *inside.parents) if folder.is_relative_to(top)]
    return folders
