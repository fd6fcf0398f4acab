"""Checkpoints as training scripts leave them: every layout gives the same network, and says what was left out."""

import argparse
import gzip
import io
import re
import struct
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from pellucid.core import notes
from pellucid.core.errors import InputError
from pellucid.models import load_weights
from pellucid.models.checkpoints import read_checkpoint

State = dict[str, Tensor]


def network(classes: int = 3, channels: int = 3) -> nn.Sequential:
    """Convolution, BatchNorm and head, as small as they can be."""
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(channels, 4, 3),
            norm=nn.BatchNorm2d(4),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(4, classes),
        )
    )


@pytest.fixture(scope="module")
def trained() -> nn.Sequential:
    torch.manual_seed(5)
    net = network()
    net(torch.rand(8, 3, 6, 6))
    return net.eval()


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """What was said on the standard error since the test began."""
    notes.tell.cache_clear()
    return lambda: capsys.readouterr().err


def prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


def other(state: State) -> State:
    return {key: value + 1 for key, value in state.items()}


def same(a: nn.Module, state: State) -> bool:
    return all(torch.equal(value, state[key]) for key, value in a.state_dict().items())


SILENT: list[tuple[str, Any]] = [
    ("plain", lambda s: s),
    ("torch.compile", lambda s: prefixed("_orig_mod.", s)),
    ("DataParallel", lambda s: prefixed("module.", s)),
    ("DataParallel of torch.compile", lambda s: prefixed("module._orig_mod.", s)),
    ("torch.compile of DataParallel", lambda s: prefixed("_orig_mod.module.", s)),
    ("a compiled part", lambda s: {key.replace("stem.", "stem._orig_mod."): value for key, value in s.items()}),
    (
        "Lightning's model",
        lambda s: {"state_dict": prefixed("model.", s), "epoch": 3, "pytorch-lightning_version": "2"},
    ),
    ("Lightning's net", lambda s: {"state_dict": prefixed("net.", s)}),
    ("Lightning's network, compiled", lambda s: {"state_dict": prefixed("network._orig_mod.", s)}),
    ("an attribute of an attribute", lambda s: {"state_dict": prefixed("learner.backbone.", s)}),
    ("model_state_dict", lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}}}),
    ("net", lambda s: {"net": s, "acc": 91.2, "epoch": 3}),
    ("nested", lambda s: {"model": {"state_dict": s}}),
    ("a moving average of torch's", lambda s: {"n_averaged": torch.tensor(3), **prefixed("module.", s)}),
    ("with numbers beside the tensors", lambda s: {**s, "epoch": 3}),
    ("argparse", lambda s: {"model": s, "args": argparse.Namespace(lr=0.1, out=Path("runs"))}),
    ("FSDP", lambda s: prefixed("_fsdp_wrapped_module.", s)),
    (
        "activation checkpointing",
        lambda s: {k.replace("stem.", "stem._checkpoint_wrapped_module."): v for k, v in s.items()},
    ),
    ("another name", lambda s: {"classifier_weights": s, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}),
    ("a network and its epoch", lambda s: (s, 7)),
    ("the step as a tensor", lambda s: {"step": torch.tensor(7), "weights": s}),
    ("arrays of NumPy", lambda s: {"weights": {key: value.numpy() for key, value in s.items()}}),
    (
        "what scripts keep",
        lambda s: {
            "net": s,
            "when": datetime(2026, 1, 1),
        },
    ),
    ("one network twice", lambda s: {"model": prefixed("model.", s) | prefixed("attacker.model.", s)}),
    ("numbers of NumPy", lambda s: {"model": s, "best": np.float64(91.2), "steps": np.int64(7), "curve": np.ones(3)}),
]


@pytest.mark.parametrize("wrap", [wrap for _, wrap in SILENT], ids=[name for name, _ in SILENT])
def test_every_layout_is_the_same_network(tmp_path: Path, trained: nn.Module, wrap: Any, told: Any) -> None:
    state = trained.state_dict()
    torch.save(wrap(state), tmp_path / "checkpoint.ckpt")
    net = network()
    load_weights(net, tmp_path / "checkpoint.ckpt")
    assert same(net, state)
    assert told() == ""


TOLD: list[tuple[Any, str]] = [
    (
        lambda s: {"state_dict": other(s), "state_dict_ema": s},
        "took the averaged weights of .*: 'state_dict_ema' and not 'st",
    ),
    (
        lambda s: {"model": other(s), "model_ema": {"n_averaged": torch.tensor(1), **prefixed("module.", s)}},
        "'model_ema'",
    ),
    (lambda s: {"model": other(s), "swa_state_dict": s}, "'swa_state_dict' and not 'model'"),
    (lambda s: {"net": other(s), "averaged_model": s}, "'averaged_model' and not 'net'"),
    (lambda s: {"model": other(s), "ema": {"decay": 0.99, "shadow": s}}, "took the averaged weights of .*: 'shadow'\n"),
    (lambda s: {"ema": {"state_dict": s, "decay": 0.999}}, "took the averaged weights of .*: 'ema'\n"),
    (
        lambda s: {"state_dict": prefixed("model.", other(s)) | prefixed("ema_model.", s)},
        r"ema_model.\* and not model.\*",
    ),
    (
        lambda s: {"state_dict": prefixed("model.", s) | {"criterion.weight": torch.ones(3)}},
        "left out criterion.weight, outside the network",
    ),
]


@pytest.mark.parametrize(("wrap", "sentence"), TOLD)
def test_what_was_taken_and_what_was_left_is_told(
    tmp_path: Path, trained: nn.Module, wrap: Any, sentence: str, told: Any
) -> None:
    state = trained.state_dict()
    torch.save(wrap(state), tmp_path / "checkpoint.pt")
    net = network()
    load_weights(net, tmp_path / "checkpoint.pt")
    assert same(net, state)
    said = told()
    assert re.search(sentence, said), said
    assert said.count("\n") == 1


def test_an_average_is_torchs_own(tmp_path: Path, trained: nn.Module) -> None:
    averaged = AveragedModel(trained)
    averaged.update_parameters(trained)
    torch.save(averaged.state_dict(), tmp_path / "averaged.pt")
    net = network()
    load_weights(net, tmp_path / "averaged.pt")
    assert same(net, trained.state_dict())


@pytest.mark.parametrize(
    ("wrap", "named"),
    [
        (lambda s: {"student": s, "teacher": other(s)}, "student, teacher"),
        (lambda s: [s, other(s)], "0, 1"),
        (lambda s: {"model": s, "ema": other(s), "swa": other(s)}, "ema, swa"),
    ],
)
def test_several_networks_are_not_chosen_between(tmp_path: Path, trained: nn.Module, wrap: Any, named: str) -> None:
    torch.save(wrap(trained.state_dict()), tmp_path / "several.pt")
    with pytest.raises(InputError, match=f"holds several networks, {named}; save only one of them"):
        read_checkpoint(tmp_path / "several.pt")


def test_content_that_holds_itself_ends_in_a_sentence(tmp_path: Path) -> None:
    content: dict[str, Any] = {"epoch": 3}
    content["again"] = [content] * 20
    torch.save(content, tmp_path / "round.pt")
    with pytest.raises(InputError, match="holds no state_dict"):
        read_checkpoint(tmp_path / "round.pt")


FOREIGN: list[tuple[str, Any, str]] = [
    ("empty", lambda state: b"", "it is empty"),
    ("lfs", lambda state: b"version https://git-lfs.github.com/spec/v1\noid sha256:1f\nsize 9\n", "pointer of Git LFS"),
    ("page", lambda state: b"\n<!DOCTYPE html><html>not found</html>", "is a page of the web"),
    ("index", lambda state: b'{"weight_map": {"stem.weight": "model-00001-of-00002.safetensors"}}', "is JSON"),
    ("gzip", lambda state: gzip.compress(saved(state)), "compressed by gzip; unpack it first"),
    ("hdf5", lambda state: b"\x89HDF\r\n\x1a\n" + bytes(60), "is HDF5"),
    ("zip", lambda state: zipped("weights.pth", saved(state)), "is an archive of weights.pth, not PyTorch's own"),
    ("npz", lambda state: zipped("stem.weight.npy", b""), "is an archive of stem.weight.npy"),
]


@pytest.mark.parametrize(("make", "sentence"), [case[1:] for case in FOREIGN], ids=[case[0] for case in FOREIGN])
def test_other_files_are_told_by_their_content(tmp_path: Path, trained: nn.Module, make: Any, sentence: str) -> None:
    (tmp_path / "weights.pt").write_bytes(make(trained.state_dict()))
    with pytest.raises(InputError, match=re.escape(sentence)) as caught:
        read_checkpoint(tmp_path / "weights.pt")
    assert "\n" not in str(caught.value) and "weights_only" not in str(caught.value)


def saved(state: State) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def test_an_archive_of_tar_is_not_answered_with_the_advice_to_run_code(tmp_path: Path, trained: nn.Module) -> None:
    (tmp_path / "inner.pth").write_bytes(saved(trained.state_dict()))
    with tarfile.open(tmp_path / "weights.pt", "w") as archive:
        archive.add(tmp_path / "inner.pth", "inner.pth")
    with pytest.raises(InputError, match="is a tar archive; unpack it first"):
        read_checkpoint(tmp_path / "weights.pt")


def test_two_networks_in_one_file_are_not_chosen_between(tmp_path: Path, trained: nn.Module) -> None:
    state = trained.state_dict()
    torch.save(prefixed("student.", state) | prefixed("teacher.", other(state)), tmp_path / "distilled.pt")
    with pytest.raises(InputError, match=r"several networks that would fit, student., teacher.; save only one of them"):
        load_weights(network(), tmp_path / "distilled.pt")


def test_safetensors_are_known_by_their_bytes(tmp_path: Path, trained: nn.Module) -> None:
    state = trained.state_dict()
    save_file(state, tmp_path / "weights.bin")
    torch.save(state, tmp_path / "weights.safetensors")
    for name in ("weights.bin", "weights.safetensors"):
        net = network()
        load_weights(net, tmp_path / name)
        assert same(net, state)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("save", [torch.save, save_file])
def test_weights_of_another_precision(tmp_path: Path, trained: nn.Module, kind: torch.dtype, save: Any) -> None:
    rounded = {
        key: value.to(kind) if value.is_floating_point() else value for key, value in trained.state_dict().items()
    }
    save(rounded, tmp_path / "weights")
    net = network()
    load_weights(net, tmp_path / "weights")
    assert all(value.dtype in (torch.float32, torch.int64) for value in net.state_dict().values())
    assert same(net, {key: value.float() for key, value in rounded.items()})


@pytest.mark.parametrize("channels", [1, 4])
def test_a_first_convolution_of_other_channels_is_adapted(
    tmp_path: Path, trained: nn.Sequential, channels: int, told: Any
) -> None:
    torch.save(trained.state_dict(), tmp_path / "colour.pt")
    net = network(channels=channels).eval()
    load_weights(net, tmp_path / "colour.pt")
    x = torch.rand(2, 1, 6, 6)
    if channels == 1:
        torch.testing.assert_close(net(x), trained(x.expand(-1, 3, -1, -1)))
    assert torch.equal(net[4].weight, trained[4].weight)
    assert f"the first convolution, of 3 channels there, was adapted to {channels}" in told()


def test_a_new_head_is_told(tmp_path: Path, trained: nn.Sequential, told: Any) -> None:
    torch.save(trained.state_dict(), tmp_path / "three.pt")
    net = network(classes=5)
    load_weights(net, tmp_path / "three.pt", head="new")
    assert torch.equal(net[0].weight, trained[0].weight)
    assert "the last layer, 3 there, is a new one of 5 classes" in told()
    load_weights(network(), tmp_path / "three.pt", head="new")
    assert told() == ""


def test_heads_beside_the_last_are_new_too(tmp_path: Path) -> None:
    def distilled(classes: int) -> nn.ModuleDict:
        return nn.ModuleDict(
            {"body": nn.Linear(4, 6), "head_dist": nn.Linear(6, classes), "head": nn.Linear(6, classes)}
        )

    theirs, ours = distilled(10), distilled(3)
    torch.save(theirs.state_dict(), tmp_path / "distilled.pt")
    with pytest.raises(
        InputError,
        match="misshaped head_dist.weight .*; the last layer there has 10 classes: ask",
    ):
        load_weights(ours, tmp_path / "distilled.pt")
    load_weights(ours, tmp_path / "distilled.pt", head="new")
    assert torch.equal(ours["body"].weight, theirs["body"].weight)


def test_a_network_whose_last_parameter_is_a_single_number(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(scale))

    torch.save(Scaled(3.0).state_dict(), tmp_path / "scale.pt")
    for head in ("strict", "new"):
        net = Scaled(1.0)
        load_weights(net, tmp_path / "scale.pt", head=head)  # type: ignore[arg-type]  # one of both
        assert net.scale.item() == 3


class Foreign:
    """Stands for a class of the user's that a script pickled beside the weights."""


def scripted(state: State, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is on its way out
        torch.jit.script(nn.Linear(2, 2)).save(path)


REFUSED: list[tuple[Any, str]] = [
    (
        scripted,
        r"is a TorchScript program; save only its weights: torch.save\(torch.jit.load\(FILE\).state_dict\(\), NEW\)",
    ),
    (
        lambda s, p: torch.save({"model": s, "cfg": Foreign()}, p),
        r"which may run code \(.*Foreign\); a state_dict of tensors",
    ),
    (
        lambda s, p: torch.save(network(), p),
        r"which may run code \(.*torch.nn.modules.conv.Conv2d.*, …\); a state_dict",
    ),
    (
        lambda s, p: torch.save({**s, "head.bias": torch.tensor([1.0, float("nan"), 0.0])}, p),
        "not finite, in head.bias",
    ),
    (
        lambda s, p: torch.save({"epoch": 3, "model": {"lr": 0.1}}, p),
        "holds no state_dict; a mapping .*'model_state_dict'",
    ),
    (lambda s, p: p.write_bytes(b""), "cannot be read, it is empty"),
    (lambda s, p: p.write_text("epoch,loss\n1,0.3\n"), "cannot be read, it may be cut short"),
    (lambda s, p: p.write_bytes(struct.pack("<Q", 9) + b"{}"), "cannot be read, it may be cut short"),
    (
        lambda s, p: torch.save({"layer1.weight": torch.ones(2), "layer1.bias": torch.ones(2), "x": torch.ones(1)}, p),
        "do not fit this Sequential: they are another network's, with 0 of its 9 tensors by name; the file holds "
        "layer1.weight, layer1.bias, x$",
    ),
]


@pytest.mark.parametrize(("write", "message"), REFUSED)
def test_what_holds_no_weights_of_the_network_is_refused(
    tmp_path: Path, trained: nn.Module, write: Any, message: str
) -> None:
    write(trained.state_dict(), tmp_path / "file.pt")
    net = network()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(InputError, match=message) as caught:
        load_weights(net, tmp_path / "file.pt")
    assert "\n" not in str(caught.value)
    assert same(net, before)


def test_weights_behind_a_normalisation_need_a_place_for_it(tmp_path: Path, trained: nn.Module) -> None:
    whole = prefixed("network.", trained.state_dict()) | {"normalize.mean": torch.ones(3, 1, 1)}
    torch.save(whole, tmp_path / "ours.pt")
    with pytest.raises(InputError, match="trained behind a normalisation of pixels, which this model has no place for"):
        load_weights(network(), tmp_path / "ours.pt")


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["module", "_orig_mod", "model", "a", "b.c"]), max_size=4))
def test_whatever_stands_before_the_names(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    torch.manual_seed(1)
    state = network().state_dict()
    path = tmp_path_factory.mktemp("file") / "weights.pt"
    torch.save(prefixed("".join(f"{part}." for part in parts), state), path)
    net = network()
    load_weights(net, path)
    assert same(net, state)
    assert len(read_checkpoint(path)) == len(state)
