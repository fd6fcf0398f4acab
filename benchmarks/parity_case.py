"""What a row of `metrics_parity.py` compares: of a measure, pellucid's call and the reference's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from parity_settings import COLOUR, GREY, Setting

Work = Callable[[], Any]
Make = Callable[[Setting], tuple[Work, Work]]


@dataclass(frozen=True, eq=False)
class Case:
    """A row of the table."""

    measures: tuple[str, ...]
    columns: tuple[str, ...]
    reference: str
    make: Make
    settings: tuple[str, ...]
    note: str


def add_case(
    rows: list[Case],
    *measures: str,
    reference: str,
    columns: Sequence[str] = (),
    settings: Sequence[str] = (GREY, COLOUR),
    note: str = "",
) -> Callable[[Make], Make]:
    """Add a row to those of a module."""

    def add(make: Make) -> Make:
        rows.append(Case(measures, tuple(columns), reference, make, tuple(settings), note))
        return make

    return add
