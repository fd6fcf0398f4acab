"""Which images a person wants to train on. Imports no torch: the command line is generated from it."""

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches

from pellucid.config import ImportPath
from pellucid.core.checks import at_least, one_of
from pellucid.core.errors import InputError

__all__ = ["AUGMENTATIONS", "DATASETS", "LABELS", "TRUTH", "USUAL_EPS", "Data", "usual_eps"]

TRUTH = {
    "truth:beside": "grey, 28 x 56: an article of clothing decides, a digit beside it does not",
    "truth:composite": "grey, 56 to 96 px: an article of clothing decides, digits and patterns around it do not",
    "truth:composite-colour": "colour, 56 to 96 px: an image of your own folder decides, what lies around it does not",
    "truth:decoy": "grey, 28 px: an article of clothing, and a corner patch that agrees with it in training alone",
    "truth:shapes": "colour, 48 to 128 px: the one textured shape decides, among blobs, lines and strokes",
    "truth:parts": "colour, 48 to 128 px: the antenna, eyes, arms, emblem and feet of a robot together decide",
}
"""Sets of images that are made here, each with the mask of what decides its class, and what is on them."""

CHANNELS = 16
"""Channels that an image of your own may have."""

DRAWN = ("truth:shapes", "truth:parts")
"""Sets of truth that need no other images."""

SIDES = {
    **dict.fromkeys(("truth:composite", "truth:composite-colour"), (56, 96)),
    **dict.fromkeys(DRAWN, (48, 128)),
}
"""Smallest and largest side in pixels of the sets of truth that are made in several sizes."""

VALIDATION = 5000
"""Validation images of a set of truth, and of sets of 25 000 training images and more."""

READ = ("folder", "huggingface")
"""Sets of your own files."""

DATASETS = ("fashion-mnist", "mnist", "cifar10", "pcam", *TRUTH, "folder", "huggingface")
AUGMENTATIONS = ("none", "flip", "flips", "crop-flip", "resized-crop-flip", "randaugment")
LABELS = ("true", "shuffled")
DECODINGS = ("exact", "fast")
USUAL_EPS = {
    **dict.fromkeys(("fashion-mnist", "mnist"), 0.1),
    **dict.fromkeys(("truth:beside", "truth:composite", "truth:decoy"), 0.1),
}
"""Radius in pixel units of an attack on a dataset's images, where no other is asked for; 8/255 on other images."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """The images of a run, and how they are split into training, validation and test.

    Args:
        name: ``fashion-mnist``, ``mnist``, ``cifar10``, ``pcam``, ``folder`` (PATH/train/CLASS/* and PATH/test/CLASS/*,
            or PATH/CLASS/*, or the files that ``table`` names) or ``huggingface``; or images made on this machine, each
            with a mask of what decides its class (``truth:beside``, ``truth:composite``, ``truth:composite-colour``,
            ``truth:decoy``, ``truth:shapes``, ``truth:parts``; ``pellucid data list`` describes them); or the import
            path of your own, ``my_package:make_dataset`` or ``my_package.MyImages``, which is called with a split
            (``train``, ``test``, optionally ``validation``) and returns a ``torch.utils.data.Dataset`` of (image,
            label).
        path: Folder of the files. For ``huggingface``: a folder written by ``save_to_disk``, or an id of the hub. For
            ``truth:composite-colour``: an image folder, whose images decide the class. For other truth sets: a folder
            that holds the folders ``fashion-mnist`` and ``mnist``. None: where ``pellucid data get NAME`` puts them, or
            the table's folder for ``folder`` with a table.
        table: For ``folder``: a CSV file with a row for each image. Its columns are ``file`` (relative to ``path``),
            ``label`` and, if you have them, ``split`` (train, validation or test) and ``group``. Further columns, such
            as age or camera, are kept for scores of subgroups. None: the folders are the classes.
        group: What must stay in one split, such as a patient: a column of the table or of a ``huggingface`` dataset; an
            attribute of your own dataset that lists it for each image; or a regular expression that finds it in the
            path of a file, such as ``patient([0-9]+)``. None: the table's column ``group`` or ``patient`` if it has
            one; otherwise each image by itself.
        image_column: Name of the column of images, for ``huggingface`` and a table. None: found by its type or a common
            name.
        label_column: Name of the column of labels, for ``huggingface`` and a table. None: found by its type or a common
            name.
        masks: For ``folder``: a folder of masks, MASKS/train/CLASS/NAME.png for PATH/train/CLASS/NAME.jpg. Masks have
            the size of the images and are grey or black and white; pixels brighter than 127 are those that decide the
            class. The mask of an image without a file is unknown. None: no masks.
        size: Side in pixels to which images of ``folder``, ``huggingface`` and your own datasets are resized (shorter
            side, then centre crop). None: the stored size, which must be the same for all. For truth sets, the size
            that is made: 56 to 96 for ``truth:composite`` and ``truth:composite-colour`` (None: 56), 48 to 128 for
            ``truth:shapes`` and ``truth:parts`` (None: 64).
        channels: Number of channels, 1 to 16, for ``folder``, ``huggingface`` and your own datasets; other numbers than
            1 and 3 for images that have as many, such as NumPy arrays. None: 3.
        classes: Names of the classes, in the order of the network's outputs, for ``folder``, ``huggingface`` and your
            own datasets. None: the names and the order of the training images; your own dataset needs them if it has no
            ``.classes``.
        validation: How much of the training images is held back for validation if the dataset has no such split: a
            number of images, or a share of every class in (0, 1). For truth sets: how many of the 5 000 validation
            images are used. None: 5 000, or a fifth of fewer than 25 000 images.
        test: How much is held back for testing if ``folder``, ``huggingface`` or your own dataset has no such split: a
            number of images, or a share of every class in (0, 1). None: a fifth of a folder or table that has no
            splits.
        split_seed: Seed of which images are held back for validation and test, which ones ``limit`` takes, and how
            labels are shuffled.
        limit: Use only this many training images, of those that remain after validation. None: all.
        labels: ``true``, or ``shuffled``, which gives the training images their labels in random order and leaves those
            of validation and test as they are. A network that fits shuffled labels has memorised the images (Adebayo et
            al. 2018, 3.3).
        augmentation: ``none``, ``flip`` (left-right), ``flips`` (also upside down), ``crop-flip`` (4 pixels of
            padding), ``resized-crop-flip``, or ``default``, which follows the papers: none for the two MNISTs and truth
            sets, ``crop-flip`` for ``cifar10``, ``flips`` for ``pcam``, ``resized-crop-flip`` for others. Masks are
            changed like their images. ``randaugment`` flips left-right and makes two random changes of colour or
            geometry (RandAugment). It does not support masks, and needs kornia (``pip install 'pellucid[augment]'``) or
            torchvision.
        correlation: Share of the training images of ``truth:decoy`` whose patch names their own class. None: 0.9.
        workers: Number of processes that decode images, for datasets that do not fit in memory.
        decoding: For ``folder`` with a size: ``exact``, or ``fast``, which decodes large JPEG files at one half, one
            quarter or one eighth of their resolution (the smallest that is at least ``size``) before they are resized.
            Large photographs then take half the time, and pixels differ by about one level of 255.

    >>> Data(name="fashion-mist")
    Traceback (most recent call last):
    pellucid.InputError: unknown dataset 'fashion-mist', did you mean 'fashion-mnist'? Known are fashion-mnist, \
mnist, cifar10, pcam, truth:beside, truth:composite, truth:composite-colour, truth:decoy, truth:shapes, truth:parts, \
folder, huggingface, and the import path of your own, such as my_package:make_dataset
    """

    name: ImportPath = "fashion-mnist"
    path: str | None = None
    table: str | None = None
    group: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    masks: str | None = None
    size: int | None = None
    channels: int | None = None
    classes: tuple[str, ...] | None = None
    validation: int | float | None = None
    test: int | float | None = None
    split_seed: int = 0
    limit: int | None = None
    labels: str = "true"
    augmentation: str = "default"
    correlation: float | None = None
    workers: int = 2
    decoding: str = "exact"

    def __post_init__(self) -> None:
        if not self.is_own:
            known("dataset", self.name, DATASETS, ", and the import path of your own, such as my_package:make_dataset")
        known("augmentation", self.augmentation, ("default", *AUGMENTATIONS))
        known("kind of labels", self.labels, LABELS)
        if self.name in ("folder", "huggingface", "truth:composite-colour"):
            if not self.path and not (self.name == "folder" and self.table):
                raise InputError(f"dataset {self.name!r} needs a path, got {self.path!r}")
        elif self.is_own and self.path is not None:
            raise InputError(
                f"dataset {self.name!r} is called with the split alone and takes no path, got {self.path!r}"
            )
        elif self.name in DRAWN and self.path is not None:
            raise InputError(f"{self.name} is drawn from nothing and takes no path, got {self.path!r}")
        self._check_reading()
        if self.masks is not None and self.name != "folder":
            raise InputError(f"masks are for folder, got {self.masks!r} for {self.name}")
        if self.is_truth:
            self._check_truth()
        elif not (self.name in ("folder", "huggingface") or self.is_own) and (
            (self.size, self.channels, self.classes) != (None, None, None)
        ):
            raise InputError(
                "size, channels and classes are for folder, huggingface and datasets of your own; "
                f"{self.name} stays as it is, got size {self.size}, channels {self.channels}, classes {self.classes}"
                f"{'; for pictures of your own, name is folder' if self.path else ''}"
            )
        if self.correlation is not None and self.name != "truth:decoy":
            raise InputError(f"correlation is for truth:decoy, got {self.correlation:g} for {self.name}")
        if self.classes is not None:
            names = tuple(self.classes) if isinstance(self.classes, tuple | list) else ()
            if not names or not all(isinstance(name, str) and name for name in names):
                raise InputError(f"classes must be names, such as ('cat', 'dog'), got {self.classes!r}")
            object.__setattr__(self, "classes", names)
        if self.channels is not None and self.channels not in range(1, CHANNELS + 1):
            raise InputError(f"channels must be from 1 to {CHANNELS}, got {self.channels}")
        at_least(1, " pixel", size=self.size)
        at_least(1, " image", limit=self.limit)
        at_least(0, workers=self.workers)
        one_of(DECODINGS, decoding=self.decoding)
        if self.decoding == "fast" and (self.name != "folder" or self.size is None):
            raise InputError(f"decoding fast is for folder with a size, got name {self.name!r} and size {self.size}")
        _check_part(validation=self.validation, test=self.test)

    def _check_reading(self) -> None:
        """Refuse what tells images of your own apart, where there are none."""
        if self.table is not None and self.name != "folder":
            raise InputError(f"table is for folder, got {self.table!r} for {self.name}")
        if self.test is not None and not (self.name in READ or self.is_own):
            raise InputError(f"{self.name} has test images of its own, got test {self.test:g}")
        if self.group is not None and not (self.name in READ or self.is_own):
            raise InputError(
                f"group is for folder, huggingface and datasets of your own, got {self.group!r} for {self.name}"
            )
        if self.group is not None and self.name == "folder" and self.table is None and not is_pattern(self.group):
            raise InputError(
                "group of a folder is a regular expression with one pair of brackets, which finds it in the path of a "
                f"file, such as patient([0-9]+), got {self.group!r}"
            )
        named = {"image_column": self.image_column, "label_column": self.label_column}
        for name, column in named.items():
            if column is not None and self.name != "huggingface" and self.table is None:
                raise InputError(f"{name} is for huggingface and for a table, got {column!r} for {self.name}")

    def _check_truth(self) -> None:
        if (self.channels, self.classes) != (None, None):
            raise InputError(
                f"channels and classes of {self.name} are its own, got channels {self.channels}, classes {self.classes}"
            )
        if self.size is not None:
            if self.name not in SIDES:
                raise InputError(f"{self.name} has one size, got size {self.size}; {', '.join(SIDES)} have several")
            least, most = SIDES[self.name]
            if not least <= self.size <= most:
                raise InputError(f"size of {self.name} must be from {least} to {most} pixels, got {self.size}")
        if self.correlation is not None and not 0 < self.correlation <= 1:
            raise InputError(
                "correlation must be above 0, since a decoy that training never shows with its class misleads nobody, "
                f"and at most 1, got {self.correlation:g}"
            )
        if self.validation is not None and self.validation > VALIDATION:
            raise InputError(
                f"validation must be at most the {VALIDATION} validation images of {self.name}, got {self.validation}"
            )

    def settled(self) -> "Data":
        """The same choice with the number of validation images in place of None where the dataset's name tells it.

        Runs that were begun before None meant this recorded the number.

        >>> Data(name="mnist").settled() == Data(name="mnist", validation=5000)
        True
        >>> Data(name="folder", path="photos").settled().validation is None
        True
        """
        if self.validation is not None or self.name in READ or self.is_own:
            return self
        return replace(self, validation=VALIDATION)

    @property
    def is_own(self) -> bool:
        """Whether the name is the import path of a dataset of your own."""
        return isinstance(self.name, str) and not self.is_truth and (":" in self.name or "." in self.name)

    @property
    def is_fixed(self) -> bool:
        """Whether the images are published or made here, so that nobody changes them.

        >>> Data(name="mnist").is_fixed, Data(name="folder", path="photos").is_fixed
        (True, False)
        """
        return not (self.is_own or self.name in READ)

    @property
    def is_truth(self) -> bool:
        """Whether the name begins as that of a set whose images come with the mask of what decides their class."""
        return isinstance(self.name, str) and self.name.startswith("truth:")


def is_pattern(group: str) -> bool:
    """Whether a group is a regular expression with one pair of brackets, which finds it in a path.

    >>> is_pattern("patient([0-9]+)"), is_pattern("patient"), is_pattern("patient(")
    (True, False, False)
    """
    try:
        return re.compile(group).groups == 1
    except re.error:
        return False


def _check_part(**values: int | float | None) -> None:
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, int):
            at_least(0, "", **{name: value})
        elif not 0 <= value < 1:
            raise InputError(f"{name} must be a number of images, or a share of them in [0, 1), got {value:g}")


def known(kind: str, name: str, names: tuple[str, ...], more: str = "") -> str:
    """``name``, if it is one of ``names``; ``more`` ends the sentence that lists them.

    Raises:
        InputError: it is not; the sentence suggests the closest.

    >>> known("dataset", "mnist", DATASETS)
    'mnist'
    """
    if name in names:
        return name
    close = get_close_matches(str(name), names, n=1)
    hint = f", did you mean {close[0]!r}? Known" if close else "; known"
    raise InputError(f"unknown {kind} {name!r}{hint} are {', '.join(names)}{more}")


def usual_eps(name: str) -> float:
    """The radius in pixel units of an attack on the images of a dataset, where no other is asked for.

    >>> usual_eps("mnist"), round(usual_eps("cifar10") * 255)
    (0.1, 8)
    """
    return USUAL_EPS.get(name, 8 / 255)
