"""What a declared type accepts: the types of a union, the classes among them, and the words for them in a sentence."""

import dataclasses
import inspect
import types
import typing
from abc import ABCMeta
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pellucid.core.checks import among

__all__ = ["accepted", "classes_of", "item_type", "known_classes", "marks_of", "of_origin", "options_of", "public_name"]

WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def options_of(declared: Any) -> tuple[Any, ...]:
    """The types that a declaration accepts: those of a union, or itself; without what marks them."""
    if get_origin(declared) is Annotated:
        return options_of(get_args(declared)[0])
    if get_origin(declared) in (typing.Union, types.UnionType):
        return tuple(option for part in get_args(declared) for option in options_of(part))
    return (type(None) if declared is None else declared,)


def marks_of(declared: Any) -> set[Any]:
    """What marks a declaration, or a part of its union, such as that its text is an import path."""
    if get_origin(declared) is Annotated:
        return set(declared.__metadata__)
    if get_origin(declared) in (typing.Union, types.UnionType):
        return set().union(*map(marks_of, get_args(declared)))
    return set()


def classes_of(options: tuple[Any, ...]) -> list[type]:
    """Those whose values are written by their fields, or as ``{class_path, init_args}``."""
    return [
        option
        for option in options
        if isinstance(option, type)
        and (dataclasses.is_dataclass(option) or isinstance(option, ABCMeta))
        and option.__module__ != "collections.abc"
    ]


def of_origin(origin: Any, options: tuple[Any, ...]) -> Any:
    """The option that is a ``tuple[...]`` or ``Mapping[...]``, or None."""
    return next((option for option in options if origin in (option, get_origin(option))), None)


def item_type(declared: Any, number: int) -> Any:
    """Type of an item of ``tuple[X, ...]``, ``tuple[X, Y]`` or a bare tuple."""
    parts = get_args(declared) or (Any, ...)
    return parts[0] if parts[-1] is ... else parts[min(number, len(parts) - 1)]


def accepted(options: tuple[Any, ...], classes: list[type], literals: list[Any]) -> str:
    """What is accepted, as the words of a sentence."""
    if classes and not any(option in WORDS for option in options):
        if all(dataclasses.is_dataclass(kind) for kind in classes):
            names = [field.name for field in dataclasses.fields(classes[0])]
            return f"given by its fields {', '.join(names)}"
        return f"a {public_name(classes[0])}"
    words = [among(literals)] if literals else []
    words += [WORDS[option] for option in options if option in WORDS]
    words += ["a list"] if of_origin(tuple, options) is not None else []
    words += ["a mapping such as {name: value}"] if of_origin(Mapping, options) or of_origin(dict, options) else []
    return " or ".join(words) or "null"


def public_name(kind: type) -> str:
    """The name by which users import a class."""
    module = "pellucid" if kind.__module__.startswith("pellucid.") else kind.__module__
    return f"{module}.{kind.__name__}"


def known_classes(classes: list[type]) -> dict[str, type]:
    """Those classes of pellucid that a file may name in short: the declared ones, and what derives from them."""
    known: dict[str, type] = {}
    for kind in classes:
        if kind.__module__.startswith("pellucid.") and not inspect.isabstract(kind):
            known[kind.__name__] = kind
        known |= known_classes(kind.__subclasses__())
    return known
