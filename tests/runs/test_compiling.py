"""A compiled network: refused where it cannot be, and otherwise the same losses up to rounding."""

import copy
from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from pellucid import (
    SCAAT,
    Alternating,
    Data,
    Experiment,
    GradientAlignment,
    GradientPenalty,
    InputError,
    Method,
    Objective,
    Regular,
    SaliencyGuided,
    fgsm,
    fit,
)
from pellucid.runs.compiling import check_compile, compile_network, told_of_compiling


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (
            GradientPenalty(),
            "as GradientPenalty needs; leave compile out, or give GradientPenalty a difference above 0",
        ),
        (GradientAlignment(), "as GradientAlignment needs; leave compile out$"),
        (Alternating(method=GradientPenalty()), "as GradientPenalty needs"),
        (GradientPenalty(difference=0.01, method=GradientAlignment()), "as GradientAlignment needs"),
    ],
    ids=repr,
)
def test_a_method_that_differentiates_twice_is_refused_before_anything_is_read(method, sentence):
    with pytest.raises(InputError, match=sentence):
        Experiment(method=method, compile="network")
    assert Experiment(method=method).compile == "off"


def test_methods_of_one_derivative_pass_and_unknown_words_do_not():
    for method in (Regular(), SCAAT(), GradientPenalty(weight=0), GradientPenalty(difference=0.01)):
        check_compile("graphs", method)
    with pytest.raises(InputError, match="compile"):
        Experiment(compile="step")


def test_graphs_need_a_cuda_device(tmp_path):
    experiment = Experiment(dataset=Data(name="fashion-mnist", limit=200), epochs=1, batch_size=16, compile="graphs")
    with pytest.raises(InputError, match="compile graphs is for CUDA devices, and this training is on cpu; take netw"):
        fit(experiment, tmp_path / "run", accelerator="cpu", progress=False)
    assert not (tmp_path / "run" / "experiment.yaml").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # torch's compiler warns of its own affairs
def test_off_leaves_the_network_alone_and_names_and_copies_stay_plain():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    compile_network(network, "off", torch.device("cpu"))
    assert network._compiled_call_impl is None
    names = list(network.state_dict())
    compile_network(network, "network", torch.device("cpu"))  # compiles when it is first called, which it is not here
    assert network._compiled_call_impl is not None and copy.deepcopy(network)._compiled_call_impl is None
    assert list(network.state_dict()) == names


def test_other_errors_are_not_explained_as_compilation():
    assert told_of_compiling(RuntimeError("overflow")) is None


@dataclass(frozen=True)
class Twice(Method):
    """A method of a user's own that differentiates twice, which only its first step shows."""

    def loss(self, model, batch, state, *, generator=None):
        x = batch.image.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        return {"loss": slope.square().sum()}


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 3)

    def forward(self, x):
        x = torch.dropout(torch.relu(self.norm(self.conv(x))), 0.2, self.training)
        return self.head(x.flatten(1))


def trained(method, how):
    torch.manual_seed(0)
    torch._dynamo.reset()
    network = nn.Sequential(OrderedDict(normalize=nn.Identity(), network=Small()))
    compile_network(network, how, torch.device("cpu"))
    objective = Objective(network, method, 8, 10)
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.1)
    draws = torch.Generator().manual_seed(0)
    x, y = torch.rand(8, 1, 8, 8, generator=draws), torch.randint(0, 3, (8,), generator=draws)
    losses = []
    for _ in range(3):
        loss = objective(x, y, torch.arange(8))["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "method",
    [Regular(), SaliencyGuided(map_pass="shared", share=0.5), SCAAT(attack=fgsm(eps=0.1))],
    ids=["regular", "sgt", "scaat"],
)
def test_a_compiled_network_has_the_losses_of_an_eager_one(method):
    compiled = trained(method, "network")
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    torch.testing.assert_close(compiled, trained(method, "off"), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_second_derivative_that_only_the_step_shows_is_told_in_a_sentence():
    with pytest.raises(RuntimeError) as error:
        trained(Twice(), "network")
    assert str(told_of_compiling(error.value)).startswith("compile cannot differentiate a network twice")
