"""What a person asks of ``pellucid tune``. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pellucid.config import CodeOptions, ImportPath
from pellucid.core.checks import at_least, one_of, positive
from pellucid.core.errors import InputError
from pellucid.data.config import Data

__all__ = ["NAMES", "Tune"]

NAMES = ("trustworthy", "robust", "sparse", "fast")
"""The presets, each for what it is best at."""

MOST_EPOCHS = 10


@dataclass(frozen=True, kw_only=True)
class Tune:
    """A pretrained network, photographs, and what may be spent on them.

    Args:
        photos: folder of the photographs: PHOTOS/CLASS/*, or PHOTOS/train/CLASS/* with ``val`` or ``test`` beside it.
        network: ``timm:NAME``, ``torchvision:NAME``, ``huggingface:ID``, ``efficientnet-lite0``, or the import path of
            a factory.
        out: folder that is written: the networks ``before``, ``control`` and ``after``, and the report.
        weights: file of the network's weights; the package's own pretrained ones by default.
        options: keyword arguments of the network. A network of a package is pretrained unless they say otherwise.
        preset: how it is tuned: ``trustworthy``, ``robust``, ``sparse`` or ``fast``; ``pellucid presets`` tells them
            apart.
        minutes: time for everything, from reading to the report. Epochs and measured images are chosen to fit.
        epochs: passes over the photographs; as many as the time holds, at most 10, by default.
        control: also tune a twin in the regular way, for as many epochs; without it nothing tells what the preset does.
        size: side in pixels to which photographs are resized; by default their own where all are alike and not larger
            than 224, otherwise what the weights were trained on, at most 224.
        channels: 1 or 3.
        table: CSV file with the columns ``file``, ``label``, and if wanted ``split`` and ``group``.
        group: column of the table, or pattern of the file's path, whose photographs stay on one side of the split, such
            as those of one patient.
        validation: share of the training photographs that choose the best epoch, in (0, 1); a fifth by default, where
            the folder does not say.
        test: share of the photographs that are kept for measuring, in (0, 1), where the folder does not say; a fifth by
            default.
        batch_size: photographs in a step.
        lr: learning rate of the last layers; the first ones have a tenth of it.
        batchnorm: ``follow`` lets BatchNorm's statistics follow the photographs, ``frozen`` keeps those of the weights.
        measured: most test photographs that are measured.
        metrics: what is measured, as in `pellucid.Evaluation`.
        composites: test images made of the photographs, each pasted on another ground among other things, on which it
            is known where the object is; 0 for none. They need a folder with the split in it.
        cards: test photographs whose trust card is made; 0 for none.
        seed: of everything.

    Raises:
        InputError: a value outside those.

    >>> Tune(photos="photos", network="efficientnet-lite0").out
    PosixPath('runs/tuned')
    """

    photos: str
    network: ImportPath
    out: Path = Path("runs/tuned")
    weights: str | None = None
    options: CodeOptions | None = None
    preset: str = "trustworthy"
    minutes: float = 15
    epochs: int | None = None
    control: bool = True
    size: int | None = None
    channels: int = 3
    table: str | None = None
    group: str | None = None
    validation: float | None = None
    test: float | None = None
    batch_size: int = 32
    lr: float = 1e-3
    batchnorm: Literal["follow", "frozen"] = "follow"
    measured: int = 200
    metrics: tuple[ImportPath, ...] = ("default",)
    composites: int = 200
    cards: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        one_of(NAMES, preset=self.preset)
        one_of(("follow", "frozen"), batchnorm=self.batchnorm)
        positive(minutes=self.minutes, lr=self.lr)
        at_least(1, epochs=self.epochs, batch_size=self.batch_size, measured=self.measured, size=self.size)
        at_least(0, composites=self.composites, cards=self.cards)
        if not self.network:
            raise InputError("network must name one, such as timm:resnet18 or efficientnet-lite0, got nothing")

    def data(self, size: int | None) -> Data:
        """The photographs as a data set.

        Args:
            size: side in pixels; None where they stay as they are.
        """
        return Data(
            name="folder", path=self.photos, size=size, channels=self.channels, table=self.table,
            group=self.group, validation=self.validation, test=self.test, split_seed=self.seed, augmentation="flip",
        )  # fmt: skip
