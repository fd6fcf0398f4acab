"""How good and how honest the predictions are: area under the ROC curve, balanced accuracy, calibration error.

Functions of arrays over the images of a test set, one number each, without torch.
"""

import numpy as np
import numpy.typing as npt
import scipy.stats

from pellucid.errors import InputError

__all__ = ["auc", "balanced_accuracy", "expected_calibration_error"]


def auc(score: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    r"""Probability that a random positive image scores higher than a random negative one, ties counting half.

    That is the area under the ROC curve; from the ranks r of all scores (ties share their mean rank), with P
    positives and N negatives: :math:`(\sum_{positive} r - P(P+1)/2) / (P N)`.

    Args:
        score: (n,) finite, higher for positive, such as the softmax probability of class 1 of 2.
        positive: (n,) True for the positive images (or 1 and 0).

    Returns:
        A number in [0, 1]; higher is better, 0.5 is chance.

    Raises:
        InputError: different lengths, a score that is not finite, labels other than 0 and 1, or one class alone.

    >>> auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.75

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve".
    """
    values, truth = _same_length(score=score, positive=positive)
    values, chosen = _finite("score", values), _binary("positive", truth)
    positives, negatives = int(chosen.sum()), int((~chosen).sum())
    if not positives or not negatives:
        raise InputError(f"auc needs positive and negative images, got {positives} positive and {negatives} negative")
    ranks = scipy.stats.rankdata(values)
    return float((ranks[chosen].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def balanced_accuracy(prediction: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Mean over the classes of the share of each class's images that is predicted right.

    Every class that occurs among the labels counts the same, however few images it has.

    Args:
        prediction: (n,) predicted class numbers.
        label: (n,) true class numbers.

    Returns:
        A number in [0, 1]; higher is better, 1/classes for a constant prediction.

    Raises:
        InputError: no image, different lengths, or classes that are not whole numbers.

    >>> balanced_accuracy([0, 0, 0, 0], [0, 0, 0, 1])
    0.5

    Source: Brodersen et al. 2010, "The balanced accuracy and its posterior distribution".
    """
    predicted, truth = _same_length(prediction=prediction, label=label)
    for name, classes in (("prediction", predicted), ("label", truth)):
        if not np.issubdtype(classes.dtype, np.integer):
            raise InputError(f"{name} must hold whole class numbers, got {classes.dtype}")
    _, position = np.unique(truth, return_inverse=True)
    recall = np.bincount(position, weights=predicted == truth) / np.bincount(position)
    return float(recall.mean())


def expected_calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    r"""How far confidence and accuracy lie apart, on average over the images' confidence bins.

    The bins are ((i - 1)/bins, i/bins], the first with 0; with n_b of n images in bin b:
    :math:`\sum_b \frac{n_b}{n} |\mathrm{accuracy}_b - \mathrm{confidence}_b|`, both means over the bin's images.

    Args:
        confidence: (n,) softmax probability of the predicted class, in [0, 1].
        correct: (n,) True where the prediction is right (or 1 and 0).
        bins: number of bins of equal width, at least 1.

    Returns:
        A number in [0, 1]; lower is better calibrated.

    Raises:
        InputError: no image, different lengths, a confidence outside [0, 1], correctness other than 0 and 1, or
            ``bins`` below 1.

    >>> expected_calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False])
    0.0

    Source: Guo et al. 2017, "On calibration of modern neural networks", equation 3.
    """
    if bins < 1:
        raise InputError(f"bins must be at least 1, got {bins}")
    values, truth = _same_length(confidence=confidence, correct=correct)
    values, right = _finite("confidence", values), _binary("correct", truth)
    if values.min() < 0 or values.max() > 1:
        raise InputError(f"confidence must be in [0, 1], got values from {values.min():g} to {values.max():g}")
    inner_edges = np.arange(1, bins) / bins
    position = np.searchsorted(inner_edges, values, side="left")
    gap = np.bincount(position, weights=right.astype(np.float64) - values, minlength=bins)
    return float(np.abs(gap).sum() / len(values))


def _same_length(**columns: npt.ArrayLike) -> list[npt.NDArray[np.generic]]:
    """The columns as arrays (n,), n >= 1."""
    arrays = [np.asarray(column) for column in columns.values()]
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1 or arrays[0].ndim != 1 or not arrays[0].size:
        raise InputError(f"{' and '.join(columns)} must be (n,) of the same n >= 1, got shapes {shapes}")
    return arrays


def _finite(name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise InputError(f"{name} must be finite, got {numbers[~np.isfinite(numbers)][0]:g}")
    return numbers


def _binary(name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    if not np.isin(values, (0, 1)).all():
        raise InputError(f"{name} must hold True and False or 1 and 0, got {values[~np.isin(values, (0, 1))][0]}")
    return values.astype(np.bool_)
