"""How a command ends that is stopped, runs out of memory or disk, or has nobody left to read what it says."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["STOPPING", "Stopped", "discard_output", "out_of_memory", "stopping_signals", "usable_streams"]

STOPPING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a command as Ctrl-C does: asked to stop, and the terminal closed."""


class Stopped(KeyboardInterrupt):
    """A signal has arrived.

    Attributes:
        code: exit code of a process that ends for this reason, 128 plus the signal's number.
    """

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name}")
        self.code = 128 + number


@contextmanager
def stopping_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP stop what runs within the block as Ctrl-C does.

    A SIGHUP that is ignored stays so, as nohup wants it. Training, which has a checkpoint to write first, puts its own
    handler in front.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    try:
        for number in taken:
            signal.signal(number, _stop)
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def _stop(number: int, frame: Any) -> None:
    raise Stopped(number)


def usable_streams() -> None:
    """Put a place where nothing is kept behind standard streams that are closed.

    The first file that is opened would take the number of a closed one, and everything printed would go into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                opened = os.open(os.devnull, os.O_RDWR)
                if opened != number:
                    os.dup2(opened, number)
                    os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def discard_output() -> None:
    """Let what was printed and cannot be written go, so that Python does not try once more when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def out_of_memory(error: BaseException) -> str | None:
    """The sentence for an error that says that memory ran out; None for any other.

    >>> out_of_memory(MemoryError())
    'there is not enough memory; smaller batches (--batch-size), images or chunks (--chunk) need less'
    >>> out_of_memory(RuntimeError("shapes do not fit"))
    """
    said = str(error)
    on_device = type(error).__name__ == "OutOfMemoryError"
    full = on_device or isinstance(error, MemoryError) or "can't allocate memory" in said or "not enough memory" in said
    if not full and not (type(error).__module__.startswith("pyarrow") and "malloc" in said):
        return None
    where = " on the GPU" if on_device else ""
    return f"there is not enough memory{where}; smaller batches (--batch-size), images or chunks (--chunk) need less"
