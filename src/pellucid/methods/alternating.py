"""Another method on every k-th step and plain cross-entropy on those between, which costs less."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from pellucid.core.checks import whole
from pellucid.core.errors import InputError
from pellucid.core.randomness import Generator
from pellucid.core.types import Batch
from pellucid.methods.method import BOTH, Losses, Method
from pellucid.methods.regular import Regular
from pellucid.methods.scaat import SCAAT

__all__ = ["Alternating", "Turns"]


class Turns(nn.Module):
    """Whose turn it is: the other method's state, and how many steps were taken.

    Args:
        of: the state of the method that takes every ``every``-th step.
        every: k.

    Attributes:
        step: how many steps were taken; part of the ``state_dict``, and not a tensor, so that reading it never waits
            for a GPU.
    """

    def __init__(self, of: nn.Module, every: int) -> None:
        super().__init__()
        self.of, self.every, self.step = of, every, 0

    @property
    def is_due(self) -> bool:
        """Whether the next step is the method's."""
        return self.step % self.every == 0

    def per_sample(self) -> dict[str, Tensor]:
        """What the method's state says of every training image. See `Method.init`."""
        numbers: dict[str, Tensor] = getattr(self.of, "per_sample", dict)()
        return numbers

    def get_extra_state(self) -> dict[str, Any]:
        """The number of steps, for the checkpoint."""
        return {"step": self.step}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Continue at the checkpoint's step."""
        self.step = state["step"]


@dataclass(frozen=True, kw_only=True)
class Alternating(Method):
    r"""Another method's loss on steps 0, k, 2k, ..., and cross-entropy on clean images on those between.

    A step costs (c + k - 1) / k times regular training's on average, where the method's costs c times. With k = 1 it
    is the method itself. What the method adds to the loss weighs 1 / k of what it did, over the run; raise its weight
    where that is too little.

    Args:
        method: whose loss is taken on every ``every``-th step.
        every: k, at least 1.

    Source: ours; penalties that are computed on some steps alone are known as lazy regularisation (Karras et al. 2020,
    StyleGAN2), where the weight is multiplied by k.
    """

    tasks = BOTH
    method: Method = field(default_factory=SCAAT)
    every: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.method, Method):
            raise InputError(f"method must be a pellucid.Method such as SCAAT(), got {self.method!r}")
        whole(1, every=self.every)

    def init(self, num_samples: int, total_steps: int) -> Turns:
        """See `Method.init`; the method counts only its own steps."""
        return Turns(self.method.init(num_samples, -(-total_steps // self.every)), self.every)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`. What the method logs is logged on its own steps."""
        assert isinstance(state, Turns)
        due = state.is_due
        if state.training:
            state.step += 1
        if due:
            return self.method.loss(model, batch, state.of, generator=generator)
        return Regular().loss(model, batch, state.of, generator=generator)
