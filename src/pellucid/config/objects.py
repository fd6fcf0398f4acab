"""Objects of plain data: nothing is called that a file names before it is known to be of the declared kind."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pellucid.config.declared import (
    accepted,
    classes_of,
    item_type,
    known_classes,
    marks_of,
    of_origin,
    options_of,
    public_name,
)
from pellucid.config.importing import check_passed_on, import_name
from pellucid.config.trusted import CODE_OPTIONS, check_trusted, is_import_path, name_typed, runs_code
from pellucid.core.errors import InputError
from pellucid.core.plain_data import parse_yaml

__all__ = ["Text", "from_config", "typed_names"]

NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:/(\d+\.?\d*))?")


class Text(str):
    """A word of the command line: the type that is declared where it stands decides how it is read.

    >>> from pellucid import Data, PGD
    >>> from_config({"path": Text("2024"), "limit": Text("64")}, Data).path
    '2024'
    >>> from_config({"eps": Text("8/255"), "step_size": Text("1e-2"), "steps": Text("7")}, PGD).step_size
    0.01
    """


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
    >>> from pellucid.config import to_config
    >>> from_config({"epochs": 3}, Experiment) == from_config(to_config(Experiment(epochs=3)), Experiment)
    True
    >>> from_config({"optimizer": {"lr": "x"}}, Experiment)
    Traceback (most recent call last):
    pellucid.InputError: optimizer.lr must be a number, got 'x'
    """
    return _built(config, kind, "", MISSING)


def _built(value: Any, declared: Any, where: str, default: Any) -> Any:
    """``value`` as the declared type; ``default`` is what stands at the place if nothing is given."""
    options, marks = options_of(declared), marks_of(declared)
    typed = isinstance(value, Text)
    classes, literals = classes_of(options), [v for o in options if get_origin(o) is Literal for v in get_args(o)]
    if isinstance(value, Text):
        value = str(value) if value in literals else _read(value, options, where)
    if "import path" in marks and isinstance(value, str) and is_import_path(value):
        _permit(value, where, typed=typed)
    if "options" in marks and isinstance(value, Mapping) and not typed:
        for name in CODE_OPTIONS:
            if name in value and not isinstance(value[name], Text) and runs_code(name, value[name]):
                check_trusted(name, where)
    if Any in options or isinstance(value, tuple(classes)) or (value is None and type(None) in options):
        return value
    if isinstance(value, bool) and bool not in options and str(value).lower() in literals:
        return str(value).lower()  # YAML reads the word true as a truth value
    if any(value == literal and type(value) is type(literal) for literal in literals):
        return value
    if classes and (isinstance(value, Mapping) or (isinstance(value, str) and _names_class(value, options, classes))):
        return _object(value, options, classes, where, default, typed=typed)
    if type(value) in options:
        return value
    if float in options and not isinstance(value, bool):
        number = NUMBER.fullmatch(value) if isinstance(value, str) else None
        if isinstance(value, int):
            return float(value)
        if number is not None and float(number[2] or 1):  # YAML reads 1e-3 as text
            return float(number[1]) / float(number[2] or 1)
    if isinstance(value, list | tuple) and (many := of_origin(tuple, options)) is not None:
        length = len(get_args(many))
        if ... not in (get_args(many) or (...,)) and len(value) != length:
            raise InputError(f"{where} must be a list of {length} values, got {list(value)}")
        return tuple(_built(item, item_type(many, n), f"{where}[{n}]", MISSING) for n, item in enumerate(value))
    if isinstance(value, Mapping) and (named := of_origin(dict, options) or of_origin(Mapping, options)) is not None:
        kind = (get_args(named) or (Any, Any))[1]
        return {str(key): _built(item, kind, f"{where}.{key}", MISSING) for key, item in value.items()}
    if isinstance(value, str) and Path in options:
        return Path(value)
    if of_origin(Callable, options) is not None:
        if not isinstance(value, str):
            return value
        _permit(value, where, typed=typed)
        return import_name(value)
    place = where or getattr(declared, "__name__", str(declared))
    raise InputError(f"{place} must be {accepted(options, classes, literals)}, got {value!r}")


def _read(text: Text, options: tuple[Any, ...], where: str) -> Any:
    """A word of the command line as plain data, whose strings are words again where they stand in a list."""
    if text == "null" and type(None) in options:
        return None
    if of_origin(tuple, options) is not None:
        inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        if not re.search(r"[]\[{}'\"]", inner):
            return [Text(part.strip()) for part in inner.split(",") if part.strip()]
        text = text if text.startswith("[") else Text(f"[{text}]")
    structured = text.startswith(("[", "{")) and any(option not in (str, type(None)) for option in options)
    if not structured and (str in options or Path in options or classes_of(options)):
        return str(text)
    try:
        return typed_names(parse_yaml(text, "a value"))
    except InputError:
        form = "a list, such as '[a, b]'" if text.startswith("[") else "given as YAML, such as '{name: value}'"
        raise InputError(f"{where} must be {form}, got {text}") from None


def typed_names(plain: Any) -> Any:
    """Plain data that a person typed, in which the import paths are words of the command line."""
    if isinstance(plain, Mapping):
        return {
            name: Text(value) if name == "class_path" and isinstance(value, str) else typed_names(value)
            for name, value in plain.items()
        }
    if isinstance(plain, list):
        return [Text(item) if isinstance(item, str) and is_import_path(item) else typed_names(item) for item in plain]
    return plain


def _names_class(value: str, options: tuple[Any, ...], classes: list[type]) -> bool:
    """Whether a string stands for a class: it does where no text is accepted, and by the short name of one of ours."""
    return (str not in options and any(inspect.isabstract(kind) for kind in classes)) or value in known_classes(classes)


def _permit(path: str, where: str, *, typed: bool) -> None:
    """Let the import path be imported if the user typed it or trusts it; otherwise refuse it, importing nothing."""
    if typed:
        name_typed(path)
    elif check_trusted(path, where):
        check_passed_on(path)


def _object(value: Any, options: tuple[Any, ...], classes: list[type], where: str, default: Any, *, typed: bool) -> Any:
    if isinstance(value, str):
        value = {"class_path": value}
    if "class_path" in value:
        extra = sorted(set(value) - {"class_path", "init_args"})
        if extra:
            raise InputError(f"{where} has class_path and init_args, got {extra[0]!r} beside them")
        typed = typed or isinstance(value["class_path"], Text)
        kind = _class(str(value["class_path"]), options, classes, where, typed=typed)
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


def _class(path: str, options: tuple[Any, ...], classes: list[type], where: str, *, typed: bool) -> Any:
    """The class, or the function that returns one, that ``path`` names: nothing is called before it is of the kind."""
    known = known_classes(classes)
    if path in known:
        return known[path]
    if "." not in path and ":" not in path:
        if not any(inspect.isabstract(kind) for kind in classes):
            raise InputError(f"{where} must be {accepted((), classes, [])}, got {path!r}")
        lower = {name.lower(): name for name in known}
        close = get_close_matches(path.lower(), lower, n=1)
        hint = f", did you mean {lower[close[0]]}?" if close else ""
        raise InputError(
            f"{where} must be one of {', '.join(known)} or the import path of another {public_name(classes[0])}, "
            f"got {path!r}{hint}"
        )
    _permit(path, where, typed=typed)
    try:
        kind = import_name(path)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    made = kind if isinstance(kind, type) else getattr(kind, "__annotations__", {}).get("return")
    if isinstance(made, type):
        callable_choice = dataclasses.is_dataclass(made) and any("__call__" in vars(base) for base in made.__mro__)
        if issubclass(made, tuple(classes)) or (callable_choice and of_origin(Callable, options) is not None):
            return kind
    raise InputError(f"{where} must be a {public_name(classes[0])}, got {path}, which is not one")


def _instance(kind: Any, values: Mapping[str, Any], where: str, default: Any) -> Any:
    dot, given = f"{where}." if where else "", {}
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init} if dataclasses.is_dataclass(kind) else None
    if fields is None:  # a function, or a class of the user's own
        hints = get_type_hints(kind.__init__ if isinstance(kind, type) else kind)  # type: ignore[misc]  # of any class
        given = {name: _built(value, hints.get(name, Any), dot + name, MISSING) for name, value in values.items()}
    else:
        hints = get_type_hints(kind, include_extras=True)
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
