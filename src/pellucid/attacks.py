"""Projected gradient ascent on any per-sample objective, everywhere or only where a mask allows: one loop."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.core.checks import not_negative, one_of, whole
from pellucid.core.errors import InputError
from pellucid.core.input_gradient import input_gradient
from pellucid.core.pixels import check_pixels
from pellucid.core.randomness import Generator, normal, of, uniform
from pellucid.core.types import Image, Mask, PerSample

__all__ = ["PGD", "fgsm"]


@dataclass(frozen=True, kw_only=True)
class PGD:
    r"""Projected gradient ascent: :math:`x' \leftarrow \Pi(x' + \alpha \, s(\nabla_{x'} o(x')))`, ``steps`` times.

    :math:`s` is the sign (``linf``) or the gradient divided by its norm (``l2``); :math:`\Pi` projects on the ball of
    radius ``eps`` around ``x``, on the features that ``mask`` allows, and on ``bounds``. The last iterate is returned.

    Args:
        eps: radius in pixel units; pixels are in [0, 1], so 8/255 is 0.0314.
        step_size: length of one step in the same units.
        steps: number of gradient steps; 0 returns the random start.
        norm: the ball's norm, ``linf`` or ``l2``.
        random_start: start at a random point of the ball, projected on mask and bounds, instead of at ``x``. An attack
            on a divergence from f(x) must start at random, because the gradient at ``x`` is zero.
        bounds: valid pixel values.
        resolution: side of the squares of pixels that change together, at least 1. With 2 the attack sees the image at
            half its height and width, so that a step costs about a quarter; the change is then enlarged to the whole
            image. This is for networks that take images of any size, and the objective is that of the smaller image.

    >>> attack = PGD(eps=0.1, step_size=0.1, steps=1, random_start=False)
    >>> attack(lambda x: x.sum((1, 2, 3)), torch.full((1, 1, 1, 2), 0.95)).tolist()
    [[[[1.0, 1.0]]]]

    Source: Madry et al. 2018.
    """

    eps: float
    step_size: float
    steps: int
    norm: Literal["linf", "l2"] = "linf"
    random_start: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)
    resolution: int = 1

    def __post_init__(self) -> None:
        low, high = self.bounds
        if not low < high:
            raise InputError(f"bounds must be (low, high) with low < high, got {self.bounds}")
        if not 0 <= self.eps < math.inf or (self.norm == "linf" and self.eps > high - low):
            raise InputError(
                f"eps must be in [0, {high - low:g}], got {self.eps:g}; it is in pixel units, so 8 of 255 grey levels "
                "is 0.0314"
            )
        not_negative(step_size=self.step_size, steps=self.steps)
        one_of(("linf", "l2"), norm=self.norm)
        whole(1, resolution=self.resolution)

    def __call__(
        self,
        objective: Callable[[Image], PerSample],
        x: Image,
        *,
        mask: Mask | None = None,
        generator: Generator = None,
    ) -> Image:
        """Change ``x`` so that the objective grows.

        The caller decides the network's mode (`pellucid.core.modes.evaluating`); nothing of the network is changed.

        Args:
            objective: maps images to one value per sample, (n,), to be increased.
            x: (n, c, h, w) images within ``bounds``.
            mask: (n, 1, h, w) or shaped like ``x``; True where change is allowed. Everywhere by default.
            generator: source of the random start.

        Returns:
            Images like ``x``, detached, within ``eps`` of it, equal to it where the mask is False.

        Raises:
            InputError: bytes, or pixels outside ``bounds``, such as those of normalised images: a network has its
                normalisation inside; or a network that does not take images as small as ``resolution`` makes them.
        """
        check_pixels(x, bounds=self.bounds)
        x = x.detach()
        allowed = None if mask is None else mask.to(x.dtype)
        if self.resolution > 1:
            return self._coarsely(objective, x, allowed, generator)
        changed = self._project(x + self._start(x, generator), x, allowed) if self.random_start else x
        for _ in range(self.steps):
            gradient, _ = input_gradient(objective, changed)
            changed = self._project(changed + self.step_size * self._direction(gradient, allowed), x, allowed)
        return changed

    def _coarsely(
        self, objective: Callable[[Image], PerSample], x: Image, allowed: Tensor | None, generator: Generator
    ) -> Image:
        """The change that is found on the mean of each square of pixels, laid on all of its pixels."""
        side, (height, width) = self.resolution, x.shape[2:]
        small = F.avg_pool2d(x, side, ceil_mode=True, count_include_pad=False)
        # A square may change where all of its pixels may; no pixel is moved that the mask forbids.
        mask = None if allowed is None else -F.max_pool2d(-allowed, side, ceil_mode=True) > 0
        try:
            changed = replace(self, resolution=1)(objective, small, mask=mask, generator=generator)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise InputError(
                f"resolution {side} shows the network images of {small.shape[2]} × {small.shape[3]} pixels, which it "
                f"does not take ({str(error).splitlines()[0]}); resolution 1 fits every network"
            ) from error
        delta = (changed - small).repeat_interleave(side, 2).repeat_interleave(side, 3)[..., :height, :width]
        return self._project(x + delta, x, allowed)

    def _start(self, x: Image, generator: Generator) -> Tensor:
        if self.norm == "linf":
            return (2 * uniform(x.shape, of(generator, "start"), device=x.device).to(x.dtype) - 1) * self.eps
        # Uniform in the ball: a normal direction, and a radius whose d-th power is uniform.
        direction = normal(x.shape, of(generator, "direction"), device=x.device).to(x.dtype)
        radius = uniform((len(x), 1, 1, 1), of(generator, "radius"), device=x.device).to(x.dtype)
        return _unit(direction) * radius ** (1 / x[0].numel()) * self.eps

    def _direction(self, gradient: Tensor, allowed: Tensor | None) -> Tensor:
        if self.norm == "linf":
            return gradient.sign()
        gradient = gradient if allowed is None else gradient * allowed
        return _unit(gradient)

    def _project(self, changed: Image, x: Image, allowed: Tensor | None) -> Image:
        delta = changed - x
        if allowed is not None:
            delta = delta * allowed
        if self.norm == "linf":
            delta = delta.clamp(-self.eps, self.eps)
        else:
            delta = delta * (self.eps / _length(delta)).clamp(max=1).to(delta.dtype)
        return (x + delta).clamp(*self.bounds)


def fgsm(*, eps: float, norm: Literal["linf", "l2"] = "linf", random_start: bool = True) -> PGD:
    """One step of length ``eps`` from a random start within the ball.

    Source: Wong, Rice, Kolter 2020; without the random start, Goodfellow et al. 2015.

    >>> fgsm(eps=0.1).steps
    1
    """
    return PGD(eps=eps, step_size=eps, steps=1, norm=norm, random_start=random_start)


def _unit(value: Tensor) -> Tensor:
    """Each sample at length 1; one of zeros stays as it is."""
    return (value / _length(value)).to(value.dtype)


def _length(value: Tensor) -> Tensor:
    """Euclidean norm of each sample, (n, 1, 1, 1), never zero, at least in single precision: squares overflow early."""
    value = value if value.dtype == torch.float64 else value.float()
    length: Tensor = value.flatten(1).norm(dim=1).clamp(min=torch.finfo(value.dtype).tiny)
    return length[:, None, None, None]
