"""Objects by their import path."""

from importlib import import_module
from operator import attrgetter
from typing import Any

from pellucid.config.trusted import check_home, searchable
from pellucid.core.errors import InputError, raised

__all__ = ["check_passed_on", "import_name"]


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
    found = _imported(path)
    check_home(found, path)
    return found


def check_passed_on(path: str) -> None:
    """Refuse an import path of a trusted package by which it only passes on what another has, as import_name would.

    Args:
        path: the import path; one that cannot be imported is told where it is asked for.

    Raises:
        InputError: a file is being read, and the path means code of a package that is not trusted.
    """
    try:
        found = _imported(path)
    except InputError:
        return
    check_home(found, path)


def _imported(path: str) -> Any:
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    try:
        with searchable(path):
            return attrgetter(name)(import_module(module))
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"cannot import {path!r}: {error}; give it as package.module.name") from error
    except Exception as error:  # a user's module may raise anything
        raise InputError(f"cannot import {path!r}: {raised(error)}") from error
