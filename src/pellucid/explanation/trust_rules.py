"""May this map be relied upon? Rules that are written down, each with its threshold, and the sentence they make.

A map is judged by what can be measured without knowing the right explanation, so the rules can only speak against it:
passing all of them is no proof. What is counted over draws fails a rule only where the draws show it, and passes it
only where they show that; between lies a third answer. docs/explain.md says why each threshold is where it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import bdtr, bdtrc, stdtrit

__all__ = ["LEVELS", "Counts", "Judgement", "Level", "Thresholds", "judge"]

Level = Literal["do not rely", "undecided", "with care", "no objection"]

LEVELS: dict[Level, str] = {
    "do not rely": "Do not rely on {map}",
    "undecided": "Not enough draws to tell whether {map} can be relied on",
    "with care": "Read {map} with care",
    "no objection": "No check speaks against {map}",
}

ERROR = 0.05
"""Probability with which draws may speak for or against a map by chance, each time they are asked."""
AS_GOOD = 0.05
"""Share of random maps that may be as faithful."""
COVERAGE = 0.5
"""Share of the noisy copies that must keep the prediction."""
UNSTEADY, SHAKY = 0.25, 0.5
"""Rank correlation of the maps of clean and noisy image below which a map is no property of the image, or half one."""
WORST, POOR = 5.0, 25.0
"""Percentiles of the reference."""
UNSURE = 0.5
"""Probability below which the network itself is not sure."""
DISAGREE = 0.2
"""Mean rank correlation with the other methods' maps below which they show other things."""
DIFFUSE = 0.0
"""Gini index below which a map points at nothing in particular; results/trust-card.md says what it is worth."""
NOTHING_LOST = 0.01
"""Probability that must be lost somewhere for anything to be tested."""

Outcome = Literal["fails", "undecided", "passes"]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The thresholds of the rules about steadiness, the reference and the network's own doubt.

    Args:
        unsteady: rank correlation of the maps of clean and noisy image below which a map is not relied on, in [-1, 1].
        shaky: the same below which it is read with care.
        poor: percentile of the reference below which it is read with care, in [0, 100].
        unsure: probability below which the network itself is not sure, in [0, 1].
        diffuse: Gini index below which a map is spread over so much of the picture that it is read with care, in
            [0, 1]; 0 asks for nothing.
    """

    unsteady: float = UNSTEADY
    shaky: float = SHAKY
    poor: float = POOR
    unsure: float = UNSURE
    diffuse: float = DIFFUSE


@dataclass(frozen=True)
class Counts:
    """What the figures were counted over.

    Attributes:
        random_maps: random maps; each is one with its order reversed, too.
        predictions: noisy copies whose prediction was looked at.
        maps: noisy copies whose map was made.
        more: True where ``--full`` would take more of them.
    """

    random_maps: int
    predictions: int
    maps: int
    more: bool = False


@dataclass(frozen=True)
class Judgement:
    """What the rules say of one map.

    Attributes:
        level: ``do not rely`` (a check failed), ``undecided`` (none did, but the draws cannot tell of one, and more can
            be taken), ``with care`` (a check is near to failing or could not be made) or ``no objection``.
        sentence: the level and its reasons in plain words.
        reasons: names of the rules behind it: ``flat``, ``untested``, ``unfaithful``, ``prediction-changes``,
            ``unsteady``, ``least-steady``; ``hardly-faithful``, ``prediction-wavers``, ``hardly-steady``; ``shaky``,
            ``less-steady``, ``less-faithful``, ``unsure``, ``disagreement``, ``diffuse``, ``no-reference``.
    """

    level: Level
    sentence: str
    reasons: tuple[str, ...]


def judge(
    figures: Mapping[str, float],
    percentiles: Mapping[str, float | None],
    *,
    counts: Counts,
    probability: float,
    agreement: Sequence[float] = (),
    name: str = "this map",
    thresholds: Thresholds = Thresholds(),
) -> Judgement:
    """Judge one map of one image.

    The rules and their thresholds stand in docs/trust-rules.md, each with its reason. A check that fails refuses the
    map; one that the draws cannot decide asks for more of them, or for care where there are no more; a doubt asks for
    care.

    Args:
        figures: numbers by name, as in `pellucid.explanation.card.FIGURES`; a missing or NaN one fails the first rules.
        percentiles: of the reference by figure, 100 the best; None where there is none.
        counts: what the figures were counted over.
        probability: of the explained class.
        agreement: rank correlations with the maps of the other methods.
        name: of the map in the sentence.
        thresholds: others than the package's, for a calibration.

    >>> good = {"faithfulness": 0.4, "beats_random": 1.0, "aopc_morf": 0.5, "aopc_lerf": 0.1,
    ...         "random_aopc": 0.2, "stability_coverage": 1.0, "similarity": 0.8, "similarity_error": 0.01, "gini": 0.6}
    >>> quick, usual = Counts(random_maps=19, predictions=20, maps=3, more=True), {"ris": 60.0, "faithfulness": 70.0}
    >>> judge(good, usual, counts=quick, probability=0.9).level
    'no objection'
    >>> judge(good | {"beats_random": 0.6}, usual, counts=quick, probability=0.9).sentence
    'Do not rely on this map: random maps often point as well at what the network uses.'
    >>> judge(good | {"beats_random": 0.92}, usual, counts=quick, probability=0.9).level
    'undecided'
    """
    fails, undecided = _checks(figures, percentiles, counts, thresholds)
    if fails:
        return _judged("do not rely", name, fails)
    if undecided and counts.more:
        return _judged("undecided", name, undecided, "; --full takes more")
    doubts = undecided | _doubts(figures, percentiles, probability, agreement, thresholds)
    if doubts:
        return _judged("with care", name, doubts)
    return _judged(
        "no objection",
        name,
        {
            "": "what it marks matters more to the network than what random maps mark, and it hardly changes when the "
            "picture is a little noisy; that is no proof that it is right"
        },
    )


def _judged(level: Level, name: str, reasons: Mapping[str, str], end: str = "") -> Judgement:
    sentence = f"{LEVELS[level].format(map=name)}: {_joined(list(reasons.values()))}{end}."
    return Judgement(level, sentence, tuple(reason for reason in reasons if reason))


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _checks(
    figures: Mapping[str, float], percentiles: Mapping[str, float | None], counts: Counts, thresholds: Thresholds
) -> tuple[dict[str, str], dict[str, str]]:
    """What fails, and what the draws cannot tell."""

    def known(name: str) -> float:
        return figures.get(name, math.nan)

    if not known("gini") > 0:
        return {"flat": "it is the same everywhere, so it points at nothing"}, {}
    fails: dict[str, str] = {}
    undecided: dict[str, str] = {}
    lost = max((abs(known(name)) for name in ("aopc_morf", "aopc_lerf", "random_aopc")), default=math.nan)
    faithful = _faithful(known("faithfulness"), known("beats_random"), counts.random_maps)
    if lost < NOTHING_LOST:
        fails["untested"] = "whatever is destroyed, the answer stays, so nothing shows that it is true"
    elif faithful == "fails" and not known("faithfulness") > 0:
        fails["unfaithful"] = "what it marks most matters no more to the network than what it marks least"
    elif faithful == "fails":
        fails["unfaithful"] = "random maps often point as well at what the network uses"
    elif faithful == "undecided":
        undecided["hardly-faithful"] = "some random maps point as well at what the network uses"
    kept = _kept(known("stability_coverage"), counts.predictions)
    if kept == "fails":
        fails["prediction-changes"] = "slight noise changes the prediction itself more often than not"
    elif kept == "undecided":
        undecided["prediction-wavers"] = "slight noise changes the prediction itself about every other time"
    steady = _steady(known("similarity"), known("similarity_error"), counts.maps, least=thresholds.unsteady)
    if steady == "fails":
        fails["unsteady"] = "slight noise makes another map of it"
    elif _among(percentiles, ("ris", "ros"), WORST):
        fails["least-steady"] = "it changes more under noise than nearly all maps of this network"
    elif steady == "undecided":
        undecided["hardly-steady"] = "slight noise makes nearly another map of it"
    return fails, undecided


def _faithful(faithfulness: float, beats: float, random_maps: int) -> Outcome:
    """Is it likelier than not by chance that no more than 5 % of random maps are as faithful?

    A random map and its reverse are equally random and have opposite values, so that of k random maps as far from 0 as
    the map, a random map has as many or fewer with a probability of (k + 1) / (2 (random_maps + 1)); and k is binomial
    with twice the share of random maps that are as faithful. At or below 0 half of all random maps are, draws or not.

    >>> [_faithful(0.1, 1 - k / 38, 19) for k in (0, 1, 2, 4, 5)]
    ['passes', 'passes', 'undecided', 'undecided', 'fails']
    """
    if not (faithfulness > 0 and math.isfinite(beats)):
        return "fails"
    as_good = round((1 - beats) * 2 * random_maps)
    if (as_good + 1) / (2 * (random_maps + 1)) <= ERROR:
        return "passes"
    return "fails" if bdtrc(as_good - 1, random_maps, 2 * AS_GOOD) <= ERROR else "undecided"


def _kept(coverage: float, copies: int) -> Outcome:
    """Do at least half of all noisy copies keep the prediction? Binomial.

    >>> [_kept(kept / 20, 20) for kept in (5, 6, 14, 15)]
    ['fails', 'undecided', 'undecided', 'passes']
    """
    if not math.isfinite(coverage):
        return "fails"
    kept = round(coverage * copies)
    if bdtrc(kept - 1, copies, COVERAGE) <= ERROR:
        return "passes"
    return "fails" if bdtr(kept, copies, COVERAGE) <= ERROR else "undecided"


def _steady(similarity: float, error: float, copies: int, *, least: float = UNSTEADY) -> Outcome:
    """Is the mean rank correlation over all noisy copies at least ``least``? Student's t, for two or more of them.

    >>> _steady(0.4, 0.02, 3), _steady(0.3, 0.02, 3), _steady(0.1, 0.02, 3), _steady(0.3, math.nan, 1)
    ('passes', 'undecided', 'fails', 'undecided')
    """
    if not math.isfinite(similarity):
        return "fails"
    reach = error * float(stdtrit(copies - 1, 1 - ERROR)) if copies > 1 else math.inf
    if similarity - reach >= least:
        return "passes"
    return "fails" if similarity + reach < least else "undecided"


def _doubts(
    figures: Mapping[str, float],
    percentiles: Mapping[str, float | None],
    probability: float,
    agreement: Sequence[float],
    thresholds: Thresholds,
) -> dict[str, str]:
    doubts: dict[str, str] = {}
    if not probability >= thresholds.unsure:
        doubts["unsure"] = "the network itself is not sure of its answer"
    if not figures.get("similarity", math.nan) >= thresholds.shaky:
        doubts["shaky"] = "it changes visibly when the picture is a little noisy"
    elif _among(percentiles, ("ris", "ros"), thresholds.poor):
        doubts["less-steady"] = "it changes more under noise than most maps of this network"
    if _among(percentiles, ("faithfulness",), thresholds.poor):
        doubts["less-faithful"] = "it tells less of what the network uses than most of its maps"
    if agreement and not sum(agreement) / len(agreement) >= DISAGREE:
        doubts["disagreement"] = "other kinds of map show other things"
    if figures.get("gini", math.nan) < thresholds.diffuse:
        doubts["diffuse"] = "it is spread over much of the picture"
    if not doubts and all(value is None for value in percentiles.values()):
        doubts["no-reference"] = "it passed the checks, but there is no reference of what is usual for this network"
    return doubts


def _among(percentiles: Mapping[str, float | None], names: Sequence[str], worst: float) -> bool:
    known = [value for name in names if (value := percentiles.get(name)) is not None]
    return any(value < worst for value in known)
