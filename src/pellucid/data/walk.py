"""Which files below a folder a person means: all but those that operating systems, servers and notebooks put there."""

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pellucid.core.errors import InputError

__all__ = ["Found", "files_below", "files_in", "files_of", "folders_in", "is_foreign"]

WINDOWS = (
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "recycler", "recycled"),
    *("system volume information", "found.000", "picasa.ini", "zbthumbnail.info", "pspbrwse.jbf"),
)
APPLE = ("__macosx", "icon\r", "network trash folder", "temporary items", "thevolumesettingsfolder")
STORES = ("@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@__thumb")
OTHERS = ("lost+found", "lost.dir", "~snapshot", "_gsdata_", "__pycache__", "cvs")
FOREIGN = frozenset((*WINDOWS, *APPLE, *STORES, *OTHERS))
"""Names, in small letters, of folders and files that hold nothing a person put there."""

ENDS = ("~", ".tmp", ".part", ".partial", ".crdownload", ".lrdata", "@synoeastream", "@synoresource")
"""How the names end of what editors, browsers and servers write beside a file, or until it is whole."""


def is_foreign(name: str) -> bool:
    """Whether a folder or file of this name is hidden, or was made by a system and not by a person.

    >>> [is_foreign(name) for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "Thumbs.db", "cat.png~", "cat")]
    [True, True, True, True, True, False]
    """
    small = name.lower()
    return small.startswith((".", "~$")) or small in FOREIGN or small.endswith(ENDS)


class Found(NamedTuple):
    """The files below some folders.

    Args:
        files: sorted paths of those below each folder.
        doubled: links to what is among the files already.
    """

    files: list[list[str]]
    doubled: list[str]


def folders_in(folder: Path, *, once: bool = True) -> list[str]:
    """Sorted names of the folders that lie in a folder, but for those that are no data.

    Args:
        folder: is looked into.
        once: leave out a link to another of these folders, or to one that ``folder`` itself lies in.

    Raises:
        InputError: it cannot be listed.
    """
    try:
        entries = [entry for entry in os.scandir(folder) if entry.is_dir() and not is_foreign(entry.name)]
    except OSError as error:
        raise unreadable(error) from error
    if not once:
        return sorted(entry.name for entry in entries)
    place = os.path.realpath(folder)
    taken = {os.path.join(place, entry.name) for entry in entries if not entry.is_symlink()}
    names = [entry.name for entry in entries if not entry.is_symlink()]
    for entry in sorted((entry for entry in entries if entry.is_symlink()), key=lambda entry: entry.name):
        real = os.path.realpath(entry.path)
        if real not in taken and not _holds(real, place):
            taken.add(real)
            names.append(entry.name)
    return sorted(names)


def files_below(folder: str | Path) -> list[str]:
    """Sorted paths of all files below a folder, but for those that are no data; see `files_of`.

    Raises:
        InputError: a folder cannot be listed.
    """
    return files_of([folder]).files[0]


def files_of(folders: Sequence[str | Path]) -> Found:
    """The files below some folders, but for those that are no data, each once.

    Links are followed. One that leads to what is found without it, to what another link has led to, or to a folder
    that it lies in, adds nothing. So two folders that link to one another, or to themselves, come to an end.

    Args:
        folders: are searched with all their folders.

    Raises:
        InputError: a folder cannot be listed.
    """
    found: list[list[str]] = [[] for _ in folders]
    doubled: list[str] = []
    walked: set[str] = set()
    linked: set[str] = set()
    links: deque[tuple[int, str]] = deque()

    def walk(number: int, top: str) -> None:
        below = [top]
        while below:
            place = below.pop()
            real = os.path.realpath(place)
            if real in walked:
                continue
            walked.add(real)
            try:
                entries = [entry for entry in os.scandir(place) if not is_foreign(entry.name)]
            except OSError as error:
                raise unreadable(error) from error
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_symlink():
                    links.append((number, entry.path))
                elif entry.is_dir():
                    below.append(entry.path)
                elif os.path.join(real, entry.name) not in linked:
                    found[number].append(entry.path)

    for number, folder in enumerate(folders):
        walk(number, str(folder))
    while links:
        number, link = links.popleft()
        real = os.path.realpath(link)
        is_folder = os.path.isdir(link)
        known = real in walked if is_folder else os.path.dirname(real) in walked and not is_foreign(Path(real).name)
        if os.path.exists(link) and (known or real in linked or _holds(real, os.path.realpath(os.path.dirname(link)))):
            doubled.append(link)
        elif is_folder:
            walk(number, link)
        else:
            linked.add(real)
            found[number].append(link)
    return Found([sorted(files) for files in found], sorted(doubled))


def files_in(folder: Path) -> list[str]:
    """Sorted paths of the files that lie in a folder itself, but for those that are no data."""
    try:
        return sorted(entry.path for entry in os.scandir(folder) if entry.is_file() and not is_foreign(entry.name))
    except OSError as error:
        raise unreadable(error) from error


def unreadable(error: OSError) -> InputError:
    """The sentence for a folder that cannot be listed."""
    return InputError(f"folder {error.filename} cannot be read: {error.strerror}")


def _holds(folder: str, place: str) -> bool:
    """Whether a folder is ``place`` or lies above it; both are real paths."""
    return (place + os.sep).startswith(folder.rstrip(os.sep) + os.sep)
