"""Plain data out of YAML and JSON that anybody may have written: read in bounded time and memory, or refused."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Literal

import yaml

from pellucid.core.errors import InputError
from pellucid.core.files import check_readable

__all__ = ["content_of", "parse_yaml", "read_json", "read_yaml"]

LARGEST = {"YAML": 4 << 20, "JSON": 64 << 20}
"""Bytes that a file may hold."""
NODES = 200_000
"""Values that a YAML document may hold once every alias stands for what it names."""
DEPTH = 64
"""How deep lists and mappings may lie in one another."""
TOO_DEEP = f"lists and mappings lie more than {DEPTH} deep in one another"


_Plain: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser, ten times as fast, where PyYAML was built with it."""


class _Loader(_Plain):  # type: ignore[misc]
    """Plain data alone, without the same name twice in a mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        if isinstance(node, yaml.MappingNode):
            seen: set[tuple[str, str]] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                    if (key.tag, key.value) in seen:
                        raise InputError(f"{key.value!r} is given twice in one mapping, line {key.start_mark.line + 1}")
                    seen.add((key.tag, key.value))
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made


def _check_size(content: str) -> None:
    """Raises InputError where a document is too large or too deep, also by its aliases, or holds itself."""
    nodes = 0
    size_of: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    for event in yaml.parse(content, Loader=_Plain):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in [anchor for anchor, _ in open_]:
                raise InputError(f"*{event.anchor} holds itself")
            nodes += size_of.get(event.anchor or "", 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, nodes))
            nodes += 1
            if len(open_) > DEPTH:
                raise InputError(TOO_DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor is not None:
                size_of[anchor] = nodes - before
        elif isinstance(event, yaml.ScalarEvent):
            nodes += 1
            if event.anchor is not None:
                size_of[event.anchor] = 1
        if nodes > NODES:
            raise InputError(f"it holds more than {NODES} values")


def parse_yaml(content: str | bytes, where: str) -> Any:
    """The plain data that YAML says.

    Args:
        content: the document, in UTF-8 where it is bytes.
        where: what a message calls it, such as its path.

    Raises:
        InputError: no YAML, more than one document, the same name twice in one mapping, or too large, also where
            aliases make it so.

    >>> parse_yaml("epochs: 3", "settings.yaml")
    {'epochs': 3}
    >>> parse_yaml("a: &a [*a]", "settings.yaml")
    Traceback (most recent call last):
    pellucid.InputError: settings.yaml cannot be read as YAML: *a holds itself
    """
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else str(content)  # libyaml takes no subclass
        _check_size(text)
        return yaml.load(text, Loader=_Loader)
    # PyYAML lets these through where a date, a number or a nesting cannot be.
    except (yaml.YAMLError, InputError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        if "maximum nesting depth" in reason:  # libyaml's own limit, which it meets before it tells of any list
            reason = TOO_DEEP
        raise InputError(f"{where} cannot be read as YAML: {reason}") from None


def read_yaml(path: str | Path) -> Any:
    """The plain data of a YAML file that exists.

    Raises:
        InputError: as `parse_yaml` says, or no file that ends.
    """
    return parse_yaml(content_of(path, "YAML"), str(path))


def read_json(path: str | Path, remedy: str = "") -> Any:
    """The plain data of a JSON file that exists.

    Args:
        path: of the file.
        remedy: what can be done about a damaged one.

    Raises:
        InputError: no JSON, too large or too deep, or no file that ends.
    """
    content = content_of(path, "JSON")
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not JSON ({' '.join(str(error).split())[:200]}){remedy and '; '}{remedy}"
        ) from None


def content_of(path: str | Path, kind: Literal["YAML", "JSON"]) -> bytes:
    """What a file of settings or facts holds.

    Args:
        path: of a file that exists.
        kind: what it should hold, which decides how large it may be.

    Raises:
        InputError: it is too large for that, or no file that ends.
    """
    path = Path(path)
    check_readable(path)
    with path.open("rb") as file:
        content = file.read(LARGEST[kind] + 1)
    if len(content) > LARGEST[kind]:
        raise InputError(
            f"{path} holds more than {LARGEST[kind] >> 20} MB, too large for a {kind} of settings or facts"
        )
    return content
