"""Datasets as they are chosen: which reader reads them, and which of their images train, validate and test."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.data import sources
from pellucid.data.config import TRUTH, Data
from pellucid.data.cut import apart, cut, order
from pellucid.data.dataset import MOMENTS, Dataset
from pellucid.data.splits import Images, Rows, Split, Stored

__all__ = ["load"]

_AUGMENTATION = {"fashion-mnist": "none", "mnist": "none", "cifar10": "crop-flip", "pcam": "flips"}
_AUGMENTATION |= dict.fromkeys(TRUTH, "none")


def load(data: Data, split: Literal["train", "validation", "test"], *, alone: bool = False) -> Dataset:
    """One split of a dataset. Validation images never are in ``train``, and test images in neither.

    Args:
        data: which images.
        split: ``train``, ``validation`` or ``test``. Where the dataset has no validation split of its own,
            ``data.validation`` training images are, chosen by ``data.split_seed``; and likewise ``data.test`` where it
            has no test split. ``data.labels`` changes ``train`` alone.
        alone: look at no training image where the split is stored by itself, for a network whose run knows its classes
            and preprocessing: the classes are the split's own, ``mean`` and ``std`` those of its images.

    Raises:
        InputError: files are missing, damaged or of another kind, fewer images are left than asked for, there is one
            class, or a group has images in two splits.
    """
    if split not in ("train", "validation", "test"):
        raise InputError(f"unknown split {split!r}; known are train, validation, test")
    reader, name = _reader(data)
    read = cache(reader)
    if data.test and (tests := read("test")) is not None:
        raise InputError(f"{name} has {len(tests.images)} test images of its own; leave --dataset.test out")
    stored, is_cut = None, False
    if split == "test" and not data.test:
        # A folder with training and validation images alone is tested on the latter, as ImageNet is.
        stored = read("test") or read("validation")
    elif split == "validation" and (validation := read("validation")) is not None and _is_tested(data, read):
        stored = validation
    if stored is not None and (alone or data.name in MOMENTS):
        training, classes = stored.images, data.classes or stored.classes
    else:
        train = _present(read("train"), name, "train")
        classes = data.classes or train.classes
        if len(classes) < 2:
            raise InputError(f"{name} has one class, {', '.join(classes)}; a classifier needs two or more")
        if train.groups is not None:
            own = {part: read(part) for part in ("validation", "test")}
            apart({"train": train} | {part: held for part, held in own.items() if held is not None}, name)
        parts = cut(train, data, name, validates=read("validation") is None or not _is_tested(data, read))
        training = train.images if len(parts.train) == len(train.images) else _images(train.images, parts.train)
        if stored is None and split == "train":
            stored = _cut(data, name, train, training, parts.train)
        elif stored is None:
            is_cut = True
            stored = _part(train, parts.validation if split == "validation" else parts.test)
            if split == "test" and not len(stored.labels):
                _present(None, name, split)
        elif stored.shape != train.shape:
            raise InputError(
                f"the {split} images of {name} are {stored.shape[2]} x {stored.shape[1]} pixels, but its training "
                f"images {train.shape[2]} x {train.shape[1]}; give a size to which all are resized"
            )
    usual = _AUGMENTATION.get(data.name, "resized-crop-flip")
    return Dataset(
        name,
        split,
        stored.classes,
        stored.shape,
        stored.labels,
        stored.images,
        training,
        augmentation=usual if data.augmentation == "default" else data.augmentation,
        workers=data.workers,
        truth=stored.truth,
        columns=dict(stored.columns),
        left_out=dict(stored.left_out),
        cut=is_cut,
    ).with_classes(classes)


def _is_tested(data: Data, read: Callable[[str], Split | None]) -> bool:
    """Whether there are test images beside the validation images of a source."""
    return bool(data.test) or read("test") is not None


def _cut(data: Data, name: str, train: Split, training: Images, left: Tensor) -> Stored:
    """The training images that ``limit`` leaves, their labels in the order that ``data.labels`` asks for."""
    if data.limit is None:
        part = _part(train, left)._replace(images=training)
    elif data.limit > len(left):
        raise InputError(f"limit must be at most the {len(left)} training images of {name}, got {data.limit}")
    else:
        # Drawn, not the first ones: a folder lies sorted by class.
        part = _part(train, left[order(len(left), data.split_seed, "limit")[: data.limit].sort().values])
    if data.labels == "shuffled":
        return part._replace(labels=part.labels[order(len(part.labels), data.split_seed, "labels")])
    return part


def _part(split: Split, rows: Tensor) -> Stored:
    """Some rows of a split, in their order; an own dataset's ``whole`` and groups are no longer needed."""
    chosen = rows.tolist()
    columns = {name: tuple(values[row] for row in chosen) for name, values in split.columns.items()}
    truth = None if split.truth is None else split.truth.of(rows)
    return Stored(
        _images(split.images, rows), split.labels[rows], split.classes, split.shape, truth, columns,
        left_out=split.left_out,
    )  # fmt: skip


def _reader(data: Data) -> tuple[Callable[[str], Split | None], str]:
    """A function from split to what its source holds (None where it has no such split), and the dataset's name."""
    # Readers are imported where they are needed, since h5py, Pillow and datasets take long.
    settings: dict[str, Any] = {"size": data.size, "channels": data.channels or 3}
    if data.is_own:
        from pellucid.data import factory

        return partial(factory.reader(data.name, data.group), classes=data.classes, **settings), data.name
    if data.is_truth:
        from pellucid.data.truth import reading

        return reading.reader(data), data.name
    if data.name == "folder":
        from pellucid.data import folder, table

        place = None if data.table is None else Path(data.table).expanduser()
        path = place.parent if data.path is None and place is not None else Path(str(data.path)).expanduser()
        settings["fast"] = data.decoding == "fast"
        settings["masks"] = None if data.masks is None else Path(data.masks).expanduser()
        if place is None:
            return partial(folder.read, path, group=data.group, **settings), path.resolve().name
        rows = table.read(
            place, path, classes=data.classes, file=data.image_column, label=data.label_column, group=data.group
        )
        return partial(folder.tabled, rows, path, group=data.group, **settings), path.resolve().name
    if data.name == "huggingface":
        from pellucid.data import huggingface

        path = Path(str(data.path))
        columns = {"image": data.image_column, "label": data.label_column, "group": data.group}
        return partial(huggingface.reader(str(data.path), **columns), classes=data.classes, **settings), path.name
    place = Path(data.path).expanduser() if data.path is not None else sources.find(data.name)
    if place is None:
        looked = ", ".join(map(str, sources.places(data.name)))
        raise InputError(
            f"{data.name} is not on this machine (looked in {looked}); `pellucid data get {data.name}` brings it"
        )
    if not place.exists():
        raise InputError(f"dataset path {place} does not exist")
    verify = data.path is None
    if data.name == "cifar10":
        from pellucid.data import cifar

        return partial(cifar.read, place, verify=verify), data.name
    if data.name == "pcam":
        from pellucid.data import pcam

        return partial(pcam.read, place), data.name
    from pellucid.data import idx

    return partial(idx.read, data.name, place, verify=verify), data.name


def _present(stored: Split | None, name: str, split: str) -> Split:
    if stored is None:
        hint = "; evaluate it with --split validation, or keep some with --dataset.test 0.2" if split == "test" else ""
        raise InputError(f"{name} has no {split} split{hint}")
    return stored


def _images(images: Images, rows: Tensor) -> Images:
    return images.index_select(0, rows) if isinstance(images, Tensor) else Rows(images, rows)
