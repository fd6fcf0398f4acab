"""How well scores rank the positive images before the negative ones: beyond the AUC of `pellucid.metrics.scores`.

Functions of arrays over the images of a test set, one number each, without torch. ``weight`` is how often each image
counts, as in `pellucid.metrics.scores`. Of the two numbers that change smoothly with the images there is also how much
each image moves them, of which their standard errors are made.
"""

from typing import overload

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError
from pellucid.metrics.scores import Floats, auc, binary, finite, ratio, same_length

__all__ = [
    "auc_influence",
    "average_precision",
    "average_precision_influence",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "threshold_at_sensitivity",
    "threshold_at_specificity",
]

ROUNDING = 1e-9
"""How far below a share may lie and still reach it, so that 19 of 20 are .95."""


@overload
def average_precision(score: npt.ArrayLike, positive: npt.ArrayLike) -> float: ...
@overload
def average_precision(score: npt.ArrayLike, positive: npt.ArrayLike, *, weight: Floats) -> Floats: ...
def average_precision(score: npt.ArrayLike, positive: npt.ArrayLike, *, weight: Floats | None = None) -> float | Floats:
    r"""Mean precision over the positive images, each taken as the last one that is still called positive.

    The precision at a threshold is the share of positives among all images that score at least as high. It is the
    area under the precision-recall curve in steps, without interpolation. Unlike the AUC it depends on how many of the
    images are positive.

    Args:
        score: (n,) finite, higher for positive.
        positive: (n,) True for the positive images (or 1 and 0).
        weight: (resamples, n) how often each image counts.

    Returns:
        A number in [0, 1]; higher is better, the share of positives is chance. With ``weight`` (resamples,), NaN where
        no positive image is drawn.

    Raises:
        InputError: as in `pellucid.metrics.scores.auc`.

    >>> average_precision([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.8333...

    Source: Davis and Goadrich 2006, "The relationship between precision-recall and ROC curves"; Boyd, Eng, Page 2013,
    table 1 (average precision).
    """
    hits, alarms = _counted(score, positive, weight)
    found = np.diff(hits, axis=1, prepend=0)
    mean = ratio((found * np.nan_to_num(ratio(hits, hits + alarms))).sum(axis=1), hits[:, -1])
    return float(mean[0]) if weight is None else mean


@overload
def sensitivity_at_specificity(score: npt.ArrayLike, positive: npt.ArrayLike, specificity: float = 0.95) -> float: ...
@overload
def sensitivity_at_specificity(
    score: npt.ArrayLike, positive: npt.ArrayLike, specificity: float = 0.95, *, weight: Floats
) -> Floats: ...
def sensitivity_at_specificity(
    score: npt.ArrayLike, positive: npt.ArrayLike, specificity: float = 0.95, *, weight: Floats | None = None
) -> float | Floats:
    """Share of the positive images that are found by the lowest threshold that leaves enough negative ones alone.

    An image is called positive that scores at least the threshold; the threshold is the lowest score (or none at all)
    at which at least ``specificity`` of the negative images score below it. So it is chosen on these images.

    Args:
        score: (n,) finite, higher for positive.
        positive: (n,) True for the positive images (or 1 and 0).
        specificity: least share of the negative images that are called negative, in (0, 1].
        weight: (resamples, n) how often each image counts.

    Returns:
        A number in [0, 1]; higher is better. With ``weight`` (resamples,), NaN where one class is not drawn.

    Raises:
        InputError: as in `pellucid.metrics.scores.auc`, or a specificity outside (0, 1].

    >>> sensitivity_at_specificity([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.5

    Source: Pepe 2003, "The Statistical Evaluation of Medical Tests", 4.3 (the ROC curve at a false-positive rate).
    """
    _check_share(specificity=specificity)
    hits, alarms = _counted(score, positive, weight)
    allowed = alarms <= (1 - specificity + ROUNDING) * alarms[:, -1:]
    found = ratio((hits * allowed).max(axis=1), hits[:, -1] * (alarms[:, -1] > 0))
    return float(found[0]) if weight is None else found


@overload
def specificity_at_sensitivity(score: npt.ArrayLike, positive: npt.ArrayLike, sensitivity: float = 0.95) -> float: ...
@overload
def specificity_at_sensitivity(
    score: npt.ArrayLike, positive: npt.ArrayLike, sensitivity: float = 0.95, *, weight: Floats
) -> Floats: ...
def specificity_at_sensitivity(
    score: npt.ArrayLike, positive: npt.ArrayLike, sensitivity: float = 0.95, *, weight: Floats | None = None
) -> float | Floats:
    """Share of the negative images that are left alone by the highest threshold that finds enough positive ones.

    The threshold is the highest score that at least ``sensitivity`` of the positive images reach.

    Args:
        score: (n,) finite, higher for positive.
        positive: (n,) True for the positive images (or 1 and 0).
        sensitivity: least share of the positive images that are called positive, in (0, 1].
        weight: (resamples, n) how often each image counts.

    Returns:
        A number in [0, 1]; higher is better. With ``weight`` (resamples,), NaN where one class is not drawn.

    Raises:
        InputError: as in `pellucid.metrics.scores.auc`, or a sensitivity outside (0, 1].

    >>> specificity_at_sensitivity([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.5

    Source: Pepe 2003, 4.3.
    """
    _check_share(sensitivity=sensitivity)
    hits, alarms = _counted(score, positive, weight)
    enough = hits >= (sensitivity - ROUNDING) * hits[:, -1:]
    fewest = np.where(enough, alarms, np.inf).min(axis=1)
    found = ratio(alarms[:, -1] - fewest, alarms[:, -1] * (hits[:, -1] > 0))
    return float(found[0]) if weight is None else found


def threshold_at_specificity(score: npt.ArrayLike, positive: npt.ArrayLike, specificity: float = 0.95) -> float:
    """The threshold of `sensitivity_at_specificity`, whose arguments these are; infinite where no score is one.

    >>> threshold_at_specificity([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.8
    """
    _check_share(specificity=specificity)
    _, alarms = _counted(score, positive, None)
    levels = np.unique(np.asarray(score, dtype=np.float64))[::-1]
    allowed = alarms[0] <= (1 - specificity + ROUNDING) * alarms[0, -1]
    return float(levels[allowed].min(initial=np.inf))


def threshold_at_sensitivity(score: npt.ArrayLike, positive: npt.ArrayLike, sensitivity: float = 0.95) -> float:
    """The threshold of `specificity_at_sensitivity`, whose arguments these are.

    >>> threshold_at_sensitivity([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.35
    """
    _check_share(sensitivity=sensitivity)
    hits, _ = _counted(score, positive, None)
    levels = np.unique(np.asarray(score, dtype=np.float64))[::-1]
    return float(levels[hits[0] >= (sensitivity - ROUNDING) * hits[0, -1]].max())


def auc_influence(score: npt.ArrayLike, positive: npt.ArrayLike) -> Floats:
    """How much each image moves the AUC: how far its own placement lies from the mean, over the number of its class.

    The placement of a positive image is the share of negative images that it scores above, ties as a half; that of a
    negative image is the share of positive images that score above it.

    Args:
        score: (n,) finite, higher for positive.
        positive: (n,) True for the positive images (or 1 and 0), both there.

    Returns:
        (n,) influences, 0 together in each class.

    >>> auc_influence([0.1, 0.4, 0.35, 0.8], [False, False, True, True]).tolist()
    [0.125, -0.125, -0.125, 0.125]

    Source: DeLong, DeLong, Clarke-Pearson 1988, "Comparing the areas under two or more correlated receiver operating
    characteristic curves", the structural components of equation 5.
    """
    area, values = auc(score, positive), np.asarray(score, dtype=np.float64)
    chosen = np.asarray(positive).astype(np.bool_)
    above, below = np.sort(values[chosen]), np.sort(values[~chosen])

    def place(of: Floats, among: Floats) -> Floats:
        return (np.searchsorted(among, of, "left") + np.searchsorted(among, of, "right")) / (2 * len(among))

    influence = np.empty(len(values))
    influence[chosen] = (place(values[chosen], below) - area) / len(above)
    influence[~chosen] = (1 - place(values[~chosen], above) - area) / len(below)
    return influence


def average_precision_influence(score: npt.ArrayLike, positive: npt.ArrayLike) -> Floats:
    r"""How much each image moves the average precision when it counts once more in its class of a given size.

    With the shares :math:`s_+` and :math:`s_-` of the positive and of the negative images that score at least as high
    as a positive image, and the share :math:`\pi` of positives, the average precision is the mean over the positive
    images of :math:`\pi s_+ / (\pi s_+ + (1 - \pi) s_-)`. An image moves it as one of those that the mean is over, and
    as one that is counted in the shares: the derivative of the functional in its direction (the influence function).

    Args:
        score: (n,) finite, higher for positive.
        positive: (n,) True for the positive images (or 1 and 0), both there.

    Returns:
        (n,) influences, 0 together in each class.

    >>> average_precision_influence([0.9, 0.1], [True, False]).tolist()
    [0.0, 0.0]

    Source: the delta method, Davison and Hinkley 1997, 2.7.2.
    """
    values, chosen = np.asarray(score, dtype=np.float64), np.asarray(positive).astype(np.bool_)
    above, below = np.sort(values[chosen]), np.sort(values[~chosen])
    share = len(above) / len(values)
    hits = 1 - np.searchsorted(above, above, "left") / len(above)
    alarms = 1 - np.searchsorted(below, above, "left") / len(below)
    called = share * hits + (1 - share) * alarms
    precision = share * hits / called
    by_hits = share * (1 - share) * alarms / called**2
    by_alarms = -share * (1 - share) * hits / called**2

    def counted_in(of: Floats, slope: Floats) -> Floats:
        """Mean over the positive images that score at most as high of how much they mind another one above them."""
        total = np.concatenate([[0.0], np.cumsum(slope)])
        return total[np.searchsorted(above, of, "right")] / len(above)

    influence, mean = np.empty(len(values)), precision.mean()
    own = precision[np.searchsorted(above, values[chosen], "left")] - mean
    moved = counted_in(values[chosen], by_hits) - (by_hits * hits).mean()
    influence[chosen] = (own + moved) / len(above)
    influence[~chosen] = (counted_in(values[~chosen], by_alarms) - (by_alarms * alarms).mean()) / len(below)
    return influence


def _counted(score: npt.ArrayLike, positive: npt.ArrayLike, weight: Floats | None) -> tuple[Floats, Floats]:
    """(resamples, levels): positive and negative images that score at least each of the scores, from the highest on."""
    values, truth = same_length(score=score, positive=positive)
    values, chosen = finite("score", values), binary("positive", truth)
    positives, negatives = int(chosen.sum()), int((~chosen).sum())
    if not positives or not negatives:
        raise InputError(
            f"a ranking needs positive and negative images, got {positives} positive and {negatives} negative"
        )
    order = np.argsort(-values, kind="stable")
    _, starts = np.unique(-values[order], return_index=True)  # equal scores stand together
    given = np.ones((1, len(values))) if weight is None else np.asarray(weight, dtype=np.float64)
    in_order, found = given[:, order], chosen[order]
    hits = np.cumsum(np.add.reduceat(in_order * found, starts, axis=1), axis=1)
    return hits, np.cumsum(np.add.reduceat(in_order * ~found, starts, axis=1), axis=1)


def _check_share(**shares: float) -> None:
    for name, value in shares.items():
        if not 0 < value <= 1:
            raise InputError(f"{name} must be in (0, 1], got {value:g}")
