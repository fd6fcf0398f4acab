"""What holds of every method's classification loss: class weights, smoothing, and what running statistics follow."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from torch import nn

from pellucid import (
    PGD,
    SCAAT,
    TRADES,
    AdversarialSCAAT,
    AdversarialTraining,
    GaussianAugmentation,
    GradientAlignment,
    GradientPenalty,
    InputError,
    NoiseAugmentation,
    Objective,
    Regular,
    SaliencyGuided,
    StructuredAdversarialTraining,
)
from pellucid.methods.terms import Classification, classification_loss, classified

ATTACK = PGD(eps=0.1, step_size=0.05, steps=2)
CHANGING = {
    "adversarial": AdversarialTraining(attack=ATTACK),
    "adversarial, a share clean": AdversarialTraining(attack=ATTACK, clean="share"),
    "adversarial, sum": AdversarialTraining(attack=ATTACK, clean="sum"),
    "trades": TRADES(attack=ATTACK),
    "sgt": SaliencyGuided(),
    "sgt and attack": SaliencyGuided(attack=ATTACK, reading="B"),
    "scaat": SCAAT(attack=ATTACK),
    "scaat and attack": AdversarialSCAAT(scaat=SCAAT(attack=ATTACK), attack=ATTACK),
    "noise": NoiseAugmentation(),
    "gaussian": GaussianAugmentation(),
    "structured": StructuredAdversarialTraining(),
    "alignment": GradientAlignment(),
}


def network(norm=True):
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)] if norm else [nn.Conv2d(1, 4, 3)]
    return nn.Sequential(*layers, nn.Softplus(), nn.Flatten(), nn.Linear(144, 3))


def step(model, method, **options):
    """Losses of one step on a fixed batch, and the network after the backward pass."""
    generator = torch.Generator().manual_seed(1)
    image, label = torch.rand(6, 1, 8, 8, generator=generator), torch.arange(6) % 3
    objective = Objective(model, method, 6, 10, **options)
    losses = objective(image, label, torch.arange(6))
    losses["loss"].backward()
    return losses, image


def gradients(model):
    return [parameter.grad for parameter in model.parameters()]


def running(model):
    norm = model[1]
    return norm.running_mean, norm.running_var, norm.num_batches_tracked


@pytest.mark.parametrize("method", CHANGING.values(), ids=CHANGING)
def test_changed_images_stay_out_of_running_statistics(method):
    """The reference is the network after one pass on the clean images; loss and gradients are those of ever."""
    clean, tracked = network(), network()
    ours, image = step(clean, method, running_statistics="clean")
    theirs, _ = step(tracked, method)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert all(map(torch.equal, gradients(clean), gradients(tracked)))
    reference = network()
    reference(image)
    assert all(map(torch.equal, running(clean), running(reference)))
    assert not torch.equal(running(tracked)[0], running(clean)[0])
    assert all(module.track_running_stats for module in clean.modules() if isinstance(module, nn.BatchNorm2d))


@pytest.mark.parametrize("method", [Regular(), GradientPenalty()], ids=["regular", "penalty"])
def test_methods_that_change_no_image_track_it_either_way(method):
    clean, tracked = network(), network()
    step(clean, method, running_statistics="clean")
    step(tracked, method)
    assert all(map(torch.equal, running(clean), running(tracked)))
    assert running(clean)[2] == 1


@pytest.mark.parametrize("method", CHANGING.values(), ids=CHANGING)
def test_without_batchnorm_nothing_differs(method):
    clean, tracked = network(norm=False), network(norm=False)
    ours, _ = step(clean, method, running_statistics="clean")
    theirs, _ = step(tracked, method, running_statistics="all")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert all(map(torch.equal, gradients(clean), gradients(tracked)))


def test_frozen_statistics_stay_frozen():
    model = network()
    model[1].eval()
    before = [value.clone() for value in running(model)]
    step(model, AdversarialTraining(attack=ATTACK), running_statistics="clean")
    assert all(map(torch.equal, running(model), before))


def test_a_divergence_from_the_image_itself_is_zero():
    """Were x' normalised by the running statistics and x by its batch's, they would differ where x' is x."""
    losses, _ = step(network(), TRADES(attack=PGD(eps=0, step_size=0.1, steps=1)), running_statistics="clean")
    assert losses["divergence"].abs() < 1e-6


def test_even_weights_and_no_smoothing_are_the_cross_entropy():
    logits, label = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 1])
    plain = F.cross_entropy(logits, label)
    assert torch.equal(classification_loss(logits, label), plain)
    with classified(Classification(class_weights=torch.ones(3))):
        torch.testing.assert_close(classification_loss(logits, label), plain)
    with classified(Classification(class_weights=torch.tensor([1.0, 0.0, 0.0]))):
        torch.testing.assert_close(classification_loss(logits, label), F.cross_entropy(logits[:1], label[:1]) / 5)
    assert torch.equal(classification_loss(logits, label), plain), "what is asked for ends with its block"


@given(
    smoothing=st.floats(0, 0.9),
    weights=st.lists(st.floats(0, 10), min_size=3, max_size=3),
    labels=st.lists(st.integers(0, 2), min_size=1, max_size=7),
)
def test_the_weighted_smoothed_loss_is_its_formula(smoothing, weights, labels):
    logits = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    total = 0.0
    for row, label in zip(logits.softmax(1).log().tolist(), labels, strict=True):
        spread = [smoothing / 3 + (1 - smoothing) * (name == label) for name in range(3)]
        total -= weights[label] * sum(share * value for share, value in zip(spread, row, strict=True))
    with classified(Classification(class_weights=torch.tensor(weights).double(), label_smoothing=smoothing)):
        ours = classification_loss(logits, torch.tensor(labels)).item()
    assert ours == pytest.approx(total / len(labels), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("method", CHANGING.values(), ids=CHANGING)
def test_every_method_weighs_classes(method):
    """With weights of zero nothing is learnt from labels: what is left does not depend on them."""
    weighed, _ = step(network(), method, class_weights=[0.0, 0.0, 0.0])
    plain, _ = step(network(), method)
    for name in ("classification_loss", "clean_loss"):
        assert weighed.get(name, 0.0) == 0
    assert weighed["loss"] < plain["loss"]


def test_wrong_choices_are_named():
    for options, sentence in [
        ({"class_weights": [1.0, -1.0]}, "class_weights must be one number a class, none below 0"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\), got 1"),
        ({"running_statistics": "none"}, "running_statistics must be all or clean, got 'none'"),
    ]:
        with pytest.raises(InputError, match=sentence):
            Objective(network(), Regular(), 6, 10, **options)
    with pytest.raises(InputError, match="class_weights must be one number for each of the 3 classes, got 2"):
        step(network(), Regular(), class_weights=[1.0, 1.0])
