"""Structured adversarial training: one attack step whose shape decides which maps a network learns."""

from dataclasses import dataclass

from torch import nn

from pellucid.core.checks import in_unit, not_negative
from pellucid.core.input_gradient import input_gradient
from pellucid.core.modes import evaluating
from pellucid.core.pixels import check_pixels
from pellucid.core.randomness import Generator
from pellucid.core.types import Batch, Image, Label
from pellucid.methods.method import BOTH, Losses, Method
from pellucid.methods.terms import changed_logits, classification_loss, cross_entropy_of, log_of

__all__ = ["StructuredAdversarialTraining"]


@dataclass(frozen=True, kw_only=True)
class StructuredAdversarialTraining(Method):
    r"""Cross-entropy on images that were changed by one elastic-net step, CE(f(x + δ), y).

    .. math:: \delta = \epsilon_1 \, sign(g) + 2 \epsilon_2 \, g, \qquad g = \nabla_x CE(f(x), y)

    δ is the derivative of ε₁‖g‖₁ + ε₂‖g‖² with respect to g. To first order the loss is therefore
    CE(f(x), y) + ε₁‖g‖₁ + 2 ε₂‖g‖², whose first part makes maps sparse, at the cost of one attack step instead of a
    double backward pass. g is not normalised: where the network is sure of the class, the second part changes little.
    Without it the step is FGSM from the image itself.

    Args:
        linf: ε₁, the change of every pixel, in [0, 1]; 0.01 in the authors' code.
        l2: ε₂, at least 0; the change of a pixel in units of the cross-entropy's slope there. The default is ours.

    Source: Gong, Dou & Farnia 2024 (arXiv 2404.04647), their fast elastic training. We depart from their code in two
    places: pixels are in [0, 1], and x + δ is clipped to it, where theirs are normalised and not clipped; and the
    network is in eval mode while g is computed, as for every attack here, where theirs is in training mode.
    """

    tasks = BOTH
    linf: float = 0.01
    l2: float = 0.1

    def __post_init__(self) -> None:
        in_unit(linf=self.linf)
        not_negative(l2=self.l2)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`; nothing is drawn."""
        with evaluating(model):
            changed = self.change(model, batch.image, batch.label)
        logits = changed_logits(model, changed, batch.image)
        return log_of(loss=classification_loss(logits, batch.label), adversarial=(logits, batch.label))

    def change(self, model: nn.Module, x: Image, label: Label) -> Image:
        """x + δ clipped to [0, 1]; the network is in eval mode, and pixels outside [0, 1] are refused."""
        check_pixels(x)
        gradient, _ = input_gradient(cross_entropy_of(model, label), x)
        return (x + self.linf * gradient.sign() + 2 * self.l2 * gradient).clamp(0, 1)
