"""Sentences that a person should read while work goes on, each printed once."""

import os
import sys
from functools import cache

__all__ = ["tell"]


def tell(sentence: str) -> None:
    """Print a sentence on the standard error, once in a process, and in the first of several processes alone.

    Args:
        sentence: one line, without its full stop.
    """
    if os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0":
        _print(sentence)


@cache
def _print(sentence: str) -> None:
    print(f"pellucid: {sentence}", file=sys.stderr)
