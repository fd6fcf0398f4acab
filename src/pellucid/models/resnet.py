"""ResNet-18 with torchvision's state_dict keys."""

from typing import Literal

from torch import Tensor, nn

from pellucid.core.checks import one_of, whole
from pellucid.core.errors import InputError
from pellucid.core.types import Image, Logits

__all__ = ["ResNet"]


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        if stride != 1 or inputs != outputs:
            self.downsample: nn.Sequential | None = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
        else:
            self.downsample = None

    def forward(self, x: Tensor) -> Tensor:
        change = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu2(change + (x if self.downsample is None else self.downsample(x)))
        return out


class ResNet(nn.Module):
    """Residual network of basic blocks, ResNet-18 by default; keys and initial weights as torchvision's.

    Args:
        classes: number of logits.
        shape: (c, h, w) of the images.
        stem: ``small`` is one 3 × 3 convolution of stride 1 without pooling, for images of about 32 pixels; ``large``
            is torchvision's 7 × 7 convolution of stride 2 with maximum pooling, for about 224.
        width: channels of the first stage; the others have 2, 4 and 8 times as many. 16 is quarter width.
        blocks: basic blocks of each stage; (3, 4, 6, 3) is ResNet-34.

    Raises:
        InputError: an unknown stem, or a width or depth below 1.

    >>> import torch
    >>> network = ResNet(classes=10, shape=(3, 32, 32), width=16)
    >>> network(torch.zeros(2, 3, 32, 32)).shape, network.layer4[1].conv2.out_channels
    (torch.Size([2, 10]), 128)

    Source: He et al. 2016.
    """

    def __init__(
        self,
        *,
        classes: int,
        shape: tuple[int, int, int],
        stem: Literal["small", "large"] = "small",
        width: int = 64,
        blocks: tuple[int, int, int, int] = (2, 2, 2, 2),
    ) -> None:
        super().__init__()
        one_of(("small", "large"), **{"stem of a ResNet": stem})
        whole(1, **{"width of a ResNet": width})
        if (
            not isinstance(blocks, list | tuple)
            or len(blocks) != 4
            or not all(isinstance(n, int) and n >= 1 for n in blocks)
        ):
            raise InputError(f"blocks of a ResNet must be four whole numbers of at least 1, got {blocks!r}")
        if stem == "small":
            self.conv1 = nn.Conv2d(shape[0], width, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(shape[0], width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if stem == "small" else nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(blocks[0], width, width, stride=1)
        self.layer2 = _stage(blocks[1], width, 2 * width, stride=2)
        self.layer3 = _stage(blocks[2], 2 * width, 4 * width, stride=2)
        self.layer4 = _stage(blocks[3], 4 * width, 8 * width, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Image) -> Logits:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


def _stage(blocks: int, inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride), *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1))
    )
