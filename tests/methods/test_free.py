"""Free adversarial training: its limits, its steps by hand, what it keeps, and what a checkpoint brings back."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pellucid import AdversarialTraining, FreeAdversarialTraining, InputError, Objective, Regular, fgsm
from pellucid.methods import free

EPS, STEP = 0.1, 0.04
X = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0, 1, 2])
INDEX = torch.tensor([4, 0, 5, 2, 1, 3])


def make_objective(method, seed=0):
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 3))
    return Objective(network, method, 6, 10, seed=seed)


def step(objective, rate=0.1):
    loss = objective(X, Y, INDEX)["loss"]
    loss.backward()
    with torch.no_grad():
        for weight in objective.model.parameters():
            weight -= rate * weight.grad
            weight.grad = None
    return loss.item()


def test_without_a_radius_it_is_regular_training():
    ours, theirs = (make_objective(method) for method in (FreeAdversarialTraining(eps=0), Regular()))
    assert [step(ours) for _ in range(3)] == pytest.approx([step(theirs) for _ in range(3)], abs=1e-6)


def test_each_epoch_takes_one_step_by_the_gradient_of_the_one_before():
    objective = make_objective(FreeAdversarialTraining(eps=EPS, step_size=STEP))
    seen = []
    objective.model.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach().clone()))
    expected = None
    for _ in range(4):
        before = {name: weight.detach().clone() for name, weight in objective.model.named_parameters()}
        step(objective)
        shown = seen[-1]
        assert (shown - X).abs().max() <= EPS + 1e-6 and shown.min() >= 0 and shown.max() <= 1
        if expected is not None:
            torch.testing.assert_close(shown, expected, atol=EPS / free.LEVELS, rtol=0)
        moved = shown.clone().requires_grad_()
        logits = torch.func.functional_call(objective.model, before, moved)
        seen.pop()
        (slope,) = torch.autograd.grad(F.cross_entropy(logits, Y), moved)
        expected = (X + (shown - X + STEP * slope.sign()).clamp(-EPS, EPS)).clamp(0, 1)


def test_the_attack_grows_to_what_a_search_finds():
    """With weights that stand still, some epochs of it raise the loss as one FGSM step does at least."""
    ours = make_objective(FreeAdversarialTraining(eps=EPS, step_size=EPS / 2))
    losses = [step(ours, rate=0) for _ in range(6)]
    searched = step(make_objective(AdversarialTraining(attack=fgsm(eps=EPS))), rate=0)
    assert losses[0] < losses[1] < losses[-1] and losses[-1] >= searched


def test_a_checkpoint_brings_every_change_back():
    first = make_objective(FreeAdversarialTraining(eps=EPS, step_size=STEP))
    step(first), step(first)
    second = make_objective(FreeAdversarialTraining(eps=EPS, step_size=STEP))
    second.load_state_dict(first.state_dict())
    assert second.state.change.shape == (6, 1, 8, 8) and step(first) == step(second)


def test_nothing_is_kept_outside_training():
    objective = make_objective(FreeAdversarialTraining(eps=EPS, step_size=STEP)).eval()
    objective(X, Y, INDEX)["loss"].backward()
    assert (objective.state.change == free.NEVER).all()


def test_a_step_makes_no_pass_more_than_regular_training():
    objective = make_objective(FreeAdversarialTraining(eps=EPS, step_size=STEP))
    passes = []
    objective.model.register_forward_pre_hook(lambda module, given: passes.append(len(given[0])))
    step(objective)
    assert passes == [6]


def test_bad_settings(monkeypatch):
    with pytest.raises(InputError, match="^eps must be in \\[0, 1\\], got 2$"):
        FreeAdversarialTraining(eps=2)
    with pytest.raises(InputError, match="^step_size must not be negative, got -1$"):
        FreeAdversarialTraining(step_size=-1)
    monkeypatch.setattr(free, "processes", lambda: 2)
    with pytest.raises(InputError, match="got 2 processes, train in one$"):
        step(make_objective(FreeAdversarialTraining()))
