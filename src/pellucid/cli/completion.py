"""``pellucid completion``: commands, options and values behind the Tab key of a shell."""

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.cli.commands import COMMANDS, command
from pellucid.cli.options import Parser, described
from pellucid.cli.study import ACTIONS
from pellucid.core.checks import one_of

__all__ = ["SHELLS", "completion"]

SHELLS = ("bash", "zsh", "fish")


def completion(arguments: Sequence[str]) -> None:
    """Print the completion script of a shell."""
    parser = Parser(
        "completion",
        "Print a script that lets the Tab key complete commands, options and values in your shell. The script holds "
        "everything it needs, so that completing starts no program.",
        examples=(
            ("pellucid completion bash", "put it into ~/.local/share/bash-completion/completions/pellucid"),
            (
                "pellucid completion zsh",
                "put it into a file named _pellucid in a folder of $fpath; for fish, into "
                "~/.config/fish/completions/pellucid.fish",
            ),
        ),
    )
    parser.add_argument("shell", metavar="bash|zsh|fish", help="the shell you use")
    shell: Any = parser.parse_args(arguments).shell
    one_of(SHELLS, shell=shell)
    import shtab

    print(shtab.complete(_tree(), shell))


def _tree() -> argparse.ArgumentParser:
    """All commands with their options, as one parser."""
    tree = argparse.ArgumentParser(prog="pellucid", description="Train image classifiers whose maps can be trusted.")
    commands = tree.add_subparsers()
    for name, (_, summary) in COMMANDS.items():
        if name == "study":
            study = commands.add_parser(name, help=summary).add_subparsers()
            for action, (about, function) in ACTIONS.items():
                _add(study, action, about, function)
        else:
            _add(commands, name, summary, command(name))
    return tree


def _add(commands: Any, name: str, summary: str, function: Callable[[Sequence[str]], Any]) -> None:
    parser = described(function)
    parser.conflict_handler = "resolve"  # several methods have an option of one name
    classes = parser.classes_at()
    parser.add_settings((place, kind) for place, known in classes.items() for kind in known.values())
    added = commands.add_parser(name, help=summary, add_help=False)
    for action in parser._actions:
        _complete(added, action, list(action.option_strings), classes)


def _complete(
    parser: argparse.ArgumentParser, action: argparse.Action, options: list[str], classes: dict[str, Any]
) -> None:
    """Add an option or an argument with the values that the shell can offer for it."""
    import shtab

    about = (action.help or "").replace("%%", "%").partition(". ")[0]
    if action.nargs == 0:
        parser.add_argument(*options, action="store_true", help=_escaped(about))
        return
    shown = str(action.metavar)
    place = options[0].removeprefix("--").replace("-", "_") if options else ""
    values = list(classes.get(place, ())) or _words(shown)
    names = options or [action.dest]
    added: Any = parser.add_argument(*names, help=_escaped(about), choices=values or None)
    if not values:
        added.complete = shtab.DIRECTORY if shown in ("RUN", "PHOTOS", "STUDY") else shtab.FILE


def _words(shown: str) -> list[str]:
    """The values that a placeholder names; none where it only says what kind of value is taken.

    >>> _words("fail|pass"), _words("N"), _words("N|auto")
    (['fail', 'pass'], [], ['auto'])
    """
    words = re.split(r"[|,]", shown) if re.search(r"[a-z]", shown) else []
    return [word for word in words if word and not word.isupper() and word != "..."]


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
