"""SCAAT's memory: which share of each training sample may be attacked, kept alike by every process."""

import torch
from torch import Tensor, nn

from pellucid.core.processes import gathered
from pellucid.core.types import Label, PerSample

__all__ = ["AdaptiveQ"]


class AdaptiveQ(nn.Module):
    """q of every training sample: the share of its lowest-saliency features that may change.

    After the warm-up q grows by ``gamma`` where the attacked image is still classified rightly and shrinks where it
    is not, so that harder images end with a smaller q.

    Args:
        num_samples: size of the training set.
        q: the value all samples begin with, in [0, 1].
        gamma: step of the adaptation; 0 keeps q fixed.
        low: least q.
        high: greatest q.
        warmup: number of updates that change nothing.

    Attributes:
        q: buffer (num_samples,).
        updates: buffer (), how often `update` was called.

    >>> state = AdaptiveQ(3, q=0.5, gamma=0.1, low=0.1, high=0.9, warmup=0)
    >>> state.update(torch.tensor([0, 2]), torch.tensor([True, False]))
    >>> [round(q, 2) for q in state(torch.tensor([0, 1, 2])).tolist()]
    [0.6, 0.5, 0.4]

    Source: Xu et al. 2023, algorithm 2.
    """

    q: Tensor
    updates: Tensor

    def __init__(self, num_samples: int, *, q: float, gamma: float, low: float, high: float, warmup: int) -> None:
        super().__init__()
        self.gamma, self.low, self.high, self.warmup = gamma, low, high, warmup
        self.register_buffer("q", torch.full((num_samples,), float(q)))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, index: Label) -> PerSample:
        """q of the samples at ``index``, (n,)."""
        return self.q[index]

    def per_sample(self) -> dict[str, Tensor]:
        """What a run stores of every training image: its q."""
        return {"q": self.q}

    @torch.no_grad()
    def update(self, index: Label, correct: Tensor) -> None:
        """Adapt q to the outcome of one step; every process applies every process's outcomes.

        Args:
            index: (n,) positions in the training set.
            correct: (n,) bool, whether the attacked image is classified rightly.
        """
        index, correct = gathered(index), gathered(correct)
        self.updates += 1
        if self.gamma == 0:
            return
        change = self.gamma * (2 * correct.to(self.q.dtype) - 1) * (self.updates > self.warmup)
        added = self.q.index_add(0, index, change)
        self.q[index] = added[index].clamp(self.low, self.high)
