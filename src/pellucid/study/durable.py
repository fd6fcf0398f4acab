"""One fsync for many commits: what group commit is to other databases, for SQLite's write-ahead log."""

import os
import threading
from pathlib import Path

__all__ = ["SharedSync"]


class SharedSync:
    """Brings a file to disk for every thread that asks, with as few fsyncs as possible.

    A commit with ``synchronous=NORMAL`` appends to the log without waiting for the disk; with ``FULL`` it waits, one
    fsync each. Here those who wait share the next fsync that begins after their commit, so that the promise is that
    of ``FULL``, and the rate is not bound by the disk's time per fsync.

    Args:
        path: the log. One that does not exist holds nothing to bring to disk: SQLite syncs what it moves out of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._condition = threading.Condition()
        self._begun = 0
        self._done = 0
        self._running = False

    def wait(self) -> None:
        """Return when everything that was written to the file before the call is on disk.

        Raises:
            OSError: the disk refused.
        """
        with self._condition:
            mine = self._begun + 1  # one that began before this call may miss what was written just now
            while self._done < mine and self._running:
                self._condition.wait()
            if self._done >= mine:
                return
            self._running = True
            self._begun += 1
            number = self._begun
        synced = False
        try:
            self._sync()
            synced = True
        finally:
            with self._condition:
                self._running = False
                self._done = number if synced else self._done
                self._condition.notify_all()

    def _sync(self) -> None:
        try:
            handle = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
