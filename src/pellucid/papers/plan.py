"""What a person asks for: a paper's tables, or a search for settings. Imports no torch."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args

from pellucid.core.checks import at_least
from pellucid.core.errors import InputError

__all__ = [
    "PAPERS",
    "SCALES",
    "SEARCHES",
    "Plan",
    "Reproduction",
    "Scale",
    "Selection",
    "known",
    "slug",
    "source",
    "where",
]

Scale = Literal["smoke", "cpu", "full"]
SCALES: tuple[Scale, ...] = get_args(Scale)
PAPERS = ("bhusal2026", "guesmi2024", "ismail2021", "pellucid", "xu2023")
SEARCHES = {
    "ismail2021": "saliency-guided training",
    "pellucid": "SCAAT, adversarial training and smoothing",
    "xu2023": "SCAAT",
    "xu2023-again": "SCAAT once more, with the q that was found",
    "xu2023-longer": "SCAAT in four times the epochs",
    "xu2023-one-step": "SCAAT with one step on an eighth of each batch",
}
"""Whose settings each search chooses; the paper that it belongs to begins its name."""
IMAGE_FOLDERS = ("cifar10", "imagenette", "imagenet")
"""Datasets whose files, where a path is given, are an image folder."""


def source(dataset: str, path: str | None) -> str:
    """What images a table is of, as tables and files say it: an image folder by its own name too.

    >>> source("cifar10", "images/cifar10-jpeg"), source("imagenet", "ILSVRC"), source("cifar10", None)
    ('cifar10-jpeg', 'imagenet-ILSVRC', 'cifar10')
    """
    name = slug(Path(path).name) if path and dataset in IMAGE_FOLDERS else dataset
    return name if name.startswith(dataset) else f"{dataset}-{name}"


def where(dataset: str, path: str | None, network: str | None, scale: Scale) -> str:
    """Dataset, network where it is not the paper's, and scale, as folders and files are named.

    >>> where("fashion-mnist", None, None, "cpu"), where("fashion-mnist", None, "timm:convnext_atto", "cpu")
    ('fashion-mnist-cpu', 'fashion-mnist-timm-convnext_atto-cpu')
    """
    return "-".join([source(dataset, path), *([] if network is None else [slug(network)]), scale])


def slug(name: str) -> str:
    """A name as part of a file's name.

    >>> slug("timm:convnext_atto")
    'timm-convnext_atto'
    """
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Networks that are trained and measured on one dataset at one scale, and the folder of the tables about them.

    Args:
        dataset: name of the dataset.
        scale: ``smoke``, ``cpu`` or ``full``; see `pellucid.papers.setting.setting`.
        path: folder of the dataset's files.
        network: replacement for the paper's network, by a name that `pellucid train --network.name` takes.
        jobs: number of trainings at once, each with its share of the cores. None: one on each free core if the networks
            are so small that this is faster, otherwise one.
        results: folder of the tables.

    Raises:
        InputError: fewer than one job.
    """

    dataset: str = "fashion-mnist"
    scale: Scale = "cpu"
    path: str | None = None
    network: str | None = None
    jobs: int | None = None
    results: Path = Path("results")

    def __post_init__(self) -> None:
        at_least(1, jobs=self.jobs)

    @property
    def where(self) -> str:
        """Dataset, network where it is not the paper's, and scale, as folders and files are named."""
        return where(self.dataset, self.path, self.network, self.scale)

    @property
    def options(self) -> str:
        """Dataset, network and scale as the command line has them, without a path of this machine."""
        path = " --path PATH" if self.path else ""
        network = f" --network {self.network}" if self.network else ""
        return f"--dataset {self.dataset}{path}{network} --scale {self.scale}"


@dataclass(frozen=True, kw_only=True)
class Reproduction(Plan):
    """Which tables of a paper are reproduced.

    Args:
        paper: one of `PAPERS`.
        table: number of the table. None: all of the paper's tables except those made only on request.
        seeds: number of trainings of each network.
        devices: numbers of the GPUs to use; by default only the first.
        cluster: address of a Ray cluster whose machines train the networks, ``jobs`` at once on each; ``auto`` on one
            of these machines. All of them must share the folder ``out``.
        out: folder of the run directories.
        trace: JSON file that your own ``pellucid select pellucid`` has written, for the paper ``pellucid``. None: the
            search for the dataset that is part of the package, if there is one.

    Raises:
        InputError: an unknown paper, a GPU that this machine lacks or one beside a cluster, fewer than one seed or
            job, or a trace for a paper that takes none.
    """

    paper: str
    table: str | None = None
    seeds: int = 5
    devices: tuple[int, ...] = ()
    cluster: str | None = None
    out: Path = Path("runs/papers")
    trace: Path | None = None

    def __post_init__(self) -> None:
        known("paper", self.paper, PAPERS)
        _at_least_one("seeds", self.seeds)
        super().__post_init__()
        if self.cluster is not None and self.devices:
            raise InputError(
                f"devices are GPUs of this machine, and a cluster chooses its own; got devices {self.devices} and the "
                f"cluster {self.cluster!r}"
            )
        if self.trace is not None and self.paper != "pellucid":
            raise InputError(
                f"trace is for the paper pellucid, whose networks were chosen by a search; got it for {self.paper}"
            )
        if self.devices:
            import torch

            gpus = torch.cuda.device_count()
            for device in self.devices:
                if not 0 <= device < gpus:
                    raise InputError(f"devices must be numbers of GPUs, of which this machine has {gpus}, got {device}")


@dataclass(frozen=True, kw_only=True)
class Selection(Plan):
    """Which settings are searched for.

    Args:
        search: a key of `SEARCHES`.
        seed: seed of every training.
        out: folder of the run directories.

    Raises:
        InputError: an unknown search, a dataset that its paper does not have, or fewer than one job.
    """

    search: str
    seed: int = 0
    out: Path = Path("runs/selection")

    def __post_init__(self) -> None:
        known("what is selected", self.search, SEARCHES)
        paper = import_module(f"pellucid.papers.{self.search.partition('-')[0]}")
        known(f"dataset of {self.search}", self.dataset, paper.DATASETS)
        super().__post_init__()

    @property
    def file(self) -> Path:
        """The trace without its ending."""
        seed = f"-seed{self.seed}" if self.seed else ""
        return self.results / f"selection-{self.search}-{self.where}{seed}"


def known(what: str, value: str, names: Iterable[str]) -> None:
    """Refuse a value that is none of the names, with a sentence that says what it is the value of."""
    if value not in names:
        raise InputError(f"{what} must be one of {', '.join(names)}, got {value!r}")


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{name} must be at least 1, got {value}")
