"""Several labels an image: with one label every method is that of two classes, and labels do not mix."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from pellucid import (
    PGD,
    SCAAT,
    TRADES,
    AdversarialSCAAT,
    AdversarialTraining,
    Batch,
    EnergyLoss,
    GaussianAugmentation,
    GradientAlignment,
    GradientPenalty,
    InputError,
    IntegratedGradients,
    JacobianPenalty,
    Method,
    NoiseAugmentation,
    Objective,
    Regular,
    RightReasons,
    SaliencyGuided,
    SmoothGrad,
    StructuredAdversarialTraining,
    fgsm,
    jensen_shannon,
    kl,
    symmetric_kl,
)
from pellucid.core.randomness import StepDraws
from pellucid.core.types import Task
from pellucid.divergence import DIVERGENCES
from pellucid.methods.terms import accuracy, correct, cross_entropy, sides
from pellucid.models import Binary

ATTACK = PGD(eps=0.1, step_size=0.05, steps=2)
DRAWS = StepDraws(seed=0, step=0)
SAME = {
    "regular": Regular(),
    "at": AdversarialTraining(attack=ATTACK),
    "at-share": AdversarialTraining(attack=ATTACK, clean="share"),
    "at-sum": AdversarialTraining(attack=ATTACK, clean="sum"),
    "sgt": SaliencyGuided(),
    "sgt-signed": SaliencyGuided(ranking="signed", fill="channel_mean", target="predicted", region=2),
    "sgt-smoothgrad": SaliencyGuided(saliency=SmoothGrad(samples=2)),
    "sgt-ig": SaliencyGuided(saliency=IntegratedGradients(steps=3)),
    "sgt-b": SaliencyGuided(attack=ATTACK, reading="B"),
    "sgt-c": SaliencyGuided(attack=ATTACK, reading="C", fill="corner"),
    "scaat": SCAAT(attack=ATTACK),
    "scaat-fast": SCAAT(attack=fgsm(eps=0.1), share=0.25, detach_clean=True, divergence="jensen_shannon"),
    "scaat-random": SCAAT(attack=ATTACK, ranking="random", divergence="kl", q_pass="eval"),
    "scaat-at": AdversarialSCAAT(scaat=SCAAT(attack=ATTACK), attack=ATTACK),
    "noise": NoiseAugmentation(),
    "gaussian": GaussianAugmentation(),
    "structured": StructuredAdversarialTraining(),
    "trades": TRADES(attack=ATTACK),
    "penalty": GradientPenalty(),
    "penalty-l2": GradientPenalty(weight=0.1, norm="l2", method=SCAAT(attack=ATTACK)),
    "alignment": GradientAlignment(weight=0),
}
X = torch.rand(8, 2, 8, 8, generator=torch.Generator().manual_seed(1))
INDEX = torch.tensor([9, 3, 5, 0, 11, 2, 7, 1])
YES = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
SEVERAL = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, -1], [1, -1, -1], [0, 0, 1], [0, 1, 0], [1, 1, 0.0]])


def network(outputs: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, outputs))


def two_points(z: torch.Tensor) -> torch.Tensor:
    """The logits of no and yes of a label, whose softmax is the sigmoid; the textbook's form."""
    return torch.stack([torch.zeros_like(z), z], 1)


@given(arrays("float32", (2, 3, 4), elements=st.floats(-15, 15, width=32)))
def test_a_divergence_is_the_sum_over_labels_of_that_of_two_points(drawn: object) -> None:
    ours, theirs = torch.as_tensor(drawn)
    for divergence in (kl, symmetric_kl, jensen_shannon):
        expected = sum(divergence(two_points(ours[:, i]), two_points(theirs[:, i])) for i in range(4))
        torch.testing.assert_close(divergence(ours, theirs, task="multilabel"), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(divergence(ours, ours, task="multilabel"), torch.zeros(3))
    assert bool((jensen_shannon(ours, theirs, task="multilabel") <= 4 + 1e-4).all())


def test_the_loss_is_the_sum_of_the_known_labels() -> None:
    logits = network(3)(X)
    expected = [
        sum(
            F.binary_cross_entropy_with_logits(logits[i, j], SEVERAL[i, j]) if SEVERAL[i, j] >= 0 else torch.tensor(0.0)
            for j in range(3)
        )
        for i in range(8)
    ]
    torch.testing.assert_close(cross_entropy(logits, SEVERAL, reduction="none"), torch.stack(expected))
    torch.testing.assert_close(cross_entropy(logits, SEVERAL), torch.stack(expected).mean())
    torch.testing.assert_close(cross_entropy(logits, SEVERAL, reduction="sum"), torch.stack(expected).sum())
    unknown = torch.where(SEVERAL < 0, torch.nan, SEVERAL)
    assert torch.equal(cross_entropy(logits, unknown), cross_entropy(logits, SEVERAL))
    wild = logits + 100 * (SEVERAL < 0)
    for function in (cross_entropy, accuracy):
        assert torch.equal(function(wild, unknown), function(logits, SEVERAL)), "an unknown label counts nowhere"
    assert torch.equal(correct(wild, unknown), correct(logits, SEVERAL))
    (slope,) = torch.autograd.grad(cross_entropy(logits, unknown), logits)
    assert bool((slope[SEVERAL < 0] == 0).all()) and bool((slope[SEVERAL >= 0] != 0).all())
    nothing = cross_entropy(logits, torch.full((8, 3), torch.nan))
    assert nothing.item() == 0 and nothing.requires_grad


def test_class_numbers_are_as_ever() -> None:
    logits, label = network(3)(X), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    for reduction in ("mean", "sum", "none"):
        assert torch.equal(
            cross_entropy(logits, label, reduction=reduction), F.cross_entropy(logits, label, reduction=reduction)
        )
    assert sides(label) is label
    for divergence in DIVERGENCES.values():
        assert torch.equal(divergence(logits, logits[:1]), divergence(logits, logits[:1], task="multiclass"))


def test_right_means_the_whole_set_and_accuracy_the_share_of_labels() -> None:
    logits = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
    label = torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, torch.nan], [1.0, torch.nan, -1.0]])
    assert correct(logits, label).tolist() == [True, False, False]
    assert accuracy(logits, label).item() == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert Batch(X, label, INDEX).task == "multilabel" and Batch(X, YES, INDEX).task == "multiclass"


@pytest.mark.parametrize("name", SAME)
def test_with_one_label_every_method_is_that_of_two_classes(name: str) -> None:
    method, one = SAME[name], network(1)
    of_label = method.loss(one, Batch(X, YES[:, None].float(), INDEX), method.init(12, 100), generator=DRAWS)
    two = nn.Sequential(one, Binary())
    of_class = method.loss(two, Batch(X, YES, INDEX), method.init(12, 100), generator=DRAWS)
    assert of_label.keys() == of_class.keys()
    for key, value in of_class.items():
        torch.testing.assert_close(of_label[key], value, rtol=1e-4, atol=1e-6)
    ours, theirs = (torch.autograd.grad(got["loss"], list(one.parameters())) for got in (of_label, of_class))
    for got, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", [*SAME, "jacobian"])
def test_several_labels_are_learned(name: str) -> None:
    method: Method = SAME.get(name, JacobianPenalty(projections=2))
    objective = Objective(network(3), method, 12, 100, task="multilabel")
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        got = objective(X, SEVERAL, INDEX)
        optimizer.zero_grad()
        got["loss"].backward()
        optimizer.step()
        losses.append(got["loss"].item())
    assert losses[-1] < losses[0] and all(map(torch.isfinite, map(torch.tensor, losses)))


@pytest.mark.parametrize("method", [EnergyLoss(), RightReasons(), GradientPenalty(method=EnergyLoss())])
def test_methods_of_one_class_an_image_say_so(method: Method) -> None:
    with pytest.raises(
        InputError, match=r"^\w+ knows only one class for each image, got the task multilabel; methods for"
    ):
        Objective(network(3), method, 12, 100, task="multilabel")


def test_a_method_of_ones_own_knows_class_numbers_alone_unless_it_says_so() -> None:
    class Own(Method):
        def loss(self, model, batch, state, *, generator=None):
            return {"loss": F.cross_entropy(model(batch.image), batch.label)}

    class Both(Own):
        tasks: tuple[Task, ...] = ("multiclass", "multilabel")

    with pytest.raises(InputError, match="Own knows only one class for each image"):
        Objective(network(3), Own(), 12, 100, task="multilabel")
    assert Objective(network(3), Both(), 12, 100, task="multilabel").task == "multilabel"
