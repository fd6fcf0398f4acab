"""The epoch whose weights a run keeps, and the average of the weights over the steps."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from pellucid.core.errors import InputError
from pellucid.runs.fine_tuning import FineTuning

__all__ = ["Selection", "moving_average", "selection_of"]


class Selection:
    """The best epoch so far on the validation images, its weights, and whether training has waited long enough.

    Args:
        tuning: says which score is best, whether the best weights are kept, and the patience.

    Attributes:
        epoch: the best so far, from 0; None before the first.
        weights: of the network after it, on the CPU, where they are kept.

    >>> selection = Selection(FineTuning(keep="best", patience=1))
    >>> for epoch, accuracy in enumerate([0.5, 0.7, 0.6]):
    ...     scores = {"validation_accuracy": accuracy, "validation_loss": 1.0}
    ...     selection.see(epoch, scores, nn.Linear(1, 1))
    >>> selection.epoch, selection.is_over
    (1, True)
    """

    def __init__(self, tuning: FineTuning) -> None:
        self.score, self.patience, self.keeps = tuning.score, tuning.patience, tuning.keep == "best"
        self.epoch: int | None = None
        self.seen = -1
        self.best: tuple[float, float] = (-math.inf, -math.inf)
        self.weights: dict[str, Tensor] | None = None

    @property
    def is_over(self) -> bool:
        """Whether as many epochs as the patience have brought nothing better."""
        return self.patience is not None and self.epoch is not None and self.seen - self.epoch >= self.patience

    def see(self, epoch: int, scores: Mapping[str, float], network: nn.Module) -> None:
        """Take note of an epoch.

        Args:
            epoch: its number, from 0.
            scores: on the validation images.
            network: whose weights were validated.
        """
        self.seen = epoch
        loss = -scores["validation_loss"]
        value = (loss if self.score == "loss" else scores[f"validation_{self.score}"], loss)
        if value > self.best:
            self.epoch, self.best = epoch, value
            if self.keeps:
                self.weights = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"epoch": self.epoch, "seen": self.seen, "best": list(self.best), "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint stands."""
        self.epoch, self.seen, self.weights = state["epoch"], state["seen"], state["weights"]
        self.best = (state["best"][0], state["best"][1])


def selection_of(tuning: FineTuning, validation_images: int) -> Selection | None:
    """The selection that ``tuning`` asks for; None where all epochs are trained and the last is kept.

    Raises:
        InputError: it asks for one, and there are no validation images.
    """
    if tuning.keep == "last" and tuning.patience is None:
        return None
    if validation_images == 0:
        asked = "keep 'best'" if tuning.keep == "best" else f"patience {tuning.patience}"
        raise InputError(f"{asked} needs validation images, and dataset.validation keeps none")
    return Selection(tuning)


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    r"""A copy of a network that holds the moving average of its weights and statistics, updated after every step.

    .. math:: \bar w_n = a_n \bar w_{n-1} + (1 - a_n) w_n, \qquad a_n = \min\Big(a, \frac{1 + n}{10 + n}\Big)

    n counts from 0, where the average is the network's first. Without the ramp, the average of a short run would be
    mostly what it began with, such as the random weights of a new head.

    Args:
        model: the network; ``update_parameters(model)`` of the result takes its weights in, whose ``module`` is the
            averaged network.
        decay: a, in (0, 1).

    Source: Tarvainen & Valpola 2017; the ramp is that of TensorFlow's ``ExponentialMovingAverage`` with
    ``num_updates``.
    """

    def average(averaged: Any, current: Any, steps: Tensor | int) -> None:
        n = int(steps)
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))
        else:  # such as BatchNorm's count of batches
            torch._foreach_copy_(averaged, current)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
