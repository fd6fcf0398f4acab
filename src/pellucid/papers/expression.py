"""A choice as the Python that makes it, without what has its default."""

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

__all__ = ["expression"]


def expression(*choices: Any) -> str:
    """Dataclasses as they would be written; None is left out. Numbers have four digits.

    >>> from pellucid import PGD, SCAAT, Smoothing
    >>> expression(SCAAT(attack=PGD(eps=0.3, step_size=0.15, steps=4), q=0.3), Smoothing(layers=("relu1",)))
    "SCAAT(attack=PGD(eps=0.3, step_size=0.15, steps=4), q=0.3) + Smoothing(layers=('relu1',))"
    """
    return " + ".join(_written(choice) for choice in choices if choice is not None)


def _written(value: Any) -> str:
    if is_dataclass(value):
        named = ((field.name, getattr(value, field.name), field) for field in fields(value) if field.init)
        set_here = (
            f"{name}={_written(set_to)}"
            for name, set_to, field in named
            if field.default is MISSING or set_to != field.default
        )
        return f"{type(value).__name__}({', '.join(set_here)})"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
