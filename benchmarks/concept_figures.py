"""The figures of the pages on concepts and truth: SCAAT's attack, a smoothing block, and truth sets.

python benchmarks/concept_figures.py [RUNS]      writes docs/pictures/{scaat,smoothing,truth}.png

RUNS is the folder of the demo's networks (runs/demo, which `make demo` makes). The images are test images of
Fashion-MNIST and of the sets truth:beside and truth:decoy.
"""

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import pellucid
from pellucid.attacks import PGD
from pellucid.data import load
from pellucid.divergence import DIVERGENCES
from pellucid.edits.smoothing import SmoothingBlock
from pellucid.saliency import heatmap, lowest

OUT = Path("docs/pictures")
COLOURS = 128
ATTACK = PGD(eps=0.1, step_size=0.05, steps=4)
SHARE, REGION = 0.5, 2
"""SCAAT's share of low-saliency regions, and the side of a region."""
SHOWN = 4

Panels = Mapping[str, tuple[Sequence[NDArray[np.floating]], str]]
"""By caption, the pictures of a row and their colour map."""


def scaat(runs: Path) -> Panels:
    """An image, its map, the regions that the map marks least, the attack on them, and the attacked image."""
    network, x, y = pellucid.load(runs / "regular"), *_first_of_each_class(SHOWN)
    maps = heatmap(pellucid.VanillaGradient()(network, x, y))
    mask = lowest(maps, SHARE, region=REGION)
    clean = network(x).detach()
    generator = torch.Generator().manual_seed(0)
    attacked = ATTACK(lambda x: DIVERGENCES["symmetric_kl"](network(x), clean), x, mask=mask, generator=generator)
    return {
        "picture": (_grey(x), "gray"),
        "saliency map": ([one / one.max() for one in maps.numpy()], "inferno"),
        "half that is\nmarked least": (_grey(mask.float()), "gray"),
        "attack on\nthis half": ([0.5 + one / (2 * ATTACK.eps) for one in _grey(attacked - x)], "gray"),
        "attacked picture": (_grey(attacked), "gray"),
    }


def smoothing(runs: Path) -> Panels:
    """Feature maps of one picture before a smoothing block, after its filter alone, and after the whole block."""
    network, x = pellucid.load(runs / "at-smoothing"), _first_of_each_class(1)[0]
    (block,) = (module for module in network.modules() if isinstance(module, SmoothingBlock))
    seen: dict[str, torch.Tensor] = {}
    block.register_forward_hook(lambda _, given, made: seen.update(before=given[0], after=made))
    block.filter.register_forward_hook(lambda _, given, made: seen.update(filtered=made))
    with torch.no_grad():
        network(x)
    channels = seen["before"][0].std((1, 2)).topk(SHOWN).indices  # those in which most is to be seen
    rows = {
        "feature map": "before", "after the\nGaussian filter": "filtered", "after the\nwhole block": "after",
    }  # fmt: skip
    return {
        caption: ([_scaled(one) for one in seen[name][0, channels].numpy()], "viridis")
        for caption, name in rows.items()
    }


def truth() -> Panels:
    """An image of two truth sets: as it is, what decides its class, and with one thing exchanged."""
    columns: list[list[NDArray[np.floating]]] = []
    for name, change in (("truth:beside", "rest"), ("truth:decoy", "decoy")):
        images, row = load(pellucid.Data(name=name), "test"), torch.arange(1)
        known = images.truth_of(row)
        assert known is not None
        exchanged = (known.changed[other] / 255 for other in ("cause", change))
        pictures = (images.take(row) / 255, known.mask[0].float()[None, None], *exchanged)
        columns.append([_grey(picture)[0] for picture in pictures])
    captions = (
        "picture",
        "mask: what\ndecides the class",
        "another cause:\nanother class",
        "another distractor:\nsame class",
    )
    return {caption: ([row[place] for row in columns], "gray") for place, caption in enumerate(captions)}


def drawn(panels: Panels, file: Path, *, across: bool = False) -> None:
    """Write rows of pictures under their captions.

    Args:
        panels: by caption, what it shows; each caption is a column of the figure.
        file: the PNG file.
        across: make each caption a row.
    """
    most = max(len(pictures) for pictures, _ in panels.values())
    rows, columns = (len(panels), most) if across else (most, len(panels))
    widest = max(one.shape[1] / one.shape[0] for pictures, _ in panels.values() for one in pictures)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.35 * columns * widest + across, 1.35 * rows + 0.4),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for place, (caption, (pictures, colours)) in enumerate(panels.items()):
        line = axes[place] if across else axes[:, place]
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(color="0.6", linewidth=0.6)  # a white picture on white paper has an edge
        (line[0].set_ylabel if across else line[0].set_title)(caption, fontsize=9)
    content = io.BytesIO()
    figure.savefig(content, dpi=110)
    plt.close(figure)
    Image.open(content).convert("RGB").quantize(COLOURS).save(file, optimize=True)


def _first_of_each_class(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = load(pellucid.Data(name="fashion-mnist"), "test")
    rows = [int((images.labels == label).nonzero()[0]) for label in range(count)]
    return images.take(rows) / 255, images.labels[rows]


def _grey(images: torch.Tensor) -> list[NDArray[np.floating]]:
    return list(images[:, 0].detach().float().numpy())


def _scaled(picture: NDArray[np.floating]) -> NDArray[np.floating]:
    scaled: NDArray[np.floating] = (picture - picture.min()) / (np.ptp(picture) + 1e-9)
    return scaled


def main() -> None:
    runs = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo")
    drawn(scaat(runs), OUT / "scaat.png")
    drawn(smoothing(runs), OUT / "smoothing.png", across=True)
    drawn(truth(), OUT / "truth.png")


if __name__ == "__main__":
    main()
