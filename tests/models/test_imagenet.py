"""The names of ImageNet's classes: Imagenette's ten are in their places, and only published weights bring any."""

import pytest

from pellucid.models import Network
from pellucid.models.imagenet import imagenet_classes, published_classes

IMAGENETTE = {
    0: "tench",
    217: "English springer",
    482: "cassette player",
    491: "chain saw",
    497: "church",
    566: "French horn",
    569: "garbage truck",
    571: "gas pump",
    574: "golf ball",
    701: "parachute",
}


def test_each_class_has_a_name_of_its_own_in_its_place() -> None:
    names = imagenet_classes()
    assert len(names) == len(set(names)) == 1000 and all(name == name.strip() != "" for name in names)
    assert {place: names[place] for place in IMAGENETTE} == IMAGENETTE
    assert (names[134], names[517], names[638], names[639]) == (
        "crane (bird)",
        "crane (machine)",
        "maillot",
        "tank suit",
    )


@pytest.mark.parametrize(
    ("name", "options", "weights", "count", "named"),
    [
        ("efficientnet-lite0", {"pretrained": True}, None, 1000, True),
        ("timm:resnet18", {"pretrained": True}, None, 1000, True),
        ("torchvision:resnet18", {"weights": "DEFAULT"}, None, 1000, True),
        ("efficientnet-lite0", {}, None, 1000, False),
        ("efficientnet-lite0", {"pretrained": True}, None, 10, False),
        ("efficientnet-lite0", {"pretrained": True}, "mine.safetensors", 1000, False),
        ("my_package:make_network", {"pretrained": True}, None, 1000, False),
        ("huggingface:some/network", {"pretrained": True}, None, 1000, False),
    ],
)
def test_only_published_imagenet_weights_bring_names(name, options, weights, count, named) -> None:
    network = Network(name=name, options=options, weights=weights)
    assert published_classes(network, count) == (imagenet_classes() if named else ())
