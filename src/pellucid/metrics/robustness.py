"""Does the prediction survive an attack, of one radius or of many; was it one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Bool
from torch import Tensor

from pellucid.attacks import PGD, fgsm
from pellucid.core import randomness
from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.types import Image, Label
from pellucid.metrics.attacked import Attack, Followed, margin, right_after, survivors
from pellucid.metrics.chunks import rows_of
from pellucid.metrics.inputs import check_batch, check_model, clean_logits, predicted_logits

__all__ = ["checked_robustness", "robust_correct", "robustness_curve"]


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
    bound: a stronger attack can only lower it. Where images stay right because the attack had no gradient to follow,
    that is told; `checked_robustness` says of which images.

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
    followed = Followed(len(x), x.device)
    for restart in range(restarts):
        source = randomness.of(generator, f"robustness/{restart}")
        correct &= right_after(model, x, label, attack, source, followed=followed)
    followed.tell(correct)
    return correct


def checked_robustness(
    model: Callable[[Tensor], Tensor],
    x: Image,
    label: Label,
    attack: Attack,
    *,
    restarts: int = 1,
    generator: randomness.Generator = None,
) -> dict[str, Tensor]:
    """`robust_correct` with what tells whether its attack was one: two checks that cost a tenth of it.

    An image may stay right because the attack had nothing to follow: where logits are so far apart that the
    cross-entropy is 0 to the last digit, or the network is flat, its gradient is 0 at every step. Such images are
    attacked once more on the margin between logits, whose gradient does not vanish with the probabilities. And a single
    step of the whole radius is tried, which is weaker in truth. `pellucid.metrics.masking_warnings` says what the
    results show.

    Arguments and errors are those of `robust_correct`.

    Returns:
        (n,) each:

        - ``robust_correct``: as `robust_correct`;
        - ``robust_gradient``: 1 where some step of the attack had a gradient other than 0, 0 where none had, NaN where
          that is not known, as of an attack that asks for no gradient;
        - ``robust_one_step``: whether the network is right on the image and after one step of the attack's radius from
          the image itself (FGSM); NaN where the attack is no `pellucid.PGD`;
        - ``robust_margin``: ``robust_correct``, and right after the attack on the margin where there was no gradient.

    >>> bright = lambda x: 1e3 * torch.stack([x.mean((1, 2, 3)), torch.full((len(x),), 0.5)], dim=1)
    >>> x = torch.tensor([0.9, 0.6]).view(2, 1, 1, 1)
    >>> attack = PGD(eps=0.2, step_size=0.05, steps=8, random_start=False)
    >>> found = checked_robustness(bright, x, torch.tensor([0, 0]), attack)
    >>> {name: value.tolist() for name, value in found.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'robust_correct': [True, True], 'robust_gradient': [0.0, 0.0], 'robust_one_step': [1.0, 1.0],
     'robust_margin': [True, False]}

    Source: Athalye, Carlini and Wagner 2018, section 3.1; the margin is the loss of Carlini and Wagner 2017, "Towards
    evaluating the robustness of neural networks", equation f6 without its bound.
    """
    check_model(model)
    check_batch(x, label)
    at_least(1, restarts=restarts)
    clean = predicted_logits(model, x, label).argmax(dim=1) == label
    sources = [randomness.of(generator, f"robustness/{restart}") for restart in range(restarts)]
    correct, followed = clean.clone(), Followed(len(x), x.device)
    for source in sources:
        correct &= right_after(model, x, label, attack, source, followed=followed)
    one_step = torch.full_like(correct, torch.nan, dtype=torch.float32)
    if isinstance(attack, PGD):
        single = fgsm(eps=attack.eps, norm=attack.norm, random_start=False)
        one_step = (clean & right_after(model, x, label, single, None)).float()
    by_margin, blind = correct.clone(), (correct & (followed.found == 0)).nonzero().flatten()
    for source in sources if len(blind) else []:
        part = rows_of(source, blind.tolist(), len(x))
        by_margin[blind] &= right_after(model, x[blind], label[blind], attack, part, increased=margin)
    return {
        "robust_correct": correct,
        "robust_gradient": followed.found,
        "robust_one_step": one_step,
        "robust_margin": by_margin,
    }


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
        followed = Followed(len(x), x.device)
        correct = survivors(model, x, label, at_radius, correct, range(restarts), generator, chunk, followed=followed)
        followed.tell(correct)
        column.append(correct)
    return torch.stack(column, dim=1)
