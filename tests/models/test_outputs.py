"""Networks that give more than logits: the logits are found, named, or asked for."""

import sys
from collections import OrderedDict, namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.models import Logits, Network, bare, build
from pellucid.models.outputs import find_key, logits_of

DATA: dict[str, Any] = {"classes": 4, "shape": (3, 8, 8), "mean": [0.5] * 3, "std": [0.25] * 3}
SCORES, FEATURES, OTHER = torch.rand(2, 4), torch.rand(2, 9), torch.rand(2, 4)
Pair = namedtuple("Pair", ["logits", "aux_logits"])

USER_MODULE = """
from types import SimpleNamespace
import torch
from torch import nn

class Base(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.fc = nn.Linear(3, num_classes)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x):
        features = self.bn(x).mean((2, 3))
        return self.shaped(self.fc(features), features)

class Plain(Base):
    def shaped(self, logits, features):
        return logits

class Dict(Base):
    def shaped(self, logits, features):
        return {"features": features, "scores": logits}

class Tuple(Base):
    def shaped(self, logits, features):
        return features, logits

class Object(Base):
    def shaped(self, logits, features):
        return SimpleNamespace(logits=logits, hidden_states=None)

class Twice(Base):
    def shaped(self, logits, features):
        return {"main": logits, "auxiliary": logits + 1}

class InTraining(Base):
    def shaped(self, logits, features):
        return (features, logits) if self.training else logits
"""


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "networks_of_outputs.py").write_text(USER_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "networks_of_outputs", raising=False)
    return "networks_of_outputs"


@pytest.mark.parametrize(
    ("output", "key"),
    [
        (SCORES, None),
        (SCORES, "whatever"),
        ({"logits": SCORES, "loss": None}, None),
        ({"features": FEATURES, "logits": SCORES}, None),
        (OrderedDict(out=SCORES), None),
        ({"features": FEATURES, "scores": SCORES}, "scores"),
        ((SCORES,), None),
        ([FEATURES, SCORES], 1),
        ([FEATURES, SCORES], "1"),
        (Pair(SCORES, OTHER), None),
        (Pair(OTHER, SCORES), "aux_logits"),
        (SimpleNamespace(logits=SCORES), None),
        (SimpleNamespace(logits=OTHER, scores=SCORES), "scores"),
    ],
)
def test_the_logits_are_taken(output: Any, key: Any) -> None:
    assert logits_of(output, key) is SCORES
    assert Logits(Constant(output), key)(torch.zeros(2, 3, 8, 8)) is SCORES


class Constant(nn.Module):
    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: Tensor) -> Any:
        return self.output


@pytest.mark.parametrize(
    ("output", "key", "message"),
    [
        (
            {"a": SCORES, "b": OTHER},
            None,
            r"must be logits, got dict of a: \(2, 4\), b: \(2, 4\); name the entry .*KEY",
        ),
        ((FEATURES, SCORES), 2, r"has no tensor 2, got tuple of 0: \(2, 9\), 1: \(2, 4\)"),
        ({"a": SCORES}, "b", r"has no tensor 'b', got dict of a: \(2, 4\)"),
        ([], None, "must be logits, got list; name"),
        (None, None, "must be logits, got NoneType"),
        ("text", None, "must be logits, got str"),
    ],
)
def test_an_output_without_them_is_refused(output: Any, key: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        logits_of(output, key)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"features": FEATURES, "scores": SCORES}, "scores"),
        ({"other": OTHER, "logits": SCORES}, "logits"),
        ((FEATURES, SCORES), "1"),
        ((OTHER, SCORES), None),
        ((FEATURES,), None),
        (SimpleNamespace(logits=SCORES), "logits"),
        (None, None),
    ],
)
def test_the_shape_finds_them_where_there_is_no_doubt(output: Any, found: str | None) -> None:
    assert find_key(output, (2, 4)) == found


@pytest.mark.parametrize(("factory", "key"), [("Dict", "scores"), ("Tuple", "1"), ("Object", "logits")])
def test_a_factory_of_another_output_is_adapted_by_itself(users: str, tmp_path: Path, factory: str, key: str) -> None:
    model = build(Network(name=f"{users}:{factory}"), **DATA)
    assert isinstance(model.get_submodule("network"), Logits)
    assert model.get_submodule("network").key == key
    plain = build(Network(name=f"{users}:Plain"), **DATA)
    assert not isinstance(plain.get_submodule("network"), Logits)
    bare(plain).load_state_dict(bare(model).state_dict())
    x = torch.rand(5, 3, 8, 8)
    torch.testing.assert_close(model(x), plain(x), rtol=0, atol=0)
    torch.testing.assert_close(
        model.get_buffer("network.net.bn.running_mean"), plain.get_buffer("network.bn.running_mean")
    )
    for number, state in enumerate((model.state_dict(), bare(model).state_dict(), plain.state_dict())):
        save_file(state, tmp_path / f"{number}.safetensors")
        network = Network(name=f"{users}:{factory}", weights=str(tmp_path / f"{number}.safetensors"))
        again = build(network, **DATA, unknown="leave")
        assert all(torch.equal(value, bare(model).state_dict()[key]) for key, value in bare(again).state_dict().items())


def test_what_cannot_be_known_is_asked_for(users: str) -> None:
    twice = Network(name=f"{users}:Twice")
    message = r"got dict of main: \(2, 4\), auxiliary: \(2, 4\); name the entry that holds them with --network.output"
    with pytest.raises(InputError, match=message):
        build(twice, **DATA)
    x = torch.rand(2, 3, 8, 8)
    main, auxiliary = (build(Network(name=twice.name, output=key), **DATA).eval() for key in ("main", "auxiliary"))
    auxiliary.load_state_dict(main.state_dict())
    torch.testing.assert_close(auxiliary(x), main(x) + 1)
    with pytest.raises(InputError, match="has no tensor 'head'"):
        build(Network(name=twice.name, output="head"), **DATA)


def test_an_output_that_is_given_in_training_alone_can_be_named(users: str) -> None:
    model = build(Network(name=f"{users}:InTraining", output=1), **DATA)
    x = torch.rand(2, 3, 8, 8)
    assert model(x).shape == (2, 4)
    assert model.eval()(x).shape == (2, 4)


def test_the_key_of_one_of_our_own_networks_is_harmless() -> None:
    model = build(Network(name="lenet5", output="logits"), classes=4, shape=(1, 28, 28), mean=[0.5], std=[0.5])
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 4)


def test_keywords_reach_the_network() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
            return x.mean((2, 3)) * scale

    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(Logits(Scaled(), scale=3.0)(x), 3 * x.mean((2, 3)))
