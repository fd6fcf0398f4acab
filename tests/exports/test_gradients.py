"""Derivatives written out as ordinary operations, against automatic differentiation."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn

from pellucid import InputError, VanillaGradient, heatmap
from pellucid.exports.gradients import decompositions
from pellucid.exports.graph import logits_and_map, traced
from pellucid.saliency import as_saliency

TABLE = decompositions()
aten = torch.ops.aten


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(function, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A random direction in the output, and its gradient with respect to the input."""
    x = x.clone().requires_grad_()
    y = function(x)
    grad = normal(*y.shape, seed=1)
    return grad, torch.autograd.grad(y, x, grad)[0]


sizes = st.integers(1, 3)


@settings(max_examples=60)
@given(st.integers(7, 10), st.integers(7, 10), st.integers(1, 4), sizes, st.integers(0, 2), st.integers(1, 2), sizes)
def test_of_a_convolution(height, width, side, stride, padding, dilation, groups) -> None:
    x, weight = normal(2, 2 * groups, height, width), normal(3 * groups, 2, side, side, seed=2)
    steps = [stride, 1], [padding, 0], [dilation, 1]
    grad, expected = gradient(lambda x: F.conv2d(x, weight, None, *steps, groups), x)
    got, of_weight, of_bias = TABLE[aten.convolution_backward.default](
        grad, x, weight, None, *steps, False, [0, 0], groups, [True, False, False]
    )
    torch.testing.assert_close(got, expected)
    assert of_weight is None and of_bias is None


@settings(max_examples=40)
@given(st.integers(5, 9), st.integers(5, 9), st.integers(1, 3), sizes, st.booleans())
def test_of_maximum_pooling(height, width, side, stride, ceil_mode) -> None:
    x = normal(2, 3, height, width)
    arguments = [side, side], [stride, stride], [0, 0], [1, 1], ceil_mode
    _, indices = aten.max_pool2d_with_indices(x, *arguments)
    grad, expected = gradient(lambda x: aten.max_pool2d_with_indices(x, *arguments)[0], x)
    got = TABLE[aten.max_pool2d_with_indices_backward.default](grad, x, *arguments, indices)
    torch.testing.assert_close(got, expected)


@settings(max_examples=40)
@given(st.integers(5, 9), st.integers(5, 9), st.integers(1, 3), sizes, st.booleans())
def test_of_mean_pooling(height, width, side, stride, padded) -> None:
    x, padding = normal(2, 3, height, width), side // 2 if padded else 0
    arguments = [side, side], [stride, stride], [padding, padding], False, True, None
    grad, expected = gradient(lambda x: aten.avg_pool2d(x, *arguments), x)
    torch.testing.assert_close(TABLE[aten.avg_pool2d_backward.default](grad, x, *arguments), expected)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_of_reflection(padding) -> None:
    x = normal(2, 3, 5, 6)
    grad, expected = gradient(lambda x: F.pad(x, padding, "reflect"), x)
    torch.testing.assert_close(TABLE[aten.reflection_pad2d_backward.default](grad, x, padding), expected)


@given(st.lists(st.integers(-2, 3), min_size=4, max_size=6).filter(lambda pad: len(pad) % 2 == 0))
def test_padding_by_joining_is_padding(pad) -> None:
    x = normal(2, 5, 6, 7)
    assert torch.equal(TABLE[aten.constant_pad_nd.default](x, pad, 0.5), F.pad(x, pad, value=0.5))


@pytest.mark.parametrize(("dim", "size"), [(2, 3), (3, 2), (-1, 5)])
def test_of_windows(dim: int, size: int) -> None:
    x = normal(2, 3, 5, 6)
    grad, expected = gradient(lambda x: x.unfold(dim, size, 1), x)
    got = TABLE[aten.unfold_backward.default](grad, list(x.shape), dim, size, 1)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("count", [1, 4, 9])
@pytest.mark.parametrize("keepdim", [True, False])
def test_the_median_by_sorting_is_the_median(count: int, keepdim: bool) -> None:
    x = normal(3, 4, count)
    values, places = TABLE[aten.median.dim](x, -1, keepdim)
    expected = x.median(-1, keepdim=keepdim)
    assert torch.equal(values, expected.values) and torch.equal(places, expected.indices)


class Attention(nn.Module):
    """A transformer of one layer on patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.layer(self.patches(x).flatten(2).mT).mean(1))


@pytest.mark.slow
def test_a_transformers_map_is_traced() -> None:
    network, x = Attention().eval().requires_grad_(False), torch.rand(5, 1, 12, 12)
    logits, drawn = traced(network, x[:3], saliency="vanilla_gradient").module()(x)
    expected = heatmap(VanillaGradient()(network, x, network(x).argmax(1)))
    torch.testing.assert_close(logits, network(x))
    torch.testing.assert_close(drawn, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradcam", "layercam"])
def test_a_class_activation_map_is_traced(name: str) -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
    )
    network, x = network.eval().requires_grad_(False), torch.rand(5, 1, 12, 12)
    logits, drawn = traced(network, x[:3], saliency=name).module()(x)
    torch.testing.assert_close(logits, network(x))
    torch.testing.assert_close(drawn, heatmap(as_saliency(name)(network, x, network(x).argmax(1))))


def test_logits_and_map_are_those_of_the_parts() -> None:
    network, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval(), torch.rand(5, 1, 2, 2)
    logits, drawn = logits_and_map(network, x, "vanilla_gradient")
    assert torch.equal(logits, network(x)) and not logits.requires_grad
    assert torch.equal(drawn, network[1].weight[logits.argmax(1)].abs().view(5, 2, 2))


def test_a_network_that_looks_at_its_numbers_is_refused() -> None:
    class Looking(nn.Module):
        def forward(self, x):
            return x.flatten(1) if x.sum() > 0 else -x.flatten(1)

    with pytest.raises(InputError, match="the network cannot be written as a graph"):
        traced(Looking().eval(), torch.rand(2, 1, 2, 2))
