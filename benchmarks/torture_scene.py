"""What torture starts from: photographs, the commands that are tried, processes that are cheap to start and to kill.

A process is a fork of one that has torch loaded already, so that a thousand of them take minutes.
"""

import hashlib
import json
import mmap
import os
import re
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.numpy import load_file

from pellucid.cli import main
from pellucid.core.files import LEFT
from pellucid.core.notes import tell

__all__ = ["Ended", "differences", "evaluation_words", "forked", "photographs", "preload", "started", "training_words"]

CLASSES = ("ant", "bee", "cat")
SIDE = 28
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
OPERATIONS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link", "os.symlink")
"""What Python tells of changes to files before they happen, beside opening for writing and fsync."""
VOLATILE = ("environment", "seconds", "started", "ended", "work", "time", "date", "cost", "command")
"""Names in JSON whose values differ between two runs of one command."""
LINE = 40
"""Height of a line of a card's text in pixels, at most."""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code, or minus the number of the signal that killed it.
        out: what it printed.
        err: what it said on the standard error.
        seconds: how long it took.
        operations: how many file operations it began.
    """

    code: int
    out: str
    err: str
    seconds: float
    operations: int

    @property
    def in_a_sentence(self) -> bool:
        """Whether it ended without a traceback, and where it failed said so in a line."""
        clean = "Traceback" not in self.err and "Exception ignored" not in self.err
        return clean and (self.code == 0 or "pellucid: " in self.err)


def photographs(folder: Path) -> Path:
    """An image folder of three classes that differ in brightness: 8 training and 4 test pictures of each."""
    draws = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for number, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for place in range(count):
                pixels = draws.integers(60 * number, 60 * number + 90, (SIDE, SIDE), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{place:02d}.png")
    return folder


def training_words(run: Path, photos: Path, epochs: int = 2) -> list[str]:
    """The command that trains a small network by SCAAT, or goes on with it."""
    data = ["--dataset.name=folder", f"--dataset.path={photos}", "--dataset.channels=1", "--dataset.validation=6"]
    method = [
        "--method=SCAAT",
        "--method.attack.eps=0.1",
        "--method.attack.steps=1",
        "--method.attack.step_size=0.1",
        "--method.warmup=0.2",
    ]
    settings = [*data, f"--dataset.size={SIDE}", "--network.name=lenet5", "--batch_size=6", f"--epochs={epochs}"]
    return ["train", str(run), *settings, *method, "--snapshots=1", "--resume", "--accelerator=cpu"]


def evaluation_words(run: Path) -> list[str]:
    """The command that measures it on six pictures."""
    kind = ["--images=6", "--batch_size=3", "--metrics=gini", "--saliency=[vanilla_gradient]", "--gallery=3"]
    return ["evaluate", str(run), *kind, "--accelerator=cpu"]


def started(
    words: Sequence[str],
    place: Path,
    *,
    before: Callable[[], None] | None = None,
    kill_before: int = 0,
    work: Callable[[], Any] | None = None,
) -> Callable[[float], Ended]:
    """Start a command in a process of its own; gives a function that waits for its end.

    Args:
        words: of the command.
        place: folder that it runs in, whose files are watched.
        before: done in the new process first, such as setting a limit.
        kill_before: number of the file operation before which it is killed; 0 for none.
        work: done in place of the command.
    """
    count = mmap.mmap(-1, 8)
    streams = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115, closed when it is waited for
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            _prepare(streams, place, count, kill_before)
            if before is not None:
                before()
            code = _carried_out(words, work)
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except (OSError, ValueError):
                    code = code or 120
            os._exit(code)

    def wait(timeout: float) -> Ended:
        deadline, status = began + timeout, None
        while status is None:
            done, found = os.waitpid(child, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(found)
            elif time.perf_counter() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                status = -999  # it hung
            else:
                time.sleep(0.005)
        said = []
        for stream in streams:
            stream.seek(0)
            said.append(stream.read().decode(errors="replace"))
            stream.close()
        return Ended(status, *said, time.perf_counter() - began, struct.unpack("<q", count[:8])[0])

    wait.process = child  # type: ignore[attr-defined]
    return wait


def forked(words: Sequence[str], place: Path, *, timeout: float = 120, **options: Any) -> Ended:
    """Carry out a command in a process of its own, as `started` has it, and wait for its end."""
    return started(words, place, **options)(timeout)


def preload(words: Sequence[str], place: Path) -> Ended:
    """Carry out a command once, and load here what it has loaded there, so that later processes find it loaded."""
    names = place.parent / "modules.txt"

    def carried_out() -> None:
        if code := _carried_out(words, None):
            raise SystemExit(code)
        names.write_text("\n".join(sys.modules))

    ended = forked(words, place, work=carried_out)
    if ended.code == 0:
        for name in names.read_text().split("\n"):
            with suppress(Exception):  # some can only be imported by others
                import_module(name)
    return ended


def _prepare(streams: list[Any], place: Path, count: mmap.mmap, kill_before: int) -> None:
    os.setpgid(0, 0)
    for number, stream in zip((1, 2), streams, strict=True):
        os.dup2(stream.fileno(), number)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    os.chdir(place)
    tell.cache_clear()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    here, fsync = str(place), os.fsync

    def begins(path: Any, folder: int = -1) -> None:
        path = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if path.startswith(here) or (path and not path.startswith("/")) or folder >= 0:
            number = struct.unpack("<q", count[:8])[0] + 1
            count[:8] = struct.pack("<q", number)
            if number == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            begins(arguments[0])
        elif event in OPERATIONS:
            begins(arguments[0], arguments[-1] if isinstance(arguments[-1], int) and event != "os.chmod" else -1)

    def synced(handle: Any) -> None:
        begins(here)
        fsync(handle)

    os.fsync = synced
    sys.addaudithook(hook)


def _carried_out(words: Sequence[str], work: Callable[[], Any] | None) -> int:
    sys.argv = ["pellucid", *words]
    if work is None:
        try:
            return main(list(words))
        except SystemExit as ending:
            return ending.code if isinstance(ending.code, int) else 1
    work()
    return 0


def differences(one: Path, other: Path) -> list[str]:
    """What two folders differ in that two runs of one command must not; also what was left behind in the second.

    Args:
        one: of an undisturbed command.
        other: of a disturbed one that was given again.
    """
    there, found = _files(one), _files(other)
    wrong = [f"{name} is missing" for name in sorted(there.keys() - found.keys())]
    wrong += [f"{name} was left" for name in sorted(found.keys() - there.keys())]
    for name in sorted(there.keys() & found.keys()):
        if not _same(there[name], found[name]):
            wrong.append(f"{name} differs")
    wrong += [f"{path.name} was left" for path in other.rglob(".*") if LEFT.fullmatch(path.name) or path.is_dir()]
    return wrong


def _files(folder: Path) -> dict[str, Path]:
    """Files by their path; those of a study, whose names are drawn anew, by what they hold."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            name = path.relative_to(folder).as_posix()
            if "/stimuli/" in f"/{name}":
                name = f"stimuli/{hashlib.sha256(path.read_bytes()).hexdigest()}"
            found[name] = path
    return found


def _same(one: Path, other: Path) -> bool:
    match one.suffix:
        case ".safetensors":
            a, b = ({name: value.tobytes() for name, value in load_file(file).items()} for file in (one, other))
            return a == b
        case ".parquet":
            return pq.ParquetFile(one).read(use_threads=False).equals(pq.ParquetFile(other).read(use_threads=False))
        case ".pt":
            return _lasting(torch.load(one, weights_only=True)) == _lasting(torch.load(other, weights_only=True))
        case ".json" if one.name == "digests.json":
            return True  # each is held against its own files by the commands themselves
        case ".json":
            return _lasting(json.loads(one.read_text())) == _lasting(json.loads(other.read_text()))
        case ".csv" if one.name == "train.csv":
            return _without_column(one, "seconds") == _without_column(other, "seconds")
        case ".csv" | ".md" | ".html":
            return _plain(one) == _plain(other)
        case ".yaml":
            return _plain(one) == _plain(other)
        case ".png":
            return _same_but_a_line(np.asarray(Image.open(one)), np.asarray(Image.open(other)))
        case ".svg":
            return True  # matplotlib writes the date into them
    return one.read_bytes() == other.read_bytes()


def _same_but_a_line(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether pictures are the same, but for the line of text on which a card says when it was made."""
    if one.shape != other.shape:
        return False
    rows = np.flatnonzero((one != other).reshape(len(one), -1).any(axis=1))
    return not len(rows) or int(rows[-1] - rows[0]) < LINE


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _lasting(inner) for name, inner in value.items() if name not in VOLATILE}
    if isinstance(value, list | tuple):
        return [_lasting(inner) for inner in value]
    return value.tolist() if isinstance(value, torch.Tensor) else repr(value) if value != value else value


def _without_column(file: Path, name: str) -> list[list[str]]:
    rows = [line.split(",") for line in file.read_text().splitlines()]
    at = rows[0].index(name)
    return [row[:at] + row[at + 1 :] for row in rows]


def _plain(file: Path) -> str:
    """Text without what is drawn or timed anew: times, durations, identifiers, and paths."""
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00|Z)?", "TIME", text)
    text = re.sub(r"\b\d+(\.\d+)? (ms|s|min|h|seconds|minutes)\b", "DURATION", text)
    text = re.sub(r"[A-Za-z0-9_-]{11,64}", "WORD", text)
    return re.sub(r"/[^\s\"'<>,)]*", "PATH", text)
