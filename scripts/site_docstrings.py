"""Doctests in docstrings as blocks of code on the site. An extension of griffe, which reads the docstrings."""

import re
from typing import Any

from griffe import Extension, Object

DOCTEST = re.compile(r"(?:^ *>>> .*(?:\n(?! *$).*)*)", flags=re.MULTILINE)


class Doctests(Extension):
    """Fences every doctest, which Markdown would take for a quotation."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    r"""A docstring with its doctests between fences.

    >>> fenced("Double.\n\n>>> 2 * 2\n4")
    'Double.\n\n```pycon\n>>> 2 * 2\n4\n```'
    """
    return DOCTEST.sub(lambda found: f"```pycon\n{found[0]}\n```", docstring)
