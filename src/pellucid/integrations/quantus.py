"""pellucid's measures behind Quantus's call, and pellucid's maps as Quantus's ``explain_func``.

NumPy in, one score per image out, with Quantus's argument names, so that ``quantus.evaluate(metrics={...}, ...)`` takes
these beside its own. The numbers are pellucid's, and each class says where Quantus 0.6 differs. In common:

- Images are in [0, 1]; normalisation is the network's first layer (`pellucid.models.Normalize`).
- An attribution is reduced to one value per pixel first (``channels``); Quantus ranks and counts channel-pixels.
- Nothing is normalised over the batch, so a score never depends on batch mates, and no argument is written to.
- Noise is a function of the seed and the image, so a second call gives the same scores.

Quantus itself is not needed, and never imported.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

from pellucid.core.errors import InputError
from pellucid.core.types import PerSample
from pellucid.integrations.quantus_call import Batch, ExplainFunc, QuantusMetric, Scores
from pellucid.metrics import (
    aopc,
    effective_complexity,
    gini,
    local_lipschitz,
    map_similarity,
    max_sensitivity,
    perturbation_curves,
    pixel_entropy,
    relative_stability,
    road,
)
from pellucid.metrics.definitions import Direction
from pellucid.metrics.faithfulness import Fill
from pellucid.metrics.perturbation import Noise
from pellucid.metrics.regions import Order, check_order
from pellucid.saliency import Channels

__all__ = [
    "ROAD",
    "SSIM",
    "Complexity",
    "EffectiveComplexity",
    "ExplainFunc",
    "LocalLipschitzEstimate",
    "MaxSensitivity",
    "QuantusMetric",
    "RankCorrelation",
    "RegionPerturbation",
    "RelativeInputStability",
    "RelativeOutputStability",
    "RelativeRepresentationStability",
    "Sparseness",
]


class Sparseness(QuantusMetric):
    """Gini index of the map, `pellucid.gini`, in [0, 1); higher is sparser.

    Quantus 0.6 has the same number for maps of one channel (to the 1e-7 it adds to each value, into the caller's array
    where neither ``abs`` nor ``normalise`` copies it); with more channels it sorts channel-pixels.

    >>> import numpy as np
    >>> x, maps = np.zeros((2, 1, 2, 2)), np.array([[[0.0, 0.0], [0.0, 5.0]], [[1.0, 1.0], [1.0, 1.0]]])
    >>> Sparseness()(model=None, x_batch=x, y_batch=np.array([0, 0]), a_batch=maps)
    [0.75, 0.0]
    """

    score_direction = "higher"
    evaluation_category = "Complexity"
    of_the_map = True

    def measure(self, batch: Batch) -> Scores:
        return {"score": gini(batch.heatmap())}


class Complexity(QuantusMetric):
    """Entropy of the map as a distribution over pixels, in nats as in Quantus; lower is sparser.

    It is `pellucid.metrics.pixel_entropy`, which is in bits, times ln 2. Quantus 0.6 has the same number for maps of
    one channel, but for all-zero ones, which give NaN there and the entropy of a flat map here.

    >>> import numpy as np
    >>> (score,) = Complexity()(None, np.zeros((1, 1, 2, 2)), np.array([0]), a_batch=np.ones((1, 2, 2)))
    >>> round(score, 4) == round(math.log(4), 4)
    True
    """

    score_direction = "lower"
    evaluation_category = "Complexity"
    of_the_map = True

    def measure(self, batch: Batch) -> Scores:
        return {"score": pixel_entropy(batch.heatmap()) * math.log(2)}


class EffectiveComplexity(QuantusMetric):
    """Pixels above a share of the map's own maximum, `pellucid.metrics.effective_complexity`; lower is sparser.

    Quantus 0.6 divides by the largest value of the whole batch, so there a map's score depends on its batch mates, and
    counts what is above 1e-5, which is nearly every pixel of a gradient.

    Args:
        threshold: share of the maximum, in [0, 1).
        channels: as in `QuantusMetric`, as is ``seed``.
        seed: of no effect.
    """

    score_direction = "lower"
    evaluation_category = "Complexity"
    of_the_map = True

    def __init__(self, *, threshold: float = 0.1, channels: Channels = "mean_abs", seed: int = 0) -> None:
        super().__init__(channels=channels, seed=seed)
        self.threshold = threshold

    def measure(self, batch: Batch) -> Scores:
        return {"score": effective_complexity(batch.heatmap(), threshold=self.threshold)}


class RegionPerturbation(QuantusMetric):
    """AOPC: mean loss of the target's probability while regions are replaced, `pellucid.metrics.aopc`.

    For ``order="morf"`` higher is better, for ``"lerf"`` lower. Quantus 0.6 returns each image's list of losses,
    without step 0, after single patches of 8 px turned black by default, and with a signed map; here it is one number,
    the mean over steps 0 to ``steps``, and replaced regions show noise.

    Args:
        order: ``morf``, most relevant regions first, ``lerf`` or ``random``.
        fraction: as in `pellucid.metrics.perturbation_curves`, as are the next four.
        steps: number of steps.
        repeats: number of noise images averaged over.
        region: side of a region in pixels.
        fill: what a replaced region shows.
        channels: as in `QuantusMetric`, as is ``seed``.
        seed: of the noise.
    """

    evaluation_category = "Faithfulness"
    softmax = True

    def __init__(
        self,
        *,
        order: Order = "morf",
        fraction: float = 0.2,
        steps: int = 20,
        repeats: int = 5,
        region: int | None = None,
        fill: Fill = "uniform",
        channels: Channels = "mean_abs",
        seed: int = 0,
    ) -> None:
        super().__init__(channels=channels, seed=seed)
        check_order(order)
        self.order: Order = order
        directions: dict[Order, Direction] = {"morf": "higher", "lerf": "lower", "random": "none"}
        self.score_direction = directions[order]
        self.settings: dict[str, Any] = {
            "fraction": fraction, "steps": steps, "repeats": repeats, "region": region, "fill": fill
        }  # fmt: skip

    def measure(self, batch: Batch) -> Scores:
        curves = perturbation_curves(
            batch.model, batch.x, batch.target, batch.heatmap(), orders=(self.order,), generator=batch.draws,
            **self.settings,
        )  # fmt: skip
        return {"score": aopc(curves[self.order])}


class ROAD(QuantusMetric):
    """Share of the ``shares`` of removed pixels at which the target is still predicted, `pellucid.metrics.road`.

    For ``order="morf"`` lower is better, for ``"lerf"`` higher. The outcome at each share is in ``details`` under its
    number, such as ``details["0.1"]``; its mean over images is ROAD's accuracy there, which is all that Quantus 0.6
    returns, for ``morf`` alone and for images of one channel alone (with more it fails), from a signed map.

    Args:
        order: ``morf``, most relevant pixels first, ``lerf`` or ``random``.
        shares: of the pixels that are removed, in [0, 1].
        noise: standard deviation of the noise on removed pixels.
        channels: as in `QuantusMetric`, as is ``seed``.
        seed: of the noise.
    """

    evaluation_category = "Faithfulness"

    def __init__(
        self,
        *,
        order: Order = "morf",
        shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        noise: float = 0.01,
        channels: Channels = "mean_abs",
        seed: int = 0,
    ) -> None:
        super().__init__(channels=channels, seed=seed)
        check_order(order)
        self.order: Order = order
        self.shares, self.noise = tuple(shares), noise
        directions: dict[Order, Direction] = {"morf": "lower", "lerf": "higher", "random": "none"}
        self.score_direction = directions[order]

    def measure(self, batch: Batch) -> Scores:
        kept = road(
            batch.model, batch.x, batch.target, batch.heatmap(), orders=(self.order,), shares=self.shares,
            noise=self.noise, generator=batch.draws,
        )[self.order]  # fmt: skip
        return {"score": kept.mean(dim=1)} | {f"{share:g}": kept[:, k] for k, share in enumerate(self.shares)}


class _RelativeStability(QuantusMetric):
    """What the three relative stabilities share.

    Args:
        form: ``norm``, or ``elementwise`` as in Quantus; see `pellucid.relative_stability`, as for the next five.
        noise: of the noisy images; ``one-sided`` is Quantus's.
        sigma: its standard deviation in pixel units.
        between: range of one-sided noise.
        draws: number of noisy images; Quantus takes 200.
        eps_min: floor of the denominators.
        channels: of no effect, as the attribution itself is compared.
        seed: of the noise.
    """

    score_direction = "lower"
    evaluation_category = "Robustness"
    kind: ClassVar[str]

    def __init__(
        self,
        *,
        form: Literal["norm", "elementwise"] = "norm",
        noise: Noise = "gaussian",
        sigma: float = 0.05,
        between: tuple[float, float] = (0.02, 0.2),
        draws: int = 10,
        eps_min: float = 1e-6,
        channels: Channels = "mean_abs",
        seed: int = 0,
    ) -> None:
        super().__init__(channels=channels, seed=seed)
        if form not in ("norm", "elementwise"):
            raise InputError(f"form must be norm or elementwise, got {form!r}")
        self.layer: str | None = None
        self.settings: dict[str, Any] = {
            "form": form, "noise": noise, "sigma": sigma, "between": between, "draws": draws, "eps_min": eps_min
        }  # fmt: skip

    def measure(self, batch: Batch) -> Scores:
        found = relative_stability(
            batch.model, batch.x, batch.target, batch.saliency, layer=self.layer, generator=batch.draws, **self.settings
        )
        suffix = "" if self.settings["form"] == "norm" else "_elementwise"
        return {"score": found[self.kind + suffix], "coverage": found["coverage"]}


class RelativeInputStability(_RelativeStability):
    """RIS, `pellucid.relative_stability`; lower is more stable.

    Quantus 0.6 has the elementwise form, whose value near-zero pixels rule, under noise that only brightens
    (``form="elementwise", noise="one-sided"`` here), and gives NaN as soon as one of 200 noisy images changes the
    prediction. Here such images are left out, and ``details["coverage"]`` says how many remain.

    >>> import numpy as np
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    >>> metric = RelativeInputStability(draws=2)
    >>> x, y = np.full((1, 1, 2, 2), 0.5), np.array([0])
    >>> metric(network, x, y, explain_func=ExplainFunc("vanilla_gradient")), metric.details
    ([0.0], {'coverage': [1.0]})
    """

    kind = "ris"


class RelativeOutputStability(_RelativeStability):
    """ROS, `pellucid.relative_stability`: the map's change by that of the logits; lower is more stable.

    Quantus 0.6 differs as in `RelativeInputStability`, and divides by the absolute change of the logits (here so in the
    elementwise form only).
    """

    kind = "ros"
    softmax = False


class RelativeRepresentationStability(_RelativeStability):
    """RRS, `pellucid.relative_stability`: the map's change by that of a layer's output; lower is more stable.

    Quantus 0.6 differs as in `RelativeInputStability`, and by default takes the outputs of all layers in one vector, of
    which a following in-place ReLU overwrites some on a CPU.

    Args:
        layer: as in `pellucid.relative_stability`: a name of ``model.named_modules()``.
        settings: as in `RelativeInputStability`.
    """

    kind = "rrs"

    def __init__(self, *, layer: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.layer = layer


class _NearbyChange(QuantusMetric):
    """What the two sensitivities share.

    Args:
        radius: largest change of a pixel.
        draws: number of noisy images.
        channels: of no effect, as the attribution itself is compared.
        seed: of the noise.
    """

    score_direction = "lower"
    evaluation_category = "Robustness"
    function: ClassVar[Callable[..., PerSample]]

    def __init__(
        self, *, radius: float = 0.02, draws: int = 10, channels: Channels = "mean_abs", seed: int = 0
    ) -> None:
        super().__init__(channels=channels, seed=seed)
        self.radius, self.draws = radius, draws

    def measure(self, batch: Batch) -> Scores:
        score = type(self).function(
            batch.model, batch.x, batch.target, batch.saliency, radius=self.radius, draws=self.draws,
            generator=batch.draws,
        )  # fmt: skip
        return {"score": score}


class MaxSensitivity(_NearbyChange):
    """Largest relative change of the map in a small box, `pellucid.metrics.max_sensitivity`; lower is more stable.

    Quantus 0.6 draws 200 noisy images within 0.2, without clipping them, and divides by the norm of the map too.
    """

    function = staticmethod(max_sensitivity)


class LocalLipschitzEstimate(_NearbyChange):
    """Steepest change of the map in a small box, `pellucid.metrics.local_lipschitz`; lower is more stable.

    Quantus 0.6 normalises the maps over the batch first and adds Gaussian noise of deviation .1, 200 times.
    """

    function = staticmethod(local_lipschitz)


class _Similarity(QuantusMetric):
    """What SSIM and rank correlation share.

    Args:
        window: side of SSIM's squares in pixels, see `pellucid.metrics.map_similarity`, as for the next five.
        normalise: divide each map by its own largest magnitude.
        data_range: range of values that SSIM assumes.
        noise: of the noisy images.
        sigma: its standard deviation in pixel units.
        draws: number of noisy images.
        channels: how an attribution becomes a map.
        seed: of the noise.
    """

    score_direction = "higher"
    evaluation_category = "Robustness"
    kind: ClassVar[str]

    def __init__(
        self,
        *,
        window: int = 7,
        normalise: bool = True,
        data_range: float = 1.0,
        noise: Noise = "gaussian",
        sigma: float = 0.05,
        draws: int = 10,
        channels: Channels = "mean_abs",
        seed: int = 0,
    ) -> None:
        super().__init__(channels=channels, seed=seed)
        self.settings: dict[str, Any] = {
            "window": window, "normalise": normalise, "data_range": data_range,
            "noise": noise, "sigma": sigma, "draws": draws,
        }  # fmt: skip

    def measure(self, batch: Batch) -> Scores:
        found = map_similarity(
            batch.model, batch.x, batch.target, batch.saliency, channels=self.channels, generator=batch.draws,
            **self.settings,
        )  # fmt: skip
        return {"score": found[self.kind], "coverage": found["coverage"]}


class SSIM(_Similarity):
    """Structural similarity of the clean and the noisy image's maps, `pellucid.metrics.map_similarity`, in [-1, 1].

    Higher is more stable. Quantus has SSIM only as a ``similarity_func``.
    """

    kind = "ssim"


class RankCorrelation(_Similarity):
    """Spearman's correlation of the clean and the noisy image's maps, `pellucid.metrics.map_similarity`, in [-1, 1].

    Higher is more stable. Quantus has rank correlation only as a ``similarity_func``.
    """

    kind = "rank_correlation"
