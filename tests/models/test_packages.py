"""Pretrained networks of timm, torchvision and Hugging Face, with their packages reduced to what is used of them."""

import importlib.util
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pellucid.core import notes
from pellucid.core.errors import InputError
from pellucid.models import Logits, Network, Preprocessing, bare, build, preprocessing_of
from pellucid.models.preprocessing import numbers

DATA: dict[str, Any] = {"classes": 4, "shape": (3, 16, 16), "mean": [0.1] * 3, "std": [0.9] * 3}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def moments(model: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return numbers(model.get_buffer("normalize.mean")), numbers(model.get_buffer("normalize.std"))


class Net(nn.Module):
    """A classifier with a convolution, so that channels can be adapted, and constant weights if pretrained."""

    def __init__(self, channels: int, classes: int, *, pretrained: bool, size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(channels, 5, 3)
        self.fc = nn.Linear(5, classes)
        if pretrained:
            nn.init.ones_(self.conv.weight)

    def features(self, x: Tensor) -> Tensor:
        assert self.size in (None, tuple(x.shape[2:])), f"Input size {tuple(x.shape[2:])} doesn't match {self.size}."
        out: Tensor = self.fc(self.conv(x).mean((2, 3)))
        return out

    def forward(self, x: Tensor) -> Any:
        return self.features(x)


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """`timm.create_model`: every model carries the configuration of its published weights, fresh or not."""
    calls: list[dict[str, Any]] = []

    def create_model(
        model_name: str, pretrained: bool = False, *, num_classes: int = 1000, in_chans: int = 3,
        img_size: tuple[int, int] | None = None,
    ) -> nn.Module:  # fmt: skip
        calls.append({"pretrained": pretrained, "img_size": img_size})
        fixed = model_name == "vit"
        net = Net(in_chans, num_classes, pretrained=pretrained, size=(img_size or (224, 224)) if fixed else None)
        net.pretrained_cfg = {  # type: ignore[assignment]
            "mean": HALF[0], "std": HALF[1], "input_size": (3, 224, 224), "fixed_input_size": fixed,
        }  # fmt: skip
        return net

    module = ModuleType("timm")
    module.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", module)
    return calls


def test_timms_pretrained_weights_bring_their_own_numbers(timm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    notes.tell.cache_clear()
    model = build(Network(name="timm:tiny", options={"pretrained": True}), **DATA)
    assert moments(model) == HALF
    assert capsys.readouterr().err == (
        "pellucid: timm:tiny takes pixels with mean 0.5 0.5 0.5 and deviation 0.5 0.5 0.5 (its pretrained_cfg)\n"
    )
    assert preprocessing_of(model.get_submodule("network")) == Preprocessing(*HALF, (224, 224), "its pretrained_cfg")
    grey = {"classes": 4, "shape": (1, 16, 16), "mean": [0.1], "std": [0.9]}
    assert moments(build(Network(name="timm:tiny", options={"pretrained": True}), **grey)) == ((0.5,), (0.5,))


def test_fresh_networks_of_timm_are_normalised_by_the_data(timm: Any) -> None:
    assert moments(build(Network(name="timm:tiny"), **DATA)) == ((0.1,) * 3, (0.9,) * 3)
    chosen = Network(name="timm:tiny", options={"pretrained": True}, normalize="data")
    assert moments(build(chosen, **DATA)) == ((0.1,) * 3, (0.9,) * 3)


def test_a_file_for_a_network_of_timm_is_taken_as_timms(timm: Any, tmp_path: Path) -> None:
    torch.save(Net(3, 4, pretrained=True).state_dict(), tmp_path / "weights.pt")
    model = build(Network(name="timm:tiny", weights=str(tmp_path / "weights.pt")), **DATA)
    assert moments(model) == HALF
    assert torch.equal(model.get_parameter("network.conv.weight"), torch.ones(5, 3, 3, 3))


def test_a_transformer_of_one_size_is_made_for_the_images(timm: list[dict[str, Any]]) -> None:
    build(Network(name="timm:vit", options={"pretrained": True}), **DATA)
    assert [call["img_size"] for call in timm] == [None, (16, 16)]
    with pytest.raises(InputError, match=r"fails on images .* Input size \(16, 16\) doesn't match \(32, 32\)"):
        build(Network(name="timm:vit", options={"img_size": (32, 32)}), **DATA)


class TinyWeights(Enum):
    """As torchvision's enumerations: several published weights, of which one is the default."""

    V1 = "v1"
    V2 = "v2"
    DEFAULT = "v2"

    def transforms(self) -> Any:
        mean, std = IMAGENET if self.name == "V1" else HALF
        return SimpleNamespace(mean=list(mean), std=list(std), crop_size=[224])


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torchvision.models`: weights decide the number of classes and refuse another."""

    class Training(Net):
        aux_logits = True

        def forward(self, x: Tensor) -> Any:
            logits = self.features(x)
            return SimpleNamespace(logits=logits, aux_logits=logits + 1) if self.training else logits

    def get_model(
        name: str, *, weights: TinyWeights | None = None, num_classes: int = 1000, width: int = 1
    ) -> nn.Module:
        if name not in ("tiny", "aux"):
            raise ValueError(f"Unknown model {name}")
        if weights is not None and num_classes != 1000:
            raise ValueError("The parameter 'num_classes' expected value 1000")
        return (Training if name == "aux" else Net)(3, num_classes, pretrained=weights is not None)

    def get_model_weights(name: str) -> Any:
        if name not in ("tiny", "aux"):
            raise ValueError(f"Unknown model {name}")
        return TinyWeights

    package, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    models.get_model, models.get_model_weights = get_model, get_model_weights  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"pretrained": True}, HALF),
        ({"weights": "DEFAULT"}, HALF),
        ({"weights": "V1"}, IMAGENET),
        ({"weights": "TinyWeights.V1"}, IMAGENET),
    ],
)
def test_torchvisions_weights_bring_their_own_numbers(
    torchvision: None, capsys: pytest.CaptureFixture[str], options: dict[str, Any], expected: Any
) -> None:
    notes.tell.cache_clear()
    model = build(Network(name="torchvision:tiny", options=options), **DATA)
    assert moments(model) == expected
    assert torch.equal(model.get_parameter("network.conv.weight"), torch.ones(5, 3, 3, 3))
    assert model(torch.rand(2, 3, 16, 16)).shape == (2, 4)
    assert "torchvision:tiny gets a new last layer of 4 classes in place of 1000" in capsys.readouterr().err


def test_a_file_for_a_network_of_torchvision_is_taken_as_its_default(torchvision: None, tmp_path: Path) -> None:
    torch.save(Net(3, 4, pretrained=True).state_dict(), tmp_path / "weights.pt")
    model = build(Network(name="torchvision:tiny", weights=str(tmp_path / "weights.pt")), **DATA)
    assert moments(model) == HALF
    said = preprocessing_of(model.get_submodule("network"))
    assert said == Preprocessing(*HALF, (224, 224), "torchvision's TinyWeights.V2")


def test_torchvision_without_weights_and_with_other_channels(torchvision: None) -> None:
    assert moments(build(Network(name="torchvision:tiny"), **DATA)) == ((0.1,) * 3, (0.9,) * 3)
    grey = {"classes": 4, "shape": (1, 16, 16), "mean": [0.1], "std": [0.9]}
    model = build(Network(name="torchvision:tiny", options={"pretrained": True}), **grey)
    assert torch.equal(model.get_parameter("network.conv.weight"), torch.full((5, 1, 3, 3), 3.0))
    assert moments(model) == ((0.5,), (0.5,))


def test_a_second_output_in_training_alone_is_left_out(torchvision: None) -> None:
    model = build(Network(name="torchvision:aux"), **DATA)
    x = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(model.train()(x), model.eval()(x))


def test_weights_that_torchvision_does_not_know(torchvision: None) -> None:
    with pytest.raises(InputError, match="torchvision:tiny has no weights 'V3'; accepted: V1, V2$"):
        build(Network(name="torchvision:tiny", options={"weights": "V3"}), **DATA)
    with pytest.raises(InputError, match="torchvision cannot make network 'huge' .*: Unknown model huge"):
        build(Network(name="torchvision:huge"), **DATA)


class Output(dict[str, Tensor]):
    """As transformers' ModelOutput: entries by name and by attribute."""

    def __getattr__(self, name: str) -> Tensor:
        return self[name]


class HubNet(Net):
    def __init__(self, classes: int, *, pretrained: bool) -> None:
        super().__init__(3, classes, pretrained=pretrained)
        self.config = SimpleNamespace(num_channels=3, num_labels=classes)
        self.num_channels = 3

    def forward(self, pixel_values: Tensor, interpolate_pos_encoding: bool = False) -> Any:
        assert interpolate_pos_encoding and pixel_values.shape[1] == self.num_channels
        return Output(logits=self.features(pixel_values), hidden_states=pixel_values)


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`transformers`: automatic classes whose answers the tests may change."""
    answers = SimpleNamespace(labels=10, fresh=set(), processor={"image_mean": HALF[0], "image_std": HALF[1]})

    class AutoModelForImageClassification:
        @staticmethod
        def from_pretrained(
            name: str, *, num_labels: int, ignore_mismatched_sizes: bool, output_loading_info: bool
        ) -> Any:
            if name == "owner/absent":
                raise OSError(
                    "owner/absent is not a local folder and is not a valid model identifier\nlisted on the hub"
                )
            net = HubNet(num_labels, pretrained=True).eval()
            heads = {("fc.weight", (10, 5), (num_labels, 5)), ("fc.bias", (10,), (num_labels,))}
            return net, {"missing_keys": answers.fresh, "mismatched_keys": heads if num_labels != 10 else set()}

        @staticmethod
        def from_config(config: Any) -> Any:
            return HubNet(config.num_labels, pretrained=False)

    class AutoConfig:
        @staticmethod
        def from_pretrained(name: str, *, num_labels: int) -> Any:
            return SimpleNamespace(num_labels=num_labels)

    class AutoImageProcessor:
        @staticmethod
        def from_pretrained(name: str) -> Any:
            if answers.processor is None:
                raise OSError("no preprocessor_config.json")
            return SimpleNamespace(**answers.processor)

    module = ModuleType("transformers")
    for kind in (AutoModelForImageClassification, AutoConfig, AutoImageProcessor):
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "transformers", module)
    return answers


def test_a_classifier_of_hugging_face(transformers: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    notes.tell.cache_clear()
    transformers.processor |= {"size": {"height": 224, "width": 200}}
    model = build(Network(name="huggingface:owner/vit"), **DATA)
    assert moments(model) == HALF
    assert preprocessing_of(model.get_submodule("network")) == Preprocessing(*HALF, (224, 200), "its image processor")
    assert isinstance(model.get_submodule("network"), Logits)
    assert all(module.training for module in model.modules()), "from_pretrained returns it in eval mode"
    assert model(torch.rand(2, 3, 16, 16)).shape == (2, 4)
    assert "huggingface:owner/vit gets a new last layer of 4 classes" in capsys.readouterr().err
    named = build(Network(name="huggingface:owner/vit", output="logits"), **DATA)
    assert named(torch.rand(2, 3, 16, 16)).shape == (2, 4), "positions are still interpolated"
    fresh = build(Network(name="huggingface:./folder", options={"pretrained": False}), **DATA)
    assert moments(fresh) == ((0.1,) * 3, (0.9,) * 3)
    bare(fresh).load_state_dict(bare(model).state_dict())


def test_hugging_face_with_other_channels(transformers: SimpleNamespace) -> None:
    data = {"classes": 4, "shape": (5, 16, 16), "mean": [0.1] * 5, "std": [0.9] * 5}
    model = build(Network(name="huggingface:owner/vit"), **data)
    assert model(torch.rand(2, 5, 16, 16)).shape == (2, 4)
    assert bare(model).config.num_channels == 5  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "processor",
    [
        {"image_mean": IMAGENET[0], "image_std": IMAGENET[1]},
        {"image_mean": HALF[0], "image_std": HALF[1], "do_normalize": False},
        {"image_mean": HALF[0], "image_std": HALF[1], "do_rescale": True, "rescale_factor": 1 / 127.5},
        {"image_mean": HALF[0], "image_std": HALF[1], "rescale_factor": 1 / 127.5, "rescale_offset": True},
        {"image_mean": (127.0,) * 3, "image_std": (128.0,) * 3, "do_rescale": False},
        {"image_mean": IMAGENET[0], "image_std": IMAGENET[1], "include_top": True},
    ],
)
def test_an_image_processor_is_followed_step_by_step(transformers: SimpleNamespace, processor: dict[str, Any]) -> None:
    """The reference does what the processors do, one after another, to bytes."""
    transformers.processor = processor
    model = build(Network(name="huggingface:owner/vit"), **DATA)
    pixels = torch.randint(0, 256, (2, 3, 4, 4)).double()
    mean, std = (torch.tensor(processor[name]).double().view(3, 1, 1) for name in ("image_mean", "image_std"))
    expected = pixels
    if processor.get("do_rescale", True):
        expected = expected * processor.get("rescale_factor", 1 / 255)
    if processor.get("rescale_offset"):
        expected = expected - 1
    if processor.get("do_normalize", True):
        expected = (expected - mean) / std
    if processor.get("include_top"):
        expected = expected / std
    torch.testing.assert_close(
        model.get_submodule("normalize")((pixels / 255).float()), expected.float(), rtol=1e-4, atol=1e-5
    )


def test_a_classifier_without_a_processor_is_asked_about(transformers: SimpleNamespace) -> None:
    transformers.processor = None
    with pytest.raises(InputError, match="nothing says how pixels are normalised for the weights of 'huggingface:o/n'"):
        build(Network(name="huggingface:o/n"), **DATA)
    assert moments(build(Network(name="huggingface:o/n", mean=(0.5,), std=(0.5,)), **DATA)) == HALF


def test_weights_that_lack_more_than_a_head_are_refused(transformers: SimpleNamespace) -> None:
    transformers.fresh = {"conv.weight"}
    with pytest.raises(InputError, match="huggingface:owner/vit has no weights that fit conv.weight"):
        build(Network(name="huggingface:owner/vit"), **DATA)
    with pytest.raises(
        InputError, match=r"huggingface cannot make network 'owner/absent' .*: owner/absent is not a local"
    ):
        build(Network(name="huggingface:owner/absent"), **DATA)


def test_transformers_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"transformers cannot be imported .*: install pellucid\[transformers\]"):
        build(Network(name="huggingface:owner/vit"), **DATA)


@pytest.mark.slow
def test_the_real_timm(tmp_path: Path) -> None:
    """The fakes above have the real interface: where timm can be imported, it is asked itself."""
    if importlib.util.find_spec("timm") is None or importlib.util.find_spec("torchvision") is None:
        pytest.skip("NO TIMM: its adapter is tested against a stand-in alone; install pellucid[timm]")
    real = pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))
    data = {"classes": 4, "shape": (1, 64, 64), "mean": [0.1], "std": [0.9]}
    published = real.create_model("resnet18", num_classes=4, in_chans=1)
    torch.save({"state_dict_ema": published.state_dict()}, tmp_path / "checkpoint.pth")
    model = build(Network(name="timm:resnet18", weights=str(tmp_path / "checkpoint.pth")), **data)
    expected = Preprocessing(*IMAGENET, None, "").for_channels(1)
    mean, std = moments(model)
    assert (mean, std) == (pytest.approx(expected.mean), pytest.approx(expected.std))
    x = torch.rand(2, 1, 64, 64)
    shifted = (x - expected.mean[0]) / expected.std[0]
    torch.testing.assert_close(model.eval()(x), published.eval()(shifted))
    transformer = build(Network(name="timm:vit_tiny_patch16_224"), **{**data, "classes": 3})
    assert transformer(x).shape == (2, 3)
