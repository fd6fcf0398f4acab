"""Folders of images as people keep them: PATH/train/CLASS/*, PATH/CLASS/*, or files that a table of labels names."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.JpegImagePlugin import JpegImageFile

from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.data.content import KINDS, opened_file
from pellucid.data.decoding import Decoded
from pellucid.data.headers import SUFFIXES, Sifted, header, sift
from pellucid.data.levels import BLACK
from pellucid.data.masks import find
from pellucid.data.splits import NOTHING, Stored, Truth
from pellucid.data.table import SPLITS, Table
from pellucid.data.walk import files_in, files_of, folders_in

__all__ = ["read", "tabled"]

PROBED = 8
"""Evenly spaced pictures whose notes are read, such as that they are nearly black."""


def read(
    path: Path,
    split: str,
    *,
    size: int | None,
    channels: int,
    masks: Path | None = None,
    group: str | None = None,
    fast: bool = False,
) -> Stored | None:
    """One split of an image folder; its classes are the sorted names of its folders.

    Every file that is a picture by its content is read, whatever it is called; how many others lie there is counted and
    told. Hidden folders and those of systems and notebooks are not looked at.

    Args:
        path: holds ``train`` and ``val`` (``valid``, ``validation``) or ``test``, each with a folder a class; or the
            folders of the classes, all of which are then the training images, from which others are cut.
        split: ``train``, ``validation`` or ``test``.
        size: side in pixels; None keeps the stored size, which all images must share.
        channels: as for `pellucid.data.decoding.pixels`.
        masks: holds a picture of what decides the class of an image, MASKS/train/CLASS/NAME.png for
            PATH/train/CLASS/NAME.jpg; None where that is not known of any.
        group: regular expression with one group, which finds in the path of a file (relative to ``path``) what must
            not be in two splits, such as its patient. None: nothing.
        fast: decode a JPEG file at the smallest resolution that is at least ``size``.

    Returns:
        The split, or None where the folder has none of that name.

    Raises:
        InputError: no such folder, one that cannot be listed, no class, a class without images, images of several
            sizes without a size, no mask where masks are asked for.
    """
    if not path.is_dir():
        raise InputError(
            f"{path} is not a folder; expected one with train/CLASS/* and test/CLASS/* (or val/CLASS/*), or with "
            "CLASS/*"
        )
    names = folders_in(path, once=False)
    parts: dict[str, str] = {}
    for known in SPLITS:  # train before training, val before valid
        here = next((name for name in names if name == known), None)
        here = here or next((name for name in names if name.lower() == known), None)
        if here is not None:
            parts.setdefault(SPLITS[known], here)
    whole = not parts and bool(names)
    if split == "train" and not whole and "train" not in parts:
        alone = "" if names else ", nor a folder of a class"
        raise InputError(
            f"{path} has no folder train{alone}; expected train/CLASS/* and test/CLASS/* (or val/CLASS/*), or CLASS/* "
            "in it"
        )
    if split != "train" and split not in parts:
        return None
    place = path if whole else path / parts[split]
    classes = folders_in(place)
    if not classes:
        raise InputError(f"{place} has no folder of a class; expected {place.name}/CLASS/*")
    _check_apart(path, parts, split)
    found = files_of([place / name for name in classes])
    for name, of_class in zip(classes, found.files, strict=True):
        if not of_class:
            raise InputError(f"{place / name} has no image; {KINDS}")
    files = [file for of_class in found.files for file in of_class]
    labels = [label for label, of_class in enumerate(found.files) for _ in of_class]
    if masks is not None and not whole:
        masks = masks / place.name
    groups = None if group is None else groups_of(group, files, path)
    loose = [file for file in files_in(place) if file.lower().endswith(SUFFIXES) or header(file).reason is None]
    aside = {"in no folder of a class": loose, "a link to another of them": found.doubled}
    stored = _stored(
        files, labels, tuple(classes), size, channels, place, masks=masks, groups=groups, aside=aside, fast=fast
    )
    for label, name in enumerate(classes):
        if not (stored.labels == label).any():
            raise InputError(f"{place / name} has no image among its {labels.count(label)} files; {KINDS}")
    return stored._replace(whole=whole)


def tabled(
    table: Table,
    root: Path,
    split: str,
    *,
    size: int | None,
    channels: int,
    masks: Path | None = None,
    group: str | None = None,
    fast: bool = False,
) -> Stored | None:
    """One split of the images that a table of labels names.

    Args:
        table: the table; without a column of splits, all images are the training images, from which others are cut.
        root: folder that the files lie in.
        split: ``train``, ``validation`` or ``test``.
        size: as for `read`.
        channels: as for `read`.
        masks: holds a picture MASKS/NAME.png for the file NAME.jpg of ``root``; None where there are none.
        group: as for `read`, where the table has no column of groups.
        fast: as for `read`.

    Returns:
        The split, or None where the table has none of that name.

    Raises:
        InputError: no training images, images of several sizes without a size, no mask where masks are asked for.
    """
    splits = table.splits or ["train"] * len(table.files)
    rows = [i for i, name in enumerate(splits) if name == split]
    if not rows and split == "train":
        raise InputError(f"{table.place} has no row whose split is train")
    if not rows:
        return None
    files = [table.files[i] for i in rows]
    position = {name: label for label, name in enumerate(table.classes)}
    groups = None if table.groups is None else tuple(table.groups[i] for i in rows)
    if groups is None and group is not None:
        groups = groups_of(group, files, root)
    stored = _stored(
        files, [position[table.labels[i]] for i in rows], table.classes, size, channels, root,
        masks=masks, groups=groups, columns={name: [values[i] for i in rows] for name, values in table.columns.items()},
        fast=fast,
    )  # fmt: skip
    return stored._replace(whole=table.splits is None)


def groups_of(pattern: str, files: Sequence[str], root: Path) -> tuple[str, ...]:
    """What a regular expression finds in the path of each file, relative to a folder.

    Raises:
        InputError: nothing, in the path of a file.

    >>> groups_of(r"(p[0-9]+)_", ["photos/cat/p7_1.png", "photos/dog/p12_3.png"], Path("photos"))
    ('p7', 'p12')
    """
    search = re.compile(pattern).search
    groups = []
    for file in files:
        inside = os.path.relpath(file, root).replace(os.sep, "/")
        match = search(inside)
        if match is None or match[1] is None:
            raise InputError(f"the group {pattern!r} is not found in the path {inside!r}")
        groups.append(match[1])
    return tuple(groups)


def _stored(
    files: Sequence[str],
    labels: Sequence[int],
    classes: tuple[str, ...],
    size: int | None,
    channels: int,
    place: Path,
    *,
    masks: Path | None,
    groups: Sequence[str] | None,
    columns: Mapping[str, Sequence[str]] | None = None,
    aside: Mapping[str, Sequence[str]] = NOTHING,
    fast: bool = False,
) -> Stored:
    """The pictures among the files; how many others there are is told, and how many lie ``aside``, by reason."""
    sifted = sift(files, channels)
    left_out = sifted.left_out | {reason: len(others) for reason, others in aside.items() if others}
    if left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        others = [file for of_reason in aside.values() for file in of_reason]
        tell(f"left out of {place}: {reasons}, such as {sifted.example or others[0]}")
    if not sifted.files:
        raise InputError(sifted.refusal or f"{place} has no image among its {len(files)} files; {KINDS}")
    if sifted.black:
        tell(f"{sifted.black[0]}: {BLACK} ({len(sifted.black)} of {len(sifted.files)} pictures of {place})")
    if size is None:
        _check_sizes(sifted)
    pictures = _Pictures(sifted.files, channels, size if fast else None)
    pictures.tell([i for i, seen in enumerate(sifted.seen) if seen.noted])
    images = Decoded(pictures, size=size, channels=channels)
    truth = None if masks is None else Truth(find(sifted.files, place, masks, images.shape[1:]))
    return Stored(
        images,
        torch.tensor([labels[i] for i in sifted.rows]),
        classes,
        images.shape,
        truth,
        {name: tuple(values[i] for i in sifted.rows) for name, values in (columns or {}).items()},
        None if groups is None else tuple(groups[i] for i in sifted.rows),
        left_out,
    )


def _check_apart(path: Path, parts: Mapping[str, str], split: str) -> None:
    """Refuse a split whose folder is a link to that of another split."""
    if split not in parts:
        return
    for other, name in parts.items():
        if other != split and os.path.realpath(path / name) == os.path.realpath(path / parts[split]):
            raise InputError(
                f"{path / parts[split]} and {path / name} are the same folder (a link); the images of {split} must be "
                f"others than those of {other}"
            )


def _check_sizes(sifted: Sifted) -> None:
    """Refuse pictures of several sizes, which no size makes one."""
    sizes = [seen.size for seen in sifted.seen]
    first = next((i for i, size in enumerate(sizes) if size is not None), None)
    other = next((i for i, size in enumerate(sizes) if None is not size != sizes[first or 0]), None)
    if first is not None and other is not None:
        (w, h), (w0, h0) = sizes[other] or (0, 0), sizes[first] or (0, 0)
        raise InputError(
            f"{sifted.files[other]} is {w} x {h} pixels, but the first image is {w0} x {h0}; give a size to which all "
            "are resized, --dataset.size, in Python Data(size=224)"
        )


class _Pictures:
    """Image files, opened one at a time; of a JPEG no more than a side of ``least`` pixels is decoded, where given."""

    def __init__(self, files: list[str], channels: int, least: int | None = None) -> None:
        self.files, self.channels, self.least = files, channels, least

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int, /) -> Any:
        picture, _ = self._opened(i)
        if self.least is not None and isinstance(picture, JpegImageFile):
            picture.draft(None, (self.least, self.least))
        return picture

    def where(self, i: int) -> str:
        return self.files[i]

    def tell(self, rows: Sequence[int]) -> None:
        """Tell what a person should know of how some of these pictures are read, each kind of note once."""
        probed = rows[:: len(rows) // PROBED + 1]
        notes = [(i, note) for i in probed for note in self._opened(i)[1]]
        kinds = Counter(re.sub("[0-9]", "", note) for _, note in notes)
        for i, note in notes:
            if count := kinds.pop(re.sub("[0-9]", "", note), None):
                others = f" ({count} of {len(probed)} that were looked at)" if len(probed) > 1 else ""
                tell(f"{self.files[i]}: {note}{others}")

    def _opened(self, i: int) -> tuple[Any, tuple[str, ...]]:
        return opened_file(self.files[i], channels=self.channels)
