"""What the layers of a network give, and which of it lies on the image: feature maps in every usual layout.

A convolutional network gives (n, c, h, w); Swin and ConvNeXt also (n, h, w, c); a vision transformer gives tokens,
(n, t, c), one for each patch, with a few in front that belong to no place: the class token, registers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.core.modes import evaluating
from pellucid.core.types import Image

__all__ = ["Grid", "Layout", "SeenLayer", "first_tensor", "layer_named", "observe"]

Layout = Literal["channels first", "channels last", "tokens"]

MOST_PREFIX = 8
"""Tokens without a place that are looked for at most; one class token and four registers are usual."""
MERGED = (1, 2, 4, 8, 16)
"""By how much a network may have merged the patches of its first grid, along each side."""
LARGEST_DISTORTION = math.log(2)

_FIRST = (
    *(nn.modules.conv._ConvNd, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)
"""Layers that take channels first, whatever the numbers are."""


@dataclass(frozen=True)
class Grid:
    """How a layer's output is read as a feature map of ``channels`` × ``height`` × ``width``.

    Attributes:
        layout: ``channels first`` (n, c, h, w), ``channels last`` (n, h, w, c), or ``tokens`` (n, prefix + h w, c).
        channels: numbers at each place.
        height: places from top to bottom.
        width: places from left to right.
        prefix: tokens in front that belong to no place, such as the class token.

    >>> tokens = Grid("tokens", channels=2, height=2, width=3, prefix=1)
    >>> out = torch.arange(14.0).view(1, 7, 2)
    >>> tokens.to_map(out)[0, 0].tolist()
    [[2.0, 4.0, 6.0], [8.0, 10.0, 12.0]]
    >>> torch.equal(tokens.replaced(out, tokens.to_map(out)), out)
    True
    """

    layout: Layout
    channels: int
    height: int
    width: int
    prefix: int = 0

    def to_map(self, out: Tensor) -> Float[Tensor, "n c h w"]:
        """The output as (n, c, h, w), without the tokens that have no place."""
        if self.layout == "channels first":
            return out
        if self.layout == "channels last":
            return out.permute(0, 3, 1, 2)
        places = out[:, self.prefix :].transpose(1, 2)
        return places.reshape(*places.shape[:2], self.height, self.width)

    def replaced(self, out: Tensor, feature_map: Float[Tensor, "n c h w"]) -> Tensor:
        """The output with another feature map in it; tokens that have no place stay as they are."""
        if self.layout == "channels first":
            return feature_map
        if self.layout == "channels last":
            return feature_map.permute(0, 2, 3, 1)
        return torch.cat([out[:, : self.prefix], feature_map.flatten(2).transpose(1, 2)], dim=1)

    def __str__(self) -> str:
        size = f"{self.channels} × {self.height} × {self.width}"
        if self.layout != "tokens":
            return size if self.layout == "channels first" else f"{size}, channels last"
        return f"{size}, tokens" + (f" after {self.prefix} without a place" if self.prefix else "")


@dataclass(frozen=True, eq=False)
class SeenLayer:
    """What a layer gave in one forward pass.

    Attributes:
        name: of the layer, as in ``named_modules``.
        module: the layer.
        output: what it returned; of a tuple its first tensor.
        kind: class of what it returned.
        grid: how that lies on the image; None where it does not.
        learned: whether weights were at work up to here; before that it is the image itself, normalised at most.
    """

    name: str
    module: nn.Module
    output: Tensor | None
    kind: str
    grid: Grid | None
    learned: bool

    @property
    def shape(self) -> tuple[int, ...] | str:
        """Shape of the output, or the class of what is no tensor."""
        return tuple(self.output.shape) if self.output is not None and self.kind == "Tensor" else self.kind


def observe(model: nn.Module, x: Image) -> tuple[list[SeenLayer], Any]:
    """Every layer's output in one forward pass in eval mode, in the order in which layers finish.

    Gradients are kept where they are switched on. No statistics move, and no random number is consumed.

    Args:
        model: any module.
        x: (n, c, h, w) images as the model takes them.

    Returns:
        A layer that is used twice stands there twice, one inside another before it. Behind them what the model
        returned.

    >>> network = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10))
    >>> layers, logits = observe(network, torch.zeros(1, 1, 8, 8))
    >>> [(layer.name, str(layer.grid)) for layer in layers]
    [('0', '6 × 4 × 4'), ('1', '6 × 4 × 4'), ('2', 'None'), ('3', 'None')]
    """
    reader = _Reader(n=len(x), size=(x.shape[2], x.shape[3]))
    layers: list[SeenLayer] = []

    def seen(name: str, module: nn.Module, out: object) -> None:
        reader.learned = reader.learned or next(module.parameters(), None) is not None
        tensor = first_tensor(out)
        grid = None if tensor is None else reader.read(module, tensor)
        layers.append(SeenLayer(name, module, tensor, _kind(out), grid, reader.learned))

    handles = [
        module.register_forward_hook(lambda module, _args, out, name=name: seen(name, module, out))
        for name, module in model.named_modules(remove_duplicate=False)
        if name
    ]
    device = next(model.parameters(), x).device
    try:
        with evaluating(model), torch.random.fork_rng(devices=[]):
            result = model(x.to(device))
    finally:
        for handle in handles:
            handle.remove()
    return layers, result


def layer_named(layers: Sequence[SeenLayer], name: str) -> SeenLayer | None:
    """The last use of the layer of a name, with or without the ``network.`` that `pellucid.models.build` puts before.

    Args:
        layers: as `observe` returns them.
        name: of a layer.
    """
    for wanted in (name, f"network.{name}"):
        for layer in reversed(layers):
            if layer.name == wanted:
                return layer
    return None


def first_tensor(out: object) -> Tensor | None:
    """A tensor, or the first of a tuple or list where that is one, as attention and some transformers return it."""
    if isinstance(out, tuple | list) and out:
        out = out[0]
    return out if isinstance(out, Tensor) else None


def _kind(out: object) -> str:
    return "Tensor" if isinstance(out, Tensor) else type(out).__name__


@dataclass
class _Reader:
    """Reads outputs as grids, each in the light of those before it."""

    n: int
    size: tuple[int, int]
    learned: bool = False
    maps: list[tuple[int, int]] = field(default_factory=list)
    tokens: set[int] = field(default_factory=set)
    layouts: dict[tuple[int, ...], Layout] = field(default_factory=dict)

    def read(self, module: nn.Module, out: Tensor) -> Grid | None:
        shape = tuple(out.shape)
        if out.ndim == 3:
            self.tokens.add(shape[1])
            return self._of_tokens(shape) if shape[0] == self.n else None
        if out.ndim != 4 or shape[0] != self.n:
            return None
        layout = self._layout(module, shape)
        c, h, w = shape[1:] if layout == "channels first" else (shape[3], shape[1], shape[2])
        attention = layout == "channels first" and h == w and h in self.tokens  # (n, heads, t, t)
        if attention or self._distortion(h, w) > LARGEST_DISTORTION:
            return None
        self.layouts[shape] = layout
        if layout == "channels first" and (h, w) not in self.maps:
            self.maps.append((h, w))
        return Grid(layout, c, h, w)

    def _layout(self, module: nn.Module, shape: tuple[int, ...]) -> Layout:
        """By the layer itself, then by layers before it that gave the same shape, then by the shape of the image."""
        if isinstance(module, _FIRST):
            return "channels first"
        if isinstance(module, nn.Linear) or (type(module) is nn.LayerNorm and len(module.normalized_shape) == 1):
            return "channels last"
        if shape in self.layouts:
            return self.layouts[shape]
        last = self._distortion(shape[1], shape[2]) < self._distortion(shape[2], shape[3])
        return "channels last" if last else "channels first"

    def _distortion(self, h: int, w: int) -> float:
        """How far the sides of a map are from those of the image; 0 where it has the image's form."""
        return abs(math.log(h * self.size[1] / (w * self.size[0]))) if h * w else math.inf

    def _of_tokens(self, shape: tuple[int, ...]) -> Grid | None:
        """The grid whose places are all tokens but a few in front: that of the patches, or merged from it."""
        t, c = shape[1:]
        height, width = self.size
        sides = [(h // k, w // k, k > 1) for h, w in reversed(self.maps) for k in MERGED if h % k == w % k == 0]
        if not self.maps:  # patches that were cut out without a convolution
            steps = range(1, min(self.size) + 1)
            sides = [(height // k, width // k, False) for k in steps if height % k == width % k == 0]
        for h, w, merged in sides:
            most = 0 if merged else min(MOST_PREFIX, h * w // 2)
            if min(h, w) > 1 and 0 <= t - h * w <= most:
                return Grid("tokens", c, h, w, t - h * w)
        return None
