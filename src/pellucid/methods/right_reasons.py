"""Right for the right reasons: a network's map is held to the mask of what decides the class."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pellucid.core.checks import not_negative
from pellucid.core.errors import InputError
from pellucid.core.input_gradient import input_gradient_of
from pellucid.core.randomness import Generator
from pellucid.core.types import Batch, Image, Logits, Mask
from pellucid.methods.method import Method
from pellucid.methods.penalty import Penalty
from pellucid.methods.regular import Regular
from pellucid.saliency import heatmap, target_score

__all__ = ["EnergyLoss", "RightReasons"]


@dataclass(frozen=True, kw_only=True)
class RightReasons(Penalty):
    r"""Another method's loss plus the squared gradient outside the mask of what decides the class.

    .. math:: L + \lambda \, \frac1n \sum_i \sum_p \Big( (1 - m_{ip}) \,
        \frac{\partial}{\partial x_{ip}} \sum_k \log p_k(x_i) \Big)^2

    m is 1 where what decides the class is, and p the softmax. An image whose mask is not known, so nowhere True, adds
    nothing. It needs a dataset with masks. `Penalty` says what happens with BatchNorm.

    Args:
        weight: λ, at least 0; too much of it costs accuracy first. The default is ours.
        share: part of each batch that the term looks at, in (0, 1]; fewer images cost less. See `Penalty`.
        method: whose loss the term is added to; its forward pass is shared where it is `Regular`.

    Source: Ross, Hughes & Doshi-Velez 2017, equation 1, where λ is 1000 for most data; both their sums over the images
    are means here. Their code has half of the term.
    """

    weight: float = 1.0
    share: float = 1.0
    method: Method = field(default_factory=Regular)

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(weight=self.weight)

    @property
    def is_off(self) -> bool:
        """See `Penalty.is_off`."""
        return self.weight == 0

    def terms(
        self, model: nn.Module, x: Image, logits: Logits, batch: Batch, *, generator: Generator = None
    ) -> dict[str, tuple[float, Tensor]]:
        """See `Penalty.terms`; nothing is drawn."""
        mask, known = _masks(batch, self)
        gradient = input_gradient_of(logits.log_softmax(1), x)
        wrong = torch.where(mask, 0, gradient).square().sum((1, 2, 3))
        return {"wrong_reasons": (self.weight, torch.where(known, wrong, 0).mean())}


@dataclass(frozen=True, kw_only=True)
class EnergyLoss(Penalty):
    r"""Another method's loss plus the share of the map's mass outside the mask of what decides the class.

    .. math:: L + \lambda \, \frac1n \sum_i \Big( 1 - \frac{\sum_p m_{ip} h_{ip}}{\sum_p h_{ip}} \Big)

    h is the heatmap of the true class's logit, here the absolute gradient averaged over the channels, which is what
    most measures look at. An image whose mask is not known, so nowhere True, adds nothing, and neither does one whose
    map is 0 everywhere. It needs a dataset with masks. `Penalty` says what happens with BatchNorm.

    Args:
        weight: λ, at least 0. The default is ours.
        share: part of each batch that the term looks at, in (0, 1]; fewer images cost less. See `Penalty`.
        method: whose loss the term is added to; its forward pass is shared where it is `Regular`.

    Source: Rao et al. 2023 (Model-Guidance), the energy loss, there with bounding boxes and the positive part of
    attributions such as B-cos and input × gradient; the sign of a plain gradient says which
    way a pixel should change, not whether it speaks for the class.
    """

    weight: float = 1.0
    share: float = 1.0
    method: Method = field(default_factory=Regular)

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(weight=self.weight)

    @property
    def is_off(self) -> bool:
        """See `Penalty.is_off`."""
        return self.weight == 0

    def terms(
        self, model: nn.Module, x: Image, logits: Logits, batch: Batch, *, generator: Generator = None
    ) -> dict[str, tuple[float, Tensor]]:
        """See `Penalty.terms`; nothing is drawn."""
        mask, known = _masks(batch, self)
        gradient = input_gradient_of(target_score(logits, batch.label, score="logit"), x)
        heat = heatmap(gradient, channels="mean_abs")
        total = heat.sum((1, 2))
        outside = torch.where(mask[:, 0], 0, heat).sum((1, 2)) / torch.where(total > 0, total, 1)
        return {"energy_outside": (self.weight, torch.where(known, outside, 0).mean())}


def _masks(batch: Batch, penalty: Penalty) -> tuple[Mask, Tensor]:
    """The masks of a batch, and (n,) bool, of which images they are known."""
    name, shape = type(penalty).__name__, (len(batch.image), 1, *batch.image.shape[2:])
    if batch.mask is None:
        raise InputError(
            f"{name} needs masks of what decides the class, and these images have none; the datasets named truth:NAME "
            "have them, and so has a folder with masks=PATH"
        )
    if batch.mask.shape != shape or batch.mask.dtype != torch.bool:
        raise InputError(
            f"{name} needs masks of type bool and shape {shape}, got {batch.mask.dtype} and {tuple(batch.mask.shape)}"
        )
    return batch.mask, batch.mask.flatten(1).any(1)
