"""Feature-map smoothing: a filter and a 1 × 1 convolution around which the features also pass unchanged."""

import copy
import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.core.feature_maps import Grid, Layout, SeenLayer, observe
from pellucid.core.types import Image
from pellucid.edits.fast_path import without_fast_path
from pellucid.edits.filters import Blur, Median, NonLocal, feature_map_sigma, gaussian_kernel

__all__ = [
    "Smoothed",
    "Smoothing",
    "SmoothingBlock",
    "insert_smoothing",
    "smooth",
    "smoothed_layers",
    "smoothing_words",
]

Filter = Literal["gaussian", "mean", "median", "non-local", "none"]
Sigma = float | Literal["feature-map"]
Init = Literal["default", "zero"]


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """The smoothing blocks of a network: where they are, and how they smooth.

    Args:
        layers: names of the layers whose output is smoothed, such as ``relu1``, or patterns, in which ``*`` and ``?``
            stand for anything within one part of a dotted name: ``layer?`` means ResNet's four stages, not the blocks
            inside. ``pellucid layers`` lists the layers of a network that can be smoothed. They return feature maps (n,
            c, h, w) or (n, h, w, c), or the tokens of a vision transformer (n, t, c); tokens without a position, such
            as the class token, are not changed.
        filter: ``gaussian``, ``mean`` and ``median`` use ``kernel_size`` × ``kernel_size`` pixels, ``non-local`` the
            whole feature map. ``none`` leaves only the 1 × 1 convolution, to separate its effect from the filter's.
        kernel_size: side of the three local filters, odd and at least 3.
        sigma: deviation of the Gaussian in pixels of the feature map. ``feature-map`` follows Bhusal's code, which
            computes it from the map's height and width and is close to a mean filter.
        init: initial weights of the 1 × 1 convolution: ``default`` is PyTorch's random initialisation, ``zero`` makes
            the block start as the identity. Use ``zero`` for a pretrained network: behind a random block, its later
            layers would receive features that they were not trained on.

    Raises:
        InputError: a value outside those.

    >>> Smoothing(layers=("relu1",))
    Smoothing(layers=('relu1',), filter='gaussian', kernel_size=3, sigma=0.8, init='default')
    """

    layers: tuple[str, ...]
    filter: Filter = "gaussian"
    kernel_size: int = 3
    sigma: Sigma = 0.8
    init: Init = "default"

    def __post_init__(self) -> None:
        if not isinstance(self.layers, tuple) or not self.layers or not all(isinstance(n, str) for n in self.layers):
            raise InputError(f"layers of the smoothing must be a tuple of one name or more, got {self.layers!r}")
        _check(self.filter, self.kernel_size, self.sigma, self.init)


class SmoothingBlock(nn.Module):
    """The features plus a mixture of the filtered features, y = x + Conv1×1(Filter(x)).

    The 1 × 1 convolution has a bias; there is no BatchNorm and no activation. Local filters reflect the map at its
    border without repeating the outermost pixel, as kornia does by default. The non-local filter is
    softmax(θ(x)ᵀ φ(x) / √m) g(x) over all pairs of pixels with 1 × 1 convolutions θ, φ, g to m = c/2 channels; its
    weights take (h w)² numbers an image. ``init="zero"`` stands in for the zero-initialised BatchNorm of Xie et al.
    Where channels come last, or a transformer gives tokens, the feature map is taken out, smoothed and put back.

    Args:
        shape: (c, h, w) of the feature map.
        filter: as in `Smoothing`, as are ``kernel_size``, ``sigma`` and ``init``.
        kernel_size: side of a local filter.
        sigma: of the Gaussian.
        init: first weights.
        layout: how the input holds the feature map: ``channels first`` (n, c, h, w), ``channels last`` (n, h, w, c), or
            ``tokens`` (n, prefix + h w, c).
        prefix: tokens in front that belong to no place and pass unchanged, such as the class token.

    Raises:
        InputError: a value that `Smoothing` refuses, or a feature map too small to be reflected.

    >>> block = SmoothingBlock((1, 4, 4), filter="mean", init="zero")
    >>> bool((block(torch.ones(2, 1, 4, 4)) == 1).all())
    True

    Source: Bhusal, Alam & Rastogi 2026; the frame is Xie et al. 2019.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        filter: Filter = "gaussian",
        kernel_size: int = 3,
        sigma: Sigma = 0.8,
        init: Init = "default",
        layout: Layout = "channels first",
        prefix: int = 0,
    ) -> None:
        super().__init__()
        _check(filter, kernel_size, sigma, init)
        channels, height, width = shape
        self.grid = Grid(layout, channels, height, width, prefix)
        if filter in ("gaussian", "mean", "median") and kernel_size // 2 >= min(height, width):
            raise InputError(
                f"a {filter} filter of kernel_size {kernel_size} needs a feature map larger than "
                f"{kernel_size // 2} pixels, got {height} × {width}"
            )
        mixed = channels
        if filter == "gaussian":
            down, across = (feature_map_sigma(n) if sigma == "feature-map" else float(sigma) for n in (height, width))
            self.filter: nn.Module = Blur(
                gaussian_kernel(kernel_size, sigma=down), gaussian_kernel(kernel_size, sigma=across)
            )
        elif filter == "mean":
            even = torch.full((kernel_size,), 1 / kernel_size)
            self.filter = Blur(even, even.clone())
        elif filter == "median":
            self.filter = Median(kernel_size)
        elif filter == "non-local":
            mixed = max(1, channels // 2)
            self.filter = NonLocal(channels, mixed)
        else:
            self.filter = nn.Identity()
        self.mix = nn.Conv2d(mixed, channels, 1)
        if init == "zero":
            nn.init.zeros_(self.mix.weight)
            nn.init.zeros_(self.mix.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        features = self.grid.to_map(x)
        change: Tensor = self.mix(self.filter(features))
        return self.grid.replaced(x, features + change)

    def extra_repr(self) -> str:
        return str(self.grid)


class Smoothed(nn.Module):
    """A layer and the smoothing of its output; state_dict keys are ``layer.…`` and ``smoothing.…``."""

    def __init__(self, layer: nn.Module, smoothing: SmoothingBlock) -> None:
        super().__init__()
        self.layer = layer
        self.smoothing = smoothing

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        out: Tensor = self.smoothing(self.layer(*args, **kwargs))
        return out


def insert_smoothing(
    model: nn.Module,
    names: str | Sequence[str],
    *,
    filter: Filter = "gaussian",
    kernel_size: int = 3,
    sigma: Sigma = 0.8,
    init: Init = "default",
    example: Image,
) -> nn.Module:
    """A copy of ``model`` in which a `SmoothingBlock` follows each named layer.

    Do it before the optimizer is made, since the copy has parameters of its own, and after loading weights without
    smoothing, since the keys of a smoothed layer gain ``.layer``. A smoothed model's own state_dict fits a model
    smoothed in the same way. New weights come from torch's global generator. `smoothed_layers` tells which layers the
    names matched, and how each was read.

    Args:
        model: any module; it stays as it is, its modes and statistics too.
        names: names or patterns as in `Smoothing`, with or without the ``network.`` that `pellucid.models.build` puts
            in front.
        filter: as in `Smoothing`.
        kernel_size: as in `Smoothing`.
        sigma: as in `Smoothing`; ``feature-map`` is resolved with the maps that ``example`` gives.
        init: as in `Smoothing`.
        example: (n, c, h, w) images as the model takes them; one forward shows each layer's channels.

    Returns:
        The smoothed copy, each submodule in the mode it had.

    Raises:
        InputError: a name that no layer has, a layer that is not used or does not give feature maps or tokens of one
            size, or a value that `Smoothing` refuses.

    >>> network = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Flatten(), nn.Linear(96, 10))
    >>> smoothed = insert_smoothing(network, "0", example=torch.zeros(1, 1, 8, 8))
    >>> smoothed[0].smoothing.mix
    Conv2d(6, 6, kernel_size=(1, 1), stride=(1, 1))
    """
    model = copy.deepcopy(model)
    built = [name for name, _ in model.named_children()][:2] == ["normalize", "network"]
    network = model.get_submodule("network") if built else model
    layers = {name: layer for name, layer in network.named_modules(remove_duplicate=False) if name}
    patterns = [names] if isinstance(names, str) else list(names)
    chosen = _matching(list(layers), [pattern.removeprefix("network.") if built else pattern for pattern in patterns])
    grids = _grids(model, {name: layers[name] for name in chosen}, example)
    # Parents are looked up before any layer is replaced, so that a stage and a block inside it can both be smoothed.
    parents = {name: network.get_submodule(name.rpartition(".")[0]) for name in chosen}
    for name, parent in parents.items():
        grid = grids[name]
        block = SmoothingBlock(
            (grid.channels, grid.height, grid.width), filter=filter, kernel_size=kernel_size, sigma=sigma, init=init,
            layout=grid.layout, prefix=grid.prefix,
        )  # fmt: skip
        weight = next(model.parameters(), torch.empty(0))
        smoothed = Smoothed(layers[name], block.to(device=weight.device, dtype=weight.dtype))
        for module in (smoothed, *block.modules()):  # not `train()`, which would wake frozen layers inside the layer
            module.training = layers[name].training
        setattr(parent, name.rpartition(".")[2], smoothed)
    without_fast_path(model, Smoothed)
    return model


def smooth(model: nn.Module, smoothing: Smoothing, *, example: Image) -> nn.Module:
    """`insert_smoothing` with a person's choice."""
    settings = asdict(smoothing)
    return insert_smoothing(model, settings.pop("layers"), **settings, example=example)


def smoothed_layers(model: nn.Module) -> dict[str, Grid]:
    """The layers of a network that are smoothed, as a person names them, and how the output of each is read.

    Args:
        model: as `insert_smoothing` or `smooth` returns it.

    >>> network = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Flatten(), nn.Linear(96, 10))
    >>> smoothed = insert_smoothing(network, "0", example=torch.zeros(1, 1, 8, 8))
    >>> {name: str(grid) for name, grid in smoothed_layers(smoothed).items()}
    {'0': '6 × 4 × 4'}
    """
    smoothed = {name: module for name, module in model.named_modules() if isinstance(module, Smoothed)}

    def named(name: str) -> str:
        for outer in sorted(smoothed, key=len, reverse=True):  # a layer inside another smoothed one
            name = name.replace(f"{outer}.layer.", f"{outer}.", 1) if name.startswith(f"{outer}.layer.") else name
        return name.removeprefix("network.")

    return {named(name): module.smoothing.grid for name, module in smoothed.items()}


def smoothing_words(model: nn.Module, most: int = 6) -> str:
    """One line that tells which layers are smoothed.

    Args:
        model: as `insert_smoothing` or `smooth` returns it.
        most: layers that are named.

    >>> network = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Flatten(), nn.Linear(96, 10))
    >>> smoothing_words(insert_smoothing(network, "0", example=torch.zeros(1, 1, 8, 8)))
    'smoothing after 0 (6 × 4 × 4)'
    """
    layers = [f"{name} ({grid})" for name, grid in smoothed_layers(model).items()]
    more = f" and {len(layers) - most} more" if len(layers) > most else ""
    return f"smoothing after {', '.join(layers[:most])}{more}"


def _check(filter: str, kernel_size: int, sigma: float | str, init: str) -> None:
    one_of(get_args(Filter), **{"filter of the smoothing": filter})
    if not isinstance(kernel_size, int) or kernel_size < 3 or kernel_size % 2 == 0:
        raise InputError(f"kernel_size of the smoothing must be 3, 5, 7, …, got {kernel_size!r}")
    if sigma != "feature-map" and not (isinstance(sigma, int | float) and 0 < sigma < float("inf")):
        raise InputError(f"sigma of the smoothing must be a positive number or feature-map, got {sigma!r}")
    one_of(get_args(Init), **{"init of the smoothing": init})


def _matching(names: list[str], patterns: list[str]) -> list[str]:
    """The names that a pattern matches, in the model's order."""
    chosen: set[str] = set()
    for pattern in patterns:
        matches = [name for name in names if _fits(name, pattern)]
        if not matches:
            close = difflib.get_close_matches(pattern, names, n=3, cutoff=0.5)
            guess = f", did you mean {' or '.join(close)}?" if close else ";"
            top = [name for name in names if "." not in name]
            more = ", …" if len(top) > 12 else ""
            raise InputError(f"no layer {pattern!r} to smooth{guess} top layers are {', '.join(top[:12])}{more}")
        chosen.update(matches)
    return [name for name in names if name in chosen]


def _fits(name: str, pattern: str) -> bool:
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _grids(model: nn.Module, layers: dict[str, nn.Module], example: Image) -> dict[str, Grid]:
    """How each layer's output lies on the image, from one forward in eval mode."""
    with torch.no_grad():
        every, _ = observe(model, example)
    grids: dict[str, Grid] = {}
    for name, layer in layers.items():
        seen = [used for used in every if used.module is layer]
        if not seen:
            raise InputError(f"layer {name!r} cannot be smoothed: the network does not use it")
        shapes = {used.shape for used in seen}
        if len(shapes) > 1:
            raise InputError(
                f"layer {name!r} cannot be smoothed: it is used more than once, with outputs of different shapes "
                f"{' and '.join(map(str, sorted(shapes, key=str)))}"
            )
        grids[name] = _grid(name, seen[-1])
    return grids


def _grid(name: str, layer: SeenLayer) -> Grid:
    shape = layer.shape
    if isinstance(shape, tuple) and layer.grid is not None:
        return layer.grid
    if isinstance(shape, tuple) and len(shape) == 4:  # of any form: a network may reduce its maps to rows
        return Grid("channels first", shape[1], shape[2], shape[3])
    raise InputError(
        f"layer {name!r} cannot be smoothed: feature maps (n, c, h, w) or (n, h, w, c), or tokens (n, t, c) that lie "
        f"on a grid over the image, are needed, it gives {shape}"
    )
