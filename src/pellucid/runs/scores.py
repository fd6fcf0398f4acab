"""The scores of a run's predictions by name: what each is made of, and which networks have it. Imports no torch."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
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
from pellucid.metrics.scores import Floats, auc, balanced_accuracy, expected_calibration_error
from pellucid.metrics.suite import DERIVED
from pellucid.statistics.aggregates import Aggregate, MeanOfShares, Resampled, Share, Smooth

if TYPE_CHECKING:
    from pellucid.runs.directory import Run

__all__ = ["SCORES", "Predictions", "column_at_level", "has_score", "one_against_the_others", "score_of"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network said of the images of a run, and what was true.

    Args:
        label: (n,) true class.
        prediction: (n,) predicted class.
        score: (n,) probability of the predicted class.
        given: (n, classes) probability of each class; None where the rows do not hold it.
        classes: number of classes.
    """

    label: npt.NDArray[np.int64]
    prediction: npt.NDArray[np.int64]
    score: Floats
    given: Floats | None
    classes: int

    @classmethod
    def of(cls, run: "Run") -> "Predictions":
        """Those of a run's rows."""
        label, prediction = (run.rows[name].to_numpy() for name in ("label", "prediction"))
        given = run.curves("probability") if "probability" in run.rows.column_names and run.rows.num_rows else None
        classes = len(run.info.get("classes", ()))
        return cls(label, prediction, np.clip(run.values("score"), 0, 1), given, classes)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the prediction is the label."""
        right: npt.NDArray[np.bool_] = self.prediction == self.label
        return right

    @property
    def ranks(self) -> bool:
        """Whether images can be ranked by the probability of each class: it is known, or there are two classes."""
        return self.given is not None or self.classes == 2

    @cached_property
    def probability(self) -> Floats:
        """(n, classes) probability of each class; of two classes it follows from that of the predicted one."""
        if self.given is not None:
            return np.clip(self.given, 0, 1)
        of_one = np.where(self.prediction == 1, self.score, 1 - self.score)
        return np.column_stack([1 - of_one, of_one])

    def odds(self, which: int) -> Floats:
        """(n,) what ranks the images by a class: its log-odds, which tell apart what 32 bits round to 1."""
        if self.given is None:
            return self.probability[:, which]
        others = np.delete(self.probability, which, axis=1).sum(axis=1)
        tiny = np.finfo(np.float64).tiny
        odds: Floats = np.log(np.maximum(self.probability[:, which], tiny)) - np.log(np.maximum(others, tiny))
        return odds

    @property
    def ranked(self) -> list[int]:
        """The classes that images are ranked by: class 1 of two, otherwise all that some but not all images are of."""
        chosen = [1] if self.classes == 2 else range(self.classes)
        return [which for which in chosen if 0 < (self.label == which).sum() < len(self.label)]

    @property
    def rests_on(self) -> tuple[int, ...]:
        """For each of the ranked classes, how many images its rarer side has."""
        counts = [int((self.label == which).sum()) for which in self.ranked]
        return tuple(min(count, len(self.label) - count) for count in counts)


@dataclass(frozen=True)
class Score:
    """A number of a network's predictions.

    Args:
        make: of the predictions.
        two_classes: whether it is of networks with two classes alone.
        ranking: whether it ranks images by the probability of each class.
    """

    make: Callable[[Predictions], Aggregate]
    two_classes: bool = False
    ranking: bool = False

    def exists(self, run: "Run") -> bool:
        """Whether a run's rows have what it needs."""
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


def one_against_the_others(run: "Run", which: int) -> "Run":
    """The run as one of two classes: a class, which becomes class 1, and all others together.

    Args:
        run: with the probability of each class in its rows.
        which: the class.
    """
    import pyarrow as pa

    said = Predictions.of(run)
    is_one = np.stack([said.label == which, said.prediction == which]).astype(np.int64)
    of_one = said.probability[:, which]
    others = np.delete(said.probability, which, axis=1).sum(axis=1)
    pairs = pa.array(list(np.column_stack([others, of_one])), pa.list_(pa.float64()))
    columns = {"label": pa.array(is_one[0]), "prediction": pa.array(is_one[1])}
    columns |= {"score": pa.array(np.where(is_one[1], of_one, others)), "probability": pairs}
    rows = run.rows
    for name, values in columns.items():
        place = rows.column_names.index(name) if name in rows.column_names else rows.num_columns
        rows = (rows.set_column if name in rows.column_names else rows.add_column)(place, name, values)
    classes = ["the others", run.info["classes"][which]]
    return replace(run, rows=rows, info={**run.info, "classes": classes})


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
        parts = [(said.odds(which), said.label == which) for which in said.ranked]
        if not parts:
            return Smooth(_nowhere, said.label, (), np.zeros(len(said.label)))

        def statistic(weight: Floats) -> Floats:
            values = np.stack([value(odds, positive, weight=weight) for odds, positive in parts])
            count = (~np.isnan(values)).sum(axis=0)
            total = np.nansum(values, axis=0)
            return np.divide(total, count, out=np.full(len(weight), np.nan), where=count > 0)

        moved = np.mean([influence(odds, positive) for odds, positive in parts], axis=0)
        return Smooth(statistic, said.label, said.rests_on, moved)

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
    "auc": Score(_smooth(auc, auc_influence), ranking=True),
    "average_precision": Score(_smooth(average_precision, average_precision_influence), ranking=True),
    "sensitivity_at_95": Score(_sensitivity_at(0.95), two_classes=True, ranking=True),
    "specificity_at_95": Score(_specificity_at(0.95), two_classes=True, ranking=True),
    "calibration_error": Score(_of_confidence(expected_calibration_error)),
    "calibration_error_equal_mass": Score(_of_confidence(equal_mass_calibration_error)),
    "calibration_error_adaptive": Score(_of_all_probabilities, ranking=True),
}
"""Numbers of all images together that are no mean; no other column may be a ``statistic``."""
