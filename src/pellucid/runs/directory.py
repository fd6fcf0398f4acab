"""Run directories as tables and the page read them: the files of training and evaluation, checked."""

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
import pyarrow.parquet as pq
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load_file

from pellucid.core.errors import InputError
from pellucid.metrics.definitions import is_of_map

__all__ = ["FORMAT", "Run", "check_comparable", "read_run", "read_runs"]

FORMAT = 1
"""The version of rows.parquet that is understood."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluated run. Rows are in memory; the larger or rarer files are read when first asked for.

    Attributes:
        name: the directory's name, the run's name in every table.
        path: the directory.
        config: experiment.yaml as plain dicts and lists.
        rows: one row per test image, sorted by index.
        info: what evaluation said about the rows: format, dataset, split, images, classes, columns.
    """

    name: str
    path: Path
    config: dict[str, Any]
    rows: pa.Table
    info: dict[str, Any]

    @property
    def method(self) -> str:
        """Class name of the training method, such as ``SCAAT``."""
        return str(self.config["method"]["class_path"]).rpartition(".")[2]

    @property
    def smoothing(self) -> str | None:
        """The feature-map smoothing's filter, ``1x1`` for the block without one, None without a block."""
        block = self.config.get("smoothing")
        if block is None:
            return None
        name = block.get("init_args", block).get("filter")
        return "1x1" if name == "none" else str(name)

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """Per column of the rows: title, definition, unit, direction, parameters, source."""
        columns: dict[str, dict[str, Any]] = self.info["columns"]
        return columns

    @property
    def saliency_methods(self) -> list[str]:
        """Saliency methods in the rows; the vanilla gradient has the bare names and is called ``vanilla_gradient``."""
        named = [name.partition("/")[2] or "vanilla_gradient" for name in self.rows.column_names if _is_map(name)]
        return list(dict.fromkeys(named))

    def values(self, column: str) -> Floats:
        """(n,) one number per image; NaN where it is null or, as elementwise stability can be, infinite."""
        values: Floats = self.rows[column].cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.where(np.isfinite(values), values, np.nan)

    def curves(self, column: str) -> Floats:
        """(n, steps + 1) one curve per image."""
        lists = self.rows[column].combine_chunks()
        curves: Floats = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(lists), -1)
        return curves

    @cached_property
    def environment(self) -> dict[str, Any]:
        """environment.json: versions, device, commit, command."""
        text = _existing(self.path / "environment.json", self.name).read_text(encoding="utf-8")
        try:
            environment: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{self.path / 'environment.json'} is no JSON ({error}); delete {self.path} and train it again"
            ) from error
        return environment

    @cached_property
    def training(self) -> dict[str, Floats]:
        """train.csv: per column its value at each epoch, NaN where nothing was logged."""
        with _existing(self.path / "train.csv", self.name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            raise InputError(f"run {self.name!r} has an empty train.csv; train it first: pellucid train")
        return {key: np.array([float(row[key] or "nan") for row in rows]) for key in rows[0]}

    @cached_property
    def q(self) -> dict[int, Floats] | None:
        """q of every training sample at the end of each epoch; None for methods without q."""
        path = self.path / "q.parquet"
        if not path.exists():
            return None
        table = _read_parquet(path, f"delete {self.path} and train it again")
        epoch, q = table["epoch"].to_numpy(), table["q"].to_numpy().astype(np.float64)
        return {int(number): q[epoch == number] for number in np.unique(epoch)}

    @cached_property
    def maps(self) -> dict[str, npt.NDArray[Any]]:
        """maps.safetensors: images, index, label, prediction, score, and ``heatmap/NAME`` per saliency method."""
        path = _existing(self.path / "maps.safetensors", self.name)
        try:
            return load_file(path)
        except SafetensorError as error:
            raise InputError(
                f"{path} cannot be read ({error}); evaluate it again: pellucid evaluate {self.path}"
            ) from error


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
    name = path.name
    try:
        config = yaml.safe_load(_existing(path / "experiment.yaml", name).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path / 'experiment.yaml'} is no YAML ({' '.join(str(error).split())})") from error
    method = config.get("method") if isinstance(config, dict) else None
    if not isinstance(method, dict) or "class_path" not in method:
        raise InputError(f"{path / 'experiment.yaml'} names no method; it must be the file that pellucid train wrote")
    if not (path / "rows.parquet").exists():
        raise InputError(f"run {name!r} has no rows.parquet; evaluate it first: pellucid evaluate {path}")
    rows = _read_parquet(path / "rows.parquet", f"write it again: pellucid evaluate {path}")
    info = json.loads((rows.schema.metadata or {}).get(b"pellucid", b"{}"))
    if info.get("format") != FORMAT:
        raise InputError(
            f"rows.parquet of run {name!r} has format {info.get('format')!r}, this pellucid reads format {FORMAT}; "
            f"evaluate it again: pellucid evaluate {path}"
        )
    if not rows.num_rows:
        raise InputError(
            f"rows.parquet of run {name!r} holds no image; evaluate at least one: pellucid evaluate {path}"
        )
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


def check_comparable(runs: Sequence[Run]) -> None:
    """Refuse runs that cannot stand in one table.

    Args:
        runs: any number of runs.

    Raises:
        InputError: two runs of one name, or evaluated on different images or in different ways; it names both.
    """
    named: dict[str, Run] = {}
    for run in runs:
        if run.name in named:
            raise InputError(
                f"two runs are named {run.name!r} ({named[run.name].path} and {run.path}); rename a directory, "
                "as its name is the run's name in the table"
            )
        named[run.name] = run
        _check_same_images(runs[0], run)
        _check_same_settings(runs[0], run)


def _check_same_images(first: Run, run: Run) -> None:
    for key in ("dataset", "split", "classes"):
        if run.info.get(key) != first.info.get(key):
            raise InputError(
                f"runs {first.name!r} and {run.name!r} were evaluated on different data: {key} "
                f"{first.info.get(key)!r} and {run.info.get(key)!r}; only runs on the same images can be compared"
            )
    for key in ("index", "label"):
        if not np.array_equal(first.rows[key].to_numpy(), run.rows[key].to_numpy()):
            raise InputError(
                f"runs {first.name!r} ({first.rows.num_rows} images) and {run.name!r} ({run.rows.num_rows}) were "
                f"evaluated on different images: column {key} differs; evaluate both with the same images and seed"
            )


def _check_same_settings(first: Run, run: Run) -> None:
    for column in first.columns.keys() & run.columns.keys():
        # Which layers a network has is the network's, not a setting.
        ours, theirs = (
            {key: value for key, value in each.columns[column].get("parameters", {}).items() if key != "layers"}
            for each in (first, run)
        )
        if ours != theirs:
            raise InputError(
                f"runs {first.name!r} and {run.name!r} measured {column} with different parameters, {ours} and "
                f"{theirs}; evaluate both with the same settings"
            )


def _is_map(column: str) -> bool:
    return is_of_map(column)


def _existing(path: Path, run: str) -> Path:
    if not path.exists():
        raise InputError(
            f"run {run!r} has no {path.name}: {path} is missing; a run directory is what pellucid train and evaluate "
            "wrote"
        )
    return path


def _read_parquet(path: Path, remedy: str) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is truncated or no parquet file ({str(error).splitlines()[0]}); {remedy}") from error
