"""How honest probabilities are, in bins that hold as many images each: no bin is empty, none rests on one image.

Functions of arrays over the images of a test set, one number each, without torch. ``weight`` is how often each image
counts, as in `pellucid.metrics.scores`, which has the error over bins of equal width.
"""

from typing import overload

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError
from pellucid.metrics.scores import Floats, binary, finite, same_length

__all__ = ["adaptive_calibration_error", "equal_mass_calibration_error"]


@overload
def equal_mass_calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float: ...
@overload
def equal_mass_calibration_error(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15, weight: Floats
) -> Floats: ...
def equal_mass_calibration_error(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15, weight: Floats | None = None
) -> float | Floats:
    """How far confidence and accuracy lie apart, on average over bins of as many images each.

    Networks are sure of most images; bins of equal width then hold most of them in one bin, these do not. Images of
    equal confidence share a bin.

    Args:
        confidence: (n,) probability of the predicted class, in [0, 1].
        correct: (n,) True where the prediction is right (or 1 and 0).
        bins: number of bins, at least 1; as many as images where those are fewer.
        weight: (resamples, n) how often each image counts; the bins stay.

    Returns:
        A number in [0, 1]; lower is better calibrated. With ``weight`` (resamples,).

    Raises:
        InputError: no image, different lengths, a confidence outside [0, 1], correctness other than 0 and 1, or
            ``bins`` below 1.

    >>> equal_mass_calibration_error([0.5, 0.5, 1.0, 1.0], [True, False, True, True], bins=2)
    0.0

    Source: Nguyen and O'Connor 2015, "Posterior calibration and exploratory analysis for natural language processing
    models", 3.1 (bins of equal mass).
    """
    values, truth = same_length(confidence=confidence, correct=correct)
    values, right = _probabilities("confidence", finite("confidence", values)), binary("correct", truth)
    error = _binned_gap(values[:, None], right[:, None].astype(np.float64), bins, weight)
    return float(error[0]) if weight is None else error


@overload
def adaptive_calibration_error(probability: npt.ArrayLike, label: npt.ArrayLike, *, bins: int = 15) -> float: ...
@overload
def adaptive_calibration_error(
    probability: npt.ArrayLike, label: npt.ArrayLike, *, bins: int = 15, weight: Floats
) -> Floats: ...
def adaptive_calibration_error(
    probability: npt.ArrayLike, label: npt.ArrayLike, *, bins: int = 15, weight: Floats | None = None
) -> float | Floats:
    """How far every class's probability lies from how often the class is true, over bins of as many images each.

    It looks at all classes, not at the predicted one alone: whether images that are given 20 % for a class are of that
    class in one case of five.

    Args:
        probability: (n, classes) in [0, 1].
        label: (n,) true class numbers, from 0.
        bins: number of bins for each class, at least 1; as many as images where those are fewer.
        weight: (resamples, n) how often each image counts; the bins stay.

    Returns:
        The mean over the classes, in [0, 1]; lower is better calibrated. With ``weight`` (resamples,).

    Raises:
        InputError: no image, shapes that do not fit, a probability outside [0, 1], or ``bins`` below 1.

    >>> adaptive_calibration_error([[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]], [0, 1, 1], bins=2)
    0.0

    Source: Nixon et al. 2019, "Measuring calibration in deep learning", equation 3 (ACE).
    """
    given, truth = np.asarray(probability, dtype=np.float64), np.asarray(label)
    if given.ndim != 2 or truth.shape != given.shape[:1] or not given.size:
        raise InputError(
            f"probability must be (n, classes) and label (n,) of the same n >= 1, got {given.shape} and {truth.shape}"
        )
    values = _probabilities("probability", finite("probability", given))
    error = _binned_gap(values, (truth[:, None] == np.arange(values.shape[1])).astype(np.float64), bins, weight)
    return float(error[0]) if weight is None else error


def _probabilities(name: str, values: Floats) -> Floats:
    if values.min() < 0 or values.max() > 1:
        raise InputError(f"{name} must be in [0, 1], got values from {values.min():g} to {values.max():g}")
    return values


def _binned_gap(probability: Floats, happened: Floats, bins: int, weight: Floats | None) -> Floats:
    """(resamples,) mean over the columns of the mean over the bins of how far both lie apart, by the images in each."""
    if bins < 1:
        raise InputError(f"bins must be at least 1, got {bins}")
    n, total = len(probability), np.zeros(1 if weight is None else len(weight))
    given = np.ones((1, n)) if weight is None else np.asarray(weight, dtype=np.float64)
    for column, true in zip(probability.T, happened.T, strict=True):
        place = np.searchsorted(np.sort(column), column, "left") * min(bins, n) // n
        gap = (place[:, None] == np.unique(place)) * (true - column)[:, None]
        total += np.abs(given @ gap).sum(axis=1)
    mean: Floats = total / probability.shape[1] / given.sum(axis=1)
    return mean
