import math

import pytest
import torch
import yaml
from hypothesis import given, strategies as st

from pellucid import (
    PGD,
    SCAAT,
    Activation,
    AdversarialTraining,
    Data,
    Experiment,
    InputError,
    IntegratedGradients,
    Method,
    Network,
    NoiseAugmentation,
    Optimizer,
    Regular,
    SaliencyGuided,
    Schedule,
    SmoothGrad,
    Smoothing,
    fgsm,
    gini,
)
from pellucid.config import from_config, to_config, write_yaml
from pellucid.runs.settings import read_experiment

EXPERIMENTS = [
    Experiment(),
    Experiment(method=SCAAT(attack=fgsm(eps=0.3), share=0.125, saliency=SmoothGrad(samples=3))),
    Experiment(method=AdversarialTraining(attack=PGD(eps=0.5, step_size=0.1, steps=3, norm="l2"))),
    Experiment(method=SaliencyGuided(attack=PGD(eps=0.1, step_size=0.1, steps=1), saliency=IntegratedGradients())),
    Experiment(method=SCAAT(ranking="random", q_pass="eval"), activation=Activation(name="smooth_relu", beta=3)),
    Experiment(method=NoiseAugmentation(share=0.25)),
    Experiment(smoothing=Smoothing(layers=("pool1", "conv*"), sigma="feature-map"), precision="bf16-mixed"),
    Experiment(
        dataset=Data(name="folder", path="somewhere", size=96),
        network=Network(name="resnet18", options={"width": 16}),
        optimizer=Optimizer(name="sgd", lr=0.1, nesterov=True),
        schedule=Schedule(name="steps", milestones=(3, 5)),
    ),
]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_yaml_round_trip(experiment, tmp_path):
    write_yaml(experiment, tmp_path / "experiment.yaml")
    assert read_experiment(tmp_path) == experiment
    assert from_config(to_config(experiment), Experiment) == experiment


@given(st.floats(0.1, 0.95), st.floats(0.01, 1), st.integers(1, 9), st.integers(0, 2**31))
def test_config_is_plain_data_and_loses_nothing(q, share, epochs, seed):
    experiment = Experiment(method=SCAAT(q=q, share=share), epochs=epochs, seed=seed)
    assert from_config(yaml.safe_load(yaml.safe_dump(to_config(experiment))), Experiment) == experiment


def test_a_callable_is_named_by_its_path():
    config = to_config(Experiment(method=SCAAT(saliency=gini)))
    assert config["method"]["init_args"]["saliency"] == "pellucid.metrics.gini"
    assert to_config(from_config(config, Experiment)) == config
    with pytest.raises(InputError, match="cannot be named in a file"):
        to_config(Experiment(method=SCAAT(saliency=lambda model, x, target: x)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epoch": 3}, r"Experiment has no field 'epoch', did you mean 'epochs'\? It has dataset, network"),
        ({"epochs": -1}, "epochs must be at least 0, got -1"),
        ({"method": {"class_path": "pellucid.Nothing"}}, "cannot import 'pellucid.Nothing'"),
        ({"method": {"class_path": "pellucid.SCAAT", "init_args": {"q": 2}}}, r"q must be in \[0, 1\], got 2"),
        (
            {"method": {"class_path": "pellucid.PGD", "init_args": {}}},
            "method must be a pellucid.Method, got pellucid.PGD",
        ),
        ({"method": 3}, "method must be a pellucid.Method, got 3"),
        ({"optimizer": {"lr": 0}}, "lr must be positive, got 0"),
        ({"optimizer": {"name": "lion"}}, "optimizer.name must be one of adam, adamw, sgd, got 'lion'"),
        ({"network": "lenet5"}, "network must be given by its fields name, .*, got 'lenet5'"),
        ({"optimizer": {"nesterov": True, "momentum": 0}}, "nesterov needs momentum above 0"),
        ({"activation": "softplus"}, "activation must be given by its fields name, beta, got 'softplus'"),
        ({"activation": {"name": "tanh"}}, "activation.name must be one of softplus, .*, got 'tanh'"),
        ({"schedule": {"warmup": 1}}, r"warmup must be in \(0, 1\), got 1"),
    ],
)
def test_bad_configs(change, sentence):
    with pytest.raises(InputError, match=sentence):
        from_config(to_config(Experiment()) | change, Experiment)


def test_a_file_from_before_activations_keeps_its_relus(tmp_path):
    config = to_config(Experiment(seed=3))
    del config["activation"]
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(config))
    assert read_experiment(tmp_path) == Experiment(seed=3)
    with pytest.raises(InputError, match=r"activation must be a pellucid.Activation or None, got 'softplus'"):
        Experiment(activation="softplus")


def test_not_a_run_directory(tmp_path):
    with pytest.raises(InputError, match="is not a run directory: it has no experiment.yaml"):
        read_experiment(tmp_path)
    (tmp_path / "experiment.yaml").write_text("{")
    with pytest.raises(InputError, match="cannot be read as YAML"):
        read_experiment(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [1, 1, 1, 1, 1, 1]),
        ("steps", [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ("cosine", [(1 + math.cos(math.pi * k / 6)) / 2 for k in range(6)]),
    ],
)
def test_schedules(name, expected):
    optimizer = Optimizer(name="sgd", lr=2.0).build([torch.nn.Parameter(torch.zeros(1))])
    schedule = Schedule(name=name, milestones=(1, 2)).build(optimizer, steps_per_epoch=2, epochs=3)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"] / 2)
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected)


def test_one_cycle_rises_to_lr_and_falls_to_nothing():
    optimizer = Optimizer(lr=2e-3).build([torch.nn.Parameter(torch.zeros(1))])
    schedule = Schedule(warmup=0.5).build(optimizer, steps_per_epoch=10, epochs=2)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx(2e-3) and rates.index(max(rates)) == 9 and rates[-1] < 1e-7


def test_optimizers_are_torchs():
    weight = [torch.nn.Parameter(torch.zeros(1))]
    kinds = {name: type(Optimizer(name=name).build(weight)) for name in ("adam", "adamw", "sgd")}
    assert kinds == {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class Own(Method):
    """A user's method that is no dataclass."""

    def loss(self, model, batch, state, *, generator=None):
        return Regular().loss(model, batch, state, generator=generator)


def test_classes_that_no_file_can_name_are_refused():
    class Local(Own):
        pass

    class WithSettings(Method):
        def __init__(self, weight):
            self.weight = weight

        def loss(self, model, batch, state, *, generator=None):
            return {}

    with pytest.raises(InputError, match="cannot be named in a file; put it at the top of a module"):
        to_config(Experiment(method=Local()))
    with pytest.raises(InputError, match="WithSettings must be a dataclass"):
        to_config(Experiment(method=WithSettings(1)))


def test_a_users_own_method_is_named_by_its_path():
    assert to_config(Experiment(method=Own()))["method"]["class_path"].endswith("test_settings.Own")
