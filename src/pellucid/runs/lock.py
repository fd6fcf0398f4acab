"""One process at a time works on a run directory. Imports no torch."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pellucid.core.errors import InputError
from pellucid.core.files import made_folder, remove_empty
from pellucid.runs.directory import RunDirectory

__all__ = ["working_on"]


@contextmanager
def working_on(path: str | Path) -> Iterator[RunDirectory]:
    """Hold a run directory, so that no other process writes into it, and clean it of what killed ones have left.

    The lock is the operating system's, on the file ``.lock`` in the directory: it goes when its process ends, however
    that ends. The directory is made where it is not there, and goes again where nothing was written into it.

    Args:
        path: the directory.

    Yields:
        Its files.

    Raises:
        InputError: it is a file, or another process works on it; the sentence says which, and since when.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as above, working_on(f"{above}/run") as directory:
    ...     with working_on(directory.path):
    ...         pass
    Traceback (most recent call last):
    pellucid.InputError: .../run is being worked on by process ...; wait until it is done, or stop it
    """
    directory = RunDirectory(path)
    if directory.path.exists() and not directory.path.is_dir():
        raise InputError(f"the run directory {directory.path} is a file; give a folder")
    made = made_folder(directory.path)
    lock = FileLock(directory.lock, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{directory.path} is being worked on by {_holder(directory.lock)}; wait until it is done, or stop it"
        ) from None
    try:
        with suppress(OSError):  # a full disk is told by whoever writes what matters
            directory.lock.write_text(json.dumps(_myself()), encoding="utf-8")
        directory.remove_left()
        yield directory
    finally:
        with suppress(OSError):
            directory.lock.write_text("", encoding="utf-8")
        with suppress(OSError):  # the folder may have been removed meanwhile
            if made and {entry.name for entry in directory.path.iterdir()} == {directory.lock.name}:
                directory.lock.unlink()
        lock.release()
        remove_empty(made)


def _myself() -> dict[str, str | int]:
    words = [Path(sys.argv[0]).name, *sys.argv[1:2]]
    return {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "command": " ".join(words),
        "since": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
    }


def _holder(lock: Path) -> str:
    """Who holds a lock, as far as its file says so."""
    try:
        known = json.loads(lock.read_text(encoding="utf-8"))
        return (
            f"process {known['process']} of machine {known['machine']} ({known['command']}) since {known['since'][:19]}"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
