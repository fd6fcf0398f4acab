"""Scores of a whole test set, from arrays, against independent code."""

from functools import partial

import numpy as np
import torch
from parity_case import Case, Work, add_case
from parity_settings import GREY, Setting

from pellucid import metrics

CASES: list[Case] = []
case = partial(add_case, CASES)


def scores(n: int = 2000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of three classes with ties, predictions, labels."""
    random = np.random.default_rng(0)
    p = random.dirichlet([1, 1, 2], n).round(2)
    label = np.array([random.choice(3, p=(row + 0.2) / (row + 0.2).sum()) for row in p])
    return p, p.argmax(1), label


@case("auc", columns=["auc"], settings=[GREY], reference="scikit-learn `roc_auc_score`")
def _(s: Setting) -> tuple[Work, Work]:
    from sklearn.metrics import roc_auc_score

    p, _, label = scores()
    return lambda: metrics.auc(p[:, 1], label == 1), lambda: roc_auc_score(label == 1, p[:, 1])


@case("average_precision", columns=["average_precision"], settings=[GREY],
      reference="scikit-learn `average_precision_score`")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    from sklearn.metrics import average_precision_score

    p, _, label = scores()
    return lambda: metrics.average_precision(p[:, 1], label == 1), lambda: average_precision_score(label == 1, p[:, 1])


@case("sensitivity_at_specificity", columns=["sensitivity_at_95"], settings=[GREY],
      reference="scikit-learn `roc_curve`, its highest rate of hits at 5 % false alarms")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    from sklearn.metrics import roc_curve

    p, _, label = scores()

    def reference() -> float:
        alarms, hits, _ = roc_curve(label == 1, p[:, 1], drop_intermediate=False)
        return float(hits[alarms <= 0.05 + 1e-9].max())

    return lambda: metrics.sensitivity_at_specificity(p[:, 1], label == 1), reference


@case("specificity_at_sensitivity", columns=["specificity_at_95"], settings=[GREY],
      reference="scikit-learn `roc_curve`, its lowest rate of false alarms at 95 % hits")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    from sklearn.metrics import roc_curve

    p, _, label = scores()

    def reference() -> float:
        alarms, hits, _ = roc_curve(label == 1, p[:, 1], drop_intermediate=False)
        return float(1 - alarms[hits >= 0.95 - 1e-9].min())

    return lambda: metrics.specificity_at_sensitivity(p[:, 1], label == 1), reference


@case("precision", "f1", columns=["precision", "f1"], settings=[GREY],
      reference="scikit-learn `precision_score` and `f1_score`, of class 1 and macro")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    from sklearn.metrics import f1_score, precision_score

    _, prediction, label = scores()

    def ours() -> list[float]:
        return [one(prediction, label, of=of) for one in (metrics.precision, metrics.f1) for of in (1, None)]

    def reference() -> list[float]:
        return [
            float(one(label, prediction, **chosen))
            for one in (precision_score, f1_score)
            for chosen in ({"labels": [1], "average": "macro"}, {"average": "macro"})
        ]

    return ours, reference


@case("Prediction", columns=["brier", "negative_log_likelihood"], settings=[GREY],
      reference="scikit-learn `log_loss`, and equation 2 of Brier, means over the images")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    from sklearn.metrics import log_loss

    label = torch.arange(len(s.x)) % s.model(s.x).shape[1]
    p = s.model(s.x).softmax(1).detach().numpy()

    def ours() -> list[float]:
        told = metrics.Prediction()(metrics.Case(model=s.model, x=s.x, label=label, index=torch.arange(len(s.x))))
        return [told["brier"].mean().item(), told["negative_log_likelihood"].mean().item()]

    def reference() -> list[float]:
        true = np.eye(p.shape[1])[label.numpy()]
        return [float(((p - true) ** 2).sum(1).mean()), float(log_loss(label, p, labels=range(p.shape[1])))]

    return ours, reference


@case("balanced_accuracy", columns=["balanced_accuracy"], settings=[GREY],
      reference="scikit-learn `balanced_accuracy_score`")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    from sklearn.metrics import balanced_accuracy_score

    _, prediction, label = scores()
    return lambda: metrics.balanced_accuracy(prediction, label), lambda: balanced_accuracy_score(label, prediction)


@case("expected_calibration_error", columns=["calibration_error"], settings=[GREY],
      reference="equation 3 of Guo et al. in Python, bin by bin")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    p, prediction, label = scores()
    confidence, correct = p.max(1).clip(0, 1), prediction == label

    def reference() -> float:
        total = 0.0
        for i in range(15):
            inside = (confidence > i / 15) & (confidence <= (i + 1) / 15) | ((i == 0) & (confidence == 0))
            if inside.any():
                total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
        return total

    return lambda: metrics.expected_calibration_error(confidence, correct), reference


def by_rank(value: np.ndarray, happened: np.ndarray, bins: int = 15) -> float:
    """The error over bins of equal mass, image by image; equal values share a bin."""
    n = len(value)
    place = [int((value < one).sum()) * bins // n for one in value]
    gaps = [sum(happened[i] - value[i] for i in range(n) if place[i] == bin) for bin in range(bins)]
    return sum(abs(gap) for gap in gaps) / n


@case("equal_mass_calibration_error", columns=["calibration_error_equal_mass"], settings=[GREY],
      reference="3.1 of Nguyen and O'Connor in Python, image by image")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    p, prediction, label = scores(500)
    confidence, correct = p.max(1).clip(0, 1), prediction == label
    return lambda: metrics.equal_mass_calibration_error(confidence, correct), lambda: by_rank(confidence, correct)


@case("adaptive_calibration_error", columns=["calibration_error_adaptive"], settings=[GREY],
      reference="equation 3 of Nixon et al. in Python, image by image")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    p, _, label = scores(500)
    p = p.clip(0, 1)

    def reference() -> float:
        return float(np.mean([by_rank(p[:, k], label == k) for k in range(3)]))

    return lambda: metrics.adaptive_calibration_error(p, label), reference
