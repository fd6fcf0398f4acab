"""The training pictures with the extremes of q, as a paper's figure."""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from pellucid.core.errors import InputError
from pellucid.data import load
from pellucid.report.picture import bare, draw_heatmap, draw_image, save
from pellucid.runs.evaluated import Run
from pellucid.runs.settings import read_experiment
from pellucid.runs.training import load_network
from pellucid.saliency import VanillaGradient, heatmap

__all__ = ["write_extremes"]


def write_extremes(run: Run, out: str | Path) -> Path:
    """Write the training pictures with the smallest and the largest q, each above its vanilla gradient map.

    Args:
        run: trained with SCAAT.
        out: the PNG file.

    Returns:
        ``out``.

    Raises:
        InputError: a run that kept no such pictures.

    Source: Xu et al. 2023 (SCAAT), figure 3b.
    """
    kept = run.extremes()
    if not kept:
        raise InputError(f"run {run.name!r} kept no extremes of q; train it with SCAAT")
    dataset = load(read_experiment(run.path).dataset, "train")
    image = torch.from_numpy(kept["images"]).float() / 255
    heatmaps = heatmap(VanillaGradient()(load_network(run.path, dataset), image, torch.from_numpy(kept["label"])))
    half = len(kept["q"]) // 2
    figure = Figure(figsize=(1.05 * half, 5.2), dpi=150, layout="constrained")
    grid = figure.subplots(4, half, squeeze=False)
    for k in range(2 * half):
        row, column = 2 * (k // half), k % half
        draw_image(grid[row][column], kept["images"][k])
        grid[row][column].set_title(f"{dataset.classes[int(kept['label'][k])]}\nq {kept['q'][k]:.2f}", fontsize=7)
        draw_heatmap(grid[row + 1][column], heatmaps[k].numpy())
    for row, title in ((0, "smallest q"), (2, "largest q")):
        grid[row][0].set_ylabel(title, fontsize=8)
    bare(grid)
    return save(figure, out)
