"""Was it worth it? One sentence from the differences between the tuned network and its control. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pellucid.report.contrasts import p_value
from pellucid.statistics import Interval
from pellucid.statistics.comparison import holm

__all__ = ["GOALS", "Ending", "Goal", "Verdict", "verdict"]

Ending = Literal["worth it", "a trade", "no gain", "cannot be told"]

ALLOWED = 0.01
"""Accuracy that a better map may cost."""
ALPHA = 0.05
FEWEST = 20
"""Photographs below which nothing is told."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A number that a tuning is to improve.

    Attributes:
        name: of the measure.
        sign: 1 where higher is better, -1 where lower is.
        words: what has happened where it got better, with the change in place of ``{}``.
        percent: whether the change is told in points of a percentage; otherwise as a percentage of the control's value.
    """

    name: str
    sign: int
    words: str
    percent: bool = False


GOALS = (
    Goal(name="mass", sign=1, words="{} more of the map lies on the object", percent=True),
    Goal(name="ris", sign=-1, words="maps change {} less when the photograph is a little noisy"),
    Goal(name="gini", sign=1, words="maps are {} sparser by the Gini index"),
    Goal(
        name="no_objection", sign=1, words="trust cards have no objection on {} more of the photographs", percent=True
    ),
)
"""What is tested, declared before anything is measured; Holm's correction is over those that were measured."""


@dataclass(frozen=True)
class Verdict:
    """How a tuning ended.

    Attributes:
        ending: in two or three words.
        sentence: what was gained, what it cost, whether it is worth it.
        gained: names of the goals that are shown to be better.
        lost: names of those that are shown to be worse.
    """

    ending: Ending
    sentence: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]


def verdict(
    differences: Mapping[str, Interval],
    control: Mapping[str, float],
    accuracy: Interval,
    *,
    step: float,
) -> Verdict:
    """Judge the tuned network against its control.

    It is worth it where a goal is shown to be better, none to be worse, and accuracy is not below the control's by more
    than a point; a trade where something is better and something worse; no gain where nothing is shown to be better.

    Args:
        differences: by goal, tuned minus control with its paired interval.
        control: by goal, the control's own value.
        accuracy: tuned minus control, in shares.
        step: seconds of a training step as a multiple of the control's.

    >>> sparser, same = Interval(0.05, 0.04, 0.06, 200), Interval(0.0, -0.01, 0.01, 200)
    >>> verdict({"gini": sparser}, {"gini": 0.5}, same, step=2).sentence
    'Worth it: maps are 10 % sparser by the Gini index; accuracy changes by +0.0 points [−1.0, +1.0]; a step ...'
    """
    goals = [goal for goal in GOALS if goal.name in differences and differences[goal.name].n >= FEWEST]
    if not goals:
        return Verdict(
            "cannot be told", f"Fewer than {FEWEST} photographs were measured, which is too few to tell.", (), ()
        )
    p_values = holm([p_value(differences[goal.name]) for goal in goals])
    shown = {
        goal: goal.sign * differences[goal.name].mean for goal, p in zip(goals, p_values, strict=True) if p < ALPHA
    }
    gained = [goal for goal, change in shown.items() if change > 0]
    lost = [goal for goal, change in shown.items() if change < 0]
    dearer = accuracy.mean < -ALLOWED
    cost = f"{_accuracy(accuracy)}; a step took {step:.1f} times as long"
    names = tuple(goal.name for goal in gained), tuple(goal.name for goal in lost)
    if not gained:
        tested = _listed([NAMES[goal.name] for goal in goals])
        worse = f", and {_listed([NAMES[goal.name] for goal in lost])} got worse" if lost else ""
        sentence = f"No gain, keep the control: no improvement of {tested} is shown{worse}; {cost}."
        return Verdict("no gain", sentence, *names)
    better = _listed([_change(goal, differences, control) for goal in gained])
    if lost or dearer:
        against = f", but {_listed([NAMES[goal.name] for goal in lost])} got worse" if lost else ""
        return Verdict("a trade", f"A trade: {better}{against}; {cost}.", *names)
    return Verdict("worth it", f"Worth it: {better}; {cost}.", *names)


NAMES = {
    "mass": "the share of the map on the object",
    "ris": "steadiness (RIS)",
    "gini": "sparsity (Gini)",
    "no_objection": "the share of cards without objection",
}


def _accuracy(difference: Interval) -> str:
    """The change of accuracy in points with its interval, so that few photographs are not taken for a proof."""
    numbers = difference.mean, difference.low, difference.high
    mean, low, high = (f"{100 * number:+.1f}".replace("-", "−") for number in numbers)
    return f"accuracy changes by {mean} points [{low}, {high}]"


def _change(goal: Goal, differences: Mapping[str, Interval], control: Mapping[str, float]) -> str:
    change, before = abs(differences[goal.name].mean), abs(control[goal.name])
    if goal.percent:
        return goal.words.format(f"{100 * change:.0f} points")
    return goal.words.format(f"{100 * change / before:.0f} %" if before else "clearly")


def _listed(parts: Sequence[str]) -> str:
    """Parts of a sentence with commas between, and ``and`` before the last."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
