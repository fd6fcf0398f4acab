"""What is usual for this network: the measures of other images, of which a card's numbers are percentiles."""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from pellucid import __version__
from pellucid.config import to_config
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.explanation.card import FIGURES
from pellucid.explanation.examination import Examination
from pellucid.explanation.explained_network import ExplainedNetwork
from pellucid.explanation.finding import examine
from pellucid.explanation.pictures import Picture, find, read
from pellucid.explanation.trust_rules import Thresholds
from pellucid.metrics.column import Column
from pellucid.metrics.suite import COLUMNS, column_name, split
from pellucid.report.words import dataset_words
from pellucid.runs.evaluated import read_run

__all__ = ["FEWEST", "Reference", "of_folder", "of_rows"]

FEWEST = 20
"""Images below which a percentile says too little to be shown."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Measures of other images under the same network.

    Attributes:
        source: what the images are, in words.
        images: how many.
        columns: (images,) numbers by column name (`pellucid.metrics.column_name`); NaN where undefined.
    """

    source: str
    images: int
    columns: dict[str, npt.NDArray[np.float64]]

    def percentile(self, measure: str, method: str, value: float, meaning: Column | None = None) -> float | None:
        """Share in percent of the reference images whose map is worse, ties half; None where it cannot be said.

        Args:
            measure: name of a figure.
            method: name of the saliency method.
            value: of the image.
            meaning: of the figure; that of the card's own by default.

        >>> gini = {"gini": np.linspace(0.01, 1, 100)}
        >>> Reference("", 100, gini).percentile("gini", "vanilla_gradient", 0.255)
        25.0
        """
        column = column_name(measure, method)
        meaning = meaning or FIGURES[measure]
        if not _is_ranked(meaning) or column not in self.columns or not np.isfinite(value):
            return None
        sign = 1 if meaning.direction == "higher" else -1
        known = self.columns[column]
        known = sign * known[np.isfinite(known)]
        if len(known) < FEWEST:
            return None
        worse = (known < sign * value).sum() + (known == sign * value).sum() / 2
        return float(100 * worse / len(known))


def _is_ranked(meaning: Column) -> bool:
    """Whether a figure describes a map, and one of two is the better."""
    return meaning.of_map and meaning.direction != "none"


def of_rows(run: str | Path) -> Reference:
    """The rows that ``pellucid evaluate`` left in a run directory.

    Raises:
        InputError: there are none, or they cannot be read.
    """
    read = read_run(run)
    card_only = FIGURES.keys() - COLUMNS.keys()
    columns = {
        name: read.values(name)
        for name in read.columns
        if split(name)[0] not in card_only and not pa.types.is_nested(read.rows[name].type)
    }
    for method in read.saliency_methods:
        orders = [column_name(f"aopc_{order}", method) for order in ("morf", "lerf")]
        if all(order in columns for order in orders):
            columns[column_name("faithfulness", method)] = columns[orders[0]] - columns[orders[1]]
    explained = {column["parameters"].get("target") for column in read.columns.values()}
    source = f"{read.rows.num_rows:,} {read.info['split']} images of {dataset_words(read)}"
    if "true" in explained:
        source += ", their true classes explained"
    return Reference(source, read.rows.num_rows, columns)


def of_folder(
    subject: ExplainedNetwork,
    folder: str | Path,
    examination: Examination,
    *,
    images: int = 50,
    batch_size: int = 8,
    progress: bool = True,
) -> Reference:
    """Measure the pictures of a folder once; the numbers are kept in the cache folder.

    Args:
        subject: the network.
        folder: of pictures, searched with all its folders.
        examination: as the card's own.
        images: at most so many, evenly spaced in the order of their names.
        batch_size: images measured at once.
        progress: show a bar on a terminal.

    Raises:
        InputError: no folder, or fewer than `FEWEST` pictures in it that can be read.
    """
    if not Path(folder).is_dir():
        raise InputError(f"reference {folder} is not a folder of pictures")
    if images < FEWEST:
        raise InputError(f"a reference needs at least {FEWEST} images, got {images}")
    files = find([folder])
    if len(files) > images:
        files = [files[i] for i in np.linspace(0, len(files) - 1, images).round().astype(int)]
    measured = replace(examination, thresholds=Thresholds())  # by which nothing is measured
    facts = [__version__, subject.name, subject.weights, subject.shape, to_config(measured)]
    known = [(file, Path(file).stat()) for file in files if Path(file).is_file()]
    facts += [[file, state.st_size, state.st_mtime_ns] for file, state in known]
    key = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
    cache = Path(os.environ.get("PELLUCID_CACHE") or platformdirs.user_cache_dir("pellucid"))
    kept = cache / "references" / f"{key}.parquet"
    table = None
    with suppress(pa.ArrowInvalid, OSError):  # not there, or cut short; it is made again
        table = pq.read_table(kept)
    if table is None:
        pictures = []
        for file in files:
            with suppress(InputError):  # what is wrong with a picture is said where it is to be explained
                pictures.append(read(file, subject.shape))
        if len(pictures) < FEWEST:
            raise InputError(
                f"reference {folder} holds {len(pictures)} pictures that can be read; at least {FEWEST} are needed"
            )
        table = _measured(subject, pictures, examination, batch_size, progress)
        with whole_file(kept) as temporary:
            pq.write_table(table, temporary)
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    return Reference(f"{table.num_rows} pictures of {Path(folder).resolve().name}", table.num_rows, columns)


def _measured(
    subject: ExplainedNetwork, pictures: Sequence[Picture], examination: Examination, batch_size: int, progress: bool
) -> pa.Table:
    columns: dict[str, list[float]] = {}
    meanings = examination.columns()
    shown = {"unit": "image", "dynamic_ncols": True, "disable": None if progress else True}
    with tqdm(total=len(pictures), desc="measuring the reference", **shown) as bar:
        for start in range(0, len(pictures), batch_size):
            batch = pictures[start : start + batch_size]
            x = subject.batch([picture.pixels for picture in batch])
            keys = [picture.key for picture in batch]
            for finding in examine(subject.model, x, keys, examination, judged=False, task=subject.task):
                for method, measured in finding.maps.items():
                    for measure, value in measured.figures.items():
                        if _is_ranked(meanings[measure]):
                            columns.setdefault(column_name(measure, method), []).append(value)
            bar.update(len(batch))
    return pa.table(columns)
