"""Silence about what readers of pictures warn of."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["silenced"]


@contextmanager
def silenced() -> Iterator[None]:
    """What the readers of pictures warn of, such as damaged EXIF data, is not shown; what cannot be read raises.

    Warnings are of the whole process, so this stands around the threads that decode, not in them.
    """
    with warnings.catch_warnings():
        for package in ("PIL", "tifffile", "pydicom"):
            warnings.filterwarnings("ignore", module=rf"{package}\.")
        yield
