"""What the papers' runs on a dataset have in common is possible with that dataset's images."""

import pytest
import torch

from pellucid.models import NAMES, build
from pellucid.papers.plan import IMAGE_FOLDERS, SCALES
from pellucid.papers.setting import DATASETS, TRAINING_IMAGES, setting

SHAPES = {"fashion-mnist": (1, 28, 28), "mnist": (1, 28, 28), "cifar10": (3, 32, 32), "imagenet": (3, 224, 224)}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("scale", SCALES)
def test_no_more_images_are_asked_for_than_a_dataset_has(dataset, scale) -> None:
    data = setting(dataset, scale, path="images" if dataset in IMAGE_FOLDERS else None).base.dataset
    kept = data.validation if data.name == "folder" else 0
    assert (data.limit or 0) + kept <= TRAINING_IMAGES[dataset]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("scale", ["smoke", "cpu"])
def test_the_network_takes_the_images_and_has_the_stage(dataset, scale) -> None:
    at = setting(dataset, scale, path="images")
    shape = SHAPES.get(dataset, (3, 96, 96))
    network = build(at.base.network, shape=shape, classes=10, mean=(0.5,) * shape[0], std=(0.5,) * shape[0])
    assert at.base.network.name in NAMES
    assert network(torch.zeros(2, *shape)).shape == (2, 10)
    assert any(name.removeprefix("network.").endswith(at.stage) for name, _ in network.named_modules())
