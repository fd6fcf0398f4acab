"""Pixels are normalised by given numbers, as the weights were trained, or by the data set, in this order."""

from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from pellucid.config import from_config, to_config
from pellucid.core import notes
from pellucid.core.errors import InputError
from pellucid.models import Logits, Network, Normalize, Preprocessing, build, preprocessing_of, without_weights
from pellucid.models.preprocessing import numbers

COLOUR: dict[str, Any] = {"classes": 4, "shape": (3, 16, 16), "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
OF_DATA = (COLOUR["mean"], COLOUR["std"])


def moments(model: nn.Module) -> tuple[list[float], list[float]] | None:
    layer = model.get_submodule("normalize")
    if not isinstance(layer, Normalize):
        return None
    return list(numbers(layer.mean)), list(numbers(layer.std))


def lenet(**settings: Any) -> nn.Module:
    return build(Network(name="lenet5", **settings), **COLOUR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the same network: trained by pellucid with and without normalisation, and by somebody else."""
    folder = tmp_path_factory.mktemp("weights")
    ours = lenet(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    save_file(ours.state_dict(), folder / "ours.safetensors")
    torch.save({f"module.{key}": value for key, value in ours.state_dict().items()}, folder / "wrapped.pt")
    save_file(ours.get_submodule("network").state_dict(), folder / "theirs.safetensors")
    return folder


def test_a_network_without_weights_is_normalised_by_the_data() -> None:
    assert moments(lenet()) == OF_DATA
    assert moments(lenet(normalize="data")) == OF_DATA
    assert moments(lenet(normalize=False)) is None


def test_given_numbers_win_over_everything(folder: Path) -> None:
    for file in (None, "ours.safetensors", "wrapped.pt", "theirs.safetensors"):
        weights = None if file is None else str(folder / file)
        model = lenet(mean=(0.5,), std=(0.25,), weights=weights)
        assert moments(model) == ([0.5] * 3, [0.25] * 3)


@pytest.mark.parametrize("file", ["ours.safetensors", "wrapped.pt"])
def test_weights_of_pellucid_bring_their_own(folder: Path, file: str) -> None:
    model = lenet(weights=str(folder / file))
    assert moments(model) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    plain = lenet(weights=str(folder / "theirs.safetensors"), normalize=False)
    x = torch.rand(2, 3, 16, 16)
    mean, std = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)
    torch.testing.assert_close(model(x), plain((x - mean) / std))
    assert moments(lenet(weights=str(folder / file), normalize="data")) == OF_DATA


def test_weights_that_expect_nobody_knows_what_are_refused(folder: Path) -> None:
    theirs = str(folder / "theirs.safetensors")
    ways = r"--network.mean and --network.std .* --network.normalize data .* --network.normalize false"
    with pytest.raises(InputError, match=f"nothing says how pixels are normalised .* 'lenet5'; give {ways}"):
        lenet(weights=theirs)
    assert moments(lenet(weights=theirs, normalize="data")) == OF_DATA
    assert moments(lenet(weights=theirs, normalize=False)) is None
    left = build(Network(name="lenet5", weights=theirs), **COLOUR, unknown="leave")
    assert moments(left) is None


def test_no_data_to_normalise_by_is_refused_or_left() -> None:
    nothing = {**COLOUR, "mean": (), "std": ()}
    with pytest.raises(InputError, match="each of the 3 channels, got 0"):
        build(Network(name="lenet5"), **nothing)
    assert moments(build(Network(name="lenet5"), **nothing, unknown="leave")) is None


def test_leaving_out_what_weights_were_trained_behind_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="a normalisation with mean 0.1 0.2 0.3 and .* false leaves out"):
        lenet(weights=str(folder / "ours.safetensors"), normalize=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": (0.5,)}, "network.mean needs network.std beside it"),
        ({"std": (0.5,)}, "network.std needs network.mean beside it"),
        ({"mean": (0.5, 0.4), "std": (0.5,)}, "as many numbers as each other, got 2 and 1"),
        ({"mean": (0.5,), "std": (0.0,)}, "std must be positive"),
        (
            {"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)},
            r"mean must be in \[0, 1\] .*got \(123.7, 116.3, 103.5\); of grey levels up to 255 these are \(0.4851, ",
        ),
        ({"mean": (0.5,), "std": (58.4,)}, r"std must be in \[0, 10\] .*got \(58.4,\); .*these are \(0.229,\)"),
        ({"mean": (-0.5,), "std": (0.5,)}, r"mean must be in \[0, 1\] .*got \(-0.5,\)$"),
        ({"mean": (float("nan"),), "std": (0.5,)}, r"mean must be in \[0, 1\] .*got \(nan,\)$"),
        ({"mean": (0.5,), "std": (float("inf"),)}, r"std must be in \[0, 10\] .*got \(inf,\)$"),
        ({"mean": (0.5,), "std": (0.5,), "normalize": False}, "go with network.normalize true, got False"),
        ({"mean": (0.5,), "std": (0.5,), "normalize": "data"}, "go with network.normalize true, got 'data'"),
        ({"normalize": "folder"}, "normalize must be one of True, False, data, got 'folder'"),
        ({"head": "fresh"}, "head must be strict or new, got 'fresh'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network(**settings)


def test_numbers_for_another_number_of_channels_are_refused() -> None:
    with pytest.raises(InputError, match="each of the 3 channels, got 2"):
        lenet(mean=(0.5, 0.5), std=(0.5, 0.5))


@pytest.mark.parametrize("normalize", [True, False, "data"])
def test_the_choice_survives_a_file(normalize: Any) -> None:
    network = Network(normalize=normalize, output=1)
    assert from_config(to_config(network), Network) == network
    assert from_config({"normalize": normalize}, Network).normalize == normalize
    given_numbers = Network(mean=(0.5, 0.4, 0.3), std=(0.2,) * 3)
    assert from_config(to_config(given_numbers), Network) == given_numbers


class Carrier(nn.Module):
    """A network that says something of its weights in an attribute, as other packages' do."""

    def __init__(self, **said: Any) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)
        for name, value in said.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x.mean((2, 3)))
        return out


CFG = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "input_size": (3, 224, 160)}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("said", "size", "source"),
    [
        ({"pretrained_cfg": CFG}, (224, 160), "its pretrained_cfg"),
        ({"default_cfg": SimpleNamespace(**CFG)}, (224, 160), "its default_cfg"),
        ({"default_cfg": {"mean": CFG["mean"], "std": CFG["std"]}}, None, "its default_cfg"),
        ({"image_mean": list(IMAGENET[0]), "image_std": list(IMAGENET[1])}, None, "its image_mean and image_std"),
        ({"preprocessing": Preprocessing(*IMAGENET, (8, 8), "given")}, (8, 8), "given"),
    ],
)
def test_what_a_module_says_is_found_through_wrappers(said: dict[str, Any], size: Any, source: str) -> None:
    module = Carrier(**said)
    expected = Preprocessing(*IMAGENET, size, source)
    wrapped = nn.Sequential(OrderedDict(normalize=nn.Identity(), network=Logits(module)))
    compiled = nn.ModuleDict({"_orig_mod": module})  # as torch.compile names it
    for outer in (module, Logits(module), nn.DataParallel(module), compiled, wrapped):
        assert preprocessing_of(outer) == expected


@pytest.mark.parametrize(
    "said", [{}, {"pretrained_cfg": {}}, {"pretrained_cfg": {"mean": None, "std": None}}, {"preprocessing": "none"}]
)
def test_a_module_that_says_nothing(said: dict[str, Any]) -> None:
    assert preprocessing_of(Carrier(**said)) is None


def test_a_first_layer_is_what_counts() -> None:
    model = nn.Sequential(OrderedDict(normalize=Normalize([0.1] * 3, [0.3] * 3), network=Carrier(pretrained_cfg=CFG)))
    assert preprocessing_of(model) == Preprocessing((0.1,) * 3, (0.3,) * 3, None, "its first layer")


USER_MODULE = """
from pellucid.models import Network, build
from timm_of_a_user import Carrier

def whole():
    return build(Network(mean=(0.25,), std=(0.5,)), classes=4, shape=(3, 16, 16), mean=(), std=())

def carrying():
    return Carrier()
"""

CARRIER = """
from torch import nn

class Carrier(nn.Sequential):
    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
        self.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
"""


def test_what_a_factory_returns_says_how_its_pixels_are_normalised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "normalising_networks.py").write_text(USER_MODULE)
    (tmp_path / "timm_of_a_user.py").write_text(CARRIER)
    monkeypatch.syspath_prepend(tmp_path)
    notes.tell.cache_clear()
    model = build(Network(name="normalising_networks:whole"), **COLOUR)
    assert moments(model) is None, "or it would be done twice"
    assert moments(model.get_submodule("network")) == ([0.25] * 3, [0.5] * 3)
    assert capsys.readouterr().err == "pellucid: normalising_networks:whole normalises pixels by itself\n"
    carrying = Network(name="normalising_networks:carrying")
    assert moments(build(carrying, **COLOUR)) == ([0.5] * 3, [0.25] * 3)
    assert moments(build(Network(name=carrying.name, normalize="data"), **COLOUR)) == OF_DATA


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=6), st.integers(1, 16))
def test_moments_for_another_number_of_channels(pairs: list[tuple[float, float]], channels: int) -> None:
    mean, std = tuple(m for m, _ in pairs), tuple(s for _, s in pairs)
    changed = Preprocessing(mean, std, None, "given").for_channels(channels)
    assert len(changed.mean) == len(changed.std) == channels
    if channels == 1:
        assert changed.mean[0] == pytest.approx(sum(mean) / len(mean))
    else:
        assert all(
            changed.mean[i] == mean[i % len(mean)] and changed.std[i] == std[i % len(std)] for i in range(channels)
        )


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("efficientnet-lite0", {"pretrained": True}, {"pretrained": False}),
        ("resnet18", {"width": 4}, {"width": 4}),
        ("timm:x", {"pretrained": True, "depth": 2}, {"pretrained": False, "depth": 2}),
        ("torchvision:x", {"weights": "DEFAULT"}, {"weights": None}),
        (
            "torchvision:googlenet",
            {"weights": "DEFAULT"},
            {"weights": None, "transform_input": True, "aux_logits": False},
        ),
        ("torchvision:inception_v3", {}, {}),
        ("huggingface:x", {}, {"pretrained": False}),
        ("users.module:factory", {"pretrained": True}, {"pretrained": True}),
    ],
)
def test_reading_a_run_back_looks_for_no_weights(name: str, options: dict[str, Any], expected: dict[str, Any]) -> None:
    network = Network(name=name, options=options, weights="gone.pt")
    assert without_weights(network) == Network(name=name, options=expected, normalize="data")
    assert without_weights(Network(normalize=False)).normalize is False
    named = Network(weights="gone.pt", mean=(0.5,), std=(0.5,))
    assert without_weights(named) == Network(mean=(0.5,), std=(0.5,))
