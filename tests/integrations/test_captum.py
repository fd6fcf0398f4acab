"""pellucid's maps where Captum's objects are taken."""

import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from captum.metrics import sensitivity_max
from torch import nn

from pellucid import IntegratedGradients, SmoothGrad, VanillaGradient, as_saliency
from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.integrations.captum import SaliencyAttribution


@pytest.fixture(scope="module")
def model():
    with randomness.fork(0):
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3)).eval()


@pytest.fixture(scope="module")
def x():
    return torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_gradient_is_captums(model, x):
    target = torch.tensor([0, 1, 2, 0])
    expected = Saliency(model).attribute(x.clone().requires_grad_(), target=target, abs=False)
    torch.testing.assert_close(SaliencyAttribution(model).attribute(x, target=target), expected)


@pytest.mark.parametrize("target", [2, torch.tensor(2), [2, 2, 2, 2], torch.tensor([2])])
def test_a_target_for_all_or_one_each(model, x, target):
    expected = VanillaGradient()(model, x, torch.tensor([2, 2, 2, 2]))
    assert torch.equal(SaliencyAttribution(model).attribute(x, target=target), expected)


def test_every_call_meets_the_same_numbers(model, x):
    attribution = SaliencyAttribution(model, SmoothGrad(samples=2), seed=3)
    one = attribution.attribute(x, target=0)
    assert torch.equal(attribution.attribute(x, target=0), one)
    assert not torch.equal(SaliencyAttribution(model, SmoothGrad(samples=2), seed=4).attribute(x, target=0), one)


def test_captums_tunnel_and_metric_take_it(model, x):
    attribution = SaliencyAttribution(model, IntegratedGradients(steps=3))
    tunnelled = NoiseTunnel(attribution).attribute(x, nt_samples=3, stdevs=0.0, target=1)
    torch.testing.assert_close(tunnelled, attribution.attribute(x, target=1))
    assert (sensitivity_max(attribution.attribute, x, target=1, n_perturb_samples=2) > 0).all()


def test_and_back_again(model, x):
    target = torch.tensor([0, 1, 2, 0])
    there = as_saliency(SaliencyAttribution(model))
    assert torch.equal(there(model, x, target), VanillaGradient()(model, x, target))


@pytest.mark.parametrize("target", [None, [0, 1], 0.5])
def test_mistakes(model, x, target):
    with pytest.raises(InputError, match="target must be a class, or one for each of 4 images"):
        SaliencyAttribution(model).attribute(x, target=target)
    with pytest.raises(InputError, match="inputs must be one tensor of images, got a tuple of 2"):
        SaliencyAttribution(model).attribute((x, x), target=0)
    with pytest.raises(InputError, match="additional_forward_args must be None"):
        SaliencyAttribution(model).attribute(x, target=0, additional_forward_args=(1,))
