"""Any `pellucid.Metric` behind Quantus's call, and pellucid's maps as Quantus's ``explain_func``.

NumPy in, one score per image out, with Quantus's argument names, so that ``quantus.evaluate(metrics={...}, ...)`` takes
these beside its own: `QuantusMetric` of any metric, and classes of Quantus's names, whose arguments are the settings of
the metric that each is ``of``. The numbers are pellucid's, and each class says where Quantus 0.6 differs. In common:

- Images are in [0, 1]; normalisation is the network's first layer (`pellucid.models.Normalize`).
- An attribution is reduced to one value per pixel first (``channels``); Quantus ranks and counts channel-pixels.
- Nothing is normalised over the batch, so a score never depends on batch mates, and no argument is written to.
- Noise is a function of the seed and the image, so a second call gives the same scores.

Quantus itself is not needed, and never imported.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pellucid import metrics
from pellucid.integrations.quantus_call import ExplainFunc, QuantusMetric
from pellucid.metrics import Case, Column
from pellucid.metrics.column import Direction
from pellucid.metrics.families.faithfulness import Order
from pellucid.metrics.regions import check_order

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


class Sparseness(QuantusMetric, of=metrics.Gini):
    """Gini index of the map, in [0, 1); higher is sparser.

    Quantus 0.6 has the same number for maps of one channel (to the 1e-7 it adds to each value, into the caller's array
    where neither ``abs`` nor ``normalise`` copies it); with more channels it sorts channel-pixels.

    >>> import numpy as np
    >>> x, maps = np.zeros((2, 1, 2, 2)), np.array([[[0.0, 0.0], [0.0, 5.0]], [[1.0, 1.0], [1.0, 1.0]]])
    >>> Sparseness()(model=None, x_batch=x, y_batch=np.array([0, 0]), a_batch=maps)
    [0.75, 0.0]
    """


class Complexity(QuantusMetric, of=metrics.PixelEntropy, factor=math.log(2)):
    """Entropy of the map as a distribution over pixels, in nats as in Quantus; lower is sparser.

    Quantus 0.6 has the same number for maps of one channel, except for all-zero ones, which give NaN there and the
    entropy of a flat map here.

    >>> import numpy as np
    >>> (score,) = Complexity()(None, np.zeros((1, 1, 2, 2)), np.array([0]), a_batch=np.ones((1, 2, 2)))
    >>> round(score, 4) == round(math.log(4), 4)
    True
    """


class EffectiveComplexity(QuantusMetric, of=metrics.EffectiveComplexity):
    """Pixels above a share, ``threshold``, of the map's own maximum; lower is sparser.

    Quantus 0.6 divides by the largest value of the whole batch, so there a map's score depends on its batch mates, and
    counts what is above 1e-5, which is nearly every pixel of a gradient.
    """


class RegionPerturbation(QuantusMetric, of=metrics.PerturbationCurves, softmax=True, orders=("morf",)):
    """AOPC: mean loss of the target's probability while regions are replaced, `pellucid.metrics.aopc`.

    For ``order="morf"`` higher is better, for ``"lerf"`` lower; ``"random"`` is the third. Quantus 0.6 returns each
    image's list of losses, without step 0, after single patches of 8 px turned black by default, and with a signed map;
    here it is one number, the mean over steps 0 to ``steps``, replaced regions show noise, and the list is in
    ``details``.
    """


@dataclass(frozen=True, kw_only=True)
class _Removal(metrics.ROAD):
    """ROAD of one order, a column for each share; the order may be random too."""

    orders: tuple[Order, ...] = ("morf",)  # type: ignore[assignment]  # the random order has no column in pellucid

    def __post_init__(self) -> None:
        check_order(self.orders[0])

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the shares
        better: dict[Order, Direction] = {"morf": "lower", "lerf": "higher", "random": "none"}
        whole = Column(title="ROAD", family="faithfulness", direction=better[self.orders[0]])
        return {"road": whole} | {f"{share:g}": Column(title=f"ROAD at {share:g}") for share in self.shares}

    def __call__(self, case: Case) -> dict[str, Tensor]:
        curve = super().__call__(case)[f"road_{self.orders[0]}_curve"]
        return {"road": curve.mean(dim=1)} | {f"{share:g}": curve[:, k] for k, share in enumerate(self.shares)}


class ROAD(QuantusMetric, of=_Removal):
    """Share of the ``shares`` of removed pixels at which the target is still predicted, `pellucid.metrics.road`.

    For ``order="morf"`` lower is better, for ``"lerf"`` higher; ``"random"`` is the third. The outcome at each share is
    in ``details`` under its number, such as ``details["0.1"]``; its mean over images is ROAD's accuracy there, which is
    all that Quantus 0.6 returns, for ``morf`` alone and for images of one channel alone (with more it fails), from a
    signed map.
    """


class RelativeInputStability(QuantusMetric, of=metrics.RelativeStability, measures=("ris",)):
    """RIS; lower is more stable. ``form`` is ``norm``, or ``elementwise`` as in Quantus.

    Quantus 0.6 has the elementwise form, whose value near-zero pixels rule, under noise that only brightens
    (``form="elementwise", noise="one-sided"`` here), and gives NaN as soon as one of 200 noisy images (``draws``)
    changes the prediction. Here such images are left out, and ``details["coverage"]`` says how many remain.

    >>> import numpy as np
    >>> from torch import nn, tensor
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False)).eval()
    >>> _ = network[1].weight.data.copy_(tensor([[1.0], [-1.0]]))
    >>> metric = RelativeInputStability(draws=2)
    >>> x, y = np.full((1, 1, 2, 2), 0.5), np.array([0])
    >>> metric(network, x, y, explain_func=ExplainFunc("vanilla_gradient")), metric.details
    ([0.0], {'coverage': [1.0]})
    """


class RelativeOutputStability(QuantusMetric, of=metrics.RelativeStability, softmax=False, measures=("ros",)):
    """ROS: the map's change by that of the logits; lower is more stable.

    Quantus 0.6 differs as in `RelativeInputStability`, and divides by the absolute change of the logits (here so in the
    elementwise form only).
    """


class RelativeRepresentationStability(QuantusMetric, of=metrics.RelativeStability, measures=("rrs",)):
    """RRS: the map's change by that of the output of ``layer``; lower is more stable.

    Quantus 0.6 differs as in `RelativeInputStability`, and by default takes the outputs of all layers in one vector, of
    which a following in-place ReLU overwrites some on a CPU.
    """


class MaxSensitivity(QuantusMetric, of=metrics.MaxSensitivity):
    """Largest relative change of the map in a small box; lower is more stable.

    Quantus 0.6 draws 200 noisy images within 0.2, without clipping them, and divides by the norm of the map too.
    """


class LocalLipschitzEstimate(QuantusMetric, of=metrics.LocalLipschitz):
    """Steepest change of the map in a small box; lower is more stable.

    Quantus 0.6 normalises the maps over the batch first and adds Gaussian noise of deviation .1, 200 times.
    """


class SSIM(QuantusMetric, of=metrics.MapSimilarity, measures=("ssim",)):
    """Structural similarity of the clean and the noisy image's maps, in [-1, 1]; higher is more stable.

    Quantus has SSIM only as a ``similarity_func``.
    """


class RankCorrelation(QuantusMetric, of=metrics.MapSimilarity, measures=("rank_correlation",)):
    """Spearman's correlation of the clean and the noisy image's maps, in [-1, 1]; higher is more stable.

    Quantus has rank correlation only as a ``similarity_func``.
    """
