"""The built-in networks against torchvision's keys and outputs and against formulas written out."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.models import VGG, LeNet5, ResNet, SGTNet, WideResNet
from pellucid.models.lenet import MaxPool2x2

# Keys, shapes and outputs of torchvision's own networks, recorded with `filled` weights.
TORCHVISION = json.loads(Path(__file__).with_name("torchvision.json").read_text())


def filled(network: nn.Module) -> nn.Module:
    """Weights that are the same with every version of PyTorch; in eval mode."""
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64)).view(value.shape)
            scale = key.endswith("running_var") or (value.dim() == 1 and key.endswith("weight"))
            value.copy_(1 + 0.1 * wave if scale else wave * (2 / max(1, value[0].numel())) ** 0.5)
    return network.eval()


def wave_image() -> Tensor:
    return torch.cos(torch.arange(3 * 64 * 64, dtype=torch.float64)).view(1, 3, 64, 64).float()


def shapes(network: nn.Module) -> dict[str, list[int]]:
    return {key: list(value.shape) for key, value in network.state_dict().items()}


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_lenet5_is_bhusals() -> None:
    network = LeNet5(classes=10, shape=(1, 28, 28))
    x = torch.rand(3, 1, 28, 28)
    hidden = F.relu(F.max_pool2d(F.conv2d(x, network.conv1.weight, network.conv1.bias), 2))
    hidden = F.relu(F.max_pool2d(F.conv2d(hidden, network.conv2.weight, network.conv2.bias), 2)).flatten(1)
    for layer in (network.fc1, network.fc2):
        hidden = F.relu(hidden @ layer.weight.T + layer.bias)
    expected = hidden @ network.fc3.weight.T + network.fc3.bias
    torch.testing.assert_close(network(x), expected)
    assert [layer.in_features for layer in (network.fc1, network.fc2, network.fc3)] == [256, 120, 84]
    assert parameters(network) == 44_426
    assert network.pool1(network.conv1(x)).shape == (3, 6, 12, 12)


def test_lenet5_on_colour_images_of_32_pixels() -> None:
    network = LeNet5(classes=7, shape=(3, 32, 32))
    assert network.fc1.in_features == 400
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 31), (28, 40)])
def test_lenet5_counts_the_features_of_any_size(height: int, width: int) -> None:
    assert LeNet5(classes=2, shape=(1, height, width))(torch.rand(1, 1, height, width)).shape == (1, 2)


def test_sgt_network_has_9216_features_and_drops_only_in_training() -> None:
    network = SGTNet(classes=10, shape=(1, 28, 28))
    x = torch.rand(2, 1, 28, 28)
    assert parameters(network) == 1_199_882
    assert network.fc1.in_features == 9216
    assert not torch.equal(network(x), network(x))
    network.eval()
    hidden = F.relu(F.conv2d(x, network.conv1.weight, network.conv1.bias))
    hidden = F.max_pool2d(F.relu(F.conv2d(hidden, network.conv2.weight, network.conv2.bias)), 2).flatten(1)
    torch.testing.assert_close(network(x), network.fc2(F.relu(network.fc1(hidden))))


def test_resnet18_has_torchvisions_keys_and_outputs() -> None:
    network = ResNet(classes=1000, shape=(3, 224, 224), stem="large")
    assert shapes(network) == TORCHVISION["shapes"]["resnet18"]
    assert parameters(network) == 11_689_512
    with torch.no_grad():
        logits = filled(ResNet(classes=5, shape=(3, 64, 64), stem="large"))(wave_image())[0]
    torch.testing.assert_close(logits, torch.tensor(TORCHVISION["resnet18_logits"]), rtol=1e-3, atol=1e-4)


def test_resnet18_small_stem_keeps_the_resolution() -> None:
    network = ResNet(classes=10, shape=(3, 32, 32), width=4)
    stem = network.maxpool(network.relu(network.bn1(network.conv1(torch.rand(2, 3, 32, 32)))))
    assert network.layer1(stem).shape == (2, 4, 32, 32)
    assert network.layer4(network.layer3(network.layer2(stem))).shape == (2, 32, 4, 4)
    with torch.device("meta"):
        assert parameters(ResNet(classes=10, shape=(3, 32, 32))) == 11_173_962
        assert parameters(ResNet(classes=1000, shape=(3, 224, 224), stem="large", blocks=(3, 4, 6, 3))) == 21_797_672


@pytest.mark.parametrize(("name", "count"), [("vgg16", 138_357_544), ("vgg16_bn", 138_365_992)])
def test_vgg16_has_torchvisions_keys_and_outputs(name: str, count: int) -> None:
    batch_norm = name == "vgg16_bn"
    with torch.device("meta"):
        network = VGG(classes=1000, shape=(3, 224, 224), head="large", batch_norm=batch_norm)
    assert shapes(network) == TORCHVISION["shapes"][name]
    assert parameters(network) == count
    with torch.no_grad():
        small = filled(VGG(classes=5, shape=(3, 64, 64), batch_norm=batch_norm))
        features = small.get_submodule("features")(wave_image()).mean((0, 2, 3))
        logits = small(wave_image())
    expected = torch.tensor(TORCHVISION[f"{name}_features"])
    torch.testing.assert_close(features[:5], expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(logits, small.get_submodule("classifier")(features[None]))


def test_vgg16_large_head_reads_any_size() -> None:
    network = VGG(classes=3, shape=(3, 40, 64), head="large", width=1).eval()
    assert network(torch.rand(2, 3, 40, 64)).shape == (2, 3)


def test_wrn_28_10_has_36_million_parameters() -> None:
    with torch.device("meta"):
        network = WideResNet(classes=10, shape=(3, 32, 32))
        assert network.block1(network.conv1(torch.rand(1, 3, 32, 32))).shape == (1, 160, 32, 32)
    assert parameters(network) == 36_479_194
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    assert len(convolutions) + 3 == 28  # the paper counts three shortcuts, or one linear layer, as the rest
    keys = network.state_dict().keys()
    assert {"block1.layer.0.convShortcut.weight", "block3.layer.3.bn2.running_var", "bn1.weight", "fc.bias"} <= keys


def test_wide_resnet_is_pre_activated() -> None:
    network = filled(WideResNet(classes=4, shape=(3, 8, 8), depth=10, width=2))
    state: dict[str, Any] = network.state_dict()

    def norm_relu(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.relu(F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"]))

    image = wave_image()[:, :, :8, :8]
    x = F.conv2d(image, state["conv1.weight"], padding=1)
    for stage, stride in ((1, 1), (2, 2), (3, 2)):
        at = f"block{stage}.layer.0"
        active = norm_relu(x, f"{at}.bn1")
        change = norm_relu(F.conv2d(active, state[f"{at}.conv1.weight"], stride=stride, padding=1), f"{at}.bn2")
        change = F.conv2d(change, state[f"{at}.conv2.weight"], padding=1)
        x = change + F.conv2d(active, state[f"{at}.convShortcut.weight"], stride=stride)
    expected = F.linear(norm_relu(x, "bn1").mean((2, 3)), state["fc.weight"], state["fc.bias"])
    torch.testing.assert_close(network(image), expected)


def test_wide_resnet_drops_between_convolutions() -> None:
    network = WideResNet(classes=4, shape=(3, 8, 8), depth=10, width=1, dropout=0.5)
    assert sum(isinstance(module, nn.Dropout) for module in network.modules()) == 3
    x = torch.rand(2, 3, 8, 8)
    assert not torch.equal(network(x), network(x))


def test_first_weights_are_kaimings_and_vgg_has_small_linear_ones() -> None:
    torch.manual_seed(0)
    networks = [
        ResNet(classes=10, shape=(3, 32, 32), width=16),
        VGG(classes=100, shape=(3, 32, 32), width=16),
        WideResNet(classes=10, shape=(3, 32, 32), depth=10, width=2),
    ]
    for network in networks:
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        for conv in convolutions:
            fan_out = conv.out_channels * conv.kernel_size[0] * conv.kernel_size[1]
            deviations = 1 / (2 * conv.weight.numel()) ** 0.5  # of the estimate of a deviation, relative
            assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=5 * deviations)
            assert conv.bias is None or conv.bias.abs().sum() == 0
    head = networks[1].get_submodule("classifier")
    assert isinstance(head, nn.Linear)
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.03)
    assert head.bias.abs().sum() == 0


@pytest.mark.parametrize(
    "network",
    [
        LeNet5(classes=3, shape=(1, 28, 28)),
        SGTNet(classes=3, shape=(1, 28, 28)),
        ResNet(classes=3, shape=(1, 32, 32), width=2),
        VGG(classes=3, shape=(1, 32, 32), width=2, batch_norm=True),
        WideResNet(classes=3, shape=(1, 32, 32), depth=10, width=1),
    ],
    ids=lambda network: type(network).__name__,
)
def test_no_relu_overwrites_its_input_and_each_is_called_once(network: nn.Module) -> None:
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    calls = []
    for relu in relus:
        assert not relu.inplace
        relu.register_forward_hook(lambda module, _args, _out: calls.append(module))
    size = 28 if isinstance(network, LeNet5 | SGTNet) else 32
    network(torch.rand(2, 1, size, size))
    assert calls.count(calls[0]) == 1
    assert len(calls) == len(relus)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeNet5(classes=10, shape=(1, 15, 28)), "at least 16 × 16 pixels, got 15 × 28"),
        (lambda: SGTNet(classes=10, shape=(1, 5, 5)), "at least 6 × 6 pixels, got 5 × 5"),
        (lambda: VGG(classes=10, shape=(1, 28, 28)), "at least 32 × 32 pixels, got 28 × 28"),
        (lambda: VGG(classes=10, shape=(3, 32, 32), head="tiny"), "small or large, got 'tiny'"),  # type: ignore[arg-type]
        (lambda: VGG(classes=10, shape=(3, 32, 32), width=0), "at least 1, got 0"),
        (lambda: ResNet(classes=10, shape=(3, 32, 32), stem="tiny"), "small or large, got 'tiny'"),  # type: ignore[arg-type]
        (lambda: ResNet(classes=10, shape=(3, 32, 32), width=1.5), "whole number of at least 1, got 1.5"),  # type: ignore[arg-type]
        (lambda: ResNet(classes=10, shape=(3, 32, 32), blocks=(2, 2)), r"four whole numbers .* got \(2, 2\)"),  # type: ignore[arg-type]
        (lambda: WideResNet(classes=10, shape=(3, 32, 32), depth=27), "10, 16, 22, 28, …, got 27"),
        (lambda: WideResNet(classes=10, shape=(3, 32, 32), width=0), "at least 1, got 0"),
        (lambda: WideResNet(classes=10, shape=(3, 32, 32), dropout=1.0), r"in \[0, 1\), got 1.0"),
    ],
)
def test_what_cannot_be_built_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("size", [(24, 24), (25, 7), (2, 2)])
def test_fast_pooling_is_pooling(size):
    torch.manual_seed(0)
    x = torch.randn(3, 4, *size).round()
    with torch.no_grad():
        assert torch.equal(MaxPool2x2()(x), nn.MaxPool2d(2)(x))
    x.requires_grad_()
    ours = torch.autograd.grad(MaxPool2x2()(x).pow(2).sum(), x)[0]
    assert torch.equal(ours, torch.autograd.grad(nn.MaxPool2d(2)(x).pow(2).sum(), x)[0])
