"""Which photographs a tuning trained on and tested on, and what its networks and their cards said of each, as CSV."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pellucid.core.files import whole_file
from pellucid.core.spreadsheet import write_table
from pellucid.data import Dataset
from pellucid.runs.evaluated import Run

__all__ = ["write_photographs"]


def write_photographs(
    splits: Mapping[str, Dataset],
    runs: Mapping[str, Run],
    levels: Mapping[str, Mapping[int, str]],
    file: Path,
    *,
    below: Path,
) -> Path:
    """Write one row for each photograph that was used: its file, split and label, and what was found where measured.

    Args:
        splits: ``train``, ``validation`` and ``test``, as the networks saw them.
        runs: of each network by name, the measured photographs of the test split.
        levels: of each network by name, what the card of a photograph said, by its position in the test split.
        file: where.
        below: folder of the photographs, whose files are named by their paths in it.

    Returns:
        The file.
    """
    columns = ["file", "split", "label", *(f"{name} answer" for name in runs), *(f"{name} card" for name in levels)]
    with (
        whole_file(file) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as handle,
    ):
        write_table(handle, columns, _rows(splits, runs, levels, below))
    return file


def _rows(
    splits: Mapping[str, Dataset], runs: Mapping[str, Run], levels: Mapping[str, Mapping[int, str]], below: Path
) -> Iterator[dict[str, Any]]:
    answers = {name: _answers(run, splits["test"]) for name, run in runs.items()}
    for split, dataset in splits.items():
        for i in range(len(dataset)):
            row: dict[str, Any] = {
                "file": _named(dataset.where(i), below),
                "split": split,
                "label": dataset.classes[int(dataset.labels[i])],
            }
            if split == "test":
                row |= {f"{name} answer": of_network.get(i) for name, of_network in answers.items()}
                row |= {f"{name} card": of_network.get(i) for name, of_network in levels.items()}
            yield row


def _named(file: str, below: Path) -> str:
    """The path of a file in the folder ``below``; of another file its whole path."""
    path, folder = Path(file).absolute(), below.absolute()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else file


def _answers(run: Run, dataset: Dataset) -> dict[int, str]:
    """The predicted class of each measured photograph, by its position."""
    pairs = zip(run.rows["index"].to_pylist(), run.rows["prediction"].to_pylist(), strict=True)
    return {index: dataset.classes[prediction] for index, prediction in pairs}
