"""A refusal of pickled objects is pellucid's own sentence: PyTorch's says how to run them all the same."""

import pickle
import traceback
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pellucid.cli import main
from pellucid.core.torch_files import read_torch_file, reason_of
from pellucid.exports.standalone import _weights
from pellucid.models.checkpoints import read_checkpoint


class Code:
    """A pickle that would run a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def saved(content: Any, path: Path) -> None:
    torch.save(content, path)


def old_form(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def pickled(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def scripted(content: Any, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is on its way out
        torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(str(path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*looks like a TorchScript archive")
@pytest.mark.parametrize("write", [saved, old_form, pickled, scripted])
@pytest.mark.parametrize("read", [read_torch_file, read_checkpoint, lambda path: _weights(path.parent)])
def test_no_reader_repeats_the_advice(tmp_path: Path, write: Any, read: Any) -> None:
    write({"weight": torch.ones(2), "code": Code(tmp_path / "ran")}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="model.pt") as caught:
        read(tmp_path / "model.pt")
    told = "".join(traceback.format_exception(caught.value))
    assert not (tmp_path / "ran").exists()
    for advice in ("weights_only`", "weights_only=False", "add_safe_globals", "arbitrary code execution"):
        assert advice not in told, advice


def test_a_checkpoint_of_pickled_objects_is_told_without_advice(tmp_path: Path, capsys: Any) -> None:
    settings = ["--dataset.limit=32", "--batch_size=16", "--accelerator=cpu"]
    assert main(["train", str(tmp_path / "run"), "--epochs=1", *settings]) == 0
    saved({"epoch": 0, "code": Code(tmp_path / "ran")}, tmp_path / "run" / "state.pt")
    for name in ("model.safetensors", "digests.json"):  # a stranger's directory need not have the latter
        (tmp_path / "run" / name).unlink()
    capsys.readouterr()
    assert main(["train", str(tmp_path / "run"), "--resume", "--accelerator=cpu"]) == 2
    error = capsys.readouterr().err
    assert "state.pt is damaged or holds pickled objects, which may run code" in error
    assert "weights_only" not in error and "safe_globals" not in error and not (tmp_path / "ran").exists()


def test_what_is_harmless_is_read(tmp_path: Path) -> None:
    content = OrderedDict(weight=torch.arange(3.0), rows=[{"epoch": 1, "loss": 0.5}], name="a")
    torch.save(content, tmp_path / "state.pt")
    assert read_torch_file(tmp_path / "state.pt")["rows"] == content["rows"]
    assert torch.equal(read_torch_file(tmp_path / "state.pt")["weight"], content["weight"])


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_a_damaged_file_is_told_in_one_line(tmp_path: Path, kept: int) -> None:
    torch.save({"weight": torch.ones(100)}, tmp_path / "state.pt")
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:kept])
    with pytest.raises(Exception) as caught:  # noqa: PT011  # PyTorch raises many kinds
        read_torch_file(tmp_path / "state.pt")
    assert "\n" not in reason_of(caught.value) and "weights_only" not in reason_of(caught.value)
