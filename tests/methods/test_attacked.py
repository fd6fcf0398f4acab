"""Structured adversarial training and TRADES against their equations, written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pellucid import (
    PGD,
    TRADES,
    AdversarialTraining,
    Batch,
    InputError,
    StructuredAdversarialTraining,
    fgsm,
)
from pellucid.core.randomness import StepDraws

DRAWS = StepDraws(seed=0, step=0)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 5))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.rand(6, 3, 8, 8, generator=generator), torch.randint(0, 5, (6,), generator=generator)
    return Batch(x, y, torch.arange(6))


def assert_same_step(method, expected, network, batch):
    got = method.loss(network, batch, method.init(12, 100), generator=DRAWS)["loss"]
    torch.testing.assert_close(got, expected)
    weights = list(network.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(got, weights, retain_graph=True), torch.autograd.grad(expected, weights), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_structured_step_image_by_image(network, batch):
    changed = []
    for image, label in zip(batch.image, batch.label, strict=True):
        slope = torch.func.grad(lambda x, label=label: -network(x[None])[0].log_softmax(0)[label])(image)
        changed.append((image + 0.05 * torch.sign(slope) + 2 * 0.7 * slope).clip(0, 1))
    moved = torch.stack(changed).detach()
    method = StructuredAdversarialTraining(linf=0.05, l2=0.7)
    assert_same_step(method, F.cross_entropy(network(moved), batch.label), network, batch)
    assert ((moved - batch.image).abs() > 0.051).any()


def test_structured_training_without_its_second_part_is_fgsm_from_the_image(network, batch):
    plain = AdversarialTraining(attack=fgsm(eps=0.1, random_start=False))
    expected = plain.loss(network, batch, nn.Module(), generator=DRAWS)["loss"]
    assert_same_step(StructuredAdversarialTraining(linf=0.1, l2=0), expected, network, batch)


def test_structured_training_of_size_0_is_regular(network, batch):
    method = StructuredAdversarialTraining(linf=0, l2=0)
    assert_same_step(method, F.cross_entropy(network(batch.image), batch.label), network, batch)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_trades_against_probabilities(network, batch, norm):
    attack = PGD(eps=0.2, step_size=0.1, steps=2, norm=norm)
    clean = network(batch.image).softmax(1).detach()
    changed = attack(
        lambda x: (clean * (clean.log() - network(x).softmax(1).log())).sum(1), batch.image,
        generator=DRAWS.of("attack"),
    )  # fmt: skip
    p, q = network(batch.image).softmax(1), network(changed).softmax(1)
    expected = -p.gather(1, batch.label[:, None]).log().mean() + 3 * (p * (p / q).log()).sum(1).mean()
    assert_same_step(TRADES(attack=attack, beta=3), expected, network, batch)


@pytest.mark.parametrize("method", [TRADES(beta=0), TRADES(attack=PGD(eps=0, step_size=0.1, steps=2))], ids=repr)
def test_trades_without_divergence_is_regular(network, batch, method):
    assert_same_step(method, F.cross_entropy(network(batch.image), batch.label), network, batch)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: StructuredAdversarialTraining(linf=2), r"linf must be in \[0, 1\], got 2"),
        (lambda: StructuredAdversarialTraining(l2=-1), "l2 must not be negative, got -1"),
        (lambda: TRADES(beta=-1), "beta must not be negative, got -1"),
        (lambda: TRADES(attack=fgsm(eps=0.1, random_start=False)), "attack of TRADES needs random_start: true"),
    ],
)
def test_bad_settings(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
