"""Files and folders that appear whole or not at all, what a killed process left of them, and files that are read."""

import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from pellucid.core.errors import InputError

if sys.platform != "win32":  # where an open file cannot be removed anyhow
    import fcntl

__all__ = [
    "check_readable",
    "check_writable",
    "made_folder",
    "remove_empty",
    "remove_left",
    "whole_file",
    "whole_folder",
]

LEFT = re.compile(r"\..*-[a-z0-9_]{8}\.partial(\..*)?")
"""Names of what `whole_file` and `whole_folder` are writing, and of what they leave when their process is killed."""
DESCRIPTORS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
"""Where a shell hands over what it has opened itself, as ``<(command)`` does."""


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it replaces ``path``, on failure nothing is left.

    The content is flushed to disk before the replacement, so a killed process or a full disk leaves either the old
    file or the new one. What a killed process has left of a temporary file goes when the next process writes its first
    file into the folder.

    Args:
        path: the file to write; its folder is created.

    Raises:
        OSError: no permission or no space; ``path`` is as it was, and the error names it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder) / "numbers.txt") as temporary:
    ...         _ = temporary.write_text("1 2 3")
    ...     (Path(folder) / "numbers.txt").read_text()
    '1 2 3'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_once(path.parent.absolute())
    # The suffix stays, since writers such as matplotlib's choose the format by it.
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=f".partial{path.suffix}", dir=path.parent)
    temporary = Path(name)
    _is_alone(handle)  # as long as the lock is held, nobody takes the file for one that was left
    try:
        yield temporary
        mode = path.stat().st_mode if path.exists() else 0o666 & ~_umask()
        temporary.chmod(mode & 0o777)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, name, temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # who reads it never asked for another file
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``path``; on success it takes that place, on failure nothing is left.

    A folder that holds files is moved aside for the moment of the replacement; if the process is killed in that moment,
    the next call puts it back before anything is written.

    Args:
        path: the folder to write; those above it are made. What it holds is lost on success.

    Raises:
        OSError: no permission or no space; ``path`` is as it was.

    >>> with tempfile.TemporaryDirectory() as above:
    ...     with whole_folder(Path(above) / "out") as folder:
    ...         _ = (folder / "numbers.txt").write_text("1 2 3")
    ...     (Path(above) / "out" / "numbers.txt").read_text()
    '1 2 3'
    """
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left(path.parent, path.name)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".partial", dir=path.parent))
    handle = _opened_folder(beside)
    written, before = beside / "new", beside / "old"
    try:
        written.mkdir()
        yield written
        if path.exists():
            path.rename(before)
        try:
            written.rename(path)
        except OSError:
            if before.exists():
                before.rename(path)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def remove_left(folder: str | Path, stem: str = "") -> None:
    """Remove what killed processes have left of the files and folders that they were writing into a folder.

    What another process is still writing stays, as it holds a lock on it.

    Args:
        folder: where `whole_file` and `whole_folder` have written; it need not be there.
        stem: the name that is meant, without its suffix; every one by default.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / ".rows-abcd1234.partial.parquet").write_text("half")
    ...     remove_left(folder)
    ...     list(Path(folder).iterdir())
    []
    """
    folder = Path(folder)
    try:
        names = [entry.name for entry in os.scandir(folder) if LEFT.fullmatch(entry.name)]
    except OSError:
        return
    for name in names:
        of = name[1:].rpartition(".partial")[0][:-9]
        if stem and of != stem:
            continue
        left = folder / name
        with suppress(OSError):
            handle = os.open(left, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                if not _is_alone(handle):
                    continue
                if left.is_dir():
                    if (left / "old").exists() and not (folder / of).exists():
                        (left / "old").rename(folder / of)
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()
            finally:
                os.close(handle)


def check_readable(path: str | Path) -> None:
    """Refuse what is there and is not a file that ends, such as a named pipe, for which one would wait for ever.

    What a shell has opened itself, as in ``--config <(command)``, is accepted.

    Args:
        path: that is read next; one that is not there passes, as its reader says so.

    Raises:
        InputError: a named pipe, a device, a socket or a folder.

    >>> check_readable("/dev/zero")
    Traceback (most recent call last):
    pellucid.InputError: /dev/zero is a device, which cannot be read; give a file
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISREG(mode) or (stat.S_ISFIFO(mode) and str(path).startswith(DESCRIPTORS)):
        return
    kinds = {"a named pipe": stat.S_ISFIFO, "a folder": stat.S_ISDIR, "a socket": stat.S_ISSOCK}
    kind = next((name for name, is_kind in kinds.items() if is_kind(mode)), "a device")
    raise InputError(f"{path} is {kind}, which cannot be read; give a file")


def check_writable(folder: str | Path) -> None:
    """Refuse, before long work, a folder that cannot hold what comes of it.

    One that is not there is made for the test and goes again, so that a mistake found later leaves nothing. What killed
    processes have left in it of their files is removed.

    Args:
        folder: where files will be written.

    Raises:
        InputError: it cannot be made, or takes no file.

    >>> check_writable(tempfile.gettempdir())
    """
    folder = Path(folder)
    made: list[Path] = []
    try:
        made = made_folder(folder)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(f"the results cannot be written into {folder}: {error.strerror or error}") from error
    finally:
        remove_empty(made)
    remove_left(folder)


def made_folder(path: Path) -> list[Path]:
    """Make a folder and those above it, and say which were made, the innermost first."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    return made


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders that hold nothing, such as those that `made_folder` has made."""
    for folder in folders:
        with suppress(OSError):  # something was written into it
            folder.rmdir()


@cache
def _remove_left_once(folder: Path) -> None:
    remove_left(folder)


def _is_alone(handle: int) -> bool:
    """Lock an open file or folder for this process; False where another one has it."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _opened_folder(folder: Path) -> int | None:
    """A locked handle of a folder; None where folders cannot be opened."""
    if sys.platform == "win32":
        return None
    handle = os.open(folder, os.O_RDONLY)
    _is_alone(handle)
    return handle


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
