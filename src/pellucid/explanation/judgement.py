"""May this map be relied upon? Rules that are written down, each with its threshold, and the sentence they make.

A map is judged by what can be measured without knowing the right explanation, so the rules can only speak against it:
passing all of them is no proof. docs/explain.md says why each threshold is where it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["LEVELS", "Judgement", "Level", "judge"]

Level = Literal["do not rely", "with care", "no objection"]

LEVELS: dict[Level, str] = {
    "do not rely": "Do not rely on {map}",
    "with care": "Read {map} with care",
    "no objection": "No check speaks against {map}",
}

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
NOTHING_LOST = 0.01
"""Probability that must be lost somewhere for anything to be tested."""


@dataclass(frozen=True)
class Judgement:
    """What the rules say of one map.

    Attributes:
        level: ``do not rely`` (a check failed), ``with care`` (a check is near to failing or could not be made) or
            ``no objection``.
        sentence: the level and its reasons in plain words.
        reasons: names of the rules behind it: ``flat``, ``untested``, ``unfaithful``, ``prediction-changes``,
            ``unsteady``, ``least-steady``; ``shaky``, ``less-steady``, ``less-faithful``, ``unsure``, ``disagreement``,
            ``no-reference``.
    """

    level: Level
    sentence: str
    reasons: tuple[str, ...]


def judge(
    figures: Mapping[str, float],
    percentiles: Mapping[str, float | None],
    *,
    probability: float,
    agreement: Sequence[float] = (),
    name: str = "this map",
) -> Judgement:
    """Judge one map of one image.

    Not to be relied upon: a flat map; one whose MoRF minus LeRF is not above that of every random map, or where nothing
    that is destroyed changes the answer; a prediction that fewer than half of the noisy copies keep; a map whose rank
    correlation with its noisy copies is below 0.25; one whose RIS or ROS is among the worst 5 % of the reference.

    With care: rank correlation below 0.5; RIS, ROS or faithfulness among the worst quarter of the reference; a
    probability below 0.5; a mean rank correlation with the other methods' maps below 0.2; no reference at all.

    Args:
        figures: `pellucid.explanation.MapFinding.figures`; a missing or NaN number fails the first rules.
        percentiles: of the reference by figure, 100 the best; None where there is none.
        probability: of the explained class.
        agreement: rank correlations with the maps of the other methods.
        name: of the map in the sentence.

    >>> good = {"peak": 1.0, "faithfulness": 0.4, "random_limit": 0.1, "aopc_morf": 0.5, "aopc_lerf": 0.1,
    ...         "random_aopc": 0.2, "stability_coverage": 1.0, "similarity": 0.8, "gini": 0.6}
    >>> judge(good, {"ris": 60.0, "ros": 50.0, "faithfulness": 70.0}, probability=0.9).level
    'no objection'
    >>> judge(good | {"faithfulness": 0.05}, {}, probability=0.9).sentence
    'Do not rely on this map: it is not clearly better than random maps at pointing to what the network uses.'
    """
    fatal = _fatal(figures, percentiles)
    if fatal:
        return _judged("do not rely", name, fatal)
    doubts = _doubts(figures, percentiles, probability, agreement)
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


def _judged(level: Level, name: str, reasons: Mapping[str, str]) -> Judgement:
    sentence = f"{LEVELS[level].format(map=name)}: {_joined(list(reasons.values()))}."
    return Judgement(level, sentence, tuple(reason for reason in reasons if reason))


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _fatal(figures: Mapping[str, float], percentiles: Mapping[str, float | None]) -> dict[str, str]:
    def known(name: str) -> float:
        return figures.get(name, math.nan)

    if not known("peak") > 0 or not known("gini") > 0:
        return {"flat": "it is the same everywhere, so it points at nothing"}
    found: dict[str, str] = {}
    lost = max((abs(known(name)) for name in ("aopc_morf", "aopc_lerf", "random_aopc")), default=math.nan)
    if lost < NOTHING_LOST:
        found["untested"] = "whatever is destroyed, the answer stays, so nothing shows that it is true"
    elif not known("faithfulness") > known("random_limit"):
        found["unfaithful"] = "it is not clearly better than random maps at pointing to what the network uses"
    if not known("stability_coverage") >= COVERAGE:
        found["prediction-changes"] = "noise that is hardly visible changes the prediction itself"
    if not known("similarity") >= UNSTEADY:
        found["unsteady"] = "noise that is hardly visible makes another map of it"
    elif _among(percentiles, ("ris", "ros"), WORST):
        found["least-steady"] = "it changes more under noise than nearly all maps of this network"
    return found


def _doubts(
    figures: Mapping[str, float],
    percentiles: Mapping[str, float | None],
    probability: float,
    agreement: Sequence[float],
) -> dict[str, str]:
    found: dict[str, str] = {}
    if not probability >= UNSURE:
        found["unsure"] = "the network itself is not sure of its answer"
    if not figures.get("similarity", math.nan) >= SHAKY:
        found["shaky"] = "it changes visibly when the picture is a little noisy"
    elif _among(percentiles, ("ris", "ros"), POOR):
        found["less-steady"] = "it changes more under noise than most maps of this network"
    if _among(percentiles, ("faithfulness",), POOR):
        found["less-faithful"] = "it tells less of what the network uses than most of its maps"
    if agreement and not sum(agreement) / len(agreement) >= DISAGREE:
        found["disagreement"] = "other kinds of map show other things"
    if not found and all(value is None for value in percentiles.values()):
        found["no-reference"] = "it passed the checks, but there is no reference of what is usual for this network"
    return found


def _among(percentiles: Mapping[str, float | None], names: Sequence[str], worst: float) -> bool:
    known = [value for name in names if (value := percentiles.get(name)) is not None]
    return any(value < worst for value in known)
