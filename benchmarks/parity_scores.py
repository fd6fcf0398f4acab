"""Scores of a whole test set, from arrays, against independent code."""

from functools import partial

import numpy as np
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
