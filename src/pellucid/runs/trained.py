"""The network of a run and the images that it belongs to, held against what the run recorded of its data."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import nn

from pellucid.core.errors import InputError
from pellucid.core.files import check_readable
from pellucid.core.notes import tell
from pellucid.core.randomness import fork
from pellucid.core.types import Image, Logits
from pellucid.data import Data, Dataset, load as load_data
from pellucid.edits.activation import swap_activations
from pellucid.edits.smoothing import smooth
from pellucid.models import Normalize, build, without_weights
from pellucid.models.outputs import PARTS
from pellucid.models.preprocessing import numbers
from pellucid.runs.digests import check_digest
from pellucid.runs.directory import RunDirectory
from pellucid.runs.facts import DataFacts, as_facts
from pellucid.runs.recording import is_object
from pellucid.runs.settings import Experiment, read_experiment

__all__ = [
    *(
        "OtherImages",
        "TrainedNetwork",
        "beside_training",
        "build_network",
        "facts_of",
        "load",
        "load_network",
        "open_images",
    ),
    *("open_run", "tell_changed_images"),
]


class OtherImages(InputError):
    """Images that a run's network was not made for, or that have changed where they may not."""


class TrainedNetwork(nn.Module):
    """The network of a run: images (n, c, h, w) with pixels in [0, 1] to logits (n, classes).

    It is an ordinary module. Its state_dict is the content of the run's ``model.safetensors``.

    Args:
        model: what `pellucid.models.build` returns, trained.
        classes: names of the classes, in the order of the logits.
        shape: (c, h, w) of the images.

    Attributes:
        normalize: makes of pixels what the weights were trained on.
        network: the network without that layer, for code that normalises by itself.
        behind: names of the layers that follow it: of a network of one logit, the one that makes two classes of it.
        classes: names of the classes, in the order of the logits.
        shape: (c, h, w) of the images.
    """

    def __init__(self, model: nn.Module, classes: tuple[str, ...], shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.normalize, self.network = model.get_submodule("normalize"), model.get_submodule("network")
        self.behind = [name for name, _ in model.named_children() if name not in PARTS]
        for name in self.behind:
            self.add_module(name, model.get_submodule(name))
        self.classes, self.shape = classes, shape

    def forward(self, x: Image) -> Logits:
        logits: Logits = self.network(self.normalize(x))
        for name in self.behind:
            logits = self.get_submodule(name)(logits)
        return logits


def load(run: str | Path) -> TrainedNetwork:
    """The trained network of a run directory, ready to be used anywhere: in eval mode, on the CPU.

    Its dataset need not be on this machine, unless the run was trained by a pellucid that recorded nothing of it.

    Args:
        run: a finished run directory, such as `pellucid.fit` and ``pellucid train`` leave.

    Returns:
        A module that takes pixels in [0, 1] and gives logits; ``classes`` and ``shape`` say of what.

    Raises:
        InputError: no run directory, a training that is not finished, weights of another network, or a network that was
            given as a Python object, which nothing can build again.
    """
    known = RunDirectory(run).facts or load_data(read_experiment(run).dataset, "test")
    model = load_network(run, known)
    return TrainedNetwork(model, known.classes, known.shape).eval()


def open_run(run: str | Path, split: Literal["train", "validation", "test"] = "test") -> tuple[nn.Module, Dataset]:
    """The trained network of a run directory and the images of a split, which belong together.

    The images are held against what the run recorded when it was trained: their labels are numbered in the order of
    the network's classes, and images that the network was not made for are refused; no training image is read where the
    split is stored by itself. A run made before runs recorded this is opened as it is.

    Args:
        run: a finished run directory.
        split: ``train``, ``validation`` or ``test``.

    Returns:
        The network in eval mode on the CPU, and the split, which holds at least one image.

    Raises:
        InputError: the run is not finished, the split holds no images, one of its classes is unknown to the network,
            its images have another size or other channels, or they were cut from the same folder as the training images
            and the folder has changed.
    """
    dataset = open_images(run, split)
    return load_network(run, dataset), dataset


def open_images(run: str | Path, split: Literal["train", "validation", "test"] = "test") -> Dataset:
    """The images of a split of a run directory, as `open_run` gives them; no weights are read.

    Args:
        run: a run directory.
        split: ``train``, ``validation`` or ``test``.

    Raises:
        OtherImages: they are not those that the network was made for, or no longer those that it was trained on.
        InputError: they are not here, or there are none.
    """
    run = Path(run)
    facts, data = RunDirectory(run).facts, read_experiment(run).dataset
    if is_object(data):
        raise InputError(
            f"the images of {run} were given as a Python object, which cannot be read again; give the network and its "
            "images to pellucid.evaluate"
        )
    dataset = load_data(data, split, alone=facts is not None)
    if len(dataset) == 0:
        raise InputError(f"{run} has no {split} images; it was trained with dataset.validation 0")
    if facts is not None and facts.images and split != "train" and dataset.cut:  # a network as given has learnt none
        _check_cut(run, facts, load_data(data, "train"))
    if facts is not None:
        _check_shape(run, facts, dataset)
        try:
            dataset = dataset.with_classes(facts.classes)
        except InputError as error:
            raise OtherImages(f"{run} was trained on other classes than the {split} images have: {error}") from None
        tell_changed_images(run, facts, dataset)
    return dataset


def load_network(run: str | Path, data: Dataset | DataFacts | None = None) -> nn.Module:
    """The trained network of a run directory, in eval mode, on the CPU.

    Args:
        run: the directory.
        data: any split of the experiment's dataset, or what is known of it; gives classes and shape. A run that
            recorded them needs none.

    Raises:
        InputError: the run is not finished, its weights are those of another network, or ``data`` is not what the run
            recorded; `open_run` maps classes in another order.
    """
    run = Path(run)
    directory = RunDirectory(run)
    experiment = read_experiment(run)
    if is_object(experiment.network):
        raise InputError(
            f"{run} holds the weights and the measures of a network that was given as a Python object, which cannot be "
            "built again from them; load its weights into the object, or name the network with --network when it is "
            "measured"
        )
    facts = directory.facts
    if facts is not None and data is not None:
        _check_shape(run, facts, data)
        if tuple(data.classes) != facts.classes:
            raise InputError(
                f"{run} was trained on the classes {_listed(facts.classes)}, got data of {_listed(data.classes)}; "
                "pellucid.runs.open_run maps classes in another order"
            )
    known = facts or data
    if known is None:
        raise InputError(
            f"{run} has no {directory.data.name}, as it was trained by an older pellucid; give a split of its dataset"
        )
    # The weights that training began with are in the trained ones' place now; their file may be gone.
    choice = without_weights(experiment.network)
    if facts is not None and facts.mean is None:  # pixels went in as they are: the network normalises by itself
        choice = replace(choice, normalize=False, mean=None, std=None)
    experiment = replace(experiment, network=choice)
    model = build_network(experiment, known)
    file = directory.weights
    check_readable(file)
    if not file.exists():
        again = f"continue it: pellucid train {run} --resume"
        raise InputError(f"{run} has no {file.name}, as its training is not finished; {again}")
    check_digest(file, directory.digests, "restore it, or train again", others=True)
    try:
        model.load_state_dict(load_file(file))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} does not fit the network of {directory.experiment}: {reason[:300]}") from None
    except Exception as error:  # safetensors raises its own class for a damaged file
        raise InputError(f"{file} cannot be read, it may be truncated: {error}") from None
    return model.eval()


def build_network(experiment: Experiment, data: Dataset | DataFacts) -> nn.Module:
    """The experiment's network with its activations, its smoothing blocks and its seed's initial weights, on the CPU.

    Args:
        experiment: says which network.
        data: a split of the experiment's dataset, or what is known of it.
    """
    with fork(experiment.seed, "init"):
        model = build(
            experiment.network, classes=len(data.classes), shape=data.shape, mean=data.mean or (), std=data.std or ()
        )
        example = torch.zeros(1, *data.shape)
        if experiment.activation is not None:
            model = swap_activations(model, experiment.activation, example=example)
        if experiment.smoothing is not None:
            model = smooth(model, experiment.smoothing, example=example)
    return model.to(memory_format=torch.channels_last) if experiment.channels_last else model  # type: ignore[call-overload]


def facts_of(model: nn.Module, train: Dataset, *others: Dataset) -> DataFacts:
    """What a run records of its data, and of what its network does to their pixels.

    Args:
        model: what is trained, as `build_network` returns it.
        train: the training images.
        others: further splits, whose contents are remembered too.
    """
    facts, layer = train.facts(), model.get_submodule("normalize")
    for name in ("mean", "std"):
        used = numbers(layer.get_buffer(name)) if isinstance(layer, Normalize) else None
        of_data = facts[name] is not None and used == numbers(torch.tensor(facts[name]))
        facts[name] = facts[name] if of_data else used  # the data set's own, in all their digits
    facts["contents"] = {split.split: split.contents for split in (train, *others) if len(split)}
    return as_facts(facts)


def beside_training(data: Data) -> list[Dataset]:
    """The splits whose contents a training remembers beside its own: validation, and test where there is one.

    Test images that cannot be read are none of a training's business, and are told when they are measured.

    Args:
        data: the images of a run.
    """
    found = [load_data(data, "validation")]
    if not data.is_fixed:
        with suppress(InputError):
            found.append(load_data(data, "test"))
    return found


def tell_changed_images(run: Path, facts: DataFacts, dataset: Dataset) -> None:
    """Tell when the images of a split are no longer those that the run recorded.

    Args:
        run: the directory.
        facts: what it recorded.
        dataset: the split as it is now.
    """
    then = facts.contents.get(dataset.split)
    if then is not None and then != dataset.contents:
        tell(
            f"the {dataset.split} images of {dataset.name} have changed since {run} recorded them (digest {then} then, "
            f"{dataset.contents} now); they are measured as they are now"
        )


def _check_cut(run: Path, facts: DataFacts, train: Dataset) -> None:
    """Refuse images that were cut from the same as the training images, when these have changed."""
    if train.fingerprint != facts.fingerprint or train.contents != facts.contents.get("train", train.contents):
        raise OtherImages(
            f"the images of {train.name} have changed since {run} was trained, so that its other images, which are "
            "cut from them, may be among those it has learnt; bring them back, or give it images apart"
        )


def _check_shape(run: Path, facts: DataFacts, data: Dataset | DataFacts) -> None:
    if tuple(data.shape) != facts.shape:
        trained, given = (" × ".join(map(str, shape)) for shape in (facts.shape, data.shape))
        raise OtherImages(
            f"{run} was trained on images of {trained} (channels × height × width), the images of {data.name} are "
            f"{given}; give images like those that it was trained on"
        )


def _listed(classes: tuple[str, ...], most: int = 10) -> str:
    more = f" and {len(classes) - most} more" if len(classes) > most else ""
    return ", ".join(classes[:most]) + more
