"""What a network said of a run's images, and what was true; also of one class against all others. Imports no torch."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pellucid.metrics.scores import Floats

if TYPE_CHECKING:
    from pellucid.runs.evaluated import Run

__all__ = ["Predictions", "as_two_classes", "has_several_labels", "one_against_the_others"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network said of the images of a run, and what was true.

    Args:
        label: (n,) true class; with several labels per image, a number for each set of them.
        prediction: (n,) predicted class.
        score: (n,) probability of the predicted class.
        given: (n, classes) probability of each class or label; None where the rows do not hold it.
        classes: number of classes or labels.
        truth: (n, labels) 1 where a label applies, 0 where it does not, NaN where that is not known; None where each
            image has one class.
    """

    label: npt.NDArray[np.int64]
    prediction: npt.NDArray[np.int64]
    score: Floats
    given: Floats | None
    classes: int
    truth: Floats | None = None

    @classmethod
    def of(cls, run: "Run") -> "Predictions":
        """Those of a run's rows."""
        label, prediction = (run.rows[name].to_numpy() for name in ("label", "prediction"))
        score, classes = np.clip(run.values("score"), 0, 1), len(run.info.get("classes", ()))
        if has_several_labels(run):
            said, truth = (run.curves(name) for name in ("label_probability", "label_truth"))
            return cls(label, prediction, score, said, classes, truth)
        given = run.curves("probability") if "probability" in run.rows.column_names and run.rows.num_rows else None
        return cls(label, prediction, score, given, classes)

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

    def others(self, which: int) -> Floats:
        """(n,) probability that an image is not of a class."""
        if self.truth is not None:
            return 1 - self.probability[:, which]
        others: Floats = np.delete(self.probability, which, axis=1).sum(axis=1)
        return others

    def odds(self, which: int) -> Floats:
        """(n,) what ranks the images by a class: its log-odds, which tell apart what 32 bits round to 1."""
        if self.given is None:
            return self.probability[:, which]
        tiny = np.finfo(np.float64).tiny
        odds: Floats = np.log(np.maximum(self.probability[:, which], tiny))
        odds = odds - np.log(np.maximum(self.others(which), tiny))
        return odds

    def applies(self, which: int) -> Floats:
        """(n,) 1 where an image is of a class, 0 where it is not, NaN where that is not known."""
        return (self.label == which).astype(np.float64) if self.truth is None else self.truth[:, which]

    @cached_property
    def ranked(self) -> list[int]:
        """The classes that images are ranked by: class 1 of two, otherwise all that some but not all images are of."""
        chosen = [1] if self.classes == 2 and self.truth is None else range(self.classes)
        return [which for which in chosen if {0.0, 1.0} <= {*self.applies(which).tolist()}]

    @property
    def rests_on(self) -> tuple[int, ...]:
        """For each of the ranked classes, how many images its rarer side has."""
        sides = [[int((self.applies(which) == side).sum()) for side in (0, 1)] for which in self.ranked]
        return tuple(min(side) for side in sides)

    @property
    def stratum(self) -> npt.NDArray[np.int64]:
        """(n,) the classes whose sizes are taken as given; with several labels per image there are none such."""
        return self.label if self.truth is None else np.zeros_like(self.label)


def has_several_labels(run: "Run") -> bool:
    """Whether any number of labels may apply to an image of a run, rather than one class."""
    return bool(run.info.get("task", "multiclass") == "multilabel")


def one_against_the_others(run: "Run", which: int) -> "Run":
    """The run as one of two classes: a class, which becomes class 1, and all others together.

    Args:
        run: with the probability of each class or label in its rows. With several labels per image, those of which it
            is not known whether the label applies are left out.
        which: the class, or the label.
    """
    said = Predictions.of(run)
    applies, of_one, others = said.applies(which), said.probability[:, which], said.others(which)
    predicted = said.prediction == which if said.truth is None else of_one >= others
    score = np.where(predicted, of_one, others)
    return as_two_classes(run, which, applies, predicted, score, np.column_stack([others, of_one]))


def as_two_classes(
    run: "Run",
    which: int,
    applies: Floats,
    predicted: npt.NDArray[np.bool_],
    score: Floats,
    probability: Floats | None = None,
) -> "Run":
    """The run with other labels and predictions: of two classes, of which the second is one of its own.

    Args:
        run: an evaluated run.
        which: the class or label that becomes class 1.
        applies: (n,) 1 for the images of it, 0 for others; those with NaN are left out.
        predicted: (n,) whether it is predicted.
        score: (n,) probability of what is predicted.
        probability: (n, 2) of both, where it is known.
    """
    known = ~np.isnan(applies)
    columns = {"label": pa.array((applies == 1).astype(np.int64)), "prediction": pa.array(predicted.astype(np.int64))}
    columns["score"] = pa.array(score)
    if probability is not None:
        columns["probability"] = pa.array(list(probability), pa.list_(pa.float64()))
    rows = run.rows
    for name, values in columns.items():
        place = rows.column_names.index(name) if name in rows.column_names else rows.num_columns
        rows = (rows.set_column if name in rows.column_names else rows.add_column)(place, name, values)
    classes = ["the others", run.info["classes"][which]]
    return replace(run, rows=rows.filter(pa.array(known)), info={**run.info, "classes": classes, "task": "multiclass"})
