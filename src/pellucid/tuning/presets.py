"""How pretrained networks of a family are tuned on images of a size: presets, each with what it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast, get_args

import torch
import yaml
from torch import nn

from pellucid.attacks import PGD
from pellucid.core.feature_maps import observe
from pellucid.leaderboard.composition import Composition
from pellucid.metrics.regions import default_region
from pellucid.runs.settings import Experiment
from pellucid.saliency.layers import fits
from pellucid.tuning.plan import NAMES

__all__ = [
    "Family",
    "Size",
    "TuningPreset",
    "family_of",
    "size_of",
    "smoothed_stage",
    "tuning_preset",
    "tuning_presets",
]

Family = Literal["relu", "smooth", "vit"]
Size = Literal["small", "medium", "large"]
SIDES: dict[Size, str] = {"small": "below 64 px", "medium": "64 to 159 px", "large": "160 px and more"}

SMOOTH = ("silu", "swish", "gelu", "mish", "softplus", "elu", "celu", "tanh")
"""Ends of the names of activations that have a second derivative, or nearly; libraries have classes of their own."""


@dataclass(frozen=True, kw_only=True)
class TuningPreset:
    """A way of tuning a pretrained network.

    Attributes:
        name: of the preset.
        family: of networks.
        size: of images.
        composition: what it is put together of.
        layer_decay: learning rate of the first layer as a share of that of the last; None where it is regular
            fine-tuning's.
        evidence: the file whose numbers chose it; None where it is a first guess.
    """

    name: str
    family: Family
    size: Size
    composition: Composition
    evidence: str | None
    layer_decay: float | None = None

    def applied_to(self, experiment: Experiment, *, side: int, stage: str | None) -> Experiment:
        """An experiment with this way of training in place of its own.

        Args:
            experiment: a regular one.
            side: of the images in pixels.
            stage: layer behind which a smoothing block goes; None where the network has none that fits.
        """

        def pgd(eps: float, steps: int, step_size: float) -> PGD:
            return PGD(eps=eps, steps=steps, step_size=step_size)

        method = self.composition.method(pgd, default_region(side))
        block = self.composition.block(stage) if stage is not None else None
        tuning = experiment.fine_tuning
        if self.layer_decay is not None and tuning is not None:
            tuning = replace(tuning, layer_decay=self.layer_decay)
        return replace(
            experiment, method=method, activation=self.composition.smooth(), fine_tuning=tuning,
            smoothing=None if block is None else replace(block, init="zero"),
        )  # fmt: skip


def family_of(network: nn.Module) -> Family:
    """Which family of networks a network is of, by its layers.

    >>> family_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), family_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU()))
    ('relu', 'smooth')
    """
    names = [type(module).__name__.lower() for module in network.modules()]
    if any("attention" in name for name in names):
        return "vit"
    kinked = sum("relu" in name for name in names)
    smooth = sum(name.endswith(SMOOTH) and "relu" not in name for name in names)
    return "smooth" if smooth > kinked else "relu"


def size_of(side: int) -> Size:
    """Which size images are of.

    >>> size_of(32), size_of(96), size_of(224)
    ('small', 'medium', 'large')
    """
    return "small" if side < 64 else "medium" if side < 160 else "large"


def smoothed_stage(network: nn.Module, shape: tuple[int, int, int]) -> str | None:
    """The layer behind which a smoothing block goes: the last whose feature map has a quarter of the image's rows.

    In ResNets, VGGs and EfficientNets this is the end of an early stage, as in the authors' networks; in a transformer
    of patches of 4 pixels, too. Where the smallest feature map is larger, it is the last layer with one. A layer inside
    a block with a feature map of its own is taken only where all are.

    Args:
        network: as `pellucid.models.build` returns it.
        shape: (c, h, w) of the images.

    Returns:
        Its name in the network, or None where no layer gives a feature map.

    >>> smoothed_stage(nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1), nn.ReLU(), nn.MaxPool2d(2)), (3, 32, 32))
    '1'
    """
    with torch.no_grad():
        layers, _ = observe(network, torch.zeros(1, *shape))
    seen = [layer for layer in layers if fits(layer)]
    blocks = [layer for layer in seen if not isinstance(layer.module, nn.Sequential)]  # a mere row is no block
    early = [layer for layer in seen if layer.grid is not None and 4 * layer.grid.height >= shape[1]]
    whole = [layer for layer in early if not any(layer.name.startswith(f"{block.name}.") for block in blocks)]
    found = whole or early
    return found[-1].name.removeprefix("network.") if found else None


def tuning_preset(name: str, *, family: Family, size: Size) -> TuningPreset:
    """One preset.

    Args:
        name: ``trustworthy``, ``robust``, ``sparse`` or ``fast``.
        family: of networks.
        size: of images.

    >>> tuning_preset("fast", family="relu", size="medium").composition.base
    'structured'
    """
    told = _file()[family][size][name]
    return TuningPreset(
        name=name, family=family, size=size, composition=Composition.of(told["settings"]),
        layer_decay=told.get("layer_decay"), evidence=told["evidence"],
    )  # fmt: skip


def tuning_presets() -> list[TuningPreset]:
    """All presets, by family, size and name."""
    return [
        tuning_preset(name, family=family, size=size)
        for family in get_args(Family)
        for size in get_args(Size)
        for name in NAMES
    ]


@cache
def _file() -> Mapping[str, Any]:
    text = files("pellucid.tuning").joinpath("presets.yaml").read_text(encoding="utf-8")
    return cast(Mapping[str, Any], yaml.safe_load(text))
