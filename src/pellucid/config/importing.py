"""Objects by their import path."""

from importlib import import_module
from operator import attrgetter
from typing import Any

from pellucid.config.trusted import check_home, searchable
from pellucid.core.errors import InputError, raised

__all__ = ["import_name"]


def import_name(path: str) -> Any:
    """The object at ``package.module.name`` or ``package.module:name``.

    Args:
        path: the import path; while a file is read, one that `pellucid.config.trusted.check_trusted` has let pass.

    Raises:
        InputError: no such module or name, or a module that raises while it is imported; in a file, a name that a
            trusted module has from somewhere else.

    >>> import_name("pellucid.methods.Regular").__name__
    'Regular'
    """
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    try:
        with searchable(path):
            found = attrgetter(name)(import_module(module))
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"cannot import {path!r}: {error}; give it as package.module.name") from error
    except Exception as error:  # a user's module may raise anything
        raise InputError(f"cannot import {path!r}: {raised(error)}") from error
    check_home(found, path)
    return found
