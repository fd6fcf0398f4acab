"""Wide residual networks with the state_dict keys of the PyTorch code that Bhusal et al. use."""

from torch import Tensor, nn

from pellucid.core.checks import whole
from pellucid.core.errors import InputError
from pellucid.core.types import Image, Logits

__all__ = ["WideResNet"]


class PreactivationBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        if inputs != outputs:
            self.convShortcut: nn.Conv2d | None = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
        else:
            self.convShortcut = None

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu1(self.bn1(x))
        # The shortcut convolution reads the activated input, the identity shortcut the plain one.
        straight = x if self.convShortcut is None else self.convShortcut(active)
        change: Tensor = self.conv2(self.dropout(self.relu2(self.bn2(self.conv1(active)))))
        return straight + change


class Stage(nn.Module):
    def __init__(self, blocks: int, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            PreactivationBlock(inputs, outputs, stride, dropout),
            *(PreactivationBlock(outputs, outputs, 1, dropout) for _ in range(blocks - 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class WideResNet(nn.Module):
    """Wide ResNet, WRN-28-10 by default: three stages of pre-activation blocks, 160, 320 and 640 channels.

    Smoothing goes after ``block1`` (160 channels, 32 × 32).

    Args:
        classes: number of logits.
        shape: (c, h, w) of the images.
        depth: number of convolutions; 6 n + 4.
        width: multiple of the 16, 32 and 64 channels of the plain network.
        dropout: probability between the two convolutions of a block, in [0, 1).

    Raises:
        InputError: a depth that is not 6 n + 4, a width below 1, or a dropout outside [0, 1).

    >>> import torch
    >>> WideResNet(classes=10, shape=(3, 32, 32), depth=10, width=1)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])

    Source: Zagoruyko & Komodakis 2016.
    """

    def __init__(
        self, *, classes: int, shape: tuple[int, int, int], depth: int = 28, width: int = 10, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not isinstance(depth, int) or depth < 10 or depth % 6 != 4:
            raise InputError(f"depth of a wide ResNet must be 10, 16, 22, 28, …, got {depth!r}")
        whole(1, **{"width of a wide ResNet": width})
        if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise InputError(f"dropout of a wide ResNet must be in [0, 1), got {dropout!r}")
        blocks = (depth - 4) // 6
        self.conv1 = nn.Conv2d(shape[0], 16, 3, padding=1, bias=False)
        self.block1 = Stage(blocks, 16, 16 * width, 1, dropout)
        self.block2 = Stage(blocks, 16 * width, 32 * width, 2, dropout)
        self.block3 = Stage(blocks, 32 * width, 64 * width, 2, dropout)
        self.bn1 = nn.BatchNorm2d(64 * width)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Image) -> Logits:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        logits: Tensor = self.fc(self.avgpool(self.relu(self.bn1(x))).flatten(1))
        return logits
