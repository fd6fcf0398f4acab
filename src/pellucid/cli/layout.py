"""How the help of a command is laid out: usage, what it does, examples, then its options, as wide as the terminal."""

import argparse
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from pellucid.cli.fields import Field

__all__ = ["Example", "Layout", "add_fields", "dashed", "listed_examples", "usage", "value_of"]

Example = tuple[str, str]
"""A command that can be typed, and what it does."""

PLACEHOLDERS: dict[object, str] = {int: "N", float: "NUMBER", Path: "PATH"}


class Layout(argparse.RawDescriptionHelpFormatter):
    """Wraps paragraphs, and commands so that they can be copied; tells defaults, but for those that say nothing."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = (
            _continued(line, width) if line.startswith("  pellucid ") else _wrapped(line, width)
            for line in text.splitlines()
        )
        return "\n".join(indent + line for wrapped in lines for line in wrapped)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _wrapped(" ".join(text.split()), width)

    def _get_help_string(self, action: argparse.Action) -> str:
        told = action.option_strings and action.default not in (None, False, "", [], argparse.SUPPRESS)
        return f"{action.help or ''} (default: %(default)s)" if told else action.help or ""


def _wrapped(line: str, width: int) -> list[str]:
    """A line as several that keep its indentation; what an option is called is not broken at its dashes."""
    indent = " " * (len(line) - len(line.lstrip()))
    wrapped = textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
    return wrapped or [""]


def _continued(command: str, width: int) -> list[str]:
    r"""A command as lines that a shell joins again; no option is parted from its value, and no quotes are broken.

    >>> print(*_continued("  pellucid explain photos --options '{\"a\": 1}' --out cards", 36), sep="\n")
      pellucid explain photos \
          --options '{"a": 1}' \
          --out cards
    """
    lines, last = [], ""
    for word in re.findall(r"--\S+ (?:'[^']*'|[^-\s]\S*)|(?:'[^']*'|\S)+", command):
        if last and len(last) + len(word) + 3 > width:
            lines.append(f"{last} \\")
            last = f"      {word}"
        else:
            last = f"{last} {word}" if last else f"  {word}"
    return [*lines, last]


def value_of(names: Sequence[str], kind: object) -> str:
    """The placeholder of an argument's value: its own name where it has no option, otherwise what kind of value it is.

    >>> value_of(["run"], None), value_of(["--images"], int), value_of(["--out"], Path)
    ('RUN', 'N', 'PATH')
    """
    return PLACEHOLDERS.get(kind, "TEXT") if names[0].startswith("-") else names[0].upper()


def usage(prog: str, actions: Iterable[argparse.Action]) -> str:
    """One line with what must be given, and ``[options]`` for all that may.

    Args:
        prog: the program and its command.
        actions: of the parser.
    """
    forms = {"+": "{0} [{0} ...]", "*": "[{0} ...]", "?": "[{0}]"}
    words = [prog]
    for action in actions:
        if not action.option_strings:
            words.append(forms.get(str(action.nargs), "{0}").format(action.metavar))
    words += [f"{action.option_strings[0]} {action.metavar}" for action in actions if _must(action)]
    return " ".join([*words, "[options]"])


def _must(action: argparse.Action) -> bool:
    return bool(action.option_strings) and action.required


def listed_examples(examples: Iterable[Example]) -> str:
    """The part of the help that shows examples; empty where there is none.

    >>> print(listed_examples([("pellucid demo --quick", "a first look")]))
    <BLANKLINE>
    <BLANKLINE>
    examples:
      pellucid demo --quick
          a first look
    """
    lines = [f"  {command}\n      {what}" for command, what in examples]
    return "\n".join(["\n\nexamples:", *lines]) if lines else ""


def add_fields(parser: argparse.ArgumentParser, heading: str, about: str, fields: Iterable[Field]) -> None:
    """Add options that are there to be shown: what they say is read by `pellucid.cli.options.Parser.parse`.

    Args:
        parser: whose help shows them.
        heading: above them.
        about: what they are about; may be empty.
        fields: of a dataclass.
    """
    group = parser.add_argument_group(heading, about or None)
    for field in fields:
        text = f"{field.help} (default: {field.default})" if field.default else field.help
        group.add_argument(
            f"--{field.name.replace('_', '-')}", metavar=field.type or "VALUE", default=argparse.SUPPRESS,
            help=text.replace("%", "%%"),
        )  # fmt: skip


def dashed(word: str, known: Iterable[str]) -> str:
    """A word whose option is known with dashes in the place of its underscores, so written.

    >>> dashed("--print_config", ["--print-config"]), dashed("--batch_size=3", [])
    ('--print-config', '--batch_size=3')
    """
    option, equals, value = word.partition("=")
    other = option.replace("_", "-")
    return other + equals + value if option not in known and other in known else word
