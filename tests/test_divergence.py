import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from pellucid import jensen_shannon, kl, symmetric_kl

LOGITS = st.lists(st.floats(-20, 20), min_size=2, max_size=6)


@st.composite
def pairs(draw):
    first = draw(LOGITS)
    second = draw(st.lists(st.floats(-20, 20), min_size=len(first), max_size=len(first)))
    return torch.tensor([first], dtype=torch.float64), torch.tensor([second], dtype=torch.float64)


def probabilities(logits):
    return logits.softmax(1)[0].numpy()


@given(pairs())
def test_against_scipy(pair):
    p, q = map(probabilities, pair)
    assert kl(*pair).item() == pytest.approx(entropy(p, q), abs=1e-9, rel=1e-6)
    half_jeffreys = (entropy(p, q, base=2) + entropy(q, p, base=2)) / 2
    assert symmetric_kl(*pair).item() == pytest.approx(half_jeffreys, abs=1e-9, rel=1e-6)
    assert jensen_shannon(*pair).item() == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-7)


@given(pairs())
def test_bounds_and_symmetry(pair):
    first, second = pair
    for divergence in (kl, symmetric_kl, jensen_shannon):
        assert divergence(first, first).item() == pytest.approx(0, abs=1e-12)
        assert divergence(first, second).item() >= -1e-12
    assert symmetric_kl(first, second).item() == pytest.approx(symmetric_kl(second, first).item())
    assert jensen_shannon(first, second).item() <= 1 + 1e-12


@pytest.mark.parametrize("divergence", [kl, symmetric_kl, jensen_shannon])
def test_one_value_per_sample_and_no_gradient_at_agreement(divergence):
    logits = torch.randn(5, 4, dtype=torch.float64)
    moved = logits.clone().requires_grad_()
    divergence(moved, logits).sum().backward()
    assert divergence(logits, logits.flip(0)).shape == (5,)
    assert moved.grad.abs().max() < 1e-12


@pytest.mark.parametrize("divergence", [symmetric_kl, jensen_shannon])
def test_gradient_by_finite_differences(divergence):
    torch.manual_seed(0)
    first, second = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(divergence, (first, second))


def test_symmetric_kl_is_unbounded_and_jensen_shannon_is_not():
    far = torch.tensor([[100.0, 0.0]])
    assert symmetric_kl(far, far.flip(1)).item() == pytest.approx(100 / math.log(2), rel=1e-5)
    assert jensen_shannon(far, far.flip(1)).item() == pytest.approx(1)
    assert np.isfinite(kl(far, far.flip(1)).item())
