"""Tables of labels: CSV files with a row for each image."""

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.core.checks import among
from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.data.config import is_pattern, known
from pellucid.data.walk import files_below

__all__ = ["ROLES", "SPLITS", "Table", "read"]

ROLES = {
    "file": ("file", "filename", "file_name", "path", "image", "image_path", "image_id"),
    "label": ("label", "class", "target"),
    "split": ("split", "subset"),
    "group": ("group", "patient", "patient_id"),
}
"""What the columns are called that tell what an image is; the first name is pellucid's own, case does not matter."""

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What splits are called, in tables and as folders."""

CLASS = "class"
"""The name by which images are parted by what their label says."""

SAMPLE = 1 << 16
"""Characters from which the delimiter is told."""

DELIMITERS = ",;\t|"


@dataclass(frozen=True, eq=False)
class Table:
    """What a table of labels tells, by image.

    Args:
        place: the file, for messages.
        files: paths of the images.
        labels: names of their classes.
        classes: all classes, sorted; numbers by their size.
        splits: ``train``, ``validation`` or ``test``; None where the table has no such column.
        groups: what each image belongs to, such as its patient; None where the table has no such column.
        columns: the further columns, by name.
    """

    place: str
    files: list[str]
    labels: list[str]
    classes: tuple[str, ...]
    splits: list[str] | None
    groups: tuple[str, ...] | None
    columns: Mapping[str, tuple[str, ...]]


def read(
    place: Path,
    root: Path,
    *,
    classes: tuple[str, ...] | None = None,
    file: str | None = None,
    label: str | None = None,
    group: str | None = None,
) -> Table:
    """Read a table whose delimiter is found, and whose first row may name the columns.

    Args:
        place: a CSV file in UTF-8. Without names, its columns are the file, the label and, where there are more, the
            split and the group.
        root: folder that the files are looked for in. A name without its suffix, or without its folders, is enough
            where one file alone has it. Folders above the root, as of another machine, do not matter.
        classes: the classes that labels may have; where labels are numbers and these are names, the number's position.
            None: those that the table has.
        file: name of the column of files; None: one of `ROLES`.
        label: name of the column of labels; None: one of `ROLES`.
        group: name of the column of groups, where the table has it; None: one of `ROLES`, where there is one.

    Raises:
        InputError: the table cannot be read, lacks a column, or a row names a file that is not there or was named
            before, an unknown class or an unknown split; it tells the row.
    """
    rows = _rows(place)
    names, entries = _named(place, rows)
    if group is not None and group not in names and not is_pattern(group):
        raise InputError(
            f"group {group!r} is neither a column of {place}, which has {', '.join(names)}, nor a regular expression "
            "with one pair of brackets, such as patient([0-9]+)"
        )
    lowered = [name.lower() for name in names]
    asked = {"file": file, "label": label, "group": group}
    position: dict[str, int] = {}
    for role, usual in ROLES.items():
        name = asked.get(role)
        if name is not None and not (role == "group" and name not in names):
            position[role] = names.index(known(f"column of {place}", name, tuple(names)))
        elif name is None and any(word in lowered for word in usual):
            position[role] = next(lowered.index(word) for word in usual if word in lowered)
    for role in ("file", "label"):
        if role not in position:
            raise InputError(
                f"{place} has no column {role} among {', '.join(names)}; expected {among(ROLES[role])}, or its name "
                f"with --dataset.{'image' if role == 'file' else role}_column"
            )
    for number, row in entries:
        if len(row) != len(names):
            raise InputError(f"row {number} of {place} has {len(row)} cells, expected {len(names)} as in the first row")
    if not entries:
        raise InputError(f"{place} has no row with an image")

    def column(role: str) -> list[str] | None:
        return [row[position[role]].strip() for _, row in entries] if role in position else None

    numbers = [number for number, _ in entries]
    labels, splits, groups = column("label") or [], column("split"), column("group")
    labels, found = _labels(place, labels, numbers, classes)
    if splits is not None:
        splits = [_split(place, split, number) for split, number in zip(splits, numbers, strict=True)]
    taken = set(position.values())
    columns = {
        name: tuple(row[i].strip() for _, row in entries)
        for i, name in enumerate(names)
        if i not in taken and name.strip()
    }
    if columns.pop(CLASS, None) is not None:
        tell(f"column {CLASS!r} of {place} is left out, as images are parted by their class under this name; rename it")
    files = _files(place, root, column("file") or [], numbers)
    return Table(str(place), files, labels, found, splits, None if groups is None else tuple(groups), columns)


def _rows(place: Path) -> list[tuple[int, list[str]]]:
    """Rows that are not empty, with their numbers from 1."""
    try:
        text = place.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"table {place} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"table {place} is not in UTF-8; save it as CSV UTF-8") from None
    try:
        delimiter = csv.Sniffer().sniff(text[:SAMPLE], delimiters=DELIMITERS).delimiter
    except csv.Error:
        delimiter = ","
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise InputError(f"table {place} is not a CSV file that can be read: {error}") from None
    numbered = [(number, row) for number, row in enumerate(rows, start=1) if any(cell.strip() for cell in row)]
    if not numbered:
        raise InputError(f"table {place} is empty; expected a row for each image, with its file and its label")
    return numbered


def _named(place: Path, rows: list[tuple[int, list[str]]]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Names of the columns, from the first row where it has them, and the rows of images."""
    first = [cell.strip() for cell in rows[0][1]]
    if not any("." in cell or "/" in cell or not cell for cell in first[:1]) or {cell.lower() for cell in first} & {
        *ROLES["file"],
        *ROLES["label"],
    }:
        twice = next((name for i, name in enumerate(first) if name and name in first[:i]), None)
        if twice is not None:
            raise InputError(f"column {twice!r} occurs twice in {place}; every column needs a name of its own")
        return first, rows[1:]
    if not 2 <= len(first) <= len(ROLES):
        raise InputError(
            f"the first row of {place} names no columns, and has {len(first)} cells; expected names such as file and "
            "label, or a file, a label and perhaps a split and a group in each row"
        )
    return list(ROLES)[: len(first)], rows


def _labels(
    place: Path, labels: list[str], numbers: Sequence[int], classes: tuple[str, ...] | None
) -> tuple[list[str], tuple[str, ...]]:
    """The labels as names of classes, and all classes."""
    for label, number in zip(labels, numbers, strict=True):
        if not label:
            raise InputError(f"row {number} of {place} has no label; give one, or leave the row out")
    if classes is None:
        found = set(labels)
        numeric = all(re.fullmatch(r"[+-]?\d+", label) for label in found)
        return labels, tuple(sorted(found, key=(lambda label: (int(label), label)) if numeric else None))
    if not set(labels) & set(classes) and all(label.isdecimal() and int(label) < len(classes) for label in labels):
        return [classes[int(label)] for label in labels], classes
    for label, number in zip(labels, numbers, strict=True):
        if label not in classes:
            raise InputError(f"{known_row(number, place)}: {_unknown('class', label, classes)}")
    return labels, classes


def known_row(number: int, place: Path) -> str:
    """How a message names a row."""
    return f"row {number} of {place}"


def _unknown(kind: str, name: str, names: Sequence[str]) -> str:
    try:
        known(kind, name, tuple(names))
    except InputError as error:
        return str(error)
    raise AssertionError(name)


def _split(place: Path, split: str, number: int) -> str:
    if split.lower() not in SPLITS:
        raise InputError(f"{known_row(number, place)}: {_unknown('split', split, tuple(SPLITS))}")
    return SPLITS[split.lower()]


def _files(place: Path, root: Path, cells: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """Paths of the files that the cells name."""
    by_name: dict[str, list[str]] = {}
    files: list[str] = []
    row_of: dict[str, int] = {}
    for cell, number in zip(cells, numbers, strict=True):
        file = os.path.join(root, cell.replace("\\", "/"))
        if not cell or not os.path.isfile(file):
            by_name = by_name or _by_name(root)
            named = by_name.get(os.path.basename(file), []) if cell else []
            matching = [one for one in named if _is_meant(cell, one, root)]
            if len(matching) != 1:
                what = f"{len(matching)} files of that name lie" if matching else "no such file lies"
                other = f"; {named[0]} lies in another folder than the row says" if named and not matching else ""
                raise InputError(f"{known_row(number, place)} names the file {cell!r}, but {what} in {root}{other}")
            file = matching[0]
        same = os.path.realpath(file)
        if same in row_of:
            raise InputError(
                f"{known_row(number, place)} names the file {cell!r}, as row {row_of[same]} does; an image has one row"
            )
        row_of[same] = number
        files.append(file)
    return files


def _is_meant(cell: str, file: str, root: Path) -> bool:
    """Whether a cell's folders are those below the root of a file of its name; without any there, the root itself.

    Another patient's folder may hold a file of the same name.
    """
    folders = cell.replace("\\", "/").split("/")[:-1]
    there = Path(os.path.abspath(file)).parent.parts
    compared = min(len(folders), max(1, len(Path(file).relative_to(root).parts[:-1])))
    return not compared or folders[-compared:] == list(there[-compared:])


def _by_name(root: Path) -> dict[str, list[str]]:
    """The files below a folder by their names, with their suffixes and without."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in files_below(root):
        name = os.path.basename(file)
        for key in {name, os.path.splitext(name)[0]}:
            found[key].append(file)
    return found
