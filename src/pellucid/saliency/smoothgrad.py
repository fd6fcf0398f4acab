"""SmoothGrad: the gradient averaged over noisy copies of the image."""

from dataclasses import dataclass

from torch import nn

from pellucid.core.checks import at_least, not_negative
from pellucid.core.randomness import Generator, normal, of
from pellucid.core.types import Attribution, Image, Label
from pellucid.saliency.gradient import Score, weighted_gradient
from pellucid.saliency.method import SaliencyMethod

__all__ = ["SmoothGrad"]


@dataclass(frozen=True, kw_only=True)
class SmoothGrad(SaliencyMethod):
    r"""The gradient averaged over noisy copies, :math:`\frac1S \sum_s \nabla f_t(x + \sigma z_s)`, :math:`z_s` normal.

    Args:
        sigma: standard deviation of the noise in pixel units; 0 gives the vanilla gradient. The noisy copies are not
            clipped.
        samples: number of noisy copies, at least 1.
        chunk: largest number of images in one forward pass; as many as the batch holds by default.
        score: ``logit`` or ``probability`` of the target.

    Source: Smilkov et al. 2017.
    """

    sigma: float = 0.15
    samples: int = 25
    chunk: int | None = None
    score: Score = "logit"

    def __post_init__(self) -> None:
        not_negative(sigma=self.sigma)
        at_least(1, samples=self.samples, chunk=self.chunk)

    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        """See `SaliencyMethod.__call__`; the noise comes from ``generator``."""

        def noisy(sample: int) -> tuple[Image, float]:
            noise = normal(x.shape, of(generator, f"smoothgrad{sample}"), device=x.device).to(x.dtype)
            return x + self.sigma * noise, 1 / self.samples

        points = (noisy(sample) for sample in range(self.samples))
        return weighted_gradient(model, points, target, score=self.score, chunk=self.chunk, create_graph=create_graph)
