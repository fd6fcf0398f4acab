"""An evaluated run: its rows and its other files, read and checked. Imports no torch."""

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from pellucid.config import read_yaml
from pellucid.core.errors import InputError, raised
from pellucid.core.files import check_readable
from pellucid.core.label_sets import label_words
from pellucid.core.plain_data import read_json
from pellucid.core.spreadsheet import rows_of
from pellucid.runs.comparability import check_comparable
from pellucid.runs.digests import check_digest, digest_of
from pellucid.runs.directory import RunDirectory
from pellucid.runs.measures import Measure, columns_of, resolved
from pellucid.runs.per_sample import by_epoch
from pellucid.statistics.aggregates import Aggregate

__all__ = ["EVALUATION", "FORMAT", "WEIGHTS", "Floats", "Run", "read_run", "read_runs"]

FORMAT = 1
"""The version of rows.parquet that is understood."""

WEIGHTS = "pellucid.weights"
"""Metadata of the rows: SHA-256 of the weights that were measured."""
EVALUATION = "pellucid.evaluation"
"""Metadata of the rows and of the maps: which evaluation they are of."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluated run. Rows are in memory; the larger or rarer files are read when first asked for.

    Attributes:
        name: the directory's name, the run's name in every table.
        path: the directory.
        config: the experiment as plain dicts and lists.
        rows: one row per test image, sorted by index.
        info: what evaluation said about the rows: format, dataset, split, images, classes, columns.
    """

    name: str
    path: Path
    config: dict[str, Any]
    rows: pa.Table
    info: dict[str, Any]

    @property
    def directory(self) -> RunDirectory:
        """Where the run's files are."""
        return RunDirectory(self.path)

    @property
    def method(self) -> str:
        """Class name of the training method, such as ``SCAAT``; ``as given`` for a network that was not trained."""
        if self.is_as_given:
            return "as given"
        return str(self.config["method"]["class_path"]).rpartition(".")[2]

    @property
    def is_as_given(self) -> bool:
        """Whether the network was measured as it was given, without training."""
        return bool(self.config.get("epochs") == 0)

    @property
    def control(self) -> str | None:
        """``random mask`` where the method took places at random instead of those that a map chose; None otherwise."""
        options = self.config["method"].get("init_args") or {}
        scaat = options.get("scaat") or {}
        random = "random" in (options.get("ranking"), scaat.get("init_args", scaat).get("ranking"))
        return "random mask" if random else None

    @property
    def activation(self) -> str | None:
        """What takes the place of the network's ReLUs and its sharpness, such as ``softplus 8``; None for the ReLUs."""
        swapped = self.config.get("activation")
        if swapped is None:
            return None
        swapped = swapped.get("init_args", swapped)
        return f"{swapped.get('name', 'softplus')} {swapped.get('beta', 8):g}"

    @property
    def smoothing(self) -> str | None:
        """The feature-map smoothing's filter, ``1x1`` for the block without one, None without a block."""
        block = self.config.get("smoothing")
        if block is None:
            return None
        name = block.get("init_args", block).get("filter")
        return "1x1" if name == "none" else str(name)

    @property
    def task(self) -> str:
        """``multiclass``, each image has one of the classes; ``multilabel``, any number of them."""
        return str(self.info.get("task", "multiclass"))

    def words(self, label: int) -> str:
        """What a label or a prediction of the rows is called: a class, or the set of labels that apply."""
        return label_words(label, self.info["classes"], self.task)

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """Per column of the rows: title, definition, unit, direction, parameters, source."""
        columns: dict[str, dict[str, Any]] = self.info["columns"]
        return columns

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """Every number that a table can show, by name, in the order of every table."""
        return resolved(self)

    @cached_property
    def aggregates(self) -> dict[str, Aggregate]:
        """The numbers that were asked for so far, by name, as `Measure.aggregate` makes them."""
        return {}

    @cached_property
    def saliency_methods(self) -> list[str]:
        """Saliency methods in the rows; the vanilla gradient has the bare names and is called ``vanilla_gradient``."""
        return list(dict.fromkeys(column.saliency for column in columns_of(self).values() if column.saliency))

    def values(self, column: str) -> Floats:
        """(n,) one number per image; NaN where it is null or, as elementwise stability can be, infinite."""
        values: Floats = self.rows[column].cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.where(np.isfinite(values), values, np.nan)

    def equal(self, column: str, other: str) -> npt.NDArray[np.bool_]:
        """(n,) whether an image has the same whole number in both columns, such as the prediction and the label.

        The number of a set of labels may have more digits than a float keeps.
        """
        same: npt.NDArray[np.bool_] = pc.equal(self.rows[column], self.rows[other]).fill_null(False).to_numpy()
        return same

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the prediction is the label."""
        return self.equal("prediction", "label")

    def curves(self, column: str) -> Floats:
        """(n, steps + 1) one curve per image."""
        lists = self.rows[column].combine_chunks()
        curves: Floats = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(lists), -1)
        return curves

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, device, commit and command of the training."""
        file = _existing(self.directory.environment, self.name)
        environment: dict[str, Any] = read_json(file, f"delete {self.path} and train it again")
        return environment

    @cached_property
    def training(self) -> dict[str, Floats]:
        """Per column of the training's log its value at each epoch, NaN where nothing was logged.

        A network as it was given has been trained for no epoch.
        """
        if self.is_as_given:
            return {name: np.empty(0) for name in ("epoch", "step", "seconds")}
        file = _existing(self.directory.training, self.name)
        check_readable(file)
        try:
            with file.open(newline="", encoding="utf-8") as opened:
                names, read = rows_of(opened)
                rows = list(read)
            if not names:
                raise InputError(f"run {self.name!r} has an empty {file.name}; train it first: pellucid train")
            return {key: np.array([float(row[key] or "nan") for row in rows]) for key in names}
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, csv.Error) as error:
            raise InputError(
                f"{file} is damaged, a row for each epoch with a number in each column is accepted "
                f"({raised(error)[:100]}); restore it, or train again"
            ) from None

    @cached_property
    def per_sample(self) -> dict[str, dict[int, Floats]]:
        """By name and epoch, the numbers that the method's state kept for every training image, NaN where undefined.

        They are what ``state.per_sample()`` gave, such as q of SCAAT; most methods keep none.
        """
        kept = {}
        for name in self.directory.sample_names:
            table = _read_parquet(self.directory.sample_numbers(name), f"delete {self.path} and train it again")
            numbers = by_epoch(table, name)
            if numbers is not None:
                kept[name] = numbers
        return kept

    @property
    def q(self) -> dict[int, Floats] | None:
        """q of every training sample at the end of each epoch; None for methods without q."""
        return self.per_sample.get("q")

    def extremes(self, name: str = "q") -> dict[str, npt.NDArray[Any]]:
        """The training images with the smallest and the largest of the numbers ``name``.

        Returns:
            ``images``, ``index``, ``label`` and ``name`` itself, first the smallest and rising, then the largest and
            falling; empty where none were kept.
        """
        return _read_tensors(self.directory.extremes(name), "delete it, or train again")

    @property
    def snapshots(self) -> dict[str, npt.NDArray[Any]]:
        """Fixed ``images`` and their ``label``; per ``epoch`` their ``prediction`` and ``heatmap``.

        It is empty where training was not asked to keep them.
        """
        return _read_tensors(self.directory.snapshots, "delete it, or train again")

    @cached_property
    def maps(self) -> dict[str, npt.NDArray[Any]]:
        """The gallery: images, index, label, prediction, score, and ``heatmap/NAME`` per saliency method."""
        file = _existing(self.directory.maps, self.name)
        remedy = f"evaluate it again: pellucid evaluate {self.path}"
        check_digest(file, self.directory.digests, remedy)
        maps = _read_tensors(file, remedy)
        of = (self.rows.schema.metadata or {}).get(EVALUATION.encode())
        with safe_open(file, "numpy") as opened:
            if of is not None and (opened.metadata() or {}).get(EVALUATION) != of.decode():
                raise InputError(f"{file} is of another evaluation than the rows, which was interrupted; {remedy}")
        return maps


def read_run(path: str | Path) -> Run:
    """Read an evaluated run directory.

    Args:
        path: the directory; its last part is the run's name.

    Raises:
        InputError: no such directory, not trained, not evaluated, a truncated file, or a format of another version.
    """
    path = Path(os.path.abspath(path))
    if not path.is_dir():
        raise InputError(f"no run directory {path}; a run is the directory that pellucid train wrote")
    name, directory = path.name, RunDirectory(path)
    experiment = _existing(directory.experiment, name)
    config = read_yaml(experiment)
    method = config.get("method") if isinstance(config, dict) else None
    if not isinstance(method, dict) or "class_path" not in method:
        raise InputError(f"{experiment} names no method; it must be the file that pellucid train wrote")
    file, again = directory.rows, f"evaluate it again: pellucid evaluate {path}"
    if not directory.is_evaluated:
        if not directory.is_finished:
            raise InputError(f"run {name!r} is not trained to its end; continue it: pellucid train {path} --resume")
        raise InputError(f"run {name!r} has no {file.name}; evaluate it first: pellucid evaluate {path}")
    check_digest(file, directory.digests, again)
    check_digest(directory.weights, directory.digests, "restore it, or train again", others=True)
    rows = _read_parquet(file, f"write it again: pellucid evaluate {path}")
    measured = (rows.schema.metadata or {}).get(WEIGHTS.encode())
    if measured is not None and directory.weights.exists() and digest_of(directory.weights) != measured.decode():
        raise InputError(f"{file} was measured with other weights than {directory.weights.name} holds; {again}")
    try:
        info = json.loads((rows.schema.metadata or {}).get(b"pellucid", b"{}"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is damaged, its columns cannot be read ({error}); {again}") from None
    info = info if isinstance(info, dict) else {}
    if info.get("format") != FORMAT:
        raise InputError(
            f"{file.name} of run {name!r} has format {info.get('format')!r}, this pellucid reads format {FORMAT}; "
            f"evaluate it again: pellucid evaluate {path}"
        )
    if not rows.num_rows:
        raise InputError(f"{file.name} of run {name!r} holds no image; evaluate at least one: pellucid evaluate {path}")
    return Run(name, path, config, rows, info)


def read_runs(paths: Sequence[str | Path]) -> list[Run]:
    """Read run directories that may be compared: names differ, the same images were measured in the same way.

    Args:
        paths: one directory per run, at least one.

    Raises:
        InputError: as `read_run`; or two runs that cannot stand in one table, naming them and what differs.
    """
    if not paths:
        raise InputError("no run directory given; name at least one that pellucid train and evaluate wrote")
    runs = [read_run(path) for path in paths]
    check_comparable(runs)
    return runs


def _existing(path: Path, run: str) -> Path:
    if not path.exists():
        hint = RunDirectory(path.parent).meant or "a run directory is what pellucid train and evaluate wrote"
        raise InputError(f"run {run!r} has no {path.name}: {path} is missing; {hint}")
    return path


def _read_parquet(path: Path, remedy: str) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is truncated or no parquet file ({str(error).splitlines()[0]}); {remedy}") from error


def _read_tensors(path: Path, remedy: str) -> dict[str, npt.NDArray[Any]]:
    """What a safetensors file holds; nothing where there is none."""
    if not path.exists():
        return {}
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path} cannot be read ({error}); {remedy}") from error
