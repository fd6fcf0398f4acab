"""What is measured of a network with several labels per image: of each image one label is explained, as two classes."""

from typing import Literal

import torch
from torch import Tensor

from pellucid.core.label_sets import label_code
from pellucid.core.types import Label, Logits
from pellucid.metrics.column import Column
from pellucid.metrics.families.prediction import Prediction

__all__ = ["LABEL_COLUMNS", "explained_labels", "label_numbers"]

LABEL_COLUMNS = {
    "index": Prediction.columns["index"],
    "label": Column(
        title="Label", shown=False, of_map=False,
        definition="The labels that apply, as a number whose bit l stands for label l.",
    ),
    "prediction": Column(
        title="Prediction", shown=False, of_map=False,
        definition="The labels whose probability is at least 0.5, as a number like the label; those of which the truth"
        " is not known are left out.",
    ),
    "score": Column(
        title="Score", definition="Sigmoid probability of the explained label.", shown=False, of_map=False
    ),
    "explained": Column(
        title="Explained label", shown=False, of_map=False,
        definition="Number of the label that maps, curves and attacks are about, from 0.",
    ),
    "label_accuracy": Column(
        title="Label accuracy", unit="%", scale=100, direction="higher", main=True, of_map=False,
        family="prediction", question="Are the predictions right?",
        plain="How many of the yes-or-no answers about the test pictures are right.",
        definition="Share of an image's known labels whose probability is on the right side of 0.5.",
    ),
    "label_probability": Column(
        title="Probabilities", definition="Sigmoid probability of every label.", curve=True, shown=False, of_map=False
    ),
    "label_truth": Column(
        title="Truth", curve=True, shown=False, of_map=False,
        definition="1 where a label applies, 0 where it does not, NaN where that is not known.",
    ),
}  # fmt: skip
"""The meaning of what is stored of every image beside the metrics.

The share of images whose prediction is the label, which tables call accuracy, is then that of whole sets of labels.
"""


def explained_labels(logits: Logits, label: Tensor, target: Literal["predicted", "true"] = "predicted") -> Label:
    """The label of each image that is explained, among those of which the truth is known.

    Args:
        logits: (n, k), one a label.
        label: (n, k) labels as `pellucid.Batch` has them, of each image at least one known.
        target: ``predicted``, the most probable label; ``true``, the most probable of those that apply, or of all
            known ones where none does.

    Returns:
        (n,) numbers of labels.

    >>> logits = torch.tensor([[3.0, 2.0, 1.0]])
    >>> explained_labels(logits, torch.tensor([[torch.nan, 0.0, 1.0]])).item()
    1
    >>> explained_labels(logits, torch.tensor([[torch.nan, 0.0, 1.0]]), "true").item()
    2
    """
    among = label >= 0
    if target == "true":
        applies = label > 0
        among = torch.where(applies.any(1, keepdim=True), applies, among)
    return torch.where(among, logits, -torch.inf).argmax(1)


def label_numbers(logits: Logits, label: Tensor, explained: Label) -> dict[str, Tensor]:
    """What `LABEL_COLUMNS` mean of some images, but for their ``index``.

    Args:
        logits: (n, k), one a label.
        label: (n, k) labels.
        explained: (n,) numbers of labels.
    """
    known = label >= 0
    right = (logits >= 0) == (label > 0)
    probability = logits.sigmoid()
    return {
        "label": label_code(label),
        "prediction": label_code(logits >= 0, known),
        "score": probability.gather(1, explained[:, None])[:, 0],
        "explained": explained,
        "label_accuracy": (right & known).sum(1).to(logits.dtype) / known.sum(1),
        "label_probability": probability,
        "label_truth": torch.where(known, label, torch.nan),
    }
