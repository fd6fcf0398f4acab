"""The weights of this folder in a network that is made without pellucid; needs torch, and safetensors if it is there.

    from model import load
    network = load(make_network())    # the bare network, as its factory makes it
    logits = network(pixels)          # (n, c, h, w) in [0, 1]

``preprocessing.json`` says what was changed in the network; `load` makes the same changes.
"""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["load"]


def load(network: nn.Module, folder: str | Path | None = None) -> nn.Module:
    """Change a bare network as this one was changed, and give it the weights.

    Args:
        network: as its factory makes it, with as many logits as there are classes, or with one for two classes.
        folder: that of ``preprocessing.json`` and the weights; by default the folder of this file.

    Returns:
        The network behind its normalisation, in eval mode: (n, c, h, w) pixels in [0, 1] to (n, classes) logits.

    Raises:
        RuntimeError: the weights are those of another network.
    """
    folder = Path(__file__).parent if folder is None else Path(folder)
    said = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
    weights = _weights(folder)
    changes = said["changes"]
    if changes["activation"] is not None:
        network = _with_activation(network, **changes["activation"])
    if changes["smoothing"] is not None:
        settings = dict(changes["smoothing"])
        # Parents first: a stage and a block inside it can both be smoothed.
        layers = settings.pop("layers")
        parents = {name: network.get_submodule(name.rpartition(".")[0]) for name in layers}
        for name, parent in parents.items():
            last = name.rpartition(".")[2]
            setattr(parent, last, Smoothed(getattr(parent, last), **settings, **layers[name]))
        _shape_blocks(without_fast_path(network), weights)
    network.load_state_dict(weights)
    before = nn.Identity() if said["mean"] is None else Normalize(said["mean"], said["std"])
    logits = network if said["output"] is None else Logits(network, **said["output"])
    return nn.Sequential(before, logits, *([Binary()] if said.get("one_logit") else [])).eval()


class Normalize(nn.Module):
    """Each channel's (x − mean) / std."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1], normalised."""
        return (x - self.mean) / self.std


class Logits(nn.Module):
    """A network that gives its logits among other things, as the entry ``key`` of its output."""

    def __init__(self, network: nn.Module, key: str, keywords: dict[str, Any]) -> None:
        super().__init__()
        self.network, self.key, self.keywords = network, key, keywords

    def forward(self, x: Tensor) -> Tensor:
        """The logits alone."""
        output: Any = self.network(x, **self.keywords)
        if isinstance(output, list | tuple) and self.key.isdigit():
            output = output[int(self.key)]
        elif isinstance(output, dict):
            output = output[self.key]
        elif not isinstance(output, Tensor):
            output = getattr(output, self.key)
        logits: Tensor = output
        return logits


class Binary(nn.Module):
    """One logit z as the logits (−z/2, z/2) of two classes, no and yes."""

    def forward(self, logit: Tensor) -> Tensor:
        """(n, 2) logits."""
        half = logit.reshape(len(logit), 1) / 2
        return torch.cat([-half, half], 1)


class Activation(nn.Module):
    """The smooth function in a ReLU's place, or in a ReLU6's; ``beta`` is its sharpness."""

    def __init__(self, name: str, beta: float, ceiling: float | None = None) -> None:
        super().__init__()
        self.name, self.beta, self.ceiling = name, beta, ceiling

    def forward(self, x: Tensor) -> Tensor:
        """The function of each number."""
        return self.smooth(x) if self.ceiling is None else self.smooth(x) - self.smooth(x - self.ceiling)

    def smooth(self, x: Tensor) -> Tensor:
        """The function in a ReLU's place."""
        scaled = self.beta * x
        if self.name == "softplus":
            return F.softplus(x, beta=self.beta)
        if self.name == "silu":
            return F.silu(scaled) / self.beta
        bell = torch.exp(-0.5 * scaled * scaled) / (2 * torch.pi) ** 0.5 if self.name == "smooth_relu" else 0.0
        return (F.gelu(scaled) + bell) / self.beta


class Smoothed(nn.Module):
    """A layer, to whose output a 1 × 1 convolution of the filtered output is added.

    ``layout`` says how the output lies on the image: channels first, channels last, or ``height`` × ``width`` tokens
    after ``prefix`` others.
    """

    def __init__(
        self, layer: nn.Module, filter: str, kernel_size: int, layout: str, height: int, width: int, prefix: int
    ) -> None:
        super().__init__()
        filters = {"gaussian": Blur, "mean": Blur, "non-local": NonLocal}
        self.layer = layer
        self.layout, self.height, self.width, self.prefix = layout, height, width, prefix
        self.smoothing = nn.Module()
        self.smoothing.filter = filters[filter]() if filter in filters else nn.Identity()
        if filter == "median":
            self.smoothing.filter = Median(kernel_size)
        self.smoothing.mix = nn.Conv2d(1, 1, 1)  # takes its size from the weights

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output, smoothed."""
        out: Tensor = self.layer(*args, **kwargs)
        if self.layout == "channels first":
            return self.smoothed(out)
        if self.layout == "channels last":
            return self.smoothed(out.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        places = out[:, self.prefix :].transpose(1, 2)
        smoothed = self.smoothed(places.reshape(*places.shape[:2], self.height, self.width))
        return torch.cat([out[:, : self.prefix], smoothed.flatten(2).transpose(1, 2)], dim=1)

    def smoothed(self, x: Tensor) -> Tensor:
        """A feature map (n, c, h, w), smoothed."""
        change: Tensor = self.smoothing.mix(self.smoothing.filter(x))  # type: ignore[operator]
        return x + change


class Blur(nn.Module):
    """Each channel's correlation with one kernel down the columns and one across the rows, reflected at the border."""

    down: Tensor
    across: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("down", torch.zeros(1))
        self.register_buffer("across", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """The filtered feature map."""
        down, across = len(self.down) // 2, len(self.across) // 2
        channels = x.shape[1]
        padded = F.pad(x, [across, across, down, down], mode="reflect")
        rows = F.conv2d(padded, self.down.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        return F.conv2d(rows, self.across.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


class Median(nn.Module):
    """The median of each pixel's neighbourhood, channel by channel."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, x: Tensor) -> Tensor:
        """The filtered feature map."""
        padded = F.pad(x, [self.kernel_size // 2] * 4, mode="reflect")
        windows = padded.unfold(2, self.kernel_size, 1).unfold(3, self.kernel_size, 1)
        median: Tensor = windows.flatten(-2).median(-1).values
        return median


class NonLocal(nn.Module):
    """Each pixel's softmax-weighted mean over the map, with learned similarity."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Conv2d(1, 1, 1)
        self.phi = nn.Conv2d(1, 1, 1)
        self.g = nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The filtered feature map, of half as many channels."""
        query, key, value = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        affinity = torch.softmax(query.transpose(1, 2) @ key / query.shape[1] ** 0.5, dim=-1)
        averaged: Tensor = value @ affinity.transpose(1, 2)
        return averaged.reshape(x.shape[0], -1, *x.shape[2:])


def _weights(folder: Path) -> dict[str, Tensor]:
    if (folder / "model.safetensors").exists():
        from safetensors.torch import load_file

        return load_file(folder / "model.safetensors")
    try:
        weights: dict[str, Tensor] = torch.load(folder / "model.pt", map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError):
        raise ValueError(
            f"{folder / 'model.pt'} is damaged or holds other objects than tensors, which may run code"
        ) from None
    return weights


def _with_activation(network: nn.Module, name: str, beta: float) -> nn.Module:
    """The network with the smooth function in the place of every ReLU and ReLU6 layer."""
    for place, module in list(network.named_modules(remove_duplicate=False)):
        if isinstance(module, nn.ReLU | nn.ReLU6):
            smooth = Activation(name, beta, 6.0 if isinstance(module, nn.ReLU6) else None)
            if not place:
                return smooth
            parent, _, last = place.rpartition(".")
            setattr(network.get_submodule(parent), last, smooth)
    return without_fast_path(network)


def without_fast_path(network: nn.Module) -> nn.Module:
    """The network, whose transformer layers take the way on which their parts are called."""
    for layer in network.modules():
        if isinstance(layer, nn.TransformerEncoderLayer):
            layer.activation_relu_or_gelu = 0
    return network


def _shape_blocks(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give every tensor of the smoothing blocks the shape that the weights have."""
    for name, block in network.named_modules():
        if not isinstance(block, Smoothed):
            continue
        for inside, module in block.smoothing.named_modules():
            place = ".".join(part for part in (name, "smoothing", inside) if part)
            for kind, tensors in (("parameter", module._parameters), ("buffer", module._buffers)):
                for tensor in tensors:
                    value = weights[f"{place}.{tensor}"].clone()
                    tensors[tensor] = nn.Parameter(value) if kind == "parameter" else value
