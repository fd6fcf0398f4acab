"""Parts of a run's images: those of one class, or of which a table says the same. Imports no torch.

A table of labels may say more of each image, such as the hospital it comes from; the rows of a run hold that as columns
of text named ``subgroup NAME``. `part_of` gives the run as if only these images had been measured, so that every number
of a run is one of a subgroup too, and a difference of two runs stays paired.
"""

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pellucid.core.errors import InputError
from pellucid.runs.outcomes import Predictions, as_two_classes, has_several_labels, one_against_the_others
from pellucid.runs.scores import score_of

if TYPE_CHECKING:
    from pellucid.runs.evaluated import Run

__all__ = ["CLASS", "FEWEST", "PREFIX", "Subgroup", "members", "names_of", "others_of", "part_of", "subgroups_of"]

PREFIX = "subgroup "
"""Before the name of a column of the rows that says which subgroup each image is of."""

CLASS = "class"
"""The name by which images are parted by their true class; several labels per image part them in overlapping ways."""

FEWEST = 10
"""Images below which nothing is told of a subgroup but their number."""


@dataclass(frozen=True, order=True)
class Subgroup:
    """The images of which a column says the same.

    Args:
        by: name of the column, without its prefix, or ``class``.
        value: what it says of them.

    >>> str(Subgroup("site", "B"))
    'site=B'
    """

    by: str
    value: str

    def __str__(self) -> str:
        return f"{self.by}={self.value}"


def names_of(run: "Run") -> list[str]:
    """By what a run's images can be parted: the columns that its rows hold; ``class`` always can be, and is left out.

    Args:
        run: an evaluated run.
    """
    return [name.removeprefix(PREFIX) for name in run.rows.column_names if name.startswith(PREFIX)]


def subgroups_of(run: "Run", by: str) -> dict[Subgroup, int]:
    """The subgroups of a column, each with its number of images, in the order of their names.

    Args:
        run: an evaluated run.
        by: one of `names_of`, or ``class``.

    Returns:
        Those that have an image; images of which the column says nothing are in none.

    Raises:
        InputError: no such column; it names those that are there.
    """
    if by == CLASS:
        counts = {Subgroup(by, value): int(_of_class(run, value).sum()) for value in run.info["classes"]}
    else:
        values = _values(run, by)
        counts = {Subgroup(by, value): int((values == value).sum()) for value in sorted({*values.tolist()} - {""})}
    return {subgroup: count for subgroup, count in counts.items() if count}


def members(run: "Run", subgroup: Subgroup) -> npt.NDArray[np.bool_]:
    """(n,) whether each image is of a subgroup.

    Args:
        run: an evaluated run.
        subgroup: one that it has.

    Raises:
        InputError: no such column, or a value that no image has; it names those that are there.
    """
    chosen: npt.NDArray[np.bool_]
    if subgroup.by != CLASS:
        chosen = _values(run, subgroup.by) == subgroup.value
    elif subgroup.value in run.info["classes"]:
        chosen = _of_class(run, subgroup.value)
    else:
        chosen = np.zeros(run.rows.num_rows, dtype=np.bool_)
    if not chosen.any():
        there = [one.value for one in subgroups_of(run, subgroup.by)]
        close = get_close_matches(subgroup.value, there, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(there[:20])}"
        raise InputError(f"run {run.name!r} has no image whose {subgroup.by} is {subgroup.value!r}; {hint}")
    return chosen


def part_of(run: "Run", subgroup: Subgroup, metric: str = "") -> "Run":
    """The run as if only the images of a subgroup had been measured.

    Args:
        run: an evaluated run.
        subgroup: one that it has.
        metric: the number that is asked for. Of a class, numbers that need other images too, such as the precision and
            the AUC, are those of this class against all others, over all images.

    Raises:
        InputError: as `members` says.
    """
    chosen = members(run, subgroup)
    if subgroup.by == CLASS and score_of(metric) is not None and metric not in _OF_ALL_CLASSES:
        said, which = Predictions.of(run), run.info["classes"].index(subgroup.value)
        if said.ranks:
            return one_against_the_others(run, which)
        return as_two_classes(run, which, said.applies(which), said.prediction == which, said.score)
    return _of_images(run, chosen)


def others_of(run: "Run", subgroup: Subgroup) -> "Run":
    """The run as if only the images of the column's other subgroups had been measured."""
    known = np.ones(run.rows.num_rows, np.bool_) if subgroup.by == CLASS else _values(run, subgroup.by) != ""
    return _of_images(run, ~members(run, subgroup) & known)


_OF_ALL_CLASSES = (
    "balanced_accuracy",
    "calibration_error",
    "calibration_error_equal_mass",
    "calibration_error_adaptive",
)
"""Scores that say of a class's own images what they say of all."""


def _of_images(run: "Run", chosen: npt.NDArray[np.bool_]) -> "Run":
    return replace(run, rows=run.rows.filter(pa.array(chosen)))


def _values(run: "Run", by: str) -> npt.NDArray[np.str_]:
    """(n,) what a column says of each image; nothing where it says nothing."""
    if f"{PREFIX}{by}" not in run.rows.column_names:
        there = [*names_of(run), CLASS]
        raise InputError(
            f"run {run.name!r} has no {by!r} for its images; it has {', '.join(there)}. Further columns of a table of "
            "labels are there if the run is evaluated with --dataset.table"
        )
    values = run.rows[f"{PREFIX}{by}"].to_pylist()
    return np.array(["" if value is None else str(value) for value in values], dtype=np.str_)


def _of_class(run: "Run", name: str) -> npt.NDArray[np.bool_]:
    """(n,) whether each image is of a class, or a label applies to it."""
    which = run.info["classes"].index(name)
    if not has_several_labels(run):
        of: npt.NDArray[np.bool_] = run.rows["label"].to_numpy() == which
        return of
    applying: npt.NDArray[np.bool_] = Predictions.of(run).applies(which) == 1
    return applying
