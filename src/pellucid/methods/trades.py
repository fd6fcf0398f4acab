"""TRADES: clean images are classified, and attacked ones are classified as these are."""

from dataclasses import dataclass

from torch import nn

from pellucid.attacks import PGD
from pellucid.core.checks import not_negative, some_share
from pellucid.core.errors import InputError
from pellucid.core.modes import evaluating
from pellucid.core.randomness import Generator, of
from pellucid.core.types import Batch
from pellucid.divergence import kl
from pellucid.methods.method import BOTH, Losses, Method
from pellucid.methods.terms import accuracy, classification_loss, joint_logits, log_of, part_of

__all__ = ["TRADES"]


@dataclass(frozen=True, kw_only=True)
class TRADES(Method):
    r"""Cross-entropy on clean images plus β · KL(f(x) ‖ f(x')), where x' is attacked to increase that divergence.

    Gradients flow through both arguments of the divergence.

    Args:
        attack: how x becomes x'. It must start at random, since the gradient of KL(f(x) ‖ f(x)) is 0.
        beta: β, at least 0; more of it trades accuracy for robustness.
        share: part of each batch that is attacked and carries the divergence, in (0, 1]; fewer images cost less.

    Source: Zhang et al. 2019, equation 5, with β = 1/λ. Their ``trades.py`` starts the attack at x + 0.001 · N(0, 1),
    ours at a uniform draw from the attack's ball; the divergence, its direction and the 10 steps are theirs. ``share``
    is ours.
    """

    tasks = BOTH
    attack: PGD = PGD(eps=8 / 255, step_size=2 / 255, steps=10)
    beta: float = 6.0
    share: float = 1.0

    def __post_init__(self) -> None:
        not_negative(beta=self.beta)
        some_share(share=self.share)
        if not self.attack.random_start and self.attack.eps > 0:
            raise InputError(
                "the attack of TRADES needs random_start: true, got false; the gradient of KL(f(x) ‖ f(x)) is 0 at x"
            )

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        part = part_of(batch, self.share)
        x, y = batch.image[part], batch.label[part]
        with evaluating(model):
            # No `no_grad` here: autocast would keep the weights' casts of this pass, without their graph.
            clean = model(x).detach()
            changed = self.attack(lambda x: kl(clean, model(x), task=batch.task), x, generator=of(generator, "attack"))
        logits, changed_logits = joint_logits(model, batch.image, changed)
        clean_loss = classification_loss(logits, batch.label)
        divergence = kl(logits[part], changed_logits, task=batch.task).mean()
        return log_of(
            loss=clean_loss + self.beta * divergence,
            clean_loss=clean_loss,
            divergence=divergence,
            clean_accuracy=accuracy(logits, batch.label),
            adversarial=(changed_logits, y),
        )
