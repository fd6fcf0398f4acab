"""Where the known datasets are: the cache, the system's dataset folders, the official mirrors.

A file counts only when the digest of its decompressed bytes is the published one. Imports no torch.
"""

import gzip
import hashlib
import http.client
import os
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import platformdirs
from tqdm import tqdm

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.data.catalogue import SOURCES
from pellucid.data.config import DATASETS, TRUTH, known

__all__ = ["Known", "cache", "find", "find_file", "find_form", "get", "lacking", "names", "verify"]

TIMEOUT = 10.0
"""Seconds without an answer after which a mirror is given up."""

CHUNK = 1 << 20

BROKEN = (OSError, EOFError, zlib.error, http.client.HTTPException)
"""What reading a damaged file, or from a mirror that stops answering, raises."""


class Known(NamedTuple):
    """A line of ``pellucid data list``; ``place`` is None where the dataset is not on this machine."""

    name: str
    description: str
    place: Path | None


HELP = {
    "fashion-mnist": "; on Debian and Ubuntu `apt install dataset-fashion-mnist` brings it, and without root "
    "scripts/fashion_mnist of pellucid's source",
    "mnist": "; where pip answers, scripts/mnist of pellucid's source brings it",
}
"""What else brings a dataset, to end a sentence that says where it was looked for."""


def cache() -> Path:
    """Folder of the datasets: ``$PELLUCID_DATA``, or the platform's cache folder where that is not set."""
    return Path(os.environ.get("PELLUCID_DATA") or platformdirs.user_cache_dir("pellucid"))


def places(name: str) -> list[Path]:
    """Folders where dataset ``name`` may lie, in the order in which they are looked at."""
    system = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    return [cache() / name, cache(), *(Path(folder) / "datasets" / name for folder in system if folder)]


def names() -> tuple[Known, ...]:
    """The datasets that ``get`` knows, and where they are on this machine (their content is not checked here)."""
    return tuple(Known(name, source.description, find(name)) for name, source in SOURCES.items())


def find(name: str) -> Path | None:
    """The first folder that has all files of dataset ``name``, or None."""
    return next((folder for folder in places(name) if find_form(name, folder)), None)


def find_file(name: str, folder: Path, file: str) -> Path | None:
    """Path of ``file`` or ``file``.gz in ``folder`` or in the sub-folders that others use, or None."""
    if folder.name in (file, f"{file}.gz") and folder.is_file():
        return folder
    for below in ("", *SOURCES[name].folders):
        for path in (folder / below / file, folder / below / f"{file}.gz"):
            if path.is_file():
                return path
    return None


def find_form(name: str, folder: Path) -> dict[str, Path]:
    """Paths of the first complete set of files in ``folder`` by their decompressed names; empty where none is."""
    for form in SOURCES[name].forms:
        paths = {file: path for file in form if (path := find_file(name, folder, file))}
        if len(paths) == len(form):
            return paths
    return {}


def lacking(name: str, folder: Path) -> str:
    """The sentence for a folder that holds no complete set of files."""
    present = [[file for file in form if find_file(name, folder, file)] for form in SOURCES[name].forms]
    most = max(range(len(present)), key=lambda i: len(present[i]))
    if not present[most]:
        return f"{folder} does not hold {name}: expected {_listed(SOURCES[name].forms)}"
    missing = [file for file in SOURCES[name].forms[most] if file not in present[most]]
    return f"{folder} does not hold all of {name}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"


def verify(name: str, file: str, content: bytes, where: object) -> None:
    """Compare bytes with the published digest.

    Args:
        name: the dataset.
        file: name of the decompressed file.
        content: its decompressed bytes.
        where: the file that was read, for the message.

    Raises:
        InputError: they differ.
    """
    for _ in _verified([content], name, file, where):
        pass


def get(name: str, *, path: str | Path | None = None, progress: Callable[[str], None] | None = None) -> Path:
    """Folder of a verified dataset, looked for in the cache, the system's dataset folders and the official mirrors.

    Args:
        name: a known dataset.
        path: a folder (or archive) of the files, taken into the cache instead of looking in other places.
        progress: called with a line when something slow begins.

    Returns:
        The folder; what came from a mirror or from ``path`` lies in the cache.

    Raises:
        InputError: the dataset is nowhere, or the cache cannot be written. Nothing half-written is left.
    """
    report = progress or (lambda line: None)
    if known("dataset", name, DATASETS) in TRUTH:
        raise InputError(f"dataset {name!r} is made on this machine when it is first read, and needs no fetching")
    if name not in SOURCES:
        raise InputError(
            f"dataset {name!r} is read from its path and cannot be fetched; known are {', '.join(SOURCES)}"
        )
    target = cache() / name
    if path is not None:
        files = find_form(name, Path(path))
        if not files:
            raise InputError(lacking(name, Path(path)))
        for file, place in files.items():
            _store(_read(place, file), target / file, name, place)
        return target
    tried = []
    for folder in places(name):
        files = find_form(name, folder)
        try:
            for file, place in files.items():
                for _ in _verified(_read(place, file), name, file, place):
                    pass
        except InputError as error:
            tried.append(str(error))
            continue
        if files:
            return folder
        tried.append(f"{folder} (not there)")
    for mirror in SOURCES[name].mirrors:
        report(f"{name}: downloading from {mirror}")
        try:
            _download(name, mirror, target)
        except _Unreachable as error:
            tried.append(f"{mirror} ({error})")
            continue
        return target
    raise InputError(
        f"{name} was not found; tried {'; '.join(tried)}; put {_listed(SOURCES[name].forms[:1])} into {target}"
        f"{HELP.get(name, '')}"
    )


def _listed(forms: Iterable[tuple[str, ...]]) -> str:
    return ", or ".join(", ".join(form) for form in forms)


class _Unreachable(Exception):
    """A mirror did not give the file."""


def _download(name: str, mirror: str, target: Path) -> None:
    wanted = SOURCES[name].forms[0]
    if not mirror.endswith(".tar.gz"):
        for file in wanted:
            address = f"{mirror}{file}.gz"
            with _answer(address) as answer:
                pieces = _pieces(partial(gzip.open, answer), _unreachable)
                _store(pieces, target / file, name, address, mistake=_Unreachable)
        return
    left = set(wanted)
    with _answer(mirror) as answer:
        try:
            with tarfile.open(fileobj=answer, mode="r|gz") as archive:
                for member in archive:
                    file = Path(member.name).name
                    if file in left and member.isfile():
                        pieces = _pieces(partial(archive.extractfile, member), _unreachable)
                        _store(pieces, target / file, name, f"{file} of {mirror}", mistake=_Unreachable)
                        left.remove(file)
        except (*BROKEN, tarfile.TarError) as error:
            raise _Unreachable(f"broken archive: {error}") from error
    if left:
        raise _Unreachable(f"it has no {', '.join(sorted(left))}")


@contextmanager
def _answer(address: str) -> Iterator[IO[bytes]]:
    """What lies at an address, with a bar on a terminal while it is read."""
    request = urllib.request.Request(address, headers={"User-Agent": "pellucid"})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except BROKEN as error:
        raise _unreachable(error) from error
    length = int(answer.headers.get("Content-Length") or 0) or None
    name = address.rpartition("/")[2]
    with answer, tqdm.wrapattr(answer, "read", length, desc=name, dynamic_ncols=True, disable=None) as stream:
        yield stream


def _unreachable(error: Exception) -> _Unreachable:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    kind = "not a gzip file: " if isinstance(error, gzip.BadGzipFile) else ""
    return _Unreachable(f"{kind}{reason}" if str(reason) else type(error).__name__)


def _pieces(opened: Callable[[], Any], mistake: Callable[[Exception], Exception]) -> Iterator[bytes]:
    """What is opened, piece by piece; ``mistake`` turns its failures into errors told from those of writing."""
    try:
        with opened() as stream:
            yield from iter(partial(stream.read, CHUNK), b"")
    except BROKEN as error:
        raise mistake(error) from error


def _read(path: Path, file: str) -> Iterator[bytes]:
    """Content of a file on disk, decompressed unless ``file`` is itself an archive."""
    return _pieces(
        partial(gzip.open if path.name != file else open, path, "rb"),
        lambda error: InputError(f"{path} is damaged, truncated or cannot be read: {error}"),
    )


def _verified(
    pieces: Iterable[bytes], name: str, file: str, where: object, mistake: type[Exception] = InputError
) -> Iterator[bytes]:
    """The same pieces; an error at the end, where their digest is not the published one."""
    kind, expected = SOURCES[name].digests[file].split(":")
    digest = hashlib.new(kind, usedforsecurity=False)
    length = 0
    for piece in pieces:
        digest.update(piece)
        length += len(piece)
        yield piece
    if digest.hexdigest() != expected:
        raise mistake(
            f"{where} is damaged, truncated or not {name}'s: the {kind.upper()} of its {length} bytes is "
            f"{digest.hexdigest()}, expected {expected}"
        )


def _store(
    pieces: Iterable[bytes], target: Path, name: str, where: object, mistake: type[Exception] = InputError
) -> None:
    try:
        with whole_file(target) as temporary, temporary.open("wb") as stream:
            for piece in _verified(pieces, name, target.name, where, mistake):
                stream.write(piece)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written: {error.strerror}; set PELLUCID_DATA to a folder that can be, and has room"
        ) from error
