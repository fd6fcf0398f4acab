"""Trust cards of the pictures that a report shows, for every network of it."""

import io
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from pellucid.core.files import whole_file
from pellucid.explanation import reference
from pellucid.explanation.batch import explain
from pellucid.explanation.cards import examination_of
from pellucid.explanation.explained_network import of_run
from pellucid.report.colours import photograph
from pellucid.runs.evaluated import read_runs

__all__ = ["gallery_cards"]


def gallery_cards(runs: Sequence[str | Path], folder: str | Path, *, batch_size: int = 8) -> dict[str, dict[int, str]]:
    """Write a trust card for each picture that the runs' evaluations kept, under each network.

    The pictures are written into ``folder/pictures``, the cards of a run into ``folder/NAME``; percentiles are of the
    run's own evaluation.

    Args:
        runs: run directories over the same images, whose weights are there.
        folder: where to; made if it is not there.
        batch_size: images measured at once.

    Returns:
        By run and by index of the picture, the card's address from the folder's parent, for
        `pellucid.report.write_report`; a picture that could not be explained has none.

    Raises:
        InputError: a run that cannot be read or explained, or runs that cannot be compared.
    """
    folder, cards = Path(folder), {}
    read = read_runs(runs)
    pictures = {
        int(index): _written(image, folder / "pictures" / f"test-{index}")
        for index, image in zip(read[0].maps["index"], read[0].maps["images"], strict=True)
    }
    for run in read:
        if not pictures:
            break
        subject = of_run(run.path)
        summary = explain(
            subject,
            list(pictures.values()),
            folder / run.name,
            examination=examination_of(subject),
            reference=reference.of_rows(run.path),
            formats=("html",),
            batch_size=batch_size,
        )
        made = {Path(entry["source"]).name: entry["links"][0] for entry in summary.made}
        cards[run.name] = {
            index: "/".join(quote(part) for part in (folder.name, run.name, made[path.name]))
            for index, path in pictures.items()
            if path.name in made
        }
    return cards


def _written(image: npt.NDArray[np.uint8], stem: Path) -> Path:
    """A picture as PNG; of other channels than grey or colour as an array, which keeps them."""
    if len(image) in (1, 3):
        path = stem.with_name(f"{stem.name}.png")
        with whole_file(path) as temporary:
            photograph(image).save(temporary, "PNG")
        return path
    path, held = stem.with_name(f"{stem.name}.npy"), io.BytesIO()
    np.save(held, image)
    with whole_file(path) as temporary:
        temporary.write_bytes(held.getvalue())
    return path
