"""The checks of a trust card: for each question what was found, what was asked for, and how it came out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import bdtr, bdtrc, stdtrit

from pellucid.core.errors import InputError

__all__ = ["ASKED", "About", "Check", "Counts", "Outcome", "Thresholds", "checks"]

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

Outcome = Literal["passes", "care", "undecided", "fails", "not made"]
"""``care`` is a doubt; ``undecided`` cannot be told from the draws; ``not made`` had nothing to compare with."""
About = Literal["map", "network", "test"]
"""What is at fault where a check does not pass; of ``test`` neither the map nor the network."""

Known = Callable[[str], float]
"""A figure by name, NaN where there is none."""

ASKED: tuple[Outcome, ...] = ("fails", "undecided", "care")
"""Outcomes that speak against a map, or ask for care."""


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

    Raises:
        InputError: a number outside its range.
    """

    unsteady: float = UNSTEADY
    shaky: float = SHAKY
    poor: float = POOR
    unsure: float = UNSURE
    diffuse: float = DIFFUSE

    def __post_init__(self) -> None:
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise InputError(f"{name} must be in [{least:g}, {most:g}], got {value!r}")

    @classmethod
    def calibrated(cls) -> "Thresholds":
        """Those that were chosen on one truth set, so that maps without objection are mostly true as often as possible.

        On another truth set they said it of maps that were mostly true far oftener than all maps were; the numbers are
        in ``results/trust-card.md``. Maps of ordinary networks seldom reach the Gini index that they ask for.
        """
        return cls(shaky=0.7, poor=10.0, diffuse=0.75)


RANGES = {"unsteady": (-1, 1), "shaky": (-1, 1), "poor": (0, 100), "unsure": (0, 1), "diffuse": (0, 1)}
"""What each threshold may be."""


@dataclass(frozen=True)
class Counts:
    """What the figures were counted over.

    Attributes:
        random_maps: random maps; each is one with its order reversed, too.
        predictions: noisy copies whose prediction was looked at.
        maps: noisy copies whose map was made.
        more: True where a full card would take more of them.
        sigma: standard deviation of the noise of the copies, where black is 0 and white 1.
    """

    random_maps: int
    predictions: int
    maps: int
    more: bool = False
    sigma: float = 0.05

    @property
    def noise(self) -> str:
        """The noise in words.

        >>> Counts(19, 20, 3).noise
        'slight noise (σ 0.05)'
        """
        return f"slight noise (σ {self.sigma:g})"


@dataclass(frozen=True)
class Check:
    """One question about a map, its answer, and what was asked for.

    Attributes:
        question: in plain words.
        about: what is at fault where it does not pass.
        found: what was measured, in words.
        asked: the threshold, in words.
        outcome: how it came out.
        rule: name of the rule that speaks; empty where the check passes or was not made.
        reason: what the sentence of the card says of it; empty likewise.
    """

    question: str
    about: About
    found: str
    asked: str
    outcome: Outcome
    rule: str = ""
    reason: str = ""


def checks(
    figures: Mapping[str, float],
    percentiles: Mapping[str, float | None],
    *,
    counts: Counts,
    probability: float,
    agreement: Sequence[float] = (),
    thresholds: Thresholds = Thresholds(),
) -> tuple[Check, ...]:
    """Every check of one map of one image, in the order in which a card tells them.

    Args:
        figures: numbers by name, as in `pellucid.explanation.card.FIGURES`.
        percentiles: of the reference by figure, 100 the best; None where there is none.
        counts: what the figures were counted over.
        probability: of the explained class.
        agreement: rank correlations with the maps of the other methods.
        thresholds: others than the package's.

    >>> figures = {"gini": 0.6, "stability_coverage": 0.2}
    >>> [check.outcome for check in checks(figures, {}, counts=Counts(19, 20, 3), probability=0.9)[:4]]
    ['passes', 'passes', 'fails', 'fails']
    """

    def known(name: str) -> float:
        return figures.get(name, math.nan)

    flat = not known("gini") > 0
    of_map = (
        [_pointing(known("gini"), flat=flat), _tested(known), _faithful_check(known, counts)],
        [
            _steady_check(known, counts, thresholds),
            _usual("Is it as steady as this network's other maps?", "steadier", percentiles, ("ris", "ros"), WORST,
                   thresholds.poor),
            _usual("Is it as faithful as this network's other maps?", "more faithful", percentiles, ("faithfulness",),
                   None, thresholds.poor),
            *_agreement(agreement),
            *_diffuse(known("gini"), thresholds.diffuse),
        ],
    )  # fmt: skip
    if flat:  # nothing else about such a map means anything
        of_map = (of_map[0][:1], [])
    elif of_map[0][1].outcome == "fails":
        of_map[0][2] = Check(
            of_map[0][2].question, "map", "not measured, because covering changes nothing", "95 %", "not made"
        )
    return (*of_map[0], _kept_check(known, counts), _sure(probability, thresholds.unsure), *of_map[1])


def _pointing(gini: float, *, flat: bool) -> Check:
    question = "Does the map point at anything?"
    if flat:
        why = "it is the same everywhere, so it points at nothing"
        return Check(question, "map", "the same everywhere", "not the same everywhere", "fails", "flat", why)
    return Check(question, "map", f"yes, sparsity (Gini) {_number(gini)}", "not the same everywhere", "passes")


def _tested(known: Known) -> Check:
    lost = max((abs(known(name)) for name in ("aopc_morf", "aopc_lerf", "random_aopc")), default=math.nan)
    question, asked = "Does covering parts of the picture change the answer?", "1 point of confidence"
    found = f"by {100 * lost:.0f} points of confidence at most, on average" if math.isfinite(lost) else "not known"
    if lost < NOTHING_LOST:
        why = "the answer stays the same whatever is covered, so nothing shows what the network uses"
        return Check(question, "test", "by less than 1 point of confidence", asked, "fails", "untested", why)
    return Check(question, "test", found, asked, "passes")


def _faithful_check(known: Known, counts: Counts) -> Check:
    faithfulness, beats = known("faithfulness"), known("beats_random")
    outcome = _faithful(faithfulness, beats, counts.random_maps)
    question = "Does it find what the network uses better than random maps do?"
    many = 2 * counts.random_maps
    found = f"better than {round(beats * many)} of {many} random maps" if math.isfinite(beats) else "not known"
    rule = why = ""
    if outcome == "fails" and not faithfulness > 0:
        found = "what it marks most counts no more than what it marks least"
        rule, why = "unfaithful", "what it marks most matters no more to the network than what it marks least"
    elif outcome == "fails":
        rule, why = "unfaithful", "random maps often find what the network uses just as well"
    elif outcome == "undecided":
        rule, why = "hardly-faithful", "some random maps find what the network uses just as well"
    return Check(question, "map", found, f"{100 - 100 * AS_GOOD:g} % of random maps", outcome, rule, why)


def _kept_check(known: Known, counts: Counts) -> Check:
    coverage = known("stability_coverage")
    outcome = _kept(coverage, counts.predictions)
    copies = counts.predictions
    found = f"on {round(coverage * copies)} of {copies} noisy copies" if math.isfinite(coverage) else "not known"
    rule, why = {
        "fails": ("prediction-changes", f"{counts.noise} changes the prediction more often than not"),
        "undecided": ("prediction-wavers", f"{counts.noise} changes the prediction about every other time"),
    }.get(outcome, ("", ""))
    question = f"Does the network keep its answer under noise (σ {counts.sigma:g})?"
    return Check(
        question, "network", found, f"{COVERAGE:.0%} of all noisy copies".replace("%", " %"), outcome, rule, why
    )


def _sure(probability: float, least: float) -> Check:
    question, asked = "Is the network sure of its answer?", f"{100 * least:.0f} %"
    found = f"{100 * probability:.0f} %" if math.isfinite(probability) else "not known"
    if not probability >= least:
        why = f"the network itself is not sure of its answer ({found})"
        return Check(question, "network", found, asked, "care", "unsure", why)
    return Check(question, "network", found, asked, "passes")


def _steady_check(known: Known, counts: Counts, thresholds: Thresholds) -> Check:
    similarity = known("similarity")
    outcome: Outcome = _steady(similarity, known("similarity_error"), counts.maps, least=thresholds.unsteady)
    if outcome == "passes" and not similarity >= thresholds.shaky:
        outcome = "care"
    rule, why = {
        "fails": ("unsteady", f"it changes strongly under {counts.noise}"),
        "undecided": ("hardly-steady", f"it may change strongly under {counts.noise}"),
        "care": ("shaky", f"it changes visibly under {counts.noise}"),
    }.get(outcome, ("", ""))
    copies = f"{counts.maps} noisy cop{'y' if counts.maps == 1 else 'ies'}"
    found = f"rank correlation {_number(similarity)} with the maps of {copies}"
    asked = f"{thresholds.unsteady:g}; {thresholds.shaky:g} to be read without care"
    question = f"Does the map stay the same under noise (σ {counts.sigma:g})?"
    return Check(question, "map", found, asked, outcome, rule, why)


def _usual(
    question: str, better: str, percentiles: Mapping[str, float | None], names: Sequence[str], worst: float | None,
    poor: float,
) -> Check:  # fmt: skip
    """Where the map stands among those of the reference, by the worst of some figures."""
    standing = min((value for name in names if (value := percentiles.get(name)) is not None), default=None)
    asked = f"{poor:g} % of the reference" if worst is None else f"{worst:g} %; {poor:g} % to be read without care"
    if standing is None:
        return Check(question, "map", "no reference", asked, "not made")
    found = f"{better} than {standing:.0f} % of the reference"
    if worst is not None and standing < worst:
        why = "it changes more under noise than nearly all maps of this network"
        return Check(question, "map", found, asked, "fails", "least-steady", why)
    if standing < poor and worst is not None:
        why = "it changes more under noise than most maps of this network"
        return Check(question, "map", found, asked, "care", "less-steady", why)
    if standing < poor:
        why = "it shows less of what the network uses than most of its maps"
        return Check(question, "map", found, asked, "care", "less-faithful", why)
    return Check(question, "map", found, asked, "passes")


def _agreement(agreement: Sequence[float]) -> list[Check]:
    if not agreement:
        return []
    mean = sum(agreement) / len(agreement)
    question, asked = "Do maps of other kinds mark the same places?", f"{DISAGREE:g}"
    found = f"mean rank correlation {_number(mean)}"
    if not mean >= DISAGREE:
        return [Check(question, "map", found, asked, "care", "disagreement", "maps of other kinds mark other places")]
    return [Check(question, "map", found, asked, "passes")]


def _diffuse(gini: float, least: float) -> list[Check]:
    if not least > 0:
        return []
    question, found, asked = "Is the map concentrated?", f"sparsity (Gini) {_number(gini)}", f"{least:g}"
    if gini < least:
        return [Check(question, "map", found, asked, "care", "diffuse", "it is spread over much of the picture")]
    return [Check(question, "map", found, asked, "passes")]


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−") if math.isfinite(value) else "not known"


def _faithful(faithfulness: float, beats: float, random_maps: int) -> Literal["passes", "undecided", "fails"]:
    """Is it likelier than not by chance that no more than 5 % of random maps are as faithful?

    A random map and its reverse are equally random and have opposite values, so that of k random maps as far from 0 as
    the map, a random map has as many or fewer with a probability of (k + 1) / (2 (random_maps + 1)); and k is binomial
    with twice the share of random maps that are as faithful. At or below 0 half of all random maps are, draws or not.

    >>> [_faithful(0.1, 1 - k / 38, 19) for k in (0, 1, 2, 4, 5)]
    ['passes', 'passes', 'undecided', 'undecided', 'fails']
    """
    if not (faithfulness > 0 and math.isfinite(beats)):
        return "fails"
    as_good = min(random_maps, max(0, round((1 - beats) * 2 * random_maps)))
    if (as_good + 1) / (2 * (random_maps + 1)) <= ERROR:
        return "passes"
    return "fails" if bdtrc(as_good - 1, random_maps, 2 * AS_GOOD) <= ERROR else "undecided"


def _kept(coverage: float, copies: int) -> Literal["passes", "undecided", "fails"]:
    """Do at least half of all noisy copies keep the prediction? Binomial.

    >>> [_kept(kept / 20, 20) for kept in (5, 6, 14, 15)]
    ['fails', 'undecided', 'undecided', 'passes']
    """
    if not math.isfinite(coverage):
        return "fails"
    kept = min(copies, max(0, round(coverage * copies)))
    if bdtrc(kept - 1, copies, COVERAGE) <= ERROR:
        return "passes"
    return "fails" if bdtr(kept, copies, COVERAGE) <= ERROR else "undecided"


def _steady(
    similarity: float, error: float, copies: int, *, least: float = UNSTEADY
) -> Literal["passes", "undecided", "fails"]:
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
