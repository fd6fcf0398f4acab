"""Weights files: every accepted form gives the same network, everything else is refused and changes nothing."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.models import Network, ResNet, build, load_weights

DATA: dict[str, Any] = {"classes": 4, "shape": (3, 32, 32), "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
NARROW = {"width": 2}
NET: dict[str, Any] = {"name": "resnet18", "options": NARROW, "normalize": "data"}


def trained() -> nn.Module:
    """A narrow ResNet whose BatchNorm statistics have moved."""
    torch.manual_seed(7)
    network = ResNet(classes=4, shape=(3, 32, 32), width=2)
    network(torch.rand(8, 3, 32, 32))
    return network


def save(path: Path, content: Any) -> str:
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return str(path)


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


def assert_same_state(a: nn.Module, b: nn.Module) -> None:
    assert list(a.state_dict()) == list(b.state_dict())
    assert all(torch.equal(value, b.state_dict()[key]) for key, value in a.state_dict().items())


@pytest.mark.parametrize(
    ("suffix", "wrap"),
    [
        (".safetensors", dict),
        (".safetensors", lambda state: prefixed("module.", state)),
        (".safetensors", lambda state: prefixed("network.", state) | {"normalize.mean": torch.ones(3, 1, 1)}),
        (".pth", OrderedDict),
        (".pt", lambda state: {"state_dict": state, "epoch": 3}),
        (".pth", lambda state: {"model": state, "optimizer": {"lr": 0.1}}),
        (".pth", lambda state: {"state_dict": prefixed("module.", state)}),
        (".bin", lambda state: {k: v for k, v in state.items() if "num_batches_tracked" not in k}),
    ],
)
def test_every_form_of_a_state_dict_is_read(tmp_path: Path, suffix: str, wrap: Any) -> None:
    network = trained()
    content = wrap(network.state_dict())
    if "normalize.mean" in content:
        content["normalize.std"] = torch.full((3, 1, 1), 2.0)
    path = save(tmp_path / f"weights{suffix}", content)
    normalize: Any = True if "normalize.mean" in content else "data"
    model = build(Network(name="resnet18", options=NARROW, weights=path, normalize=normalize), **DATA)
    x = torch.rand(2, 3, 32, 32)
    model.eval()
    network.eval()
    mean, std = model.get_buffer("normalize.mean"), model.get_buffer("normalize.std")
    torch.testing.assert_close(model(x), network((x - mean) / std))
    assert mean.flatten().tolist() == ([1, 1, 1] if "normalize.mean" in content else pytest.approx(DATA["mean"]))


def test_a_file_of_pytorch_before_1_6_is_read(tmp_path: Path) -> None:
    network = trained()
    torch.save(network.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    other = ResNet(classes=4, shape=(3, 32, 32), width=2)
    load_weights(other, tmp_path / "old.pth")
    assert_same_state(other, network)


def test_a_checkpoint_round_trips_whole(tmp_path: Path) -> None:
    model = build(Network(name="resnet18", options=NARROW), **DATA)
    model(torch.rand(8, 3, 32, 32))
    path = save(tmp_path / "model.safetensors", model.state_dict())
    other = build(Network(name="resnet18", options=NARROW), **{**DATA, "mean": [0.0] * 3, "std": [1.0] * 3})
    load_weights(other, path)
    assert_same_state(model, other)


def test_keys_that_look_like_a_wrappers_are_a_networks_own(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 2)
            self.network = nn.Linear(2, 2)

    wrapped, other = Wrapped(), Wrapped()
    path = save(tmp_path / "weights.pt", wrapped.state_dict())
    load_weights(other, path)
    assert_same_state(wrapped, other)


@pytest.mark.parametrize("drop", [False, True])
def test_a_new_head_is_kept_only_when_asked_for(tmp_path: Path, drop: bool) -> None:
    state = trained().state_dict()
    if drop:
        state = {key: value for key, value in state.items() if not key.startswith("fc.")}
    path = save(tmp_path / "weights.pth", state)
    data = {**DATA, "classes": 6}
    with pytest.raises(InputError, match=r"(fc.weight of shape \(4, 16\) where \(6, 16\)|missing fc).*head: new keeps"):
        build(Network(**NET, weights=path), **data)
    torch.manual_seed(3)
    model = build(Network(**NET, weights=path, head="new"), **data)
    torch.manual_seed(3)
    fresh = build(Network(**NET), **data)
    assert torch.equal(model.get_parameter("network.fc.weight"), fresh.get_parameter("network.fc.weight"))
    assert torch.equal(model.get_parameter("network.conv1.weight"), state["conv1.weight"])


def test_a_head_that_fits_is_loaded_even_if_a_new_one_is_allowed(tmp_path: Path) -> None:
    path = save(tmp_path / "weights.pth", trained().state_dict())
    model = build(Network(**NET, weights=path, head="new"), **DATA)
    assert torch.equal(model.get_parameter("network.fc.weight"), trained().get_parameter("fc.weight"))


@pytest.mark.parametrize("head", ["strict", "new"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("conv1.weight"), "missing conv1.weight$"),
        (lambda state: state.update(extra=torch.ones(1)), "unexpected extra$"),
        (
            lambda state: state.update({"conv1.weight": torch.ones(2, 3, 7, 7)}),
            r"misshaped conv1.weight of shape \(2, 3, 7, 7\) where \(2, 3, 3, 3\) is expected$",
        ),
        (lambda state: state.update({"fc.weight": torch.ones(9, 99)}), r"misshaped fc.weight of shape \(9, 99\)"),
        (
            lambda state: [state.pop(key) for key in list(state) if key.startswith("layer4.1.conv") or "bn1" in key],
            r"missing bn1.weight, bn1.bias, bn1.running_mean and \d+ more",
        ),
    ],
)
def test_weights_of_another_network_are_refused_and_nothing_is_copied(
    tmp_path: Path, head: Any, change: Any, message: str
) -> None:
    state = dict(trained().state_dict())
    change(state)
    path = save(tmp_path / "weights.pth", state)
    model = build(Network(**NET), **DATA)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError, match=message) as caught:
        load_weights(model, path, head=head)
    assert str(caught.value).startswith(f"weights in {path} do not fit this ResNet: ")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Code:
    """A pickle that would run a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, write: Any) -> None:
    write({"state_dict": trained().state_dict(), "code": Code(tmp_path / "ran")}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"weights\.pt is damaged or holds pickled objects, which may run code"):
        load_weights(trained(), tmp_path / "weights.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_file_cut_short_is_refused(tmp_path: Path, suffix: str, kept: int) -> None:
    path = tmp_path / f"weights{suffix}"
    save(path, trained().state_dict())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=f"weights file .*weights{suffix} (cannot be read|is damaged)"):
        load_weights(trained(), path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, torch.ones(3), {"state_dict": {"lr": 0.1}}])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    path = save(tmp_path / "weights.pt", content)
    with pytest.raises(InputError, match="holds no state_dict"):
        load_weights(trained(), path)


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pt", tmp_path):
        with pytest.raises(InputError, match=f"no weights file {path}"):
            load_weights(trained(), path)
    with pytest.raises(InputError, match="head must be strict or new, got 'old'"):
        load_weights(trained(), tmp_path, head="old")  # type: ignore[arg-type]
