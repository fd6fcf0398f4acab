"""A whole run as one value, its YAML form, and the directory that a run leaves behind."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from torch import nn

from pellucid.data import Data
from pellucid.errors import InputError
from pellucid.files import whole_file
from pellucid.imports import import_name
from pellucid.methods import Method, Regular
from pellucid.models import Network
from pellucid.smoothing import Smoothing

__all__ = ["Experiment", "Optimizer", "Schedule", "from_config", "read_experiment", "to_config", "write_yaml"]


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
        if self.name not in ("adam", "adamw", "sgd"):
            raise InputError(f"optimizer must be adam, adamw or sgd, got {self.name!r}")
        if not self.lr > 0:
            raise InputError(f"lr must be positive, got {self.lr:g}")
        if not self.weight_decay >= 0:
            raise InputError(f"weight_decay must not be negative, got {self.weight_decay:g}")
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
        if self.name not in ("one-cycle", "cosine", "steps", "constant"):
            raise InputError(f"schedule must be one-cycle, cosine, steps or constant, got {self.name!r}")
        if not 0 < self.warmup < 1:
            raise InputError(f"warmup must be in (0, 1), got {self.warmup:g}")

    def build(
        self, optimizer: torch.optim.Optimizer, *, steps_per_epoch: int, epochs: int
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The scheduler, to be stepped after every optimizer step."""
        total, lr = steps_per_epoch * epochs, optimizer.param_groups[0]["lr"]
        match self.name:
            case "one-cycle":
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
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A whole run: everything that decides what comes out.

    Args:
        dataset: what is learnt.
        network: what learns.
        smoothing: blocks that are put into the network; none by default.
        method: how it is trained; one of pellucid's by name, or your own by its import path.
        optimizer: how weights move.
        schedule: how the learning rate goes.
        epochs: passes over the training images.
        batch_size: images in a global batch, over all processes.
        seed: of the initial weights, the order and every other draw.
        precision: as Lightning Fabric names it; ``32-true`` or mixed.
        channels_last: memory format of the network; faster for colour images on most devices.

    >>> Experiment(epochs=1).method
    Regular()
    """

    dataset: Data = field(default_factory=Data)
    network: Network = field(default_factory=Network)
    smoothing: Smoothing | None = None
    method: Method = field(default_factory=Regular)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    epochs: int = 5
    batch_size: int = 128
    seed: int = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        kinds = {"dataset": Data, "network": Network, "optimizer": Optimizer, "schedule": Schedule, "method": Method}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                raise InputError(f"{name} must be a pellucid.{kind.__name__}, got {getattr(self, name)!r}")
        if not isinstance(self.smoothing, Smoothing | None):
            raise InputError(f"smoothing must be a pellucid.Smoothing or None, got {self.smoothing!r}")


def to_config(value: Any) -> Any:
    """Plain data (dicts, lists, numbers, strings) that says the same as ``value``.

    Dataclasses become dicts of their fields; those that stand where several classes could, and every callable, become
    ``{class_path, init_args}``, the form that the command line reads and jsonargparse cannot write.

    >>> to_config(Experiment())["method"]
    {'class_path': 'pellucid.methods.Regular', 'init_args': {}}
    """
    return _plain(value, type(value))


def from_config(config: Mapping[str, Any], kind: Any = Experiment) -> Any:
    """The inverse of `to_config`.

    Args:
        config: plain data.
        kind: the dataclass it describes.

    Raises:
        InputError: an unknown field, a class that cannot be imported, a value that the class refuses.

    >>> from_config(to_config(Experiment(epochs=3))).epochs
    3
    """
    return _built(config, kind)


def _plain(value: Any, declared: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value))
        fields = {f.name: _plain(getattr(value, f.name), hints[f.name]) for f in dataclasses.fields(value)}
        if type(value) in (declared, *typing.get_args(declared)):
            return fields
        _check_importable(value, type(value))
        return {"class_path": f"{type(value).__module__}.{type(value).__qualname__}", "init_args": fields}
    if isinstance(value, Method):
        if type(value).__init__ is not object.__init__:
            raise InputError(
                f"{type(value).__name__} must be a dataclass, so that its settings can be written to a file"
            )
        _check_importable(value, type(value))
        return {"class_path": f"{type(value).__module__}.{type(value).__qualname__}", "init_args": {}}
    if isinstance(value, (list, tuple)):
        return [_plain(item, Any) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item, Any) for key, item in value.items()}
    if callable(value):
        _check_importable(value, value)
        return f"{value.__module__}.{value.__qualname__}"
    return value


def _check_importable(value: Any, named: Any) -> None:
    name = getattr(named, "__qualname__", "<")
    if "<" in name or named.__module__ == "__main__":
        raise InputError(
            f"{value!r} cannot be named in a file; put it at the top of a module that can be imported, not in a script"
        )


def _built(config: Any, declared: Any) -> Any:
    if isinstance(config, Mapping) and "class_path" in config:
        kind = import_name(config["class_path"])
        return _instance(kind, config.get("init_args") or {})
    options = [option for option in (declared, *typing.get_args(declared)) if dataclasses.is_dataclass(option)]
    if isinstance(config, Mapping) and options:
        return _instance(options[0], config)
    if options and not (config is None and type(None) in typing.get_args(declared)):
        raise InputError(f"{getattr(options[0], '__name__', declared)} must be given by its fields, got {config!r}")
    if isinstance(config, list):
        item = (typing.get_args(declared) or (Any,))[0]
        return tuple(_built(value, item) for value in config)
    return config


def _instance(kind: Any, values: Mapping[str, Any]) -> Any:
    hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
    if hints:
        unknown = sorted(set(values) - {f.name for f in dataclasses.fields(kind)})
        if unknown:
            raise InputError(f"{kind.__name__} has no field {unknown[0]!r}; it has {', '.join(hints)}")
    try:
        return kind(**{name: _built(value, hints.get(name, Any)) for name, value in values.items()})
    except TypeError as error:
        raise InputError(f"{kind.__name__} cannot be made of {dict(values)}: {error}") from None


def write_yaml(value: Any, path: Path) -> None:
    """Write the plain form of ``value``, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(yaml.safe_dump(to_config(value), sort_keys=False, allow_unicode=True), encoding="utf-8")


def write_json(value: Any, path: Path) -> None:
    """Write ``value`` as JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_experiment(run: str | Path) -> Experiment:
    """The experiment of a run directory.

    Raises:
        InputError: no such directory, or none that pellucid made.
    """
    file = Path(run) / "experiment.yaml"
    if not file.is_file():
        raise InputError(f"{run} is not a run directory: it has no experiment.yaml; `pellucid train` makes one")
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{file} cannot be read as YAML: {' '.join(str(error).split())}") from None
    return typing.cast(Experiment, from_config(config))


def count_parameters(model: nn.Module) -> int:
    """Number of trained weights."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
