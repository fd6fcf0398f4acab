"""What training leaves for looking at: the images whose numbers are extreme, and the maps of a few fixed ones."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.core.label_sets import label_code
from pellucid.core.modes import evaluating
from pellucid.core.randomness import fork
from pellucid.data import Dataset
from pellucid.runs.directory import RunDirectory
from pellucid.saliency import VanillaGradient, heatmap

__all__ = ["write_extremes", "write_snapshot", "write_tensors"]

SNAPSHOT_IMAGES = 4
EXTREMES = 8  # training images kept for the smallest number, and for the largest


def write_extremes(directory: RunDirectory, numbers: Mapping[str, Tensor], train: Dataset) -> None:
    """Keep the training images with the smallest and the largest of each number.

    Nothing is written for a number that is the same for all images.

    Args:
        directory: of the run.
        numbers: by name, (num_samples,) values; images whose value is not finite are left out.
        train: the training images.

    Source: Xu et al. 2023 (SCAAT), figure 3b.
    """
    for name, values in numbers.items():
        finite = values.isfinite().nonzero().flatten()
        order = finite[torch.argsort(values[finite], stable=True)]
        half = min(EXTREMES, len(order) // 2)
        if not half or values[order[0]] == values[order[-1]]:
            continue
        index = torch.cat([order[:half], order[-half:].flip(0)])
        kept = {
            "images": train.take(index),
            "index": index,
            "label": label_code(train.labels[index].cpu()),
            name: values[index],
        }
        write_tensors(directory.extremes(name), kept)


def write_snapshot(directory: RunDirectory, epoch: int, model: nn.Module, watched: Dataset) -> None:
    """Add the predictions and maps after an epoch to those of earlier ones.

    They are of the first images of a split, one a class and at most `SNAPSHOT_IMAGES`.

    Args:
        directory: of the run.
        epoch: after which the maps are taken, from 0.
        model: the network as it is now.
        watched: the split.

    Raises:
        InputError: the file that is there cannot be continued.
    """
    labels = watched.labels
    of_class = [labels == c if labels.ndim == 1 else labels[:, c] > 0 for c in range(len(watched.classes))]
    first = {int(members.nonzero()[0]) for members in of_class if bool(members.any())} or {0}
    position = torch.tensor(sorted(first)[:SNAPSHOT_IMAGES])
    images = watched.take(position)
    x = images.to(next(model.parameters()).device).float() / 255
    with fork("snapshot", device=x.device), evaluating(model):
        with torch.no_grad():
            logits = model(x)
        maps = heatmap(VanillaGradient()(model, x, logits.argmax(1))).detach()
        prediction = logits.argmax(1) if labels.ndim == 1 else label_code(logits >= 0)
    new = {"epoch": torch.tensor([epoch]), "prediction": prediction[None].cpu(), "heatmap": maps[None].float().cpu()}
    file = directory.snapshots
    if file.exists():
        try:
            there = load_file(file)
            kept = there["epoch"] < epoch
            new = {name: torch.cat([there[name][kept], value]) for name, value in new.items()}
        except (SafetensorError, KeyError, RuntimeError) as error:
            raise InputError(f"{file} cannot be continued ({error}); delete it and resume") from None
    write_tensors(file, {"images": images, "label": label_code(labels[position].cpu())} | new)


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, whole or not at all."""
    with whole_file(file) as temporary:
        temporary.write_bytes(save({name: value.contiguous() for name, value in tensors.items()}))
