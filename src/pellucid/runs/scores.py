"""The scores of a run's predictions by name: what each is made of, and which networks have it. Imports no torch."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pellucid.metrics.calibration import adaptive_calibration_error, equal_mass_calibration_error
from pellucid.metrics.column import Column
from pellucid.metrics.confusion import f1, precision
from pellucid.metrics.ranking import (
    auc_influence,
    average_precision,
    average_precision_influence,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    threshold_at_sensitivity,
    threshold_at_specificity,
)
from pellucid.metrics.scores import Floats, auc, balanced_accuracy, expected_calibration_error, ratio
from pellucid.metrics.suite import DERIVED
from pellucid.runs.outcomes import Predictions, has_several_labels
from pellucid.statistics.aggregates import Aggregate, MeanOfShares, Share
from pellucid.statistics.scores import Resampled, Smooth

if TYPE_CHECKING:
    from pellucid.runs.evaluated import Run

__all__ = ["SCORES", "Score", "column_at_level", "has_score", "score_of"]


@dataclass(frozen=True)
class Score:
    """A number of a network's predictions.

    Args:
        make: of the predictions.
        two_classes: whether it is of networks with two classes alone.
        ranking: whether it ranks images by the probability of each class.
        labels: whether it is of networks with several labels per image too.
    """

    make: Callable[[Predictions], Aggregate]
    two_classes: bool = False
    ranking: bool = False
    labels: bool = False

    def exists(self, run: "Run") -> bool:
        """Whether a run's rows have what it needs."""
        if has_several_labels(run):
            return self.labels
        classes = len(run.info.get("classes", ()))
        ranks = classes == 2 or "probability" in run.rows.column_names
        return (classes == 2 or not self.two_classes) and (ranks or not self.ranking)


def score_of(name: str) -> Score | None:
    """The score of a name, such as ``auc`` or ``sensitivity_at_90``; None where there is none."""
    level = _level(name)
    if name in SCORES or level is None:
        return SCORES.get(name)
    kind, share = level
    return Score(_AT_LEVEL[kind](share), two_classes=True, ranking=True)


def has_score(run: "Run", name: str) -> bool:
    """Whether a name is that of a score which a run's rows have what it needs for."""
    score = score_of(name)
    return score is not None and score.exists(run)


def column_at_level(name: str) -> Column | None:
    """The meaning of a sensitivity or specificity at another level than 95 %; None for another name.

    >>> column_at_level("sensitivity_at_90").title, column_at_level("auc")
    ('Sensitivity at 90 % specificity', None)
    """
    level = _level(name)
    if level is None:
        return None
    kind, share = level
    column, written = DERIVED[f"{kind}_at_95"], f"{100 * share:g} %"
    words = {key: getattr(column, key).replace("95 %", written) for key in ("title", "definition")}
    return replace(column, **words, parameters=dict.fromkeys(column.parameters, share))


def _level(name: str) -> tuple[str, float] | None:
    match = re.fullmatch(r"(sensitivity|specificity)_at_(\d{1,3}(?:\.\d+)?)", name)
    if match is None or not 0 < float(match[2]) <= 100:
        return None
    return match[1], float(match[2]) / 100


def _balanced_accuracy(said: Predictions) -> Aggregate:
    def statistic(weight: Floats) -> Floats:
        return balanced_accuracy(said.prediction, said.label, weight=weight)

    return MeanOfShares(said.right.astype(np.float64), said.label, statistic)


def _recall(which: int) -> Callable[[Predictions], Aggregate]:
    """The share of a class's images that are predicted to be of it."""
    return lambda said: Share(np.where(said.label == which, said.right.astype(np.float64), np.nan))


def _smooth(
    value: Callable[..., Floats], influence: Callable[[Floats, npt.NDArray[np.bool_]], Floats]
) -> Callable[[Predictions], Aggregate]:
    """The mean over the ranked classes of a number that changes smoothly with the images."""

    def make(said: Predictions) -> Aggregate:
        if not said.ranked:
            return Smooth(_nowhere, said.stratum, (), np.zeros(len(said.label)))
        parts = []
        moved = np.zeros(len(said.label))
        for which in said.ranked:
            applies = said.applies(which)
            known = ~np.isnan(applies)
            odds, positive = said.odds(which)[known], applies[known] == 1
            parts.append((odds, positive, known))
            moved[known] += influence(odds, positive) / len(said.ranked)

        def statistic(weight: Floats) -> Floats:
            values = np.stack([value(odds, positive, weight=weight[:, known]) for odds, positive, known in parts])
            count = (~np.isnan(values)).sum(axis=0)
            total = np.nansum(values, axis=0)
            return ratio(total, count.astype(np.float64))

        return Smooth(statistic, said.stratum, said.rests_on, moved)

    return make


def _sensitivity_at(specificity: float) -> Callable[[Predictions], Aggregate]:
    def make(said: Predictions) -> Aggregate:
        if not said.ranked:
            return Resampled(_nowhere, said.label, ())
        odds, positive = said.odds(1), said.label == 1

        def statistic(weight: Floats) -> Floats:
            return sensitivity_at_specificity(odds, positive, specificity, weight=weight)

        found = odds >= threshold_at_specificity(odds, positive, specificity)
        exact = Share(np.where(positive, found.astype(np.float64), np.nan))
        return Resampled(statistic, said.label, said.rests_on, exact)

    return make


def _specificity_at(sensitivity: float) -> Callable[[Predictions], Aggregate]:
    def make(said: Predictions) -> Aggregate:
        if not said.ranked:
            return Resampled(_nowhere, said.label, ())
        odds, positive = said.odds(1), said.label == 1

        def statistic(weight: Floats) -> Floats:
            return specificity_at_sensitivity(odds, positive, sensitivity, weight=weight)

        below = odds < threshold_at_sensitivity(odds, positive, sensitivity)
        exact = Share(np.where(positive, np.nan, below.astype(np.float64)))
        return Resampled(statistic, said.label, said.rests_on, exact)

    return make


def _of_confusion(value: Callable[..., Floats]) -> Callable[[Predictions], Aggregate]:
    """A number of the predicted and the true classes: of class 1 of two, otherwise the mean over the classes."""

    def make(said: Predictions) -> Aggregate:
        of = 1 if said.classes == 2 else None
        if of is not None and not (said.label == of).any():
            return Resampled(_nowhere, said.label, ())
        counts = np.unique(said.label, return_counts=True)[1] if of is None else [int((said.label == of).sum())]
        return Resampled(
            lambda weight: value(said.prediction, said.label, of=of, weight=weight),
            said.label,
            tuple(int(count) for count in counts),
        )

    return make


def _of_confidence(value: Callable[..., Floats]) -> Callable[[Predictions], Aggregate]:
    return lambda said: Resampled(
        lambda weight: value(said.score, said.right, weight=weight), said.label, (len(said.label),)
    )


def _of_all_probabilities(said: Predictions) -> Aggregate:
    def statistic(weight: Floats) -> Floats:
        return adaptive_calibration_error(said.probability, said.label, weight=weight)

    return Resampled(statistic, said.label, (len(said.label),))


def _nowhere(weight: Floats) -> Floats:
    """A number that these images do not have."""
    return np.full(len(weight), np.nan)


_AT_LEVEL: Mapping[str, Callable[[float], Callable[[Predictions], Aggregate]]] = {
    "sensitivity": _sensitivity_at,
    "specificity": _specificity_at,
}

SCORES: Mapping[str, Score] = {
    "balanced_accuracy": Score(_balanced_accuracy),
    "sensitivity": Score(_recall(1), two_classes=True),
    "specificity": Score(_recall(0), two_classes=True),
    "precision": Score(_of_confusion(precision)),
    "f1": Score(_of_confusion(f1)),
    "auc": Score(_smooth(auc, auc_influence), ranking=True, labels=True),
    "average_precision": Score(_smooth(average_precision, average_precision_influence), ranking=True, labels=True),
    "sensitivity_at_95": Score(_sensitivity_at(0.95), two_classes=True, ranking=True),
    "specificity_at_95": Score(_specificity_at(0.95), two_classes=True, ranking=True),
    "calibration_error": Score(_of_confidence(expected_calibration_error)),
    "calibration_error_equal_mass": Score(_of_confidence(equal_mass_calibration_error)),
    "calibration_error_adaptive": Score(_of_all_probabilities, ranking=True),
}
"""Numbers of all images together that are no mean; no other column may be a ``statistic``."""
