"""The program: it finds a command, and says how it ended. It imports no command's module before it is asked for."""

import argparse
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from pellucid import __version__
from pellucid.cli.commands import COMMANDS, GROUPS, command
from pellucid.cli.endings import discard_output, out_of_memory, stopping_signals, usable_streams
from pellucid.core.allocation import keep_freed_memory
from pellucid.core.cores import sleep_while_waiting
from pellucid.core.errors import InputError

__all__ = ["main"]

REPEATED = ("demo", "tune", "reproduce", "select", "leaderboard")
"""Commands that continue what they find; the others have an option for it, if any."""
TOGETHER = ("train", "evaluate")
"""Commands that several processes do together; the others are done by one."""
EXIT_LOST = 1
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after the program's name; those of the process by default.

    Returns:
        Exit code: 0 done, 1 a requirement of ``check`` is not met or another process of a training was lost, 2 a user's
        mistake (one sentence on standard error), 130 or 143 stopped by a signal.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = next((word for word in arguments if not word.startswith("-")), None)
    if name is None or arguments[0] in ("-h", "--help", "--version"):
        _overview().parse_args(arguments)
        _overview().print_help()
        return 0
    usable_streams()
    sleep_while_waiting()  # before a command imports torch
    keep_freed_memory()
    try:
        with stopping_signals():
            if name != arguments[0]:
                raise InputError(f"the command comes first, got {arguments[0]!r} before {name!r}")
            if name not in COMMANDS:
                raise InputError(f"unknown command {name!r}{_hint(name)}")
            if name not in TOGETHER:
                _check_alone(name)
            from pellucid.config.trusted import command_line

            with command_line(Path.cwd()):  # a network or method that the user names is looked for beside them, too
                code = command(name)(arguments[1:]) or 0
            sys.stdout.flush()  # what cannot be written is told here, and not when Python ends
            return code
    except InputError as error:
        return _failed(str(error), EXIT_MISTAKE)
    except KeyboardInterrupt as error:
        code = getattr(error, "code", EXIT_INTERRUPTED)
        how, kept = str(error).partition(";")[0] or "interrupted", "what was finished is kept"
        if name in REPEATED:
            kept += ": the same command given again continues"
        elif name in TOGETHER:
            kept += ", and --resume continues"
        return _failed(f"{how}; {kept}", code)
    except ChildProcessError as error:  # another process of a training ended
        return _failed(str(error), EXIT_LOST)
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        discard_output()
        return 0
    except OSError as error:  # no space, no permission, no such file
        discard_output()
        where = f": {error.filename}" if error.filename else ""
        return _failed(f"{error.strerror or error}{where}; nothing was half-written", EXIT_MISTAKE)
    except (MemoryError, RuntimeError) as error:
        sentence = out_of_memory(error)
        if sentence is None:
            raise
        return _failed(sentence, EXIT_MISTAKE)


def _check_alone(name: str) -> None:
    """Refuse a command of one process that torchrun or srun has started several times: all would write one file."""
    from pellucid.runs.launcher import MARKERS, launcher

    found = launcher() if {*MARKERS.values()} & {*os.environ} else None
    if found is not None:
        raise InputError(
            f"{name} runs in one process, but {found.name} has started {found.processes}; only "
            f"{' and '.join(TOGETHER)} run in several"
        )


def _failed(sentence: str, code: int) -> int:
    print(f"pellucid: {sentence}", file=sys.stderr)
    return code


def _hint(name: str) -> str:
    close = get_close_matches(name, COMMANDS, n=1)
    return f", did you mean {close[0]}?" if close else f"; there are {', '.join(COMMANDS)}"


def _overview() -> argparse.ArgumentParser:
    groups = [
        "\n".join([f"{heading}:", *(f"  {name:<13}{summary}" for name, (_, summary) in commands.items())])
        for heading, commands in GROUPS.items()
    ]
    parser = argparse.ArgumentParser(
        prog="pellucid",
        usage="pellucid COMMAND [options]",
        description="Train image classifiers with saliency maps you can trust, and test the maps.",
        epilog="\n\n".join(groups) + "\n\n`pellucid COMMAND --help` shows the options of a command, and examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pellucid {__version__}")
    return parser
