"""Checks that several methods make of their settings, each refusal one sentence."""

from pellucid.core.errors import InputError

__all__ = ["in_unit", "not_negative", "one_of"]


def one_of(name: str, value: str, accepted: tuple[str, ...]) -> None:
    """Refuse a word that is not among the accepted ones."""
    if value not in accepted:
        raise InputError(f"{name} must be one of {', '.join(accepted)}, got {value!r}")


def in_unit(**values: float) -> None:
    """Refuse numbers outside [0, 1]."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name} must be in [0, 1], got {value:g}")


def not_negative(**values: float) -> None:
    """Refuse numbers below 0."""
    for name, value in values.items():
        if not value >= 0:
            raise InputError(f"{name} must not be negative, got {value:g}")
