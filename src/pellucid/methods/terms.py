"""What the losses of several methods are made of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.modes import following, untracked
from pellucid.core.processes import processes
from pellucid.core.randomness import Generator, uniform
from pellucid.core.types import Batch, Image, Logits, Mask, PerSample
from pellucid.methods.method import Losses
from pellucid.saliency import lowest

__all__ = [
    "Classification",
    "accuracy",
    "changed_images",
    "changed_logits",
    "classification_loss",
    "classified",
    "completed",
    "correct",
    "cross_entropy",
    "cross_entropy_of",
    "joint_logits",
    "log_of",
    "mixes",
    "part_of",
    "predicted",
    "random_regions",
    "right_shares",
    "sides",
    "spread",
]

RunningStatistics = Literal["all", "clean"]


@dataclass(frozen=True, eq=False)
class Classification:
    """How classes are learnt, whatever the method: what `classification_loss` and `changed_images` go by.

    Args:
        class_weights: (k,) what the loss of an image is multiplied by, by its class; None for 1.
        label_smoothing: share of each label that is spread evenly over all classes, in [0, 1).
        running_statistics: ``all`` lets BatchNorm's running statistics follow every image that the network is trained
            on; ``clean`` only images as they are, not those that a method has attacked, masked or made noisy.
    """

    class_weights: Tensor | None = None
    label_smoothing: float = 0.0
    running_statistics: RunningStatistics = "all"


PLAIN = Classification()

_classification: ContextVar[Classification] = ContextVar("classification", default=PLAIN)


@contextmanager
def classified(classification: Classification) -> Iterator[None]:
    """Losses that are made inside the block go by ``classification``, as `pellucid.Objective` asks of them."""
    token = _classification.set(classification)
    try:
        yield
    finally:
        _classification.reset(token)


def classification_loss(logits: Logits, label: Tensor) -> Tensor:
    r"""What a batch is trained on, a scalar with a graph; a method of your own calls it for its cross-entropy too.

    .. math:: \frac1n \sum_i w_{y_i} \Big( (1 - s) \, CE(f(x_i), y_i) + \frac sk \sum_c CE(f(x_i), c) \Big)

    w are the class weights and s the label smoothing that `classified` asks for; without them this is the mean
    cross-entropy. The sum is divided by n, not by the sum of the weights, so that every process of a distributed run
    divides by the same. Attacks and penalties look at the plain `cross_entropy`, and so does a batch of images with
    several labels each, of which neither is asked.

    >>> import math
    >>> logits, label = torch.zeros(2, 4), torch.tensor([0, 1])
    >>> with classified(Classification(class_weights=torch.tensor([1.0, 3.0, 1.0, 1.0]))):
    ...     round(classification_loss(logits, label).item() / math.log(4), 6)
    2.0

    Source: label smoothing, Szegedy et al. 2016 (Rethinking the Inception architecture), section 7.
    """
    asked = _classification.get()
    if label.ndim > 1 or (asked.class_weights is None and asked.label_smoothing == 0):
        return cross_entropy(logits, label)
    if asked.class_weights is None:
        return F.cross_entropy(logits, label, label_smoothing=asked.label_smoothing)
    if len(asked.class_weights) != logits.shape[1]:
        raise InputError(
            f"class_weights must be one number for each of the {logits.shape[1]} classes, "
            f"got {len(asked.class_weights)}"
        )
    losses = F.cross_entropy(logits, label, reduction="none", label_smoothing=asked.label_smoothing)
    return (asked.class_weights[label] * losses).mean()


def cross_entropy(logits: Logits, label: Tensor, *, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
    r"""How improbable the network calls what is true, -log p(y | x).

    Of class numbers that is the usual cross-entropy of the softmax. With several labels per image it is the sum, over
    the labels that are known, of the cross-entropy of each label's sigmoid, :math:`-\sum_l \ln \sigma(\pm z_l)`: the
    network calls the labels independent of each other. Divide the learning rate of plain SGD by the number of labels
    where it was chosen for their mean.

    Args:
        logits: (n, k).
        label: (n,) class numbers, or (n, k) labels as `pellucid.Batch` has them.
        reduction: ``mean`` or ``sum`` over the images, a scalar; ``none``, (n,).

    >>> round(cross_entropy(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, -1.0]])).exp().item(), 6)
    4.0
    """
    if label.ndim == 1:
        return F.cross_entropy(logits, label, reduction=reduction)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    known = label >= 0
    each = F.binary_cross_entropy_with_logits(logits, torch.where(known, label, 0).to(logits.dtype), reduction="none")
    total = torch.where(known, each, 0).sum(1)
    if reduction == "none":
        return total
    return total.sum() if reduction == "sum" else total.mean()


def cross_entropy_of(model: nn.Module, label: Tensor) -> Callable[[Image], PerSample]:
    """What an attack on the classification increases: images to (n,) cross-entropies with these labels."""
    return lambda x: cross_entropy(model(x), label, reduction="none")


def sides(label: Tensor) -> Tensor:
    """What a map is asked to explain where an image has several labels: on which side of its logit each one lies.

    The explained number is then the sum of the logits of the labels that apply, minus that of those that do not: the
    log-odds of the whole answer.

    Args:
        label: (n,) class numbers, which are returned as they are, or (n, k) labels.

    Returns:
        (n, k) 1 where a label applies, -1 where it does not, 0 where that is not known.

    >>> sides(torch.tensor([[1.0, 0.0, torch.nan]])).tolist()
    [[1.0, -1.0, 0.0]]
    """
    return label if label.ndim == 1 else torch.where(label >= 0, 2 * label - 1, 0)


@contextmanager
def changed_images(model: nn.Module) -> Iterator[None]:
    """Forward passes inside the block are on images that a method has changed.

    Where running statistics follow ``clean`` images alone, those of BatchNorm stay as they are inside the block, while
    its layers in training mode go on using the mean and variance of the batch. They do not use the running ones there:
    f(x') would then differ from f(x) even where x' is x, and a divergence between the two would punish that difference.
    """
    if _classification.get().running_statistics == "all":
        yield
        return
    with untracked(model):
        yield


def changed_logits(model: nn.Module, changed: Image, clean: Image) -> Logits:
    """Logits of changed images in a step that classifies no image as it is.

    Where running statistics follow ``clean`` images alone, another forward pass on these, without a gradient, moves
    them: they would otherwise stay those of the weights that training began with.

    Args:
        model: network, in the mode it is trained in.
        changed: images that are classified.
        clean: the images as they are.
    """
    with changed_images(model):
        logits: Logits = model(changed)
    if _classification.get().running_statistics == "clean" and following(model):
        with torch.no_grad():  # after the pass above, whose casts of the weights autocast keeps with their graph
            model(clean)
    return logits


def joint_logits(model: nn.Module, clean: Image, *changed: Image) -> list[Logits]:
    """The logits of images as they are, and of each batch of changed ones.

    They come from one joint forward pass, unless a BatchNorm layer would mix the batches; then each has its own, and
    `changed_images` says what that leaves in the running statistics.
    """
    if mixes(model):
        logits = [model(clean)]
        with changed_images(model):
            return logits + [model(x) for x in changed]
    return list(model(torch.cat([clean, *changed])).split([len(x) for x in (clean, *changed)]))


def completed(model: nn.Module, x: Image, part: Tensor, logits: Logits) -> Logits:
    """The logits of a whole batch, of which those of a part are known; its images must not influence each other.

    Args:
        model: network.
        x: (n, c, h, w) images.
        part: positions of m of them.
        logits: (m, k) of the part.
    """
    n = len(x)
    if len(logits) == n:
        return logits
    # Sorted, since asking a GPU which positions are left would wait for it.
    left = torch.ones(n, device=x.device).index_fill(0, part, 0).argsort(stable=True)[len(logits) :]
    whole = logits.new_zeros(n, logits.shape[1]).index_copy(0, part, logits)
    return whole.index_copy(0, left, model(x[left]).to(logits.dtype))


def mixes(model: nn.Module) -> bool:
    """Whether the images of a batch influence each other, as they do through BatchNorm.

    >>> mixes(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))), mixes(nn.Linear(2, 2))
    (True, False)
    """
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def part_of(batch: Batch, share: float) -> Tensor | slice:
    """Positions of the images that carry a method's costly term: all, or ``share`` of the batch as `spread` has them.

    Batches are drawn at random, so that the mean of a term over a part is right in expectation, whatever the share.
    """
    return slice(None) if share == 1 else spread(len(batch.image), share, batch.image.device)


def spread(n: int, share: float, device: torch.device) -> Tensor:
    """Positions of ``share`` of a batch, spread evenly, so that every process of a distributed run gets its part.

    >>> spread(8, 0.25, torch.device("cpu")).tolist()
    [0, 4]
    """
    if processes() > 1 and abs(share * n - round(share * n)) > 1e-6:
        raise InputError(
            f"a share of {share:g} of the {n} images that each process has is not a whole number; "
            "change batch_size, so that the number of processes changes nothing"
        )
    count = min(n, max(1, round(share * n)))
    return torch.arange(count, device=device) * n // count


def random_regions(x: Image, share: float | Tensor, *, region: int, generator: Generator = None) -> Mask:
    """A mask of the size that `pellucid.lowest` would choose, at places drawn at random, without a map.

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


def predicted(logits: Logits, label: Tensor) -> Tensor:
    """What the network takes for true, in the form that `sides` gives the truth.

    Args:
        logits: (n, k).
        label: the labels, whose shape alone counts.

    Returns:
        (n,) class numbers, or (n, k) 1 where a label's probability is at least 0.5 and -1 where it is not.
    """
    return logits.argmax(1) if label.ndim == 1 else torch.where(logits >= 0, 1.0, -1.0)


def correct(logits: Logits, label: Tensor) -> Tensor:
    """Whether the network is right, detached.

    Args:
        logits: (n, k).
        label: (n,) class numbers, or (n, k) labels.

    Returns:
        (n,) bool, whether the greatest logit is that of the class; of several labels whether all that are known lie on
        their side of probability 0.5.

    >>> correct(torch.tensor([[2.0, -1.0], [2.0, -1.0]]), torch.tensor([[1.0, 0.0], [-1.0, 1.0]])).tolist()
    [True, False]
    """
    if label.ndim == 1:
        return logits.detach().argmax(1) == label
    return ((logits.detach() >= 0) == (label > 0)).logical_or(~(label >= 0)).all(1)


def right_shares(logits: Logits, label: Tensor) -> PerSample:
    """(n,) 1 where the class is predicted, else 0; of several labels the share of those known that are; detached."""
    if label.ndim == 1:
        return correct(logits, label).float()
    known = label >= 0
    right = (logits.detach() >= 0) == (label > 0)
    return (right & known).float().sum(1) / known.float().sum(1).clamp(min=1)


def accuracy(logits: Logits, label: Tensor) -> Tensor:
    """Mean over the images of `right_shares`, a detached scalar."""
    return right_shares(logits, label).mean()


def log_of(*, loss: Tensor, adversarial: tuple[Logits, Tensor] | None = None, **values: Tensor) -> Losses:
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
