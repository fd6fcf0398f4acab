"""Gradient alignment: a network whose map of an image and of its close neighbour are alike."""

from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.core.checks import in_unit, not_negative
from pellucid.core.input_gradient import input_gradient, input_gradient_of
from pellucid.core.randomness import Generator, of, uniform
from pellucid.core.types import Batch, Image, Logits
from pellucid.methods.method import BOTH, Method
from pellucid.methods.penalty import Penalty
from pellucid.methods.regular import Regular
from pellucid.methods.terms import changed_images, sides
from pellucid.saliency import target_score

__all__ = ["GradientAlignment"]


@dataclass(frozen=True, kw_only=True)
class GradientAlignment(Penalty):
    r"""Another method's loss plus the difference of the maps of an image and of a random neighbour.

    .. math:: L + \frac1n \sum_i \Big( \lambda_1 \| g(x_i) - g(x_i + z_i) \|^2
        + \lambda_2 \frac{1 - \cos(g(x_i), g(x_i + z_i))}{2} \Big)

    g is the gradient of the true class's logit and z is uniform within ±eps of every pixel; x + z is not clipped. It
    needs a smooth network, since the gradient of a ReLU network is constant nearly everywhere; the authors use
    Softplus with β 3 (`pellucid.edits.activation.Activation`). `Penalty` says what happens with BatchNorm; x + z has
    a forward pass of its own.

    Args:
        weight: λ₁ of the squared distance, at least 0.
        cosine_weight: λ₂ of the cosine distance, which is in [0, 1], at least 0.
        eps: largest change of a pixel, in [0, 1]; 4 of 255 grey levels in the authors' code.
        detach_source: let g(x) be a constant, which only g(x + z) is drawn to, as the authors' code does by default;
            it saves a double backward pass.
        share: part of each batch that the term looks at, in (0, 1]; fewer images cost less. See `Penalty`.
        method: whose loss the terms are added to; its forward pass is shared where it is `Regular`.

    Source: Joo et al. 2023 (arXiv 2211.15900). Their code measures gradients with respect to pixels that were divided
    by their standard deviation s, so that our ``weight`` for the same effect is about theirs times s²; the weights of
    both of their terms are 1 by default.
    """

    tasks = BOTH
    weight: float = 1.0
    cosine_weight: float = 1.0
    eps: float = 4 / 255
    detach_source: bool = True
    share: float = 1.0
    method: Method = field(default_factory=Regular)

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(weight=self.weight, cosine_weight=self.cosine_weight)
        in_unit(eps=self.eps)

    @property
    def is_off(self) -> bool:
        """See `Penalty.is_off`."""
        return self.weight == 0 and self.cosine_weight == 0

    def terms(
        self, model: nn.Module, x: Image, logits: Logits, batch: Batch, *, generator: Generator = None
    ) -> dict[str, tuple[float, Tensor]]:
        """See `Penalty.terms`."""
        target = sides(batch.label)
        score = target_score(logits, target, score="logit")
        gradient = input_gradient_of(score, x, create_graph=not self.detach_source)
        noise = (2 * uniform(x.shape, of(generator, "alignment"), device=x.device).to(x.dtype) - 1) * self.eps
        with changed_images(model):
            there, _ = input_gradient(
                lambda x: target_score(model(x), target, score="logit"), x.detach() + noise, create_graph=True
            )
        gradient, there = gradient.flatten(1), there.flatten(1)
        distance = (gradient - there).square().sum(1).mean()
        # ``eps`` of the cosine is far below any gradient that matters, and keeps that of a map of zeros finite.
        cosine = (1 - F.cosine_similarity(gradient, there, dim=1, eps=1e-8).mean()) / 2
        terms = {"map_distance": (self.weight, distance), "map_cosine_distance": (self.cosine_weight, cosine)}
        return {name: term for name, term in terms.items() if term[0] > 0}
