"""The README's picture: eight photographs with the map after regular fine-tuning and after pellucid's.

python benchmarks/before_after.py      writes docs/pictures/before-after.png from results/tune-photographs.png
"""

import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

SOURCE = Path("results/tune-photographs.png")
OUT = Path("docs/pictures/before-after.png")
ROWS = {"photograph": 0, "regular\nfine-tuning": 2, "fine-tuned\nby pellucid": 3}
"""Which column of the source each row shows; the column between, a new last layer alone, is left to the source."""
WHITE = 250
COLOURS = 128


def tiles(picture: np.ndarray) -> list[list[np.ndarray]]:
    """The pictures of a table of pictures on white, row by row, captions left out.

    Args:
        picture: (h, w, 3) of whole numbers from 0 to 255.
    """
    ink = picture.min(axis=2) < WHITE
    smallest = picture.shape[1] // 10
    columns = [span for span in spans(ink.any(axis=0)) if span.stop - span.start > smallest]
    # A photograph may be white itself, a map never is.
    rows = [span for span in spans(ink[:, columns[-1]].any(axis=1)) if span.stop - span.start > smallest]
    return [[picture[row, column] for column in columns] for row in rows]


def spans(inked: np.ndarray) -> list[slice]:
    """Where a row of yes and no says yes.

    >>> spans(np.array([False, True, True, False, True]))
    [slice(1, 3, None), slice(4, 5, None)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inked.astype(int), [0]])))
    return [slice(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def main() -> None:
    found = tiles(np.asarray(Image.open(SOURCE).convert("RGB")))
    figure, axes = plt.subplots(len(ROWS), len(found), figsize=(10.4, 3.85), layout="constrained")
    for (name, column), row in zip(ROWS.items(), axes, strict=True):
        for axis, tile in zip(row, found, strict=True):
            axis.imshow(tile[column])
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(name, fontsize=11)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
