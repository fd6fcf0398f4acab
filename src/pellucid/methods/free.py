"""Free adversarial training: the gradient that moves the weights moves the attack, too."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.core.checks import in_unit, not_negative
from pellucid.core.errors import InputError
from pellucid.core.input_gradient import image_gradients
from pellucid.core.pixels import check_pixels
from pellucid.core.processes import processes
from pellucid.core.randomness import Generator, of, uniform
from pellucid.core.types import Batch, Image, Label
from pellucid.methods.method import BOTH, Losses, Method
from pellucid.methods.terms import changed_logits, classification_loss, log_of

__all__ = ["FreeAdversarialTraining", "KeptChanges"]

LEVELS = 127
NEVER = -128
"""Stands for a pixel of an image that was not seen yet."""


class KeptChanges(nn.Module):
    """The change of every training image, from one epoch to the next: a byte for each of its numbers.

    Args:
        num_samples: size of the training set.

    Attributes:
        change: buffer (num_samples, c, h, w) int8 in 127ths of the radius; empty before the first step, which knows
            the images' size.
    """

    change: Tensor

    def __init__(self, num_samples: int) -> None:
        super().__init__()
        self.num_samples = num_samples
        self.register_buffer("change", torch.empty(0, dtype=torch.int8))

    def of(self, index: Label, start: Tensor) -> Tensor:
        """The kept changes in [-1, 1], and ``start`` for images that were not seen yet; (n, c, h, w)."""
        if len(self.change) == 0:
            self.change = torch.full((self.num_samples, *start.shape[1:]), NEVER, dtype=torch.int8, device=start.device)
        kept = self.change[index]
        return torch.where(kept == NEVER, start, kept.to(start.dtype) / LEVELS)

    def keep(self, index: Label, change: Tensor) -> None:
        """Keep changes in [-1, 1] of the images at ``index``, to the nearest 127th."""
        self.change[index] = (change * LEVELS).round().to(torch.int8)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any, **named: Any) -> None:
        there = state_dict.get(f"{prefix}change")
        if there is not None:
            self.change = self.change.new_empty(there.shape)
        super()._load_from_state_dict(state_dict, prefix, *arguments, **named)


@dataclass(frozen=True, kw_only=True)
class FreeAdversarialTraining(Method):
    r"""Cross-entropy on attacked images whose attack takes one step an epoch, by the gradient of the training step.

    .. math:: CE(f(x + \delta), y), \qquad \delta \leftarrow clip_\epsilon(\delta + \alpha \, sign(\nabla_x CE))

    Each image's δ is kept until the next epoch. The backward pass that moves the weights gives the gradient with
    respect to the image, too, so a step costs little more than regular training's. δ begins as a uniform draw from the
    ball, and in epoch k it has taken k - 1 steps, each by the gradient of weights as they were an epoch before. With
    eps 0 this is regular training.

    It keeps a byte for each number of the training set: 31 MB for 20,000 images of 28 × 56 pixels. Images that are
    flipped or cropped anew in each epoch do not meet their δ again, so train without augmentation.

    Args:
        eps: ε, largest change of a pixel, in [0, 1].
        step_size: α, in the same units.

    Source: the replayed gradient, Shafahi et al. 2019 (Adversarial training for free), there within a batch that is
    repeated; changes that are carried from epoch to epoch, Zheng et al. 2020 (ATTA).
    """

    tasks = BOTH
    eps: float = 8 / 255
    step_size: float = 8 / 255

    def __post_init__(self) -> None:
        in_unit(eps=self.eps)
        not_negative(step_size=self.step_size)

    def init(self, num_samples: int, total_steps: int) -> KeptChanges:
        """See `Method.init`."""
        return KeptChanges(num_samples)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`. The change is moved by the backward pass of the loss."""
        assert isinstance(state, KeptChanges)
        if processes() > 1:
            raise InputError(
                f"FreeAdversarialTraining keeps each image's change in the process that trains on it, which is another "
                f"one in the next epoch; got {processes()} processes, train in one"
            )
        x = batch.image.detach()
        check_pixels(x)
        start = 2 * uniform(x.shape, of(generator, "start"), device=x.device).to(x.dtype) - 1
        changed = (x + self.eps * state.of(batch.index, start)).clamp(0, 1)
        if not (state.training and torch.is_grad_enabled()):
            logits = changed_logits(model, changed, x)
        else:
            changed.requires_grad_()
            with image_gradients(kept=True):
                logits = changed_logits(model, changed, x)

            def move(slope: Image) -> None:
                delta = changed.detach() - x + self.step_size * slope.detach().sign()
                state.keep(batch.index, (delta / max(self.eps, 1e-12)).clamp(-1, 1))

            changed.register_hook(move)  # type: ignore[no-untyped-call]
        return log_of(loss=classification_loss(logits, batch.label), adversarial=(logits, batch.label))
