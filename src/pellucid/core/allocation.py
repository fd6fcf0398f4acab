"""The C library's memory: kept between passes, so that a large network does not ask the kernel for it again."""

import ctypes
import os
from collections.abc import MutableMapping

__all__ = ["keep_freed_memory"]

MB = 1 << 20
SETTINGS = {"MALLOC_MMAP_THRESHOLD_": (-3, 256 * MB), "MALLOC_TRIM_THRESHOLD_": (-1, 512 * MB)}
"""Variables of glibc with their numbers in malloc.h: larger blocks go back at once, and so does more than this much."""


def keep_freed_memory(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let memory that is freed stay with the process, up to half a gigabyte.

    glibc gives blocks of more than 32 MB back to the kernel whenever they are freed. The activations of a large network
    are such blocks, and to be given them anew in each pass took a third of the time of a trust card with
    EfficientNet-lite0 at 224 pixels. It does nothing where the C library is another one. What a person has set stays.

    Args:
        environment: variables of this process, which its children inherit.

    >>> settings = {"MALLOC_TRIM_THRESHOLD_": "0"}
    >>> keep_freed_memory(settings)
    >>> settings
    {'MALLOC_TRIM_THRESHOLD_': '0'}
    """
    if {*SETTINGS, "GLIBC_TUNABLES"} & {*environment}:
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return  # not glibc
    for name, (number, value) in SETTINGS.items():
        mallopt(number, value)
        environment[name] = str(value)
