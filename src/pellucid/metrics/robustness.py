"""Does the prediction survive an attack: one radius or many, and probes of the attack itself."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional

from pellucid.attacks import PGD, fgsm
from pellucid.core import randomness
from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.outputs import answer
from pellucid.core.types import Image, Label
from pellucid.metrics.inputs import check_batch, check_model, clean_logits, predicted_logits

__all__ = ["Attack", "masking_probe", "robust_correct", "robustness_curve"]


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
    at_least(1, restarts=restarts)
    correct = predicted_logits(model, x, label).argmax(dim=1) == label
    for restart in range(restarts):
        correct &= _right_after(model, x, label, attack, randomness.of(generator, f"robustness/{restart}"))
    return correct


def robustness_curve(
    model: Callable[[Tensor], Tensor],
    x: Image,
    label: Label,
    attack: PGD,
    *,
    eps: Sequence[float],
    restarts: int = 1,
    generator: randomness.Generator = None,
    chunk: int = 256,
) -> Bool[Tensor, "n k"]:
    """`robust_correct` at several radii: the mean over images is robust accuracy as a function of the radius.

    The step size grows with the radius: its ratio to ``eps`` is that of ``attack``. A point of a smaller ball lies in
    every larger one, so an image lost at one radius is counted lost at all larger ones and not attacked again; nor
    is one that an earlier restart has lost. So the curve never rises, and where an attack fails at a large radius that
    succeeded at a small one, it is lower than attacking each radius alone.

    Restart i begins, at every radius, at the same draw in the unit ball, from
    ``randomness.of(generator, f"robustness/{i}")``. With `SampleDraws` an image's numbers depend on seed and image
    alone; other sources draw for the images that are left.

    ``attack`` says how each ball is searched, its own ``eps`` above 0; ``eps`` are k rising radii in its norm and pixel
    units, at least 0, and the clean image counts at each; ``chunk`` images are attacked at once, which bounds memory.
    All other arguments are those of `robust_correct`.

    Returns:
        (n, k) True where the clean and all attacked predictions up to that radius are the label; higher is more robust.

    Raises:
        InputError: as `robust_correct`; radii that do not rise or are out of range, an attack with ``eps`` 0, a
            ``chunk`` below 1.

    >>> bright = lambda x: torch.stack([x.mean((1, 2, 3)), torch.full((len(x),), 0.5)], dim=1)
    >>> x = torch.tensor([0.9, 0.65, 0.1]).view(3, 1, 1, 1)
    >>> attack = PGD(eps=0.1, step_size=0.05, steps=5)
    >>> robustness_curve(bright, x, torch.tensor([0, 0, 0]), attack, eps=(0, 0.1, 0.2))
    tensor([[ True,  True,  True],
            [ True,  True, False],
            [False, False, False]])

    Source: Madry et al. 2018, figure 6; advised by Carlini et al. 2019, "On evaluating adversarial robustness".
    """
    check_model(model)
    check_batch(x, label)
    at_least(1, restarts=restarts, chunk=chunk)
    if not eps or any(not low < high for low, high in pairwise(eps)):
        raise InputError(f"eps must hold rising radii, at least one, got {list(eps)}")
    if not attack.eps > 0:
        raise InputError(f"the attack's own eps must be above 0, for its step size is relative to it, got {attack.eps}")
    attacks = [replace(attack, eps=radius, step_size=attack.step_size / attack.eps * radius) for radius in eps]
    correct = clean_logits(model, x, label, chunk).argmax(dim=1) == label
    column = []
    for at_radius in attacks:
        correct = _survivors(model, x, label, at_radius, correct, range(restarts), generator, chunk)
        column.append(correct)
    return torch.stack(column, dim=1)


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

    def survivors(probe: PGD, alive: Tensor, starts: range = range(1), **source: Any) -> Tensor:
        return _survivors(model, x, label, probe, alive, starts, generator, chunk, **source)

    many_step = survivors(attack, correct)
    right = {
        "one_step": survivors(attacks["one_step"], correct),
        "many_step": many_step,
        "long": survivors(attacks["long"], correct),
        "restarts": survivors(attack, many_step, range(1, restarts)) if attack.random_start else many_step.clone(),
        "unbounded": survivors(attacks["unbounded"], correct),
    }
    if transfer is not None:
        right["transfer"] = survivors(attack, correct, attacked=transfer)
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


def _right_after(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    label: Tensor,
    attack: Attack,
    generator: randomness.Generator,
    *,
    attacked: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Whether ``model`` is right on images attacked on it, or on another network."""
    searched = model if attacked is None else attacked

    def cross_entropy(changed: Tensor) -> Tensor:
        # A clone, because autograd refuses to save an inference tensor.
        return functional.cross_entropy(answer(searched, changed), label.long().clone(), reduction="none")

    changed = attack(cross_entropy, x, generator=generator)
    if changed.shape != x.shape:
        raise InputError(f"the attack must return images {tuple(x.shape)}, got {tuple(changed.shape)}")
    check_batch(changed, label)
    return predicted_logits(model, changed, label).argmax(dim=1) == label


def _survivors(
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
) -> Tensor:
    """Those of the images ``alive`` on which the model is right after every restart; only they are attacked."""
    alive = alive.clone()
    for restart in restarts:
        source = randomness.of(generator, f"robustness/{restart}")
        for chosen in torch.split(alive.nonzero().flatten(), chunk):
            if not len(chosen):
                continue
            draws = _draws_of(source, chosen)
            alive[chosen] = _right_after(model, x[chosen], label[chosen], attack, draws, attacked=attacked)
    return alive


def _draws_of(generator: randomness.Generator, chosen: Tensor) -> randomness.Generator:
    """An image keeps its numbers when others leave its batch, where the source knows images."""
    if isinstance(generator, randomness.SampleDraws):
        return replace(generator, index=tuple(generator.index[i] for i in chosen.tolist()))
    return generator
