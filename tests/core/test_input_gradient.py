import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn

from pellucid.core.input_gradient import image_gradients, input_gradient


def plain(objective, x):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(objective(x).sum(), x)
    return gradient


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "padding", "bias"),
    [
        (1, 5, 1, 0, True),
        (3, 3, 1, 1, False),
        (3, 7, 2, 3, False),
        (4, 3, 2, 0, True),
        (1, (3, 5), (1, 2), (0, 2), True),
    ],
)
def test_equals_autograd(channels, kernel, stride, padding, bias):
    torch.manual_seed(0)
    conv = nn.Conv2d(channels, 6, kernel, stride, padding, bias=bias)
    x = torch.rand(4, channels, 15, 17)
    objective = lambda x: conv(x).relu().pow(2).sum((1, 2, 3))
    gradient, value = input_gradient(objective, x)
    torch.testing.assert_close(gradient, plain(objective, x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(value, objective(x).detach())


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 6, 3, padding="same"),
        nn.Conv2d(3, 6, 3, dilation=2),
        nn.Conv2d(3, 6, 3, groups=3),
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"),
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3)),
    ],
)
def test_other_convolutions_are_left_to_torch(layer):
    torch.manual_seed(1)
    x = torch.rand(2, 3, 9, 9)
    objective = lambda x: layer(x).pow(3).mean((1, 2, 3))
    torch.testing.assert_close(input_gradient(objective, x)[0], plain(objective, x), rtol=1e-4, atol=1e-6)


def test_double_precision_is_autograd_itself():
    torch.manual_seed(2)
    conv = nn.Conv2d(1, 4, 3).double()
    x = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    objective = lambda x: conv(x).pow(2).sum((1, 2, 3))
    assert torch.equal(input_gradient(objective, x)[0], plain(objective, x))


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_off(context):
    conv = nn.Conv2d(1, 2, 3)
    with context():
        x = torch.rand(2, 1, 6, 6)
        gradient, _ = input_gradient(lambda x: conv(x).sum((1, 2, 3)), x)
    assert not gradient.is_inference()
    torch.testing.assert_close(gradient, plain(lambda x: conv(x).sum((1, 2, 3)), torch.rand(2, 1, 6, 6)))


def test_leaves_no_trace():
    conv = nn.Conv2d(1, 2, 3)
    x = torch.rand(2, 1, 6, 6)
    before = x.clone()
    input_gradient(lambda x: conv(x).sum((1, 2, 3)), x)
    assert conv.weight.grad is None
    assert not x.requires_grad
    assert torch.equal(x, before)


def test_create_graph_reaches_weights_and_image():
    torch.manual_seed(3)
    conv = nn.Conv2d(1, 2, 3).double()
    x = torch.rand(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)

    def squared_gradient(x):
        gradient, _ = input_gradient(lambda x: conv(x).pow(2).sum((1, 2, 3)), x, create_graph=True)
        return gradient.pow(2).sum()

    squared_gradient(x).backward()
    assert conv.weight.grad is not None and conv.weight.grad.abs().sum() > 0
    assert torch.autograd.gradcheck(squared_gradient, x)


def test_autocast_is_respected():
    conv = nn.Conv2d(1, 2, 3)
    x = torch.rand(2, 1, 6, 6)
    seen = []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        input_gradient(lambda x: (seen.append(conv(x)), seen[-1].float().sum((1, 2, 3)))[1], x)
    assert seen[0].dtype == torch.bfloat16


def test_functional_and_keyword_calls():
    weight = torch.rand(2, 1, 3, 3)
    x = torch.rand(1, 1, 6, 6)
    for objective in (
        lambda x: F.conv2d(x, weight).sum((1, 2, 3)),
        lambda x: torch.conv2d(input=x, weight=weight, bias=None, stride=(1, 1), padding=1).sum((1, 2, 3)),
    ):
        torch.testing.assert_close(input_gradient(objective, x)[0], plain(objective, x))


ONE_OR_TWO = st.sampled_from([1, 2, (1,), [2], (2, 1), [1, 2], torch.Size([2, 2])])


@settings(max_examples=60, deadline=None)
@given(
    ONE_OR_TWO, st.one_of(ONE_OR_TWO, st.sampled_from([0, [0], "same", "valid"])), ONE_OR_TWO, st.sampled_from([1, 3])
)
def test_whatever_torch_takes_for_stride_padding_and_dilation(stride, padding, dilation, groups):
    torch.manual_seed(4)
    weight, x = torch.rand(6, 3 // groups, 3, 3), torch.rand(2, 3, 9, 8)
    given_as = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    objective = lambda x: F.conv2d(x, weight, **given_as).pow(2).sum((1, 2, 3))
    try:
        expected = plain(objective, x)
    except RuntimeError as error:
        with pytest.raises(RuntimeError, match=re.escape(str(error).partition("\n")[0])):
            input_gradient(objective, x)
        return
    torch.testing.assert_close(input_gradient(objective, x)[0], expected, rtol=1e-4, atol=1e-5)
    with image_gradients():
        torch.testing.assert_close(plain(objective, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inplace", [False, True])
def test_hardsigmoid_can_be_differentiated_twice(inplace):
    x = torch.linspace(-3.9, 3.9, 8, dtype=torch.float64).view(1, 1, 2, 4)
    layer = nn.Hardsigmoid(inplace)
    cubed = lambda x: layer(2 * x).pow(3).sum((1, 2, 3))
    gradient, value = input_gradient(cubed, x.clone().requires_grad_(), create_graph=True)
    once, values = input_gradient(cubed, x)
    torch.testing.assert_close((gradient, value), (once, values))
    inside = x.abs() < 1.5
    expected = torch.where(inside, 6 * (2 * x + 3) / 6 / 9, 0)  # of ((2 x + 3) / 6)³
    again = lambda x: input_gradient(cubed, x, create_graph=True)[0].sum((1, 2, 3))
    torch.testing.assert_close(plain(again, x), expected)


def penalised(network, x):
    """A loss that holds an input gradient, and that gradient."""
    out = network(x)
    (gradient,) = torch.autograd.grad(out.pow(2).sum(), x, create_graph=True)
    return out.mean() + gradient.abs().sum() + (gradient**3).sum(), gradient


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "padding", "bias"),
    [
        (1, 5, 1, 0, True),
        (3, 3, 1, 1, False),
        (3, 7, 2, 3, False),
        (4, 3, 2, 0, True),
        (1, (3, 5), (1, 2), (0, 2), True),
        (6, 3, 1, 1, True),
    ],
)
def test_a_loss_of_image_gradients_equals_autograd(channels, kernel, stride, padding, bias, memory):
    torch.manual_seed(0)
    first = nn.Conv2d(channels, 6, kernel, stride, padding, bias=bias)
    network = nn.Sequential(first, nn.Softplus(), nn.Conv2d(6, 3, 3)).to(memory_format=memory)
    images = torch.rand(4, channels, 15, 17).contiguous(memory_format=memory)
    weights = list(network.parameters())
    x = images.clone().requires_grad_()
    loss, gradient = penalised(network, x)
    expected = torch.autograd.grad(loss, weights)
    with image_gradients():
        x = images.clone().requires_grad_()
        ours, ours_gradient = penalised(network, x)
        (of_first,) = torch.autograd.grad(ours, weights[0], retain_graph=True)
    torch.testing.assert_close(of_first, expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours_gradient, gradient, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours, loss)
    ours.backward()
    for weight, slope in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.grad, slope, rtol=1e-4, atol=1e-4)
    assert x.grad is None or channels == 6, "nothing is computed for images after the block"


class Excitation(nn.Module):
    """A squeeze-and-excitation block, whose inner convolutions have as few channels as an image."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(6, 4, 1), nn.Conv2d(4, 6, 1)

    def forward(self, x):
        return x * self.up(nn.functional.silu(self.down(x.mean((2, 3), keepdim=True)))).sigmoid()


@pytest.mark.parametrize(
    "layers",
    [
        lambda: (nn.Conv2d(3, 3, 1), nn.Softplus(), nn.Conv2d(3, 6, 3)),
        lambda: (nn.Conv2d(3, 6, 3), Excitation(), nn.Softplus(), nn.Conv2d(6, 3, 3)),
        lambda: (nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3)),
        lambda: (nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Conv2d(4, 4, 3), nn.Softplus(), nn.Conv2d(4, 4, 3)),
    ],
    ids=["one by one", "excitation", "norm", "narrow"],
)
@pytest.mark.parametrize("scaled", [False, True])
def test_weights_before_a_narrow_convolution_get_their_gradient(layers, scaled):
    torch.manual_seed(0)
    network = nn.Sequential(*layers())
    weights, images = list(network.parameters()), torch.rand(4, 3, 12, 12)
    whole = (lambda x: network((x - 0.5) / torch.tensor([[[0.2]], [[0.3]], [[0.4]]]))) if scaled else network
    loss, _ = penalised(whole, images.clone().requires_grad_())
    expected = torch.autograd.grad(loss, weights)
    with image_gradients():
        ours, _ = penalised(whole, images.clone().requires_grad_())
    for mine, slope in zip(torch.autograd.grad(ours, weights), expected, strict=True):
        torch.testing.assert_close(mine, slope, rtol=1e-3, atol=1e-3 * slope.abs().max().item())


def test_an_image_that_is_learned_gets_its_gradient():
    image, convolution = nn.Parameter(torch.rand(1, 3, 6, 6)), nn.Conv2d(3, 2, 3)
    with image_gradients():
        loss, _ = penalised(convolution, image)
    loss.backward()
    assert image.grad is not None


def test_image_gradients_end_when_the_block_fails():
    conv = nn.Conv2d(1, 2, 3)
    x = torch.rand(1, 1, 6, 6, requires_grad=True)
    kept = None

    def fail():
        nonlocal kept
        with image_gradients():
            kept = conv(x)
            raise ValueError("a user's")

    with pytest.raises(ValueError, match="a user's"):
        fail()
    kept.sum().backward()
    assert x.grad is None and conv.weight.grad is not None
    conv(x).sum().backward()
    assert x.grad is not None
