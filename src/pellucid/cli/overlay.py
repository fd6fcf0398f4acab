"""Settings that are put over one another in the order in which they were given: files and options."""

import re
from typing import Any, Literal

from pellucid.config import read_yaml
from pellucid.config.objects import typed_names
from pellucid.core.errors import InputError
from pellucid.core.plain_data import parse_yaml

__all__ = ["merge", "path_of", "put", "read_config_file"]


def path_of(name: str) -> list[str]:
    """The fields on the way to a setting, such as ``method.attack.step-size``."""
    return [part.replace("-", "_") for part in name.split(".") if part != "init_args"]


def read_config_file(path: str | Literal[True]) -> dict[str, Any]:
    """The settings that a file holds, by name.

    Args:
        path: what was given behind ``--config``; True where nothing was.

    Raises:
        InputError: nothing was given, or a file that cannot be read or is no mapping.
    """
    if path is True:
        raise InputError("--config needs the path of a file, got none")
    try:
        config = read_yaml(path)
    except OSError as error:
        raise InputError(f"cannot read the file of --config, {path}: {error.strerror}") from None
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold settings by name, got {config!r}")
    return config


def merge(data: dict[str, Any], new: dict[str, Any]) -> None:
    """Put the settings of a file over those that are there; a class that is named replaces what is there."""
    for name, value in new.items():
        there = data.get(name)
        if isinstance(there, dict) and isinstance(value, dict) and "class_path" not in value:
            merge(there, value)
        else:
            data[name] = value


def _mapping(text: str) -> Any:
    try:
        return typed_names(parse_yaml(text, "a mapping"))
    except InputError:
        raise InputError(f"a mapping is given as YAML, such as '{{name: value}}', got {text}") from None


def put(data: dict[str, Any], path: list[str], value: Any) -> None:
    """Put one flag's value in its place, below the class that is named on the way.

    A class that is named anew takes nothing of the settings of the one before; the same one keeps them.

    >>> from pellucid.config import Text
    >>> data = {"method": {"class_path": "pellucid.methods.SCAAT", "init_args": {"q": 0.1}}}
    >>> put(data, ["method"], Text("SCAAT")), data["method"]["init_args"]
    (None, {'q': 0.1})
    >>> put(data, ["method"], Text("Regular")), data
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
