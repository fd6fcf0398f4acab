"""The same pictures under every network: heatmaps as small PNG pictures inside the page."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.metrics.suite import column_name
from pellucid.report.colours import Scale, coloured, is_signed, photograph, uri
from pellucid.report.measures import saliency_title
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure, measures_of

__all__ = ["Gallery", "Picture", "Row", "Strip", "color_bar", "extremes", "gallery", "orders", "snapshots", "strips"]

LARGEST = 224
"""Longest side in pixels of a map in the page."""
PHOTOGRAPH = 384
"""Longest side in pixels of a photograph of the gallery."""
SMALL = 64
"""Side up to which a photograph keeps every bit; larger ones are JPEG, a quarter of the size."""
PIXELS = {"gallery": 4_500_000, "strips": 1_500_000, "snapshots": 700_000, "extremes": 700_000}
"""Pixels of all pictures of a kind; a map's pixel takes about one byte of the page, a photograph's up to four."""
MOST = 2200
"""Heatmaps of the gallery together; more make the page slow."""
COLUMNS = 8
"""Maps in a strip at most."""


@dataclass(frozen=True)
class Picture:
    """One PNG with what a screen reader says instead.

    Of a heatmap, ``top`` is the magnitude drawn in the last colour, and ``signed`` says which colours those are.
    """

    uri: str
    alt: str
    top: float | None = None
    signed: bool = False


@dataclass(frozen=True)
class Row:
    """One test picture; per run its prediction, and per saliency method a heatmap (None where not measured)."""

    index: int
    label: str
    image: Picture
    predictions: list[tuple[str, str, bool]]
    heatmaps: dict[str, list[Picture | None]]


@dataclass(frozen=True)
class Gallery:
    """Rows of the gallery, of ``kept`` pictures.

    Maps are ``width`` pixels wide, ``shrunk`` if that is less than they were; photographs ``native``.
    """

    rows: list[Row]
    width: int
    shrunk: bool
    kept: int = 0
    native: int = 0


def gallery(runs: Sequence[Run], methods: Sequence[str]) -> Gallery:
    """Images and heatmaps that the runs' evaluations kept.

    Each heatmap has a colour scale of its own, from 0 (black) to its 99th percentile (brightest), so that one extreme
    pixel does not darken the rest. One that is signed, as ``channels`` ``signed_mean`` of the evaluation makes it, goes
    from blue, against the class, over white to red, for it. The page can draw all maps of a row or a network to one.

    Args:
        runs: runs over the same images.
        methods: saliency methods, in the order to show them.

    Raises:
        InputError: the runs kept maps of different images.
    """
    first = runs[0]
    for run in runs:
        if not np.array_equal(run.maps["index"], first.maps["index"]):
            raise InputError(
                f"runs {first.name!r} and {run.name!r} kept maps of different images; evaluate both with the same "
                "gallery and seed"
            )
    images = first.maps["images"]
    kept, height, width = len(images), *images.shape[2:]
    if not kept:
        return Gallery([], width, False)
    most = max(6, MOST // max(1, len(runs) * len(methods)))
    shown = np.unique(np.linspace(0, kept - 1, min(kept, most)).round().astype(int))
    size = _size("gallery", height, width, pictures=len(shown) * len(runs) * len(methods))
    native = _fitted(height, width, PHOTOGRAPH)
    rows = []
    for number in shown.tolist():
        index = first.maps["index"][number]
        label = int(first.maps["label"][number])
        named = f"test picture {index}, {first.words(label)}"
        predictions, heatmaps = [], {}
        for run in runs:
            predicted, score = int(run.maps["prediction"][number]), float(run.maps["score"][number])
            of_label = "" if run.task == "multiclass" else f"{run.info['classes'][int(run.maps['explained'][number])]} "
            predictions.append((run.words(predicted), f"{of_label}{100 * score:.0f}\u00a0%", predicted == label))
        for method in methods:
            heatmaps[method] = [
                _drawn(run.maps[f"heatmap/{method}"][number], size, f"{_map_of(method, run)} for {named}")
                if f"heatmap/{method}" in run.maps
                else None
                for run in runs
            ]
        image = Picture(_photograph(images[number], native), named.capitalize())
        rows.append(Row(int(index), first.words(label), image, predictions, heatmaps))
    return Gallery(rows, size[0], size[0] < width, kept, native[0])


def orders(runs: Sequence[Run], pictures: Gallery) -> dict[Measure, list[list[float | None]]]:
    """What the gallery can be sorted by: each metric's value of every picture under every run.

    Args:
        runs: the gallery's runs.
        pictures: their gallery.

    Returns:
        For each measure that has one value per image and a better direction: per row, per run, the value with three
        digits, None where there is none.
    """
    index = np.array([row.index for row in pictures.rows])
    values = {}
    for measure in measures_of(runs):
        if not measure.sign or not any(measure.name in run.rows.column_names for run in runs):
            continue
        columns = [
            run.values(measure.name)[np.searchsorted(run.rows["index"].to_numpy(), index)]
            if measure.name in run.rows.column_names
            else np.full(len(index), np.nan)
            for run in runs
        ]
        values[measure] = [[_short(value) for value in row] for row in np.stack(columns, axis=1)]
    return values


def _short(value: float) -> float | None:
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _size(kind: str, height: int, width: int, *, pictures: int) -> tuple[int, int]:
    """Width and height at which so many pictures stay below `PIXELS`."""
    allowed = math.isqrt(PIXELS[kind] // max(1, pictures))
    return _fitted(height, width, min(LARGEST, max(16, allowed)))


def _fitted(height: int, width: int, most: int) -> tuple[int, int]:
    """Width and height of which the longer is at most ``most``."""
    side = min(max(height, width), most)
    return max(1, round(width * side / max(height, width))), max(1, round(height * side / max(height, width)))


@dataclass(frozen=True)
class Strip:
    """One picture's maps of one run, each with its title; ``method`` is empty where they belong to no choice of map."""

    method: str
    run: str
    image: Picture
    maps: list[tuple[str, Picture]]


def strips(runs: Sequence[Run], method: str) -> list[Strip]:
    """The first picture of the gallery under networks with random layers; empty where that was not kept.

    Args:
        runs: runs over the same images.
        method: saliency method.
    """
    made = []
    for run in runs:
        if f"randomised/{method}" not in run.maps:
            continue
        layers = run.columns[column_name("randomisation", method)]["parameters"]["layers"]
        chosen = _evenly(len(layers), COLUMNS - 1)
        pictures = COLUMNS * len(runs) * len(run.saliency_methods)
        size = _size("strips", *run.maps["images"].shape[2:], pictures=pictures)
        of = f"{_map_of(method, run)} for test picture {run.maps['index'][0]}"
        titled = [("as trained", run.maps[f"heatmap/{method}"][0])]
        titled += [
            (f"random from {layers[k].removeprefix('network.')} on", run.maps[f"randomised/{method}"][0, k])
            for k in chosen
        ]
        maps = [(title, _drawn(heatmap, size, f"{of}, {title}")) for title, heatmap in titled]
        image = Picture(_photograph(run.maps["images"][0], size), f"Test picture {run.maps['index'][0]}")
        made.append(Strip(method, run.name, image, maps))
    return made


def snapshots(runs: Sequence[Run]) -> list[Strip]:
    """The maps of a few fixed pictures during training, a strip a picture; empty where none were kept.

    Args:
        runs: runs, of which those count that were trained with ``--snapshots``.
    """
    made = []
    kept_by = {run.name: run.snapshots for run in runs}
    pictures = sum(len(kept["label"]) for kept in kept_by.values() if kept)
    for run in runs:
        kept = kept_by[run.name]
        if not kept:
            continue
        chosen = _evenly(len(kept["epoch"]), COLUMNS)
        size = _size("snapshots", *kept["images"].shape[2:], pictures=COLUMNS * pictures)
        for number, label in enumerate(kept["label"].tolist()):
            maps = []
            for k in chosen:
                epoch, answer = int(kept["epoch"][k]) + 1, int(kept["prediction"][k, number])
                alt = f"{_map_of('vanilla_gradient', run)} for a picture of {run.words(label)} after epoch {epoch}"
                title = f"epoch {epoch}: {run.words(answer)}"
                maps.append((title, _drawn(kept["heatmap"][k, number].astype(np.float32), size, alt)))
            image = Picture(_photograph(kept["images"][number], size), f"A picture of {run.words(label)}")
            made.append(Strip("", run.name, image, maps))
    return made


def extremes(runs: Sequence[Run], name: str = "q") -> list[tuple[str, str, list[tuple[str, Picture]]]]:
    """The training pictures with the smallest and the largest q at the end, for the runs that kept them.

    Args:
        runs: runs, of which those count that were trained with SCAAT.
        name: of another number that a method keeps for every training picture.

    Returns:
        Run, ``smallest q`` or ``largest q``, and pictures with their titles.

    Source: Xu et al. 2023 (SCAAT), figure 3b.
    """
    rows = []
    for run in runs:
        kept = run.extremes(name)
        if not kept:
            continue
        half = len(kept[name]) // 2
        size = _size("extremes", *kept["images"].shape[2:], pictures=len(kept[name]) * len(runs))
        for title, chosen in ((f"smallest {name}", range(half)), (f"largest {name}", range(half, 2 * half))):
            shown = []
            for k in chosen:
                said = f"{run.words(int(kept['label'][k]))}, {name} {kept[name][k]:.2f}"
                alt = f"Training picture {kept['index'][k]}, {said}"
                shown.append((said, Picture(_photograph(kept["images"][k], size), alt)))
            rows.append((run.name, title, shown))
    return rows


def _evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of ``range(count)``, the first and the last among them."""
    places: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
    return places


def color_bar(*, signed: bool = False) -> Picture:
    """The colour scale from 0, or from as much against the class, to the 99th percentile, left to right."""
    scale = coloured(np.linspace(0, 1, 256, dtype=np.float32)[None], signed=signed)
    colours = "blue over white to red" if signed else "black over purple and orange to yellow"
    return Picture(uri(scale, optimize=True), f"Colour scale from {colours}")


def _map_of(method: str, run: Run) -> str:
    return f"{saliency_title(method)} map of {run.name}"


def _drawn(heatmap: npt.NDArray[Any], size: tuple[int, int], alt: str) -> Picture:
    scale = Scale(signed=is_signed(heatmap))
    levels = scale.levels(heatmap)
    if size != heatmap.shape[::-1]:
        levels = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BOX))
    return Picture(uri(coloured(levels, signed=scale.signed), optimize=True), alt, scale.of(heatmap), scale.signed)


def _photograph(image: npt.NDArray[Any], size: tuple[int, int]) -> str:
    picture = photograph(image)
    picture = picture if picture.size == size else picture.resize(size, Image.Resampling.BOX)
    if max(size) <= SMALL:
        return uri(picture, optimize=True)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
