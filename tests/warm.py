"""Starts ``python -m pellucid`` in processes of their own that need not import torch again.

Run as a script it imports what a training imports, then forks a process for every line of JSON on standard input and
answers each line with one: {"start": words, ...} with its number, {"poll": number} with its exit code or null.
"""

import json
import os
import resource
import runpy
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any


def serve() -> None:
    import pellucid.cli.options
    import pellucid.runs.evaluation
    import pellucid.runs.training  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        if "poll" in asked:
            number, status = os.waitpid(asked["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if number else None
        else:
            answer = os.fork()
            if answer == 0:
                be_command(**asked)
        print(json.dumps(answer), flush=True)


def be_command(
    start: list[str], cwd: str, out: str, err: str, variables: dict[str, str], alone: bool, largest_file: int | None
) -> None:
    """What a fresh interpreter does with ``-m pellucid``, and nothing of this process after it."""
    code: Any = 1
    try:
        if alone:
            os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, file, mode in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
            os.dup2(os.open(file, mode | os.O_CREAT | os.O_TRUNC if number else mode), number)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(variables)
        if largest_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        sys.argv[:], sys.path[0] = ["pellucid", *start], cwd
        try:
            runpy.run_module("pellucid", run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as error:
            code = error.code or 0
        except BaseException:
            traceback.print_exc()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    serve()
