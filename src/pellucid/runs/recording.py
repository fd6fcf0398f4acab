"""The run directory of a network that was given, not trained: its settings, its weights, what is known of its data."""

import dataclasses
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from pellucid.config import to_config, write_json, write_yaml
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.data import Data, Dataset
from pellucid.models import Network
from pellucid.models.preprocessing import Normalize
from pellucid.runs.directory import RunDirectory
from pellucid.runs.environment import environment
from pellucid.runs.facts import DataFacts
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
    # Cloned, since safetensors refuses weights that share memory, as tied ones do.
    weights = save({name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()})
    if directory.is_finished and directory.weights.read_bytes() != weights:
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
    machine = environment(next((p.device for p in model.parameters()), torch.device("cpu")))
    write_json(machine | {"parameters": count_parameters(model)}, directory.environment)
    write_json(dataclasses.asdict(facts), directory.data)
    write_yaml(experiment, directory.experiment)
    with whole_file(directory.weights) as temporary:
        temporary.write_bytes(weights)
    return directory.path


def _check_directory(directory: RunDirectory, experiment: Experiment) -> None:
    run = directory.path
    if run.exists() and not run.is_dir():
        raise InputError(f"the run directory {run} is a file; give a folder")
    if not directory.experiment.exists():
        if run.exists() and (foreign := next(run.glob("[!.]*"), None)) is not None:
            raise InputError(f"{run} holds {foreign.name!r} and no run; give a new or empty folder")
        return
    there = read_experiment(run)
    if there.epochs or to_config(there.network) != to_config(experiment.network):
        what = f"a training of {there.network.name}" if there.epochs else f"the network {there.network.name}"
        raise InputError(f"{run} holds {what} already; give another folder")
