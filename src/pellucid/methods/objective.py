"""Network, method and training-time state in one module: what a training engine wraps."""

from contextlib import nullcontext
from typing import Any, cast

import torch.distributed as dist
from torch import Tensor, nn

from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.core.randomness import StepDraws, fork
from pellucid.core.types import Batch, Image, Label, Mask, Task
from pellucid.methods.first_batch import check_images, check_index, check_labels, outputs_checked
from pellucid.methods.method import BOTH, Method, check_task

__all__ = ["Objective"]


class Objective(nn.Module):
    """A whole training step up to the loss; for a plain loop, Fabric, DDP, Lightning or timm alike.

    Wrap this module in DDP, not the network: one step calls the network several times. Every random number is a
    function of the seed and the step's number, which is part of the ``state_dict``.

    Args:
        model: network, images in [0, 1] to logits, one a class or label; a network of one logit, for yes and no, is
            followed by `pellucid.models.Binary`.
        method: how it is trained.
        num_samples: size of the training set.
        total_steps: optimizer steps of the whole run.
        seed: of every draw.
        task: ``multiclass``, each image has one class; ``multilabel``, each has any number of labels.

    Raises:
        InputError: what is no method, or a method that does not know the task.

    >>> import torch
    >>> from pellucid import Regular
    >>> objective = Objective(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), Regular(), num_samples=8, total_steps=1)
    >>> losses = objective(torch.rand(8, 1, 2, 2), torch.zeros(8, dtype=torch.int64), torch.arange(8))
    >>> losses["loss"].backward()
    """

    def __init__(
        self,
        model: nn.Module,
        method: Method,
        num_samples: int,
        total_steps: int,
        *,
        seed: int = 0,
        task: Task = "multiclass",
    ) -> None:
        super().__init__()
        if not isinstance(method, Method):
            raise InputError(f"method must be a pellucid.Method such as SCAAT(), got {method!r}")
        one_of(BOTH, task=task)
        check_task(method, task)
        self.model = model
        self.method = method
        self.task = task
        self.num_samples = num_samples
        self.state = method.init(num_samples, total_steps)
        if not isinstance(self.state, nn.Module):
            raise InputError(f"{type(method).__name__}.init must return an nn.Module, got {self.state!r:.80}")
        self.seed = seed
        self.step = 0
        self._checked = False  # the first batch is looked at; every one would cost a GPU a wait each

    def forward(
        self, image: Image, label: Tensor, index: Label | None = None, mask: Mask | None = None
    ) -> dict[str, Tensor]:
        """Losses of one batch.

        Args:
            image: (n, c, h, w) in [0, 1].
            label: (n,) classes; of the task ``multilabel`` (n, k) labels as `Batch` has them.
            index: (n,) positions in the training set, which are always needed.
            mask: (n, 1, h, w) bool, True where what decides the class is, for methods that use it; see `Batch`.

        Returns:
            ``loss``, a scalar with a graph, and detached scalars for the log.

        Raises:
            InputError: the first batch has pixels outside [0, 1], labels or positions of another form, or the network
                gives no logits for them.
        """
        if index is None or not self._checked:
            check_images(image)
            check_labels(label, self.task, len(image))
            check_index(index, self.num_samples, len(image))
        # A method of the user's own may well know what to do with a network that gives more than logits.
        looks = not self._checked and type(self.method).__module__.startswith("pellucid.")
        watching = outputs_checked(self.model, label, self.task) if looks else nullcontext()
        distributed = dist.is_available() and dist.is_initialized()
        rank, world = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
        draws = StepDraws(self.seed, self.step, rank, world)
        with fork(self.seed, self.step, "layers", rank, device=image.device), watching:
            batch = Batch(image, label, cast(Tensor, index), mask)
            losses = self.method.loss(self.model, batch, self.state, generator=draws)
        self._checked = True
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
