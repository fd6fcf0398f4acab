"""Silence about what readers of pictures warn of."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["silenced"]


READERS = ("PIL", "tifffile", "pydicom")
for reader in READERS:
    # Without a handler of its own Python prints what a library logs.
    logging.getLogger(reader).addHandler(logging.NullHandler())


@contextmanager
def silenced() -> Iterator[None]:
    """What the readers of pictures warn of, such as damaged EXIF data, is not shown; what cannot be read raises.

    Warnings are of the whole process, so this stands around the threads that decode, not in them.
    """
    with warnings.catch_warnings():
        for package in READERS:
            warnings.filterwarnings("ignore", module=rf"{package}\.")
        yield
