"""Network, method and training-time state in one module: what a training engine wraps."""

from collections.abc import Sequence
from typing import Any, cast, get_args

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.core.pixels import already_checked, check_pixels
from pellucid.core.randomness import StepDraws, fork
from pellucid.core.types import Batch, Image, Label, Mask, Task
from pellucid.methods.first_batch import Habits, check_index, check_labels, logits_alone, outputs_checked
from pellucid.methods.method import BOTH, Method, check_task
from pellucid.methods.terms import Classification, RunningStatistics, classified

__all__ = ["Objective"]


class Objective(nn.Module):
    """A whole training step up to the loss; for a plain loop, Fabric, DDP, Lightning or timm alike.

    Wrap this module in DDP, not the network: one step calls the network several times. Every random number is a
    function of the seed and the step's number, which is part of the ``state_dict``.

    Args:
        model: network, images in [0, 1] to logits, one a class or label; a network of one logit, for yes and no, is
            followed by `pellucid.models.Binary`. Of an output with more in it the entry or attribute ``logits`` is
            taken, or the only tensor.
        method: how it is trained.
        num_samples: size of the training set.
        total_steps: optimizer steps of the whole run.
        seed: of every draw.
        task: ``multiclass``, each image has one class; ``multilabel``, each has any number of labels.
        class_weights: what the classification loss of an image is multiplied by, one number a class; 1 by default.
        label_smoothing: share of each label that is spread evenly over all classes in that loss, in [0, 1).
        running_statistics: ``all`` lets BatchNorm's running statistics follow every image that the network is trained
            on; ``clean`` only images as they are, not those that the method has attacked, masked or made noisy, which
            is what a pretrained network needs. A step that classifies changed images alone then takes one more forward
            pass, on the images as they are.

    Raises:
        InputError: what is no method, a method that does not know the task, or a value outside those.

    >>> import torch
    >>> from pellucid import Regular
    >>> objective = Objective(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), Regular(), num_samples=8, total_steps=1)
    >>> losses = objective(torch.rand(8, 1, 2, 2), torch.zeros(8, dtype=torch.int64), torch.arange(8))
    >>> losses["loss"].backward()
    """

    class_weights: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        method: Method,
        num_samples: int,
        total_steps: int,
        *,
        seed: int = 0,
        task: Task = "multiclass",
        class_weights: Sequence[float] | Tensor | None = None,
        label_smoothing: float = 0.0,
        running_statistics: RunningStatistics = "all",
    ) -> None:
        super().__init__()
        if not isinstance(method, Method):
            raise InputError(f"method must be a pellucid.Method such as SCAAT(), got {method!r}")
        one_of(BOTH, task=task)
        check_task(method, task)
        if task == "multilabel" and (class_weights is not None or label_smoothing):
            raise InputError("class_weights and label_smoothing are for images that have one class each")
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing must be in [0, 1), got {label_smoothing:g}")
        one_of(get_args(RunningStatistics), running_statistics=running_statistics)
        weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32)
        if weights is not None and not (weights.dim() == 1 and weights.isfinite().all() and (weights >= 0).all()):
            raise InputError(f"class_weights must be one number a class, none below 0, got {class_weights!r}")
        # Not persistent: a choice, like the method, that no checkpoint needs to bring back.
        self.register_buffer("class_weights", weights, persistent=False)
        self.label_smoothing = label_smoothing
        self.running_statistics = running_statistics
        self.model = model
        self.method = method
        self.task = task
        self.num_samples = num_samples
        self.state = method.init(num_samples, total_steps)
        if not isinstance(self.state, nn.Module):
            raise InputError(f"{type(method).__name__}.init must return an nn.Module, got {self.state!r:.80}")
        self.seed = seed
        self.step = 0
        self.habits = Habits()
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
        if not self._checked or not image.is_cuda:
            check_pixels(image)
        if index is None or not self._checked:
            check_labels(label, self.task, len(image))
            check_index(index, self.num_samples, len(image))
        # A method of the user's own may well know what to do with a network that gives more than logits.
        looks = not self._checked and type(self.method).__module__.startswith("pellucid.")
        watching = (
            outputs_checked(self.model, self.habits, label, self.task)
            if looks
            else logits_alone(self.model, self.habits)
        )
        distributed = dist.is_available() and dist.is_initialized()
        rank, world = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
        draws = StepDraws(self.seed, self.step, rank, world)
        classification = Classification(self.class_weights, self.label_smoothing, self.running_statistics)
        layers = fork(self.seed, self.step, "layers", rank, device=image.device)
        with classified(classification), layers, watching, already_checked():
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
