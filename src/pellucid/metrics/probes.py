"""Probes of an attack: weaker, stronger and foreign ones, which tell how far to trust it."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from pellucid.attacks import PGD, fgsm
from pellucid.core import randomness
from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.types import Image, Label
from pellucid.metrics.attacked import survivors
from pellucid.metrics.inputs import check_batch, check_model, clean_logits

__all__ = ["masking_probe", "probe_attacks"]


def masking_probe(
    model: Callable[[Tensor], Tensor],
    x: Image,
    label: Label,
    attack: PGD,
    *,
    restarts: int = 5,
    transfer: Callable[[Tensor], Tensor] | None = None,
    generator: randomness.Generator = None,
    chunk: int = 256,
) -> dict[str, Bool[Tensor, " n"]]:
    """Whether the network is still right after weaker, stronger and foreign attacks, which tell how far to trust one.

    A network may look robust only because its gradients lead the attack nowhere. Then one step does better than many,
    an attack without bounds does not succeed, or examples made on another network do better than its own gradients;
    and an attack that has not converged gains by more steps or starts. `pellucid.metrics.masking_warnings` says which
    of these the results show.

    Every probe is an attack of its own on all images that the clean network has right. All use the draws of
    `robust_correct`, so ``many_step`` equals it and ``restarts`` equals it with as many restarts.

    ``attack`` is the one that is probed; ``restarts``, at least 2, are the random starts of the probe of that name,
    which equals ``many_step`` for an attack without; ``transfer`` is another network of the same classes, in eval mode,
    such as one trained without an attack. All other arguments are those of `robustness_curve`.

    Returns:
        (n,) True where the network is right on the image and after

        - ``one_step``: one step of length ``eps`` from the image itself, without a random start (FGSM);
        - ``many_step``: ``attack``;
        - ``long``: ``attack`` with five times its steps;
        - ``restarts``: ``attack`` from each of the random starts;
        - ``unbounded``: at least 50 steps in a ball that holds all images (``eps`` 1, or the square root of c·h·w for
          ``l2``), 2.5 times its radius in all, from the image itself, for a random start in so large a ball is noise
          that misleads without any gradient;
        - ``transfer``: ``attack`` computed on that network.

    Raises:
        InputError: as `robust_correct`, of either network; ``restarts`` below 2, a ``chunk`` below 1.

    >>> import torch
    >>> bright = lambda x: torch.stack([x.mean((1, 2, 3)), torch.full((len(x),), 0.5)], dim=1)
    >>> x = torch.tensor([0.9, 0.65, 0.1]).view(3, 1, 1, 1)
    >>> probes = masking_probe(bright, x, torch.tensor([0, 0, 0]), PGD(eps=0.2, step_size=0.05, steps=8))
    >>> {name: right.sum().item() for name, right in probes.items()}
    {'one_step': 1, 'many_step': 1, 'long': 1, 'restarts': 1, 'unbounded': 0}

    Source: Athalye, Carlini and Wagner 2018, "Obfuscated gradients give a false sense of security", section 3.1;
    Carlini et al. 2019, "On evaluating adversarial robustness"; the step rule of ``unbounded`` of Madry et al. 2018.
    """
    check_model(model)
    check_batch(x, label)
    at_least(1, chunk=chunk)
    if restarts < 2:
        raise InputError(f"restarts must be at least 2, to be more than one attack, got {restarts}")
    correct = clean_logits(model, x, label, chunk).argmax(dim=1) == label
    if transfer is not None:
        check_model(transfer)
        clean_logits(transfer, x, label, chunk)
    attacks = probe_attacks(attack, x[0].numel())

    def remaining(probe: PGD, alive: Tensor, starts: range = range(1), **source: Any) -> Tensor:
        return survivors(model, x, label, probe, alive, starts, generator, chunk, **source)

    many_step = remaining(attack, correct)
    right = {
        "one_step": remaining(attacks["one_step"], correct),
        "many_step": many_step,
        "long": remaining(attacks["long"], correct),
        "restarts": remaining(attack, many_step, range(1, restarts)) if attack.random_start else many_step.clone(),
        "unbounded": remaining(attacks["unbounded"], correct),
    }
    if transfer is not None:
        right["transfer"] = remaining(attack, correct, attacked=transfer)
    return right


def probe_attacks(attack: PGD, pixels: int) -> dict[str, PGD]:
    """The attack of each probe of `masking_probe`, made of the one that is probed.

    Args:
        attack: the attack that is probed.
        pixels: numbers in one image, c·h·w.
    """
    radius = 1.0 if attack.norm == "linf" else math.sqrt(pixels)
    steps = max(attack.steps, 50)
    return {
        "one_step": fgsm(eps=attack.eps, norm=attack.norm, random_start=False),
        "many_step": attack,
        "long": replace(attack, steps=5 * attack.steps),
        "restarts": attack,
        "unbounded": replace(attack, eps=radius, step_size=2.5 * radius / steps, steps=steps, random_start=False),
        "transfer": attack,
    }
