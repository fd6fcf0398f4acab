"""Plain training, which every other method is held against."""

from dataclasses import dataclass

from torch import nn

from pellucid.core.randomness import Generator
from pellucid.core.types import Batch
from pellucid.methods.method import BOTH, Losses, Method
from pellucid.methods.terms import accuracy, classification_loss

__all__ = ["Regular"]


@dataclass(frozen=True)
class Regular(Method):
    """Cross-entropy on the images as they are, CE(f(x), y)."""

    tasks = BOTH

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        logits = model(batch.image)
        return {"loss": classification_loss(logits, batch.label), "clean_accuracy": accuracy(logits, batch.label)}
