"""Plain training, which every other method is held against."""

from dataclasses import dataclass

from torch import nn

from pellucid.core.randomness import Generator
from pellucid.core.types import Batch
from pellucid.methods.method import Losses, Method
from pellucid.methods.terms import accuracy, cross_entropy

__all__ = ["Regular"]


@dataclass(frozen=True)
class Regular(Method):
    """Cross-entropy on the images as they are, CE(f(x), y)."""

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        logits = model(batch.image)
        return {"loss": cross_entropy(logits, batch.label), "clean_accuracy": accuracy(logits, batch.label)}
