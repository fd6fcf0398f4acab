"""Random changes of the training images, made on the batch where it lies."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.randomness import Draws
from pellucid.core.types import Image
from pellucid.data.config import AUGMENTATIONS, known
from pellucid.data.randaugment import RandAugment

__all__ = ["Augmentation", "named"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Resized crop, shifted crop, flips, in this order, each drawn for every image alone.

    Calling it returns changed images of the same shape; what is drawn depends on the draws' seed and step alone, on
    every device.

    Args:
        flip: mirror left and right with probability one half.
        flip_vertical: mirror up and down with probability one half.
        padding: pixels of zeros around the image, of which a window of the image's size is cut.
        area: smallest share of the image that a resized crop keeps, in (0, 1]; 1 makes no crop. Its area is uniform in
            [area, 1], its aspect ratio log-uniform in [3/4, 4/3], a side longer than the image is cut to it.

    >>> from pellucid.core.randomness import StepDraws
    >>> ramps = torch.tensor([[[[0.0, 0.5, 1.0]]]]).expand(4, 1, 1, 3)
    >>> Augmentation(flip=True)(ramps, StepDraws(seed=0, step=0))[:, 0, 0, 0].unique()
    tensor([0., 1.])

    Source: C. Szegedy et al., *Going deeper with convolutions*, 2015 (resized crop); K. He et al., *Deep residual
    learning*, 2015, section 4.2 (flip and 4 pixels of padding on CIFAR-10).
    """

    flip: bool = False
    flip_vertical: bool = False
    padding: int = 0
    area: float = 1.0

    def __post_init__(self) -> None:
        at_least(0, " pixels", padding=self.padding)
        if not 0 < self.area <= 1:
            raise InputError(f"area must be in (0, 1], got {self.area}")

    def __call__(self, image: Image, draws: Draws) -> Image:
        if self.area < 1:
            image = _resized_crop(image, draws.of("resized-crop"), self.area)
        if self.padding:
            image = _shifted(image, draws.of("crop"), self.padding)
        if self.flip:
            image = _flipped(image, draws.of("flip"), 3)
        if self.flip_vertical:
            image = _flipped(image, draws.of("flip-vertical"), 2)
        return image


_NAMED = {
    "none": Augmentation(),
    "flip": Augmentation(flip=True),
    "flips": Augmentation(flip=True, flip_vertical=True),
    "crop-flip": Augmentation(padding=4, flip=True),
    "resized-crop-flip": Augmentation(area=0.08, flip=True),
}


def named(name: str) -> Augmentation | RandAugment:
    """The augmentation of that name.

    Raises:
        InputError: no augmentation has that name, or the package that makes it is not here.

    >>> named("crop-flip")
    Augmentation(flip=True, flip_vertical=False, padding=4, area=1.0)
    """
    if known("augmentation", name, AUGMENTATIONS) == "randaugment":
        return RandAugment(first=Augmentation(flip=True))
    return _NAMED[name]


def _flipped(image: Tensor, draws: Draws, dimension: int) -> Tensor:
    # Drawn on the CPU on every device, so that a GPU sees the same images.
    chosen = draws.uniform((len(image),)).lt(0.5).to(image.device)
    return torch.where(chosen[:, None, None, None], image.flip(dimension), image)


def _shifted(image: Tensor, draws: Draws, padding: int) -> Tensor:
    n, _, h, w = image.shape
    shift = (draws.uniform((n, 2)) * (2 * padding + 1)).long().to(image.device)
    windows = functional.pad(image, (padding,) * 4).unfold(2, h, 1).unfold(3, w, 1)
    return windows[torch.arange(n, device=image.device), :, shift[:, 0], shift[:, 1]]


def _resized_crop(image: Tensor, draws: Draws, area: float) -> Tensor:
    drawn = draws.uniform((len(image), 4)).to(image.device)
    kept = area + (1 - area) * drawn[:, 0]
    aspect = torch.exp((2 * drawn[:, 1] - 1) * math.log(4 / 3))
    width, height = (kept * aspect).sqrt().clamp(max=1), (kept / aspect).sqrt().clamp(max=1)
    # affine_grid's coordinates run from -1 to 1: a window of width w has its centre in [w - 1, 1 - w].
    zero = torch.zeros_like(width)
    x, y = (1 - width) * (2 * drawn[:, 2] - 1), (1 - height) * (2 * drawn[:, 3] - 1)
    window = torch.stack([torch.stack([width, zero, x], 1), torch.stack([zero, height, y], 1)], 1).to(image.dtype)
    grid = functional.affine_grid(window, list(image.shape), align_corners=False)
    crop = functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return crop.clamp_(0, 1)
