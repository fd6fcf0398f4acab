"""A network whose right explanation is known, and pictures of every kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pellucid.explanation.examination import Examination
from pellucid.explanation.explained_network import ExplainedNetwork
from pellucid.explanation.trust_rules import Counts
from pellucid.metrics import PerturbationCurves, RelativeStability

SIDE = 16


class Quadrants(nn.Module):
    """Logits that are the brightness of the four quarters of the picture, so that the gradient is the truth."""

    def __init__(self, num_classes: int = 4, in_channels: int = 3) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.classes = num_classes

    def forward(self, x: Tensor) -> Tensor:
        quarters = nn.functional.adaptive_avg_pool2d(x.mean(1, keepdim=True), 2).flatten(1)
        return self.scale * quarters.repeat(1, -(-self.classes // 4))[:, : self.classes]


FACTORY = """
import torch
from torch import nn

class Quadrants(nn.Module):
    def __init__(self, num_classes=4, in_channels=3):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.classes = num_classes

    def forward(self, x):
        quarters = nn.functional.adaptive_avg_pool2d(x.mean(1, keepdim=True), 2).flatten(1)
        return self.scale * quarters.repeat(1, -(-self.classes // 4))[:, : self.classes]

def not_finite(num_classes):
    class Broken(Quadrants):
        def forward(self, x):
            return super().forward(x) / (x.mean((1, 2, 3)) > 0.2)[:, None]
    return Broken(num_classes)
"""


@pytest.fixture
def subject() -> ExplainedNetwork:
    names = ("top left", "top right", "low left", "low right")
    return ExplainedNetwork("quadrants", Quadrants().eval(), names, (3, 16, 16), "0")


@pytest.fixture
def examination() -> Examination:
    """A quick one of two methods, which need no more than one pass."""
    return Examination(
        saliency=("vanilla_gradient", "captum.attr.InputXGradient"),
        curves=PerturbationCurves(steps=5, repeats=1),
        stability=RelativeStability(draws=2),
        predictions=10,
        random_maps=9,
    )


SHOWN = Counts(random_maps=19, predictions=20, maps=3)
"""Counts of a quick card, with no more to be had."""


def pixels(bright: int = 0, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """(side, side, 3) uint8, noise with one bright quarter."""
    image = np.random.default_rng(seed).integers(60, 90, (side, side, 3))
    row, column, half = bright // 2, bright % 2, side // 2
    image[row * half : (row + 1) * half, column * half : (column + 1) * half] += 130
    return image.astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty-four pictures of four classes."""
    path = tmp_path / "reference"
    path.mkdir()
    for i in range(24):
        Image.fromarray(pixels(i % 4, seed=i)).save(path / f"{i:02d}.png")
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test leaves a reference in the user's cache folder."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
