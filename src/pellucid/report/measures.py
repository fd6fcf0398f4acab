"""How measures and saliency methods are written for people."""

import math

from pellucid.runs.measures import Measure
from pellucid.statistics import Interval

__all__ = ["saliency_title", "spoken_saliency", "written"]

TITLES = {
    "smoothgrad": "SmoothGrad",
    "gradcam": "Grad-CAM",
    "gradcam_plus_plus": "Grad-CAM++",
    "layercam": "LayerCAM",
    "rollout": "Attention rollout",
}
"""Names of methods that are not written as words."""


def saliency_title(method: str) -> str:
    """How a saliency method is called in text.

    >>> saliency_title("vanilla_gradient"), saliency_title("gradcam")
    ('Vanilla gradient', 'Grad-CAM')
    """
    return TITLES.get(method, method.replace("_", " ").capitalize())


def spoken_saliency(method: str) -> str:
    """The title of a kind of map within a sentence.

    >>> spoken_saliency("vanilla_gradient"), spoken_saliency("smoothgrad")
    ('vanilla gradient', 'SmoothGrad')
    """
    title = saliency_title(method)
    return title.lower() if title == title.capitalize() else title


def written(interval: Interval, measure: Measure) -> tuple[str, str, str]:
    """Mean, low and high in the measure's unit, with as many digits as the interval supports.

    The half width gets one digit, or two where the first is 1 or 2, and decides for all three; none gets more than four
    digits. Where the interval spans more than a factor of ten, each number gets two digits. An interval that is empty
    or not finite is written as dashes.

    Args:
        interval: of stored numbers.
        measure: what they are.

    >>> written(Interval(0.86123, 0.8393, 0.8831, 1000), Measure.named("clean_accuracy"))
    ('86.1', '83.9', '88.3')
    >>> written(Interval(0.86123, 0.8231, 0.8993, 100), Measure.named("clean_accuracy"))
    ('86', '82', '90')
    >>> written(Interval(963.4, 812.0, 1120.0, 1000), Measure.named("aopc_rel"))
    ('960', '810', '1120')
    """
    mean, low, high = (value * measure.scale for value in (interval.mean, interval.low, interval.high))
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
