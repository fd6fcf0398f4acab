"""Do the rows of `masking_probe` say that robustness only looks high. Imports no torch, so that a table can ask."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from pellucid.core.errors import InputError
from pellucid.statistics import Interval
from pellucid.statistics.shares import share_difference, share_interval

__all__ = ["masking_warnings"]

Values = npt.ArrayLike
Floats = npt.NDArray[np.float64]

_REPORTED, _AUTOATTACK = "robust_correct", "autoattack_correct"
_MANY, _ONE_STEP, _GRADIENT = "masking_many_step", "masking_one_step", "robust_gradient"
# Column, what it did, what that means, and whether any difference counts or only one beyond `points`.
_STRONGER = (
    (_ONE_STEP, "one step is stronger than many", "so gradients may be masked", False),
    ("masking_transfer", "an attack made on another network is stronger than its own", "so gradients may be masked",
     False),
    ("masking_long", "five times the steps are stronger", "so the attack has not converged", True),
    ("masking_restarts", "more random starts are stronger", "so the attack has not converged", True),
    ("robust_margin", "the same attack on the margin between logits is stronger",
     "so the attack on the cross-entropy had no gradient to follow", True),
    (_AUTOATTACK, "AutoAttack is stronger", "so robust accuracy looks higher than it is", True),
)  # fmt: skip


def masking_warnings(
    columns: Mapping[str, Values], *, chance: float, points: float = 0.02, alpha: float = 0.01
) -> list[str]:
    """What the probes of an attack say against its robust accuracy, a sentence for each warning sign.

    Over the images on which both are known, the attack of ``masking_many_step`` is held against the others:

    - ``one_step`` and ``transfer``: weaker attacks in truth; a warning where they defeat more images.
    - ``long`` and ``restarts``: the same attack with more effort; a warning where they defeat ``points`` more. So too
      ``autoattack_correct``. What these are held against is ``robust_correct``, where it is there: what is reported may
      have had more random starts than the attack that was probed.
    - ``unbounded``: a warning where it leaves more than ``chance`` of the images right.
    - ``robust_gradient``: a warning where more than ``points`` of the images stay right and the attack had no gradient
      to follow there at any step, so that they were not attacked at all. ``robust_margin`` is what another attack,
      which has a gradient there, makes of these: a warning as with more effort.

    Every evaluation of robust accuracy has the last two, and ``robust_one_step``, which stands for ``one_step`` where
    that was not measured.

    Noise gives no warning. Of the images on which two attacks differ, as many should fall to the one as to the other:
    the exact sign test (McNemar's) must refuse that at ``alpha``, one-sided, and the 95 % interval of the difference
    must lie above 0 or ``points``. For ``unbounded`` it is the exact binomial test, one-sided. So a sign is given
    without cause with a probability of at most ``alpha``, and any of the seven with at most seven times that; that
    there was no gradient is no guess. No warning is
    no proof: few images, or an attack too weak in every probe, show nothing.

    Args:
        columns: for each probe's name with ``masking_`` before it (n,) whether the network was right, 0 or 1, NaN where
            not known; ``robust_correct`` and what stands beside it, and ``autoattack_correct``, of the same radius,
            likewise; as in the rows of an evaluation, whose other columns are not looked at. ``masking_many_step`` or
            ``robust_correct`` is needed, and one to hold it against.
        chance: share of right guesses of a network that knows nothing, in (0, 1), such as 1 / classes or the share of
            the most frequent class.
        points: gain of accuracy by more effort that is still called converged, in [0, 1).
        alpha: level of each test, in (0, 0.5).

    Returns:
        Sentences with their numbers, often none: no gradient, one step, transfer, long, restarts, margin, AutoAttack,
        unbounded.

    Raises:
        InputError: no ``masking_many_step``, or no other probe; columns of different lengths or not (n,), values other
            than 0, 1 and NaN, numbers out of range.

    >>> rows = {"masking_many_step": [1.0] * 60 + [0.0] * 40, "masking_one_step": [1.0] * 40 + [0.0] * 60}
    >>> print(*masking_warnings(rows, chance=0.1))
    One step is stronger than many, so gradients may be masked: 40.0 % of images stay right, not 60.0 % (20.0 points
    less, 95 % interval 13.3 to 28.9, p < 0.0001, 100 images).
    >>> masking_warnings({**rows, "masking_one_step": rows["masking_many_step"]}, chance=0.1)
    []

    Source: Athalye, Carlini and Wagner 2018, "Obfuscated gradients give a false sense of security", section 3.1;
    Carlini et al. 2019, "On evaluating adversarial robustness"; McNemar 1947.
    """
    for name, value, low, high in (("chance", chance, 0, 1), ("alpha", alpha, 0, 0.5)):
        if not low < value < high:
            raise InputError(f"{name} must be in ({low}, {high}), got {value}")
    if not 0 <= points < 1:
        raise InputError(f"points must be in [0, 1), got {points}")
    probes = _probes(columns)
    many = probes[_MANY if _MANY in probes else _REPORTED]
    reported = probes.get(_REPORTED, many)
    said = _without_gradient(probes[_GRADIENT], reported, points=points) if _GRADIENT in probes else []
    for name, what, meaning, is_effort in _STRONGER:
        if name in probes and is_effort:
            said += _stronger(probes[name], reported, what, meaning, points=points, alpha=alpha)
        elif name in probes:
            said += _stronger(probes[name], many, what, meaning, points=0, alpha=alpha)
    if "masking_unbounded" in probes:
        said += _above_chance(probes["masking_unbounded"], chance=chance, alpha=alpha)
    return said


def _probes(columns: Mapping[str, Values]) -> dict[str, Floats]:
    """The columns that are looked at, checked; what stands in for a probe under that probe's name."""
    known = (_MANY, _REPORTED, "masking_unbounded", "robust_one_step", _GRADIENT, *(name for name, *_ in _STRONGER))
    probes = {name: np.asarray(columns[name], np.float64) for name in known if name in columns}
    single = probes.pop("robust_one_step", None)
    if single is not None:
        probes.setdefault(_ONE_STEP, single)
    if not (_MANY in probes or _REPORTED in probes) or not probes.keys() - {_MANY, _REPORTED}:
        given = ", ".join(probes) or "neither"
        raise InputError(f"masking_warnings needs the column {_MANY} or {_REPORTED}, and another probe's, got {given}")
    shape = next(iter(probes.values())).shape
    for name, values in probes.items():
        if values.ndim != 1 or values.shape != shape:
            raise InputError(f"masking columns must be (n,) of one length, got {name} {values.shape} and {shape}")
        wrong = values[~(np.isnan(values) | (values == 0) | (values == 1))]
        if len(wrong):
            raise InputError(f"{name} must be 0, 1 or NaN for each image, got {wrong[0]:g}")
    return probes


def _without_gradient(gradient: Floats, attack: Floats, *, points: float) -> list[str]:
    """The sentence about images that stay right for want of a gradient, where they are more than a few."""
    known = ~(np.isnan(gradient) | np.isnan(attack))
    gradient, attack = gradient[known], attack[known]
    blind, right = int(((gradient == 0) & (attack == 1)).sum()), int((attack == 1).sum())
    if not blind or blind <= points * len(attack):
        return []
    return [
        f"The attack had no gradient to follow on {blind} of the {right} images that stay right, so it did not attack "
        f"them: without these, robust accuracy is {_percent((right - blind) / len(attack))}, not "
        f"{_percent(right / len(attack))}; the network's probabilities are 0 and 1 to the last digit there, or it "
        "passes no gradient on."
    ]


def _stronger(probe: Floats, attack: Floats, what: str, meaning: str, *, points: float, alpha: float) -> list[str]:
    both = ~(np.isnan(probe) | np.isnan(attack))
    probe, attack = probe[both], attack[both]
    gained, lost = int((attack > probe).sum()), int((attack < probe).sum())
    if not gained:
        return []
    p = float(bdtrc(gained - 1, gained + lost, 0.5))
    difference = share_difference(attack, probe)
    if p >= alpha or difference.low <= points:
        return []
    beyond = f"; up to {100 * points:g} is expected" if points else ""
    return [
        f"{what[0].upper()}{what[1:]}, {meaning}: {_percent(probe.mean())} of images stay right, not "
        f"{_percent(attack.mean())} ({100 * difference.mean:.1f} points less, {_ends(difference)}, {_p(p)}, "
        f"{len(probe)} images{beyond})."
    ]


def _above_chance(unbounded: Floats, *, chance: float, alpha: float) -> list[str]:
    right = unbounded[~np.isnan(unbounded)]
    if not len(right):
        return []
    p = float(bdtrc(right.sum() - 1, len(right), chance))
    if p >= alpha:
        return []
    share = share_interval(right)
    return [
        f"An attack without bounds does not succeed, so gradients may be masked: {_percent(share.mean)} of images stay "
        f"right ({_ends(share)}, {len(right)} images), above chance, {_percent(chance)} ({_p(p)})."
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _ends(interval: Interval) -> str:
    return f"95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f}"


def _p(p: float) -> str:
    return f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"
