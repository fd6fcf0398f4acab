"""One logit as two classes, and one label of several: the same probabilities, slopes and attacks as the sigmoid's."""

import sys
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from torch import nn

from pellucid import PGD, InputError, VanillaGradient
from pellucid.methods.terms import cross_entropy_of
from pellucid.models import Binary, Network, OneLabel, build

X = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(3))
LABEL = torch.tensor([0, 1, 1, 0, 1, 0])


def net(outputs: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Softplus(), nn.Flatten(), nn.Linear(108, outputs))


@given(st.floats(-60, 60, width=32))
def test_probability_and_log_odds_are_those_of_the_logit(z: float) -> None:
    logits = Binary()(torch.tensor([[z]]))
    assert logits.shape == (1, 2)
    assert logits.softmax(1)[0, 1].item() == pytest.approx(torch.tensor(z).sigmoid().item(), rel=1e-5)
    assert (logits[0, 1] - logits[0, 0]).item() == pytest.approx(z, abs=1e-37)
    assert abs(z) < 1e-37 or logits.argmax(1).item() == (z > 0)


def test_the_loss_its_slope_and_the_attack_on_it_are_those_of_the_sigmoid() -> None:
    network = net()
    two = nn.Sequential(network, Binary())
    torch.testing.assert_close(
        F.cross_entropy(two(X), LABEL), F.binary_cross_entropy_with_logits(network(X)[:, 0], LABEL.float())
    )
    attack = PGD(eps=0.1, step_size=0.03, steps=4)

    def sigmoid_loss(x: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(network(x)[:, 0], LABEL.float(), reduction="none")

    ours = attack(cross_entropy_of(two, LABEL), X, generator=torch.Generator().manual_seed(1))
    theirs = attack(sigmoid_loss, X, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours, theirs)
    assert not torch.equal(ours, X)


def test_the_map_of_either_class_is_that_of_the_logit() -> None:
    network = net()
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x)
    two = nn.Sequential(network, Binary())
    for target, sign in ((1, 0.5), (0, -0.5)):
        torch.testing.assert_close(VanillaGradient()(two, X, torch.full((6,), target)), sign * slope)


def test_a_label_of_several_is_seen_alone_and_modes_stay() -> None:
    network = net(4).eval()
    seen = OneLabel(network, 2)
    assert not any(module.training for module in seen.modules())
    torch.testing.assert_close(seen(X).softmax(1)[:, 1], network(X)[:, 2].sigmoid())
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(x)[:, 2].sum(), x)
    torch.testing.assert_close(VanillaGradient()(seen, X, torch.ones(6, dtype=torch.int64)), slope)
    assert [name for name, _ in seen.named_parameters()] == [f"network.{n}" for n, _ in network.named_parameters()]
    network.train()
    assert all(module.training for module in OneLabel(network, 0).modules())


@pytest.mark.parametrize("shape", [(2, 2), (3, 4), (2, 1, 2), ()])
def test_more_than_one_logit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"Binary takes one logit for each image, \(n, 1\) or \(n,\), got shape"):
        Binary()(torch.zeros(shape))
    assert Binary()(torch.zeros(3)).shape == (3, 2)


def test_a_factory_of_one_logit_is_built_for_two_classes_and_its_weights_fit(tmp_path, monkeypatch) -> None:
    module = ModuleType("one_logit_networks")
    module.one = lambda num_classes: net(1)  # type: ignore[attr-defined]
    module.flat = lambda: nn.Sequential(net(1), nn.Flatten(0))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "one_logit_networks", module)
    about = {"classes": 2, "shape": (1, 8, 8), "mean": [0.0], "std": [1.0]}
    model = build(Network(name="one_logit_networks:one", normalize=False), **about)
    assert isinstance(model.binary, Binary) and model(X).shape == (6, 2)
    assert build(Network(name="one_logit_networks:flat", normalize=False), **about)(X).shape == (6, 2)
    torch.save(net(1).state_dict(), tmp_path / "weights.pt")
    loaded = build(
        Network(name="one_logit_networks:one", normalize=False, weights=str(tmp_path / "weights.pt")), **about
    )
    torch.testing.assert_close(loaded(X), Binary()(net(1)(X)))
    with pytest.raises(InputError, match=r"must give logits of shape \(2, 3\)"):
        build(Network(name="one_logit_networks:one", normalize=False), **about | {"classes": 3})
