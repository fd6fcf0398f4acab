"""Whoever waited has their write covered by an fsync that began after it."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from pellucid.study.durable import SharedSync


def test_every_wait_is_followed_by_a_sync_that_began_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.touch()
    written, covered, lock = [0], [0], threading.Lock()
    fsync = os.fsync

    def counting(handle: int) -> None:
        with lock:
            seen = written[0]
        fsync(handle)
        with lock:
            covered[0] = max(covered[0], seen)

    monkeypatch.setattr(os, "fsync", counting)
    sync, failures = SharedSync(path), []

    def work() -> None:
        for _ in range(5):
            with lock:
                written[0] += 1
                mine = written[0]
            sync.wait()
            if covered[0] < mine:
                failures.append(mine)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and covered[0] == 40


def test_a_disk_that_refuses_is_told_and_the_next_one_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.touch()
    sync = SharedSync(path)

    def refuse(handle: int) -> Any:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="no space"):
            sync.wait()
    sync.wait()


def test_no_log_is_nothing_to_sync(tmp_path: Path) -> None:
    SharedSync(tmp_path / "none").wait()
