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
from typing import Any, Literal, NoReturn

import yaml

from pellucid.cli.fields import Class, Field, find_class, flags
from pellucid.config import Text, from_config, import_name, read_yaml, to_config, trust
from pellucid.config.objects import typed_names
from pellucid.config.trusted import check_trusted, is_import_path, name_typed, reading
from pellucid.core.errors import InputError
from pellucid.core.plain_data import parse_yaml

__all__ = ["Parser", "add_engine", "engine", "names"]


class _Formatter(argparse.HelpFormatter):
    """Tells defaults, but for those that say nothing."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34)

    def _get_help_string(self, action: argparse.Action) -> str:
        told = action.option_strings and action.default not in (None, False, "", argparse.SUPPRESS)
        return f"{action.help or ''} (default: %(default)s)" if told else action.help or ""


class _Trust(argparse.Action):
    """Trusts a package as soon as it is read, before any file is."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        trust(values)


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one sentence, and which reads the settings of a dataclass beside its own options.

    Args:
        command: words behind ``pellucid``.
        description: what the command does.
        settings: import path of the dataclass; its module is imported when settings are made, not for help.
        config: whether settings can come from a file and be printed for one.
    """

    def __init__(self, command: str, description: str, *, settings: str = "", config: bool = False) -> None:
        super().__init__(
            prog=f"pellucid {command}", description=description, allow_abbrev=False, formatter_class=_Formatter
        )
        self.settings = settings
        self.add_argument(
            "--trust", action=_Trust, metavar="PACKAGE",
            help="let run directories and files of settings name code of this package; may be given again",
        )  # fmt: skip
        if config:
            self.add_argument("--config", metavar="FILE", help="YAML file of settings; flags after it override it")
            self.add_argument("--print_config", action="store_true", help="print the settings as such a file and stop")

    def error(self, message: str) -> NoReturn:
        """Say a mistake in one sentence, without the usage."""
        raise InputError(f"{message}; see `{self.prog} --help`")

    def print_help(self, file: Any = None) -> None:
        """Print the options, those of the settings under the headings of their dataclasses."""
        if self.settings:
            self.usage = f"{self._own_usage()} [--SETTING VALUE ...]"
            taken = {action.dest for action in self._actions}
            for heading, fields in flags(find_class(self.settings)).items():
                _add_fields(self, heading, [field for field in fields if field.name not in taken])
        super().print_help(file)

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
        files = [_read_config(value) if name == "config" else {} for name, value in settings]
        with self._reading(settings):
            for config in files:
                self._take_own_options(config)
        if "--print_config" in words:  # a file of settings is of no run
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
                _merge(data, copy.deepcopy(config))
                continue
            path = [part.replace("-", "_") for part in name.split(".") if part != "init_args"]
            if path[0] not in fields:
                known = [f"--{option}" for option in (*fields, *options)]
                close = get_close_matches(f"--{name}", known, n=1)
                hint = f", did you mean {close[0]}?" if close else ";"
                said = f"--{name}" if value is True else f"--{name} {value}"
                raise InputError(f"unrecognized arguments: {said}{hint} see `{self.prog} --help`")
            _put(data, path, value)

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
            word = rest.pop(0)
            option, equals, value = word.partition("=")
            ours = option in self._option_string_actions and option != "--config"
            if ours or not re.match(r"--\w", word):
                words.append(word)
                continue
            if not equals and rest and not rest[0].startswith("--"):
                value, equals = rest.pop(0), "="
            if option.endswith(".help"):
                self._print_help_of(option.removesuffix(".help").removeprefix("--"), value)
            settings.append((option.removeprefix("--"), Text(value) if equals else True))
        return words, settings

    def _own_usage(self) -> str:
        return " ".join(self.format_usage().split()).removeprefix("usage: ").replace(" [-h]", "")

    def _print_help_of(self, place: str, name: str) -> NoReturn:
        """Print the options of a class that can stand at a place, such as ``method``, or of all that can."""
        declared = next((inner for inner in _choices(find_class(self.settings), place)), None)
        if declared is None:
            raise InputError(f"--{place} takes no class, so it has no help of its own; see `{self.prog} --help`")
        known = declared.subclasses()
        shown = [known[name]] if name in known else [_foreign(name)] if name else list(known.values())
        for kind in shown:
            print(f"--{place} {kind.name}: {kind.summary}")
            parser = argparse.ArgumentParser(add_help=False, formatter_class=_Formatter, usage=argparse.SUPPRESS)
            for heading, fields in flags(kind, f"{place}.").items():
                _add_fields(parser, "settings" if heading == f"{place}: {kind.summary}" else heading, fields)
            print(parser.format_help())
        raise SystemExit(0)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Options of where and by how many processes something runs."""
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--devices", default="1", help="number of processes on this machine, or auto")
    parser.add_argument("--num-nodes", default=1, type=int, help="number of machines")
    parser.add_argument("--strategy", default="auto", help="auto, ddp, ddp_spawn or ddp_fork")
    parser.add_argument(
        "--threads", type=int, help="of each process; as many as the network has work for and cores are free by default"
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


def _add_fields(parser: argparse.ArgumentParser, heading: str, fields: Iterable[Field]) -> None:
    """Options for help alone: what they say is read by `Parser.parse`."""
    group = parser.add_argument_group(heading)
    for field in fields:
        text = f"{field.help} (default: {field.default})" if field.default else field.help
        group.add_argument(
            f"--{field.name}", metavar=field.type or "VALUE", default=argparse.SUPPRESS, help=text.replace("%", "%%")
        )


def _choices(kind: Class, place: str) -> list[Class]:
    """The class that is declared at a place, whatever the classes on the way there are, if several can stand at it."""
    first, _, rest = place.partition(".")
    inner = kind.declared(first)
    if inner is None:
        return []
    if not rest:
        return [] if inner.is_dataclass else [inner]
    ways = [inner] if inner.is_dataclass else list(inner.subclasses().values())
    return [choice for way in ways for choice in _choices(way, rest)]


def _foreign(path: str) -> Class:
    """A class of the user's own, which may be exported from elsewhere than where it is defined."""
    name_typed(path)
    kind = import_name(path)
    try:
        return find_class(f"{kind.__module__}.{kind.__qualname__}")
    except (AttributeError, LookupError, OSError):
        raise InputError(f"{path} is no class whose source can be read") from None


def _read_config(path: str | Literal[True]) -> dict[str, Any]:
    if path is True:
        raise InputError("--config needs the path of a file, got none")
    try:
        config = read_yaml(path)
    except OSError as error:
        raise InputError(f"cannot read the file of --config, {path}: {error.strerror}") from None
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold settings by name, got {config!r}")
    return config


def _merge(data: dict[str, Any], new: dict[str, Any]) -> None:
    """Put the settings of a file over those that are there; a class that is named replaces what is there."""
    for name, value in new.items():
        there = data.get(name)
        if isinstance(there, dict) and isinstance(value, dict) and "class_path" not in value:
            _merge(there, value)
        else:
            data[name] = value


def _mapping(text: str) -> Any:
    try:
        return typed_names(parse_yaml(text, "a mapping"))
    except InputError:
        raise InputError(f"a mapping is given as YAML, such as '{{name: value}}', got {text}") from None


def _put(data: dict[str, Any], path: list[str], value: Any) -> None:
    """Put one flag's value in its place, below the class that is named on the way.

    A class that is named anew takes nothing of the settings of the one before; the same one keeps them.

    >>> data = {"method": {"class_path": "pellucid.methods.SCAAT", "init_args": {"q": 0.1}}}
    >>> _put(data, ["method"], Text("SCAAT")), data["method"]["init_args"]
    (None, {'q': 0.1})
    >>> _put(data, ["method"], Text("Regular")), data
    (None, {'method': {'class_path': 'Regular', 'init_args': {}}})
    """
    for part in path[:-1]:
        inner = data.get(part)
        if isinstance(inner, str):
            inner = _mapping(inner) if inner.startswith("{") else {"class_path": inner, "init_args": {}}
        data[part] = inner if isinstance(inner, dict) else {}
        data = data[part]
        if "class_path" in data:
            data["init_args"] = data.get("init_args") or {}
            data = data["init_args"]
    name = path[-1]
    there = data.get(name)
    named = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.:]*", value) and value != "null"
    if isinstance(there, dict) and named:
        if (
            str(there.get("class_path", value)).replace(":", ".").rpartition(".")[2]
            == value.replace(":", ".").rpartition(".")[2]
        ):
            value = {"class_path": value, "init_args": there.get("init_args", {}) if "class_path" in there else there}
        else:
            value = {"class_path": value, "init_args": {}}
    data[name] = value
