"""Every method with every smoothing on every kind of network: one optimizer step each."""

import itertools

import pytest
import torch

from pellucid import (
    PGD,
    SCAAT,
    TRADES,
    Activation,
    AdversarialSCAAT,
    AdversarialTraining,
    Data,
    EnergyLoss,
    Experiment,
    GaussianAugmentation,
    GradientAlignment,
    GradientPenalty,
    JacobianPenalty,
    Network,
    NoiseAugmentation,
    Objective,
    Regular,
    RightReasons,
    SaliencyGuided,
    SmoothGrad,
    Smoothing,
    StructuredAdversarialTraining,
    fgsm,
)
from pellucid.runs.training import build_network

ATTACK = PGD(eps=0.1, step_size=0.05, steps=2)
METHODS = {
    "regular": Regular(),
    "at": AdversarialTraining(attack=ATTACK),
    "at-share": AdversarialTraining(attack=fgsm(eps=0.1), clean="share"),
    "sgt": SaliencyGuided(),
    "sgt-at-a": SaliencyGuided(attack=ATTACK, reading="A"),
    "sgt-at-b": SaliencyGuided(attack=ATTACK, reading="B"),
    "sgt-at-c": SaliencyGuided(attack=ATTACK, reading="C"),
    "scaat": SCAAT(attack=ATTACK),
    "adversarial-scaat": AdversarialSCAAT(scaat=SCAAT(attack=ATTACK), attack=ATTACK),
    "sgt-random": SaliencyGuided(ranking="random"),
    "scaat-random": SCAAT(attack=ATTACK, ranking="random", q_pass="eval"),
    "noise": NoiseAugmentation(),
    "gaussian": GaussianAugmentation(),
    "scaat-fast": SCAAT(attack=fgsm(eps=0.1), share=0.5, saliency=SmoothGrad(samples=2)),
    "structured": StructuredAdversarialTraining(),
    "trades": TRADES(attack=ATTACK),
}
PENALTIES = {
    "penalty-scaat": GradientPenalty(method=SCAAT(attack=ATTACK)),
    "penalty-alignment": GradientPenalty(norm="l2", method=GradientAlignment(detach_source=False)),
    "alignment-at": GradientAlignment(method=AdversarialTraining(attack=ATTACK)),
    "jacobian-sgt": JacobianPenalty(method=SaliencyGuided()),
    "right-reasons": RightReasons(),
    "energy": EnergyLoss(),
}
FILTERS = [None, "gaussian", "mean", "median", "non-local", "none"]
NETWORKS = {
    "lenet5": (Network(name="lenet5"), "relu1", 1),
    "resnet18": (Network(name="resnet18", options={"width": 4}), "layer1", 3),
    "vgg16": (Network(name="vgg16", options={"width": 4}), "features.4", 3),
    "own": (Network(name="own_network_of_a_user:Small", options={"width": 6}), "stage.0", 3),
}
OWN = """
from torch import nn

class Small(nn.Module):
    def __init__(self, num_classes, in_channels, width):
        super().__init__()
        self.stage = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4))
        self.head = nn.Linear(16 * width, num_classes)

    def forward(self, x):
        return self.head(self.stage(x).flatten(1))
"""


class Fake:
    """As much of a dataset as building a network asks for."""

    classes = ("a", "b", "c")

    def __init__(self, channels):
        self.shape = (channels, 32, 32)
        self.mean = self.std = (0.5,) * channels


@pytest.fixture(autouse=True)
def own_network(tmp_path, monkeypatch):
    (tmp_path / "own_network_of_a_user.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(("network", "filter"), [*itertools.product(NETWORKS, FILTERS)])
def test_every_method_trains_a_step(network, filter):
    choice, layer, channels = NETWORKS[network]
    smoothing = Smoothing(layers=(layer,), filter=filter) if filter else None
    activation = Activation() if filter in (None, "gaussian") else None
    experiment = Experiment(dataset=Data(), network=choice, activation=activation, smoothing=smoothing)
    model = build_network(experiment, Fake(channels))
    image, label, index = torch.rand(2, channels, 32, 32), torch.tensor([0, 2]), torch.tensor([1, 0])
    mask = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    mask[0, :, :16] = True
    start = {name: value.clone() for name, value in model.state_dict().items()}
    for name, method in (METHODS | PENALTIES).items():
        model.load_state_dict(start)
        objective = Objective(model, method, num_samples=2, total_steps=1).train()
        optimizer = torch.optim.SGD(objective.parameters(), lr=0.01)
        optimizer.zero_grad()
        loss = objective(image, label, index, mask)["loss"]
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss), name
        unmoved = [key for key, value in model.named_parameters() if value.grad is None]
        assert not unmoved, f"{name} leaves {unmoved} without a gradient"
        assert any(not torch.equal(start[key], value) for key, value in model.named_parameters()), name
