"""What a training method is; the usual ones are its subclasses, and so is one of your own."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from pellucid.core.randomness import Generator
from pellucid.core.types import Batch

__all__ = ["Losses", "Method"]

Losses = dict[str, Tensor]


class Method(ABC):
    """How a network is trained: what is added to plain cross-entropy."""

    def init(self, num_samples: int, total_steps: int) -> nn.Module:
        """Training-time state, empty by default.

        Its buffers are not sent between processes: `loss` changes them alike in all, by `gathered` values.

        Args:
            num_samples: size of the training set; `Batch.index` is below it.
            total_steps: optimizer steps of the whole run.
        """
        return nn.Module()

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """The loss of one batch, to be minimised, with what is worth logging.

        Args:
            model: network, images to (n, k) logits; its modes are as they were when this returns.
            batch: images in [0, 1], labels and positions in the training set.
            state: what `init` made; changed only while ``state.training``.
            generator: source of every random number.

        Returns:
            ``loss``, a scalar with a graph; the other entries are detached scalars for the log.
        """
