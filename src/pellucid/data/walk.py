"""Which files below a folder a person means: all but those that operating systems, servers and notebooks put there."""

import os
from collections.abc import Iterator
from pathlib import Path

from pellucid.core.errors import InputError

__all__ = ["files_below", "folders_in", "is_foreign"]

SYSTEMS = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "lost+found")
SERVERS = ("@eadir", "#recycle", "#snapshot", "system volume information", "__pycache__")
FOREIGN = frozenset((*SYSTEMS, *SERVERS))
"""Names, in small letters, of folders and files that hold nothing a person put there."""


def is_foreign(name: str) -> bool:
    """Whether a folder or file of this name is hidden, or was made by a system and not by a person.

    >>> [is_foreign(name) for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "Thumbs.db", "cat")]
    [True, True, True, True, False]
    """
    return name.startswith(".") or name.lower() in FOREIGN


def folders_in(folder: Path) -> list[str]:
    """Sorted names of the folders that lie in a folder, but for those that are no data.

    Raises:
        InputError: it cannot be listed.
    """
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_foreign(entry.name))
    except OSError as error:
        raise unreadable(error) from error


def files_below(folder: str | Path) -> list[str]:
    """Sorted paths of all files below a folder, but for those that are no data.

    Links to folders are followed, except to one that they lie in.

    Raises:
        InputError: a folder cannot be listed.
    """
    return sorted(_files(str(folder)))


def files_in(folder: Path) -> list[str]:
    """Sorted paths of the files that lie in a folder itself, but for those that are no data."""
    try:
        return sorted(entry.path for entry in os.scandir(folder) if entry.is_file() and not is_foreign(entry.name))
    except OSError as error:
        raise unreadable(error) from error


def unreadable(error: OSError) -> InputError:
    """The sentence for a folder that cannot be listed."""
    return InputError(f"folder {error.filename} cannot be read: {error.strerror}")


def _files(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise unreadable(error) from error

    for place, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(place)
        folders[:] = [name for name in folders if not is_foreign(name) and not _holds(os.path.join(place, name), real)]
        yield from (os.path.join(place, name) for name in files if not is_foreign(name))


def _holds(link: str, place: str) -> bool:
    """Whether a link leads to a folder that ``place`` lies in, so that following it would never end."""
    return os.path.islink(link) and (place + os.sep).startswith(os.path.realpath(link).rstrip(os.sep) + os.sep)
