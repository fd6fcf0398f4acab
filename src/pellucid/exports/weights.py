"""Weights that load without pellucid: the network's own keys, beside what its user must know of images."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from pellucid.core.errors import InputError, raised
from pellucid.core.files import whole_file
from pellucid.exports import standalone
from pellucid.exports.exported_network import ExportedNetwork
from pellucid.exports.parity import Parity, compared

__all__ = ["FILES", "check_weights", "plain_weights", "write_json", "write_weights"]

FILES = ("model.safetensors", "model.pt", "preprocessing.json", "model.py")
"""Names of the files of `write_weights`."""


def plain_weights(exported: ExportedNetwork) -> dict[str, Tensor]:
    """The state_dict of the network without its normalisation, with the keys that its factory's network has."""
    return {name: value.detach().clone().contiguous() for name, value in exported.network.state_dict().items()}


def write_weights(exported: ExportedNetwork, folder: Path, *, pickled: bool = True) -> list[Path]:
    """Write the weights as safetensors and as PyTorch's file, ``preprocessing.json`` and ``model.py``.

    The last one needs no pellucid: it gives a bare network its weights, and makes in it what pellucid changed.

    Args:
        exported: the network.
        folder: where to.
        pickled: whether PyTorch's file is written too; it holds tensors alone.

    Returns:
        The files.
    """
    weights = plain_weights(exported)
    written = [folder / "model.safetensors"]
    with whole_file(written[0]) as file:
        save_file(weights, file, metadata={"format": "pt"})
    if pickled:
        written.append(folder / "model.pt")
        with whole_file(written[-1]) as file:
            torch.save(weights, file)
    written.append(write_json(exported.preprocessing, folder / "preprocessing.json"))
    written.append(folder / "model.py")
    with whole_file(written[-1]) as file:
        shutil.copyfile(standalone.__file__, file)
    return written


def check_weights(exported: ExportedNetwork, folder: Path, *, tolerance: float) -> Parity:
    """Load the written weights into the bare network and compare it with the run's.

    Args:
        exported: the network.
        folder: where `write_weights` wrote.
        tolerance: largest difference of a logit, relative to the largest logit.

    Raises:
        InputError: the bare network does not take the weights, or gives other logits with them.
    """
    try:
        loaded = standalone.load(exported.bare(), folder)
    except (RuntimeError, AttributeError, KeyError) as error:
        raise InputError(
            f"the weights of {exported.run} do not load into {exported.experiment.network.name} alone "
            f"({raised(error)[:200]}); onnx and torch_export hold the network as it is"
        ) from error

    def run(images: Any) -> list[Any]:
        with torch.no_grad():
            return [loaded(torch.from_numpy(images)).numpy()]

    images: Any = np.ascontiguousarray(exported.images.numpy())
    with torch.no_grad():
        expected = exported.model(exported.images).numpy()
    return compared(run, images, [expected], what="model.safetensors", tolerance=tolerance)


def write_json(values: Any, file: Path) -> Path:
    """Write plain data as JSON that people can read."""
    with whole_file(file) as temporary:
        temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file
