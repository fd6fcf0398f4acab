"""RandAugment, made by a library for such changes: kornia, or torchvision where only that is here."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from pellucid.core.checks import whole
from pellucid.core.errors import InputError
from pellucid.core.randomness import Draws, fork
from pellucid.core.types import Image

__all__ = ["RandAugment"]

MAGNITUDES = 30
"""The greatest magnitude; that is how both libraries count."""


@dataclass(frozen=True, kw_only=True)
class RandAugment:
    """Random changes of colour and geometry, ``operations`` of a list of 14 or 15, each of the same ``magnitude``.

    Every image has its own: contrast, equalised or inverted grey levels, rotation, shear, shift, sharpness and more.
    They are drawn as a function of the draws' seed and step and of the image's place in the global batch, so that they
    depend neither on the number of processes nor on what was drawn before. The list and the meaning of a magnitude
    are the library's: kornia's (``pip install 'pellucid[augment]'``), or torchvision's where kornia is not here.

    Args:
        operations: changes of an image, one after the other, at least 1.
        magnitude: how strong each is, from 1 to 29.
        first: a change that is made before, such as `pellucid.data.Augmentation`.

    Raises:
        InputError: a value outside those, or neither library is here.

    Source: Cubuk et al. 2020 (RandAugment), whose magnitudes for ImageNet are 9 for two operations.
    """

    operations: int = 2
    magnitude: int = 9
    first: Callable[[Image, Draws], Image] | None = None

    def __post_init__(self) -> None:
        whole(1, operations=self.operations, magnitude=self.magnitude)
        if self.magnitude >= MAGNITUDES:
            raise InputError(f"magnitude must be from 1 to {MAGNITUDES - 1}, got {self.magnitude}")
        _library(self.operations, self.magnitude)

    def __call__(self, image: Image, draws: Draws) -> Image:
        """Changed images of the same shape.

        Args:
            image: (n, c, h, w) in [0, 1], of 1 or 3 channels.
            draws: source of every random number.
        """
        if self.first is not None:
            image = self.first(image, draws)
        change = _library(self.operations, self.magnitude)
        # The libraries draw from torch's global generator, so each image gets one of its own seed.
        seeds = (draws.of("randaugment").uniform((len(image), 2)).double() * 2**24).long().tolist()
        changed = []
        for one, seed in zip(torch.split(image, 1), seeds, strict=True):
            with fork("randaugment", *seed):
                changed.append(_in_colour(change, one))
        return torch.cat(changed).clamp_(0, 1)


def _in_colour(change: Callable[[Tensor], Tensor], image: Image) -> Image:
    """A grey image as one of three equal channels, which changes of colour need, and grey again."""
    if image.shape[1] == 3:
        return change(image)
    return change(image.expand(-1, 3, -1, -1)).mean(1, keepdim=True)


@cache
def _library(operations: int, magnitude: int) -> Callable[[Tensor], Tensor]:
    kornia = _imported("kornia.augmentation.auto")
    if kornia is not None:
        made: Callable[[Tensor], Tensor] = kornia.RandAugment(n=operations, m=magnitude)
        return made
    transforms = _imported("torchvision.transforms.v2")
    if transforms is not None:
        made = transforms.RandAugment(num_ops=operations, magnitude=magnitude, num_magnitude_bins=MAGNITUDES + 1)
        return made
    raise InputError("augmentation randaugment needs the package kornia: pip install 'pellucid[augment]'")


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError, AttributeError):  # an ill-matched torchvision raises the latter two
        return None
