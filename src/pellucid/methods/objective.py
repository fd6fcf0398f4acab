"""Network, method and training-time state in one module: what a training engine wraps."""

from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.randomness import StepDraws, fork
from pellucid.core.types import Batch, Image, Label, Mask
from pellucid.methods.method import Method

__all__ = ["Objective"]


class Objective(nn.Module):
    """A whole training step up to the loss; for a plain loop, Fabric, DDP, Lightning or timm alike.

    Wrap this module in DDP, not the network: one step calls the network several times. Every random number is a
    function of the seed and the step's number, which is part of the ``state_dict``.

    Args:
        model: network, images in [0, 1] to logits.
        method: how it is trained.
        num_samples: size of the training set.
        total_steps: optimizer steps of the whole run.
        seed: of every draw.

    >>> import torch
    >>> from pellucid import Regular
    >>> objective = Objective(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), Regular(), num_samples=8, total_steps=1)
    >>> losses = objective(torch.rand(8, 1, 2, 2), torch.zeros(8, dtype=torch.int64), torch.arange(8))
    >>> losses["loss"].backward()
    """

    def __init__(self, model: nn.Module, method: Method, num_samples: int, total_steps: int, *, seed: int = 0) -> None:
        super().__init__()
        if not isinstance(method, Method):
            raise InputError(f"method must be a pellucid.Method such as SCAAT(), got {method!r}")
        self.model = model
        self.method = method
        self.state = method.init(num_samples, total_steps)
        if not isinstance(self.state, nn.Module):
            raise InputError(f"{type(method).__name__}.init must return an nn.Module, got {self.state!r:.80}")
        self.seed = seed
        self.step = 0
        self._checked = False  # the first batch is looked at; every one would cost a GPU a wait each

    def forward(self, image: Image, label: Label, index: Label, mask: Mask | None = None) -> dict[str, Tensor]:
        """Losses of one batch.

        Args:
            image: (n, c, h, w) in [0, 1].
            label: (n,) classes.
            index: (n,) positions in the training set.
            mask: (n, 1, h, w) bool, True where what decides the class is, for methods that use it; see `Batch`.

        Returns:
            ``loss``, a scalar with a graph, and detached scalars for the log.

        Raises:
            InputError: the first batch has pixels outside [0, 1].
        """
        if not self._checked:
            low, high = image.aminmax()
            if not (low >= 0 and high <= 1):
                raise InputError(f"pixels must be in [0, 1], got {low:g} to {high:g}; normalise inside the network")
            self._checked = True
        distributed = dist.is_available() and dist.is_initialized()
        rank, world = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
        draws = StepDraws(self.seed, self.step, rank, world)
        with fork(self.seed, self.step, "layers", rank, device=image.device):
            losses = self.method.loss(self.model, Batch(image, label, index, mask), self.state, generator=draws)
        if not isinstance(losses, dict) or "loss" not in losses:
            raise InputError(
                f"{type(self.method).__name__}.loss must return a dictionary with 'loss', got {losses!r:.80}"
            )
        loss = losses["loss"]
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise InputError(
                f"the 'loss' of {type(self.method).__name__}.loss must be a tensor of one number, got {got}"
            )
        if self.training:
            self.step += 1
        return losses

    def get_extra_state(self) -> dict[str, Any]:
        """The step's number, for the checkpoint."""
        return {"step": self.step}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Continue at the checkpoint's step."""
        self.step = state["step"]
