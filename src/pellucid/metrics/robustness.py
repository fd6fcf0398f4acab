"""Does the prediction survive an attack: one radius or many, AutoAttack, and probes of the attack itself."""

import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, Protocol, get_args

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional

from pellucid import randomness
from pellucid.attacks import PGD, fgsm
from pellucid.errors import InputError
from pellucid.metrics.inputs import check_batch, check_classes, check_model
from pellucid.types import Image, Label, Logits

__all__ = ["Attack", "autoattack_correct", "autoattack_names", "masking_probe", "robust_correct", "robustness_curve"]

Version = Literal["standard", "plus", "rand"]

# A library's logger is silent until its user configures logging.
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())


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
    _check_counts(restarts=restarts)
    correct = _predicted(model, x, label).argmax(dim=1) == label
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
    ``randomness.of(generator, f"robustness/{i}")``. With `SampleDraws` an image's numbers depend on nothing else;
    other sources draw for the images that are left.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        label: (n,) true class.
        attack: how each ball is searched; its own ``eps`` must be above 0.
        eps: k rising radii in the attack's norm and pixel units, at least 0; the clean image counts at each.
        restarts: attacks from different random starts, at least 1.
        generator: source of the random starts.
        chunk: images attacked at once, which bounds memory.

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
    _check_counts(restarts=restarts, chunk=chunk)
    if not eps or any(not low < high for low, high in pairwise(eps)):
        raise InputError(f"eps must hold rising radii, at least one, got {list(eps)}")
    if not attack.eps > 0:
        raise InputError(f"the attack's own eps must be above 0, for its step size is relative to it, got {attack.eps}")
    attacks = [replace(attack, eps=radius, step_size=attack.step_size / attack.eps * radius) for radius in eps]
    correct = _clean_logits(model, x, label, chunk).argmax(dim=1) == label
    column = []
    for one in attacks:
        correct = _survivors(model, x, label, one, correct, range(restarts), generator, chunk)
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

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        label: (n,) true class.
        attack: the attack that is probed.
        restarts: random starts of ``restarts``, at least 2; without ``random_start`` it equals ``many_step``.
        transfer: another network of the same classes, in eval mode, such as one trained without an attack.
        generator: source of the random starts.
        chunk: images attacked at once, which bounds memory.

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
    >>> found = masking_probe(bright, x, torch.tensor([0, 0, 0]), PGD(eps=0.2, step_size=0.05, steps=8))
    >>> {name: right.sum().item() for name, right in found.items()}
    {'one_step': 1, 'many_step': 1, 'long': 1, 'restarts': 1, 'unbounded': 0}

    Source: Athalye, Carlini and Wagner 2018, "Obfuscated gradients give a false sense of security", section 3.1;
    Carlini et al. 2019, "On evaluating adversarial robustness"; the step rule of ``unbounded`` of Madry et al. 2018.
    """
    check_model(model)
    check_batch(x, label)
    _check_counts(chunk=chunk)
    if restarts < 2:
        raise InputError(f"restarts must be at least 2, to be more than one attack, got {restarts}")
    correct = _clean_logits(model, x, label, chunk).argmax(dim=1) == label
    if transfer is not None:
        check_model(transfer)
        _clean_logits(transfer, x, label, chunk)
    everything = 1.0 if attack.norm == "linf" else math.sqrt(x[0].numel())
    steps = max(attack.steps, 50)
    unbounded = replace(attack, eps=everything, step_size=2.5 * everything / steps, steps=steps, random_start=False)

    def survivors(one: PGD, alive: Tensor, starts: range = range(1), **source: Any) -> Tensor:
        return _survivors(model, x, label, one, alive, starts, generator, chunk, **source)

    many_step = survivors(attack, correct)
    found = {
        "one_step": survivors(fgsm(eps=attack.eps, norm=attack.norm, random_start=False), correct),
        "many_step": many_step,
        "long": survivors(replace(attack, steps=5 * attack.steps), correct),
        "restarts": survivors(attack, many_step, range(1, restarts)) if attack.random_start else many_step.clone(),
        "unbounded": survivors(unbounded, correct),
    }
    if transfer is not None:
        found["transfer"] = survivors(attack, correct, attacked=transfer)
    return found


def autoattack_names(classes: int, *, version: Version = "standard") -> tuple[str, ...]:
    """The attacks of a version of AutoAttack that exist for a number of classes, in the order in which they are run.

    The difference of logits ratio (DLR) is defined for 3 classes, its targeted form for 4. With 3, ``apgd-dlr`` takes
    the place of a missing ``apgd-t``; with 2, where the cross-entropy is a function of the one difference of logits,
    neither is run.

    Args:
        classes: of the network, at least 2.
        version: ``standard``, ``plus`` (more attacks and starts) or ``rand`` (for networks that draw).

    Returns:
        Names of the package's attacks.

    Raises:
        InputError: fewer than 2 classes, another version.

    >>> autoattack_names(10), autoattack_names(2)
    (('apgd-ce', 'apgd-t', 'fab-t', 'square'), ('apgd-ce', 'fab-t', 'square'))

    Source: Croce and Hein 2020, equations 6 and 7; section 6 for the choice.
    """
    if version not in get_args(Version):
        raise InputError(f"version must be {', '.join(get_args(Version))}, got {version!r}")
    if classes < 2:
        raise InputError(f"AutoAttack needs a network of at least 2 classes, got {classes}")
    names = {
        "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
        "plus": ("apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"),
        "rand": ("apgd-ce", "apgd-dlr"),
    }[version]
    if classes == 3 and version == "standard":
        return ("apgd-ce", "apgd-dlr", "fab-t", "square")
    fewest = {"apgd-dlr": 3, "apgd-t": 4}
    return tuple(name for name in names if classes >= fewest.get(name, 2))


def autoattack_correct(
    model: Callable[[Tensor], Tensor],
    x: Image,
    label: Label,
    *,
    eps: float,
    norm: Literal["linf", "l2"] = "linf",
    version: Version = "standard",
    attacks: Sequence[str] | None = None,
    chunk: int = 250,
    seed: int = 0,
) -> Bool[Tensor, " n"]:
    """Whether the network is right on the image and after each of AutoAttack's attacks, as `pyautoattack` runs them.

    Needs ``pip install pellucid[autoattack]``. An image that one attack has lost is not given to the next. The targeted
    attacks aim at the 9 most likely wrong classes, or at all where there are fewer; below 4 classes some attacks do
    not exist (`autoattack_names`), so the number is not the one of the paper.

    All runs are in float32. The package draws by position in the chunk, so an image's random starts depend on
    ``seed``, ``chunk`` and which images are in its chunk and still right; here measures differ from all others.
    Its warnings (a network that draws, probabilities instead of logits, zero gradients, a black-box attack that does
    better than gradients) go to the logger ``pellucid.metrics.robustness``; nothing is printed or written.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        label: (n,) true class.
        eps: radius in pixel units.
        norm: the ball's norm, ``linf`` or ``l2``.
        version: ``standard``, ``plus`` or ``rand``, as in `autoattack_names`.
        attacks: only these of the version's attacks, which bounds the time and raises the number; all by default.
        chunk: images attacked at once.
        seed: of the random starts.

    Returns:
        (n,) True where the clean and all attacked predictions are the label; higher is more robust.

    Raises:
        InputError: the package is missing; wrong shapes, pixels outside [0, 1], a label the network lacks, a network in
            training mode or with non-finite logits, numbers out of range, an unknown norm, version or attack, ``l2``
            and ``square`` with a size that the package's tiles overrun (a side below 5, or 12, 14, 18, 19 or 24).

    >>> bright = lambda x: torch.stack([x.mean((1, 2, 3)), torch.full((len(x),), 0.5)], dim=1)
    >>> x = torch.tensor([0.9, 0.65, 0.1]).view(3, 1, 1, 1)
    >>> autoattack_correct(bright, x, torch.tensor([0, 0, 0]), eps=0.2, attacks=["apgd-ce"])
    tensor([ True, False, False])

    Source: Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks".
    """
    try:
        from pyautoattack import AutoAttack
    except ImportError as error:
        raise InputError(
            f"AutoAttack needs the package pyautoattack ({error}); `pip install pellucid[autoattack]` brings it"
        ) from error
    check_model(model)
    check_batch(x, label)
    _check_counts(chunk=chunk)
    PGD(eps=eps, step_size=0, steps=0, norm=norm)  # checks eps and norm
    logits = _clean_logits(model, x, label, chunk)
    known = autoattack_names(logits.shape[1], version=version)
    unknown = [name for name in attacks or () if name not in known]
    if unknown or (attacks is not None and not attacks):
        raise InputError(f"attacks must be some of {', '.join(known)}, got {', '.join(unknown) or 'none'}")
    chosen = [name for name in known if attacks is None or name in attacks]
    if norm == "l2" and "square" in chosen and not _tiled(*x.shape[2:]):
        size = " x ".join(map(str, x.shape[2:]))
        raise InputError(f"pyautoattack's l2 square attack fails on images of {size} pixels; leave it out of attacks")

    correct = logits.argmax(dim=1) == label
    right = correct.nonzero().flatten()
    if not len(right):
        return correct
    with torch.inference_mode(False), _nothing_changed():
        images, labels = x[right].float().clone(memory_format=torch.contiguous_format), label[right].long().clone()
        evaluation = AutoAttack(
            _float32(model, x.dtype),
            norm={"linf": "Linf", "l2": "L2"}[norm],
            eps=eps,
            seed=seed,
            version=version,
            device=x.device,
        )
        for part in (evaluation, evaluation.apgd, evaluation.apgd_targeted):
            part.logger = _log
        evaluation.attacks_to_run = chosen
        for part in (evaluation.apgd_targeted, evaluation.fab):
            part.n_target_classes = min(part.n_target_classes, logits.shape[1] - 1)
        _, predicted = evaluation.run_standard_evaluation(images, labels, batch_size=chunk)
    correct[right] = predicted == labels
    return correct


def _tiled(height: int, width: int) -> bool:
    """Whether pyautoattack 0.2's first l2 square perturbation, of tiles a fifth of the height, stays in the image."""
    side = height // 5
    first = (height - 5 * side) // 2
    return side == 1 or (side > 1 and all(first + length // side * side <= length for length in (height, width)))


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"{name} must be at least 1, got {count}")


def _predicted(model: Callable[[Tensor], Tensor], x: Tensor, label: Tensor) -> Logits:
    with torch.no_grad():
        logits = model(x)
    check_classes(label, logits)
    return logits


def _clean_logits(model: Callable[[Tensor], Tensor], x: Tensor, label: Tensor, chunk: int) -> Logits:
    parts = zip(torch.split(x, chunk), torch.split(label, chunk), strict=True)
    return torch.cat([_predicted(model, *part) for part in parts])


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
        return functional.cross_entropy(searched(changed), label.long().clone(), reduction="none")

    changed = attack(cross_entropy, x, generator=generator)
    if changed.shape != x.shape:
        raise InputError(f"the attack must return images {tuple(x.shape)}, got {tuple(changed.shape)}")
    check_batch(changed, label)
    return _predicted(model, changed, label).argmax(dim=1) == label


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


def _float32(model: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The network from float32 to float32 whose backward pass reaches the images but no parameter."""

    def logits(x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            found: Tensor = _OfImages.apply(x, lambda image: model(image.to(dtype)).float())  # type: ignore[no-untyped-call]
            return found
        with torch.no_grad():
            # A copy, for the square attack writes into the logits, which may be a view of the images.
            return model(x.to(dtype)).to(torch.float32, copy=True)

    return logits


class _OfImages(torch.autograd.Function):
    """FAB calls ``backward()``, which would add to the ``.grad`` of every parameter."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, model: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.enable_grad():
            ctx.image = x.detach().requires_grad_()
            ctx.logits = model(ctx.image)
        found: Tensor = ctx.logits.detach().clone()
        return found

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        # FAB without targets asks for the gradients of one class after the other.
        (gradient,) = torch.autograd.grad(ctx.logits, ctx.image, grad, retain_graph=True)
        return gradient, None


@contextmanager
def _nothing_changed() -> Iterator[None]:
    """Give back what the package seeds (all of torch's generators) and removes (a debugger's or coverage's tracer)."""
    tracer = sys.gettrace()
    accelerators = [
        f"{torch.accelerator.current_accelerator()}:{number}" for number in range(torch.accelerator.device_count())
    ]
    with ExitStack() as stack:
        for device in accelerators or ["cpu"]:
            stack.enter_context(randomness.fork(0, "autoattack", device=device))
        try:
            yield
        finally:
            sys.settrace(tracer)
