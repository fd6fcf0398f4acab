"""What the tests share: hypothesis without a clock, a browser, commands in processes, the numbers of a page."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

settings.register_profile("pellucid", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("pellucid")


FLAGS = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    *["--disable-background-networking", "--disable-component-update", "--disable-sync"],
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium at $PELLUCID_BROWSER, which `make test` finds or installs."""
    path = os.environ.get("PELLUCID_BROWSER")
    if not path and "CI" in os.environ:
        pytest.fail("PELLUCID_BROWSER names no browser; under CI every page is tested")
    if not path:
        pytest.skip("NO BROWSER: the pages are untested; set PELLUCID_BROWSER to a Chrome or Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class Command:
    """A command of pellucid's in a process of its own, with what `subprocess.Popen` has of use."""

    def __init__(self, asked: Callable[..., Any], words: tuple[str, ...], cwd: Path | None, **how: Any) -> None:
        self._asked, self.args = asked, words
        self._streams = [Path(tempfile.mkstemp(prefix="pellucid-")[1]) for _ in range(2)]
        out, err = map(str, self._streams)
        self.returncode: int | None = None
        self.pid: int = asked(
            start=[str(word) for word in words], cwd=str(cwd or Path.cwd()), out=out, err=err,
            variables={**os.environ}, **how,
        )  # fmt: skip

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._asked(poll=self.pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float = 240) -> tuple[str, str]:
        """What it has written to standard output and standard error, once it has ended."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                os.kill(self.pid, 9)
                raise subprocess.TimeoutExpired(["pellucid", *self.args], timeout)
            time.sleep(0.01)
        out, err = (stream.read_text() for stream in self._streams)
        for stream in self._streams:
            stream.unlink()
        return out, err


@pytest.fixture(scope="session")
def pellucid_process() -> Iterator[Callable[..., Command]]:
    """Starts ``python -m pellucid`` with these words, in a process that has imported what a training imports.

    ``alone`` puts it into a group of its own, and it can write no file larger than ``largest_file`` bytes. What is
    tested of imports, of ``PYTHON`` variables or of processes that start others wants `subprocess` instead.
    """
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "warm.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip

    def asked(**what: Any) -> Any:
        assert server.stdin
        assert server.stdout
        server.stdin.write(json.dumps(what) + "\n")
        server.stdin.flush()
        return json.loads(server.stdout.readline())

    def start(*words: object, cwd: Path | None = None, alone: bool = False, largest_file: int | None = None) -> Command:
        return Command(asked, tuple(map(str, words)), cwd, alone=alone, largest_file=largest_file)

    with server:
        yield start
        assert server.stdin
        server.stdin.close()


@pytest.fixture(scope="session")
def numbers() -> Callable[[str], list[str]]:
    """Numbers and verdicts of a page's tables (of a text without any: of all its lines), in their order.

    A published page must go on saying these; its words may change without the page being written again.
    """

    def of(text: str) -> list[str]:
        lines = text.splitlines()
        rows = [line for line in lines if line.startswith("|")] or lines
        said = re.findall(r"[−-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|confirmed|refuted|cannot be told", "\n".join(rows))
        assert said, f"no number in {text[:80]!r}"
        return said

    return of
