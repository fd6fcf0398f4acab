"""The table of commands, and how each of them can end. Imports no command's module before it is asked for."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from pellucid import __version__
from pellucid.cli.endings import discard_output, out_of_memory, stopping_signals, usable_streams
from pellucid.core.cores import sleep_while_waiting
from pellucid.core.errors import InputError

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": ("papers", "six networks on Fashion-MNIST: trained, measured, compared in a report"),
    "train": ("train", "train one network into a run directory"),
    "tune": ("tune", "tune a pretrained network on your photographs, beside a control"),
    "evaluate": ("evaluate", "measure trained networks, one row per test image"),
    "compare": ("show", "table of measured runs"),
    "layers": ("layers", "layers of a network where smoothing or a class activation map fits"),
    "explain": ("explain", "maps of single images, and how far each can be trusted"),
    "export": ("export", "a trained network for use elsewhere: weights, ONNX, torch.export, Hub folder"),
    "check": ("gate", "hold a run against a baseline, for continuous integration"),
    "report": ("show", "one self-contained page about measured runs"),
    "metrics": ("show", "what every metric means, and where it comes from"),
    "presets": ("tune", "ready-made trainings, and what each rests on"),
    "study": ("study", "a human study of the maps: made, served, analysed"),
    "reproduce": ("papers", "a paper's tables, measured beside published"),
    "select": ("papers", "settings chosen on validation images, every candidate kept"),
    "leaderboard": ("papers", "one table a dataset: every method beside its controls"),
    "data": ("data", "get a dataset, or list them"),
}
"""The module of `pellucid.cli` that has a function of the command's name, and what the command does."""
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
    try:
        with stopping_signals():
            if name != arguments[0]:
                raise InputError(f"the command comes first, got {arguments[0]!r} before {name!r}")
            if name not in COMMANDS:
                raise InputError(f"unknown command {name!r}; there are {', '.join(COMMANDS)}")
            if name not in TOGETHER:
                _check_alone(name)
            from pellucid.config.trusted import command_line

            command = getattr(import_module(f"pellucid.cli.{COMMANDS[name][0]}"), name)
            with command_line(Path.cwd()):  # a network or method that the user names is looked for beside them, too
                code = command(arguments[1:]) or 0
            sys.stdout.flush()  # what cannot be written is told here, and not when Python ends
            return code
    except InputError as error:
        return _failed(str(error), EXIT_MISTAKE)
    except KeyboardInterrupt as error:
        code = getattr(error, "code", EXIT_INTERRUPTED)
        if name in REPEATED:
            how = str(error).partition(";")[0] or "interrupted"
            return _failed(f"{how}; what was finished is kept: the same command given again continues", code)
        return _failed(str(error) or "interrupted; what was finished is kept", code)
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
            f"{name} is done by one process, but {found.name} has started {found.processes}; {' and '.join(TOGETHER)} "
            "are done by several"
        )


def _failed(sentence: str, code: int) -> int:
    print(f"pellucid: {sentence}", file=sys.stderr)
    return code


def _overview() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:<11} {summary}" for name, (_, summary) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="pellucid",
        usage="pellucid COMMAND [options]",
        description="Train image classifiers whose saliency maps can be trusted, and measure it.",
        epilog=f"commands:\n{lines}\n\n`pellucid COMMAND --help` tells a command's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pellucid {__version__}")
    return parser
