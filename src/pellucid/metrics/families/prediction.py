"""What the network says, and whether that is right: measured of every image, whatever else is asked for."""

from dataclasses import dataclass
from typing import ClassVar

from pellucid.metrics.column import Column
from pellucid.metrics.metric import About, Case, Metric, Numbers

__all__ = ["METRICS", "MOST_CLASSES", "Prediction"]

MOST_CLASSES = 100
"""Classes up to which every image's probability of each is kept."""

SAID = ("prediction", "label", "score")


@dataclass(frozen=True, kw_only=True)
class Prediction(Metric):
    """Index, label, predicted class and its probability; of up to 100 classes the probability of each.

    Of more classes the rows would grow to gigabytes, so that they have no score that ranks images by each class.
    """

    about: ClassVar[About] = "network"
    columns = {
        "index": Column(title="Index", definition="Position of the image in its split.", shown=False),
        "label": Column(title="Label", definition="True class.", shown=False),
        "prediction": Column(title="Prediction", definition="Class with the largest logit.", shown=False),
        "score": Column(title="Score", definition="Softmax probability of the predicted class.", shown=False),
        "probability": Column(
            title="Probabilities", definition="Softmax probability of each class, up to 100 classes.", curve=True,
            shown=False,
        ),
        "brier": Column(
            title="Brier score", direction="lower", source="Brier 1950, equation 2",
            plain="How far the probabilities lie from what is true: 0 is certain and right, 2 is certain and wrong.",
            definition="Sum over the classes of the squared distance of the softmax probability from 1 for the true"
            " class and 0 for the others; with two classes twice the squared distance of one.",
        ),
        "negative_log_likelihood": Column(
            title="Negative log-likelihood", direction="lower", unit="nats", source="Good 1952, Rational decisions",
            definition="Minus the natural logarithm of the true class's softmax probability.",
        ),
    }  # fmt: skip
    aggregates = {
        "clean_accuracy": Column(
            title="Accuracy", unit="%", scale=100, direction="higher", aggregate="share", of=("prediction", "label"),
            main=True,
            plain="How many of the test pictures the network names correctly.",
            contest="Which network names most pictures correctly?",
            definition="Share of images whose prediction is the label.",
        ),
        "balanced_accuracy": Column(
            title="Balanced accuracy", unit="%", scale=100, direction="higher", aggregate="statistic",
            of=("prediction", "label"), source="Brodersen et al. 2010",
            definition="Mean over the classes of the share of a class's images whose prediction is the label.",
        ),
        "sensitivity": Column(
            title="Sensitivity", unit="%", scale=100, direction="higher", aggregate="statistic",
            of=("prediction", "label"), source="Yerushalmy 1947",
            definition="Share of the images of class 1 that are predicted to be, of networks with two classes.",
        ),
        "specificity": Column(
            title="Specificity", unit="%", scale=100, direction="higher", aggregate="statistic",
            of=("prediction", "label"), source="Yerushalmy 1947",
            definition="Share of the images of class 0 that are predicted to be, of networks with two classes.",
        ),
        "precision": Column(
            title="Precision", unit="%", scale=100, direction="higher", aggregate="statistic",
            of=("prediction", "label"), source="van Rijsbergen 1979, chapter 7",
            definition="Share of the images predicted to be of a class that are: of class 1 where there are two,"
            " otherwise the mean over the classes.",
        ),
        "f1": Column(
            title="F1", unit="%", scale=100, direction="higher", aggregate="statistic", of=("prediction", "label"),
            source="van Rijsbergen 1979, chapter 7; Opitz and Burst 2019, equation 1",
            definition="Harmonic mean of a class's precision and recall: of class 1 where there are two, otherwise the"
            " mean over the classes.",
        ),
        "auc": Column(
            title="AUC", unit="%", scale=100, direction="higher", aggregate="statistic", of=SAID,
            source="Hanley and McNeil 1982",
            definition="Area under the ROC curve of class 1's probability where there are two classes, otherwise the"
            " mean over the classes of that of a class against the others.",
        ),
        "average_precision": Column(
            title="Average precision", unit="%", scale=100, direction="higher", aggregate="statistic", of=SAID,
            source="Boyd, Eng, Page 2013, table 1",
            definition="Mean precision over a class's images, each taken as the last that is called so: of class 1"
            " where there are two, otherwise the mean over the classes.",
        ),
        "sensitivity_at_95": Column(
            title="Sensitivity at 95 % specificity", unit="%", scale=100, direction="higher", aggregate="statistic",
            of=SAID, source="Pepe 2003, 4.3", parameters={"specificity": 0.95},
            definition="Share of the images of class 1 that reach the threshold below which 95 % of those of class 0"
            " stay, of networks with two classes.",
        ),
        "specificity_at_95": Column(
            title="Specificity at 95 % sensitivity", unit="%", scale=100, direction="higher", aggregate="statistic",
            of=SAID, source="Pepe 2003, 4.3", parameters={"sensitivity": 0.95},
            definition="Share of the images of class 0 that stay below the threshold that 95 % of those of class 1"
            " reach, of networks with two classes.",
        ),
        "calibration_error": Column(
            title="Calibration error", unit="%", scale=100, direction="lower", aggregate="statistic", of=SAID,
            source="Guo et al. 2017, equation 3", parameters={"bins": 15},
            definition="Mean distance of the predicted class's probability from the accuracy, over 15 bins of equal"
            " width.",
        ),
        "calibration_error_equal_mass": Column(
            title="Calibration error, equal bins", unit="%", scale=100, direction="lower", aggregate="statistic",
            of=SAID, source="Nguyen and O'Connor 2015, 3.1", parameters={"bins": 15},
            definition="Mean distance of the predicted class's probability from the accuracy, over 15 bins of as many"
            " images each.",
        ),
        "calibration_error_adaptive": Column(
            title="Calibration error of all classes", unit="%", scale=100, direction="lower", aggregate="statistic",
            of=SAID, source="Nixon et al. 2019, equation 3", parameters={"bins": 15},
            definition="Mean distance of each class's probability from how often it is true, over 15 bins of as many"
            " images each, and over the classes.",
        ),
    }  # fmt: skip

    def __call__(self, case: Case) -> Numbers:
        probability, true = case.probability, case.label[:, None]
        numbers = {"index": case.index, "label": case.label, "prediction": case.prediction, "score": case.score}
        if probability.shape[1] <= MOST_CLASSES:
            numbers["probability"] = probability
        numbers["brier"] = probability.square().sum(1) + (1 - 2 * probability.gather(1, true)).squeeze(1)
        numbers["negative_log_likelihood"] = -case.log_probability.gather(1, true).squeeze(1)
        return numbers


METRICS: tuple[Metric, ...] = (Prediction(),)
"""With all their columns, in the order of every table."""
