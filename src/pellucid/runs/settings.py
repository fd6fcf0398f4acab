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
    """How the weights are updated.

    Args:
        name: ``adam``, ``adamw`` or ``sgd``.
        lr: learning rate; the largest one if the schedule changes it.
        weight_decay: L2 penalty (decoupled for ``adamw``).
        momentum: momentum of ``sgd``.
        nesterov: whether ``sgd`` uses Nesterov's momentum.
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
    """How the learning rate changes over the run, step by step.

    Args:
        name: ``one-cycle`` rises to ``lr`` over ``warmup`` and then falls, while the momentum (Adam's first beta) goes
            from 0.95 to 0.85 and back, whatever the optimizer says; ``cosine`` falls to 0; ``steps`` multiplies by
            ``factor`` at each milestone; ``constant`` stays.
        warmup: share of the steps during which ``one-cycle`` rises, in (0, 1).
        milestones: epochs at whose end ``steps`` multiplies the rate.
        factor: what ``steps`` multiplies the rate by.
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
                    raise InputError("the one-cycle schedule has its own warmup; leave fine_tuning.warmup out")
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
        activation: replacement for the network's ReLUs; by default they stay.
        smoothing: smoothing blocks that are put into the network; by default none.
        method: training method: one of pellucid's by name, or your own by its import path.
        optimizer: how the weights are updated.
        schedule: how the learning rate changes during the run.
        fine_tuning: how a pretrained network is trained further: what is frozen, rates, averages, classes; by default
            every weight is trained at one rate.
        epochs: passes over the training images; 0 keeps the network as it is, so that it can be measured.
        batch_size: images in a global batch, over all processes.
        seed: seed of the initial weights, of the order of the images and of all other random numbers.
        precision: number format, as Lightning Fabric names it: ``32-true`` or mixed.
        channels_last: store images channels last in memory; faster for colour images on most devices.
        compile: ``network`` compiles the network with torch.compile, which takes about a minute at the start and, on a
            CPU, needs a C++ compiler. ``graphs``, on CUDA devices, also records its kernels in CUDA graphs. Losses stay
            the same up to rounding. Methods that differentiate twice, as most penalties do, cannot be compiled.

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
        images: number of measured images, chosen by ``seed``; all of them if the split has fewer.
        metrics: what is measured: columns, families or numbers of ``pellucid metrics``; ``default`` or ``all``; your
            own by import path, such as ``my_package.Peak``; or `pellucid.Metric` objects, whose own settings are not
            changed by the settings below.
        split: ``test``, or ``validation`` to choose settings without touching the test images.
        saliency: saliency methods whose maps are measured: ``vanilla_gradient``, ``smoothgrad``,
            ``integrated_gradients``, ``gradcam``, ``gradcam_plus_plus``, ``layercam``, ``rollout`` (attention rollout,
            for vision transformers), or an import path; in Python also a saliency function, a Captum class or any
            callable that can be imported.
        stability: those of these methods whose stability is measured too, and similarity and sensitivity if you ask for
            them. By default: ``vanilla_gradient``, or the first method if that is not measured.
        target: class that is explained, the ``predicted`` one or the ``true`` one. If images have several labels: the
            most probable class whose truth is known, or the most probable class that applies.
        label: name of the label that is explained in every image instead, for a network with several labels.
        channels: how the channels of a map are combined into one heatmap.
        fraction: share of an image's regions that the perturbation curves replace. For this and all settings down to
            ``transfer``, the default is that of each metric.
        steps: number of points of a perturbation curve.
        repeats: number of noise draws that a perturbation curve averages over.
        region: side of the replaced regions in pixels. By default: 2 for images of 28 and 32 pixels, 8 for 96, 16 for
            224.
        fill: what a replaced region shows: ``uniform`` noise, the image's ``mean``, its ``blur``, or ``linear``, the
            noisy linear imputation of ROAD.
        sigma: standard deviation of the noise of the stability measures, in pixel units.
        draws: number of noisy copies for the stability measures.
        layer: layer whose output is the representation in RRS; ``penultimate`` means the input of the last layer.
        robust_eps: radius of the PGD-20 attack. By default: 0.1 for Fashion-MNIST and MNIST, 8/255 for other images.
        restarts: number of random starts of the attack.
        robust_grid: radii of ``robust_curve`` in (0, 1], in rising order. By default: a quarter, half, one, two and
            three times ``robust_eps``, as far as they are at most 1.
        transfer: run directory of the network on which ``masking_transfer`` computes its attack.
        gallery: number of images whose maps are kept for the report, the same for every network.
        batch_size: images measured at once, over all processes.
        chunk: images in one forward pass, which limits memory. By default: 16 to 128 on a CPU, as many as suit its
            cache, and 256 on other devices.
        seed: seed of the choice of images and of all random numbers.
        budget: seconds that measuring may take. As many images are measured as fit. If those are few and you chose
            nothing else, the curves use one noise draw instead of five, only the first method's maps are measured, and
            no attack is made. By default: all images are measured.
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
        given: dict[str, Any] = {"metrics": self.metrics, "saliency": self.saliency}
        for name, value in given.items():
            if isinstance(value, str):
                raise InputError(f"{name} must be several names, such as ({value!r},), got {value!r}")
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
        hint = RunDirectory(run).meant or "`pellucid train` makes one"
        raise InputError(f"{run} is not a run directory: it has no {file.name}; {hint}")
    return typing.cast(Experiment, read_config(file, Experiment))


def count_parameters(model: nn.Module) -> int:
    """Number of trained weights."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
