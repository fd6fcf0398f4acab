"""Files of weights as people have them: which format they are in, and which of their tensors are a network's."""

import argparse
import pathlib
import pickle
import re
import zipfile
from collections.abc import Mapping
from datetime import datetime, timedelta
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

AVERAGED = re.compile(r"(^|_)(ema|swa|avg|averaged?|shadow)(_|$)", re.IGNORECASE)
"""In the names under which training scripts put an average of the weights, which is what they evaluate."""

PLAIN = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Where training scripts put the weights, in the order in which they are looked for."""

BESIDE = re.compile(r"optim|sched|scaler|loss|criterion|callbacks|loops|hyper_?param|args|config|rng", re.IGNORECASE)
"""In the names of what training scripts put beside the weights."""

DEEPEST = 4
"""Levels of a file's content in which a state_dict is looked for."""

FOREIGN = {
    b"": ("cannot be read, it is empty", "copy or load it again"),
    b"version https://git-lfs": ("is a pointer of Git LFS, not the file itself", "git lfs pull fetches it"),
    b"<": ("is a page of the web, not weights", "load the file that the page links to"),
    b"{": ("is JSON, such as the list of a file in several parts", "save the whole state_dict in one file"),
    b"\x1f\x8b": ("is compressed by gzip", "unpack it first"),
    b"BZh": ("is compressed by bzip2", "unpack it first"),
    b"\xfd7zXZ": ("is compressed by xz", "unpack it first"),
    b"\x28\xb5\x2f\xfd": ("is compressed by zstd", "unpack it first"),
    b"\x89HDF": ("is HDF5, as Keras writes weights", "only PyTorch's format and safetensors are read"),
    b"\x08": ("looks like ONNX", "export the state_dict of the network that it was made of"),
    b"\x93NUMPY": ("is an array of NumPy", "only PyTorch's format and safetensors are read"),
}
"""Other files that are taken for weights, by their first bytes: what each is, and what to do."""


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a network in a file, by the file's own names; no code of the file is run.

    Read are safetensors, whatever the file is called, and PyTorch's format, with tensors in any precision, or arrays
    of NumPy. The state_dict may be the whole content, lie under one of the usual names, or be the only one there is; an
    average that lies beside it is taken in its place, and that is told. Numbers of NumPy, dates, paths and
    ``argparse.Namespace`` may stand beside the tensors.

    Args:
        path: of the file.

    Raises:
        InputError: no such file; a damaged one; one that is no state_dict, such as a TorchScript program or a web page,
            that holds several, or other pickled objects, which may run code. The sentence says how to save what is
            needed.

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
    except InputError:
        raise
    except Exception as error:  # whatever a reader raises that meets other bytes than it expects
        _refuse_foreign(path)
        if isinstance(error, pickle.UnpicklingError):
            raise InputError(
                f"weights file {path} is damaged or holds pickled objects, which may run code{_objects(path)}; a "
                "state_dict of tensors alone is accepted, as torch.save(network.state_dict(), FILE) writes it"
            ) from None  # PyTorch's own sentence advises how to run the code all the same
        raise InputError(f"weights file {path} cannot be read, it may be cut short: {reason_of(error)}") from None


def _refuse_foreign(path: Path) -> None:
    """Refuse a file whose first bytes say that it is something else."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
        file.seek(257)
        is_tar = file.read(5) == b"ustar"
    if not start:
        raise InputError("weights file {} {}; {}".format(path, *FOREIGN[b""]))
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if not any(name.endswith("data.pkl") for name in names):
            raise InputError(
                f"weights file {path} is an archive of {', '.join(names[:3])}, not PyTorch's own; unpack it first"
            )
    if is_tar and b"././@LongLink" not in start and not start.startswith(b"sys_info"):
        raise InputError(f"weights file {path} is a tar archive; unpack it first")
    for magic, (what, way) in FOREIGN.items():
        if magic and start.startswith(magic):
            raise InputError(f"weights file {path} {what}; {way}")


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
            f"{path} is a TorchScript program; save only its weights: "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW)"
        )
    if any(name.startswith("models/") or name == "serialized_exported_program.json" for name in names):
        raise InputError(
            f"{path} is a torch.export program; save only its weights: torch.save(torch.export.load(FILE).state_dict, "
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
    plain = [argparse.Namespace, datetime, timedelta]
    return [*moved, np.ndarray, np.dtype, *kinds, *plain, type(pathlib.PurePath()), type(Path())]


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
    while not (tensors := _tensors(content)):
        inside = _inside(content)
        if not inside:
            raise InputError(
                f"weights file {path} holds no state_dict; a mapping of names to tensors is accepted, plain or under "
                f"{', '.join(repr(key) for key in PLAIN[:-1])} or {PLAIN[-1]!r}"
            )
        averages = [key for key in inside if AVERAGED.search(key)]
        usual = [key for key in PLAIN if key in inside]
        key = (averages or usual or list(inside))[0]
        if len(averages) > 1 or not (averages or usual or len(inside) == 1):
            raise InputError(
                f"weights file {path} holds several networks, {', '.join(averages or inside)}; save only one of them"
            )
        if averages:
            averaged = f"{key!r}" + (f" and not {usual[0]!r}" if usual else "")
        content = inside[key]
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(f"weights file {path} holds numbers that are not finite, in {name}; its training diverged")
    if averaged is not None:
        tell(f"took the averaged weights of {path}: {averaged}")
    return tensors


def _tensors(content: Any, depth: int = DEEPEST) -> dict[str, Tensor]:
    """The tensors of a state_dict; none of what is no state_dict: it has a name and a number of dimensions for each."""
    if not isinstance(content, Mapping):
        return {}
    found: dict[str, Tensor] = {}
    for name, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            value = torch.from_numpy(value)
        if isinstance(name, str) and isinstance(value, Tensor):
            found[name] = value
    # Beside a state_dict may stand the step as a tensor, or a table of results, but never its weights.
    nested = any(_tensors(inner, depth - 1) for inner in _inside(content, depth).values())
    return {} if nested and not any("." in name or name in ("weight", "bias") for name in found) else found


def _inside(content: Any, depth: int = DEEPEST) -> dict[str, Any]:
    """What may be, or hold, a state_dict one level further down, by its name or place."""
    if depth == 0:
        return {}
    items: Any = content.items() if isinstance(content, Mapping) else ()
    if isinstance(content, list | tuple):
        items = enumerate(content)
    candidates = {str(name): value for name, value in items if not BESIDE.search(str(name))}
    return {
        name: value for name, value in candidates.items() if _tensors(value, depth - 1) or _inside(value, depth - 1)
    }
