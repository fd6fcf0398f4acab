"""Files of settings: YAML that is read and written whole, with what the user has named in it."""

import json
from pathlib import Path
from typing import Any

import yaml

from pellucid.config.objects import from_config
from pellucid.config.plain import named_in
from pellucid.config.trusted import note_named, reading
from pellucid.core.files import whole_file
from pellucid.core.plain_data import content_of, parse_yaml, read_yaml

__all__ = ["read_config", "read_yaml", "write_json", "write_yaml"]


class _Blocks(yaml.SafeDumper):
    """Writes a text of several lines as a block, in which a person can read and change it."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Blocks.add_representer(str, _text)


def read_config(path: str | Path, kind: Any) -> Any:
    """The object of a declared kind that a YAML file describes; the file may be a stranger's.

    What it names of pellucid is made. Code of other packages is imported only where the user has named it: with
    ``--trust`` or `pellucid.trust`, in this command, or when this user's pellucid wrote the file.

    Args:
        path: of a file that exists.
        kind: what it describes, as for `from_config`.

    Raises:
        InputError: the file is not YAML or does not describe that kind; or it names code that the user has not named.
    """
    content = content_of(path, "YAML")
    with reading(path, content):
        return from_config(parse_yaml(content, str(path)), kind)


def write_yaml(value: Any, path: str | Path) -> None:
    """Write the plain form of ``value``, whole or not at all; what it names is noted as the user's own."""
    plain, names = named_in(value)
    content = yaml.dump(plain, Dumper=_Blocks, sort_keys=False, allow_unicode=True).encode("utf-8")
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
    note_named(content, names)


def write_json(value: Any, path: str | Path) -> None:
    """Write ``value`` as JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
