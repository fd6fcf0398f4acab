"""Adversarial training: a network learns from images that were changed so that it errs."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from pellucid.attacks import PGD
from pellucid.core.checks import in_unit, one_of
from pellucid.core.modes import evaluating
from pellucid.core.randomness import Generator, of, shared, uniform
from pellucid.core.types import Batch
from pellucid.methods.method import BOTH, Losses, Method
from pellucid.methods.regular import Regular
from pellucid.methods.terms import (
    accuracy,
    changed_logits,
    classification_loss,
    cross_entropy_of,
    joint_logits,
    log_of,
    spread,
)

__all__ = ["AdversarialTraining"]


@dataclass(frozen=True, kw_only=True)
class AdversarialTraining(Method):
    """Cross-entropy on images that were changed to increase it, CE(f(x'), y).

    Args:
        attack: how x becomes x'; `PGD` or `fgsm`.
        clean: what clean images do: ``none``, only x' is trained on (Madry; Bhusal's FMNIST and CIFAR-10);
            ``share``, a part of each batch stays clean; ``probability``, each whole batch stays clean with some
            probability (Bhusal's ImageNette); ``sum``, CE(f(x), y) + CE(f(x'), y) (Guesmi's baseline).
        clean_share: that part or probability, in [0, 1]; 1 is regular training.

    Source: Madry et al. 2018; Bhusal, Alam, Rastogi 2026.
    """

    tasks = BOTH
    attack: PGD = PGD(eps=8 / 255, step_size=2 / 255, steps=7)
    clean: Literal["none", "share", "probability", "sum"] = "none"
    clean_share: float = 0.5

    def __post_init__(self) -> None:
        one_of(("none", "share", "probability", "sum"), clean=self.clean)
        in_unit(clean_share=self.clean_share)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        if self.clean in ("share", "probability"):
            draw = uniform((1,), of(shared(generator), "clean"))
            if self.clean_share == 1 or (self.clean == "probability" and draw.item() < self.clean_share):
                return Regular().loss(model, batch, state, generator=generator)
        share = 1 - self.clean_share if self.clean == "share" else 1.0
        changed_part = spread(len(batch.image), share, batch.image.device)
        x, y = batch.image[changed_part], batch.label[changed_part]
        with evaluating(model):
            changed = self.attack(cross_entropy_of(model, y), x, generator=of(generator, "attack"))
        if self.clean == "sum":
            logits, adversarial = joint_logits(model, batch.image, changed)
            loss = classification_loss(logits, batch.label) + classification_loss(adversarial, y)
            return log_of(loss=loss, clean_accuracy=accuracy(logits, batch.label), adversarial=(adversarial, y))
        if self.clean != "share":
            adversarial = changed_logits(model, changed, batch.image)
            return log_of(loss=classification_loss(adversarial, y), adversarial=(adversarial, y))
        mixed = batch.image.index_copy(0, changed_part, changed)
        logits = changed_logits(model, mixed, batch.image)
        return log_of(loss=classification_loss(logits, batch.label), adversarial=(logits[changed_part], y))
