"""What each network takes for what: the confusion matrix, and the mistakes that are made most often."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pellucid.runs.evaluated import Run

__all__ = ["MOST_CLASSES", "Confusion", "Mistake", "confusions", "counted"]

MOST_CLASSES = 20
"""Classes beyond which the page lists mistakes, but has no matrix."""
MISTAKES = 8
"""Mistakes that are listed of each network."""


@dataclass(frozen=True)
class Mistake:
    """One class taken for another: ``count`` of its ``of`` images."""

    true: str
    answer: str
    count: int
    of: int


@dataclass(frozen=True)
class Confusion:
    """The answers of one network: ``counts[true][answer]``, empty of many classes, and its most frequent mistakes."""

    run: str
    counts: list[list[int]]
    mistakes: list[Mistake]


def counted(run: Run) -> npt.NDArray[np.int64]:
    """(classes, classes): how often images of a class, the row, were given an answer, the column.

    Args:
        run: an evaluated run whose images have one class each.
    """
    classes = len(run.info["classes"])
    label, answer = (run.rows[name].to_numpy().astype(np.int64) for name in ("label", "prediction"))
    counts: npt.NDArray[np.int64] = np.bincount(label * classes + answer, minlength=classes**2)
    return counts.reshape(classes, classes)


def confusions(runs: Sequence[Run]) -> list[Confusion]:
    """What each network takes for what; nothing of images with several labels, which have no one answer.

    Args:
        runs: runs over the same images.
    """
    if runs[0].task != "multiclass":
        return []
    classes = [str(name) for name in runs[0].info["classes"]]
    found = []
    for run in runs:
        counts = counted(run)
        wrong = counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
        mistakes = [
            Mistake(classes[true], classes[answer], int(wrong[true, answer]), int(counts[true].sum()))
            for true, answer in zip(*np.unravel_index(order, wrong.shape), strict=True)
            if wrong[true, answer]
        ]
        found.append(Confusion(run.name, counts.tolist() if len(classes) <= MOST_CLASSES else [], mistakes))
    return found
