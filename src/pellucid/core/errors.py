"""The one error class for a user's mistake. Imports nothing, so that every module may raise it."""

__all__ = ["InputError"]


class InputError(ValueError):
    """A mistake in what was given: one sentence that names the value and what is accepted.

    The command line prints the sentence without a traceback and exits with code 2.

    >>> raise InputError("eps must be in [0, 1], got 8; pixels are in [0, 1], so 8/255 is 0.0314")
    Traceback (most recent call last):
    pellucid.InputError: eps must be in [0, 1], got 8; pixels are in [0, 1], so 8/255 is 0.0314
    """

    __module__ = "pellucid"  # where users find it, and what a traceback says
