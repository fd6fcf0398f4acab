"""What every stored and shown number means, by name; the metrics themselves stand in `pellucid.metrics.suite`."""

from collections.abc import Iterable

from pellucid.metrics import suite
from pellucid.metrics.column import Column, Direction
from pellucid.metrics.families.stability import NOISES, stability_column
from pellucid.metrics.suite import BARE, COLUMNS, DEFAULT, DERIVED, EXTRA, FAMILIES, column_name, split

__all__ = [
    "BARE",
    "COLUMNS",
    "DEFAULT",
    "DERIVED",
    "EXTRA",
    "FAMILIES",
    "NOISES",
    "Column",
    "Direction",
    "Family",
    "column_name",
    "is_of_map",
    "select",
    "split",
    "stability_column",
]

Family = str


def select(names: Iterable[str] = ("default",)) -> tuple[str, ...]:
    """The columns that a choice of metrics asks for, in the order of every table.

    >>> select(["aopc_rel", "ris"])
    ('aopc_morf', 'aopc_lerf', 'morf_curve', 'lerf_curve', 'ris', 'stability_coverage')
    """
    names = {name for metric in suite.select(names) for name in metric.columns}
    return tuple(name for name in COLUMNS if name in names)


def is_of_map(name: str) -> bool:
    """Whether a column or derived number describes a map, so that there is one for each saliency method.

    >>> is_of_map("gini/smoothgrad"), is_of_map("aopc_rel"), is_of_map("robust_correct")
    (True, True, False)
    """
    column = (COLUMNS | DERIVED).get(split(name)[0])
    return column is not None and column.of_map
