"""Choices as plain data and back: dataclasses as YAML says them, objects by their import path."""

import dataclasses
import json
import typing
from abc import ABCMeta
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file

__all__ = ["from_config", "import_name", "to_config", "write_json", "write_yaml"]


def import_name(path: str) -> Any:
    """The object at ``package.module.name`` or ``package.module:name``.

    Raises:
        InputError: no such module or name.

    >>> import_name("pellucid.methods.Regular").__name__
    'Regular'
    """
    module, _, name = path.replace(":", ".").rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"cannot import {path!r}: {error}; give it as package.module.name") from None


def to_config(value: Any) -> Any:
    """Plain data (dicts, lists, numbers, strings) that says the same as ``value``.

    Dataclasses become dicts of their fields; those that stand where several classes could, and every callable, become
    ``{class_path, init_args}``, the form that the command line reads and jsonargparse cannot write.

    >>> from pellucid import Experiment
    >>> to_config(Experiment())["method"]
    {'class_path': 'pellucid.methods.Regular', 'init_args': {}}
    """
    return _plain(value, type(value))


def from_config(config: Mapping[str, Any], kind: Any) -> Any:
    """The inverse of `to_config`.

    Args:
        config: plain data.
        kind: the dataclass it describes.

    Raises:
        InputError: an unknown field, a class that cannot be imported, a value that the class refuses.

    >>> from pellucid import Experiment
    >>> from_config(to_config(Experiment(epochs=3)), Experiment).epochs
    3
    """
    return _built(config, kind)


def _plain(value: Any, declared: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value))
        fields = {f.name: _plain(getattr(value, f.name), hints[f.name]) for f in dataclasses.fields(value)}
        if type(value) in (declared, *typing.get_args(declared)):
            return fields
        return {"class_path": _path_of(value, type(value)), "init_args": fields}
    if isinstance(type(value), ABCMeta):  # one of our abstract choices, such as a method
        if type(value).__init__ is not object.__init__:
            raise InputError(
                f"{type(value).__name__} must be a dataclass, so that its settings can be written to a file"
            )
        return {"class_path": _path_of(value, type(value)), "init_args": {}}
    if isinstance(value, (list, tuple)):
        return [_plain(item, Any) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item, Any) for key, item in value.items()}
    if callable(value):
        return _path_of(value, value)
    return value


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


def _built(config: Any, declared: Any) -> Any:
    if isinstance(config, Mapping) and "class_path" in config:
        kind = import_name(config["class_path"])
        return _instance(kind, config.get("init_args") or {})
    options = [option for option in (declared, *typing.get_args(declared)) if dataclasses.is_dataclass(option)]
    if isinstance(config, Mapping) and options:
        return _instance(options[0], config)
    if options and not (config is None and type(None) in typing.get_args(declared)):
        raise InputError(f"{getattr(options[0], '__name__', declared)} must be given by its fields, got {config!r}")
    if isinstance(config, list):
        item = (typing.get_args(declared) or (Any,))[0]
        return tuple(_built(value, item) for value in config)
    return config


def _instance(kind: Any, values: Mapping[str, Any]) -> Any:
    hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
    if hints:
        unknown = sorted(set(values) - {f.name for f in dataclasses.fields(kind)})
        if unknown:
            raise InputError(f"{kind.__name__} has no field {unknown[0]!r}; it has {', '.join(hints)}")
    try:
        return kind(**{name: _built(value, hints.get(name, Any)) for name, value in values.items()})
    except TypeError as error:
        raise InputError(f"{kind.__name__} cannot be made of {dict(values)}: {error}") from None


def write_yaml(value: Any, path: Path) -> None:
    """Write the plain form of ``value``, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(yaml.safe_dump(to_config(value), sort_keys=False, allow_unicode=True), encoding="utf-8")


def write_json(value: Any, path: Path) -> None:
    """Write ``value`` as JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
