"""Input-gradient penalty: a network whose loss barely changes with the pixels."""

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from pellucid.core.checks import not_negative, one_of
from pellucid.core.randomness import Generator
from pellucid.core.types import Batch, Image, Logits
from pellucid.methods.method import BOTH, Method
from pellucid.methods.penalty import Penalty, input_gradient_of
from pellucid.methods.regular import Regular
from pellucid.methods.terms import cross_entropy

__all__ = ["GradientPenalty"]


@dataclass(frozen=True, kw_only=True)
class GradientPenalty(Penalty):
    r"""Another method's loss plus the size of the cross-entropy's gradient with respect to the clean images.

    .. math:: L + \lambda \, \frac1n \sum_i \| \nabla_{x_i} CE(f(x_i), y_i) \|

    With the ``l1`` norm and weight ε, the sum of the cross-entropy and this term is, to first order, the cross-entropy
    of images that were attacked within ±ε of every pixel. It needs a smooth network: with ReLU the gradient of the
    penalty misses the places where the slope jumps, so swap the activations (`pellucid.edits.activation.Activation`).
    What holds of BatchNorm is said at `Penalty`.

    Args:
        weight: λ, at least 0; for ``l1`` a change of each pixel, where pixels are in [0, 1]. 0 is the method itself.
        norm: ``l1``, the sum of absolute values over pixels and channels; ``l2``, the sum of squares, so the squared
            Euclidean norm.
        method: whose loss the term is added to; its forward pass is shared where it is `Regular`.

    Source: ``l1``, Rodríguez-Muñoz, Wang & Torralba 2024, whose code has weight 4/255 in pixel units; ``l2``, Drucker &
    LeCun 1992 and Ross & Doshi-Velez 2018.
    """

    tasks = BOTH
    weight: float = 4 / 255
    norm: Literal["l1", "l2"] = "l1"
    method: Method = field(default_factory=Regular)

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(weight=self.weight)
        one_of(("l1", "l2"), norm=self.norm)

    @property
    def is_off(self) -> bool:
        """See `Penalty.is_off`."""
        return self.weight == 0

    def terms(
        self, model: nn.Module, x: Image, logits: Logits, batch: Batch, *, generator: Generator = None
    ) -> dict[str, tuple[float, Tensor]]:
        """See `Penalty.terms`."""
        gradient = input_gradient_of(cross_entropy(logits, batch.label, reduction="none"), x)
        size = gradient.abs() if self.norm == "l1" else gradient.square()
        return {"gradient_norm": (self.weight, size.sum((1, 2, 3)).mean())}
