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
        out: folder to write: the networks ``before``, ``control`` and ``after``, and the report.
        weights: file of the network's weights. By default: the pretrained weights of its package.
        mean: what the weights want subtracted from pixels in [0, 1], one number for each channel or one for all. By
            default: what the weights say.
        std: what they want the difference divided by, likewise.
        output: entry of the network's output that holds the logits, by name or position. Not needed where only one
            entry can be meant.
        options: keyword arguments of the network. A network from a package is pretrained unless these say otherwise.
        preset: recipe for fine-tuning: ``trustworthy``, ``robust``, ``sparse`` or ``fast``; ``pellucid presets``
            describes them.
        minutes: time for everything, from reading the photographs to the report. Epochs and measured images are chosen
            to fit.
        epochs: passes over the photographs. By default: as many as fit into the time, at most 10.
        control: also fine-tune the network in the regular way, for the same number of epochs. Without it, nothing shows
            what the preset changes.
        size: side in pixels to which photographs are resized. By default: their own size if all have the same and it is
            at most 224, otherwise the size that the weights were trained on, at most 224.
        channels: 1 or 3.
        table: CSV file with the columns ``file`` and ``label`` and, optionally, ``split`` and ``group``.
        group: column of the table, or a pattern of the file's path. Photographs of one group, such as those of one
            patient, stay on one side of the split.
        validation: share of the training photographs that choose the best epoch, in (0, 1). By default: a fifth, if the
            folder has no split.
        test: share of the photographs that are kept for measuring, in (0, 1). By default: a fifth, if the folder has no
            split.
        batch_size: photographs in a step; all of them if there are fewer.
        lr: learning rate of the last layers; the first layers use a tenth of it.
        batchnorm: ``follow`` lets BatchNorm's statistics follow the photographs, ``frozen`` keeps those of the weights.
        measured: largest number of test photographs that are measured.
        metrics: what is measured, as in `pellucid.Evaluation`.
        composites: number of test images that paste a photograph onto another background among other things, so that it
            is known where the object is; 0 for none. They need square colour photographs of at least 56 pixels.
        cards: number of test photographs that get a trust card; 0 for none.
        seed: seed of all random numbers.

    Raises:
        InputError: a value outside those.

    >>> Tune(photos="photos", network="efficientnet-lite0").out
    PosixPath('runs/tuned')
    """

    photos: str
    network: ImportPath
    out: Path = Path("runs/tuned")
    weights: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    output: str | int | None = None
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
        for name, share in {"validation": self.validation, "test": self.test}.items():
            if share is not None and not 0 < share < 1:
                raise InputError(f"{name} must be a share of the photographs in (0, 1), such as 0.2, got {share}")
        one_of((1, 3), channels=self.channels)
        at_least(0, composites=self.composites, cards=self.cards)
        if (self.mean is None) != (self.std is None):
            raise InputError(f"mean and std are given together, got mean {self.mean} and std {self.std}")
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
