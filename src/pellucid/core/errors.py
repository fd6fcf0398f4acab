"""The one error class for a user's mistake. Imports nothing, so that every module may raise it."""

__all__ = ["InputError", "NotFinite", "raised"]


class InputError(ValueError):
    """A mistake in what was given: one sentence that names the value and what is accepted.

    The command line prints the sentence without a traceback and exits with code 2.

    >>> raise InputError("eps must be in [0, 1], got 8; pixels are in [0, 1], so 8/255 is 0.0314")
    Traceback (most recent call last):
    pellucid.InputError: eps must be in [0, 1], got 8; pixels are in [0, 1], so 8/255 is 0.0314
    """

    __module__ = "pellucid"  # where users find it, and what a traceback says


class NotFinite(InputError):
    """A network, or a map of it, gave infinity or no number for some image: no mistake in what was asked for."""


def raised(error: Exception) -> str:
    """What an exception says in one line: its class and its message, or the sentence alone of an `InputError`.

    >>> raised(KeyError("width")), raised(InputError("width must be at least 1, got 0"))
    ("KeyError: 'width'", 'width must be at least 1, got 0')
    """
    message = " ".join(str(error).split())
    if isinstance(error, InputError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
