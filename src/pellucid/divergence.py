"""How far two predicted distributions are apart, per sample, from logits."""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F

from pellucid.core.types import Logits, PerSample

__all__ = ["DIVERGENCES", "Divergence", "jensen_shannon", "kl", "symmetric_kl"]


def kl(logits: Logits, other: Logits) -> PerSample:
    r"""Kullback-Leibler divergence :math:`KL(P \| Q) = \sum_j P_j \ln (P_j / Q_j)` in nats.

    Args:
        logits: (n, k) scores whose softmax is P.
        other: (n, k) scores whose softmax is Q.

    Returns:
        (n,) values in [0, inf); 0 where the distributions agree.

    >>> kl(torch.zeros(1, 2), torch.zeros(1, 2)).tolist()
    [0.0]

    Source: Ismail et al. 2021, the regulariser of saliency-guided training, with P from the clean image.
    """
    p, q = _log_softmax(logits), _log_softmax(other)
    return F.kl_div(q, p, reduction="none", log_target=True).sum(1)


def symmetric_kl(logits: Logits, other: Logits) -> PerSample:
    r"""Half the Jeffreys divergence in bits, :math:`\frac12 KL_2(P \| Q) + \frac12 KL_2(Q \| P)`.

    SCAAT's equation 4 as it stands: the paper calls it Jensen-Shannon, but it has no mixture and no upper bound.

    Args:
        logits: (n, k) scores whose softmax is P.
        other: (n, k) scores whose softmax is Q.

    Returns:
        (n,) values in [0, inf), the same when the arguments change places.

    >>> round(symmetric_kl(torch.tensor([[0.0, 2.0]]), torch.tensor([[2.0, 0.0]])).item(), 3)
    2.197

    Source: Xu et al. 2023, equation 4.
    """
    p, q = _log_softmax(logits), _log_softmax(other)
    return ((p.exp() - q.exp()) * (p - q)).sum(1) / (2 * math.log(2))


def jensen_shannon(logits: Logits, other: Logits) -> PerSample:
    r"""Jensen-Shannon divergence in bits, :math:`\frac12 KL_2(P \| M) + \frac12 KL_2(Q \| M)`, :math:`M = (P+Q)/2`.

    Args:
        logits: (n, k) scores whose softmax is P.
        other: (n, k) scores whose softmax is Q.

    Returns:
        (n,) values in [0, 1], the same when the arguments change places.

    >>> jensen_shannon(torch.tensor([[99.0, 0.0]]), torch.tensor([[0.0, 99.0]])).tolist()
    [1.0]

    Source: Lin 1991; what the text of Xu et al. 2023 names.
    """
    p, q = _log_softmax(logits), _log_softmax(other)
    mixture = torch.logaddexp(p, q) - math.log(2)
    return ((p.exp() * (p - mixture)).sum(1) + (q.exp() * (q - mixture)).sum(1)) / (2 * math.log(2))


def _log_softmax(logits: Logits) -> Logits:
    """In single precision at least, since mixed precision gives logits in half."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(1)


Divergence = Literal["symmetric_kl", "jensen_shannon", "kl"]
DIVERGENCES: dict[Divergence, Callable[[Logits, Logits], PerSample]] = {
    "symmetric_kl": symmetric_kl,
    "jensen_shannon": jensen_shannon,
    "kl": kl,
}
