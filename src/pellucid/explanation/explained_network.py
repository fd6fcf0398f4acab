"""The network whose predictions are explained: a pellucid run, or any PyTorch classifier."""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pellucid.config import read_config
from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.core.types import Image, Task
from pellucid.data import load
from pellucid.methods.method import BOTH
from pellucid.models import Network, bare, build, preprocessing_of
from pellucid.models.imagenet import published_classes
from pellucid.models.network import is_untrained
from pellucid.runs.any_network import on_pixels, probed, tell_raw_pixels
from pellucid.runs.digests import digest_of
from pellucid.runs.directory import RunDirectory
from pellucid.runs.facts import DataFacts
from pellucid.runs.settings import read_experiment
from pellucid.runs.trained import load_network

if TYPE_CHECKING:
    from pellucid.runs.evaluation import Evaluation

__all__ = ["ExplainedNetwork", "class_names", "of_module", "of_network", "of_run"]

SMALL = 64
"""Side in pixels above which convolutions of colour images are faster with the channels last in memory."""


@dataclass(frozen=True, eq=False)
class ExplainedNetwork:
    """A network in eval mode with what is known of it.

    Attributes:
        name: what the card calls it.
        model: maps (n, c, h, w) pixels in [0, 1] to (n, classes) logits.
        classes: names of the classes, in the order of the logits.
        shape: (c, h, w) of the images that it takes.
        weights: digest of its weights.
        run: the run directory that it comes from; None for a network of other origin.
        evaluation: how that run was evaluated; None where it was not.
        task: ``multiclass``, the network names one of the classes; ``multilabel``, any number of them.
        file: that the weights were read from; None where there was none.
        class_file: that the names of the classes were read from.
    """

    name: str
    model: nn.Module
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    weights: str
    run: Path | None = None
    evaluation: "Evaluation | None" = None
    task: Task = "multiclass"
    file: Path | None = None
    class_file: Path | None = None

    @cached_property
    def file_digest(self) -> str:
        """SHA-256 of the file of the weights; empty without one."""
        return "" if self.file is None else digest_of(self.file)

    @property
    def preprocessing(self) -> str:
        """How a picture becomes what the network sees, in words."""
        channels, height, width = self.shape
        colours = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
        fitted = f"shorter side scaled and centre cropped to {width} × {height} pixels in {colours}"
        if channels not in (1, 3):
            fitted = f"{width} × {height} pixels of {colours}, not scaled"
        known = preprocessing_of(self.model)
        return f"{fitted}; " + ("pixels from 0 to 1 as they are" if known is None else f"then {known}")

    def with_model(self, model: nn.Module, logits: int | None = None) -> "ExplainedNetwork":
        """The same network in another form, such as a copy on another device; its digest and its run stay.

        Args:
            model: of the same weights.
            logits: how many it gives, of which classes without names are named.
        """
        classes = self.classes or tuple(f"class {number}" for number in range(logits or 0))
        return replace(self, model=model, classes=classes)

    def batch(self, pixels: Sequence[Tensor]) -> Image:
        """Images (c, h, w) uint8 as the network takes them: (n, c, h, w) in [0, 1], on its device."""
        device = next(iter(self.model.parameters()), torch.empty(0)).device
        return torch.stack(list(pixels)).to(device).float() / 255


def __getattr__(name: str) -> Any:
    if name != "Subject":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("Subject is now ExplainedNetwork; the old name will be removed", DeprecationWarning, stacklevel=2)
    return ExplainedNetwork


def of_run(path: str | Path) -> ExplainedNetwork:
    """The network of a finished run, or of the file of its weights.

    Its dataset need not be there, unless the run was made by a pellucid that recorded nothing of it, and not evaluated.

    Args:
        path: the run directory, or the file of the weights in it.

    Raises:
        InputError: no run, or one whose training is not finished.
    """
    run = Path(path)
    if run.is_file():
        if run != RunDirectory(run.parent).weights:
            raise InputError(
                f"{path} is not a run directory; name one, or explain any network with --network "
                "package.module:factory --weights FILE"
            )
        run = run.parent
    directory = RunDirectory(run)
    known = directory.facts or _facts_of_evaluation(directory) or load(read_experiment(run).dataset, "test")
    model = load_network(run, known)
    name = run.resolve().name
    return ExplainedNetwork(
        name, model, known.classes, known.shape, _digest(model), run, _evaluation(directory), cast(Task, known.task),
        file=directory.weights,
    )  # fmt: skip


def _facts_of_evaluation(directory: RunDirectory) -> DataFacts | None:
    """What the evaluation of an older run, which recorded nothing itself, tells of its data; None without one."""
    try:
        info = json.loads((pq.read_schema(directory.rows).metadata or {})[b"pellucid"])
        with safe_open(directory.maps, "pt") as maps:
            _, c, h, w = maps.get_slice("images").get_shape()
    except (OSError, pa.ArrowInvalid, SafetensorError, KeyError, ValueError):
        return None
    # The numbers of a normalisation come with the weights.
    moments = {"mean": (0.0,) * c, "std": (1.0,) * c}
    classes = tuple(info["classes"])
    return DataFacts(name=info["dataset"], classes=classes, shape=(c, h, w), images=0, fingerprint="", **moments)


def _evaluation(directory: RunDirectory) -> "Evaluation | None":
    from pellucid.runs.evaluation import Evaluation

    file = directory.evaluation
    if not file.is_file() or not directory.is_evaluated:
        return None
    evaluation: Evaluation = read_config(file, Evaluation)
    return evaluation


def of_network(
    network: str,
    *,
    weights: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    size: int = 224,
    channels: int = 3,
    classes: int | Sequence[str] | Path = 1000,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    task: Task = "multiclass",
    answers: bool = True,
) -> ExplainedNetwork:
    """Any PyTorch classifier; its weights are read without running code.

    Args:
        network: ``package.module:factory``, ``timm:NAME``, ``torchvision:NAME``, ``huggingface:NAME`` or one of
            pellucid's own.
        weights: file of its state_dict, .safetensors or PyTorch's; what the factory returns is taken without one.
        options: keyword arguments of the factory.
        size: side in pixels of the square images that it takes.
        channels: of these images.
        classes: how many logits it gives, or the name of each, or the path of a file of the names (`class_names`).
            Published ImageNet weights bring their names.
        mean: one number a channel, or one for all, that is subtracted from pixels in [0, 1]; by default what the
            weights were trained with where they say so, and nothing otherwise.
        std: one number a channel that the rest is divided by; likewise.
        task: ``multilabel`` for a network whose sigmoids say of each label whether it applies.
        answers: whether its answers will be looked at, so that random weights and unknown pixels are worth a word.

    Raises:
        InputError: as `pellucid.models.build`; or numbers that cannot be.
    """
    one_of(BOTH, task=task)
    if size < 1 or channels < 1:
        raise InputError(f"size and channels must be at least 1, got {size} and {channels}")
    class_file = classes if isinstance(classes, Path) else None
    classes = class_names(classes) if isinstance(classes, Path) else classes
    file = None if weights is None else str(weights)
    choice = Network(name=network, weights=file, options=dict(options or {}))
    if isinstance(classes, int):
        classes = published_classes(choice, classes) or tuple(f"class {i}" for i in range(classes))
    names = tuple(classes)
    if mean or std:
        choice = replace(choice, mean=tuple(mean) or (0.0,) * len(std), std=tuple(std) or (1.0,) * len(mean))
    shape = (channels, size, size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected pickle protocol")  # of a file that is refused in the next moment
        model = build(choice, classes=len(names), shape=shape, mean=(), std=(), unknown="leave").eval()
    model, _ = probed(model, torch.full((2, *shape), 0.5), classes=len(names))
    if answers and is_untrained(choice):
        tell(
            f"{network} has random weights, so its answers and maps mean nothing; give --weights FILE, or "
            "--options '{\"pretrained\": true}' for published ones"
        )
    if answers and isinstance(model.get_submodule("normalize"), nn.Identity) and preprocessing_of(model) is None:
        tell_raw_pixels(network)
    if channels == 3 and size > SMALL:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    known = preprocessing_of(bare(model))
    if known is not None and known.size is not None and known.size != shape[1:]:
        trained = " x ".join(map(str, known.size))
        tell(f"the weights of {network} were trained on images of {trained} pixels; --size says so, {size} is given")
    read = None if weights is None else Path(weights)
    return ExplainedNetwork(network, model, names, shape, _digest(model), task=task, file=read, class_file=class_file)


def of_module(
    network: nn.Module,
    shape: tuple[int, int, int] | int | None = None,
    *,
    classes: Sequence[str] | int | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    task: Task = "multiclass",
) -> ExplainedNetwork:
    """A network that is an object, behind its normalisation; the object itself is not changed.

    Args:
        network: any module from images (n, c, h, w) to logits (n, classes).
        shape: (c, h, w) of its images, or the side of square colour images; by default that of a network of
            `pellucid.load`, or of its weights' own preprocessing.
        classes: names of its classes, in the order of the logits, or their number; none by default.
        mean: as in `pellucid.runs.any_network.on_pixels`.
        std: likewise.
        task: as in `of_network`.

    Raises:
        InputError: no module, no shape, numbers of other channels, an unknown task.
    """
    one_of(BOTH, task=task)
    if not isinstance(network, nn.Module):
        raise InputError(f"network must be a run directory or a torch.nn.Module, got {type(network).__name__}")
    own = getattr(network, "shape", None)
    if isinstance(own, tuple) and len(own) == 3:
        shape = own
    known = preprocessing_of(network)
    if shape is None and known is not None and known.size is not None:
        shape = (len(known.mean), *known.size)
    if isinstance(shape, int):
        shape = (3, shape, shape)
    if shape is None:
        raise InputError(
            f"the network {type(network).__name__} does not say which images it takes; give size, their side in pixels"
        )
    model = on_pixels(network, channels=shape[0], mean=mean, std=std)
    named = classes if classes is not None else getattr(network, "classes", None)
    if isinstance(classes, str) or not isinstance(classes, Sequence | int | None):
        raise InputError(f"classes must be the names of the classes, or their number, got {classes!r}")
    if isinstance(classes, int):
        named = [f"class {number}" for number in range(classes)]
    names = tuple(map(str, named)) if isinstance(named, tuple | list) else ()
    return ExplainedNetwork(type(network).__name__, model, names, shape, _digest(model), task=task)


def class_names(file: str | Path) -> tuple[str, ...]:
    """Names of classes from a file: one on each line, or JSON.

    Args:
        file: text; a JSON list of names; or a JSON object from class number to a name, or to a list that ends in it, as
            ``imagenet_class_index.json`` has it.

    Raises:
        InputError: no such file, or none of these.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"class names {file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not text.lstrip().startswith(("[", "{")):
        names = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        try:
            content = json.loads(text)
            if isinstance(content, dict):
                content = [content[str(number)] for number in range(len(content))]
            names = [str(item[-1] if isinstance(item, list) else item) for item in content]
        except (ValueError, KeyError, IndexError) as error:
            raise InputError(
                f"class names {file} must be a JSON list, or an object from 0, 1, ... to names: {error}"
            ) from None
    if len(names) < 2:
        raise InputError(f"class names {file} must hold at least 2 names, got {len(names)}")
    return tuple(names)


def _digest(model: nn.Module) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
