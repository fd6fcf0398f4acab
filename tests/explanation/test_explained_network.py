"""Networks of any origin: found, built, loaded without running code."""

import json
import pickle
import sys

import pytest
import torch
from safetensors.torch import save_file

from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.explanation.explained_network import class_names, of_network, of_run
from pellucid.models import Network, build

from .conftest import FACTORY

NAMES = ("top left", "top right", "low left", "low right")


@pytest.fixture
def factory(tmp_path, monkeypatch):
    (tmp_path / "of_a_user.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "of_a_user", raising=False)
    return "of_a_user:Quadrants"


def test_a_factory_with_weights_and_normalisation(factory, tmp_path) -> None:
    save_file({"scale": torch.tensor(3.0)}, tmp_path / "w.safetensors")
    torch.save({"state_dict": {"module.scale": torch.tensor(3.0)}}, tmp_path / "w.pt")
    x = torch.rand(1, 3, 8, 8)
    for file in ("w.safetensors", "w.pt"):
        plain = of_network(factory, weights=tmp_path / file, size=8, classes=4)
        shifted = of_network(factory, weights=tmp_path / file, size=8, classes=NAMES, mean=[0.5] * 3, std=[0.25] * 3)
        assert plain.model.network.scale == 3 and not plain.model.training
        torch.testing.assert_close(shifted.model(x), plain.model((x - 0.5) / 0.25))
        assert plain.classes[3] == "class 3" and shifted.classes == NAMES
    assert plain.weights == of_network(factory, weights=tmp_path / "w.pt", size=8, classes=4).weights
    assert plain.weights != of_network(factory, size=8, classes=4).weights


class _Trap:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the trap was sprung')",))


@pytest.mark.parametrize("content", [{"scale": _Trap()}, _Trap(), torch.nn.Linear(2, 2)], ids=["in", "whole", "module"])
def test_a_checkpoint_that_runs_code_is_refused(factory, tmp_path, content) -> None:
    torch.save(content, tmp_path / "trap.pt")
    (tmp_path / "trap.pkl").write_bytes(pickle.dumps(_Trap()))
    for name in ("trap.pt", "trap.pkl"):
        with pytest.raises(InputError, match=r"pickled objects, which may run code"):
            of_network(factory, weights=tmp_path / name, size=8, classes=4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classes": 7}, None),
        ({"size": 0}, "size and channels must be at least 1, got 0 and 3"),
        ({"mean": [0.5]}, None),
        ({"mean": [0.5] * 2}, "mean and std need"),
        ({"mean": [0.5] * 3, "std": [0.0] * 3}, "std must be positive"),
        ({"weights": "nowhere.pt"}, "no weights file nowhere.pt"),
        ({"options": {"depth": 3}}, "cannot be called with"),
    ],
)
def test_what_cannot_be(factory, options, sentence) -> None:
    if sentence is None:
        assert len(of_network(factory, **{"size": 8, "classes": 7, **options}).classes) == 7
        return
    with pytest.raises(InputError, match=sentence):
        of_network(factory, **{"size": 8, "classes": 4, **options})


@pytest.mark.parametrize(
    "text",
    [
        "tench\n\nespresso\n",
        json.dumps(["tench", "espresso"]),
        json.dumps({"1": ["n07920052", "espresso"], "0": ["n01440764", "tench"]}),
        json.dumps({"0": "tench", "1": "espresso"}),
    ],
)
def test_class_names_of_every_form(tmp_path, text) -> None:
    (tmp_path / "names").write_text(text)
    assert class_names(tmp_path / "names") == ("tench", "espresso")


@pytest.mark.parametrize("text", ["", "one", "[1", '{"a": 1}', '{"1": "x", "2": "y"}'])
def test_what_is_no_file_of_names(tmp_path, text) -> None:
    (tmp_path / "names").write_text(text)
    with pytest.raises(InputError, match="class names"):
        class_names(tmp_path / "names")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        class_names(tmp_path / "nowhere")


def test_what_is_no_run(tmp_path) -> None:
    with pytest.raises(InputError, match="is not a run directory"):
        of_run(tmp_path)
    (tmp_path / "net.pt").touch()
    with pytest.raises(InputError, match="is not a run directory; name one, or explain any network with --network"):
        of_run(tmp_path / "net.pt")


def test_weights_of_a_run_and_of_a_package_are_explained_as_they_were_trained(tmp_path):
    trained = build(
        Network(name="lenet5", mean=(0.25,), std=(0.5,)), classes=4, shape=(1, 28, 28), mean=(), std=()
    ).eval()
    save_file(trained.state_dict(), tmp_path / "model.safetensors")
    x = torch.rand(2, 1, 28, 28)
    subject = of_network("lenet5", weights=tmp_path / "model.safetensors", size=28, channels=1, classes=4)
    assert torch.equal(subject.model(x), trained(x))
    other = of_network(
        "lenet5", weights=tmp_path / "model.safetensors", size=28, channels=1, classes=4, mean=[0.5], std=[0.5]
    )
    torch.testing.assert_close(other.model(x), trained((x - 0.5) + 0.25))
    lite = of_network("efficientnet-lite0", options={"pretrained": True}, size=32, classes=5)
    assert lite.model.get_buffer("normalize.mean").flatten().tolist() == pytest.approx([127 / 255] * 3)


def test_a_network_that_nothing_normalises_is_told_of(factory, capsys) -> None:
    tell.cache_clear()
    of_network(factory, size=8, classes=4)
    assert "nothing normalises the pixels of of_a_user:Quadrants" in capsys.readouterr().err
    tell.cache_clear()
    of_network(factory, size=8, classes=4, mean=(0.0,), std=(1.0,))
    assert capsys.readouterr().err == ""


def test_random_weights_are_told_of(factory, tmp_path, capsys) -> None:
    lenet = of_network("lenet5", size=28, channels=1, classes=10)
    assert "lenet5 has random weights" in capsys.readouterr().err
    save_file(lenet.model.network.state_dict(), tmp_path / "lenet.safetensors")
    of_network("lenet5", weights=tmp_path / "lenet.safetensors", size=28, channels=1, classes=10)
    of_network("of_a_user:Quadrants", size=16, channels=3, classes=4)
    assert "random weights" not in capsys.readouterr().err


def test_a_network_that_ends_in_a_softmax_is_told_of(factory, tmp_path, capsys) -> None:
    (tmp_path / "of_a_user.py").write_text(
        FACTORY + "\nclass Soft(Quadrants):\n    def forward(self, x):\n        return super().forward(x).softmax(1)\n"
    )
    tell.cache_clear()
    of_network("of_a_user:Soft", size=8, classes=4, mean=(0.0,), std=(1.0,))
    assert "the network Soft ends in a softmax" in capsys.readouterr().err
