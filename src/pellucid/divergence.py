"""How far two predicted distributions are apart, per sample, from logits.

The distribution over k classes is their softmax. With ``task="multilabel"`` it is that over sets of k labels, each of
which applies with its sigmoid's probability whatever the others do; a divergence is then the sum, over the labels, of
that between two distributions of two points.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F

from pellucid.core.types import Logits, PerSample, Task

__all__ = ["DIVERGENCES", "Divergence", "jensen_shannon", "kl", "log_probabilities", "symmetric_kl"]


def kl(logits: Logits, other: Logits, *, task: Task = "multiclass") -> PerSample:
    r"""Kullback-Leibler divergence :math:`KL(P \| Q) = \sum_j P_j \ln (P_j / Q_j)` in nats.

    Args:
        logits: (n, k) scores whose softmax is P.
        other: (n, k) scores whose softmax is Q.
        task: ``multilabel`` for scores whose sigmoids are probabilities of labels.

    Returns:
        (n,) values in [0, inf); 0 where the distributions agree.

    >>> kl(torch.zeros(1, 2), torch.zeros(1, 2)).tolist()
    [0.0]

    Source: Ismail et al. 2021, the regulariser of saliency-guided training, with P from the clean image.
    """
    p, q = log_probabilities(logits, task), log_probabilities(other, task)
    return F.kl_div(q, p, reduction="none", log_target=True).sum(1)


def symmetric_kl(logits: Logits, other: Logits, *, task: Task = "multiclass") -> PerSample:
    r"""Half the Jeffreys divergence in bits, :math:`\frac12 KL_2(P \| Q) + \frac12 KL_2(Q \| P)`.

    SCAAT's equation 4 as it stands: the paper calls it Jensen-Shannon, but it has no mixture and no upper bound.

    Args:
        logits: (n, k) scores whose softmax is P.
        other: (n, k) scores whose softmax is Q.
        task: ``multilabel`` for scores whose sigmoids are probabilities of labels.

    Returns:
        (n,) values in [0, inf), the same when the arguments change places.

    >>> round(symmetric_kl(torch.tensor([[0.0, 2.0]]), torch.tensor([[2.0, 0.0]])).item(), 3)
    2.197

    Source: Xu et al. 2023, equation 4.
    """
    p, q = log_probabilities(logits, task), log_probabilities(other, task)
    return ((p.exp() - q.exp()) * (p - q)).sum(1) / (2 * math.log(2))


def jensen_shannon(logits: Logits, other: Logits, *, task: Task = "multiclass") -> PerSample:
    r"""Jensen-Shannon divergence in bits, :math:`\frac12 KL_2(P \| M) + \frac12 KL_2(Q \| M)`, :math:`M = (P+Q)/2`.

    Args:
        logits: (n, k) scores whose softmax is P.
        other: (n, k) scores whose softmax is Q.
        task: ``multilabel`` for scores whose sigmoids are probabilities of labels.

    Returns:
        (n,) values in [0, 1], of labels in [0, k]; the same when the arguments change places.

    >>> jensen_shannon(torch.tensor([[99.0, 0.0]]), torch.tensor([[0.0, 99.0]])).tolist()
    [1.0]

    Source: Lin 1991; what the text of Xu et al. 2023 names.
    """
    p, q = log_probabilities(logits, task), log_probabilities(other, task)
    mixture = torch.logaddexp(p, q) - math.log(2)
    return ((p.exp() * (p - mixture)).sum(1) + (q.exp() * (q - mixture)).sum(1)) / (2 * math.log(2))


def log_probabilities(logits: Logits, task: Task = "multiclass") -> Logits:
    """The logarithm of every predicted probability, in single precision at least, as mixed precision has half.

    Args:
        logits: (n, k) scores.
        task: what they are scores of.

    Returns:
        (n, k), the log-softmax; of ``multilabel`` (n, 2 k): first of each label that it applies, then that it does not.

    >>> log_probabilities(torch.zeros(1, 1), "multilabel").exp().tolist()
    [[0.5, 0.5]]
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if task == "multilabel":
        return torch.cat([F.logsigmoid(logits), F.logsigmoid(-logits)], 1)
    return logits.log_softmax(1)


Divergence = Literal["symmetric_kl", "jensen_shannon", "kl"]
DIVERGENCES: dict[Divergence, Callable[..., PerSample]] = {
    "symmetric_kl": symmetric_kl,
    "jensen_shannon": jensen_shannon,
    "kl": kl,
}
