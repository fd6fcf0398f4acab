"""Smooth functions in the place of ReLU: against their integrals, and in every kind of network."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from scipy import integrate, special, stats
from torch import Tensor, nn

from pellucid import Activation, InputError, insert_smoothing, swap_activations
from pellucid.edits.activation import FUNCTIONS, SmoothActivation
from pellucid.models import Network, build

NAMES = ["softplus", "silu", "gelu", "smooth_relu"]
LINE = torch.linspace(-4, 4, 401, dtype=torch.float64)


def curve(name: Any, beta: float, x: Tensor = LINE) -> Tensor:
    return SmoothActivation(Activation(name=name, beta=beta))(x)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 4, 4)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, activation=nn.ReLU(), batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.conv(x).flatten(2).transpose(1, 2)).mean(1)


@pytest.mark.parametrize("edit", ["swap", "linear2", "dropout2"])
def test_a_transformer_gives_the_same_with_and_without_gradients(edit: str) -> None:
    """PyTorch's fused layer reads the weights and not the parts that were put in."""
    torch.manual_seed(0)
    x, network = torch.rand(3, 1, 12, 12), Encoder().eval()
    if edit == "swap":
        edited = swap_activations(network, Activation(beta=1.0), example=x)
    else:
        edited = insert_smoothing(network, f"layer.{edit}", filter="gaussian", init="default", example=x)
    with torch.no_grad():
        without, plain = edited(x), network(x)
    torch.testing.assert_close(without, edited(x.requires_grad_()).detach())
    assert (without - plain).abs().max() > 1e-3
    assert network.layer.activation_relu_or_gelu == 1


@pytest.mark.parametrize("beta", [0.5, 1, 3, 8.0])
def test_values_are_those_of_scipy(beta: float) -> None:
    x = LINE.numpy()
    expected = {
        "softplus": np.logaddexp(0, beta * x) / beta,
        "silu": x * special.expit(beta * x),
        "gelu": x * stats.norm.cdf(beta * x),
        "smooth_relu": x * stats.norm.cdf(beta * x) + stats.norm.pdf(beta * x) / beta,
    }
    assert sorted(expected) == sorted(NAMES) == sorted(FUNCTIONS)
    for name, values in expected.items():
        np.testing.assert_allclose(curve(name, beta).numpy(), values, atol=1e-9)


@pytest.mark.parametrize("x", [-1.0, -0.1, 0.0, 0.3, 2.0])
@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_smooth_relu_is_relu_convolved_with_a_gaussian(x: float, beta: float) -> None:
    density = stats.norm(scale=1 / beta).pdf
    mean, _ = integrate.quad(lambda z: max(0.0, x + z) * density(z), -10 / beta, 10 / beta, points=[-x], limit=200)
    assert curve("smooth_relu", beta, torch.tensor([x], dtype=torch.float64)).item() == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_sharp_one_is_relu_and_a_large_input_too(name: str) -> None:
    assert (curve(name, 1000.0) - F.relu(LINE)).abs().max() < 1e-3
    far = torch.tensor([-60.0, 60.0])
    torch.testing.assert_close(curve(name, 1.0, far), F.relu(far))
    assert (curve(name, 1.0) - F.relu(LINE)).abs().max() > 0.1


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(beta=st.floats(0.1, 50), x=st.floats(-5, 5))
def test_beta_stretches_the_curve(name: str, beta: float, x: float) -> None:
    one = torch.tensor([x], dtype=torch.float64)
    torch.testing.assert_close(curve(name, beta, one), curve(name, 1.0, beta * one) / beta)


@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivatives_are_smooth(name: str) -> None:
    x = torch.linspace(-1, 1, 41, dtype=torch.float64, requires_grad=True)
    function = SmoothActivation(Activation(name=name, beta=3))  # type: ignore[arg-type]
    assert torch.autograd.gradcheck(function, x) and torch.autograd.gradgradcheck(function, x)
    (slope,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x)
    assert bend.abs().max() > 0.5  # ReLU's is 0
    assert slope.min() >= 0 or name in ("silu", "gelu")
    if name == "smooth_relu":
        np.testing.assert_allclose(slope.detach().numpy(), stats.norm.cdf(3 * x.detach().numpy()), atol=1e-9)


NETWORKS: list[tuple[str, dict[str, Any], tuple[int, int, int], int]] = [
    ("lenet5", {}, (1, 28, 28), 4),
    ("sgt-mnist", {}, (1, 16, 16), 3),
    ("resnet18", {"width": 4}, (3, 16, 16), 17),
    ("resnet18-224", {"width": 4}, (3, 64, 64), 17),
    ("vgg16", {"width": 2}, (3, 32, 32), 13),
    ("vgg16-bn", {"width": 2}, (3, 32, 32), 13),
    ("wrn28-10", {"depth": 10, "width": 1}, (3, 16, 16), 7),
]


@pytest.mark.parametrize(("name", "options", "shape", "relus"), NETWORKS, ids=[name for name, *_ in NETWORKS])
def test_every_built_in_network_is_swapped_whole(
    name: str, options: dict[str, Any], shape: tuple[int, int, int], relus: int
) -> None:
    torch.manual_seed(0)
    grey = [0.5] * shape[0]
    model = build(Network(name=name, options=options), classes=3, shape=shape, mean=grey, std=grey).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = torch.rand(2, *shape)
    smooth = swap_activations(model, Activation(beta=2), example=x)
    assert sum(isinstance(module, SmoothActivation) for module in smooth.modules()) == relus
    assert sum(isinstance(module, nn.ReLU) for module in model.modules()) == relus
    assert not any(isinstance(module, nn.ReLU) for module in smooth.modules())
    assert list(smooth.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(one is other for one in smooth.parameters() for other in model.parameters())
    sharp = swap_activations(model, Activation(beta=1e5))
    torch.testing.assert_close(sharp(x), model(x), atol=1e-3, rtol=1e-3)
    assert (smooth(x) - model(x)).abs().max() > 1e-3
    x.requires_grad_()
    (slope,) = torch.autograd.grad(smooth(x)[:, 0].sum(), x, create_graph=True)
    slope.pow(2).sum().backward()
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in smooth.parameters())


def test_shared_inplace_and_smoothed_relus() -> None:
    relu = nn.ReLU(inplace=True)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), relu, nn.Sequential(nn.Conv2d(2, 2, 3), relu), nn.ReLU6(), nn.ReLU())
    model[4].eval()
    smooth = swap_activations(model, Activation(name="silu", beta=1))
    assert smooth[1] is smooth[2][1] and smooth[1] is not smooth[4]
    at = torch.linspace(-9, 15, 49)
    sharp = swap_activations(model, Activation(beta=1e4))
    torch.testing.assert_close(sharp[3](at), F.relu6(at), atol=1e-3, rtol=0)
    torch.testing.assert_close(smooth[3](at), F.silu(at) - F.silu(at - 6))
    assert repr(smooth[3]) == "SmoothActivation(silu, beta=1, ceiling=6)"
    assert smooth[1].training and not smooth[4].training
    x = torch.randn(1, 2, 6, 6, requires_grad=True)
    kept = x.detach().clone()
    smooth[1](x).sum().backward()
    assert torch.equal(x, kept)
    assert isinstance(swap_activations(nn.ReLU(), Activation()), SmoothActivation)
    # Before or after the smoothing block is put in, it is the same network.
    image = torch.rand(2, 1, 9, 9)
    torch.manual_seed(0)
    smoothed = insert_smoothing(model, "4", example=image)
    torch.manual_seed(0)
    other = insert_smoothing(smooth, "4", example=image)
    assert torch.equal(swap_activations(smoothed, Activation(name="silu", beta=1))(image), other(image))


def test_no_random_number_is_drawn_and_the_model_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout())
    before, example = copy.deepcopy(model.state_dict()), torch.rand(2, 1, 8, 8)
    state = torch.get_rng_state()
    smooth = swap_activations(model, Activation(), example=example)
    assert torch.equal(state, torch.get_rng_state())
    for network in (model, smooth):
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
        assert network.training


class Functional(nn.Module):
    """A network whose code calls ReLU as a function, once in each spelling."""

    def __init__(self, *, with_layer: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.act = nn.ReLU() if with_layer else nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.act(self.conv(x)))
        return torch.relu(x + 1).relu() + F.relu(x, inplace=True)


def test_a_network_without_relu_layers_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        InputError,
        match="softplus takes the place of nn.ReLU and nn.ReLU6 layers, and Functional has none: its layers are Conv",
    ):
        swap_activations(Functional(with_layer=False), Activation())
    with pytest.raises(InputError, match="and Sequential has none: its layers are Flatten, Linear; a ReLU"):
        swap_activations(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), Activation())


def test_a_relu_that_is_left_as_a_function_is_told() -> None:
    model = Functional(with_layer=True)
    assert isinstance(swap_activations(model, Activation()).act, SmoothActivation)
    with pytest.raises(
        InputError, match="Functional has nn.ReLU layers and calls ReLU as a function in 4 further places"
    ):
        swap_activations(model, Activation(), example=torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"name": "relu"}, "name of the activation must be one of softplus, silu, gelu, smooth_relu, got 'relu'"),
        ({"beta": 0}, "beta of the activation must be a positive number, got 0"),
        ({"beta": -1.0}, "got -1.0"),
        ({"beta": math.nan}, "got nan"),
        ({"beta": math.inf}, "got inf"),
        ({"beta": "8"}, "got '8'"),
    ],
)
def test_bad_choices(choice: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Activation(**choice)
