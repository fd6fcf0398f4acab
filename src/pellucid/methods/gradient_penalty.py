"""Input-gradient penalty: a network whose loss barely changes with the pixels."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from pellucid.core.checks import not_negative, one_of
from pellucid.core.input_gradient import input_gradient_of
from pellucid.core.randomness import Generator
from pellucid.core.types import Batch, Image, Logits, PerSample
from pellucid.methods.method import BOTH, Method
from pellucid.methods.penalty import Penalty
from pellucid.methods.regular import Regular
from pellucid.methods.terms import changed_images, cross_entropy

__all__ = ["GradientPenalty"]


@dataclass(frozen=True, kw_only=True)
class GradientPenalty(Penalty):
    r"""Another method's loss plus the size of the cross-entropy's gradient with respect to the clean images.

    .. math:: L + \lambda \, \frac1n \sum_i \| \nabla_{x_i} CE(f(x_i), y_i) \|

    With the ``l1`` norm and weight ε, the sum of the cross-entropy and this term is, to first order, the cross-entropy
    of images that were attacked within ±ε of every pixel. It needs a smooth network: with ReLU the gradient of the
    penalty misses the places where the slope jumps, so swap the activations (`pellucid.edits.activation.Activation`).
    `Penalty` says what happens with BatchNorm.

    With a ``difference`` h above 0 the second derivative is replaced by a difference of two losses, along the direction
    d in which the loss rises: sign(g) for ``l1`` and g / ‖g‖ for ``l2``, where g is the gradient with respect to x.

    .. math:: \| g \|_1 \approx \frac{CE(f(x + h d), y) - CE(f(x), y)}{h}

    d is a constant, since the derivative of ‖g‖ with respect to the weights holds none of it. For ``l2`` the squared
    norm's derivative is 2 ‖g‖ times that of the same difference. x + h d is not clipped. For ``l1`` with h = λ the
    whole loss is CE(f(x + λ d), y).

    Args:
        weight: λ, at least 0; for ``l1`` a change of each pixel, where pixels are in [0, 1]. 0 is the method itself.
        norm: ``l1``, the sum of absolute values over pixels and channels; ``l2``, the sum of squares, so the squared
            Euclidean norm.
        share: part of each batch that the term looks at, in (0, 1]; fewer images cost less. See `Penalty`.
        difference: h, at least 0, in pixel units. 0, the default, differentiates twice, which is exact. Above 0 the
            step takes an input gradient and one more pass instead, which suits networks that cannot be differentiated
            twice, or whose second derivative is expensive; 0.01 is close to exact with softplus.
        method: whose loss the term is added to; its forward pass is shared where it is `Regular`.

    Source: ``l1``, Rodríguez-Muñoz, Wang & Torralba 2024, whose code has weight 4/255 in pixel units; ``l2``, Drucker &
    LeCun 1992 and Ross & Doshi-Velez 2018. The difference as in Zhao, Zhang & Hu 2022 (Penalizing gradient norm), who
    penalise the gradient with respect to the weights.
    """

    tasks = BOTH
    weight: float = 4 / 255
    norm: Literal["l1", "l2"] = "l1"
    share: float = 1.0
    difference: float = 0.0
    method: Method = field(default_factory=Regular)

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(weight=self.weight, difference=self.difference)
        one_of(("l1", "l2"), norm=self.norm)

    @property
    def is_off(self) -> bool:
        """See `Penalty.is_off`."""
        return self.weight == 0

    def terms(
        self, model: nn.Module, x: Image, logits: Logits, batch: Batch, *, generator: Generator = None
    ) -> dict[str, tuple[float, Tensor]]:
        """See `Penalty.terms`."""
        loss = cross_entropy(logits, batch.label, reduction="none")
        gradient = input_gradient_of(loss, x, create_graph=self.difference == 0)
        size = (gradient.abs() if self.norm == "l1" else gradient.square()).sum((1, 2, 3))
        if self.difference > 0:
            size = self._by_difference(model, x.detach(), loss, gradient, size, batch)
        return {"gradient_norm": (self.weight, size.mean())}

    def _by_difference(
        self, model: nn.Module, x: Image, loss: PerSample, gradient: Image, size: PerSample, batch: Batch
    ) -> PerSample:
        """The size of each image's gradient, whose derivative with respect to the weights is that of a difference."""
        if self.norm == "l1":
            direction, length = gradient.sign(), torch.ones_like(size)
        else:
            length = size.sqrt()
            direction = gradient / length.clamp(min=torch.finfo(length.dtype).tiny)[:, None, None, None]
        with changed_images(model):
            there = cross_entropy(model(x + self.difference * direction), batch.label, reduction="none")
        slope = (there - loss) / self.difference
        return slope if self.norm == "l1" else 2 * length * slope - size
