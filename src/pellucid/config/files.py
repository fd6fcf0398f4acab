"""Files of settings: YAML that is read and written whole, with what the user has named in it."""

import json
from pathlib import Path
from typing import Any

import yaml

from pellucid.config.objects import from_config
from pellucid.config.plain import named_in
from pellucid.config.trusted import note_named, reading
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file

__all__ = ["read_config", "read_yaml", "write_json", "write_yaml"]


def read_yaml(path: str | Path) -> Any:
    """The plain data of a YAML file that exists.

    Raises:
        InputError: the file is not YAML.
    """
    return _parsed(Path(path).read_bytes(), path)


def _parsed(content: bytes, path: str | Path) -> Any:
    try:
        return yaml.safe_load(content.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from None


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
    content = Path(path).read_bytes()
    with reading(path, content):
        return from_config(_parsed(content, path), kind)


def write_yaml(value: Any, path: str | Path) -> None:
    """Write the plain form of ``value``, whole or not at all; what it names is noted as the user's own."""
    plain, names = named_in(value)
    content = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode("utf-8")
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
    note_named(content, names)


def write_json(value: Any, path: str | Path) -> None:
    """Write ``value`` as JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
