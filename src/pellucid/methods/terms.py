"""What the losses of several methods are made of."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.processes import processes
from pellucid.core.randomness import Generator, uniform
from pellucid.core.types import Image, Label, Logits, Mask, PerSample
from pellucid.methods.method import Losses
from pellucid.saliency import lowest

__all__ = ["accuracy", "cross_entropy_of", "joint_logits", "log_of", "random_regions", "spread"]


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


def random_regions(x: Image, share: float | Tensor, *, region: int, generator: Generator = None) -> Mask:
    """A mask of the size that `pellucid.lowest` would choose, at random places that no map has a say in.

    Args:
        x: (n, c, h, w) images, whose size and device count.
        share: share of each image's regions that are chosen, in [0, 1], one number or (n,).
        region: side of the square regions in pixels; those at the right and lower edge may be smaller.
        generator: source of the places.

    Returns:
        (n, 1, h, w), True on ``floor(share R)`` of an image's R regions, each choice as probable as any other.

    >>> random_regions(torch.zeros(2, 3, 8, 8), 0.25, region=2).sum((1, 2, 3)).tolist()
    [16, 16]
    """
    height, width = x.shape[2:]
    # One number a region, not one a pixel: the mean over a smaller region at the edge would be extreme more often.
    drawn = uniform((len(x), -(-height // region), -(-width // region)), generator, device=x.device)
    mask = lowest(drawn, share)
    return mask.repeat_interleave(region, 2).repeat_interleave(region, 3)[..., :height, :width]


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
