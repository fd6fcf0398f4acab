"""A whole run as one value, and read back from its directory."""

import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pellucid.config import read_config
from pellucid.core.checks import at_least, at_most, not_negative, one_of, positive
from pellucid.core.errors import InputError
from pellucid.data import Data
from pellucid.edits.activation import Activation
from pellucid.edits.smoothing import Smoothing
from pellucid.methods import Method, Regular
from pellucid.models import Network
from pellucid.runs.directory import RunDirectory
from pellucid.runs.fine_tuning import FineTuning

__all__ = ["Experiment", "Optimizer", "Schedule", "count_parameters", "read_experiment"]


LARGEST = 3.4e38
"""What the weights' numbers, of 32 bits, can hold."""


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """How weights move.

    Args:
        name: ``adam``, ``adamw`` or ``sgd``.
        lr: learning rate; the greatest one where the schedule changes it.
        weight_decay: L2 penalty (decoupled for ``adamw``).
        momentum: of ``sgd``.
        nesterov: Nesterov's form of ``sgd``.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 2e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        one_of(("adam", "adamw", "sgd"), optimizer=self.name)
        positive(lr=self.lr)
        not_negative(weight_decay=self.weight_decay)
        at_most(LARGEST, lr=self.lr, weight_decay=self.weight_decay)
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum must be in [0, 1), got {self.momentum:g}")
        if self.nesterov and self.momentum == 0:
            raise InputError("nesterov needs momentum above 0, got 0")

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        """The optimizer of ``parameters``."""
        match self.name:
            case "adam":
                return torch.optim.Adam(parameters, lr=self.lr, weight_decay=self.weight_decay)
            case "adamw":
                return torch.optim.AdamW(parameters, lr=self.lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            parameters, lr=self.lr, weight_decay=self.weight_decay, momentum=self.momentum, nesterov=self.nesterov
        )


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate goes over the run, step by step.

    Args:
        name: ``one-cycle`` (up to ``lr`` over ``warmup``, then down; the momentum, Adam's first beta, goes from 0.95 to
            0.85 and back meanwhile, whatever the optimizer's own is), ``cosine`` (down to 0), ``steps`` (times
            ``factor`` at each milestone) or ``constant``.
        warmup: share of the steps that rise, in (0, 1), of ``one-cycle``.
        milestones: epochs at whose end ``steps`` multiplies.
        factor: of ``steps``.
    """

    name: Literal["one-cycle", "cosine", "steps", "constant"] = "one-cycle"
    warmup: float = 0.3
    milestones: tuple[int, ...] = ()
    factor: float = 0.1

    def __post_init__(self) -> None:
        one_of(("one-cycle", "cosine", "steps", "constant"), schedule=self.name)
        if not 0 < self.warmup < 1:
            raise InputError(f"warmup must be in (0, 1), got {self.warmup:g}")

    def build(
        self, optimizer: torch.optim.Optimizer, *, steps_per_epoch: int, epochs: int, rising: int = 0
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The scheduler, to be stepped after every optimizer step.

        Args:
            optimizer: whose groups may have rates of their own.
            steps_per_epoch: optimizer steps in an epoch.
            epochs: of the run.
            rising: first steps, over which the rate is 1/rising, 2/rising, ... of what the schedule says.
        """
        schedule = self._build(optimizer, steps_per_epoch, epochs, chained=rising > 1)
        if rising < 2:
            return schedule
        rise = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / rising, total_iters=rising - 1)
        return torch.optim.lr_scheduler.ChainedScheduler([schedule, rise], optimizer)

    def _build(
        self, optimizer: torch.optim.Optimizer, steps_per_epoch: int, epochs: int, chained: bool
    ) -> torch.optim.lr_scheduler.LRScheduler:
        total, lr = steps_per_epoch * epochs, [group["lr"] for group in optimizer.param_groups]
        match self.name:
            case "one-cycle":
                if chained:
                    raise InputError("the one-cycle schedule rises by its own warmup and takes no other")
                if round(self.warmup * total, 6) == 1:  # torch would divide by the 0 steps that then rise
                    raise InputError(
                        f"warmup {self.warmup:g} of {total} steps is a single step; take a longer warmup or more steps"
                    )
                return torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=total, pct_start=self.warmup)
            case "cosine":
                return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
            case "steps":
                milestones = [epoch * steps_per_epoch for epoch in self.milestones]
                return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=self.factor)
        if chained:  # LambdaLR would undo what the rise has changed
            return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A whole run: everything that decides what comes out.

    Args:
        dataset: what is learnt.
        network: what learns.
        activation: what takes the place of the network's ReLUs; they stay by default.
        smoothing: blocks that are put into the network; none by default.
        method: how it is trained; one of pellucid's by name, or your own by its import path.
        optimizer: how weights move.
        schedule: how the learning rate goes.
        fine_tuning: how a pretrained network is trained further: what is frozen, rates, averages, classes; by default
            every weight is trained at one rate.
        epochs: passes over the training images; 0 leaves the network as it is given, as a run that can be measured.
        batch_size: images in a global batch, over all processes.
        seed: of the initial weights, the order and every other draw.
        precision: as Lightning Fabric names it; ``32-true`` or mixed.
        channels_last: memory format of the network; faster for colour images on most devices.

    >>> Experiment(epochs=1).method
    Regular()
    """

    dataset: Data = field(default_factory=Data)
    network: Network = field(default_factory=Network)
    activation: Activation | None = None
    smoothing: Smoothing | None = None
    method: Method = field(default_factory=Regular)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    fine_tuning: FineTuning | None = None
    epochs: int = 5
    batch_size: int = 128
    seed: int = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = False

    def __post_init__(self) -> None:
        at_least(1, batch_size=self.batch_size)
        at_least(0, epochs=self.epochs)
        kinds = {"dataset": Data, "network": Network, "optimizer": Optimizer, "schedule": Schedule, "method": Method}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                raise InputError(f"{name} must be a pellucid.{kind.__name__}, got {getattr(self, name)!r}")
        if not isinstance(self.activation, Activation | None):
            raise InputError(f"activation must be a pellucid.Activation or None, got {self.activation!r}")
        if not isinstance(self.smoothing, Smoothing | None):
            raise InputError(f"smoothing must be a pellucid.Smoothing or None, got {self.smoothing!r}")
        if not isinstance(self.fine_tuning, FineTuning | None):
            raise InputError(f"fine_tuning must be a pellucid.FineTuning or None, got {self.fine_tuning!r}")
        if self.fine_tuning is not None and self.fine_tuning.warmup and self.schedule.name == "one-cycle":
            raise InputError(
                "fine_tuning.warmup is for the schedules cosine, steps and constant; one-cycle rises over "
                f"schedule.warmup, got fine_tuning.warmup {self.fine_tuning.warmup:g}"
            )


def read_experiment(run: str | Path) -> Experiment:
    """The experiment of a run directory.

    Raises:
        InputError: no such directory, or none that pellucid made.
    """
    file = RunDirectory(run).experiment
    if not file.exists():
        raise InputError(f"{run} is not a run directory: it has no {file.name}; `pellucid train` makes one")
    return typing.cast(Experiment, read_config(file, Experiment))


def count_parameters(model: nn.Module) -> int:
    """Number of trained weights."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
