"""How fast the input gradient turns: what decides whether maps of neighbouring images agree.

The change of a gradient map under a small change d of the image is H d to first order, with H the Hessian with respect
to the pixels; its eigenvalues say how much a map can change, its trace how much it does on average.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from pellucid.core import randomness
from pellucid.core.checks import at_least, one_of
from pellucid.core.errors import InputError
from pellucid.core.input_gradient import input_gradient
from pellucid.core.notes import tell
from pellucid.core.outputs import answer
from pellucid.core.types import Image, Label, PerSample
from pellucid.metrics.families.curvature import GradientVariation, HessianTrace, TopHessianEigenvalue
from pellucid.metrics.inputs import check_batch, check_classes, check_model
from pellucid.saliency import in_chunks, target_score

__all__ = ["Method", "gradient_variation", "hessian_trace", "top_hessian_eigenvalue"]

Method = Literal["exact", "difference"]
"""How a Hessian meets a vector: by double backward, or as a difference of two gradients."""


def gradient_variation(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    *,
    radius: float = GradientVariation.radius,
    draws: int = GradientVariation.draws,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> PerSample:
    r"""Mean over directions of :math:`\|g(x+d) - g(x)\| / \|d\|`, with :math:`g` the input gradient of the logit.

    The draws d are uniform on the sphere of the given radius; x + d is not clipped. As the radius shrinks the value
    goes to the mean of :math:`\|H u\|` over unit vectors u, between the smallest and the largest eigenvalue in size
    of the logit's Hessian H. The logit of a network of ReLU and maximum is linear piece by piece: its Hessian is 0
    wherever it exists and all its curvature lies in the kinks, which only a step of finite length crosses. That is
    why this is a difference, and why its value depends on the radius.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class whose logit is looked at, usually the predicted one.
        radius: Euclidean length of d in pixel units, above 0.
        draws: number of directions; draw i is from ``randomness.of(generator, f"curvature/{i}")``.
        chunk: largest number of images in one forward or backward pass; all by default. The numbers do not depend on
            it but for rounding.
        generator: source of the directions.

    Returns:
        (n,) >= 0 in the dtype of ``x``; lower is smoother, 0 for a linear logit.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a class the network lacks, a network in training mode or with
            non-finite logits, numbers out of range.

    >>> quadratic = lambda x: torch.stack([3 * (x**2).sum((1, 2, 3)), x.sum((1, 2, 3))], dim=1)
    >>> x = torch.full((2, 1, 4, 4), 0.5, dtype=torch.float64)
    >>> gradient_variation(quadratic, x, torch.tensor([0, 1])).round(decimals=6).abs()
    tensor([6., 0.], dtype=torch.float64)

    Source: the finite-difference form of the analysis in Bhusal, Alam and Rastogi 2026, whose code has none.
    """
    _check(model, x, target, radius=radius, draws=draws)

    def logit(x: Image, target: Label) -> PerSample:
        logits = answer(model, x)
        check_classes(target, logits)
        return target_score(logits, target.long(), score="logit")

    def gradient_at(x: Image) -> Tensor:
        return in_chunks(
            lambda x, target: input_gradient(lambda x: logit(x, target), x)[0], x, target, chunk=chunk
        )  # fmt: skip

    start = x.detach()
    gradient = gradient_at(start)
    total = torch.zeros_like(start[:, 0, 0, 0])
    for draw in range(draws):
        direction = randomness.normal(x.shape, randomness.of(generator, f"curvature/{draw}"), device=x.device)
        moved = start + radius * _unit(direction.to(x.dtype))
        # Divided by the distance that rounding has left, not by the radius.
        total += _length(gradient_at(moved) - gradient) / _length(moved - start)
    return total / draws


def top_hessian_eigenvalue(
    model: Callable[[Tensor], Tensor],
    x: Image,
    label: Label,
    *,
    iterations: int = TopHessianEigenvalue.iterations,
    method: Method = TopHessianEigenvalue.method,
    step: float = 1e-2,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> PerSample:
    r"""The eigenvalue of largest size of each image's Hessian of the cross-entropy loss, with its sign.

    Power iteration from a random direction: :math:`v \leftarrow Hv/\|Hv\|`, ``iterations`` times; the value is
    :math:`\|Hv\|` of the last, with the sign of :math:`v \cdot Hv`. Its size approaches the eigenvalue's from below,
    and no further iteration lowers it, up to rounding; the sign means nothing where two eigenvalues of opposite sign
    have the same size.

    ``exact`` takes Hv by double backward, right where the network is smooth. The logit of a ReLU network is linear
    piece by piece, so its exact Hessian is 0 almost everywhere and tells nothing; the cross-entropy of such a network
    keeps the curvature of the softmax alone. ``difference`` takes
    :math:`(g(x + h v) - g(x - h v)) / 2h` instead, which also sees the kinks within h of the image; it is also taken,
    and that is told, where the network has an operation for which PyTorch has no double backward.

    ``iterations`` is at least 1; ``step`` is the Euclidean length h in pixel units, above 0; ``generator`` is the
    source of the first direction; ``label`` holds the (n,) classes of the cross-entropy. All other arguments are those
    of `gradient_variation`.

    Returns:
        (n,) in the dtype of ``x``; closer to 0 is flatter. A Hessian of zeros has 0.

    Raises:
        InputError: as in `gradient_variation`, or another method.

    >>> steep = lambda x: torch.stack([-2 * (x**2).sum((1, 2, 3)) - 500, torch.zeros(len(x))], dim=1)
    >>> x = torch.full((1, 1, 4, 4), 0.5)
    >>> top_hessian_eigenvalue(steep, x, torch.tensor([0])).round(decimals=4)
    tensor([4.])

    Source: Yao et al. 2020, "PyHessian: Neural networks through the lens of the Hessian", section 3, for the pixels.
    """
    _check(model, x, label, iterations=iterations, step=step)
    direction = randomness.normal(x.shape, randomness.of(generator, "curvature/start"), device=x.device)

    def iterated(x: Image, label: Label, v: Tensor) -> PerSample:
        product = _hessian_product(model, x, label, method, step)
        for _ in range(iterations):
            previous, v = v, product(v)
            value = _length(v) * torch.where((previous * v).flatten(1).sum(1) < 0, -1, 1)
            v = _unit(v)
        return value

    return in_chunks(iterated, x, label, _unit(direction.to(x.dtype)), chunk=chunk)


def hessian_trace(
    model: Callable[[Tensor], Tensor],
    x: Image,
    label: Label,
    *,
    draws: int = HessianTrace.draws,
    method: Method = HessianTrace.method,
    step: float = 1e-2,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> PerSample:
    r"""Trace of each image's Hessian of the cross-entropy loss, estimated as the mean of :math:`z \cdot Hz`.

    Each z is a vector of random signs, so the diagonal is exact in every draw; the estimate's variance is
    :math:`2 \sum_{i \ne j} H_{ij}^2` divided by the draws (Hutchinson). Draw i of the ``draws`` is from
    ``randomness.of(generator, f"curvature/{i}")``; all other arguments and errors are those of
    `top_hessian_eigenvalue`.

    Returns:
        (n,) in the dtype of ``x``; the sum of the eigenvalues, closer to 0 is flatter.

    >>> steep = lambda x: torch.stack([-2 * (x**2).sum((1, 2, 3)) - 500, torch.zeros(len(x))], dim=1)
    >>> hessian_trace(steep, torch.full((1, 1, 4, 4), 0.5), torch.tensor([0]), draws=1)
    tensor([64.])

    Source: Hutchinson 1990, "A stochastic estimator of the trace of the influence matrix".
    """
    _check(model, x, label, draws=draws, step=step)
    # Drawn before the images are parted, as a byte a pixel.
    sources = (randomness.of(generator, f"curvature/{draw}") for draw in range(draws))
    negative = [randomness.uniform(x.shape, source, device=x.device) < 0.5 for source in sources]

    def estimated(x: Image, label: Label, *negative: Tensor) -> PerSample:
        product = _hessian_product(model, x, label, method, step)
        total = torch.zeros_like(x[:, 0, 0, 0])
        for below_zero in negative:
            signs = torch.where(below_zero, -1, 1).to(x.dtype)
            total += (signs * product(signs)).flatten(1).sum(1)
        return total / draws

    return in_chunks(estimated, x, label, *negative, chunk=chunk)


def _hessian_product(
    model: Callable[[Tensor], Tensor], x: Image, label: Label, method: Method, step: float
) -> Callable[[Tensor], Tensor]:
    """The function that multiplies each image's Hessian by that image's vector."""

    def loss(x: Image) -> PerSample:
        logits = answer(model, x)
        check_classes(label, logits)
        # A clone, because autograd refuses to save an inference tensor.
        return functional.cross_entropy(logits, label.long().clone(), reduction="none")

    one_of(get_args(Method), method=method)
    still = x.detach()

    def difference(v: Tensor) -> Tensor:
        ahead, behind = still + step * _unit(v), still - step * _unit(v)
        change = input_gradient(loss, ahead)[0] - input_gradient(loss, behind)[0]
        return change * (_length(v) / (2 * step))[:, None, None, None]

    return difference if method == "difference" else _exact_product(loss, x, instead=difference)


def _exact_product(
    loss: Callable[[Image], PerSample], x: Image, *, instead: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Hv by double backward; where an operation of the network has none, what ``instead`` gives, which is told."""
    with torch.inference_mode(False):
        start = x.clone().detach().requires_grad_()
        gradient, _ = input_gradient(loss, start, create_graph=True)
    lacking: list[str] = []

    def product(v: Tensor) -> Tensor:
        if not lacking:
            try:
                with torch.inference_mode(False):
                    return torch.autograd.grad(gradient, start, v.clone(), retain_graph=True)[0]
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                lacking.append(str(error).partition("\n")[0].partition(". ")[0])
                tell(
                    f"the network has an operation without a second derivative ({lacking[0]:.100}); its Hessian is "
                    "measured by differences of gradients, as method difference does"
                )
        return instead(v)

    return product


def _check(model: Callable[[Tensor], Tensor], x: Image, label: Label, **numbers: float) -> None:
    check_model(model)
    check_batch(x, label)
    for name, value in numbers.items():
        if name in ("draws", "iterations"):
            at_least(1, "", **{name: value})
        if not 0 < value < float("inf"):
            raise InputError(f"{name} must be above 0 and finite, got {value}")


def _length(v: Tensor) -> Tensor:
    length: Tensor = v.flatten(1).norm(dim=1)
    return length


def _unit(v: Tensor) -> Tensor:
    """Each image's vector at length 1; zeros stay zeros."""
    return v / _length(v).clamp(min=torch.finfo(v.dtype).tiny)[:, None, None, None]
