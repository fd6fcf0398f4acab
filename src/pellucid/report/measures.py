"""Measures by name alone, for pages that know a number by its name: see `pellucid.runs.measures`."""

from pellucid.runs.measures import ARROWS, KNOWN, Measure, ordered, saliency_title, written as written_as
from pellucid.statistics import Interval

__all__ = [
    "ARROWS",
    "KNOWN",
    "Measure",
    "direction",
    "measure_of",
    "ordered",
    "saliency_of",
    "saliency_title",
    "written",
]


def measure_of(name: str) -> Measure:
    """The measure of a metric name, with or without a saliency method's suffix.

    >>> measure_of("gini/smoothgrad").title
    'Gini index'
    """
    return Measure.named(name)


def saliency_of(name: str) -> str | None:
    """The saliency method of a metric name; None for those that need no map, such as the accuracies.

    >>> saliency_of("gini"), saliency_of("gini/smoothgrad"), saliency_of("clean_accuracy")
    ('vanilla_gradient', 'smoothgrad', None)
    """
    return Measure.named(name).saliency


def direction(name: str) -> str:
    """Which way is better: ``higher``, ``lower`` or ``none``.

    >>> direction("gini/smoothgrad"), direction("aopc_lerf"), direction("aopc_rel")
    ('higher', 'lower', 'higher')
    """
    return Measure.named(name).column.direction


def written(interval: Interval, name: str) -> tuple[str, str, str]:
    """`pellucid.runs.measures.written` by the measure's name."""
    return written_as(interval, Measure.named(name))
