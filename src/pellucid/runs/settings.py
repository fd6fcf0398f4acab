"""A whole training and a whole evaluation as one value each, and a training read back from its directory."""

import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from pellucid.config import ImportPath, read_config
from pellucid.core.checks import at_least, at_most, not_negative, one_of, positive
from pellucid.core.errors import InputError
from pellucid.core.types import Saliency
from pellucid.data import Data
from pellucid.edits.activation import Activation
from pellucid.edits.smoothing import Smoothing
from pellucid.methods import Method, Regular
from pellucid.metrics import Metric
from pellucid.metrics.families.faithfulness import Fill
from pellucid.metrics.families.masking import MaskingProbes
from pellucid.metrics.metric import Images
from pellucid.metrics.suite import ALL, check_twice, select
from pellucid.models import Network
from pellucid.runs.compiling import Compile, check_compile
from pellucid.runs.directory import RunDirectory
from pellucid.runs.fine_tuning import FineTuning
from pellucid.saliency import Channels, Explain, as_saliency, by_name

__all__ = ["SETTINGS", "Evaluation", "Experiment", "Optimizer", "Schedule", "count_parameters", "read_experiment"]


LARGEST = 3.4e38
"""What the weights' numbers, of 32 bits, can hold."""
SETTINGS = (
    *("fraction", "steps", "repeats", "region", "fill", "sigma", "draws", "layer"),
    *("robust_eps", "restarts", "robust_grid", "transfer"),
)
"""The settings of an evaluation that its metrics follow."""


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
        compile: ``network`` compiles the network with torch.compile, which takes a minute at the start and, on a CPU, a
            C++ compiler; ``graphs``, on CUDA devices, also records its kernels in CUDA graphs. Losses stay the same up
            to rounding. Methods that differentiate twice, as most penalties do, cannot be compiled.

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
    compile: Compile = "off"

    def __post_init__(self) -> None:
        at_least(1, batch_size=self.batch_size)
        at_least(0, epochs=self.epochs)
        kinds = {"dataset": Data, "network": Network, "optimizer": Optimizer, "schedule": Schedule, "method": Method}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                raise InputError(f"{name} must be a pellucid.{kind.__name__}, got {getattr(self, name)!r}")
        check_compile(self.compile, self.method)
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


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured, and how.

    Args:
        images: measured images, a fixed choice by ``seed``; all of them where the split holds fewer.
        metrics: what is measured: columns, families or numbers of ``pellucid metrics``; ``default``, ``all``; your own
            by import path, such as ``my_package.Peak``; or `pellucid.Metric` objects with settings of their own, which
            none of the settings below changes.
        split: ``test``, or ``validation`` for choosing settings without touching the test images.
        saliency: methods whose maps are measured: ``vanilla_gradient``, ``smoothgrad``, ``integrated_gradients``,
            ``gradcam``, ``gradcam_plus_plus``, ``layercam``, ``rollout`` (attention rollout, of a vision transformer),
            an import path; in Python also a saliency function, a Captum class or any callable that can be imported.
        stability: names of those methods whose stability (similarity and sensitivity, where asked for) is measured too;
            ``vanilla_gradient`` by default, or the first method where that is not measured.
        target: class that is explained, the ``predicted`` one or the ``true`` one; where an image has several labels,
            the most probable of those whose truth is known, or the most probable of those that apply.
        label: name of the label that is explained in every image instead, of a network with several labels an image.
        channels: how channels are reduced to a heatmap.
        fraction: share of an image's regions that the perturbation curves replace; like all settings down to
            ``transfer``, the metrics' own default where it is not given.
        steps: points of a perturbation curve.
        repeats: draws of the replacing noise that a curve averages.
        region: side of the replaced regions in pixels; 2 at 28 and 32 pixels, 8 at 96, 16 at 224 by default.
        fill: what a replaced region shows: ``uniform`` noise, the image's ``mean``, its ``blur``, or ``linear``, the
            noisy linear imputation of ROAD.
        sigma: standard deviation of the stability noise in pixel units.
        draws: noisy copies of the stability measures.
        layer: layer whose output is the representation of RRS; ``penultimate`` is the input of the last layer.
        robust_eps: radius of the PGD-20 attack; 0.1 for Fashion-MNIST and MNIST, 8/255 for other images by default.
        restarts: random starts of the attack.
        robust_grid: radii of ``robust_curve`` in (0, 1], rising; a quarter, half, one, two and three times
            ``robust_eps`` by default, but for those above 1.
        transfer: run directory of the network that ``masking_transfer`` computes its attack on.
        gallery: images whose maps are kept for looking at, the same for every network.
        batch_size: images measured at once, over all processes.
        chunk: images in one forward pass, which bounds memory; by default 16 to 128 on a CPU, as many as its cache is
            good for at their size, and 256 elsewhere.
        seed: of the choice of images and of every draw.
        budget: seconds that measuring may take; it then measures as many of the images as fit, and, where those are
            few and nothing else was asked for, one draw of the curves' noise instead of five, the first method's maps
            alone and no attack. All are measured by default.
    """

    images: int = 1000
    metrics: tuple[ImportPath | Metric, ...] = ("default",)
    split: Literal["test", "validation"] = "test"
    saliency: tuple[Explain, ...] = ("vanilla_gradient", "smoothgrad", "integrated_gradients")
    stability: tuple[str, ...] | None = None
    target: Literal["predicted", "true"] = "predicted"
    label: str | None = None
    channels: Channels = "mean_abs"
    fraction: float | None = None
    steps: int | None = None
    repeats: int | None = None
    region: int | None = None
    fill: Fill | None = None
    sigma: float | None = None
    draws: int | None = None
    layer: str | None = None
    robust_eps: float | None = None
    restarts: int | None = None
    robust_grid: tuple[float, ...] | None = None
    transfer: str | None = None
    gallery: int = 24
    batch_size: int = 100
    chunk: int | None = None
    seed: int = 0
    budget: float | None = None

    def __post_init__(self) -> None:
        one_of(("test", "validation"), split=self.split)
        one_of(("predicted", "true"), target=self.target)
        one_of(get_args(Channels), channels=self.channels)
        at_least(1, images=self.images, gallery=self.gallery, batch_size=self.batch_size, chunk=self.chunk)
        if self.budget is not None:
            positive(budget=self.budget)
        if not self.metrics:
            raise InputError("metrics must name at least one; `pellucid metrics` lists them")
        for metric in (metric for metrics in ALL.values() for metric in metrics):
            metric.overridden(self._settings)  # refuses a bad setting, also where nothing that is asked for follows it
        self.chosen(Images((1, 1, 1)))
        measured = self.methods()
        if unknown := sorted(set(self.stability or ()) - set(measured)):
            raise InputError(f"stability must be among the measured methods {', '.join(measured)}, got {unknown[0]!r}")

    @property
    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS}

    def chosen(self, images: Images | None = None) -> tuple[Metric, ...]:
        """The metrics with this evaluation's settings in place of their own.

        Args:
            images: what is measured, for the settings that depend on it; without it they stay open.

        Raises:
            InputError: a metric that is not known, or a setting that it refuses.
        """
        settings = self._settings
        metrics = [
            metric if metric in self.metrics else metric.overridden(settings) for metric in select(self.metrics, images)
        ]
        other = next((metric.transfer for metric in metrics if isinstance(metric, MaskingProbes)), None)
        if other not in (None, self.transfer):
            raise InputError(
                f"the network of masking_transfer is the evaluation's transfer {self.transfer}, got {other}"
            )
        check_twice(metrics)  # once more, as a setting may have changed one of two that gave a column alike
        return tuple(metric if images is None else metric.fitted(images) for metric in metrics)

    def stable(self) -> tuple[str, ...]:
        """Names of the methods whose stability is measured."""
        if self.stability is not None:
            return self.stability
        methods = list(self.methods())
        return ("vanilla_gradient",) if "vanilla_gradient" in methods else (methods[0],)

    def methods(self) -> dict[str, Saliency]:
        """The saliency functions by the names of their columns."""
        return {name: as_saliency(explain) for name, explain in by_name(self.saliency).items()}


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
