"""The same few test pictures under every network, as one PNG: for a README, a slide, a paper."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.report.colours import COLORMAP, SIGNED_COLORMAP, Scale, is_signed, photograph
from pellucid.runs.evaluated import read_runs

__all__ = ["bare", "draw_heatmap", "draw_image", "save", "write_picture"]


def write_picture(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    rows: int = 4,
    method: str = "vanilla_gradient",
    scale: Literal["own", "common"] = "own",
) -> Path:
    """Write a grid: a test picture at the left, each network's heatmap of it to the right.

    The pictures are the first of the gallery, one a class, that every network names correctly. Each heatmap has a
    colour scale of its own, from 0 to its 99th percentile, as in the report; a signed one from blue, against the class,
    over white to red, for it.

    Args:
        runs: run directories over the same images.
        out: the PNG file.
        rows: number of pictures.
        method: saliency method whose maps are shown.
        scale: ``common`` draws all maps of a network to one scale, so that pictures can be compared.

    Returns:
        ``out``.

    Raises:
        InputError: runs that cannot be compared, or without maps of ``method``.
    """
    one_of(("own", "common"), scale=scale)
    read = read_runs(runs)
    for run in read:
        if f"heatmap/{method}" not in run.maps:
            raise InputError(f"run {run.name!r} kept no {method} maps; evaluate it with --saliency [{method}]")
    first = read[0].maps
    right = np.all([run.maps["prediction"] == run.maps["label"] for run in read], axis=0)
    _, one_a_class = np.unique(first["label"][right], return_index=True)
    shown = np.flatnonzero(right)[np.sort(one_a_class)][:rows]
    if len(shown) == 0:
        shown = np.arange(min(rows, len(first["index"])))
    figure = Figure(figsize=(1.15 * (1 + len(read)), 1.15 * len(shown) + 0.25), dpi=150, layout="compressed")
    grid = figure.subplots(len(shown), 1 + len(read), squeeze=False)
    for axes, index in zip(grid, shown, strict=True):
        draw_image(axes[0], first["images"][index])
        axes[0].set_ylabel(read[0].words(int(first["label"][index])), fontsize=8)
        for run, cell in zip(read, axes[1:], strict=True):
            maps = run.maps[f"heatmap/{method}"]
            draw_heatmap(cell, maps[index], None if scale == "own" else Scale.common(maps[shown]))
    bare(grid)
    for title, cell in zip(["picture", *(run.name for run in read)], grid[0], strict=True):
        cell.set_title(title, fontsize=9)
    return save(figure, out)


def draw_image(axes: Axes, image: npt.NDArray[Any]) -> None:
    """A picture, (c, h, w) uint8."""
    axes.imshow(np.asarray(photograph(image)), cmap="gray", vmin=0, vmax=255)


def draw_heatmap(axes: Axes, values: npt.NDArray[Any], scale: Scale | None = None) -> None:
    """A heatmap, (h, w), from 0 to its 99th percentile, or on a given scale."""
    scale = scale or Scale(signed=is_signed(values))
    top = scale.of(values)
    cmap, least = (SIGNED_COLORMAP, -top) if scale.signed else (COLORMAP, 0.0)
    axes.imshow(values, cmap=cmap, vmin=least, vmax=top)


def bare(grid: npt.NDArray[Any]) -> None:
    """Take ticks and frames away."""
    for cell in grid.flat:
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set_visible(False)


def save(figure: Figure, out: str | Path) -> Path:
    """Write a PNG, whole or not at all."""
    out = Path(out)
    with whole_file(out) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return out
