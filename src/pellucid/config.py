"""Choices as plain data and back: dataclasses as YAML and the command line say them, objects by their import path.

Imports no torch, and calls nothing that a file names before it is known to be of the declared kind.
"""

import dataclasses
import inspect
import json
import re
import types
import typing
from abc import ABCMeta
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from difflib import get_close_matches
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from pellucid.core.checks import among
from pellucid.core.errors import InputError, raised
from pellucid.core.files import whole_file
from pellucid.core.plain_data import parse_yaml, read_yaml

__all__ = ["Text", "from_config", "import_name", "read_yaml", "to_config", "write_json", "write_yaml"]

NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:/(\d+\.?\d*))?")
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


class Text(str):
    """A word of the command line: the type that is declared where it stands decides how it is read.

    >>> from pellucid import Data, PGD
    >>> from_config({"path": Text("2024"), "limit": Text("64")}, Data).path
    '2024'
    >>> from_config({"eps": Text("8/255"), "step_size": Text("1e-2"), "steps": Text("7")}, PGD).step_size
    0.01
    """


def import_name(path: str) -> Any:
    """The object at ``package.module.name`` or ``package.module:name``.

    Raises:
        InputError: no such module or name, or a module that raises while it is imported.

    >>> import_name("pellucid.methods.Regular").__name__
    'Regular'
    """
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    try:
        return attrgetter(name)(import_module(module))
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"cannot import {path!r}: {error}; give it as package.module.name") from error
    except Exception as error:  # a user's module may raise anything
        raise InputError(f"cannot import {path!r}: {raised(error)}") from error


def to_config(value: Any) -> Any:
    """Plain data (dicts, lists, numbers, strings) that says the same as ``value``.

    Dataclasses become dicts of their fields; those that stand where several classes could, and every callable, become
    ``{class_path, init_args}``, the form that files and the command line give them in.

    Raises:
        InputError: an object that no file can name.

    >>> from pellucid import Experiment
    >>> to_config(Experiment())["method"]
    {'class_path': 'pellucid.methods.Regular', 'init_args': {}}
    """
    return _plain(value, type(value))


def from_config(config: Any, kind: Any) -> Any:
    """The inverse of `to_config`.

    Fields that are left out keep the default of the place: ``attack: {eps: 0.1}`` changes the radius of the attack that
    the method has by default. An integer is read as a float, and a list as a tuple, where that is declared.

    Args:
        config: plain data.
        kind: the dataclass it describes, or another type.

    Raises:
        InputError: an unknown field, a value of another type, a class that cannot be imported or is not of the declared
            kind, a value that the class refuses. The sentence names the place, such as ``optimizer.lr``.

    >>> from pellucid import Experiment
    >>> from_config({"epochs": 3}, Experiment) == from_config(to_config(Experiment(epochs=3)), Experiment)
    True
    >>> from_config({"optimizer": {"lr": "x"}}, Experiment)
    Traceback (most recent call last):
    pellucid.InputError: optimizer.lr must be a number, got 'x'
    """
    return _built(config, kind, "", MISSING)


def write_yaml(value: Any, path: str | Path) -> None:
    """Write the plain form of ``value``, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(yaml.safe_dump(to_config(value), sort_keys=False, allow_unicode=True), encoding="utf-8")


def write_json(value: Any, path: str | Path) -> None:
    """Write ``value`` as JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _options(declared: Any) -> tuple[Any, ...]:
    """The types that a declaration accepts: those of a union, or itself."""
    if get_origin(declared) in (typing.Union, types.UnionType):
        return tuple(option for part in get_args(declared) for option in _options(part))
    return (type(None) if declared is None else declared,)


def _classes(options: tuple[Any, ...]) -> list[type]:
    """Those whose values are written by their fields, or as ``{class_path, init_args}``."""
    return [
        option
        for option in options
        if isinstance(option, type)
        and (dataclasses.is_dataclass(option) or isinstance(option, ABCMeta))
        and option.__module__ != "collections.abc"
    ]


def _of(origin: Any, options: tuple[Any, ...]) -> Any:
    """The option that is a ``tuple[...]`` or ``Mapping[...]``, or None."""
    return next((option for option in options if origin in (option, get_origin(option))), None)


def _item(declared: Any, number: int) -> Any:
    """Type of an item of ``tuple[X, ...]``, ``tuple[X, Y]`` or a bare tuple."""
    parts = get_args(declared) or (Any, ...)
    return parts[0] if parts[-1] is ... else parts[min(number, len(parts) - 1)]


def _plain(value: Any, declared: Any) -> Any:
    options = _options(declared)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        fields = {f.name: _plain(getattr(value, f.name), hints[f.name]) for f in dataclasses.fields(value)}
        if _classes(options) == [type(value)]:
            return fields
        return {"class_path": _path_of(value, type(value)), "init_args": fields}
    if isinstance(type(value), ABCMeta):  # one of our abstract choices, such as a method
        if type(value).__init__ is not object.__init__:
            raise InputError(
                f"{type(value).__name__} must be a dataclass, so that its settings can be written to a file"
            )
        return {"class_path": _path_of(value, type(value)), "init_args": {}}
    if isinstance(value, list | tuple):
        return [_plain(item, _item(_of(tuple, options), number)) for number, item in enumerate(value)]
    if isinstance(value, Mapping):
        kind = (get_args(_of(Mapping, options)) or (Any, Any))[1]
        return {key: _plain(item, kind) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if callable(value):
        return _path_of(value, value)
    if value is not None and not isinstance(value, bool | int | float | str):
        raise InputError(f"{value!r:.80} cannot be written to a file; give numbers, text, lists, mappings or choices")
    return float(value) if isinstance(value, float) else value  # a NumPy number, too


def _path_of(value: Any, named: Any) -> str:
    """The import path of a class or function; of pellucid's own the public one, which no move within it changes."""
    name = getattr(named, "__qualname__", "<")
    if "<" in name or named.__module__ == "__main__":
        raise InputError(
            f"{value!r} cannot be named in a file; put it at the top of a module that can be imported, not in a script"
        )
    module: str = named.__module__
    package = ".".join(module.split(".")[:2])
    if package.startswith("pellucid.") and getattr(import_module(package), name, None) is named:
        module = package
    return f"{module}.{name}"


def _built(value: Any, declared: Any, where: str, default: Any) -> Any:
    """``value`` as the declared type; ``default`` is what stands at the place if nothing is given."""
    options = _options(declared)
    classes, literals = _classes(options), [v for o in options if get_origin(o) is Literal for v in get_args(o)]
    if isinstance(value, Text):
        value = str(value) if value in literals else _read(value, options, where)
    if Any in options or isinstance(value, tuple(classes)) or (value is None and type(None) in options):
        return value
    if isinstance(value, bool) and bool not in options and str(value).lower() in literals:
        return str(value).lower()  # YAML reads the word true as a truth value
    if any(value == literal and type(value) is type(literal) for literal in literals):
        return value
    if classes and (isinstance(value, Mapping) or (isinstance(value, str) and _names_class(value, options, classes))):
        return _object(value, options, classes, where, default)
    if type(value) in options:
        return value
    if float in options and not isinstance(value, bool):
        number = NUMBER.fullmatch(value) if isinstance(value, str) else None
        if isinstance(value, int):
            return float(value)
        if number is not None and float(number[2] or 1):  # YAML reads 1e-3 as text
            return float(number[1]) / float(number[2] or 1)
    if isinstance(value, list | tuple) and (many := _of(tuple, options)) is not None:
        length = len(get_args(many))
        if ... not in (get_args(many) or (...,)) and len(value) != length:
            raise InputError(f"{where} must be a list of {length} values, got {list(value)}")
        return tuple(_built(item, _item(many, n), f"{where}[{n}]", MISSING) for n, item in enumerate(value))
    if isinstance(value, Mapping) and (named := _of(dict, options) or _of(Mapping, options)) is not None:
        kind = (get_args(named) or (Any, Any))[1]
        return {str(key): _built(item, kind, f"{where}.{key}", MISSING) for key, item in value.items()}
    if isinstance(value, str) and Path in options:
        return Path(value)
    if _of(Callable, options) is not None:
        return import_name(value) if isinstance(value, str) else value
    place = where or getattr(declared, "__name__", str(declared))
    raise InputError(f"{place} must be {_accepted(options, classes, literals)}, got {value!r}")


def _read(text: Text, options: tuple[Any, ...], where: str) -> Any:
    """A word of the command line as plain data, whose strings are words again where they stand in a list."""
    if text == "null" and type(None) in options:
        return None
    if _of(tuple, options) is not None:
        inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        if not re.search(r"[]\[{}'\"]", inner):
            return [Text(part.strip()) for part in inner.split(",") if part.strip()]
        text = text if text.startswith("[") else Text(f"[{text}]")
    structured = text.startswith(("[", "{")) and any(option not in (str, type(None)) for option in options)
    if not structured and (str in options or Path in options or _classes(options)):
        return str(text)
    try:
        return parse_yaml(text, "a value")
    except InputError:
        form = "a list, such as '[a, b]'" if text.startswith("[") else "given as YAML, such as '{name: value}'"
        raise InputError(f"{where} must be {form}, got {text}") from None


def _accepted(options: tuple[Any, ...], classes: list[type], literals: list[Any]) -> str:
    if classes and not any(option in WORDS for option in options):
        if all(dataclasses.is_dataclass(kind) for kind in classes):
            names = [field.name for field in dataclasses.fields(classes[0])]
            return f"given by its fields {', '.join(names)}"
        return f"a {_public(classes[0])}"
    words = [among(literals)] if literals else []
    words += [WORDS[option] for option in options if option in WORDS]
    words += ["a list"] if _of(tuple, options) is not None else []
    words += ["a mapping such as {name: value}"] if _of(Mapping, options) or _of(dict, options) else []
    return " or ".join(words) or "null"


def _public(kind: type) -> str:
    module = "pellucid" if kind.__module__.startswith("pellucid.") else kind.__module__
    return f"{module}.{kind.__name__}"


def _known(classes: list[type]) -> dict[str, type]:
    """Those classes of pellucid that a file may name in short: the declared ones, and what derives from them."""
    known: dict[str, type] = {}
    for kind in classes:
        if kind.__module__.startswith("pellucid.") and not inspect.isabstract(kind):
            known[kind.__name__] = kind
        known |= _known(kind.__subclasses__())
    return known


def _names_class(value: str, options: tuple[Any, ...], classes: list[type]) -> bool:
    """Whether a string stands for a class: it does where no text is accepted, and by the short name of one of ours."""
    return (str not in options and any(inspect.isabstract(kind) for kind in classes)) or value in _known(classes)


def _object(value: Any, options: tuple[Any, ...], classes: list[type], where: str, default: Any) -> Any:
    if isinstance(value, str):
        value = {"class_path": value}
    if "class_path" in value:
        extra = sorted(set(value) - {"class_path", "init_args"})
        if extra:
            raise InputError(f"{where} has class_path and init_args, got {extra[0]!r} beside them")
        kind = _class(str(value["class_path"]), options, classes, where)
        fields = value.get("init_args") or {}
        if not isinstance(fields, Mapping):
            raise InputError(f"{where}.init_args must hold names and values, got {fields!r}")
        return _instance(kind, fields, where, default)
    concrete = [kind for kind in classes if not inspect.isabstract(kind)]
    if not concrete and isinstance(default, tuple(classes)):  # fields of the class that stands here by default
        concrete = [type(default)]
    if not concrete:
        raise InputError(f"{where} must name its class: {{class_path: package.module.name, init_args: ...}}")
    return _instance(concrete[0], value, where, default)


def _class(path: str, options: tuple[Any, ...], classes: list[type], where: str) -> Any:
    """The class, or the function that returns one, that ``path`` names: nothing is called before it is of the kind."""
    known = _known(classes)
    if path in known:
        return known[path]
    if "." not in path and ":" not in path:
        if not any(inspect.isabstract(kind) for kind in classes):
            raise InputError(f"{where} must be {_accepted((), classes, [])}, got {path!r}")
        close = get_close_matches(path, known, n=1)
        hint = f", did you mean {close[0]}?" if close else ""
        raise InputError(
            f"{where} must be one of {', '.join(known)} or the import path of another {_public(classes[0])}, "
            f"got {path!r}{hint}"
        )
    try:
        kind = import_name(path)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    made = kind if isinstance(kind, type) else getattr(kind, "__annotations__", {}).get("return")
    if isinstance(made, type):
        callable_choice = dataclasses.is_dataclass(made) and any("__call__" in vars(base) for base in made.__mro__)
        if issubclass(made, tuple(classes)) or (callable_choice and _of(Callable, options) is not None):
            return kind
    raise InputError(f"{where} must be a {_public(classes[0])}, got {path}, which is not one")


def _instance(kind: Any, values: Mapping[str, Any], where: str, default: Any) -> Any:
    dot, given = f"{where}." if where else "", {}
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init} if dataclasses.is_dataclass(kind) else None
    if fields is None:  # a function, or a class of the user's own
        hints = get_type_hints(kind.__init__ if isinstance(kind, type) else kind)  # type: ignore[misc]  # of any class
        given = {name: _built(value, hints.get(name, Any), dot + name, MISSING) for name, value in values.items()}
    else:
        hints = get_type_hints(kind)
        name = next((name for name in values if name not in fields), None)
        if name is not None:
            close = get_close_matches(str(name), fields, n=1, cutoff=0.7)
            hint = f", did you mean {close[0]!r}? It" if close else "; it"
            owner = f"{where} ({kind.__name__})" if where else kind.__name__
            raise InputError(f"{owner} has no field {name!r}{hint} has {', '.join(fields) or 'none'}")
        for name, field in fields.items():
            usual = getattr(default, name) if type(default) is kind else _default(field)
            if name in values:
                given[name] = _built(values[name], hints[name], dot + name, usual)
            elif usual is MISSING:
                raise InputError(f"{where or kind.__name__} lacks the field {name}")
            else:
                given[name] = usual
    try:
        return kind(**given)
    except TypeError as error:
        raise InputError(f"{getattr(kind, '__name__', kind)} cannot be made of {dict(values)}: {error}") from None


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
