"""How good and how honest the predictions are: area under the ROC curve, balanced accuracy, calibration error.

Functions of arrays over the images of a test set, one number each, without torch. With ``weight``, how often each image
counts, the number becomes one for each row of weights: what a bootstrap asks for. `pellucid.metrics.ranking` has more
of how scores rank images, `pellucid.metrics.confusion` of how predictions are mistaken, `pellucid.metrics.calibration`
of how honest probabilities are.
"""

from typing import overload

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError

__all__ = ["auc", "balanced_accuracy", "binary", "expected_calibration_error", "finite", "ratio", "same_length"]


Floats = npt.NDArray[np.float64]


@overload
def auc(score: npt.ArrayLike, positive: npt.ArrayLike) -> float: ...
@overload
def auc(score: npt.ArrayLike, positive: npt.ArrayLike, *, weight: Floats) -> Floats: ...
def auc(score: npt.ArrayLike, positive: npt.ArrayLike, *, weight: Floats | None = None) -> float | Floats:
    r"""Probability that a random positive image scores higher than a random negative one, ties counting half.

    That is the area under the ROC curve: the share of the P N pairs of a positive and a negative image in which the
    positive one scores higher, ties as a half.

    Args:
        score: (n,) finite, higher for positive, such as the softmax probability of class 1 of 2.
        positive: (n,) True for the positive images (or 1 and 0).
        weight: (resamples, n) how often each image counts.

    Returns:
        A number in [0, 1]; higher is better, 0.5 is chance. With ``weight`` (resamples,), NaN where one class is not
        drawn.

    Raises:
        InputError: different lengths, a score that is not finite, labels other than 0 and 1, or one class alone.

    >>> auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.75

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve".
    """
    values, truth = same_length(score=score, positive=positive)
    values, chosen = finite("score", values), binary("positive", truth)
    positives, negatives = int(chosen.sum()), int((~chosen).sum())
    if not positives or not negatives:
        raise InputError(f"auc needs positive and negative images, got {positives} positive and {negatives} negative")
    order = np.argsort(values, kind="stable")
    _, starts = np.unique(values[order], return_index=True)  # equal scores stand together
    given = np.ones((1, len(values))) if weight is None else np.asarray(weight, dtype=np.float64)
    above = np.add.reduceat((given * chosen)[:, order], starts, axis=1)
    below = np.add.reduceat((given * ~chosen)[:, order], starts, axis=1)
    lower = np.cumsum(below, axis=1) - below / 2
    area = ratio((above * lower).sum(axis=1), above.sum(axis=1) * below.sum(axis=1))
    return float(area[0]) if weight is None else area


@overload
def balanced_accuracy(prediction: npt.ArrayLike, label: npt.ArrayLike) -> float: ...
@overload
def balanced_accuracy(prediction: npt.ArrayLike, label: npt.ArrayLike, *, weight: Floats) -> Floats: ...
def balanced_accuracy(
    prediction: npt.ArrayLike, label: npt.ArrayLike, *, weight: Floats | None = None
) -> float | Floats:
    """Mean over the classes of the share of each class's images that is predicted right.

    Every class that occurs among the labels counts the same, however few images it has.

    Args:
        prediction: (n,) predicted class numbers.
        label: (n,) true class numbers.
        weight: (resamples, n) how often each image counts; a class that is not drawn is left out.

    Returns:
        A number in [0, 1]; higher is better, 1/classes for a constant prediction. With ``weight`` (resamples,).

    Raises:
        InputError: no image, different lengths, or classes that are not whole numbers.

    >>> balanced_accuracy([0, 0, 0, 0], [0, 0, 0, 1])
    0.5

    Source: Brodersen et al. 2010, "The balanced accuracy and its posterior distribution".
    """
    predicted, truth = same_length(prediction=prediction, label=label)
    for name, classes in (("prediction", predicted), ("label", truth)):
        if not np.issubdtype(classes.dtype, np.integer):
            raise InputError(f"{name} must hold whole class numbers, got {classes.dtype}")
    member = (truth[:, None] == np.unique(truth)).astype(np.float64)
    given = np.ones((1, len(truth))) if weight is None else np.asarray(weight, dtype=np.float64)
    recall = ratio(given @ (member * (predicted == truth)[:, None]), given @ member)
    mean: Floats = np.nanmean(recall, axis=1)
    return float(mean[0]) if weight is None else mean


@overload
def expected_calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float: ...
@overload
def expected_calibration_error(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15, weight: Floats
) -> Floats: ...
def expected_calibration_error(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15, weight: Floats | None = None
) -> float | Floats:
    r"""How far confidence and accuracy lie apart, on average over the images' confidence bins.

    The bins are ((i - 1)/bins, i/bins], the first with 0; with n_b of n images in bin b:
    :math:`\sum_b \frac{n_b}{n} |\mathrm{accuracy}_b - \mathrm{confidence}_b|`, both means over the bin's images.

    Args:
        confidence: (n,) softmax probability of the predicted class, in [0, 1].
        correct: (n,) True where the prediction is right (or 1 and 0).
        bins: number of bins of equal width, at least 1.
        weight: (resamples, n) how often each image counts.

    Returns:
        A number in [0, 1]; lower is better calibrated. With ``weight`` (resamples,).

    Raises:
        InputError: no image, different lengths, a confidence outside [0, 1], correctness other than 0 and 1, or
            ``bins`` below 1.

    >>> expected_calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False])
    0.0

    Source: Guo et al. 2017, "On calibration of modern neural networks", equation 3.
    """
    if bins < 1:
        raise InputError(f"bins must be at least 1, got {bins}")
    values, truth = same_length(confidence=confidence, correct=correct)
    values, right = finite("confidence", values), binary("correct", truth)
    if values.min() < 0 or values.max() > 1:
        raise InputError(f"confidence must be in [0, 1], got values from {values.min():g} to {values.max():g}")
    inner_edges = np.arange(1, bins) / bins
    position = np.searchsorted(inner_edges, values, side="left")
    gap = (position[:, None] == np.arange(bins)) * (right.astype(np.float64) - values)[:, None]
    given = np.ones((1, len(values))) if weight is None else np.asarray(weight, dtype=np.float64)
    error: Floats = np.abs(given @ gap).sum(axis=1) / given.sum(axis=1)
    return float(error[0]) if weight is None else error


def ratio(above: Floats, below: Floats) -> Floats:
    """The quotient, element by element; NaN where nothing is counted, as ``below`` is 0."""
    quotient: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return quotient


def same_length(**columns: npt.ArrayLike) -> list[npt.NDArray[np.generic]]:
    """The columns as arrays (n,), n >= 1.

    Raises:
        InputError: another shape, or columns of different lengths; it names the columns.
    """
    arrays = [np.asarray(column) for column in columns.values()]
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1 or arrays[0].ndim != 1 or not arrays[0].size:
        raise InputError(f"{' and '.join(columns)} must be (n,) of the same n >= 1, got shapes {shapes}")
    return arrays


def finite(name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """The values as numbers.

    Raises:
        InputError: one that is not finite.
    """
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise InputError(f"{name} must be finite, got {numbers[~np.isfinite(numbers)][0]:g}")
    return numbers


def binary(name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """The values as True and False.

    Raises:
        InputError: one that is neither, nor 1 or 0.
    """
    if not np.isin(values, (0, 1)).all():
        raise InputError(f"{name} must hold True and False or 1 and 0, got {values[~np.isin(values, (0, 1))][0]}")
    return values.astype(np.bool_)
