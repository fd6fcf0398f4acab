"""The numbers that people are shown: their order, names, units and plain words, and how they are written."""

import math
from dataclasses import dataclass

from pellucid.metrics.definitions import BARE, COLUMNS, DERIVED, FAMILIES, Column, Family, is_of_map
from pellucid.statistics import Interval

__all__ = [
    "ARROWS",
    "MAIN",
    "MEASURES",
    "Measure",
    "direction",
    "measure_of",
    "saliency_of",
    "saliency_title",
    "written",
]

ARROWS = {"higher": "↑", "lower": "↓", "none": ""}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One shown number.

    Attributes:
        name: as in ``pellucid compare --format json``, without a saliency method's suffix.
        title: at most three words.
        group: the question it helps to answer.
        plain: what it says, for someone who has read no paper.
        question: asked by the verdict, which names the best run; None where another measure speaks for the group.
        scale: the stored value times this is written.
        unit: of the written value.
    """

    name: str
    title: str
    group: str
    plain: str
    question: str | None = None
    scale: float = 1.0
    unit: str = ""

    @property
    def family(self) -> Family:
        """Key of `pellucid.metrics.definitions.FAMILIES`."""
        return (COLUMNS | DERIVED)[self.name].family


PREDICTION, SPARSITY = "Are the predictions right?", "Is the map concentrated?"
FAITHFULNESS, STABILITY = "Does the map tell the truth?", "Is the map steady?"

MAIN = {
    measure.name: measure
    for measure in (
        Measure(
            name="clean_accuracy",
            title="Accuracy",
            group=PREDICTION,
            plain="How many of the test pictures the network names correctly.",
            question="Which network names the most pictures correctly?",
            scale=100,
            unit="%",
        ),
        Measure(
            name="robust_accuracy",
            title="Robust accuracy",
            group=PREDICTION,
            plain="How many it still names correctly after an attacker changed every pixel a little to mislead it.",
            question="Which holds out best against an attacker?",
            scale=100,
            unit="%",
        ),
        Measure(
            name="gini",
            title="Gini index",
            group=SPARSITY,
            plain="How unequally the map is shared out: 0 when all pixels matter alike, near 1 when a few hold it all.",
            question="Which has the most concentrated maps?",
        ),
        Measure(
            name="entropy",
            title="Entropy",
            group=SPARSITY,
            plain="How many different grey levels the map uses: noise uses many, a clean shape few.",
            unit="bit",
        ),
        Measure(
            name="size_kb",
            title="JPEG size",
            group=SPARSITY,
            plain="How large the map is as a compressed picture: a tidy map compresses well.",
            unit="KiB",
        ),
        Measure(
            name="aopc_morf",
            title="MoRF",
            group=FAITHFULNESS,
            plain="Most relevant first: the confidence lost while noise covers the pixels that the map calls relevant. "
            "If the map is true, much is lost.",
            question="Which loses most when the pixels that its map calls relevant are destroyed?",
            scale=1000,
            unit="×10⁻³",
        ),
        Measure(
            name="aopc_lerf",
            title="LeRF",
            group=FAITHFULNESS,
            plain="Least relevant first: the confidence lost while noise covers the pixels that the map calls "
            "irrelevant. If the map is true, hardly any is lost.",
            question="Which minds least when the pixels that its map calls irrelevant are destroyed?",
            scale=1000,
            unit="×10⁻³",
        ),
        Measure(
            name="aopc_rel",
            title="MoRF / LeRF",
            group=FAITHFULNESS,
            plain="How many times more the relevant pixels count than the irrelevant ones. Read it beside the other "
            "two: a network that ignores small changes anywhere scores well too, and where LeRF is about 0 the ratio "
            "says nothing.",
        ),
        Measure(
            name="ris",
            title="RIS",
            group=STABILITY,
            plain="How strongly the map changes when the picture is changed a little and the prediction stays.",
            question="Whose maps stay steadiest when the picture hardly changes?",
        ),
        Measure(
            name="ros",
            title="ROS",
            group=STABILITY,
            plain="The same change of the map, compared with the change of the network's output instead.",
            question="Whose maps change least beside the change of the network’s output?",
        ),
        Measure(
            name="stability_coverage",
            title="Coverage",
            group=STABILITY,
            plain="How many of the changed pictures kept their prediction: RIS and ROS are about these alone.",
            scale=100,
            unit="%",
        ),
    )
}
"""The few numbers that everybody is shown, by name; the verdict speaks of these."""

_GROUPS: dict[Family, str] = {
    "prediction": PREDICTION,
    "robustness": PREDICTION,
    "sparsity": SPARSITY,
    "faithfulness": FAITHFULNESS,
    "stability": STABILITY,
}
_SHARES = ("prediction", "robustness", "masking")
_THOUSANDTHS = ("aopc_random", "area_between")


def _further(name: str, column: Column) -> Measure:
    """A number shown to those who ask for more, in the words of its definition."""
    scale, unit = 1.0, column.unit
    if column.family in _SHARES or name.startswith(("road", "stability_coverage")):
        scale, unit = 100.0, "%"
    elif name in _THOUSANDTHS:
        scale, unit = 1000.0, "×10⁻³"
    group = _GROUPS.get(column.family, FAMILIES[column.family])
    return Measure(name=name, title=column.title, group=group, plain=column.definition, scale=scale, unit=unit)


def _all() -> dict[str, Measure]:
    shown = {name: column for name, column in COLUMNS.items() if not column.curve} | DERIVED
    for name in ("index", "label", "prediction", "score", "robust_correct"):
        del shown[name]
    everything = {name: MAIN.get(name) or _further(name, column) for name, column in shown.items()}
    families = list(FAMILIES)
    groups = {measure.group: None for measure in MAIN.values()} | {
        everything[name].group: None for name in sorted(shown, key=lambda name: families.index(shown[name].family))
    }
    order = [group for group in groups if not is_of_map(_first(everything, group))]
    order += [group for group in groups if group not in order]
    return dict(
        sorted(
            everything.items(),
            key=lambda item: (order.index(item[1].group), item[0] not in MAIN, *_place(item[0])),
        )
    )


def _first(everything: dict[str, Measure], group: str) -> str:
    return next(name for name, measure in everything.items() if measure.group == group)


def _place(name: str) -> tuple[int, ...]:
    return (list(MAIN).index(name),) if name in MAIN else (len(MAIN),)


MEASURES = _all()
"""By name, in the order of every table: those that need no map, then question by question, the main ones first."""


def measure_of(name: str) -> Measure:
    """The measure of a metric name, with or without a saliency method's suffix.

    >>> measure_of("gini/smoothgrad").title
    'Gini index'
    """
    return MEASURES[name.partition("/")[0]]


def saliency_of(name: str) -> str | None:
    """The saliency method of a metric name; None for those that need no map, such as the accuracies.

    >>> saliency_of("gini"), saliency_of("gini/smoothgrad"), saliency_of("clean_accuracy")
    ('vanilla_gradient', 'smoothgrad', None)
    """
    return name.partition("/")[2] or BARE if is_of_map(name) else None


def saliency_title(method: str) -> str:
    """How a saliency method is called in text.

    >>> saliency_title("vanilla_gradient"), saliency_title("integrated_gradients")
    ('Vanilla gradient', 'Integrated gradients')
    """
    return {"smoothgrad": "SmoothGrad"}.get(method, method.replace("_", " ").capitalize())


def direction(name: str) -> str:
    """Which way is better: ``higher``, ``lower`` or ``none``.

    >>> direction("gini/smoothgrad"), direction("aopc_lerf"), direction("aopc_rel")
    ('higher', 'lower', 'higher')
    """
    return (COLUMNS | DERIVED)[name.partition("/")[0]].direction


def written(interval: Interval, name: str) -> tuple[str, str, str]:
    """Mean, low and high in the measure's unit, with as many digits as the interval supports.

    The half width gets one digit, or two where the first is 1 or 2, and decides for all three; none gets more than four
    digits. Where the interval spans more than a factor of ten, each number gets two digits. An interval that is empty
    or not finite is written as dashes.

    >>> written(Interval(0.86123, 0.8393, 0.8831, 1000), "clean_accuracy")
    ('86.1', '83.9', '88.3')
    >>> written(Interval(0.86123, 0.8231, 0.8993, 100), "clean_accuracy")
    ('86', '82', '90')
    >>> written(Interval(963.4, 812.0, 1120.0, 1000), "aopc_rel")
    ('960', '810', '1120')
    """
    scale = measure_of(name).scale
    mean, low, high = (value * scale for value in (interval.mean, interval.low, interval.high))
    if not interval.n or not all(map(math.isfinite, (mean, low, high))):
        return "–", "–", "–"
    if high > 10 * low > 0 and mean > 0:
        first, second, third = (_number(value, 1 - math.floor(math.log10(value))) for value in (mean, low, high))
        return first, second, third
    decimals = _decimals(high / 2 - low / 2, max(abs(low), abs(high)))
    return _number(mean, decimals), _number(low, decimals), _number(high, decimals)


def _decimals(half_width: float, largest: float) -> int:
    most = 3 - math.floor(math.log10(largest)) if largest else 0
    if not half_width:
        return most
    exponent = math.floor(math.log10(half_width))
    return min(most, -exponent + int(half_width < 3 * 10.0**exponent))


def _number(value: float, decimals: int) -> str:
    """``value`` rounded to ``decimals`` (negative: to tens, hundreds), with a real minus sign and no negative zero."""
    text = f"{round(value, max(decimals, -300)) + 0.0:.{max(0, decimals)}f}"
    return text.replace("-", "−")
