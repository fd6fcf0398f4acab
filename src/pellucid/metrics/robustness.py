"""Does the prediction survive an attack."""

from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional

from pellucid import randomness
from pellucid.errors import InputError
from pellucid.metrics.inputs import check_batch, check_classes, check_model
from pellucid.types import Image, Label

__all__ = ["Attack", "robust_correct"]


class Attack(Protocol):
    """What changes images so that a per-sample objective grows, such as `pellucid.attacks.PGD`."""

    def __call__(
        self, objective: Callable[[Tensor], Tensor], x: Tensor, *, generator: randomness.Generator
    ) -> Tensor: ...


def robust_correct(
    model: Callable[[Tensor], Tensor],
    x: Image,
    label: Label,
    attack: Attack,
    *,
    restarts: int = 1,
    generator: randomness.Generator = None,
) -> Bool[Tensor, " n"]:
    """Whether the network is right on the image and on every attacked version of it; the mean is robust accuracy.

    Restart i increases the cross-entropy of the true label, with noise from
    ``randomness.of(generator, f"robustness/{i}")``; the last image of the attack is what counts. The value is an upper
    bound: a stronger attack can only lower it.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        label: (n,) true class.
        attack: the threat model and how it is searched, such as `pellucid.attacks.PGD`.
        restarts: attacks from different random starts, at least 1.
        generator: source of the random starts.

    Returns:
        (n,) True where the clean and all attacked predictions are the label; higher is more robust.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a label the network lacks, a network in training mode or with
            non-finite logits, ``restarts`` below 1, an attack that leaves [0, 1] or changes the shape.

    >>> bright = lambda x: torch.stack([x.mean((1, 2, 3)), torch.full((len(x),), 0.5)], dim=1)
    >>> darken = lambda objective, x, *, generator: (x - 0.2).clamp(0, 1)
    >>> x = torch.tensor([0.9, 0.6, 0.1]).view(3, 1, 1, 1)
    >>> robust_correct(bright, x, torch.tensor([0, 0, 0]), darken)
    tensor([ True, False, False])

    Source: Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks".
    """
    check_model(model)
    check_batch(x, label)
    if restarts < 1:
        raise InputError(f"restarts must be at least 1, got {restarts}")

    def cross_entropy(changed: Tensor) -> Tensor:
        return functional.cross_entropy(model(changed), label.long(), reduction="none")

    correct = _correct(model, x, label)
    for restart in range(restarts):
        attacked = attack(cross_entropy, x, generator=randomness.of(generator, f"robustness/{restart}"))
        if attacked.shape != x.shape:
            raise InputError(f"the attack must return images {tuple(x.shape)}, got {tuple(attacked.shape)}")
        check_batch(attacked, label)
        correct &= _correct(model, attacked, label)
    return correct


def _correct(model: Callable[[Tensor], Tensor], x: Tensor, label: Tensor) -> Tensor:
    with torch.no_grad():
        logits = model(x)
    check_classes(label, logits)
    return logits.argmax(dim=1) == label
