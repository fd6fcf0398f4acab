"""Options of the commands: parsers made of dataclasses, and a mistake told in one sentence.

Imports neither torch nor any command's module, so that ``pellucid --help`` answers at once.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from pellucid.core.errors import InputError

__all__ = [
    "add_config",
    "add_engine",
    "add_plan",
    "bracketed",
    "carry_out",
    "command_parser",
    "engine",
    "instantiate",
    "listed",
    "numbers",
    "without_other_methods",
]

# Not part of an experiment.
ABOUT_THE_CALL = ("run", "resume", "accelerator", "devices", "num_nodes", "strategy", "log", "snapshots")


def command_parser(command: str, description: str) -> Any:
    """A parser whose mistakes are one sentence, and whose printed configuration another call can take."""
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=False)

    class Parser(ArgumentParser):
        def error(self, message: str, ex: Exception | None = None) -> Any:
            """Say a mistake in one sentence, without the usage."""
            raise InputError(_sentence(message, ex))

        def dump(self, cfg: Any, **options: Any) -> str:
            """Write the configuration without what is about this call alone, so that another call can take it."""
            kept = cfg.clone()
            for name in ABOUT_THE_CALL:
                kept.pop(name, None)
            return str(super().dump(kept, **options | {"skip_validation": True}))

    return Parser(prog=f"pellucid {command}", description=description, allow_abbrev=False)


PHRASES = {  # jsonargparse's words for types, and ours
    r"Parser key \"([^\"]+)\":": r"\1:",
    r"typing\.Literal\[([^\]]*)\]": r"one of \1",
    r"<class '(\w+)'>": r"\1",
    r"Expected an? ": "expected ",
    r"\. Got value: ": ", got ",
    r"^method: (?!.*init_args)(.*)$": r"method: \1; methods are Regular, AdversarialTraining, SaliencyGuided, SCAAT, "
    "AdversarialSCAAT, or your own by its import path",
    r"^smoothing: Does not validate.*Given value: (.*)$": r"smoothing is given by its fields, such as "
    r"--smoothing.layers '[pool1]' --smoothing.filter gaussian, got \1",
    r"expected tuple, got ([^\[\s]\S*)$": r"expected a list, such as '[\1]', got \1",
    r"expected tuple, got ": r"expected a list, such as '[a, b]', got ",
    r"Does not validate .* Subtypes: \[tuple\[(\w+).*Given value: (.*)$": r"expected a list of \1 values, got \2",
    r"Does not validate .* Subtypes: \[(\w+), NoneType\].*Given value: (.*)$": r"expected \1, got \2",
    r"^Unable to load config '(\S+)' - (\w+): .*$": r"\2 is given by its fields, such as --\2.name \1",
    r"^Option '(\w+)' is not accepted$": r"there is no option '\1' here; see --help, and --method.help NAME for a "
    "method's own, which come after --method",
}


def _sentence(message: str, error: BaseException | None) -> str:
    """The first reason behind jsonargparse's message, on one line."""
    while error is not None:
        if isinstance(error, InputError):
            return str(error)
        error = error.__cause__ or error.__context__
    sentence = " ".join(message.split())
    for pattern, words in PHRASES.items():
        sentence = re.sub(pattern, words, sentence)
    return sentence


def add_config(parser: Any) -> None:
    """Let options come from a YAML file."""
    from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]

    parser.add_argument("--config", action=ActionConfigFile, help="YAML file of options; flags after it override it")


def add_engine(parser: Any) -> None:
    """Options of where and by how many processes something runs."""
    parser.add_argument("--accelerator", default="auto", type=str, help="auto, cpu, cuda or mps")
    parser.add_argument("--devices", default="1", type=str, help="number of processes on this machine, or auto")
    parser.add_argument("--num-nodes", default=1, type=int, help="number of machines")
    parser.add_argument("--strategy", default="auto", type=str, help="auto, ddp, ddp_spawn or ddp_fork")


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
    }


def add_plan(parser: Any, kind: Any) -> None:
    """Options of a plan over many networks, with the defaults of its dataclass."""
    parser.add_argument("--dataset", default=kind.dataset, type=str, help="such as fashion-mnist or cifar10")
    parser.add_argument("--path", type=str, help="folder of the dataset's files")
    parser.add_argument("--scale", default=kind.scale, type=str, help="smoke, cpu or full")
    parser.add_argument("--jobs", default=kind.jobs, type=int, help="trainings at once")
    parser.add_argument("--out", default=kind.out, type=Path, help="folder of the run directories")
    parser.add_argument("--results", default=kind.results, type=Path, help="folder of the tables")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and how long it would take")


def carry_out(parsed: Any, choice: Any, forecast: Callable[[Any], None], make: Callable[[Any], list[Path]]) -> None:
    """Say what would be done, or do it and print the files."""
    if parsed.dry_run:
        forecast(choice)
        return
    for file in make(choice):
        print(file)


def without_other_methods(arguments: list[str]) -> list[str]:
    """The arguments, with a config's method left out where ``--method`` names another one, whose options differ."""
    import yaml

    words = [
        word for argument in arguments for word in (argument.split("=", 1) if argument.startswith("-") else [argument])
    ]
    given = dict(pairwise(words))
    file = Path(given.get("--config", ""))
    if "--method" not in given or not file.is_file():
        return arguments
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        there = str(config["method"]["class_path"])
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return arguments  # jsonargparse says what is wrong with it
    if there.rpartition(".")[2] == given["--method"].rpartition(".")[2]:
        return arguments
    without = yaml.safe_dump({key: value for key, value in config.items() if key != "method"})
    instead = {given["--config"]: without, f"--config={given['--config']}": f"--config={without}"}
    return [instead.get(argument, argument) for argument in arguments]


def bracketed(arguments: list[str], kind: Any) -> list[str]:
    """The arguments, with ``a,,b`` of every option that takes several values written as the parser reads it, [a,b]."""
    import dataclasses

    several = {f"--{field.name}" for field in dataclasses.fields(kind) if "tuple" in str(field.type)}

    def written(value: str) -> str:
        bare = value[1:-1] if re.fullmatch(r"\[[^]\[{}'\"]*\]", value) else value
        return value if bare.startswith("[") else f"[{','.join(part for part in bare.split(',') if part.strip())}]"

    found: list[str] = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if found and found[-1] in several and not argument.startswith("-"):
            found.append(written(argument))
        elif equals and option in several:
            found.append(f"{option}={written(value)}")
        else:
            found.append(argument)
    return found


def instantiate(parser: Any, arguments: list[str], kind: Any) -> tuple[Any, Any]:
    """The dataclass that the flags describe, and the parsed flags."""
    import dataclasses

    parsed = parser.parse_args(arguments)
    try:
        made = parser.instantiate(parsed)
    except (ValueError, TypeError) as error:
        raise InputError(_sentence(str(error), error)) from None
    return kind(**{field.name: getattr(made, field.name) for field in dataclasses.fields(kind)}), parsed


def listed(text: str) -> list[Any]:
    """Names between commas, in brackets or not.

    >>> listed("[png, json]")
    ['png', 'json']
    """
    return [name.strip() for name in text.strip("[]").split(",") if name.strip()]


def numbers(text: str | None) -> tuple[int, ...]:
    """Numbers of devices between commas.

    >>> numbers("0,1"), numbers(None)
    ((0, 1), ())
    """
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise InputError(f"devices must be numbers with commas between them, such as 0,1, got {text!r}") from None
