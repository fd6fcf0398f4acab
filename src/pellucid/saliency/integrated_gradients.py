"""Integrated gradients: the gradient along the straight way from a baseline to the image."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from pellucid.core.checks import at_least, in_unit
from pellucid.core.randomness import Generator
from pellucid.core.types import Attribution, Image, Label
from pellucid.saliency.gradient import Score, weighted_gradient
from pellucid.saliency.method import SaliencyMethod

__all__ = ["IntegratedGradients"]


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(SaliencyMethod):
    r"""The gradient along the way from a baseline, :math:`(x-b) \int_0^1 \nabla f_t(b + a(x-b))\,da`.

    The integral is taken by Gauss-Legendre quadrature, as Captum does. The values of an image add up to
    :math:`f_t(x) - f_t(b)` where the quadrature is exact.

    Args:
        steps: points of the quadrature, at least 1.
        baseline: grey level of the baseline image, in [0, 1].
        chunk: largest number of images in one forward pass; as many as the batch holds by default.
        score: ``logit`` or ``probability`` of the target.

    Source: Sundararajan, Taly, Yan 2017, equation 1.
    """

    steps: int = 50
    baseline: float = 0.0
    chunk: int | None = None
    score: Score = "logit"

    def __post_init__(self) -> None:
        in_unit(words="a grey level ", baseline=self.baseline)
        at_least(1, steps=self.steps, chunk=self.chunk)

    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        """See `SaliencyMethod.__call__`; nothing is drawn."""
        position, weight = np.polynomial.legendre.leggauss(self.steps)
        way = x - self.baseline
        points = ((self.baseline + float(a + 1) / 2 * way, float(w) / 2) for a, w in zip(position, weight, strict=True))
        return way * weighted_gradient(
            model, points, target, score=self.score, chunk=self.chunk, create_graph=create_graph
        )
