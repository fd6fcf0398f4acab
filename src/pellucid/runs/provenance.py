"""Which processes worked on a run: each with its command, its versions, its machine, and when it began and ended.

They are the list ``work`` of environment.json, whose other fields are those of the first process.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import torch

from pellucid.config import write_json
from pellucid.core.errors import InputError
from pellucid.core.plain_data import read_json
from pellucid.runs.directory import RunDirectory
from pellucid.runs.environment import environment

__all__ = ["begun", "ended", "recorded_work"]


def begun(directory: RunDirectory, work: str, device: torch.device, *, processes: int = 1, **facts: Any) -> None:
    """Record that this process has begun to work on a run.

    Args:
        directory: of the run.
        work: what it does: ``training``, ``resumed training``, ``evaluation`` or ``prediction``.
        device: where it does that.
        processes: how many processes share the work.
        **facts: what else is recorded of a run that nothing is recorded of yet.
    """
    known, machine = _known(directory), environment(device, processes=processes)
    entry = {"work": work, **machine, "ended": None}
    if not known:
        known = machine | facts
        earlier = []
    else:
        earlier = known.get("work", [{"work": "training", **_of_first(known)}])
    write_json(known | {"work": [*earlier, entry]}, directory.environment)


def ended(directory: RunDirectory) -> None:
    """Record that this process has done its work on a run; one that was killed never says so."""
    known = _known(directory)
    if known.get("work"):
        known["work"][-1]["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(known, directory.environment)


@contextmanager
def recorded_work(
    directory: RunDirectory, work: str, device: torch.device, *, processes: int = 1, here: bool = True
) -> Iterator[None]:
    """Record what is done within the block.

    Args:
        directory: of the run.
        work: as of `begun`.
        device: likewise.
        processes: likewise.
        here: whether this process is the one that writes.
    """
    if here:
        begun(directory, work, device, processes=processes)
    yield
    if here:
        ended(directory)


def _of_first(known: Mapping[str, Any]) -> dict[str, Any]:
    """What a run that an older pellucid made knows of its first process."""
    return {name: value for name, value in known.items() if name != "parameters"}


def _known(directory: RunDirectory) -> dict[str, Any]:
    file = directory.environment
    if not file.exists():
        return {}
    known = read_json(file, "restore it, or delete it")
    if not isinstance(known, dict):
        raise InputError(f"{file} must hold a JSON object, as training wrote it; restore it, or delete it")
    return known
