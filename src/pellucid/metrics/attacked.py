"""Images attacked on a network, and whether it is still right on them: what every measure under attack is made of."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from pellucid.attacks import PGD
from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.core.outputs import answer
from pellucid.core.types import Label, Logits, PerSample
from pellucid.metrics.inputs import check_batch, predicted_logits

__all__ = ["Attack", "Followed", "cross_entropy", "margin", "right_after", "survivors"]


class Attack(Protocol):
    """What changes images so that a per-sample objective grows, such as `pellucid.attacks.PGD`."""

    def __call__(
        self, objective: Callable[[Tensor], Tensor], x: Tensor, *, generator: randomness.Generator
    ) -> Tensor: ...


def cross_entropy(logits: Logits, label: Label) -> PerSample:
    """Of each image, what an attack increases."""
    # A clone, because autograd refuses to save an inference tensor.
    return functional.cross_entropy(logits, label.long().clone(), reduction="none")


def margin(logits: Logits, label: Label) -> PerSample:
    """How far the greatest logit of another class is above that of the label, (n,); above 0 where that is predicted.

    >>> margin(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]))
    tensor([-1.])

    Source: Carlini and Wagner 2017, "Towards evaluating the robustness of neural networks", equation f6, without its
    bound.
    """
    own = label.long().clone()[:, None]
    others = logits.scatter(1, own, -torch.inf).amax(1)
    return others - logits.gather(1, own)[:, 0]


class Followed:
    """Whether any step of an attack had a gradient to follow, for each image.

    Args:
        n: images.
        device: where they are.
    """

    def __init__(self, n: int, device: torch.device) -> None:
        with torch.inference_mode(False):  # as gradients are made, and looked at, outside of it
            self.found = torch.full((n,), torch.nan, device=device)

    def watch(self, changed: Tensor, rows: Tensor | slice = slice(None)) -> None:
        """Look at the gradient with respect to these images when it is made."""
        if changed.requires_grad:
            changed.register_hook(lambda gradient: self._see(gradient, rows))  # type: ignore[no-untyped-call]

    def _see(self, gradient: Tensor, rows: Tensor | slice) -> None:
        there = (gradient.detach() != 0).flatten(1).any(1).float()
        self.found[rows] = torch.fmax(self.found[rows], there)

    def tell(self, right: Tensor) -> None:
        """Say it where images that are still right were followed nowhere."""
        if bool((right & (self.found == 0)).any()):
            tell(
                "an attack found no gradient on images that stay right, as where logits are so far apart that the "
                "cross-entropy is 0 to the last digit; they were not attacked at all, so robust accuracy is an upper "
                "bound; pellucid.metrics.checked_robustness and autoattack_correct look further"
            )


def right_after(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    label: Tensor,
    attack: Attack,
    generator: randomness.Generator,
    *,
    attacked: Callable[[Tensor], Tensor] | None = None,
    increased: Callable[[Tensor, Tensor], PerSample] = cross_entropy,
    followed: Followed | None = None,
    rows: Tensor | slice = slice(None),
) -> Tensor:
    """Whether ``model`` is right on images attacked on it, or on another network."""
    searched = model if attacked is None else attacked

    def objective(changed: Tensor) -> Tensor:
        if followed is not None:
            followed.watch(changed, rows)
        return increased(answer(searched, changed), label)

    changed = attack(objective, x, generator=generator)
    if changed.shape != x.shape:
        raise InputError(f"the attack must return images {tuple(x.shape)}, got {tuple(changed.shape)}")
    check_batch(changed, label)
    return predicted_logits(model, changed, label).argmax(dim=1) == label


def survivors(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    label: Tensor,
    attack: PGD,
    alive: Tensor,
    restarts: range,
    generator: randomness.Generator,
    chunk: int,
    *,
    attacked: Callable[[Tensor], Tensor] | None = None,
    followed: Followed | None = None,
) -> Tensor:
    """Those of the images ``alive`` on which the model is right after every restart; only they are attacked."""
    alive = alive.clone()
    for restart in restarts:
        source = randomness.of(generator, f"robustness/{restart}")
        for chosen in torch.split(alive.nonzero().flatten(), chunk):
            if not len(chosen):
                continue
            draws = _draws_of(source, chosen)
            alive[chosen] = right_after(
                model, x[chosen], label[chosen], attack, draws, attacked=attacked, followed=followed, rows=chosen
            )
    return alive


def _draws_of(generator: randomness.Generator, chosen: Tensor) -> randomness.Generator:
    """An image keeps its numbers when others leave its batch, where the source knows images."""
    if isinstance(generator, randomness.SampleDraws):
        return replace(generator, index=tuple(generator.index[i] for i in chosen.tolist()))
    return generator
