"""Whose code may be imported: pellucid's own and what the user names, never what only a stranger's file names.

A file of settings, such as the ``experiment.yaml`` of a run directory, names classes and functions by their import
paths. While such a file is read, a path outside pellucid is imported only if the user has named it: with ``--trust``,
in this command, or when this user's pellucid wrote the file.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

from pellucid.config.own_files import NOTED, folder_of_code, imported_from, note, own_names
from pellucid.core.errors import InputError

__all__ = [
    "CODE_OPTIONS",
    "SOURCES",
    "CodeOptions",
    "ImportPath",
    "carried",
    "check_home",
    "check_trusted",
    "command_line",
    "is_import_path",
    "name_typed",
    "note_named",
    "reading",
    "runs_code",
    "searchable",
    "trust",
]

SOURCES = ("timm", "torchvision", "huggingface", "truth", "object")
"""What stands before a colon without being a module."""

CODE_OPTIONS = (
    *("trust_remote_code", "weights_only", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"),
    *("attn_implementation", "experts_implementation", "use_kernels", "kernel_config", "allow_all_kernels"),
)
"""Keyword arguments of timm's and transformers' networks that let code or a pickle be fetched and run."""

ImportPath = Annotated[str, "import path"]
"""Text of a field that may be the import path of code; from a stranger's file it is checked before it is imported."""

CodeOptions = Annotated[dict[str, Any], "options"]
"""Keyword arguments of a field, of which a stranger's file gives none of `CODE_OPTIONS`."""

_PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class _File:
    """A file that is being read: its path, and what the user had named when this user's pellucid wrote it."""

    path: str
    own: Mapping[str, str]


@dataclass
class _Command:
    """The command that the user typed: the folder it was typed in, which named code is looked for in."""

    folder: str | None = None


@dataclass
class _Granted:
    """Import paths, or packages, that the user has named, each with a folder to find it in beside Python's path."""

    folders: dict[str, str | None] = field(default_factory=dict)


_FILE: ContextVar[_File | None] = ContextVar("file", default=None)
_COMMAND = _Command()
_GRANTED = _Granted()
_FOUND: dict[str, str] = {}
"""Import paths in files that this user's pellucid wrote, each with the folder that the code lies in."""


class trust:  # called like a function, and ended like a context
    """Let files of settings name the code of a package, from here on or within a ``with`` block.

    A run directory, or another file of settings, may name classes and functions outside pellucid, and reading it calls
    them. Such a file is refused unless this process, or this user before, has named them itself.

    Args:
        packages: names of packages or modules whose code you trust, such as ``my_package`` or ``my_package.networks``.

    Raises:
        InputError: no name of a package, or one of Python's own library, whose functions a file could call.

    >>> with trust("my_package"):
    ...     pass
    >>> trust("my_package:Network")
    Traceback (most recent call last):
    pellucid.InputError: a package to trust is named like my_package or my_package.networks, got 'my_package:Network'
    """

    def __init__(self, *packages: str) -> None:
        for package in packages:
            if not isinstance(package, str) or not _PACKAGE.fullmatch(package):
                raise InputError(f"a package to trust is named like my_package or my_package.networks, got {package!r}")
            if _root(package) in sys.stdlib_module_names:
                raise InputError(
                    f"{package!r} is of Python's own library, by which a file could do anything; a package of "
                    "networks, data sets, methods or metrics is accepted"
                )
        self._before = dict(_GRANTED.folders)
        _GRANTED.folders |= dict.fromkeys(packages, _COMMAND.folder)

    def __enter__(self) -> "trust":
        """Trust them until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Trust again what was trusted before."""
        _GRANTED.folders = self._before


@contextmanager
def command_line(folder: str | Path) -> Iterator[None]:
    """While it lasts, what the user names is looked for in the folder too, after all that Python's path holds.

    Args:
        folder: where the command was typed.
    """
    before, path, was = dict(_GRANTED.folders), [*sys.path], _COMMAND.folder
    _COMMAND.folder = str(folder)
    try:
        yield
    finally:
        _COMMAND.folder, _GRANTED.folders = was, before
        sys.path[:] = path


def name_typed(path: str) -> None:
    """Take an import path as named by the user on the command line; other words are left alone."""
    if _COMMAND.folder is not None and is_import_path(path):
        _GRANTED.folders.setdefault(path, _COMMAND.folder)


def is_import_path(text: str) -> bool:
    """Whether a text names code by its import path, rather than something by a name of its own.

    >>> [is_import_path(text) for text in ("my_package:Network", "my_package.Network", "timm:resnet18", "lenet5")]
    [True, True, False, False]
    """
    first, colon, _ = text.partition(":")
    return not (colon and first in SOURCES) and (bool(colon) or "." in first)


@contextmanager
def reading(path: str | Path, content: bytes) -> Iterator[None]:
    """While it lasts, objects are made of a file's content, which may be a stranger's.

    Args:
        path: of the file, for the sentence of a refusal.
        content: what was read from it; where this user's pellucid wrote the same, the names in it are the user's own.
    """
    token = _FILE.set(_File(str(path), own_names(content)))
    try:
        yield
    finally:
        _FILE.reset(token)


def runs_code(name: str, value: object) -> bool:
    """Whether a value of one of `CODE_OPTIONS` may let code be fetched and run.

    >>> runs_code("weights_only", False), runs_code("weights_only", True), runs_code("trust_remote_code", False)
    (True, False, False)
    """
    if name == "weights_only":
        return value is not True
    if name.endswith("_implementation"):
        return "/" in str(value)  # a kernel of a repository
    return bool(value)


def check_trusted(path: str, place: str = "") -> bool:
    """Refuse an import path that only a stranger's file names, before anything of it is imported.

    Args:
        path: the import path, or a name of `CODE_OPTIONS`.
        place: where the file names it, such as ``network.name``.

    Returns:
        Whether no more is known than that its package is trusted, so that `check_home` must look at what it means.

    Raises:
        InputError: a file is being read, and the user has not named this; the sentence says which option does.
    """
    file = _FILE.get()
    if file is None or path in _GRANTED.folders:
        return False
    if _root(path) == "pellucid" or _granted(path) is not None:
        return True
    if path in CODE_OPTIONS:
        if path in file.own or "huggingface" in _GRANTED.folders or "timm" in _GRANTED.folders:
            return False
        raise InputError(
            f"{file.path} gives {place}.{path}, by which a network's package may run code of whoever wrote the file; "
            "if you trust them, give --trust timm or --trust huggingface, in Python pellucid.trust('timm')"
        )
    folder = file.own.get(path)
    if folder is not None and folder_of_code(_root(path), folder) == folder:
        _FOUND[path] = folder
        return False
    at = f" at {place}" if place else ""
    package = _root(path)
    if package in sys.stdlib_module_names:
        raise InputError(
            f"{file.path} names {path!r}{at}, which is of Python's own library, not part of pellucid, and was not "
            "imported; no network, data set, method or metric is there, and --trust is for packages of people you know"
        )
    raise InputError(
        f"{file.path} names {path!r}{at}, which is not part of pellucid and was not imported; if you trust who wrote "
        f"it and the file, give --trust {package}, in Python pellucid.trust({package!r})"
    )


def check_home(found: Any, path: str) -> None:
    """Refuse what a trusted module only passes on: code that is defined where nobody is trusted.

    Args:
        found: what the import path means.
        path: the import path.

    Raises:
        InputError: a file is being read, and this is a module, or a class or function of another package.
    """
    file = _FILE.get()
    if file is None or path in _GRANTED.folders:
        return
    name, home = getattr(found, "__qualname__", None), getattr(found, "__module__", None)
    if isinstance(found, type(sys)):
        raise InputError(f"{file.path} names {path!r}, which is a module; a class or function is accepted")
    if isinstance(name, str) and isinstance(home, str) and _root(home) != _root(path):
        check_trusted(f"{home}.{name}", path)


@contextmanager
def searchable(path: str) -> Iterator[None]:
    """While it lasts, and after it if the module is there, the folder in which the user named a path is searched.

    The folder stands last, so that a file in it never takes the place of a package that is installed.
    """
    folder = _granted(path) or _FOUND.get(path)
    if not folder or folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        if imported_from(_root(path)) != folder and folder in sys.path:
            sys.path.remove(folder)


def note_named(content: bytes, names: Iterable[str]) -> None:
    """Note that this user's pellucid wrote a file that names code, in `pellucid.config.own_files`.

    Args:
        content: of the file.
        names: import paths and `CODE_OPTIONS` in it.
    """
    note(content, {path: folder_of_code(_root(path), _granted(path) or "") or "" for path in names})


class carried:  # called like a function
    """Work that another process does with what the user has named in this one.

    Args:
        work: a function that can be pickled.
    """

    def __init__(self, work: Callable[..., Any]) -> None:
        self.work = work
        self.folders, self.found, self.noted = dict(_GRANTED.folders), dict(_FOUND), dict(NOTED)

    def __call__(self, *arguments: Any) -> Any:
        """Do the work."""
        _GRANTED.folders = self.folders | _GRANTED.folders
        _FOUND.update(self.found)
        NOTED.update(self.noted)
        return self.work(*arguments)


def _root(path: str) -> str:
    return path.replace(":", ".").partition(".")[0]


def _granted(path: str) -> str | None:
    """The folder of what the user has named, empty where Python's path has it; None where the user has not."""
    parts = path.replace(":", ".").split(".")
    named = {name.replace(":", "."): folder for name, folder in _GRANTED.folders.items()}
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in named:
            return named[name] or ""
    return None
