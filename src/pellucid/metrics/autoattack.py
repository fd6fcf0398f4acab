"""AutoAttack: does the prediction survive an ensemble of attacks whose steps choose themselves."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool
from torch import Tensor

from pellucid.attacks import PGD
from pellucid.core import randomness
from pellucid.core.checks import at_least, one_of
from pellucid.core.errors import InputError
from pellucid.core.outputs import answer
from pellucid.core.types import Image, Label
from pellucid.metrics.inputs import check_batch, check_model, clean_logits

__all__ = ["autoattack_correct", "autoattack_names"]

Version = Literal["standard", "plus", "rand"]

# A library's logger is silent until its user configures logging.
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())


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
    one_of(get_args(Version), version=version)
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
    better than gradients) go to the logger ``pellucid.metrics.autoattack``; nothing is printed or written.

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
    at_least(1, chunk=chunk)
    PGD(eps=eps, step_size=0, steps=0, norm=norm)  # checks eps and norm
    logits = clean_logits(model, x, label, chunk)
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
        network, named = _float32(model, x.dtype), {"linf": "Linf", "l2": "L2"}[norm]
        evaluation = AutoAttack(network, norm=named, eps=eps, seed=seed, version=version, device=x.device)
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


def _float32(model: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The network from float32 to float32 whose backward pass reaches the images but no parameter."""

    def logits(x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            found: Tensor = _OfImages.apply(x, lambda image: answer(model, image.to(dtype)).float())  # type: ignore[no-untyped-call]
            return found
        with torch.no_grad():
            # A copy, for the square attack writes into the logits, which may be a view of the images.
            return answer(model, x.to(dtype)).to(torch.float32, copy=True)

    return logits


class _OfImages(torch.autograd.Function):
    """FAB calls ``backward()``, which would add to the ``.grad`` of every parameter."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, model: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.enable_grad():
            ctx.image = x.detach().requires_grad_()
            ctx.logits = model(ctx.image)
        logits: Tensor = ctx.logits.detach().clone()
        return logits

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
