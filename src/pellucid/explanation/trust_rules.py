"""May this map be relied upon? Rules that are written down, each with its threshold, and the sentence they make.

A map is judged by what can be measured without knowing the right explanation, so the rules can only speak against it:
passing all of them is no proof. What is counted over draws fails a rule only where the draws show it, and passes it
only where they show that; between lies a third answer. docs/explain.md says why each threshold is where it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pellucid.explanation.trust_checks import ASKED, Check, Counts, Thresholds, checks

__all__ = ["LEVELS", "Counts", "Fault", "Judgement", "Level", "Thresholds", "judge"]

Level = Literal["do not rely", "undecided", "with care", "no objection"]

LEVELS: dict[Level, str] = {
    "do not rely": "Do not rely on {map}",
    "undecided": "This card cannot tell whether {map} can be relied on",
    "with care": "Read {map} with care",
    "no objection": "No check speaks against {map}",
}

Fault = Literal["map", "network", "both", "neither"]
"""What the checks that did not pass are about."""

FAULTS: dict[tuple[bool, Fault], str] = {
    (True, "map"): "The map is at fault, not the network, which keeps its answer when the picture is a little noisy",
    (True, "network"): "The network is at fault, not the map: no map can explain such an answer",
    (True, "both"): "The map and the network are both at fault",
    (True, "neither"): "It is not known whether the map or the network is at fault: the test says nothing here",
    (False, "map"): "The doubt is about the map, not the network",
    (False, "network"): "The doubt is about the network, not the map",
    (False, "both"): "The doubt is about both the map and the network",
    (False, "neither"): "",
}
"""What is at fault in words, where a map is refused and where it is doubted."""


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
        fault: what the checks that did not pass are about.
        checks: all that were made.
    """

    level: Level
    sentence: str
    reasons: tuple[str, ...]
    fault: Fault = "neither"
    checks: tuple[Check, ...] = ()


def judge(
    figures: Mapping[str, float],
    percentiles: Mapping[str, float | None],
    *,
    counts: Counts,
    probability: float,
    agreement: Sequence[float] = (),
    name: str = "this map",
    thresholds: Thresholds | None = None,
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
        thresholds: the package's by default; others for a calibration.

    >>> good = {"faithfulness": 0.4, "beats_random": 1.0, "aopc_morf": 0.5, "aopc_lerf": 0.1,
    ...         "random_aopc": 0.2, "stability_coverage": 1.0, "similarity": 0.8, "similarity_error": 0.01, "gini": 0.6}
    >>> quick, usual = Counts(random_maps=19, predictions=20, maps=3, more=True), {"ris": 60.0, "faithfulness": 70.0}
    >>> judge(good, usual, counts=quick, probability=0.9).level
    'no objection'
    >>> judge(good | {"beats_random": 0.6}, usual, counts=quick, probability=0.9).sentence
    'Do not rely on this map: random maps often find what the network uses just as well. The map is at fault, ...'
    >>> judge(good | {"beats_random": 0.92}, usual, counts=quick, probability=0.9).level
    'undecided'
    """
    given: dict[str, Any] = {"counts": counts, "probability": probability, "agreement": agreement}
    made = checks(figures, percentiles, **given, thresholds=thresholds or Thresholds())
    spoken = _spoken(made)
    fails = [check for check in spoken if check.outcome == "fails"]
    undecided = [check for check in spoken if check.outcome == "undecided"]
    doubts = [check for check in spoken if check.outcome == "care"]
    if fails:
        return _judged("do not rely", name, fails, made)
    if undecided and counts.more:
        return _judged("undecided", name, undecided, made)
    if not undecided and not doubts and all(value is None for value in percentiles.values()):
        doubts = [NO_REFERENCE]
    if undecided or doubts:
        return _judged("with care", name, [*undecided, *doubts], made)
    return _judged("no objection", name, [], made)


NO_REFERENCE = Check(
    question="Are there reference pictures to compare with?",
    about="test",
    found="no",
    asked="yes",
    outcome="not made",
    rule="no-reference",
    reason="it passed the checks, but there are no reference pictures to compare it with",
)
PASSED = (
    "what it marks matters more to the network than what random maps mark, and it hardly changes when the picture is a "
    "little noisy; that is no proof that it is right"
)


def _spoken(made: Sequence[Check]) -> list[Check]:
    """The checks that speak; that a map is less steady than usual goes without saying of one that is not steady."""
    spoken = [check for check in made if check.outcome in ASKED]
    rules = {check.rule for check in spoken}
    silent = {"less-steady"} if rules & {"unsteady", "hardly-steady", "shaky"} else set()
    silent |= {"least-steady"} if "unsteady" in rules else set()
    return [check for check in spoken if check.rule not in silent]


def _judged(level: Level, name: str, against: Sequence[Check], made: tuple[Check, ...]) -> Judgement:
    reasons = [check.reason for check in against] or [PASSED]
    about = {check.about for check in made if check.outcome in ASKED} & {"map", "network"}
    fault: Fault = "both" if len(about) == 2 else "map" if "map" in about else "network" if about else "neither"
    at_fault = FAULTS[level == "do not rely", fault]
    sentence = f"{LEVELS[level].format(map=name)}: {_joined(reasons)}." + (f" {at_fault}." if at_fault else "")
    return Judgement(level, sentence, tuple(check.rule for check in against), fault, made)


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
