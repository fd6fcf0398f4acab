"""What a network's weights expect of pixels: mean and deviation as one value, found on a module, and as a layer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.types import Image

__all__ = ["Normalize", "Preprocessing", "numbers", "preprocessing_of"]

LARGEST_STD = 10
"""A deviation that pixels in [0, 1] are divided by is at most 1, or a scale of one's own; above this it is of grey
levels up to 255, and would leave nothing of the image."""

FIRST_LAYER = "its first layer"
"""Source of the preprocessing of a network that does it by itself."""


@dataclass(frozen=True)
class Preprocessing:
    """How pixels were changed before a network's weights saw them in training.

    Args:
        mean: one number a channel that is subtracted from pixels in [0, 1].
        std: one positive number a channel that the rest is divided by.
        size: (height, width) in pixels of the images that the weights were trained on; None where that is not known.
        source: who says so, in words.

    Raises:
        InputError: lengths that differ, or a deviation that is not positive.

    >>> Preprocessing((0.5,), (0.25,), (28, 28), "given").for_channels(3).mean
    (0.5, 0.5, 0.5)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int] | None
    source: str

    def __post_init__(self) -> None:
        check_moments(self.mean, self.std)

    def for_channels(self, channels: int) -> "Preprocessing":
        """The same for images of another number of channels, as `pellucid.models.channels.adapted` changes weights.

        One channel gets the average over the channels; several get the channels again and again, in their order.

        >>> Preprocessing((0.5, 0.4, 0.3), (0.2, 0.3, 0.4), None, "given").for_channels(4).mean
        (0.5, 0.4, 0.3, 0.5)
        """
        if channels == len(self.mean):
            return self

        def of(numbers: tuple[float, ...]) -> tuple[float, ...]:
            if channels == 1:
                return (sum(numbers) / len(numbers),)
            return tuple(numbers[channel % len(numbers)] for channel in range(channels))

        return Preprocessing(of(self.mean), of(self.std), self.size, self.source)

    def __str__(self) -> str:
        mean, std = (" ".join(f"{number:.4g}" for number in numbers) for numbers in (self.mean, self.std))
        return f"mean {mean} and deviation {std} ({self.source})"


class Normalize(nn.Module):
    """Each channel's (x − mean) / std, as a layer, so that attacks and maps stay in pixels.

    Mean and deviation are part of the state_dict: a checkpoint carries what its weights were trained with.

    Args:
        mean: one number a channel, in pixel units.
        std: one positive number a channel.

    Raises:
        InputError: lengths that differ, or a deviation that is not positive.

    >>> Normalize([0.5], [0.25])(torch.tensor([[[[1.0, 0.5]]]])).tolist()
    [[[[2.0, 0.0]]]]
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        check_moments(mean, std)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, x: Image) -> Image:
        return (x - self.mean) / self.std


def preprocessing_of(module: nn.Module) -> Preprocessing | None:
    """What a module says of the preprocessing of its weights, or None where it says nothing.

    Looked at are, from the outside in: pellucid's `Normalize` as a first layer, a `Preprocessing` that pellucid left
    on the module as ``preprocessing``, timm's ``pretrained_cfg`` or ``default_cfg``, and ``image_mean`` with
    ``image_std``, as open_clip has them. Wrappers such as DataParallel and torch.compile are looked through.

    Args:
        module: any network; nothing is computed.

    >>> preprocessing_of(nn.Sequential(Normalize([0.5], [0.25]), nn.Flatten()))
    Preprocessing(mean=(0.5,), std=(0.25,), size=None, source='its first layer')
    >>> preprocessing_of(nn.Flatten()) is None
    True
    """
    return next(filter(None, map(_said_by, _layers(module))), None)


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """The module and what it wraps, outermost first: first layer and network of what `build` returns among them."""
    yield module
    names = ("normalize", "network", "net", "module", "_orig_mod", "model")
    inner = dict(module.named_children())
    if isinstance(module, nn.Sequential) and isinstance(module[0] if len(module) else None, Normalize):
        yield module[0]
    for name in names:
        if name in inner:
            yield from _layers(inner[name])


def _said_by(module: nn.Module) -> Preprocessing | None:
    """What one module says of itself."""
    if isinstance(module, Normalize):
        return Preprocessing(numbers(module.mean), numbers(module.std), None, FIRST_LAYER)
    left = getattr(module, "preprocessing", None)
    if isinstance(left, Preprocessing):
        return left
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(module, name, None)
        if config is not None:
            mean, std, size = (_entry(config, key) for key in ("mean", "std", "input_size"))
            if mean is not None and std is not None:
                side = (int(size[-2]), int(size[-1])) if size is not None and len(size) >= 2 else None
                return Preprocessing(tuple(map(float, mean)), tuple(map(float, std)), side, f"its {name}")
    mean, std = getattr(module, "image_mean", None), getattr(module, "image_std", None)
    if isinstance(mean, list | tuple) and isinstance(std, list | tuple):
        return Preprocessing(tuple(map(float, mean)), tuple(map(float, std)), None, "its image_mean and image_std")
    return None


def _entry(config: Any, key: str) -> Any:
    return config.get(key) if isinstance(config, Mapping) else getattr(config, key, None)


def numbers(values: Tensor) -> tuple[float, ...]:
    """The numbers of a tensor in the fewest digits that give the same float32.

    >>> numbers(torch.tensor([0.1]))
    (0.1,)
    """
    return tuple(float(str(value)) for value in values.detach().float().flatten().cpu().numpy())


def check_moments(mean: Sequence[float], std: Sequence[float]) -> None:
    """Refuse a mean and a deviation that do not belong together, or that no pixels in [0, 1] have.

    >>> check_moments((123.7,), (58.4,))
    Traceback (most recent call last):
    pellucid.InputError: mean must be in [0, 1] for every channel, as pixels are in [0, 1], got (123.7,); of grey levels
    up to 255 these are (0.4851,)
    """
    if len(mean) != len(std):
        raise InputError(f"mean and std need as many numbers as each other, got {len(mean)} and {len(std)}")
    if not all(deviation > 0 for deviation in std):
        raise InputError(f"std must be positive for every channel, got {tuple(std)}")
    for name, numbers_of, most in (("mean", mean, 1), ("std", std, LARGEST_STD)):
        if not all(0 <= number <= most for number in numbers_of):
            way = ""
            if all(0 <= number <= 255 for number in numbers_of):
                way = f"; of grey levels up to 255 these are {tuple(round(number / 255, 4) for number in numbers_of)}"
            wanted = f"{name} must be in [0, {most}] for every channel, as pixels are in [0, 1]"
            raise InputError(f"{wanted}, got {tuple(numbers_of)}{way}")
