"""VGG-16 with torchvision's state_dict keys."""

from typing import Literal

from torch import Tensor, nn

from pellucid.core.checks import one_of, whole
from pellucid.core.errors import InputError
from pellucid.core.types import Image, Logits

__all__ = ["VGG"]

STAGES = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))  # channels of VGG-16's convolutions, as multiples of `width`


class VGG(nn.Module):
    """VGG-16; keys and initial weights of ``head="large"`` are torchvision's.

    Args:
        classes: number of logits.
        shape: (c, h, w) of the images; height and width at least 32, since five poolings halve them.
        head: ``small`` averages each channel and has one linear layer, as is usual for 32 × 32 images; ``large`` is
            torchvision's, with two hidden layers of 4096 and dropout.
        batch_norm: BatchNorm after each convolution.
        width: channels of the first convolution.

    Raises:
        InputError: the images are too small, an unknown head, or a width below 1.

    >>> import torch
    >>> VGG(classes=10, shape=(3, 32, 32), width=8)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])

    Source: Simonyan & Zisserman 2015, configuration D.
    """

    def __init__(
        self,
        *,
        classes: int,
        shape: tuple[int, int, int],
        head: Literal["small", "large"] = "small",
        batch_norm: bool = False,
        width: int = 64,
    ) -> None:
        super().__init__()
        channels, height, image_width = shape
        if min(height, image_width) < 32:
            raise InputError(f"VGG-16 needs images of at least 32 × 32 pixels, got {height} × {image_width}")
        one_of(("small", "large"), **{"head of VGG-16": head})
        whole(1, **{"width of VGG-16": width})
        layers: list[nn.Module] = []
        for stage in STAGES:
            for multiple in stage:
                layers.append(nn.Conv2d(channels, multiple * width, 3, padding=1))
                layers += [nn.BatchNorm2d(multiple * width)] if batch_norm else []
                layers.append(nn.ReLU())
                channels = multiple * width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        if head == "small":
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.classifier: nn.Module = nn.Linear(channels, classes)
        else:
            self.avgpool = nn.AdaptiveAvgPool2d(7)
            self.classifier = nn.Sequential(
                nn.Linear(49 * channels, 4096), nn.ReLU(), nn.Dropout(),
                nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
                nn.Linear(4096, classes),
            )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Image) -> Logits:
        logits: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return logits
