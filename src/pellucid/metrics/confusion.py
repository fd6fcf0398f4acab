"""How predictions are mistaken: the precision and the F1 score of classes.

Functions of arrays over the images of a test set, one number each, without torch. ``weight`` is how often each image
counts, as in `pellucid.metrics.scores`, which has the mean recall, `balanced_accuracy`.
"""

from typing import overload

import numpy as np
import numpy.typing as npt

from pellucid.metrics.scores import Floats, ratio, same_length

__all__ = ["f1", "precision"]


@overload
def precision(prediction: npt.ArrayLike, label: npt.ArrayLike, *, of: int | None = None) -> float: ...
@overload
def precision(prediction: npt.ArrayLike, label: npt.ArrayLike, *, of: int | None = None, weight: Floats) -> Floats: ...
def precision(
    prediction: npt.ArrayLike, label: npt.ArrayLike, *, of: int | None = None, weight: Floats | None = None
) -> float | Floats:
    """Share of the images that are called a class which are of it: of one class, or the mean over the classes.

    Args:
        prediction: (n,) predicted class numbers.
        label: (n,) true class numbers.
        of: the class; the mean over those that occur among the labels where it is not given.
        weight: (resamples, n) how often each image counts; a class that is not drawn is left out of the mean.

    Returns:
        A number in [0, 1]; higher is better. A class that is never predicted has 0. With ``weight`` (resamples,).

    Raises:
        InputError: no image, or different lengths.

    >>> precision([1, 1, 1, 0], [1, 1, 0, 0], of=1)
    0.6666...

    Source: van Rijsbergen 1979, "Information Retrieval", chapter 7.
    """
    hits, called, true = _counts(prediction, label, of, weight)
    return _mean(np.nan_to_num(ratio(hits, called)), true, weight)


@overload
def f1(prediction: npt.ArrayLike, label: npt.ArrayLike, *, of: int | None = None) -> float: ...
@overload
def f1(prediction: npt.ArrayLike, label: npt.ArrayLike, *, of: int | None = None, weight: Floats) -> Floats: ...
def f1(
    prediction: npt.ArrayLike, label: npt.ArrayLike, *, of: int | None = None, weight: Floats | None = None
) -> float | Floats:
    """Harmonic mean of a class's precision and recall: of one class, or the mean over the classes.

    It is twice the images that are rightly called the class, by those that are called it and those that are of it.

    Args:
        prediction: (n,) predicted class numbers.
        label: (n,) true class numbers.
        of: the class; the mean over those that occur among the labels where it is not given.
        weight: (resamples, n) how often each image counts; a class that is not drawn is left out of the mean.

    Returns:
        A number in [0, 1]; higher is better. With ``weight`` (resamples,).

    Raises:
        InputError: no image, or different lengths.

    >>> f1([1, 1, 1, 0], [1, 1, 0, 0], of=1)
    0.8

    Source: van Rijsbergen 1979, chapter 7; the mean over classes as in Opitz and Burst 2019, equation 1.
    """
    hits, called, true = _counts(prediction, label, of, weight)
    return _mean(ratio(2 * hits, called + true), true, weight)


def _counts(
    prediction: npt.ArrayLike, label: npt.ArrayLike, of: int | None, weight: Floats | None
) -> tuple[Floats, Floats, Floats]:
    """(resamples, classes): images that are rightly called each class, that are called it, and that are of it."""
    predicted, truth = same_length(prediction=prediction, label=label)
    classes = np.unique(truth) if of is None else np.array([of])
    called, true = ((column[:, None] == classes).astype(np.float64) for column in (predicted, truth))
    given = np.ones((1, len(truth))) if weight is None else np.asarray(weight, dtype=np.float64)
    hits, of_called, of_true = np.split(given @ np.hstack([called * true, called, true]), 3, axis=1)
    return hits, of_called, of_true


def _mean(of_classes: Floats, true: Floats, weight: Floats | None) -> float | Floats:
    """Over the classes that occur."""
    occurs = true > 0
    mean = ratio((np.nan_to_num(of_classes) * occurs).sum(axis=1), occurs.sum(axis=1).astype(np.float64))
    return float(mean[0]) if weight is None else mean
