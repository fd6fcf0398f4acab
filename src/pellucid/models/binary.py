"""Networks that answer yes or no: one logit as two classes, and one label of several as two classes."""

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.types import Image, Logits

__all__ = ["Binary", "OneLabel"]


class Binary(nn.Module):
    r"""One logit z as the logits :math:`(-z/2, z/2)` of two classes, no and yes, as a network's last layer.

    Their softmax is :math:`(1 - \sigma(z), \sigma(z))`, so that the probability, the cross-entropy, every attack on it
    and every divergence are those of the sigmoid, and class 1 is predicted where it is above 0.5. The logits (0, z)
    have the same softmax, but a map of class 0 would then be 0 everywhere; here the map of either class is that of z,
    with its sign. It has no weights, so a checkpoint of the network before it fits.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 1), Binary())
    >>> network(torch.zeros(3, 1, 2, 2)).shape
    torch.Size([3, 2])
    >>> torch.allclose(Binary()(torch.tensor([[1.5]])).softmax(1)[:, 1], torch.tensor([1.5]).sigmoid())
    True
    """

    def forward(self, logit: Tensor) -> Logits:
        """(n, 2) logits of no and yes.

        Args:
            logit: (n, 1) or (n,), z.

        Raises:
            InputError: another shape.
        """
        if logit.ndim == 0 or logit.numel() != len(logit):
            raise InputError(f"Binary takes one logit for each image, (n, 1) or (n,), got shape {tuple(logit.shape)}")
        half = logit.reshape(len(logit), 1) / 2
        return torch.cat([-half, half], 1)


class OneLabel(nn.Module):
    """One label of a network with several, as a network of two classes: class 1 where the label applies.

    Everything that looks at a network of classes can so be asked about a label with logit z: with the logits (0, z) a
    map of class 1 is that of z itself, an attack raises the label's cross-entropy, a curve follows its probability.

    Args:
        network: images to (n, k) logits, one a label.
        label: number of the label, from 0.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 14))
    >>> OneLabel(network, 3)(torch.zeros(2, 1, 2, 2)).shape
    torch.Size([2, 2])
    """

    def __init__(self, network: nn.Module, label: int) -> None:
        super().__init__()
        self.network = network
        self.label = label
        self.training = network.training  # a network in eval mode stays so

    def forward(self, x: Image) -> Logits:
        """(n, 2) logits: that the label does not apply, and that it does."""
        logit: Tensor = self.network(x)[:, self.label]
        return torch.stack([torch.zeros_like(logit), logit], 1)
