"""What every stored and shown number means, and which of them a choice of metrics asks for.

The numbers themselves stand in `pellucid.metrics.catalogue`. Imports no torch, so that report and table can read it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pellucid.core.errors import InputError
from pellucid.metrics.catalogue import (
    BARE,
    COLUMNS,
    DERIVED,
    FAMILIES,
    NOISES,
    Column,
    Direction,
    Family,
    stability_column,
)

__all__ = [
    "BARE",
    "COLUMNS",
    "DEFAULT",
    "DERIVED",
    "FAMILIES",
    "NOISES",
    "Column",
    "Direction",
    "Family",
    "column_name",
    "columns",
    "is_of_map",
    "select",
    "stability_column",
]

_OF_MAP = ("sparsity", "faithfulness", "stability", "similarity", "sensitivity", "sanity")
_STEADY = ("stability", "similarity", "sensitivity")  # measured on `Evaluation.stability`'s methods

DEFAULT = (
    *("robust_correct", "gini", "entropy", "size_kb", "aopc_morf", "aopc_lerf", "morf_curve", "lerf_curve"),
    *("ris", "ros", "stability_coverage"),
)
"""What is measured unless something else is asked for."""

EXTRA = ("autoattack_correct", "masking_transfer")
"""What needs a further package or network, so that ``all`` and families leave it out."""

_WITH = {  # what a column is not stored without
    "aopc_morf": ("morf_curve",),
    "aopc_lerf": ("lerf_curve",),
    "aopc_random": ("random_curve",),
    "area_between": ("aopc_morf", "aopc_lerf", "morf_curve", "lerf_curve"),
    "road_morf": ("road_morf_curve",),
    "road_lerf": ("road_lerf_curve",),
    "map_ssim": ("stability_coverage",),
    "map_rank_correlation": ("stability_coverage",),
    "randomisation_last": ("randomisation",),
    "randomisation": ("randomisation_last",),
    **{
        stability_column(measure, form=form, noise=noise): (stability_column("stability_coverage", noise=noise),)
        for measure in ("ris", "ros", "rrs")
        for form in ("norm", "elementwise")
        for noise in NOISES
    },
}

_DERIVED_FROM = {"robust_accuracy": ("robust_correct",), "aopc_rel": ("aopc_morf", "aopc_lerf")}


def select(names: Iterable[str] = ("default",)) -> tuple[str, ...]:
    """The columns that a choice of metrics asks for, in the order of `COLUMNS`, with what they need.

    Args:
        names: columns, derived numbers, families (keys of `FAMILIES`), ``default`` or ``all``. Families and ``all``
            leave out what needs a further package or network (AutoAttack, attacks transferred from another network).

    Raises:
        InputError: an unknown name, with the closest known ones.

    >>> select(["sparsity"])
    ('gini', 'entropy', 'size_kb', 'png_kb', 'pixel_entropy', 'hoyer', 'effective_complexity')
    >>> select(["aopc_rel", "ris"])
    ('aopc_morf', 'aopc_lerf', 'morf_curve', 'lerf_curve', 'ris', 'stability_coverage')
    """
    chosen: set[str] = set()
    for name in names:
        if name == "default":
            chosen |= set(DEFAULT)
        elif name == "all":
            chosen |= set(COLUMNS) - set(EXTRA)
        elif name in FAMILIES:
            chosen |= {column for column in COLUMNS if COLUMNS[column].family == name} - set(EXTRA)
        elif name in DERIVED:
            chosen |= set(_DERIVED_FROM.get(name, ()))
        elif name in COLUMNS:
            chosen.add(name)
        else:
            known = ["default", "all", *FAMILIES, *COLUMNS, *DERIVED]
            close = get_close_matches(str(name), known, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else "`pellucid metrics` lists them"
            raise InputError(f"unknown metric {name!r}; {hint}")
    for name in tuple(chosen):
        chosen |= set(_WITH.get(name, ()))
    # What area_between needs may need more.
    for name in tuple(chosen):
        chosen |= set(_WITH.get(name, ()))
    return tuple(name for name in COLUMNS if name in chosen and COLUMNS[name].family != "prediction")


def is_of_map(name: str) -> bool:
    """Whether a column or derived number describes a map, so that there is one for each saliency method.

    >>> is_of_map("gini/smoothgrad"), is_of_map("aopc_rel"), is_of_map("robust_correct")
    (True, True, False)
    """
    bare = name.partition("/")[0]
    return bare in COLUMNS | DERIVED and (COLUMNS | DERIVED)[bare].family in _OF_MAP


def column_name(measure: str, saliency: str = BARE) -> str:
    """Name of a measure's column for one saliency method: bare for the vanilla gradient, else with a suffix.

    Args:
        measure: such as ``gini``.
        saliency: name of the saliency method.

    Returns:
        The column's name.

    >>> column_name("gini"), column_name("gini", "smoothgrad")
    ('gini', 'gini/smoothgrad')
    """
    return measure if saliency == BARE else f"{measure}/{saliency}"


def columns(
    measured: Sequence[str] = DEFAULT,
    *,
    saliency: Sequence[str] = (BARE,),
    stability: Sequence[str] = (BARE,),
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Column]:
    """Every column of one evaluation, in the order of its table, with the settings it was computed with.

    Args:
        measured: names of measured columns, as `select` returns them.
        saliency: names of the saliency methods that are measured.
        stability: names of those whose stability, similarity and sensitivity are measured too.
        parameters: settings by family or column, such as ``{"stability": {"sigma": 0.05}}``.

    Returns:
        Column by name.

    >>> both = columns(saliency=("vanilla_gradient", "smoothgrad"), parameters={"robustness": {"eps": 0.1}})
    >>> both["gini/smoothgrad"].title, both["robust_correct"].parameters, "ris/smoothgrad" in both
    ('Gini index (smoothgrad)', {'eps': 0.1}, False)
    """
    given = parameters or {}
    table = {name: column for name, column in COLUMNS.items() if column.family == "prediction"}
    wanted = [name for name in COLUMNS if name in measured]

    def described(name: str) -> Column:
        column = COLUMNS[name]
        settings = {**column.parameters, **given.get(column.family, {}), **given.get(name, {})}
        return replace(column, parameters=settings)

    table |= {name: described(name) for name in wanted if not is_of_map(name)}
    for method in saliency:
        for name in wanted:
            column = COLUMNS[name]
            if not is_of_map(name) or (column.family in _STEADY and method not in stability):
                continue
            title = column.title if method == BARE else f"{column.title} ({method.replace('_', ' ')})"
            table[column_name(name, method)] = replace(described(name), title=title)
    return table
