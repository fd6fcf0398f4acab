"""Frozen dataclasses from YAML and to it; a mistake is named by its place, such as ``questions[0].points``."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pellucid.core.errors import InputError

__all__ = ["build", "plain"]


def plain(value: Any) -> Any:
    """``value`` with plain dicts and lists, as YAML writes them."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value


def build(kind: Any, value: Any, where: str) -> Any:
    """``value`` from YAML as ``kind``.

    Args:
        kind: a dataclass, or a type of one's field.
        value: what YAML holds.
        where: the place, for an error's sentence.

    Raises:
        InputError: a field that is missing or unknown, or a value of another type.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return __build_dataclass(kind, value, where)
    if origin in (Union, types.UnionType):
        return None if value is None else build(next(each for each in inner if each is not type(None)), value, where)
    if origin is Literal:
        if value not in inner:
            raise InputError(f"{where} must be one of {', '.join(map(str, inner))}, got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{where} must be a list, got {value!r}")
        return tuple(build(inner[0], each, f"{where}[{number}]") for number, each in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise InputError(f"{where} must be given by language, such as en: ..., got {value!r}")
        return {str(key): build(inner[1], each, f"{where}.{key}") for key, each in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise InputError(f"{where} must be of type {kind.__name__}, got {value!r}")
    return value


def __build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise InputError(
            f"{where or 'a study'} must hold {', '.join(each.name for each in fields(kind))}, got {value!r}"
        )
    hints = get_type_hints(kind)
    for key in value:
        if key not in hints:
            raise InputError(f"{where or 'a study'} has no field {key!r}; there are {', '.join(hints)}")
    for each in fields(kind):
        if each.name not in value and each.default is MISSING and each.default_factory is MISSING:
            raise InputError(f"{where or 'the study'} lacks the field {each.name}")
    dot = f"{where}." if where else ""
    return kind(**{key: build(hints[key], each, f"{dot}{key}") for key, each in value.items()})
