"""Options that make a step cheaper: each is the method itself at its limit, and what it says in between."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pellucid import (
    PGD,
    SCAAT,
    TRADES,
    Alternating,
    Batch,
    GradientAlignment,
    GradientPenalty,
    InputError,
    JacobianPenalty,
    Objective,
    Regular,
    RightReasons,
    SaliencyGuided,
    fgsm,
)
from pellucid.core.randomness import StepDraws
from pellucid.methods import EnergyLoss

DRAWS = StepDraws(seed=0, step=0)
ATTACK = PGD(eps=0.1, step_size=0.05, steps=2)
SHARED = {
    "penalty": GradientPenalty(weight=0.3),
    "penalty-l2": GradientPenalty(weight=0.3, norm="l2"),
    "difference": GradientPenalty(weight=0.3, difference=0.01),
    "alignment": GradientAlignment(),
    "jacobian": JacobianPenalty(projections=None),
    "right-reasons": RightReasons(),
    "energy": EnergyLoss(),
    "trades": TRADES(attack=ATTACK),
    "sgt": SaliencyGuided(fill="corner"),
    "sgt-c": SaliencyGuided(fill="corner", attack=replace(ATTACK, random_start=False), reading="C"),
}


def make_network(norm=False):
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 4, 3),
        *([nn.BatchNorm2d(4)] if norm else []),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(144, 5),
    ]
    return nn.Sequential(*layers)


@pytest.fixture
def network():
    return make_network()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(64).view(8, 8).remainder(3).eq(0).expand(8, 1, 8, 8)
    x, y = torch.rand(8, 3, 8, 8, generator=generator), torch.randint(0, 5, (8,), generator=generator)
    return Batch(x, y, torch.arange(8), mask)


def step(method, network, batch):
    losses = method.loss(network, batch, method.init(8, 10), generator=DRAWS)
    return losses, torch.autograd.grad(losses["loss"], list(network.parameters()), retain_graph=True)


def assert_same(ours, theirs, **tolerance):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@pytest.mark.parametrize("name", SHARED)
def test_a_share_of_the_batch_is_the_term_of_those_images_beside_every_images_cross_entropy(name, network, batch):
    method = SHARED[name]
    parted, slopes = step(replace(method, share=0.5), network, batch)
    part = Batch(*(value[::2] for value in batch))
    of_part = method.loss(network, part, method.init(8, 10), generator=DRAWS)["loss"]
    term = of_part - F.cross_entropy(network(part.image), part.label)
    expected = F.cross_entropy(network(batch.image), batch.label) + term
    torch.testing.assert_close(parted["loss"], expected)
    assert_same(slopes, torch.autograd.grad(expected, list(network.parameters())), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", SHARED)
def test_an_image_alone_is_one_of_its_share(name, network, batch):
    """A share of an eighth looks at the first image of eight, and the others have their plain cross-entropy."""
    counted = []
    network.register_forward_pre_hook(lambda module, given: counted.append(len(given[0])))
    losses, _ = step(replace(SHARED[name], share=1 / 8), network, batch)
    torch.testing.assert_close(losses["clean_loss"], F.cross_entropy(network(batch.image), batch.label))
    assert sum(counted[:-1]) <= 8 + 1 * (3 + ATTACK.steps)  # what the term costs is an image's, not a batch's


@pytest.mark.parametrize("name", SHARED)
def test_with_batchnorm_running_statistics_follow_the_whole_batch(name, batch):
    network, plain = make_network(norm=True), make_network(norm=True)
    Objective(network, replace(SHARED[name], share=0.5), 8, 10, running_statistics="clean")(*batch)["loss"].backward()
    plain(batch.image)
    torch.testing.assert_close(network[1].running_mean, plain[1].running_mean)
    assert network[1].num_batches_tracked == 1


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_differences_converge_to_the_double_backward_pass(norm, network, batch):
    network, batch = network.double(), batch._replace(image=batch.image.double())
    exact, slopes = step(GradientPenalty(weight=0.5, norm=norm), network, batch)
    errors = []
    for difference in (1e-2, 1e-3, 1e-4):
        near, found = step(GradientPenalty(weight=0.5, norm=norm, difference=difference), network, batch)
        errors.append(max((a - b).abs().max().item() for a, b in zip(found, slopes, strict=True)))
        assert abs(near["gradient_norm"] - exact["gradient_norm"]) < 10 * difference
    assert errors[1] < 0.2 * errors[0] and errors[2] < 0.2 * errors[1] < 1e-3


def test_a_difference_as_long_as_the_weight_is_the_loss_of_the_moved_image(network, batch):
    moved, slopes = step(GradientPenalty(weight=0.01, difference=0.01), network, batch)
    x = batch.image.clone().requires_grad_()
    (slope,) = torch.autograd.grad(F.cross_entropy(network(x), batch.label, reduction="sum"), x)
    expected = F.cross_entropy(network(batch.image + 0.01 * slope.sign()), batch.label)
    torch.testing.assert_close(moved["loss"], expected)
    assert_same(slopes, torch.autograd.grad(expected, list(network.parameters())), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", [SCAAT(attack=ATTACK), GradientPenalty(), TRADES(attack=ATTACK)], ids=repr)
def test_alternating_on_every_step_is_the_method_bit_for_bit(method, batch):
    one, other = make_network(), make_network()
    ours, theirs = Objective(one, Alternating(method=method, every=1), 8, 10), Objective(other, method, 8, 10)
    for _ in range(3):
        assert torch.equal(ours(*batch)["loss"], theirs(*batch)["loss"])


def test_alternating_takes_the_method_on_its_own_steps_alone(batch):
    network, method = make_network(), SCAAT(attack=ATTACK, warmup=0)
    objective = Objective(network, Alternating(method=method, every=3), 8, 9)
    kinds = ["divergence" in objective(*batch) for _ in range(7)]
    assert kinds == [True, False, False, True, False, False, True]
    assert objective.state.of.updates == 3 and torch.equal(objective.state.per_sample()["q"], objective.state.of.q)
    plain = Objective(network, Regular(), 8, 9)
    assert torch.equal(objective(*batch)["loss"], plain(*batch)["loss"])


def test_alternating_continues_where_a_checkpoint_was_written(batch):
    first = Objective(make_network(), Alternating(method=SCAAT(attack=ATTACK), every=3), 8, 9)
    first(*batch), first(*batch)
    second = Objective(make_network(), Alternating(method=SCAAT(attack=ATTACK), every=3), 8, 9)
    second.load_state_dict(first.state_dict())
    assert second.state.step == 2
    second.eval()(*batch)
    assert second.state.step == 2 and not second.state.is_due


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: TRADES(share=0), "share must be above 0 and at most 1, got 0"),
        (lambda: SaliencyGuided(share=1.5), "share must be above 0 and at most 1, got 1.5"),
        (lambda: GradientPenalty(share=-1), "share must be above 0 and at most 1, got -1"),
        (lambda: GradientPenalty(difference=-0.1), "difference must not be negative, got -0.1"),
        (lambda: Alternating(every=0), "every must be a whole number of at least 1, got 0"),
        (lambda: Alternating(method="scaat"), "method must be a pellucid.Method such as SCAAT\\(\\), got 'scaat'"),
    ],
)
def test_bad_settings(make, sentence):
    with pytest.raises(InputError, match=f"^{sentence}$"):
        make()


def test_penalties_of_two_shares_are_refused(network, batch):
    with pytest.raises(InputError, match="^penalties of one loss must have one share, got 0.5 and 1$"):
        step(GradientPenalty(share=0.5, method=JacobianPenalty()), network, batch)


def test_a_fast_attack_of_a_share_has_every_option_together(network, batch):
    method = GradientPenalty(share=0.5, difference=0.01, method=TRADES(attack=fgsm(eps=0.1), share=0.25))
    objective = Objective(network, Alternating(method=method, every=2), 8, 10)
    for _ in range(4):
        loss = objective(*batch)["loss"]
        loss.backward()
        assert loss.isfinite()
