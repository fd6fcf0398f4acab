"""The rows of all runs as one CSV, packed so that a page can hold it and a browser can save it."""

import base64
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from pellucid.core.spreadsheet import guarded
from pellucid.metrics.suite import split
from pellucid.report.contrasts import spoken_of
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import columns_of

__all__ = ["LARGEST", "RowsCsv", "rows_csv"]

LARGEST = 3_000_000
"""Bytes of the packed rows in a page at most."""
DIGITS = 4
NUMBERS = 12_000_000
"""Numbers beyond which only the columns that the recommendation speaks of are tried."""


@dataclass(frozen=True)
class RowsCsv:
    """``packed``: the CSV, gzipped, in base64; empty where it is too large. ``what`` says which columns it has."""

    packed: str
    what: str


def rows_csv(runs: Sequence[Run]) -> RowsCsv:
    """Every image of every run: index, class, answer, confidence, and its numbers with four digits.

    Every text that a spreadsheet would take for a formula gets an apostrophe in front. Where all columns are too many
    for a page, those that the recommendation speaks of are taken; where even these are, nothing is.

    Args:
        runs: runs over the same images.
    """
    spoken = {split(name)[0] for measure in spoken_of(runs) for name in measure.stored}
    for what, names in (("every measure", None), ("the measures that the recommendation speaks of", spoken)):
        if names is None and sum(run.rows.num_rows * len(_columns(run, names)) for run in runs) > NUMBERS / 10:
            continue
        packed = _packed(runs, names)
        if len(packed) <= LARGEST:
            return RowsCsv(packed, what)
    return RowsCsv("", "")


def _columns(run: Run, names: set[str] | None) -> list[str]:
    """Numbers of single images; curves and probabilities are lists, and stay out."""
    return [
        name
        for name in columns_of(run)
        if name not in ("index", "label", "prediction", "score")
        and not pa.types.is_list(run.rows.schema.field(name).type)
        and (names is None or name in names)
    ]


def _packed(runs: Sequence[Run], names: set[str] | None) -> str:
    wanted = list(dict.fromkeys(name for run in runs for name in _columns(run, names)))
    text = io.BytesIO()
    for number, run in enumerate(runs):
        count = run.rows.num_rows
        table: dict[str, pa.Array | pa.ChunkedArray] = {
            "run": pa.array([guarded(run.name)] * count),
            "index": run.rows["index"],
            "class": _words(run, "label"),
            "answer": _words(run, "prediction"),
            "confidence": _short(run.values("score")),
        }
        for name in wanted:
            there = name in run.rows.column_names
            table[guarded(name)] = _short(run.values(name)) if there else pa.nulls(count)
        pc.write_csv(pa.table(table), text, pc.WriteOptions(include_header=number == 0, quoting_style="needed"))
    return base64.b64encode(gzip.compress(text.getvalue(), compresslevel=6, mtime=0)).decode()


def _words(run: Run, column: str) -> pa.Array:
    """Labels or answers in words."""
    known, place = np.unique(run.rows[column].to_numpy(), return_inverse=True)
    return pa.array([guarded(run.words(int(label))) for label in known]).take(pa.array(place))


def _short(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> pa.Array:
    """Numbers with four digits, whole ones without a point; empty where there is none."""
    there = np.isfinite(values)
    if (values[there] == np.round(values[there])).all():
        whole = np.where(there, values, 0).astype(np.int64)
        return pa.array(whole, mask=~there)
    size = np.floor(np.log10(np.abs(np.where(there & (values != 0), values, 1.0))))
    factor = 10.0 ** (DIGITS - 1 - size)
    return pa.array(np.round(values * factor) / factor, mask=~there)
