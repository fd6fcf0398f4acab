"""One step of a training: the losses of a batch, their gradients, and the optimizer's move."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.runs.compiling import told_of_compiling
from pellucid.runs.fabric import Fabric

__all__ = ["train_step"]


def train_step(
    fabric: Fabric,
    objective: Any,
    optimizer: Any,
    schedule: Any,
    batch: Any,
    *,
    batches: int = 1,
    last: bool = True,
    clip: float | None = None,
    resting: Sequence[nn.Parameter] = (),
) -> dict[str, Tensor]:
    """One optimizer step on one batch, or on the last of several, and that batch's losses.

    Args:
        fabric: of this process.
        objective: Fabric's wrapper of it.
        optimizer: Fabric's wrapper of it.
        schedule: of the optimizer.
        batch: images, labels, positions and masks.
        batches: how many batches make a step, whose gradients are averaged.
        last: whether this is the last of them, so that the step is taken.
        clip: greatest norm of all gradients together.
        resting: weights that do not move.
    """
    try:
        with nullcontext() if last else fabric.no_backward_sync(objective):
            losses: dict[str, Tensor] = objective(*batch)
            fabric.backward(losses["loss"] if batches == 1 else losses["loss"] / batches)
    except Exception as error:
        if (told := told_of_compiling(error)) is not None:
            raise told from None
        raise
    if not last:
        return losses
    for parameter in resting:
        parameter.grad = None
    if clip is not None:
        # A norm that is not finite is told by the loss or the weights, in a sentence.
        fabric.clip_gradients(objective, optimizer, max_norm=clip, error_if_nonfinite=False)
    try:
        optimizer.step()
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise InputError(
            f"a step of the optimizer is too large for 32-bit numbers ({error}); lower optimizer.lr"
        ) from None
    optimizer.zero_grad()
    schedule.step()
    return losses
