"""The checks that choices repeat: each passes silently or says in one sentence what was wrong and what is accepted."""

from collections.abc import Collection, Sequence

from pellucid.core.errors import InputError

__all__ = [
    "among",
    "at_least",
    "at_most",
    "in_unit",
    "not_negative",
    "one_of",
    "positive",
    "some_of",
    "some_share",
    "whole",
]


def among(accepted: Sequence[object]) -> str:
    """The values that are accepted, as a sentence lists them.

    >>> among(("linf", "l2")), among(("A", "B", "C"))
    ('linf or l2', 'one of A, B, C')
    """
    words = [str(value) for value in accepted]
    return " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}"


def one_of(accepted: Sequence[object], **values: object) -> None:
    """Refuse a value that is none of ``accepted``, such as the values of a ``Literal``.

    >>> one_of(("linf", "l2"), norm="l1")
    Traceback (most recent call last):
    pellucid.InputError: norm must be linf or l2, got 'l1'
    >>> one_of(("A", "B", "C"), reading="D")
    Traceback (most recent call last):
    pellucid.InputError: reading must be one of A, B, C, got 'D'
    """
    for name, value in values.items():
        if value not in accepted:
            raise InputError(f"{name} must be {among(accepted)}, got {value!r}")


def some_of(accepted: Sequence[object], **values: Collection[object]) -> None:
    """Refuse no choice at all, and one that is none of ``accepted``.

    >>> some_of(("ris", "ros"), measures=("ris", "rts"))
    Traceback (most recent call last):
    pellucid.InputError: measures must be among ris, ros, got 'rts'
    """
    for name, chosen in values.items():
        wrong = sorted(map(str, set(chosen) - set(accepted))) if chosen else ["none"]
        if wrong:
            raise InputError(f"{name} must be among {', '.join(map(str, accepted))}, got {wrong[0]!r}")


def at_least(least: int, unit: str = "", **values: float | None) -> None:
    """Refuse a number below ``least``; None, where a number is left open, passes.

    >>> at_least(1, " pixel", region=None)
    >>> at_least(1, " pixel", region=0)
    Traceback (most recent call last):
    pellucid.InputError: region must be at least 1 pixel, got 0
    """
    for name, value in values.items():
        if value is not None and not value >= least:
            raise InputError(f"{name} must be at least {least}{unit}, got {value}")


def at_most(most: float, unit: str = "", **values: float | None) -> None:
    """Refuse a number above ``most``, and nan; None, where a number is left open, passes.

    >>> at_most(3.4e38, lr=1e308)
    Traceback (most recent call last):
    pellucid.InputError: lr must be at most 3.4e+38, got 1e+308
    """
    for name, value in values.items():
        if value is not None and not value <= most:
            raise InputError(f"{name} must be at most {most:g}{unit}, got {value:g}")


def whole(least: int, **values: object) -> None:
    """Refuse what is not a whole number, or one below ``least``.

    >>> whole(1, width=0.5)
    Traceback (most recent call last):
    pellucid.InputError: width must be a whole number of at least 1, got 0.5
    """
    for name, value in values.items():
        if not isinstance(value, int) or value < least:
            raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")


def in_unit(*, words: str = "", **values: float) -> None:
    """Refuse a number outside [0, 1], and nan.

    >>> in_unit(q=float("nan"))
    Traceback (most recent call last):
    pellucid.InputError: q must be in [0, 1], got nan
    """
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name} must be {words}in [0, 1], got {value:g}")


def some_share(**values: float) -> None:
    """Refuse a share of nothing, one above all, and nan.

    >>> some_share(share=0)
    Traceback (most recent call last):
    pellucid.InputError: share must be above 0 and at most 1, got 0
    """
    for name, value in values.items():
        if not 0 < value <= 1:
            raise InputError(f"{name} must be above 0 and at most 1, got {value:g}")


def not_negative(**values: float) -> None:
    """Refuse a number below 0, and nan.

    >>> not_negative(weight=-1)
    Traceback (most recent call last):
    pellucid.InputError: weight must not be negative, got -1
    """
    for name, value in values.items():
        if not value >= 0:
            raise InputError(f"{name} must not be negative, got {value:g}")


def positive(**values: float) -> None:
    """Refuse a number that is not above 0, and nan.

    >>> positive(lr=0)
    Traceback (most recent call last):
    pellucid.InputError: lr must be positive, got 0
    """
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"{name} must be positive, got {value:g}")
