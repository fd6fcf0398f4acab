"""Jacobian penalty: a network none of whose logits changes much with the pixels."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pellucid.core.checks import not_negative, whole
from pellucid.core.input_gradient import input_gradient_of
from pellucid.core.randomness import Generator, normal, of
from pellucid.core.types import Batch, Image, Logits
from pellucid.methods.method import BOTH, Method
from pellucid.methods.penalty import Penalty
from pellucid.methods.regular import Regular

__all__ = ["JacobianPenalty"]


@dataclass(frozen=True, kw_only=True)
class JacobianPenalty(Penalty):
    r"""Another method's loss plus the squared Frobenius norm of the Jacobian of the logits, by random projections.

    .. math:: L + \frac\lambda2 \, \frac1n \sum_i \| J_i \|_F^2, \qquad
        \| J \|_F^2 \approx \frac{k}{P} \sum_{p=1}^{P} \| v_p^T J \|^2

    J is the derivative of the k logits with respect to an image's pixels, and v uniform on the unit sphere in k
    dimensions, drawn for every image, so that the sum is right in expectation. `Penalty` says what happens with
    BatchNorm.

    Args:
        weight: λ, at least 0; 0.01 in the paper.
        projections: P, at least 1; each costs a double backward pass. None takes the k unit vectors, which is exact.
        share: part of each batch that the term looks at, in (0, 1]; fewer images cost less. See `Penalty`.
        method: whose loss the term is added to; its forward pass is shared where it is `Regular`.

    Source: Hoffman, Roberts & Yaida 2019, algorithm 1. The Jacobian is that with respect to pixels in [0, 1], theirs to
    pixels as their network takes them.
    """

    tasks = BOTH
    weight: float = 0.01
    projections: int | None = 1
    share: float = 1.0
    method: Method = field(default_factory=Regular)

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(weight=self.weight)
        if self.projections is not None:
            whole(1, projections=self.projections)

    @property
    def is_off(self) -> bool:
        """See `Penalty.is_off`."""
        return self.weight == 0

    def terms(
        self, model: nn.Module, x: Image, logits: Logits, batch: Batch, *, generator: Generator = None
    ) -> dict[str, tuple[float, Tensor]]:
        """See `Penalty.terms`."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # mixed precision gives them in half
        classes = logits.shape[1]
        if self.projections is None:
            directions = list(torch.eye(classes, dtype=logits.dtype, device=logits.device))
        else:
            directions = [self._direction(logits, of(generator, f"jacobian{p}")) for p in range(self.projections)]
        squares = [input_gradient_of(logits * v, x).square().sum((1, 2, 3)).mean() for v in directions]
        return {"jacobian_norm": (self.weight / 2, classes / len(squares) * torch.stack(squares).sum())}

    def _direction(self, logits: Logits, generator: Generator) -> Tensor:
        drawn = normal(logits.shape, generator, device=logits.device).to(logits.dtype)
        return nn.functional.normalize(drawn, dim=1)
