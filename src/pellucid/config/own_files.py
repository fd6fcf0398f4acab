"""Which files of settings this user's pellucid wrote: a note of each that names code outside pellucid.

The notes stand in the user's own folder of state, not in what was written, so that nobody who hands out a run directory
can forge one.
"""

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import platformdirs

__all__ = ["NOTED", "folder_of_code", "imported_from", "note", "notes_file", "own_names"]

NOTED: dict[str, dict[str, str]] = {}
"""What this process has noted itself: names by the SHA-256 of a file."""


def notes_file() -> Path:
    """Where notes stand: ``$PELLUCID_STATE/names.jsonl``, or in the platform's folder of a user's state."""
    return Path(os.environ.get("PELLUCID_STATE") or platformdirs.user_state_dir("pellucid")) / "names.jsonl"


def note(content: bytes, names: Mapping[str, str]) -> None:
    """Note that this user's pellucid wrote a file that names code which the user had named.

    Args:
        content: of the file.
        names: what it names, each with the folder that the code lies in, empty where it lies in none.
    """
    digest = hashlib.sha256(content).hexdigest()
    if not names or NOTED.get(digest) == names:
        return
    NOTED[digest] = dict(names)
    line = json.dumps({"sha256": digest, "names": NOTED[digest]}) + "\n"
    with suppress(OSError):  # a home that takes no file: --trust says the same
        notes_file().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(notes_file(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def own_names(content: bytes) -> Mapping[str, str]:
    """What the user had named in a file, with the folder of each; nothing where no note is of this very content."""
    digest = hashlib.sha256(content).hexdigest()
    if digest in NOTED:
        return NOTED[digest]
    own: dict[str, str] = {}
    try:
        lines = notes_file().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return own
    for line in lines:
        if digest in line:
            with suppress(ValueError, KeyError, TypeError):  # cut short by a full disk
                own |= {str(name): str(folder) for name, folder in json.loads(line)["names"].items()}
    return own


def folder_of_code(module: str, folder: str) -> str | None:
    """The folder that a module or package lies in, or would be imported from.

    Args:
        module: the name of the module at the top.
        folder: searched too, after Python's path.
    """
    if module in sys.modules:
        return imported_from(module)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    return _lies_in(spec or (PathFinder.find_spec(module, [folder]) if folder else None))


def imported_from(module: str) -> str | None:
    """The folder that an imported module or package lies in; None where it is not imported or lies in no folder."""
    return _lies_in(getattr(sys.modules.get(module), "__spec__", None))


def _lies_in(spec: ModuleSpec | None) -> str | None:
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return str(Path(next(iter(spec.submodule_search_locations))).absolute().parent)
    return str(Path(spec.origin).absolute().parent) if spec.origin and spec.has_location else None
