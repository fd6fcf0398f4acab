"""The files of a study folder: the design, the manifest of the pictures, and the lock that freezes both."""

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pellucid.config import read_config, write_yaml
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.core.spreadsheet import rows_of, write_table
from pellucid.study.design import Study

__all__ = [
    "Stimulus",
    "freeze",
    "is_frozen",
    "read_manifest",
    "read_study",
    "registration",
    "sha256",
    "write_manifest",
    "write_study",
]

CODE = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """One row of the manifest: which picture shows what. For the researcher's eyes only.

    Attributes:
        stimulus: opaque identifier, also the stem of the file's name.
        file: path in the study folder.
        sha256: of the file.
        condition: the run; empty for a practice picture, whose map is of the first run.
        image: index of the test image.
        label: true class.
        prediction: the network's answer.
        score: its probability.
        correct: whether they agree.
        saliency: the method of the map.
    """

    stimulus: str
    file: str
    sha256: str
    condition: str
    image: int
    label: str
    prediction: str
    score: float
    correct: bool
    saliency: str

    @property
    def practice(self) -> bool:
        """Shown before the study proper."""
        return self.condition == ""


COLUMNS = tuple(column.name for column in fields(Stimulus))


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_study(study: Study, path: str | Path) -> None:
    """Write ``study.yaml``."""
    write_yaml(study, path)


def read_study(folder: str | Path) -> Study:
    """Read ``study.yaml`` of a study folder.

    Raises:
        InputError: no such file, a field that does not exist, or a value that is not accepted, by its place.
    """
    path = Path(folder) / "study.yaml"
    if not path.is_file():
        raise InputError(f"there is no {path}; `pellucid study new` makes a study folder")
    try:
        study: Study = read_config(path, Study)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return study


def read_manifest(folder: str | Path, *, verify: bool = True) -> list[Stimulus]:
    """Read ``manifest.csv`` of a study folder.

    Args:
        folder: the study folder.
        verify: also compare every picture with its hash.

    Raises:
        InputError: no such file, a missing column or value, a picture that is missing or was changed.
    """
    folder = Path(folder)
    path = folder / "manifest.csv"
    if not path.is_file():
        raise InputError(f"there is no {path}; `pellucid study new` makes a study folder")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(rows_of(file)[1])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is damaged ({error}); restore it, or make the study again") from None
    stimuli = []
    for number, row in enumerate(rows, start=2):
        try:
            stimuli.append(
                Stimulus(
                    **{name: row[name] for name in ("stimulus", "file", "sha256", "condition", "label", "prediction")},
                    image=int(row["image"]),
                    score=float(row["score"]),
                    correct={"true": True, "false": False}[row["correct"]],
                    saliency=row["saliency"],
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number}, has no valid {error}; columns are {', '.join(COLUMNS)}") from None
    for shown in stimuli:
        if not CODE.fullmatch(shown.stimulus) or shown.file != f"stimuli/{shown.stimulus}.png":
            raise InputError(
                f"{path} names the file {shown.file!r} of stimulus {shown.stimulus!r}; it must be stimuli/NAME.png, "
                "NAME of letters, digits, - and _"
            )
        picture = folder / shown.file
        if not picture.is_file():
            raise InputError(f"the stimulus {picture} is missing; restore it, or make the study again")
        if verify and sha256(picture) != shown.sha256:
            raise InputError(
                f"the stimulus {picture} was changed after the study was made; its hash is not the manifest's"
            )
    return stimuli


def write_manifest(stimuli: Sequence[Stimulus], path: str | Path) -> None:
    """Write ``manifest.csv``, a row per stimulus."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = (asdict(stimulus) | {"correct": str(stimulus.correct).lower()} for stimulus in stimuli)
        write_table(file, COLUMNS, rows)


def freeze(folder: str | Path) -> str:
    """Write ``study.lock``: the hashes of design and manifest. Frozen twice, it stays as it is.

    A manifest holds the hash of every picture, so the pictures are frozen with it.

    Returns:
        `registration`.

    Raises:
        InputError: a study that cannot be read, or that was changed after freezing.
    """
    folder = Path(folder)
    read_study(folder)
    read_manifest(folder)
    if not is_frozen(folder):
        with whole_file(folder / "study.lock") as temporary:
            temporary.write_text(_lock(folder), encoding="utf-8")
    return registration(folder)


def registration(folder: str | Path) -> str:
    """SHA-256 over the hashes of design and manifest: what a registration quotes."""
    return hashlib.sha256(_lock(Path(folder)).encode()).hexdigest()


def is_frozen(folder: str | Path) -> bool:
    """Whether the study was frozen.

    Raises:
        InputError: it was, and has been changed since.
    """
    folder = Path(folder)
    lock = folder / "study.lock"
    if not lock.exists():
        return False
    locked, now = lock.read_text(encoding="utf-8").splitlines(), _lock(folder).splitlines()
    for line in now:
        if line not in locked:
            raise InputError(
                f"{folder / line.split()[1]} was changed after the study was frozen; restore it, or make a new study "
                "with a higher version"
            )
    return True


def _lock(folder: Path) -> str:
    return "".join(f"{sha256(folder / name)}  {name}\n" for name in ("study.yaml", "manifest.csv"))
