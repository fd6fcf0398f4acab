"""Objects named by their import path, as in YAML files and on the command line."""

from importlib import import_module
from typing import Any

from pellucid.errors import InputError

__all__ = ["import_name"]


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
