"""What a run was made with: commit, versions, machine."""

import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch

from pellucid import __version__
from pellucid.core.notes import tell

__all__ = ["environment", "tell_changed_machine", "told_commit"]

PACKAGES = ("torch", "lightning-fabric", "numpy", "scipy", "pyarrow", "pillow", "safetensors")


def environment(device: torch.device, *, processes: int = 1) -> dict[str, Any]:
    """Facts that a reader of the numbers needs, ready for JSON.

    Args:
        device: where the work runs.
        processes: number of processes that share it.

    >>> environment(torch.device("cpu"))["device"]
    'cpu'
    """
    commit, dirty = _own_commit()
    return {
        "pellucid": __version__,
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu(),
        "processes": processes,
        "packages": {name: _version(name) for name in PACKAGES},
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def told_commit(facts: Mapping[str, Any]) -> str:
    """The commit of an `environment` in ten digits, and whether it had changes; ``unknown`` outside a checkout.

    Args:
        facts: what `environment` returned, or what a run's environment.json holds.

    >>> told_commit({"commit": "0123456789abcdef", "dirty": True}), told_commit({"commit": None, "dirty": None})
    ('0123456789 with changes', 'unknown')
    """
    if not facts["commit"]:
        return "unknown"
    return str(facts["commit"])[:10] + " with changes" * bool(facts["dirty"])


def tell_changed_machine(file: Path, device: torch.device, what: str) -> None:
    """Tell what of a machine and its software is not as a run recorded it, as far as it changes numbers.

    Args:
        file: where the run recorded its `environment`, or those of all processes that worked on it; what is missing or
            damaged there is not told of.
        device: where the work runs now.
        what: happens to the run now: ``goes on`` or ``is measured``.
    """
    try:
        recorded = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    first = recorded[0] if isinstance(recorded, list) and recorded else recorded
    changed = _changes(first, device) if isinstance(first, Mapping) else []
    if changed:
        tell(
            f"{file.parent} was begun with {', '.join(then for then, _ in changed)} and {what} with "
            f"{', '.join(now for _, now in changed)}; its numbers may differ in their last digits from those of one "
            "machine alone"
        )


def _changes(recorded: Mapping[str, Any], device: torch.device) -> list[tuple[str, str]]:
    """What was recorded and what is now, in words, where both are known and differ."""
    packages = recorded.get("packages")
    then = {
        "pellucid": recorded.get("pellucid"),
        "Python": recorded.get("python"),
        **(packages if isinstance(packages, Mapping) else {}),
        "device": str(recorded.get("device") or "").partition(":")[0] or None,
    }
    now = {
        "pellucid": __version__,
        "Python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "device": device.type,
    }

    return [
        (f"{name} {then[name]}", f"{name} {value}")
        for name, value in now.items()
        if then.get(name) is not None and value is not None and str(then[name]) != str(value)
    ]


@cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


@cache
def _own_commit() -> tuple[str | None, bool | None]:
    """What `_commit` says of this package when it is first asked: what this process has loaded does not change."""
    return _commit(Path(__file__).parent)


def _commit(folder: Path) -> tuple[str | None, bool | None]:
    """Commit of the checkout that holds the package, and whether the package has changes; None where it is installed.

    Changes beside the package, such as a table that a run before has written, are none of its code.
    """

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", "."))
