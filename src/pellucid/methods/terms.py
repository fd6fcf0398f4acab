"""What the losses of several methods are made of."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.processes import processes
from pellucid.core.types import Image, Label, Logits, PerSample
from pellucid.methods.method import Losses

__all__ = ["accuracy", "cross_entropy_of", "joint_logits", "log_of", "spread"]


def cross_entropy_of(model: nn.Module, label: Label) -> Callable[[Image], PerSample]:
    """What an attack on the classification increases: images to (n,) cross-entropies with these labels."""
    return lambda x: F.cross_entropy(model(x), label, reduction="none")


def joint_logits(model: nn.Module, *images: Image) -> list[Logits]:
    """The logits of each batch of images.

    They come from one joint forward pass, unless a BatchNorm layer would mix the batches; then each has its own.
    """
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        return [model(x) for x in images]
    return list(model(torch.cat(images)).split([len(x) for x in images]))


def spread(n: int, share: float, device: torch.device) -> Tensor:
    """Positions of ``share`` of a batch, spread evenly, so that every process of a distributed run gets its part.

    >>> spread(8, 0.25, torch.device("cpu")).tolist()
    [0, 4]
    """
    if processes() > 1 and abs(share * n - round(share * n)) > 1e-6:
        raise InputError(
            f"a share of {share:g} of the {n} images that each process has is no whole number; "
            "change batch_size, so that the number of processes changes nothing"
        )
    count = min(n, max(1, round(share * n)))
    return torch.arange(count, device=device) * n // count


def accuracy(logits: Logits, label: Label) -> Tensor:
    """Share of the images whose greatest logit is that of their label, a detached scalar."""
    return (logits.detach().argmax(1) == label).float().mean()


def log_of(*, loss: Tensor, adversarial: tuple[Logits, Label] | None = None, **values: Tensor) -> Losses:
    """What `Method.loss` returns: the loss with its graph, everything else detached.

    Args:
        loss: scalar.
        adversarial: logits of attacked images and their labels, of which ``adversarial_accuracy`` is logged.
        values: scalars for the log.
    """
    losses = {"loss": loss} | {name: value.detach() for name, value in values.items()}
    if adversarial is not None:
        losses["adversarial_accuracy"] = accuracy(*adversarial)
    return losses
