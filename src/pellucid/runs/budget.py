"""How long an evaluation will take, and what of it fits into a given time."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from pellucid.core.progress import duration
from pellucid.core.types import Image, Label
from pellucid.data import Dataset
from pellucid.data.splits import Truth
from pellucid.metrics import Metric, PerturbationCurves
from pellucid.metrics.measure import measured
from pellucid.metrics.suite import DEFAULT, MASKED
from pellucid.runs.measurement import Measurement
from pellucid.runs.rows import chosen_images, pictures_at

if TYPE_CHECKING:
    from pellucid.runs.evaluation import Evaluation

__all__ = [
    "ENOUGH",
    "FEWEST",
    "Cost",
    "cost_of",
    "could_be_planned",
    "estimate",
    "leaner",
    "planned",
    "rough_seconds",
]

ENOUGH = 200
"""Images that are measured before more maps and further measures are: of 200, a share is known to 7 points."""
FEWEST = 20
"""Images that are measured whatever they take."""
SPARE = 0.9
"""Share of the time that is planned for; the rest is for reading, writing and what else the machine does."""
PASSES = 1000
"""About how many passes of an image the default evaluation makes, by which a short one is told without timing it."""
LOOKED_AT = 8
"""Images of the pass that tells whether an evaluation may take long."""
PROBE = 3
"""Seconds from which on a timing is taken for what it is; below, more images are timed."""
LONG = 30
"""Seconds from which on it is told beforehand how long an evaluation will take."""


@dataclass(frozen=True)
class Cost:
    """Seconds that each part of an evaluation takes for one image.

    Attributes:
        metrics: by class of the metric with its columns, the metrics of the map once for all methods.
        maps: by name of the saliency method, its map alone.
    """

    metrics: Mapping[str, float]
    maps: Mapping[str, float]

    def of(self, measurement: Measurement) -> float:
        """Seconds that an image takes in an evaluation whose parts were timed.

        Args:
            measurement: of the same metrics and methods, or of fewer.
        """
        total = 0.0
        for metric in measurement.metrics:
            seconds = self.metrics[_key(metric)] * _repeats(metric)
            if metric.about == "network":
                total += seconds
            elif metric.about == "map":
                total += seconds * len(measurement.saliency)
            else:
                total += sum(seconds * self._against_first(name) for name in measurement.stability)
        return total + sum(self.maps[name] for name in measurement.saliency)

    def _against_first(self, name: str) -> float:
        """How many times the first method's map a method's map takes; noisy copies are explained alike."""
        first = next(iter(self.maps.values()))
        return self.maps[name] / first if first > 0 else 1.0


def cost_of(
    measurement: Measurement, model: nn.Module, x: Image, label: Label, index: Sequence[int], truth: Truth | None
) -> Cost:
    """Time each metric once, for the first method's map where it is of maps, and each method's map.

    A curve that averages several draws of noise is timed with one.

    Args:
        measurement: as it will be made.
        model: the network, in eval mode.
        x: (n, c, h, w) a few images in [0, 1].
        label: (n,) their classes.
        index: (n,) their positions.
        truth: what is known of what decides their class.
    """
    case = next(measurement.cases(model, x, label, index, truth))
    n, device = len(case.x), x.device
    _ = case.target  # the first pass, which also warms up
    maps, methods = {}, {}
    for name, saliency in measurement.saliency.items():
        methods[name] = replace(case, saliency=saliency, name=name, explained=case.target)
        maps[name] = _seconds(lambda name=name: methods[name].heatmap, device) / n  # type: ignore[misc]
    first = next(iter(methods.values()))
    metrics = {}
    for metric in measurement.metrics:
        once = replace(metric, repeats=1) if _repeats(metric) > 1 else metric  # type: ignore[type-var]
        seen = case if metric.about == "network" else first
        try:
            metrics[_key(metric)] = _seconds(lambda once=once, seen=seen: measured(once, seen), device) / n  # type: ignore[misc]
        except Exception:  # it fails in the evaluation again, which says why
            metrics[_key(metric)] = 0.0
    return Cost(metrics, maps)


def _key(metric: Metric) -> str:
    return f"{type(metric).__name__} {' '.join(metric.columns)}"


def _repeats(metric: Metric) -> int:
    """How many times the timed part is done; the oracle order has a cost of its own, so it is timed as it is."""
    simple = isinstance(metric, PerturbationCurves) and "oracle" not in metric.orders and metric.fill == "uniform"
    return metric.repeats if simple else 1  # type: ignore[attr-defined]


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    start = now()
    work()
    return now() - start


def rough_seconds(model: nn.Module, x: Image, images: int) -> float:
    """About what a default evaluation takes, within a factor of several, from a pass of a few images.

    Args:
        model: the network, in eval mode.
        x: (n, c, h, w) a few images.
        images: that will be measured.
    """
    with torch.no_grad():
        model(x[:1])
        once = min(_seconds(lambda: model(x), x.device) for _ in range(2))
    return once / len(x) * PASSES * images


def fitted(
    evaluation: "Evaluation",
    measurement: Callable[["Evaluation"], Measurement],
    model: nn.Module,
    dataset: Dataset,
    device: torch.device,
    *,
    processes: int = 1,
    told: bool = True,
) -> "Evaluation":
    """What fits into the evaluation's budget, or the evaluation itself where it has none.

    How long it will take is told on standard error where there is a budget, and where it takes long.

    Args:
        evaluation: what is asked for.
        measurement: the same, or a leaner one, with everything filled in that depends on the images.
        model: the network, in eval mode.
        dataset: the images.
        device: where the network is.
        processes: that share the work.
        told: whether anything is told.
    """

    def pictures(count: int) -> tuple[list[int], Image, Label]:
        index = chosen_images(len(dataset), evaluation)[:count]
        return index, *pictures_at(dataset, index, device)

    most = min(evaluation.images, len(dataset))
    if evaluation.budget is None and rough_seconds(model, pictures(LOOKED_AT)[1], most) < LONG * processes:
        return evaluation
    began, measured, timed = time.perf_counter(), measurement(evaluation), 1
    while True:
        index, x, label = pictures(timed)
        start = time.perf_counter()
        cost = cost_of(measured, model, x, label, index, dataset.truth_of(index))
        if time.perf_counter() - start > PROBE or timed >= min(measured.chunk, most):
            break
        timed *= 4
    made = evaluation
    if evaluation.budget is not None:
        left = max(0.0, evaluation.budget - (time.perf_counter() - began)) * processes
        made = planned(
            evaluation, lambda one: cost.of(measurement(one)), seconds=left, images=len(dataset),
            masks=dataset.truth is not None,
        )  # fmt: skip
    each = cost.of(measurement(made)) / processes
    if told and (evaluation.budget is not None or each * min(made.images, len(dataset)) >= LONG):
        print(f"pellucid: {estimate(evaluation, made, seconds=each, size=len(dataset))}", file=sys.stderr, flush=True)
    return made


def planned(
    evaluation: "Evaluation",
    cost: Callable[["Evaluation"], float],
    *,
    seconds: float,
    images: int,
    masks: bool = False,
) -> "Evaluation":
    """The evaluation that fits into a given time.

    The first of `leaner` evaluations of which the time holds `ENOUGH` images is taken, with as many images as it
    holds; the leanest, with at least `FEWEST`, where it holds fewer of all.

    Args:
        evaluation: what is asked for.
        cost: seconds that an image takes in an evaluation.
        seconds: that there are.
        images: that the split holds.
        masks: whether it is known what decides their class.
    """
    most = min(evaluation.images, images)
    chosen, fitting = evaluation, 0
    for chosen in leaner(evaluation, masks=masks):
        fitting = int(SPARE * seconds / max(cost(chosen), 1e-9))
        if fitting >= min(ENOUGH, most):
            break
    return replace(chosen, images=max(1, min(most, max(fitting, FEWEST))))


def leaner(evaluation: "Evaluation", *, masks: bool = False) -> Iterator["Evaluation"]:
    """The evaluation, then others that each leave out more of what takes long; what a user has set stays.

    First the curves average one draw of the noise instead of five, which leaves their mean over images as it is; then
    only the first method's maps are measured; then no attack is made.

    Args:
        evaluation: what is asked for.
        masks: whether it is known what decides the class of the images.

    >>> from pellucid import Evaluation
    >>> [(one.repeats, len(one.saliency), one.metrics[0]) for one in leaner(Evaluation())]
    [(None, 3, 'default'), (1, 3, 'default'), (1, 1, 'default'), (1, 1, 'gini')]
    """
    usual = type(evaluation)()
    yield evaluation
    if evaluation.repeats is None:
        evaluation = replace(evaluation, repeats=1)
        yield evaluation
    if evaluation.saliency == usual.saliency and set(evaluation.stable()) <= {usual.saliency[0]}:
        evaluation = replace(evaluation, saliency=usual.saliency[:1])
        yield evaluation
    if evaluation.metrics == usual.metrics:
        known = (*DEFAULT, *(MASKED if masks else ()))
        yield replace(evaluation, metrics=tuple(name for name in known if name != "robust_correct"))


def could_be_planned(evaluation: "Evaluation", made: "Evaluation") -> bool:
    """Whether an evaluation is one that `planned` may have made of another.

    >>> from pellucid import Evaluation
    >>> asked = Evaluation(budget=60)
    >>> could_be_planned(asked, replace(asked, images=40, repeats=1)), could_be_planned(asked, replace(asked, seed=1))
    (True, False)
    """
    plans = (plan for masks in (False, True) for plan in leaner(evaluation, masks=masks))
    return made.images <= evaluation.images and any(replace(plan, images=made.images) == made for plan in plans)


def estimate(asked: "Evaluation", made: "Evaluation", *, seconds: float, size: int) -> str:
    """How long an evaluation will take, in one sentence, and what was left out of what was asked for.

    Args:
        asked: the evaluation that was asked for.
        made: the one that will be made.
        seconds: that an image takes.
        size: how many images there are.

    >>> from pellucid import Evaluation
    >>> estimate(Evaluation(), Evaluation(), seconds=2.0, size=90)
    'measuring 90 images takes about 3 min, 2 s each; --minutes, or Evaluation(budget=...) in Python, limits this time'
    >>> estimate(Evaluation(), Evaluation(images=25, repeats=1), seconds=2.0, size=500)
    'measuring 25 images takes about 50 s, 2 s each; left out to fit: 475 images, repeated noise of the curves'
    """
    images = min(made.images, size)
    sentence = f"measuring {images:,} images takes about {duration(seconds * images)}, {seconds:.2g} s each"
    if asked == made:
        return f"{sentence}; --minutes, or Evaluation(budget=...) in Python, limits this time"
    further = min(asked.images, size) - images
    left_out = [f"{further:,} images"] if further else []
    left_out += ["repeated noise of the curves"] if made.repeats != asked.repeats else []
    left_out += [f"{name.replace('_', ' ')} maps" for name in asked.methods() if name not in made.methods()]
    left_out += ["the attack"] if made.metrics != asked.metrics else []
    return sentence + (f"; left out to fit: {', '.join(left_out)}" if left_out else "")
