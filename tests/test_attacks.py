import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from pellucid import PGD, InputError, fgsm
from pellucid.core.randomness import StepDraws

X = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
WEIGHT = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(1))


def linear(x):
    return (x * WEIGHT).sum((1, 2, 3))


def reference_pgd(objective, x, eps, step_size, steps):
    """Madry's loop, image by image, without masks, starts or norms."""
    out = []
    for image in x:
        current = image.clone()
        for _ in range(steps):
            current = current.detach().requires_grad_()
            objective(current[None]).sum().backward()
            current = current.detach() + step_size * current.grad.sign()
            current = torch.min(torch.max(current, image - eps), image + eps).clamp(0, 1)
        out.append(current)
    return torch.stack(out)


def test_against_a_plain_loop():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 1))
    objective = lambda x: network(x)[:, 0]
    attack = PGD(eps=0.1, step_size=0.03, steps=5, random_start=False)
    torch.testing.assert_close(attack(objective, X), reference_pgd(objective, X, 0.1, 0.03, 5))


def test_zero_eps_and_zero_steps_change_nothing():
    assert torch.equal(PGD(eps=0, step_size=0.1, steps=3)(linear, X), X)
    assert torch.equal(PGD(eps=0.1, step_size=0.1, steps=0, random_start=False)(linear, X), X)


def test_linear_objective_reaches_the_corner():
    changed = PGD(eps=0.1, step_size=0.1, steps=3)(linear, X)
    torch.testing.assert_close(changed, (X + 0.1 * WEIGHT.sign()).clamp(0, 1))


def test_l2_step_goes_along_the_gradient():
    x = torch.full((2, 3, 6, 6), 0.5)
    changed = PGD(eps=0.5, step_size=0.5, steps=1, norm="l2", random_start=False)(linear, x)
    torch.testing.assert_close(changed - x, (0.5 * WEIGHT / WEIGHT.norm()).expand_as(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [3e4, 1e-6])
def test_an_l2_step_in_half_precision_has_its_length(dtype, scale):
    x = torch.full((2, 3, 6, 6), 0.5, dtype=dtype)
    attack = PGD(eps=0.5, step_size=0.5, steps=1, norm="l2", random_start=False)
    changed = attack(lambda x: (scale * x).sum((1, 2, 3), dtype=torch.float32), x)
    length = (changed - x).float().flatten(1).norm(dim=1)
    assert changed.dtype == dtype and length == pytest.approx([0.5, 0.5], rel=0.04)


def test_an_infinite_radius_is_refused():
    with pytest.raises(InputError, match=r"eps must be in \[0, 1\], got inf"):
        PGD(eps=math.inf, step_size=0.1, steps=1, norm="l2")


def test_mask_of_ones_is_no_mask_and_of_zeros_no_change():
    attack = PGD(eps=0.1, step_size=0.05, steps=2)
    everywhere = torch.ones(4, 1, 6, 6, dtype=torch.bool)
    draws = StepDraws(seed=0, step=0)
    assert torch.equal(attack(linear, X, mask=everywhere, generator=draws), attack(linear, X, generator=draws))
    assert torch.equal(attack(linear, X, mask=~everywhere, generator=draws), X)


@settings(max_examples=40)
@given(
    eps=st.floats(0, 0.5),
    step_size=st.floats(0, 0.5),
    steps=st.integers(0, 3),
    norm=st.sampled_from(["linf", "l2"]),
    random_start=st.booleans(),
    seed=st.integers(0, 99),
)
def test_stays_inside(eps, step_size, steps, norm, random_start, seed):
    mask = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(seed)) < 0.5
    attack = PGD(eps=eps, step_size=step_size, steps=steps, norm=norm, random_start=random_start)
    changed = attack(linear, X, mask=mask, generator=torch.Generator().manual_seed(seed))
    delta = changed - X
    length = delta.abs().amax((1, 2, 3)) if norm == "linf" else delta.flatten(1).norm(dim=1)
    assert (length <= eps + 1e-5).all()
    assert ((changed >= 0) & (changed <= 1)).all()
    assert (delta[~mask.expand_as(delta)] == 0).all()


def test_same_generator_same_attack_and_batch_mates_do_not_matter_to_the_steps():
    attack = PGD(eps=0.1, step_size=0.02, steps=3)
    one = attack(linear, X, generator=torch.Generator().manual_seed(5))
    two = attack(linear, X, generator=torch.Generator().manual_seed(5))
    assert torch.equal(one, two)
    calm = PGD(eps=0.1, step_size=0.02, steps=3, random_start=False)
    assert torch.equal(calm(linear, X)[1:2], calm(linear, X[1:2]))


def test_l2_start_fills_the_ball():
    x = torch.full((2000, 1, 1, 2), 0.5)
    start = PGD(eps=0.4, step_size=0, steps=0, norm="l2")(linear, x, generator=torch.Generator().manual_seed(0))
    radius = (start - x).flatten(1).norm(dim=1)
    assert radius.max() <= 0.4 + 1e-6
    # Uniform in a disc: the mean radius is two thirds of it.
    assert radius.mean().item() == pytest.approx(0.4 * 2 / 3, abs=0.01)


def test_nothing_of_the_network_changes():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2)).train()
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    PGD(eps=0.1, step_size=0.1, steps=2)(lambda x: network(x)[:, 0], X, generator=StepDraws(seed=0, step=0))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_fgsm_is_one_step_of_length_eps():
    assert fgsm(eps=0.2) == PGD(eps=0.2, step_size=0.2, steps=1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"eps": 8}, r"eps must be in \[0, 1\], got 8"),
        ({"eps": -0.1}, r"eps must be in \[0, 1\], got -0.1"),
        ({"step_size": -1}, "step_size must not be negative, got -1"),
        ({"steps": -1}, "steps must not be negative, got -1"),
        ({"norm": "l1"}, "norm must be linf or l2, got 'l1'"),
        ({"bounds": (1.0, 0.0)}, "bounds must be"),
    ],
)
def test_bad_settings(options, sentence):
    with pytest.raises(InputError, match=sentence):
        PGD(**({"eps": 0.1, "step_size": 0.1, "steps": 1} | options))


def test_a_coarse_attack_of_one_pixel_is_the_attack():
    draws = StepDraws(seed=0, step=0)
    attack = PGD(eps=0.1, step_size=0.05, steps=2)
    assert torch.equal(replace(attack, resolution=1)(linear, X, generator=draws), attack(linear, X, generator=draws))


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("side", [2, 4])
def test_a_coarse_attack_moves_squares_of_pixels_as_one_and_stays_in_the_ball(norm, side):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = 0.3 + 0.4 * X  # so that no pixel meets its bounds
    objective = lambda x: network(x)[:, 0]
    changed = PGD(eps=0.1, step_size=0.05, steps=3, norm=norm, resolution=side)(objective, x)
    delta = changed - x
    first = delta[:, :, ::side, ::side].repeat_interleave(side, 2).repeat_interleave(side, 3)[..., :6, :6]
    torch.testing.assert_close(delta, first, atol=1e-6, rtol=0)
    size = delta.abs().amax() if norm == "linf" else delta.flatten(1).norm(dim=1).amax()
    assert 0 < size <= 0.1 + 1e-6
    assert objective(changed).sum() > objective(x).sum()


def test_a_coarse_attack_of_a_linear_network_of_means_is_the_attack():
    """Where the network sees nothing but the mean of each square, nothing is lost at half the resolution."""
    pooled = lambda x: nn.functional.interpolate(x, (3, 3), mode="area")
    objective = lambda x: (pooled(x) * WEIGHT[:, ::2, ::2]).sum((1, 2, 3))
    attack = PGD(eps=0.1, step_size=0.03, steps=5, random_start=False)
    x = 0.3 + 0.4 * X
    torch.testing.assert_close(replace(attack, resolution=2)(objective, x), attack(objective, x))


def test_a_coarse_attack_moves_no_pixel_that_the_mask_forbids():
    mask = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(3)) < 0.8
    mean = lambda x: x.mean((1, 2, 3))
    changed = PGD(eps=0.1, step_size=0.1, steps=1, resolution=2)(mean, X, mask=mask)
    assert torch.equal(changed.masked_fill(mask, 0), X.masked_fill(mask, 0)) and not torch.equal(changed, X)


def test_a_network_of_one_size_refuses_a_coarse_attack_in_a_sentence():
    network = nn.Sequential(nn.Flatten(), nn.Linear(108, 2))
    with pytest.raises(InputError, match="^resolution 2 shows the network images of 3 × 3 pixels, which it does not"):
        PGD(eps=0.1, step_size=0.1, steps=1, resolution=2)(lambda x: network(x)[:, 0], X)
    with pytest.raises(InputError, match="^resolution must be a whole number of at least 1, got 0$"):
        PGD(eps=0.1, step_size=0.1, steps=1, resolution=0)
