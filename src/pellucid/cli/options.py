"""The words of a command: its own options, and the settings whose dataclass it is about.

Flags and configuration files become plain nested data, of which `pellucid.config.from_config` makes the dataclass. Help
comes from the dataclass's source, so that it imports no torch.
"""

import argparse
import copy
import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import yaml

from pellucid.cli.choices import choices_at, named_class
from pellucid.cli.fields import Class, find_class, flags
from pellucid.cli.layout import Example, Layout, add_fields, dashed, listed_examples, usage, value_of
from pellucid.cli.overlay import merge, path_of, put, read_config_file
from pellucid.config import Text, from_config, import_name, to_config, trust
from pellucid.config.trusted import check_trusted, is_import_path, reading
from pellucid.core.errors import InputError

__all__ = ["DESCRIBE", "Parser", "add_engine", "described", "engine", "names"]


DESCRIBE = "--describe-parser"
"""The word by which `described` asks a command for its parser; nobody types it."""


class _Described(Exception):
    """Carries the parser of a command out of it."""

    def __init__(self, parser: "Parser") -> None:
        self.parser = parser


class _Trust(argparse.Action):
    """Trusts a package as soon as it is read, before any file is."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        trust(values)


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one sentence, and which reads the settings of a dataclass beside its own options.

    Args:
        command: words behind ``pellucid``.
        description: what the command does.
        examples: commands that can be typed, each with what it does.
        settings: import path of the dataclass; its module is imported when settings are made, not for help.
        config: whether settings can come from a file and be printed for one.
    """

    def __init__(
        self,
        command: str,
        description: str,
        *,
        examples: Sequence[Example] = (),
        settings: str = "",
        config: bool = False,
    ) -> None:
        super().__init__(
            prog=f"pellucid {command}", description=description + listed_examples(examples), allow_abbrev=False,
            formatter_class=Layout,
        )  # fmt: skip
        self.settings = settings
        self.examples = tuple(examples)
        self._given: list[tuple[str, Any]] = []
        self._positionals.title = "arguments"
        self.add_argument(
            "--trust", action=_Trust, metavar="PACKAGE",
            help="allow run directories and settings files to use code of this package; may be repeated",
        )  # fmt: skip
        if config:
            self.add_argument("--config", metavar="FILE", help="YAML file of settings; options after it override it")
            self.add_argument("--print-config", action="store_true", help="print the settings as such a file and stop")

    @property
    def given(self) -> list[str]:
        """Names of the settings that were given, in their order."""
        return [name for name, _ in self._given]

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Add an option of the command's own, with a placeholder that says what kind of value it takes."""
        if settings.get("action", "append") == "append":
            settings.setdefault("metavar", value_of(names, settings.get("type")))
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        """Say a mistake in one sentence, without the usage."""
        raise InputError(f"{message}; see `{self.prog} --help`")

    def print_help(self, file: Any = None) -> None:
        """Print the options, those of the settings under the headings of their dataclasses."""
        self.usage = usage(self.prog, self._actions)
        self.add_settings(self._chosen())
        super().print_help(file)

    def add_settings(self, chosen: Iterable[tuple[str, Class]] = ()) -> None:
        """Add the settings as options that are shown and not read, and those of chosen classes.

        Args:
            chosen: places, such as ``method``, and the class that stands at each.
        """
        if not self.settings:
            return
        taken = {action.dest for action in self._actions}
        whole = find_class(self.settings)
        for heading, fields in flags(whole).items():
            title, _, about = ("settings", "", "") if heading == whole.summary else heading.partition(": ")
            add_fields(self, title, about, [field for field in fields if field.name not in taken])
        for place, kind in chosen:
            for heading, fields in flags(kind, f"{place}.").items():
                title, _, about = heading.partition(": ")
                add_fields(self, f"{title} {kind.name}" if title == place else title, about, fields)

    def classes_at(self) -> dict[str, dict[str, Class]]:
        """The classes that can be chosen at each place of the settings, such as ``method``, by their names."""
        if not self.settings:
            return {}
        whole = find_class(self.settings)
        places = [field.name for fields in flags(whole).values() for field in fields]
        return {place: choices[0].subclasses() for place in places if (choices := choices_at(whole, place))}

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """What the command's own options say; an option that it has not is refused with the nearest that it has."""
        words = [dashed(word, self._option_string_actions) for word in args or ()]
        if words == [DESCRIBE]:
            raise _Described(self)
        parsed, unknown = self.parse_known_args(words, namespace)
        if unknown:
            self._refuse(unknown[0].partition("=")[0], " ".join(unknown), self._option_string_actions)
        return parsed

    def _refuse(self, option: str, said: str, known: Iterable[str]) -> NoReturn:
        name, names = option.replace("_", "-").removeprefix("--"), [one.removeprefix("--") for one in known]
        fields = flags(find_class(self.settings)).values() if self.settings else ()
        inner = [field.name.replace("_", "-") for group in fields for field in group if "." in field.name]
        close = [one for one in inner if one.rpartition(".")[2] == name] or get_close_matches(name, names, 1, 0.7)
        close = close if option.startswith("--") else []
        hint = f", did you mean --{close[0]}? See" if close else "; see"
        raise InputError(f"unrecognized arguments: {said}{hint} `{self.prog} --help`")

    def _chosen(self) -> list[tuple[str, Class]]:
        """The classes that the words choose at places where several can stand, for their options to be shown."""
        there: dict[str, Class] = {}
        for name, value in self._given:
            place = ".".join(path_of(name))
            declared = next(iter(choices_at(find_class(self.settings), place)), None)
            if declared is not None and isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.:]*", value):
                there[place] = named_class(declared, value, place)
        return list(there.items())

    def parse(
        self,
        arguments: Sequence[str],
        *,
        underneath: Callable[[Mapping[str, Any], argparse.Namespace], Mapping[str, Any]] | None = None,
    ) -> tuple[Any, argparse.Namespace]:
        """The settings, and what the command's own options say; ``given`` among these tells whether settings were.

        Args:
            arguments: words behind the command.
            underneath: from what is given and what the own options say to settings that what is given overrides.

        Raises:
            InputError: a mistake in either, in one sentence.
        """
        words, settings = self._split(arguments)
        if words == [DESCRIBE]:
            raise _Described(self)
        self._given = settings
        files = [read_config_file(value) if name == "config" else {} for name, value in settings]
        with self._reading(settings):
            for config in files:
                self._take_own_options(config)
        if "--print-config" in words:  # a file of settings is of no run
            for action in self._actions:
                if not action.option_strings:
                    action.nargs, action.required = "*" if action.nargs == "+" else "?", False
        parsed = self.parse_args(words)
        kind = import_name(self.settings)
        options, fields = vars(parsed), {field.name for field in dataclasses.fields(kind)}
        parsed.given = bool(settings)
        own = {name: options[name] for name in fields & set(options)}

        def given_over(data: dict[str, Any]) -> dict[str, Any]:
            self._put_over(data, zip(settings, files, strict=True), fields, options)
            return data

        needed = [field.name for field in dataclasses.fields(kind)
                  if field.default is field.default_factory is dataclasses.MISSING]  # fmt: skip
        asked = {path_of(name)[0] for name, _ in settings} | set(own) | {key for config in files for key in config}
        lacking = [name for name in needed if name not in asked]
        if lacking and underneath is None:  # which may give them
            self.error(f"the following arguments are required: --{lacking[0].replace('_', '-')}")

        # A word that the user typed is told from one that a file says: it is a `Text`.
        with self._reading(settings):
            data = given_over({**own})
            if underneath is not None and (below := underneath(data, parsed)):
                data = given_over({**own, **copy.deepcopy(dict(below))})
            made = from_config(data, kind)
        if options.get("print_config"):
            print(yaml.safe_dump(to_config(made), sort_keys=False, allow_unicode=True), end="")
            raise SystemExit(0)
        return made, parsed

    @staticmethod
    def _reading(settings: Iterable[tuple[str, Any]]) -> AbstractContextManager[None]:
        """While it lasts, settings are made of which some may be a stranger's: those that a file says."""
        paths = [value for name, value in settings if name == "config"]
        return reading(paths[-1], Path(paths[-1]).read_bytes()) if paths else nullcontext()

    def _put_over(
        self,
        data: dict[str, Any],
        settings: Iterable[tuple[tuple[str, Any], dict[str, Any]]],
        fields: Collection[str],
        options: Mapping[str, Any],
    ) -> None:
        """Put settings over those that are there, in the order in which they were given."""
        for (name, value), config in settings:
            if name == "config":
                merge(data, copy.deepcopy(config))
                continue
            path = path_of(name)
            if path[0] not in fields:
                known = [f"--{option}".replace("_", "-") for option in (*fields, *options)]
                self._refuse(f"--{name}", f"--{name}" if value is True else f"--{name} {value}", known)
            put(data, path, value)

    def _take_own_options(self, config: dict[str, Any]) -> None:
        """Take what a file says of the command's own options, such as ``devices``, which flags override."""
        for action in self._actions:
            if action.option_strings and action.dest in config.keys() - {"config", "print_config", "help", "trust"}:
                value = config.pop(action.dest)
                if action.dest == "network" and is_import_path(str(value)):
                    check_trusted(str(value), action.dest)
                if value is not None:
                    self.set_defaults(**{action.dest: value if action.nargs == 0 else str(value)})

    def _split(self, arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, Any]]]:
        """The words for argparse, and names with values of settings in the order in which they were given."""
        words: list[str] = []
        settings: list[tuple[str, Any]] = []
        rest = list(arguments)
        while rest:
            word = dashed(rest.pop(0), self._option_string_actions)
            option, equals, value = word.partition("=")
            ours = option in (*self._option_string_actions, DESCRIBE) and option != "--config"
            if ours or not re.match(r"--\w", word):
                words.append(word)
                continue
            if not equals and rest and not rest[0].startswith("--"):
                value, equals = rest.pop(0), "="
            if option.endswith(".help"):
                self._print_help_of(option.removesuffix(".help").removeprefix("--"), value)
            settings.append((option.removeprefix("--"), Text(value) if equals else True))
        return words, settings

    def _print_help_of(self, place: str, name: str) -> NoReturn:
        """Print the options of a class that can stand at a place, such as ``method``, or of all that can."""
        declared = next((inner for inner in choices_at(find_class(self.settings), place)), None)
        if declared is None:
            raise InputError(f"--{place} takes no class, so it has no help of its own; see `{self.prog} --help`")
        known = declared.subclasses()
        for kind in [named_class(declared, name, place)] if name else known.values():
            print(f"--{place} {kind.name}: {kind.summary}")
            parser = argparse.ArgumentParser(add_help=False, formatter_class=Layout, usage=argparse.SUPPRESS)
            for heading, fields in flags(kind, f"{place}.").items():
                title, _, about = heading.partition(": ")
                add_fields(parser, title, "" if title == place else about, fields)
            print(parser.format_help())
        raise SystemExit(0)


def described(command: Callable[[Sequence[str]], Any]) -> Parser:
    """The parser that a command reads its words with; nothing of the command is done.

    Args:
        command: a function of `pellucid.cli`.
    """
    try:
        command([DESCRIBE])
    except _Described as told:
        return told.parser
    raise LookupError(f"{command} has no parser")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Options of where and by how many processes something runs."""
    parser.add_argument("--accelerator", default="auto", metavar="auto|cpu|cuda|mps", help="where to compute")
    parser.add_argument("--devices", default="1", metavar="N|auto", help="number of processes on this machine")
    parser.add_argument("--num-nodes", default=1, type=int, help="number of machines")
    parser.add_argument(
        "--strategy", default="auto", metavar="auto|ddp|ddp_spawn|ddp_fork", help="how several processes are started"
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of each process; by default chosen for the network and the free cores",
    )


def engine(parsed: Any) -> dict[str, Any]:
    """What `add_engine` added, as arguments of `fit` and `evaluate`."""
    devices = parsed.devices
    if devices != "auto" and not devices.isdigit():
        raise InputError(f"devices must be a number or auto, got {devices!r}")
    return {
        "accelerator": parsed.accelerator,
        "devices": devices if devices == "auto" else int(devices),
        "num_nodes": parsed.num_nodes,
        "strategy": parsed.strategy,
        "threads": parsed.threads,
    }


def names(text: str) -> list[str]:
    """Names between commas, in brackets or not.

    >>> names("[png,, json]")
    ['png', 'json']
    """
    return [name.strip() for name in text.strip("[]").split(",") if name.strip()]
