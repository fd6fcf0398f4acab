"""What is exported: a run's network, what it needs to know of images, and real images to check files on."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pellucid import __version__
from pellucid.core.errors import InputError
from pellucid.core.feature_maps import Grid
from pellucid.core.randomness import SampleDraws
from pellucid.core.types import Image
from pellucid.data import load
from pellucid.edits.smoothing import Smoothed
from pellucid.explanation.explained_network import of_run
from pellucid.models import without_weights
from pellucid.models.binary import Binary
from pellucid.models.outputs import Logits, bare
from pellucid.runs.directory import RunDirectory
from pellucid.runs.facts import DataFacts
from pellucid.runs.settings import Experiment, read_experiment
from pellucid.runs.trained import build_network

__all__ = ["ExportedNetwork", "read_network"]


@dataclass(frozen=True, eq=False)
class ExportedNetwork:
    """A run's network with all that its files say of it.

    Attributes:
        run: the run directory.
        experiment: how it was trained.
        model: normalisation and network, in eval mode on the CPU; no weight asks for a gradient.
        classes: names of the classes, in the order of the logits.
        shape: (c, h, w) of the images.
        images: (n, c, h, w) in [0, 1], on which files are compared with the model.
        images_are: what these images are, in words.
    """

    run: Path
    experiment: Experiment
    model: nn.Module
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    images: Image
    images_are: str

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.resolve().name

    @property
    def network(self) -> nn.Module:
        """The network itself, without its normalisation and the layer that takes the logits from its output."""
        return bare(self.model)

    @property
    def one_logit(self) -> bool:
        """Whether the network gives one logit, of which the model makes two classes."""
        return any(isinstance(child, Binary) for child in self.model.children())

    @property
    def normalization(self) -> tuple[list[float], list[float]] | None:
        """Mean and deviation of each channel that the model's first layer uses; None where it has none."""
        layer = self.model.get_submodule("normalize")
        if not isinstance(getattr(layer, "mean", None), Tensor):
            return None
        mean, std = layer.get_buffer("mean"), layer.get_buffer("std")
        return mean.flatten().tolist(), std.flatten().tolist()

    @property
    def output(self) -> dict[str, Any] | None:
        """The entry of its output that holds the logits, and what the network is called with, as plain data."""
        network = self.model.get_submodule("network")
        if not isinstance(network, Logits):
            return None
        return {"key": "logits" if network.key is None else str(network.key), "keywords": network.keywords}

    @property
    def smoothed_layers(self) -> dict[str, Grid]:
        """The layers that a smoothing block follows, as the factory's network names them, and how each is read."""
        layers = {}
        for name, module in self.network.named_modules():
            if isinstance(module, Smoothed):
                parts = name.split(".")
                above = [self.network.get_submodule(".".join(parts[:k])) for k in range(len(parts))]
                # A smoothed layer lies in its block as `layer`, a name that the factory's network does not have.
                kept = [part for part, parent in zip(parts, above, strict=True) if not isinstance(parent, Smoothed)]
                layers[".".join(kept)] = module.smoothing.grid
        return layers

    @property
    def changes(self) -> dict[str, Any]:
        """What was changed in the network that its factory makes, as plain data; each is None where it was not."""
        activation, smoothing = self.experiment.activation, self.experiment.smoothing
        block = smoothing and {
            "layers": {
                name: {"layout": grid.layout, "height": grid.height, "width": grid.width, "prefix": grid.prefix}
                for name, grid in self.smoothed_layers.items()
            },
            "filter": smoothing.filter,
            "kernel_size": smoothing.kernel_size,
        }
        return {"activation": activation and asdict(activation), "smoothing": block}

    @property
    def change_words(self) -> str:
        """What was changed in the network that its factory makes; empty where nothing was."""
        activation, smoothing = self.experiment.activation, self.experiment.smoothing
        swapped = activation and f"{activation.name} (beta {activation.beta:g}) stands in the place of every ReLU"
        block = smoothing and f"a {smoothing.filter} smoothing block follows {', '.join(self.smoothed_layers)}"
        return " and ".join(part for part in (swapped, block) if part)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What whoever uses the weights must know, as plain data."""
        mean, std = self.normalization or (None, None)
        channels, height, width = self.shape
        resized = self.experiment.dataset.size  # None: every image is taken as it is stored
        return {
            "pixels": "grey in [0, 1]" if channels == 1 else f"{channels} channels in [0, 1]",
            "channels": channels,
            "size": [height, width],
            "resize": None if resized is None else "the shorter side to the size, bilinear, then the middle",
            "mean": mean,
            "std": std,
            "classes": list(self.classes),
            "network": {"name": self.experiment.network.name, "options": self.experiment.network.options},
            "output": self.output,
            "one_logit": self.one_logit,
            "changes": self.changes,
            "pellucid": __version__,
        }

    def bare(self) -> nn.Module:
        """The network as its factory makes it for these classes and images, with fresh weights, in eval mode."""
        choice = replace(without_weights(self.experiment.network), normalize=False, mean=None, std=None)
        plain = replace(self.experiment, network=choice, activation=None, smoothing=None, channels_last=False)
        shown = DataFacts(
            name="", classes=self.classes, shape=self.shape, images=0, fingerprint="",
            mean=(0.0,) * self.shape[0], std=(1.0,) * self.shape[0],
        )  # fmt: skip
        return bare(build_network(plain, shown)).eval()


def read_network(run: str | Path, *, images: int = 8) -> ExportedNetwork:
    """The network of a finished run.

    Args:
        run: the run directory.
        images: how many images files are compared on, at least 2: those of the run's gallery, or else test images, or
            else uniform noise where the dataset is not there.

    Raises:
        InputError: no run, or one whose training is not finished.
    """
    if images < 2:
        raise InputError(f"images must be at least 2, got {images}")
    run = Path(run)
    if not run.is_dir():
        raise InputError(f"no run directory {run}; `pellucid export` takes one that pellucid train wrote")
    experiment = read_experiment(run)
    explained = of_run(run)
    model = explained.model.to(memory_format=torch.contiguous_format).requires_grad_(False).eval()  # type: ignore[call-overload]
    pixels, are = _images(RunDirectory(run), experiment, explained.shape, images)
    return ExportedNetwork(run, experiment, model, explained.classes, explained.shape, pixels, are)


def _images(
    directory: RunDirectory, experiment: Experiment, shape: tuple[int, int, int], count: int
) -> tuple[Image, str]:
    kept = _gallery(directory)
    if kept is not None and len(kept) >= 2 and tuple(kept.shape[1:]) == shape:
        return kept[:count].float() / 255, f"{min(count, len(kept))} test images"
    try:
        dataset = load(experiment.dataset, "test", alone=True)
        if len(dataset) >= 2 and tuple(dataset.shape) == shape:
            number = min(count, len(dataset))
            return dataset.take(range(number)).float() / 255, f"{number} test images"
    except InputError:
        pass  # the dataset is not on this machine
    noise = SampleDraws(0, tuple(range(count)), "export").uniform((count, *shape))
    return noise, f"{count} images of noise, as the run kept none and its dataset is not here"


def _gallery(directory: RunDirectory) -> Tensor | None:
    """The images of the run's gallery, uint8; None where none were kept."""
    if not directory.maps.exists():
        return None
    try:
        return load_file(directory.maps).get("images")
    except SafetensorError as error:
        raise InputError(f"{directory.maps} cannot be read ({error}); evaluate the run again") from error
