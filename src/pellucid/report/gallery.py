"""The same pictures under every network: heatmaps as small PNG pictures inside the page."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

from pellucid.errors import InputError
from pellucid.metrics.definitions import column_name
from pellucid.report.measures import saliency_title
from pellucid.report.runs import Run

__all__ = ["COLORMAP", "Gallery", "Picture", "Row", "Strip", "color_bar", "gallery", "strips"]

COLORMAP = "inferno"
LARGEST = 128
"""Longest side in pixels of a picture in the page."""
PIXELS = 8_000_000
"""Pixels of all pictures together; a pixel takes about one byte of the page."""


@dataclass(frozen=True)
class Picture:
    """One PNG with what a screen reader says instead."""

    uri: str
    alt: str


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
    """Rows of the gallery; pictures are ``width`` pixels wide, ``shrunk`` if that is less than they were."""

    rows: list[Row]
    width: int
    shrunk: bool


def gallery(runs: Sequence[Run], methods: Sequence[str]) -> Gallery:
    """Images and heatmaps that the runs' evaluations kept.

    Each heatmap has a colour scale of its own, from 0 (black) to its 99th percentile (brightest), so that one extreme
    pixel does not darken the rest.

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
    count, height, width = len(images), *images.shape[2:]
    allowed = math.isqrt(PIXELS // max(1, count * len(runs) * len(methods)))
    side = min(max(height, width), LARGEST, max(16, allowed))
    size = (max(1, round(width * side / max(height, width))), max(1, round(height * side / max(height, width))))
    classes = first.info["classes"]
    rows = []
    for number, index in enumerate(first.maps["index"]):
        label = int(first.maps["label"][number])
        named = f"test picture {index}, {classes[label]}"
        predictions, heatmaps = [], {}
        for run in runs:
            predicted, score = int(run.maps["prediction"][number]), float(run.maps["score"][number])
            predictions.append((classes[predicted], f"{100 * score:.0f} %", predicted == label))
        for method in methods:
            heatmaps[method] = [
                Picture(_heatmap(run.maps[f"heatmap/{method}"][number], size), f"{_map_of(method, run)} for {named}")
                if f"heatmap/{method}" in run.maps
                else None
                for run in runs
            ]
        image = Picture(_photograph(images[number], size), named.capitalize())
        rows.append(Row(int(index), classes[label], image, predictions, heatmaps))
    return Gallery(rows, size[0], size[0] < width)


@dataclass(frozen=True)
class Strip:
    """One picture's maps of one run while its layers are made random one after the other, each with its title."""

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
    found = []
    for run in runs:
        if f"randomised/{method}" not in run.maps:
            continue
        layers = run.columns[column_name("randomisation", method)]["parameters"]["layers"]
        size = run.maps["images"].shape[:1:-1]
        of = f"{_map_of(method, run)} for test picture {run.maps['index'][0]}"
        titled = [("as trained", run.maps[f"heatmap/{method}"][0])]
        titled += [
            (f"random from {name.removeprefix('network.')} on", run.maps[f"randomised/{method}"][0, k])
            for k, name in enumerate(layers)
        ]
        maps = [(title, Picture(_heatmap(heatmap, size), f"{of}, {title}")) for title, heatmap in titled]
        image = Picture(_photograph(run.maps["images"][0], size), f"Test picture {run.maps['index'][0]}")
        found.append(Strip(method, run.name, image, maps))
    return found


def color_bar() -> Picture:
    """The colour scale from 0 to the 99th percentile, left to right."""
    return Picture(
        _heatmap(np.linspace(0, 1, 256)[None], None), "Colour scale from black over purple and orange to yellow"
    )


def _map_of(method: str, run: Run) -> str:
    return f"{saliency_title(method)} map of {run.name}"


def _heatmap(heatmap: npt.NDArray[Any], size: tuple[int, int] | None) -> str:
    top = float(np.percentile(heatmap, 99)) or float(heatmap.max()) or 1.0
    level = np.clip(heatmap.astype(np.float32) / top, 0, 1)
    if size is not None and size != heatmap.shape[::-1]:
        level = np.asarray(Image.fromarray(level).resize(size, Image.Resampling.BOX))
    picture = Image.fromarray((255 * level).round().astype(np.uint8)).convert("P")
    picture.putpalette(_palette())
    return _uri(picture)


def _photograph(image: npt.NDArray[Any], size: tuple[int, int]) -> str:
    """(c, h, w) uint8 with one channel or three."""
    pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return _uri(picture if picture.size == size else picture.resize(size, Image.Resampling.BOX))


@cache
def _palette() -> bytes:
    return (255 * colormaps[COLORMAP](np.arange(256))[:, :3]).round().astype(np.uint8).tobytes()


def _uri(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
