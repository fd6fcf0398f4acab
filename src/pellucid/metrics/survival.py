"""Do maps survive when the network's layers are made random: a verdict from one value per image. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError
from pellucid.statistics import Interval, mean_interval

__all__ = ["THRESHOLD", "Survival", "survives"]

THRESHOLD = 0.5
"""Mean rank correlation with the map of a fully random network above which a map is said to survive."""


@dataclass(frozen=True)
class Survival:
    """Whether maps survive randomisation.

    Attributes:
        verdict: ``survives``, ``falls``, or ``unclear`` where the images are too few to tell.
        layers: mean rank correlation after each layer, in the order in which layers were made random.
        baselines: mean similarities to compare with, by name.
        threshold: the mean above which the last of ``layers`` survives.
    """

    verdict: Literal["survives", "falls", "unclear"]
    layers: dict[str, Interval]
    baselines: dict[str, Interval] = field(default_factory=dict)
    threshold: float = THRESHOLD

    @property
    def last(self) -> Interval:
        """Mean rank correlation with the maps of the network whose every layer is random."""
        return list(self.layers.values())[-1]

    def sentence(self) -> str:
        """The verdict with its numbers, for a report.

        >>> survives({"fc": [0.9, 0.9], "conv": [0.8, 0.8]}, baselines={"an edge map": [0.4, 0.4]}).sentence()
        'The maps survive when every layer is random: rank correlation 0.80 [0.80, 0.80] on 2 images, above 0.5. Most of
        what they show is the images, not what the network has learned. For comparison: an edge map 0.40 [0.40, 0.40].'
        """
        if not self.last.n:
            return "Whether the maps survive when every layer is random was measured on no image."
        images = "1 image" if self.last.n == 1 else f"{self.last.n} images"
        numbers = f"when every layer is random: rank correlation {_written(self.last)} on {images}"
        match self.verdict:
            case "survives":
                said = (
                    f"The maps survive {numbers}, above {self.threshold:g}. Most of what they show is the images, not "
                    "what the network has learned."
                )
            case "falls":
                said = (
                    f"The maps do not survive {numbers}, not above {self.threshold:g}. They show more than the images, "
                    "which does not mean that they are right."
                )
            case _:
                said = (
                    f"There are too few images to tell whether the maps survive {numbers}, around {self.threshold:g}."
                )
        if self.baselines:
            compared = ", ".join(f"{name} {_written(interval)}" for name, interval in self.baselines.items())
            said += f" For comparison: {compared}."
        return said


def survives(
    similarity: Mapping[str, npt.ArrayLike],
    *,
    baselines: Mapping[str, npt.ArrayLike] | None = None,
    threshold: float = THRESHOLD,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Survival:
    r"""Flag a saliency method whose maps stay the same when every layer of the network is random.

    The verdict is ``survives`` where the interval of the mean rank correlation after the last layer lies above the
    threshold, ``falls`` where it does not reach above it, ``unclear`` between. The interval speaks about other images,
    not about other random networks.

    Why 0.5. Write the ranks of the map as s + a, those of a random network's map as s + b, where s is what image and
    architecture alone decide and a, b are what each network's weights add. Where both have the same variance, their
    correlation is var(s) / (var(s) + var(a)): the share of the map that is there without any training. Above a half,
    the larger part of the map is not about the trained network.

    What the verdict does not say. Only the fully random network decides: after its last layers alone, a network keeps
    features that the image decides, and a faithful map keeps them too (Binder et al. 2023). A high value may come from
    the images rather than the method: a map that is multiplied by the image is 0 wherever the background is black, for
    every network (Yona and Greenfeld 2021). It is flagged all the same, since what such maps of two networks have in
    common cannot tell these apart; ``baselines`` say where it comes from. And a low value is no praise: noise falls,
    too. On 200 Fashion-MNIST images and LeNet-5 the absolute vanilla gradient has 0.36, SmoothGrad 0.34, integrated
    gradients 0.88, an edge map 1; signed, all but the edge map have 0.

    Args:
        similarity: for each layer's name, in the order in which layers were made random, (n,) rank correlations in
            [-1, 1], as `pellucid.metrics.randomisation_similarity` gives them; NaN is dropped.
        baselines: similarities to compare with, (n,) each, such as those of
            `pellucid.metrics.sanity.baseline_similarity`; they do not change the verdict.
        threshold: in (0, 1).
        confidence: of every interval, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Returns:
        Verdict, intervals and a sentence. With fewer than two images the verdict is ``unclear``.

    Raises:
        InputError: no layer, values that are no correlations, layers of different numbers of images, a threshold out
            of range.

    >>> survives({"fc": [0.8, 0.9, 0.7], "conv": [0.1, 0.3, 0.2]}).verdict
    'falls'

    Source: Adebayo et al. 2018, "Sanity checks for saliency maps", section 3.1, which has no threshold; Binder et al.
    2023, "Shortcomings of top-down randomization-based sanity checks for evaluations of deep neural network
    explanations"; Yona and Greenfeld 2021, "Revisiting sanity checks for saliency maps".
    """
    if not similarity:
        raise InputError("similarity must have at least one layer, got none")
    if not 0 < threshold < 1:
        raise InputError(f"threshold must be in (0, 1), got {threshold}")
    values = {name: _correlations(name, value) for name, value in similarity.items()}
    if len({len(value) for value in values.values()}) > 1:
        counts = ", ".join(f"{name} {len(value)}" for name, value in values.items())
        raise InputError(f"every layer must have one value for each image, got {counts}")

    def interval(value: npt.NDArray[np.float64]) -> Interval:
        return mean_interval(value, confidence=confidence, resamples=resamples, seed=seed)

    layers = {name: interval(value) for name, value in values.items()}
    compared = {name: interval(_correlations(name, value)) for name, value in (baselines or {}).items()}
    last = list(layers.values())[-1]
    verdict: Literal["survives", "falls", "unclear"] = "unclear"
    if last.n > 1 and last.low > threshold:
        verdict = "survives"
    elif last.n > 1 and last.high <= threshold:
        verdict = "falls"
    return Survival(verdict, layers, compared, threshold)


def _correlations(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise InputError(f"the values of {name} must be (n,), one for each image, got shape {numbers.shape}")
    wrong = numbers[np.abs(numbers) > 1 + 1e-6]
    if len(wrong):
        raise InputError(f"the values of {name} must be correlations in [-1, 1], got {wrong[0]:g}")
    return numbers


def _written(interval: Interval) -> str:
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
