"""A network and images that Python holds, as an evaluation takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pellucid.core.errors import InputError
from pellucid.data import Data, Dataset, load
from pellucid.data.factory import Examples, _Items
from pellucid.runs.any_network import lent, on_pixels, probed
from pellucid.runs.lock import working_on
from pellucid.runs.recording import record
from pellucid.runs.settings import Experiment
from pellucid.runs.trained import build_network

__all__ = ["Given", "dataset_of", "given", "recorded"]

PROBED = 2
"""Images of the first look at a network."""


@dataclass(frozen=True, eq=False)
class Given:
    """What is measured, where it is not a run directory.

    Attributes:
        network: from images (n, c, h, w) in [0, 1] to logits, with weights ``network.*`` and ``normalize.*``.
        dataset: one split, its labels numbered in the order of the logits.
        name: what a table calls the dataset.
    """

    network: nn.Module
    dataset: Dataset
    name: str


def given(
    network: nn.Module,
    images: Any,
    *,
    split: Literal["test", "validation"] = "test",
    classes: Sequence[str] | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
) -> Given:
    """A network and the images of a split, held against each other before anything is measured.

    Args:
        network: any module from images to logits; it is not changed.
        images: a `pellucid.Data`, a `pellucid.data.Dataset`, or a torch Dataset of (image, label).
        split: that is read of a `pellucid.Data`.
        classes: names of the network's classes in the order of its logits, of which the images may lack some; those of
            a network that `pellucid.load` returned, or of the images, by default.
        mean: as in `pellucid.runs.any_network.on_pixels`, as is ``std``.
        std: likewise.

    Raises:
        InputError: images of another kind, of none or of unknown classes; a network that fails on them or does not give
            a logit for each class.
    """
    if not isinstance(network, nn.Module):
        raise InputError(
            f"network must be a run directory or a torch.nn.Module, got {type(network).__name__}; a network by name "
            "is built by pellucid.models.build"
        )
    known = tuple(classes) if classes is not None else getattr(network, "classes", None)
    known = known if isinstance(known, tuple) else None
    dataset = dataset_of(images, split, classes=known)
    model = on_pixels(network, channels=dataset.shape[0], mean=mean, std=std)
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    x = dataset.take(range(min(PROBED, len(dataset)))).to(device).float() / 255
    with lent(model, device):
        model, _ = probed(model, x, classes=len(dataset.classes))
    return Given(model, dataset, images.name if isinstance(images, Data) else dataset.name)


def dataset_of(images: Any, split: Literal["test", "validation"], *, classes: tuple[str, ...] | None) -> Dataset:
    """A split of whatever holds images, its labels numbered in the order of the classes.

    Args:
        images: a `pellucid.Data`, a `pellucid.data.Dataset`, or a torch Dataset of (image, label).
        split: that is read of a `pellucid.Data`.
        classes: in the order of the logits; those of the images by default.

    Raises:
        InputError: something of another kind, no images, or a class that is none of ``classes``.
    """
    if isinstance(images, Data):
        dataset = load(images, split, alone=classes is not None)
    elif isinstance(images, Dataset):
        dataset = images
    elif hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        dataset = _of_examples(images, classes)
    else:
        raise InputError(
            "dataset must be a pellucid.Data, a pellucid.data.Dataset or a torch Dataset of (image, label) with a "
            f"length, got {type(images).__name__}"
        )
    if len(dataset) == 0:
        raise InputError(f"{dataset.name} has no {split} images")
    return dataset if classes is None else dataset.with_classes(classes)


def recorded(experiment: Experiment, out: str | Path) -> Path:
    """Build the network that an experiment names and write its run directory, as it is, without training.

    Args:
        experiment: which network, and on which images; its ``epochs`` are 0. Classes that ``dataset.classes`` names are
            the network's, in the order of its logits.
        out: the run directory.

    Raises:
        InputError: as `pellucid.models.build` and `pellucid.data.load` say, or a directory that holds something else.
    """
    dataset = load(experiment.dataset, "test", alone=experiment.dataset.classes is not None)
    if len(dataset) == 0:
        raise InputError(f"{dataset.name} has no test images")
    model = build_network(experiment, dataset)
    x = dataset.take(range(min(PROBED, len(dataset)))).float() / 255
    with lent(model, torch.device("cpu")):
        probed(model, x, classes=len(dataset.classes))
    with working_on(out):
        return record(model, experiment, dataset, out)


class _Same:
    """A factory of one split, which can be pickled as its dataset can."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __call__(self, split: str) -> Any:
        return self.dataset


def _of_examples(images: Any, classes: tuple[str, ...] | None) -> Dataset:
    """A torch Dataset of (image, label), whose channels are those of its first image."""
    name = type(images).__name__
    items = _Items(_Same(images), "test", name)
    first = items[0] if len(items) else None
    channels = 1 if getattr(first, "mode", "") in ("1", "L") or _is_grey(getattr(first, "shape", ())) else 3
    examples = Examples(items, None, channels, classes)
    return Dataset(name, "test", examples.classes, examples.shape, examples.labels, examples.images, examples.images)


def _is_grey(shape: Sequence[int]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[0] == 1)
