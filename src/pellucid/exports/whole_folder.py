"""The folder of an export, which appears whole or not at all, and replaces exports alone."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from pellucid.core import files
from pellucid.core.errors import InputError

__all__ = ["whole_folder"]


@contextmanager
def whole_folder(path: str | Path, *, replace: bool = False, known: Collection[str] = ()) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``path``; on success it takes that place, on failure nothing is left.

    Args:
        path: the folder to write; those above it are made.
        replace: whether it may take the place of a folder that holds files.
        known: names of the files and folders that may be lost then; one that holds anything else stays.

    Raises:
        InputError: ``path`` is a file, or a folder that holds something and may not be replaced.
        OSError: no permission or no space; ``path`` is as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as above:
    ...     with whole_folder(Path(above) / "out") as folder:
    ...         _ = (folder / "numbers.txt").write_text("1 2 3")
    ...     (Path(above) / "out" / "numbers.txt").read_text()
    '1 2 3'
    """
    path = Path(path).absolute()
    files.remove_left(path.parent, path.name)  # which puts a folder back that a killed process has moved aside
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; give a folder that is new or empty")
    there = sorted(entry.name for entry in path.iterdir()) if path.exists() else []
    foreign = [name for name in there if name not in known]
    if there and not replace:
        raise InputError(f"{path} is not empty, it holds {there[0]!r}; give another folder, or --replace")
    if foreign:
        raise InputError(f"{path} holds {foreign[0]!r}, which no export wrote; --replace replaces only exports")
    with files.whole_folder(path) as folder:
        yield folder
