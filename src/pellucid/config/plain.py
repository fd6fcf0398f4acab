"""Objects as plain data, the form in which files hold them."""

import dataclasses
from abc import ABCMeta
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pellucid.config.declared import classes_of, item_type, marks_of, of_origin, options_of
from pellucid.config.trusted import CODE_OPTIONS, is_import_path, runs_code
from pellucid.core.errors import InputError

__all__ = ["named_in", "to_config"]


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
    return _plain(value, type(value), set())


def named_in(value: Any) -> tuple[Any, set[str]]:
    """The plain data of ``value``, and the code outside pellucid that it names: import paths, and `CODE_OPTIONS`."""
    names: set[str] = set()
    plain = _plain(value, type(value), names)
    return plain, {name for name in names if not name.startswith("pellucid.")}


def _plain(value: Any, declared: Any, names: set[str]) -> Any:
    """Plain data of a value at a place of the declared type; the code that it names is added to ``names``."""
    options, marks = options_of(declared), marks_of(declared)
    if "import path" in marks and isinstance(value, str) and is_import_path(value):
        names.add(value)
    if "options" in marks and isinstance(value, Mapping):
        names |= {name for name in CODE_OPTIONS if name in value and runs_code(name, value[name])}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value), include_extras=True)
        fields = {f.name: _plain(getattr(value, f.name), hints[f.name], names) for f in dataclasses.fields(value)}
        if classes_of(options) == [type(value)]:
            return fields
        return {"class_path": _path_of(value, type(value), names), "init_args": fields}
    if isinstance(type(value), ABCMeta):  # one of our abstract choices, such as a method
        if type(value).__init__ is not object.__init__:
            raise InputError(
                f"{type(value).__name__} must be a dataclass, so that its settings can be written to a file"
            )
        return {"class_path": _path_of(value, type(value), names), "init_args": {}}
    if isinstance(value, list | tuple):
        return [_plain(item, item_type(of_origin(tuple, options), number), names) for number, item in enumerate(value)]
    if isinstance(value, Mapping):
        kind = (get_args(of_origin(Mapping, options)) or (Any, Any))[1]
        return {key: _plain(item, kind, names) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if callable(value):
        return _path_of(value, value, names)
    if value is not None and not isinstance(value, bool | int | float | str):
        raise InputError(f"{value!r:.80} cannot be written to a file; give numbers, text, lists, mappings or choices")
    return float(value) if isinstance(value, float) else value  # a NumPy number, too


def _path_of(value: Any, named: Any, names: set[str]) -> str:
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
    names.add(f"{module}.{name}")
    return f"{module}.{name}"
