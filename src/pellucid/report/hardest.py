"""The images that the networks find hardest, of all that were measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.report.gallery import Gallery, Picture
from pellucid.runs.evaluated import Run

__all__ = ["MOST", "HardImage", "hardest"]

MOST = 20
"""Images that are listed."""


@dataclass(frozen=True)
class HardImage:
    """One image that some network gets wrong.

    Attributes:
        index: its number in the split.
        label: its class, or its labels, in words.
        wrong: how many networks answer wrongly.
        answers: of each network its answer, its confidence in it, and whether it is right.
        picture: where the gallery has it.
    """

    index: int
    label: str
    wrong: int
    answers: list[tuple[str, str, bool]]
    picture: Picture | None


def hardest(runs: Sequence[Run], pictures: Gallery) -> list[HardImage]:
    """The images that most networks answer wrongly, and of as many those of which they are surest.

    Args:
        runs: runs over the same images.
        pictures: their gallery.
    """
    label = runs[0].rows["label"].to_numpy()
    answer = np.stack([run.rows["prediction"].to_numpy() for run in runs])
    score = np.stack([run.values("score") for run in runs])
    wrong = answer != label
    count = wrong.sum(axis=0)
    sureness = np.where(wrong, np.nan_to_num(score), 0).sum(axis=0)
    order = np.lexsort((-sureness, -count))[:MOST]
    index = runs[0].rows["index"].to_numpy()
    shown: Mapping[int, Picture] = {row.index: row.image for row in pictures.rows}
    return [
        HardImage(
            int(index[place]),
            runs[0].words(int(label[place])),
            int(count[place]),
            [
                (
                    run.words(int(answer[number, place])),
                    f"{100 * score[number, place]:.0f}\u00a0%",
                    not wrong[number, place],
                )
                for number, run in enumerate(runs)
            ],
            shown.get(int(index[place])),
        )
        for place in order.tolist()
        if count[place]
    ]
