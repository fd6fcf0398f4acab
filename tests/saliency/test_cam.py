"""Class activation maps: limits, Captum's Grad-CAM, loops, and the layer that is found in every kind of network."""

from collections.abc import Callable
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from pellucid import GradCAM, GradCAMPlusPlus, InputError, LayerCAM, as_saliency
from pellucid.models import Network, build
from pellucid.saliency import saliency_name
from pellucid.saliency.cam import grad_cam, grad_cam_plus_plus, layer_cam
from pellucid.saliency.layers import feature_layer

Make = Callable[[str], nn.Module]

TARGET = torch.tensor([0, 3, 1])
KINDS = [GradCAM, GradCAMPlusPlus, LayerCAM]
LAYERS = {
    "resnet": "layer1",
    "plain": "2",
    "torch": "blocks.2.norm1",
    "timm": "blocks.2.norm1",
    "timm-norm": "blocks.2.norm1",
    "timm-pooled": "norm",
    "huggingface": "blocks.2.norm1",
    "swin": "norm",
    "convnext": "stages",
}


# The equations


@given(seed=st.integers(0, 99), k=st.integers(1, 3), h=st.integers(1, 4), w=st.integers(1, 4))
def test_the_equations_are_those_of_loops(seed: int, k: int, h: int, w: int) -> None:
    activation, gradient = torch.randn(2, 2, k, h, w, generator=torch.Generator().manual_seed(seed)).double()
    a, g = activation.numpy(), gradient.numpy()
    cam, layer, plus = (np.zeros((2, h, w)) for _ in range(3))
    for n in range(2):
        for c in range(k):
            places = [(i, j) for i in range(h) for j in range(w)]
            mean = sum(g[n, c, i, j] for i, j in places) / (h * w)
            total = sum(a[n, c, i, j] for i, j in places)
            weight = 0.0
            for i, j in places:
                slope = g[n, c, i, j]
                weight += slope**2 / (2 * slope**2 + total * slope**3) * max(0.0, slope)
            for i, j in places:
                cam[n, i, j] += mean * a[n, c, i, j]
                layer[n, i, j] += max(0.0, g[n, c, i, j]) * a[n, c, i, j]
                plus[n, i, j] += weight * a[n, c, i, j]
    np.testing.assert_allclose(grad_cam(activation, gradient).numpy(), cam, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer_cam(activation, gradient).numpy(), layer, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(grad_cam_plus_plus(activation, gradient).numpy(), plus, rtol=1e-6, atol=1e-9)


def test_a_gradient_that_is_the_same_everywhere_makes_grad_cam_and_layer_cam_one() -> None:
    activation = torch.rand(2, 3, 4, 4)
    gradient = torch.rand(2, 3, 1, 1).expand(2, 3, 4, 4)
    torch.testing.assert_close(grad_cam(activation, gradient), layer_cam(activation, gradient))


def test_no_gradient_makes_a_flat_map_and_no_nan() -> None:
    activation, gradient = torch.rand(1, 2, 3, 3), torch.zeros(1, 2, 3, 3, requires_grad=True)
    for equation in (grad_cam, layer_cam, grad_cam_plus_plus):
        value = equation(activation, gradient)
        assert not value.any()
        (slope,) = torch.autograd.grad(value.sum(), gradient)
        assert torch.isfinite(slope).all()


# Against Captum


@pytest.mark.parametrize(("name", "layer"), [("resnet", "layer1"), ("resnet", "stem"), ("plain", "0"), ("plain", "2")])
@pytest.mark.parametrize("relu", [True, False])
def test_grad_cam_is_captums(make: Make, x: Tensor, name: str, layer: str, relu: bool) -> None:
    network = make(name)
    theirs = captum.attr.LayerGradCam(network, network.get_submodule(layer)).attribute(
        x, target=TARGET, relu_attributions=relu
    )
    theirs = captum.attr.LayerAttribution.interpolate(theirs, (8, 8), "bilinear")
    ours = GradCAM(layer=layer, relu=relu)(network, x, TARGET)
    assert ours.shape == (3, 1, 8, 8) and (ours - theirs).abs().max() < 1e-6
    assert relu == bool((ours >= 0).all())


# The layer


@pytest.mark.parametrize(("name", "layer"), LAYERS.items())
def test_the_layer_is_found(make: Make, x: Tensor, name: str, layer: str) -> None:
    network = make(name)
    assert feature_layer(network, x).name == layer
    for kind in KINDS:
        by_itself, by_name = kind()(network, x, TARGET), kind(layer=layer)(network, x, TARGET)
        assert torch.equal(by_itself, by_name) and by_itself.shape == (3, 1, 8, 8)
        assert (by_itself >= 0).all() and not by_itself.requires_grad


def test_a_built_network_is_named_with_or_without_its_prefix() -> None:
    torch.manual_seed(0)
    large = torch.rand(2, 3, 20, 20)
    network = build(Network(name="lenet5"), classes=4, shape=(3, 20, 20), mean=[0.5] * 3, std=[0.2] * 3).eval()
    assert feature_layer(network, large).name == "network.relu2"
    maps = [GradCAM(layer=layer)(network, large, TARGET[:2]) for layer in (None, "relu2", "network.relu2")]
    assert torch.equal(maps[0], maps[1]) and torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("name", ["timm", "timm-norm", "timm-pooled", "torch", "swin"])
def test_tokens_lie_on_the_image_where_their_patches_are(make: Make, x: Tensor, name: str) -> None:
    # The gradient by the layer's output, read by hand: prefix left out, row by row.
    network, kept = make(name), []
    layer = network.get_submodule(LAYERS[name])
    handle = layer.register_forward_hook(lambda _m, _a, out: kept.append(out))
    (gradient,) = torch.autograd.grad(network(x).gather(1, TARGET[:, None]).sum(), kept)
    handle.remove()
    a, g = (value.detach().reshape(3, -1, value.shape[-1])[:, -16:] for value in (kept[0], gradient))
    expected = (a * g.mean(1, keepdim=True)).sum(2).relu().reshape(3, 1, 4, 4)
    expected = nn.functional.interpolate(expected, size=(8, 8), mode="bilinear")
    torch.testing.assert_close(GradCAM()(network, x, TARGET), expected)


def test_dropout_and_a_layer_that_is_used_again_are_no_obstacle() -> None:
    torch.manual_seed(0)
    shared = nn.ReLU()
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), shared, nn.Conv2d(4, 4, 3), shared, nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 4)
    ).eval()
    x = torch.rand(3, 3, 8, 8)
    assert feature_layer(network, x).name == "3"
    whole = network[:4](x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network[4:](whole).gather(1, TARGET[:, None]).sum(), whole)
    expected = grad_cam(whole.detach(), gradient).relu()[:, None]
    expected = nn.functional.interpolate(expected, size=(8, 8), mode="bilinear")
    torch.testing.assert_close(GradCAM()(network, x, TARGET), expected)


def test_a_wide_image_has_a_wide_grid() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    assert GradCAM()(network.eval(), torch.rand(3, 3, 6, 10), TARGET).shape == (3, 1, 6, 10)


def test_frozen_weights_change_nothing(make: Make, x: Tensor) -> None:
    network = make("resnet")
    free = GradCAM()(network, x, TARGET)
    assert torch.equal(GradCAM()(network.requires_grad_(False), x, TARGET), free)


# As every saliency method


@pytest.mark.parametrize("name", ["resnet", "timm", "swin"])
@pytest.mark.parametrize("kind", KINDS)
def test_maps_can_be_differentiated(make: Make, x: Tensor, name: str, kind: Any) -> None:
    network = make(name)
    attribution = kind(chunk=2)(network, x, TARGET, create_graph=True)
    torch.testing.assert_close(attribution.detach(), kind()(network, x, TARGET))
    attribution.sum().backward()
    slopes = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert sum(float(slope.abs().sum()) for slope in slopes) > 0
    # Against a difference quotient along the gradient itself, in the first weight.
    weight = next(iter(network.parameters()))
    assert weight.grad is not None
    step = 1e-5 * weight.grad / weight.grad.norm()
    with torch.no_grad():
        weight += step
        above = kind()(network, x, TARGET).sum()
        weight -= 2 * step
        below = kind()(network, x, TARGET).sum()
    assert float(above - below) / 2e-5 == pytest.approx(float(weight.grad.norm()), rel=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_leaves_no_trace_and_batch_mates_do_not_matter(make: Make, x: Tensor, kind: Any) -> None:
    network, before, state = make("resnet"), x.clone(), torch.get_rng_state()
    with torch.inference_mode():
        together = kind()(network, x.clone(), TARGET.clone())
    torch.testing.assert_close(together[2:], kind()(network, x[2:], TARGET[2:]))
    torch.testing.assert_close(kind(chunk=1)(network, x, TARGET), together)
    assert torch.equal(x, before) and torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_probability_is_the_other_score(make: Make, x: Tensor) -> None:
    network = make("plain")
    softmax = nn.Sequential(*network, nn.Softmax(1))
    ours = GradCAM(score="probability", layer="2")(network, x, TARGET)
    torch.testing.assert_close(ours, GradCAM(layer="2")(softmax, x, TARGET))


def test_names(make: Make, x: Tensor) -> None:
    names = ["gradcam", "gradcam_plus_plus", "layercam"]
    assert [saliency_name(kind()) for kind in KINDS] == names
    network = make("resnet")
    for kind, name in zip(KINDS, names, strict=True):
        assert torch.equal(as_saliency(name)(network, x, TARGET), kind()(network, x, TARGET))
    assert saliency_name("pellucid.saliency.GradCAM") == "gradcam"


# What is refused


@pytest.mark.parametrize(
    ("name", "layer", "sentence"),
    [
        ("mlp", None, r"^Sequential has no layer that gives a feature map of more than one row and column, which a"),
        ("resnet", "layr1", r"^no layer 'layr1' to take a class activation map from, did you mean layer1"),
        ("resnet", "zzzz", r"^no layer 'zzzz' to take a class activation map from; `pellucid layers` lists"),
        ("resnet", "fc", r"^layer 'fc' gives \(1, 4\), no feature map of more than one row and column"),
        ("resnet", "avgpool", r"^layer 'avgpool' gives \(1, 6, 1, 1\), no feature map"),
        (
            "resnet",
            "aside",
            r"^the class does not depend on the single places of what layer 'aside' gives; name an earlier",
        ),
        (
            "timm",
            "norm",
            r"^the class does not depend on the single places of what layer 'norm' gives; name an earlier",
        ),
    ],
)
def test_what_gives_no_map_is_refused(make: Make, x: Tensor, name: str, layer: str | None, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        GradCAM(layer=layer)(make(name), x, TARGET)


@pytest.mark.parametrize("method", ["gradcam", "rollout"])
def test_a_function_has_no_inside(x: Tensor, method: str) -> None:
    with pytest.raises(InputError, match=r"needs a torch.nn.Module, got function"):
        as_saliency(method)(lambda x: x.mean((2, 3)), x, TARGET)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ({"layer": ""}, "layer must be the name of a layer, or null for the one that fits, got ''"),
    ],
)
def test_bad_settings(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        GradCAM(**options)
