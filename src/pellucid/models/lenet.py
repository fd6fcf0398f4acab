"""Two small networks for 28 × 28 images: Bhusal's LeNet-5 and the MNIST network of Saliency Guided Training."""

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.types import Image, Logits

__all__ = ["LeNet5", "SGTNet"]


class MaxPool2x2(nn.MaxPool2d):
    """``nn.MaxPool2d(2)``, sixteen times as fast on a CPU where no gradient is asked for.

    torch's own loop over windows takes half of LeNet-5's forward pass; measuring a map takes hundreds of those.

    >>> x = torch.arange(16.0).view(1, 1, 4, 4)
    >>> torch.equal(MaxPool2x2()(x), nn.MaxPool2d(2)(x))
    True
    """

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or (torch.is_grad_enabled() and x.requires_grad):
            pooled: Tensor = super().forward(x)
            return pooled
        height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
        rows = torch.maximum(x[..., 0:height:2, :width], x[..., 1:height:2, :width])
        return torch.maximum(rows[..., 0::2], rows[..., 1::2])


class LeNet5(nn.Module):
    """LeNet-5 as Bhusal et al. train it: two 5 × 5 convolutions, maximum before ReLU, three linear layers.

    The maximum over a window and ReLU commute, so that pooling first computes the same on a quarter of the numbers.
    Smoothing goes after ``relu1`` (6 channels, 12 × 12 on 28 × 28 images): the authors' block follows convolution, ReLU
    and pooling, with no ReLU after it. After ``pool1`` it would come before the ReLU, which is another network.

    Args:
        classes: number of logits.
        shape: (c, h, w) of the images; height and width at least 16.

    Raises:
        InputError: the images are too small.

    >>> LeNet5(classes=10, shape=(1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])

    Source: Bhusal, Alam & Rastogi 2026, code for Fashion-MNIST.
    """

    def __init__(self, *, classes: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        if min(height, width) < 16:
            raise InputError(f"lenet5 needs images of at least 16 × 16 pixels, got {height} × {width}")
        features = 16 * ((height - 12) // 4) * ((width - 12) // 4)
        self.conv1 = nn.Conv2d(channels, 6, 5)
        self.pool1 = MaxPool2x2()
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool2 = MaxPool2x2()
        self.relu2 = nn.ReLU()
        self.fc1 = nn.Linear(features, 120)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(120, 84)
        self.relu4 = nn.ReLU()
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Image) -> Logits:
        x = self.relu1(self.pool1(self.conv1(x)))
        x = self.relu2(self.pool2(self.conv2(x)))
        x = self.relu3(self.fc1(x.flatten(1)))
        logits: Tensor = self.fc3(self.relu4(self.fc2(x)))
        return logits


class SGTNet(nn.Module):
    """The MNIST network of Saliency Guided Training, which gives logits where the authors' code gives log-softmax.

    Args:
        classes: number of logits.
        shape: (c, h, w) of the images; height and width at least 6.

    Raises:
        InputError: the images are too small.

    >>> import torch
    >>> SGTNet(classes=10, shape=(1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])

    Source: Ismail, Corrada Bravo & Feizi 2021, code for MNIST.
    """

    def __init__(self, *, classes: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        if min(height, width) < 6:
            raise InputError(f"sgt-mnist needs images of at least 6 × 6 pixels, got {height} × {width}")
        self.conv1 = nn.Conv2d(channels, 32, 3)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.relu2 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.dropout1 = nn.Dropout(0.25)
        self.fc1 = nn.Linear(64 * ((height - 4) // 2) * ((width - 4) // 2), 128)
        self.relu3 = nn.ReLU()
        self.dropout2 = nn.Dropout(0.5)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x: Image) -> Logits:
        x = self.relu2(self.conv2(self.relu1(self.conv1(x))))
        x = self.dropout1(self.pool1(x)).flatten(1)
        logits: Tensor = self.fc2(self.dropout2(self.relu3(self.fc1(x))))
        return logits
