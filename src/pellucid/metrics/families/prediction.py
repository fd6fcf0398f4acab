"""What the network says, and whether that is right: measured of every image, whatever else is asked for."""

from dataclasses import dataclass
from typing import ClassVar

from pellucid.metrics.column import Column
from pellucid.metrics.metric import About, Case, Metric, Numbers

__all__ = ["METRICS", "Prediction"]


@dataclass(frozen=True, kw_only=True)
class Prediction(Metric):
    """Index, label, predicted class and its probability."""

    about: ClassVar[About] = "network"
    columns = {
        "index": Column(title="Index", definition="Position of the image in its split.", shown=False),
        "label": Column(title="Label", definition="True class.", shown=False),
        "prediction": Column(title="Prediction", definition="Class with the largest logit.", shown=False),
        "score": Column(title="Score", definition="Softmax probability of the predicted class.", shown=False),
    }
    aggregates = {
        "clean_accuracy": Column(
            title="Accuracy", unit="%", scale=100, direction="higher", aggregate="share", of=("prediction", "label"),
            main=True,
            plain="How many of the test pictures the network names correctly.",
            contest="Which network names the most pictures correctly?",
            definition="Share of images whose prediction is the label.",
        ),
        "balanced_accuracy": Column(
            title="Balanced accuracy", unit="%", scale=100, direction="higher", aggregate="statistic",
            of=("prediction", "label"), source="Brodersen et al. 2010",
            definition="Mean over the classes of the share of a class's images whose prediction is the label.",
        ),
        "auc": Column(
            title="AUC", unit="%", scale=100, direction="higher", aggregate="statistic",
            of=("prediction", "label", "score"), source="Hanley and McNeil 1982",
            definition="Area under the ROC curve of class 1's probability, of networks with two classes.",
        ),
        "calibration_error": Column(
            title="Calibration error", unit="%", scale=100, direction="lower", aggregate="statistic",
            of=("prediction", "label", "score"), source="Guo et al. 2017, equation 3", parameters={"bins": 15},
            definition="Mean distance of the predicted class's probability from the accuracy, over 15 bins of equal"
            " width.",
        ),
    }  # fmt: skip

    def __call__(self, case: Case) -> Numbers:
        return {"index": case.index, "label": case.label, "prediction": case.prediction, "score": case.score}


METRICS: tuple[Metric, ...] = (Prediction(),)
"""With all their columns, in the order of every table."""
