"""What every saliency method is: a choice that can be called with a network, images and the classes to explain."""

from abc import ABC, abstractmethod

from torch import nn

from pellucid.core.randomness import Generator
from pellucid.core.types import Attribution, Image, Label

__all__ = ["SaliencyMethod"]


class SaliencyMethod(ABC):
    """A choice of how a prediction is attributed to pixels; one of your own is a subclass or any callable."""

    @abstractmethod
    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        """Attribute the target's score to the pixels.

        Args:
            model: network, images to (n, k) logits. It is explained in eval mode, and each of its layers has its own
                mode back afterwards. Of an output with more in it the entry or attribute ``logits`` is taken, or the
                only tensor.
            x: (n, c, h, w) images in [0, 1].
            target: (n,) classes to explain.
            create_graph: make the result differentiable.
            generator: source of what is drawn, if anything is.

        Returns:
            (n, c, h, w) signed attribution, detached unless ``create_graph``.
        """
