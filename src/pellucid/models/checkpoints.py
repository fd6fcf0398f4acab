"""Files of weights as people have them: which format they are in, and which of their tensors are a network's."""

import argparse
import pathlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.core.torch_files import reason_of

__all__ = ["read_checkpoint"]

AVERAGED = ("state_dict_ema", "model_ema_state_dict", "ema_state_dict", "model_ema", "ema")
"""Where training scripts put a moving average of the weights, which is what they evaluate."""

PLAIN = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Where training scripts put the weights, in the order in which they are looked for."""


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a network in a file, by the file's own names; no code of the file is run.

    Read are safetensors, whatever the file is called, and PyTorch's format, with tensors in any precision. The
    state_dict may be the whole content or lie under one of the usual names; a moving average that lies beside it is
    taken in its place, and that is told. Numbers of NumPy, ``argparse.Namespace`` and paths may stand beside the
    tensors.

    Args:
        path: of the file.

    Raises:
        InputError: no such file; a damaged one; one that is no state_dict, such as a TorchScript program, or holds
            other pickled objects, which may run code. The sentence says how to save what is needed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"model_state_dict": {"weight": torch.ones(2, 3)}, "epoch": 7}, f"{folder}/last.ckpt")
    ...     list(read_checkpoint(f"{folder}/last.ckpt"))
    ['weight']
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no weights file {path}; give the path of a .safetensors, .pt or .pth file")
    return _state_dict(_read(path), path)


def _read(path: Path) -> Any:
    try:
        if _is_safetensors(path):
            return load_file(path)
        _refuse_program(path)
        # The file and not its path, whose ending torch.load would believe.
        with torch.serialization.safe_globals(_harmless()), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"weights file {path} is damaged or holds pickled objects, which may run code{_objects(path)}; a "
            "state_dict of tensors alone is accepted, as torch.save(network.state_dict(), FILE) writes it"
        ) from None  # PyTorch's own sentence advises how to run the code all the same
    except InputError:
        raise
    except Exception as error:  # whatever a reader raises that meets other bytes than it expects
        raise InputError(f"weights file {path} cannot be read, it may be cut short: {reason_of(error)}") from None


def _is_safetensors(path: Path) -> bool:
    """By the first bytes: the length of a header in JSON; by the name where they tell nothing."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:9] == b"{" or (path.suffix == ".safetensors" and not start.startswith(b"PK"))


def _refuse_program(path: Path) -> None:
    """Refuse archives of PyTorch that hold a program rather than weights."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
    if "constants.pkl" in names:
        raise InputError(
            f"{path} is a TorchScript program; save its weights alone: "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW)"
        )
    if any(name.startswith("models/") or name == "serialized_exported_program.json" for name in names):
        raise InputError(
            f"{path} is a torch.export program; save its weights alone: torch.save(torch.export.load(FILE).state_dict, "
            "NEW)"
        )


def _harmless() -> list[Any]:
    """Classes that training scripts leave beside the weights and that do nothing when they are read."""
    scalar: Any = np.float64(0).__reduce__()[0]
    rebuild: Any = np.zeros(1).__reduce__()[0]
    kinds = [kind for kind in vars(np.dtypes).values() if isinstance(kind, type)]
    # NumPy moved its core from numpy.core to numpy._core, and files name it as their writer knew it.
    moved = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    moved += [(rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    return [*moved, np.ndarray, np.dtype, *kinds, argparse.Namespace,
            type(pathlib.PurePath()), type(Path())]  # fmt: skip


def _objects(path: Path) -> str:
    """The classes that stop a file from being read, for a sentence."""
    try:
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # a damaged file, or one of before PyTorch 1.6
        return ""
    return f" ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The state_dict in a file's content, an averaged one first."""
    averaged = None
    while isinstance(content, Mapping):
        key = next((key for key in (*AVERAGED, *PLAIN) if isinstance(content.get(key), Mapping)), None)
        if key is None:
            break
        beside = [other for other in PLAIN if isinstance(content.get(other), Mapping)]
        if key in AVERAGED:
            averaged = f"{key!r}" + (f" and not {beside[0]!r}" if beside else "")
        content = content[key]
    tensors = (
        {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise InputError(
            f"weights file {path} holds no state_dict; a mapping of names to tensors is accepted, plain or under "
            f"{', '.join(repr(key) for key in PLAIN[:-1])} or {PLAIN[-1]!r}"
        )
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(f"weights file {path} holds numbers that are not finite, in {name}; its training diverged")
    if averaged is not None:
        tell(f"took the averaged weights of {path}: {averaged}")
    return tensors
