"""The run directory of a network that was given, not trained: its settings, its weights, what is known of its data."""

import dataclasses
import hashlib
import re
from pathlib import Path

import torch
from torch import nn

from pellucid.config import to_config, write_json, write_yaml
from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.data import Data, Dataset
from pellucid.models import Network
from pellucid.models.preprocessing import Normalize
from pellucid.runs.checkpoint import weights_content
from pellucid.runs.digests import digested_file
from pellucid.runs.directory import RunDirectory
from pellucid.runs.facts import DataFacts
from pellucid.runs.provenance import begun
from pellucid.runs.settings import Experiment, count_parameters, read_experiment

__all__ = ["OBJECT", "is_object", "of_object", "record"]

OBJECT = "object:"
"""What the name of a network or dataset begins with that was given as a Python object, and so cannot be built again."""


def is_object(choice: Network | Data) -> bool:
    """Whether a network or dataset was given as a Python object.

    >>> is_object(Network(name="object:Sequential")), is_object(Network())
    (True, False)
    """
    return choice.name.startswith(OBJECT)


def of_object(network: nn.Module, data: Data | Dataset) -> Experiment:
    """The experiment of a network that is a Python object: no training, and nothing that could be built again.

    Args:
        network: the object.
        data: a choice of data, which is kept, or images that only Python holds.
    """
    kind = type(network)
    dataset = data if isinstance(data, Data) else Data(name=f"{OBJECT}{data.name}")
    return Experiment(dataset=dataset, network=Network(name=f"{OBJECT}{kind.__module__}.{kind.__qualname__}"), epochs=0)


def record(model: nn.Module, experiment: Experiment, dataset: Dataset, run: str | Path) -> Path:
    """Write a run directory of a network as it is, which every command reads like that of a training.

    A directory that holds such a record already is written again; its rows go where the weights are others.

    Args:
        model: the network behind its normalisation, with weights ``network.*`` and ``normalize.*``.
        experiment: how it is built, its ``epochs`` 0.
        dataset: images that it is looked at on; give classes and shape.
        run: the directory.

    Returns:
        The directory.

    Raises:
        InputError: the directory holds a training, another network, or files that are no run's.
    """
    directory = RunDirectory(run)
    _check_directory(directory, experiment)
    weights = weights_content(model.state_dict(), layers=_layers(model))
    if directory.is_finished and directory.weights.read_bytes() != weights:
        if directory.is_evaluated:
            tell(f"note: {run} was measured with other weights; those rows go, and new ones take their place")
        for file in (directory.rows, directory.maps, directory.evaluation, directory.weights):
            file.unlink(missing_ok=True)
    layer = getattr(model, "normalize", None)
    mean, std = (layer.mean, layer.std) if isinstance(layer, Normalize) else (None, None)
    facts = DataFacts(
        name=dataset.name, classes=dataset.classes, shape=dataset.shape, images=0, fingerprint=dataset.fingerprint,
        task=dataset.task, contents={dataset.split: dataset.contents},
        mean=None if mean is None else tuple(mean.flatten().tolist()),
        std=None if std is None else tuple(std.flatten().tolist()),
    )  # fmt: skip
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    if not directory.environment.exists():
        begun(directory, "recording", device, parameters=count_parameters(model))
    write_json(dataclasses.asdict(facts), directory.data)
    write_yaml(experiment, directory.experiment)
    with digested_file(directory.weights, directory.digests) as temporary:
        temporary.write_bytes(weights)
    return directory.path


def _layers(model: nn.Module) -> str:
    """A digest of how a network is described: another activation has the same weights."""
    return hashlib.blake2b(re.sub("0x[0-9a-f]+", "", repr(model)).encode(), digest_size=8).hexdigest()


def _check_directory(directory: RunDirectory, experiment: Experiment) -> None:
    run = directory.path
    if run.exists() and not run.is_dir():
        raise InputError(f"the run directory {run} is a file; give a folder")
    if not directory.experiment.exists():
        if foreign := directory.foreign:
            raise InputError(f"{run} is not a run, as it holds {foreign[0]!r}; give a new or empty folder")
        return
    there = read_experiment(run)
    if there.epochs or to_config(there.network) != to_config(experiment.network):
        what = f"a training of {there.network.name}" if there.epochs else f"the network {there.network.name}"
        raise InputError(f"{run} holds {what} already; give another folder")
