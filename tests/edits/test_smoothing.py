"""The smoothing block: limits, filters against scipy and loops, and surgery on every network."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.edits.filters import gaussian_kernel
from pellucid.edits.smoothing import (
    Smoothed,
    Smoothing,
    SmoothingBlock,
    insert_smoothing,
    smooth,
    smoothed_layers,
    smoothing_words,
)
from pellucid.models import Network, build

from .conftest import FILTERS, LOCAL, block, maps


def lenet(**network: Any) -> nn.Module:
    torch.manual_seed(0)
    return build(Network(name="lenet5", **network), classes=10, shape=(1, 28, 28), mean=[0.3], std=[0.4])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"filter": "bilateral"}, "one of gaussian, mean, median, non-local, none, got 'bilateral'"),
        ({"filter": None}, "got None"),
        ({"kernel_size": 4}, "3, 5, 7, …, got 4"),
        ({"kernel_size": 1}, "3, 5, 7, …, got 1"),
        ({"kernel_size": 3.0}, "3, 5, 7, …, got 3.0"),
        ({"sigma": 0.0}, "positive number or feature-map, got 0.0"),
        ({"sigma": float("nan")}, "positive number or feature-map, got nan"),
        ({"sigma": "kernel"}, "positive number or feature-map, got 'kernel'"),
        ({"init": "ones"}, "default or zero, got 'ones'"),
        ({"layers": ()}, r"tuple of one name or more, got \(\)"),
        ({"layers": "pool1"}, "tuple of one name or more, got 'pool1'"),
    ],
)
def test_a_choice_outside_what_is_accepted_is_refused(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Smoothing(**{"layers": ("pool1",), **choice})
    if "layers" not in choice:
        with pytest.raises(InputError, match=message):
            SmoothingBlock((1, 8, 8), **choice)


@pytest.mark.parametrize("filter", LOCAL)
def test_a_map_too_small_to_be_reflected_is_refused(filter: Any) -> None:
    assert SmoothingBlock((1, 2, 2), filter=filter)(maps(1, 1, 2, 2)).shape == (1, 1, 2, 2)
    with pytest.raises(InputError, match="larger than 1 pixels, got 1 × 9"):
        SmoothingBlock((1, 1, 9), filter=filter)
    assert SmoothingBlock((1, 1, 9), filter="non-local")(maps(1, 1, 1, 9)).shape == (1, 1, 1, 9)


# Surgery


def test_the_named_layer_is_smoothed_and_the_given_model_is_not() -> None:
    model = lenet()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = torch.rand(2, 1, 28, 28)
    smoothed = insert_smoothing(model, ["pool1"], example=x)
    net = smoothed.get_submodule("network")
    pool = net.get_submodule("pool1")
    assert isinstance(pool, Smoothed)
    assert isinstance(pool.layer, nn.MaxPool2d)
    hidden = pool.smoothing(pool.layer(net.conv1((x - 0.3) / 0.4)))  # type: ignore[operator]
    hidden = net.relu2(net.pool2(net.conv2(net.relu1(hidden)))).flatten(1)  # type: ignore[operator]
    logits = net.fc3(net.relu4(net.fc2(net.relu3(net.fc1(hidden)))))  # type: ignore[operator]
    torch.testing.assert_close(smoothed(x), logits)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(parameter is other for parameter in smoothed.parameters() for other in model.parameters())


@pytest.mark.parametrize("filter", FILTERS)
def test_after_lenets_first_relu_it_is_the_authors_network(filter: Any) -> None:
    """Bhusal et al.'s forward: convolution, ReLU, pooling, block, with nothing between the block and the next one."""
    x = torch.rand(4, 1, 28, 28)
    torch.manual_seed(1)
    ours = insert_smoothing(lenet(), "relu1", filter=filter, example=x)
    state = {key.removeprefix("network."): value for key, value in ours.state_dict().items()}
    block = SmoothingBlock((6, 12, 12), filter=filter)
    block.load_state_dict(
        {key.partition("smoothing.")[2]: value for key, value in state.items() if "smoothing." in key}
    )
    hidden = nn.functional.conv2d((x - 0.3) / 0.4, state["conv1.weight"], state["conv1.bias"])
    hidden = block(nn.functional.max_pool2d(nn.functional.relu(hidden), 2))
    hidden = nn.functional.conv2d(hidden, state["conv2.weight"], state["conv2.bias"])
    hidden = nn.functional.max_pool2d(nn.functional.relu(hidden), 2).flatten(1)
    for layer in ("fc1", "fc2"):
        hidden = nn.functional.relu(nn.functional.linear(hidden, state[f"{layer}.weight"], state[f"{layer}.bias"]))
    authors = nn.functional.linear(hidden, state["fc3.weight"], state["fc3.bias"])
    assert (ours(x) - authors).abs().max() < 1e-6
    # After the pooling, as until pellucid 0.1, the block's output went through the ReLU: a network of its own, which
    # has the same weights under other names and can still be built and loaded.
    before = insert_smoothing(lenet(), "pool1", filter=filter, example=x)
    before.load_state_dict({key.replace("relu1.", "pool1."): value for key, value in ours.state_dict().items()})
    assert (before(x) - authors).abs().max() > 1e-4


def test_zero_weights_leave_the_logits_as_they_were() -> None:
    model, x = lenet(), torch.rand(2, 1, 28, 28)
    smoothed = smooth(model, Smoothing(layers=("pool1", "pool2"), filter="non-local", init="zero"), example=x)
    assert torch.equal(smoothed(x), model(x))


def test_every_choice_reaches_the_block() -> None:
    choice = Smoothing(layers=("pool1",), kernel_size=5, sigma="feature-map", init="zero")
    smoothed = smooth(lenet(), choice, example=torch.rand(1, 1, 28, 28)).get_submodule("network.pool1.smoothing")
    assert isinstance(smoothed, SmoothingBlock)
    line = gaussian_kernel(5, sigma=2.15)
    torch.testing.assert_close(smoothed.filter.down, line)
    torch.testing.assert_close(smoothed.filter.across, line)
    assert smoothed.mix.weight.abs().sum() == 0


def narrow_resnet() -> nn.Module:
    torch.manual_seed(0)
    options = {"width": 4}
    choice = Network(name="resnet18", options=options)
    return build(choice, classes=3, shape=(3, 16, 16), mean=[0.5] * 3, std=[0.2] * 3)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("layer1", ["layer1"]),
        ("network.layer1", ["layer1"]),
        (["layer?"], ["layer1", "layer2", "layer3", "layer4"]),
        (["network.layer*"], ["layer1", "layer2", "layer3", "layer4"]),
        (["layer2.*", "layer2", "layer2.0"], ["layer2", "layer2.0", "layer2.1"]),
        (["layer[12].0.conv1"], ["layer1.0.conv1", "layer2.0.conv1"]),
        (["layer2.0.downsample.0", "bn1"], ["bn1", "layer2.0.downsample.0"]),
    ],
)
def test_names_and_patterns(names: Any, expected: list[str]) -> None:
    x = torch.rand(2, 3, 16, 16)
    smoothed = insert_smoothing(narrow_resnet(), names, filter="mean", init="zero", example=x).eval()
    found = [name for name, module in smoothed.named_modules() if isinstance(module, Smoothed)]
    assert sorted(name.removeprefix("network.").replace(".layer.", ".") for name in found) == expected
    torch.testing.assert_close(smoothed(x), narrow_resnet().eval()(x))


def test_channels_follow_the_feature_map_not_the_layer() -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.PixelUnshuffle(2))
    smoothed = insert_smoothing(model, ["1", "2"], example=torch.rand(1, 3, 8, 8))
    assert [smoothed.get_submodule(f"{i}.smoothing.mix").out_channels for i in (1, 2)] == [5, 20]


def test_modes_statistics_and_random_state_are_untouched() -> None:
    model = narrow_resnet()
    frozen = model.get_submodule("network.layer1.0.bn1").eval()
    torch.manual_seed(5)
    SmoothingBlock((4, 16, 16))
    after = torch.rand(1)
    torch.manual_seed(5)
    smoothed = insert_smoothing(model, "layer1", example=torch.rand(4, 3, 16, 16, generator=torch.Generator()))
    assert torch.equal(torch.rand(1), after)
    for network in (model, smoothed):
        asleep = [name for name, module in network.named_modules() if not module.training]
        assert [name.replace("layer1.layer", "layer1") for name in asleep] == ["network.layer1.0.bn1"]
        counters = [value for key, value in network.state_dict().items() if "num_batches" in key]
        assert all(counter == 0 for counter in counters)
        assert not any(module._forward_hooks for module in network.modules())
    assert not frozen.training
    evaluated = insert_smoothing(model.eval(), "layer1", example=torch.rand(1, 3, 16, 16))
    assert not any(module.training for module in evaluated.modules())


class Noisy(nn.Module):
    """Adds noise in eval mode too."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


def test_a_layer_that_draws_does_not_move_the_new_weights() -> None:
    x = torch.rand(1, 2, 4, 4)
    blocks = []
    for first in (Noisy(), nn.Identity()):
        torch.manual_seed(0)
        blocks.append(insert_smoothing(nn.Sequential(first), "0", example=x).get_parameter("0.smoothing.mix.weight"))
    assert torch.equal(*blocks)


class Tied(nn.Module):
    """One layer used twice, under two names, and one that is never used."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, stride=stride)
        self.again = self.conv
        self.spare = nn.Conv2d(2, 2, 1)
        self.fc = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.again(self.conv(self.conv(x))).flatten(1))
        return out


def test_a_layer_used_several_times_is_smoothed_each_time() -> None:
    model, x = Tied(), torch.rand(2, 2, 6, 6)
    model(x)
    smoothed = insert_smoothing(model, ["conv"], example=x)
    conv, block = smoothed.conv.layer, smoothed.conv.smoothing  # type: ignore[union-attr]
    hidden = conv(block(conv(block(conv(x)))))  # type: ignore[operator]
    torch.testing.assert_close(smoothed(x), smoothed.fc(hidden.flatten(1)))  # type: ignore[operator]
    both = insert_smoothing(model, ["conv", "again"], example=x)
    assert both.conv.layer is both.again.layer  # type: ignore[union-attr]
    assert both.conv.smoothing is not both.again.smoothing  # type: ignore[union-attr]


def test_a_layer_whose_maps_differ_or_that_is_unused_is_refused() -> None:
    model, x = Tied(stride=2), torch.rand(2, 2, 16, 16)
    model(x)
    with pytest.raises(InputError, match=r"'conv' .* different shapes \(2, 2, 2, 2\) and \(2, 2, 4, 4\) and"):
        insert_smoothing(model, "conv", example=x)
    with pytest.raises(InputError, match="'spare' cannot be smoothed: the network does not use it"):
        insert_smoothing(model, "spare", example=x)


class Transformer(nn.Module):
    """Tokens (n, t, c) inside, and a layer that returns a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.pool = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        out: Tensor = self.pool(self.norm(self.attention(tokens, tokens, tokens)[0]).mean(1))
        return out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pool", r"'pool' .* over the image, are needed, it gives \(2, 8\)"),
        ("attention", "'attention' .* it gives tuple"),
        ("pach", "no layer 'pach' to smooth, did you mean patch. top layers are patch, attention, norm, pool"),
        ("zzzz", "no layer 'zzzz' to smooth; top layers are patch, attention, norm, pool"),
        ("attention*zzzz", "no layer 'attention.zzzz' to smooth"),
        ("", "no layer '' to smooth"),
    ],
)
def test_what_has_no_feature_maps_is_refused(name: str, message: str) -> None:
    x = torch.rand(2, 3, 16, 16)
    assert insert_smoothing(Transformer(), "patch", example=x)(x).shape == (2, 8)
    with pytest.raises(InputError, match=message):
        insert_smoothing(Transformer(), name, example=x)
    with pytest.raises(InputError, match=message):
        insert_smoothing(Transformer(), ["patch", name], example=x)


class Prefixed(nn.Module):
    """A class token before 3 × 4 patches of an image of 6 × 8; blocks that give tokens, or maps with channels last."""

    def __init__(self, *, last: bool = False) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 4, 2, stride=2)
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.block, self.norm, self.last = nn.Linear(4, 4), nn.LayerNorm(4), last

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch(x).permute(0, 2, 3, 1)
        tokens = patches if self.last else torch.cat([self.token.expand(len(x), 1, 4), patches.flatten(1, 2)], 1)
        out: Tensor = self.norm(self.block(tokens)).flatten(1)
        return out


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_are_smoothed_as_the_map_that_they_make(filter: Any, prefix: int) -> None:
    usual = block(filter, (4, 3, 5))
    tokens, last = (
        block(filter, (4, 3, 5), layout="tokens", prefix=prefix),
        block(filter, (4, 3, 5), layout="channels last"),
    )
    x, front = maps(2, 4, 3, 5), maps(2, prefix, 4)
    expected = usual(x)
    got = tokens(torch.cat([front, x.flatten(2).transpose(1, 2)], 1))
    assert torch.equal(got[:, :prefix], front), "what has no place passes unchanged"
    torch.testing.assert_close(got[:, prefix:].transpose(1, 2).reshape(2, 4, 3, 5), expected)
    torch.testing.assert_close(last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), expected)


@pytest.mark.parametrize(
    ("last", "name", "read"),
    [
        (False, "block", "4 × 3 × 4, tokens after 1 without a place"),
        (False, "norm", "4 × 3 × 4, tokens after 1 without a place"),
        (False, "patch", "4 × 3 × 4"),
        (True, "block", "4 × 3 × 4, channels last"),
        (True, "norm", "4 × 3 × 4, channels last"),
    ],
)
def test_layers_of_every_layout_are_matched_and_told(last: bool, name: str, read: str) -> None:
    torch.manual_seed(0)
    model, x = Prefixed(last=last), torch.rand(2, 3, 6, 8)
    same = insert_smoothing(model, name, init="zero", example=x[:1])
    assert torch.equal(same(x), model(x))
    assert {name: str(grid) for name, grid in smoothed_layers(same).items()} == {name: read}
    assert read in repr(same.get_submodule(f"{name}.smoothing"))
    torch.manual_seed(1)
    other = insert_smoothing(model, name, example=x[:1])
    assert not torch.equal(other(x), model(x))
    torch.autograd.backward(other(x).square().sum())
    weight = other.get_parameter(f"{name}.smoothing.mix.weight").grad
    assert weight is not None and weight.abs().sum() > 0


def test_the_layers_that_a_pattern_matched_are_told() -> None:
    smoothed = insert_smoothing(narrow_resnet(), ["layer?", "layer2.*"], example=torch.rand(1, 3, 16, 16))
    assert {name: str(grid) for name, grid in smoothed_layers(smoothed).items()} == {
        "layer1": "4 × 16 × 16",
        "layer2": "8 × 8 × 8",
        "layer2.0": "8 × 8 × 8",
        "layer2.1": "8 × 8 × 8",
        "layer3": "16 × 4 × 4",
        "layer4": "32 × 2 × 2",
    }
    assert smoothed_layers(narrow_resnet()) == {}
    said = "smoothing after layer1 (4 × 16 × 16), layer2 (8 × 8 × 8) and 4 more"
    assert smoothing_words(smoothed, most=2) == said


def test_the_error_lists_the_layers_of_a_built_network_without_prefix() -> None:
    with pytest.raises(InputError, match=r"no layer 'pool3' to smooth, did you mean pool2 or pool1\? .* conv1, pool1"):
        insert_smoothing(lenet(), "pool3", example=torch.rand(1, 1, 28, 28))


@pytest.mark.parametrize("filter", FILTERS)
def test_checkpoints_round_trip(tmp_path: Path, filter: Any) -> None:
    choice = Smoothing(layers=("pool1",), filter=filter)
    x = torch.rand(2, 1, 28, 28)
    torch.manual_seed(3)
    smoothed = smooth(lenet(), choice, example=x)
    save_file(smoothed.state_dict(), tmp_path / "model.safetensors")
    torch.manual_seed(4)
    other = smooth(lenet(), choice, example=x[:1])
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(other(x), smoothed(x))
    torch.testing.assert_close(copy.deepcopy(other)(x), smoothed(x))


def test_a_second_insertion_smooths_the_smoothed() -> None:
    x = torch.rand(1, 1, 28, 28)
    twice = insert_smoothing(insert_smoothing(lenet(), "pool1", example=x), "pool1", filter="median", example=x)
    assert isinstance(twice.get_submodule("network.pool1.layer.smoothing"), SmoothingBlock)
    assert twice(x).shape == (1, 10)


def test_the_block_has_the_models_dtype() -> None:
    x = torch.rand(1, 1, 28, 28, dtype=torch.float64)
    smoothed = insert_smoothing(lenet().double(), "pool1", filter="gaussian", example=x)
    assert smoothed(x).dtype == torch.float64


NETWORKS: list[tuple[str, dict[str, Any], str, int]] = [
    ("lenet5", {}, "relu1", 28),
    ("sgt-mnist", {}, "relu2", 16),
    ("resnet18", {"width": 4}, "layer1", 16),
    ("resnet18-224", {"width": 4}, "layer?", 64),
    ("vgg16", {"width": 2}, "features.4", 32),
    ("vgg16-bn", {"width": 2}, "features.6", 32),
    ("wrn28-10", {"depth": 10, "width": 1}, "block1", 16),
    ("torch.nn:Sequential", {}, "0", 16),
]


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("name", "options", "layer", "size"), NETWORKS, ids=lambda value: str(value))
def test_every_filter_trains_a_step_in_every_network(
    name: str, options: dict[str, Any], layer: str, size: int, filter: Any
) -> None:
    torch.manual_seed(0)
    made: Callable[[], nn.Module]
    if name == "torch.nn:Sequential":
        made = lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    else:
        network = Network(name=name, options=options)
        made = lambda: build(network, classes=5, shape=(3, size, size), mean=[0.5] * 3, std=[0.2] * 3)
    x = torch.rand(2, 3, size, size)
    model = insert_smoothing(made(), layer, filter=filter, example=x[:1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = {key: parameter.detach().clone() for key, parameter in model.named_parameters()}
    torch.autograd.backward(nn.functional.cross_entropy(model(x), torch.tensor([0, 3])))
    optimizer.step()
    mixes = [key for key in before if key.endswith("smoothing.mix.weight")]
    assert len(mixes) == (4 if layer == "layer?" else 1)
    assert all(not torch.equal(before[key], model.get_parameter(key)) for key in mixes)
    assert bool(torch.isfinite(model(x)).all())
