"""Building a network from a person's choice, whoever wrote it."""

import dataclasses
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.models import NAMES, Network, Normalize, build

GREY: dict[str, Any] = {"classes": 10, "shape": (1, 28, 28), "mean": [0.286], "std": [0.353]}
COLOUR: dict[str, Any] = {"classes": 4, "shape": (3, 32, 32), "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}

USER_MODULE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self, num_classes, in_channels, width=3):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).mean((2, 3)))

class Nested:
    small = Small

def anything(**options):
    return Small(**options)

def ten_logits():
    return Small(10, 3)

def feature_maps(in_channels):
    return nn.Conv2d(in_channels, 2, 3)

class Noisy(Small):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))

def pairs():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x
    return Pair()

def lazy(num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes), nn.Dropout(0.5))

def needs_more(num_classes, colour):
    return Small(num_classes, 3)

def broken():
    return nn.Linear(5, 5)

def number():
    return 3

def raising(num_classes):
    raise RuntimeError("no weights")

made = Small(4, 3)
constant = 3
"""


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "some_users_networks.py").write_text(USER_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "some_users_networks", raising=False)
    return "some_users_networks"


def test_normalize_is_the_formula_and_part_of_the_checkpoint() -> None:
    layer = Normalize([0.1, 0.2, 0.3], [1.0, 2.0, 4.0])
    x = torch.rand(2, 3, 4, 5)
    expected = torch.stack([(x[:, c] - (c + 1) / 10) / 2**c for c in range(3)], dim=1)
    torch.testing.assert_close(layer(x), expected)
    assert list(layer.state_dict()) == ["mean", "std"]
    assert list(layer.parameters()) == []


def test_the_network_sees_normalised_pixels_unless_told_otherwise() -> None:
    torch.manual_seed(0)
    model = build(Network(name="lenet5"), **GREY)
    torch.manual_seed(0)
    plain = build(Network(name="lenet5", normalize=False), **GREY)
    x = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(model(x), plain((x - 0.286) / 0.353))
    assert not any(key.startswith("normalize") for key in plain.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_every_name_builds_behind_its_normalisation(name: str) -> None:
    with torch.device("meta"):
        model = build(Network(name=name), **COLOUR)
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 4)
    assert [child for child, _ in model.named_children()] == ["normalize", "network"]
    assert model.training


def test_the_seed_alone_decides_the_first_weights() -> None:
    def first(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build(Network(name="lenet5"), **GREY).parameters()])

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_options_reach_the_network() -> None:
    model = build(Network(name="resnet18", options={"width": 2}), **COLOUR)
    assert model.get_submodule("network.fc").in_features == 16
    large = build(Network(name="resnet18-224", options={"width": 2, "stem": "small"}), **COLOUR)
    assert isinstance(large.get_submodule("network.maxpool"), nn.Identity)


def test_the_choice_is_frozen_and_comparable() -> None:
    assert Network() == Network(name="lenet5")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Network().name = "vgg16"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            Network(name="resnet19"),
            "unknown network 'resnet19', did you mean resnet18 or resnet18-224? accepted: lenet5, .*timm:NAME",
        ),
        (Network(name="zzz"), "unknown network 'zzz'; accepted: lenet5"),
        (Network(name="resnet18", options={"wdth": 3}), "no option 'wdth'; accepted: stem, width, blocks"),
        (Network(name="resnet18", options={"classes": 3}), "no option 'classes'"),
        (Network(name="lenet5", options={"width": 3}), "no option 'width'; it has none"),
        (Network(name="no_such_package:net"), "cannot import .*: No module named 'no_such_package'"),
        (Network(name="no_such_package.net"), "cannot import .*: No module named 'no_such_package'"),
        (Network(name=":net"), "cannot import"),
        (Network(name=".relative:net"), "cannot import"),
        (Network(name="torch.nn:NoSuchThing"), "cannot import .*NoSuchThing"),
    ],
)
def test_a_network_that_does_not_exist_is_refused(network: Network, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        build(network, **COLOUR)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 1}, "at least 2 classes, got 1"),
        ({"mean": [0.5]}, "each of the 3 channels, got 1"),
        ({"std": [0.5]}, "as many numbers as each other, got 3 and 1"),
        ({"std": [0.5, 0.0, 0.5]}, r"positive for every channel, got \(0.5, 0.0, 0.5\)"),
        ({"std": [0.5, float("nan"), 0.5]}, "positive for every channel"),
    ],
)
def test_data_that_no_network_takes_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Network(name="lenet5"), **{**COLOUR, **change})


@pytest.mark.parametrize("factory", [":Small", ":Nested.small", ":anything", ".Small"])
def test_a_users_factory_is_told_classes_and_channels(user_module: str, factory: str) -> None:
    model = build(Network(name=f"{user_module}{factory}", options={"width": 5}), **COLOUR)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    assert model.get_submodule("network.conv").weight.shape == (5, 3, 3, 3)


def test_a_factory_without_arguments_is_called_without() -> None:
    with pytest.raises(InputError, match="unexpected keyword argument 'width'"):
        build(Network(name="torch.nn:Flatten", options={"width": 1}), **COLOUR)
    with pytest.raises(InputError, match=r"must give logits of shape \(2, 4\) .* got \(2, 3072\)"):
        build(Network(name="torch.nn:Flatten"), **COLOUR)


def test_the_trial_forward_changes_nothing(user_module: str) -> None:
    users = import_module(user_module)
    torch.manual_seed(0)
    model = build(Network(name=f"{user_module}:Noisy"), **COLOUR)
    after = torch.rand(1)
    torch.manual_seed(0)
    users.Noisy(4, 3)
    assert torch.equal(after, torch.rand(1))
    assert model.get_submodule("network.bn").num_batches_tracked == 0
    assert all(module.training for module in model.modules())


def test_lazy_layers_are_made_by_the_trial_forward(user_module: str) -> None:
    model = build(Network(name=f"{user_module}:lazy"), **COLOUR)
    assert model.get_submodule("network.1").weight.shape == (4, 3 * 32 * 32)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("ten_logits", r"must give logits of shape \(2, 4\) on images of shape \(2, 3, 32, 32\), got \(2, 10\)"),
        ("feature_maps", r"must give logits of shape \(2, 4\) .* got \(2, 2, 30, 30\)"),
        ("pairs", "got tuple"),
        ("broken", r"fails on images of shape \(2, 3, 32, 32\) with RuntimeError: .*mat1"),
        ("number", "must return an nn.Module, got int"),
        ("needs_more", "missing a required argument: 'colour'"),
        ("made", "must name a callable that returns an nn.Module, got Small"),
        ("constant", "must name a callable that returns an nn.Module, got int"),
        ("absent", "has no attribute 'absent'"),
        ("raising", r"called with {'num_classes': 4} raised RuntimeError: no weights"),
    ],
)
def test_a_users_module_that_is_no_classifier_is_refused(user_module: str, factory: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Network(name=f"{user_module}:{factory}"), **COLOUR)


class Fake(nn.Module):
    """Stands for a network of another package."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x.mean((2, 3)))
        return out


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """timm and torchvision reduced to the one function that is used of each."""

    def create_model(name: str, *, num_classes: int, in_chans: int) -> nn.Module:
        if name != "tiny":
            raise RuntimeError(f"Unknown model ({name})")
        return Fake(in_chans, num_classes)

    def get_model(name: str, *, num_classes: int) -> nn.Module:
        if name != "tiny":
            raise ValueError(f"Unknown model {name}")
        return Fake(3, num_classes)

    timm, torchvision, models = ModuleType("timm"), ModuleType("torchvision"), ModuleType("torchvision.models")
    timm.create_model, models.get_model = create_model, get_model  # type: ignore[attr-defined]
    for module in (timm, torchvision, models):
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_networks_of_other_packages(packages: None, package: str) -> None:
    assert build(Network(name=f"{package}:tiny"), **COLOUR)(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    with pytest.raises(InputError, match=f"{package} cannot make network 'huge' with options {{}}: Unknown model"):
        build(Network(name=f"{package}:huge"), **COLOUR)
    with pytest.raises(InputError, match="unexpected keyword argument 'depth'"):
        build(Network(name=f"{package}:tiny", options={"depth": 3}), **COLOUR)


def test_timm_takes_grey_images_and_torchvision_does_not(packages: None) -> None:
    assert build(Network(name="timm:tiny"), **GREY)(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    with pytest.raises(InputError, match="torchvision:tiny takes images of 3 channels, the data have 1"):
        build(Network(name="torchvision:tiny"), **GREY)


@pytest.mark.parametrize("error", [ImportError("absent"), RuntimeError("operator torchvision::nms does not exist")])
@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_a_package_that_is_missing_or_ill_matched_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, error: Exception
) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f"raise {error!r}")
    monkeypatch.syspath_prepend(tmp_path)
    for loaded in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    with pytest.raises(InputError, match=rf"{package} cannot be imported \({error}\): install pellucid\[{package}\]"):
        build(Network(name=f"{package}:resnet18"), **COLOUR)
