"""How long work on many networks will still take: a bar on a terminal, otherwise a line a minute."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

__all__ = ["Job", "Progress", "duration"]

EVERY = 60.0
"""Seconds between two lines where there is no terminal."""


@dataclass(frozen=True)
class Job:
    """A piece of the work.

    Attributes:
        name: as a person knows it.
        kind: jobs of one kind take times in the ratio of their weights.
        weight: in any unit; 0 for what is done already.
    """

    name: str
    kind: str
    weight: float = 1.0


class Progress:
    """Says what is done and how long the rest will take, from how long the finished jobs took.

    Use it as a context manager, and call `done` after each job. Nothing is said where a test or a caller wants silence.

    Args:
        title: what the work is, such as the name of a paper.
        jobs: all of it, in the order in which it is begun.
        shown: False for silence.
        unit: what a person counts.
        of: how many jobs make one unit.
        foreseen: how many jobs there are beside these, whose names and weights are not known yet; see `more`.
        clock: seconds, from any beginning.

    >>> jobs = [Job("a", "training", 1), Job("b", "training", 3)]
    >>> seconds = iter([0.0, 10.0, 15.0])
    >>> progress = Progress("demo", jobs, shown=False, clock=lambda: next(seconds))
    >>> progress.left() is None  # nobody knows yet
    True
    >>> progress.done(jobs[0])
    >>> progress.left()  # at 15 s the second has had 5 s of the 30 s that it needs
    25.0
    """

    def __init__(
        self,
        title: str,
        jobs: Sequence[Job],
        *,
        shown: bool = True,
        unit: str = "network",
        of: int = 1,
        foreseen: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title, self.unit, self.of, self.shown = title, unit, of, shown
        self._clock = clock
        self._start = self._since = clock()
        self._waiting = list(jobs)
        self._finished = 0
        self._foreseen = foreseen
        self._known: dict[str, tuple[float, float]] = {}  # by kind, seconds and weight of what is done
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._bar: Any = None
        self._streams = ExitStack()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Progress":
        if self.shown and self.total:
            if sys.stderr.isatty():
                for redirect, stream in ((redirect_stdout, sys.stdout), (redirect_stderr, sys.stderr)):
                    if stream.isatty():
                        self._streams.enter_context(redirect(_Above(stream)))
                form = "{desc}: {n_fmt} of {total_fmt} {unit}s |{bar}| {elapsed} so far{postfix}"
                self._bar = tqdm(total=self.total, desc=self.title, unit=self.unit, dynamic_ncols=True, bar_format=form)
            self._thread = threading.Thread(target=self._tick, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._bar is not None:
            self._bar.close()
        self._streams.close()

    def done(self, job: Job) -> None:
        """A job has ended."""
        with self._lock:
            now = self._clock()
            self._waiting.remove(job)
            self._finished += 1
            if job.weight > 0:
                seconds, weight = self._known.get(job.kind, (0.0, 0.0))
                self._known[job.kind] = (seconds + now - self._since, weight + job.weight)
            self._since = now
        if self._bar is not None:
            self._bar.n = self._finished // self.of
            self._show()

    def more(self, jobs: Sequence[Job]) -> None:
        """Name jobs that were only foreseen at the beginning, or not even that."""
        with self._lock:
            self._waiting += jobs
            self._foreseen = max(0, self._foreseen - len(jobs))
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.refresh()

    @property
    def total(self) -> int:
        """How many units there are, done or not."""
        return (self._finished + len(self._waiting) + self._foreseen) // self.of

    def left(self) -> float | None:
        """Seconds that the rest will take, 0 at least; None while no job is done from which that could be told."""
        with self._lock:
            waiting = [job for job in self._waiting if job.weight > 0] + [Job("", "")] * self._foreseen
            if not waiting:
                return 0.0
            if not self._known:
                return None
            first, *others = (self._expected(job) for job in waiting)
            return max(0.0, first - (self._clock() - self._since)) + sum(others)

    def sentence(self) -> str:
        """What is done, and how long the rest will take."""
        networks = f"{self._finished // self.of} of {self.total} {self.unit}s are done"
        left = self.left()
        rest = "how long the rest takes is not known yet" if left is None else f"about {duration(left)} left"
        return f"{self.title}: {networks}, {duration(self._clock() - self._start)} so far, {rest}"

    def _expected(self, job: Job) -> float:
        """Seconds of a job, from those of its kind, or of all kinds where none of its kind is done."""
        seconds, weight = self._known.get(job.kind) or tuple(map(sum, zip(*self._known.values(), strict=True)))
        return job.weight * seconds / weight

    def _tick(self) -> None:
        while not self._stop.wait(EVERY if self._bar is None else 1.0):
            self._show()

    def _show(self) -> None:
        if self._bar is None:
            print(f"pellucid: {self.sentence()}", file=sys.stderr, flush=True)
            return
        left = self.left()
        self._bar.set_postfix_str("" if left is None else f"about {duration(left)} left")


class _Above:
    """A terminal's stream on which a printed line stands above the bars, which are drawn again below it.

    What a bar itself writes has a carriage return, an escape or nothing but line ends, and passes as it is.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if "\r" in text or "\x1b[A" in text or not (self._begun or text.strip("\n")):
            return self._stream.write(text)
        *lines, self._begun = (self._begun + text).split("\n")
        if lines:
            with tqdm.external_write_mode(file=sys.stderr):
                self._stream.write("".join(f"{line}\n" for line in lines))
                self._stream.flush()
        return len(text)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as people say them.

    >>> duration(59), duration(300), duration(7200)
    ('59 s', '5 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
