"""Tiny runs to export: a network with BatchNorm of a user's own, and LeNet-5 with everything that pellucid puts in."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pellucid import Activation, Data, Evaluation, Experiment, Network, Smoothing, evaluate, export, fit
from pellucid.core.errors import InputError
from pellucid.exports.graph import TRIED

MODULE = '''
import torch
from torch import nn


class Pictures(torch.utils.data.Dataset):
    """Noise whose left, right or upper half is brighter."""

    classes = ["left", "right", "top|most"]

    def __init__(self, split, side, channels):
        generator = torch.Generator().manual_seed(len(split))
        self.images = torch.randint(0, 120, (24, channels, side, side), dtype=torch.uint8, generator=generator)
        half = side // 2
        for i, image in enumerate(self.images):
            (image[:, :, :half], image[:, :, half:], image[:, :half])[i % 3].add_(120)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], i % 3


def colour(split):
    return None if split == "validation" else Pictures(split, 8, 3)


def grey(split):
    return None if split == "validation" else Pictures(split, 16, 1)


class Small(nn.Module):
    """Convolutions with BatchNorm; every kind of pooling."""

    def __init__(self, num_classes, in_channels, width=4):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1, groups=2)
        self.mean = nn.AvgPool2d(2)
        self.fc = nn.Linear(2 * width, num_classes)

    def forward(self, x):
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.mean(self.conv2(x)).mean((2, 3)))
'''


@pytest.fixture(scope="session")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a user's module `pictures_to_export`, which can be imported meanwhile."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "pictures_to_export.py").write_text(MODULE)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("pictures_to_export", None)


@pytest.fixture(scope="session")
def small_run(users: Path) -> Path:
    """A finished and measured run of the user's own network on colour images."""
    experiment = Experiment(
        dataset=Data(name="pictures_to_export:colour", validation=3, augmentation="none"),
        network=Network(name="pictures_to_export:Small", options={"width": 6}),
        epochs=1,
        batch_size=7,
    )
    run = fit(experiment, users / "small", progress=False)
    evaluate(run, Evaluation(images=12, metrics=("gini", "robust_correct"), gallery=6))
    return run


@pytest.fixture(scope="session")
def changed_run(users: Path) -> Path:
    """A finished run, never measured, of LeNet-5 with softplus and median smoothing in it."""
    experiment = Experiment(
        dataset=Data(name="pictures_to_export:grey", validation=3, channels=1, augmentation="none"),
        activation=Activation(beta=4),
        smoothing=Smoothing(layers=("relu1", "conv2"), filter="median"),
        epochs=1,
        batch_size=7,
    )
    return fit(experiment, users / "changed", progress=False)


@pytest.fixture(scope="session")
def small_export(small_run: Path) -> Path:
    """The user's network in every format, with its map."""
    out = small_run.parent / "small-export"
    formats = ("huggingface", "state_dict", "torch_export", "onnx")
    try:
        export(small_run, out, formats, saliency="vanilla_gradient", license="apache-2.0")
    except InputError as error:
        refused = str(error)
    else:
        return out
    assert f"; PyTorch {TRIED} or newer writes graphs that older ones cannot" in refused, refused
    pytest.skip(f"PyTorch {torch.__version__} cannot write this graph, and pellucid says so")
