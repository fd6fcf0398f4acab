"""The evidence of a card in words, and where its dots lie, the same on the page and in the picture."""

from collections.abc import Sequence
from fractions import Fraction

from pellucid.explanation.card import MapCard, share
from pellucid.explanation.evidence import Covering, Evidence

__all__ = ["captions", "covered_part", "covering_words", "dots", "noise_words", "two"]

ROWS = 5
"""Heights on which dots that would lie on each other are put."""


def covered_part(covering: Covering) -> str:
    """How much is covered, as people say it.

    >>> import numpy as np
    >>> black = np.zeros((1, 1), np.uint8)
    >>> [covered_part(Covering(of, 1, 0, 1, (), black, black)) for of in (0.2, 0.25, 0.37)]
    ['fifth', 'quarter', '37 %']
    """
    part = Fraction(covering.share).limit_denominator(10)
    named = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 10: "tenth"}
    exact = part.numerator == 1 and abs(float(part) - covering.share) < 1e-6
    return named.get(part.denominator, f"{100 * covering.share:.0f} %") if exact else f"{100 * covering.share:.0f} %"


def captions(covering: Covering) -> tuple[str, str, str]:
    """What stands under the whole picture and the two that are covered in part."""
    part = covered_part(covering)
    return (
        f"The picture as it is: {share(covering.clean)}",
        f"Most marked {part} covered: {share(covering.marked)}",
        f"Least marked {part} covered: {share(covering.unmarked)}",
    )


def covering_words(covering: Covering) -> str:
    """What covering shows, or that it shows nothing."""
    part = covered_part(covering)
    said = (
        f"With the most marked {part} of the picture covered, the confidence goes from "
        f"{share(covering.clean)} to {share(covering.marked)}; with the least marked {part} covered, to "
        f"{share(covering.unmarked)}."
    )
    if covering.raises:
        said = (
            f"Covering raises the confidence in both orders: from {share(covering.clean)} to {share(covering.marked)} "
            f"with the most marked {part} of the picture covered, and to {share(covering.unmarked)} with the "
            "least marked. Neither part holds the answer up."
        )
    if not covering.random:
        return said
    low, high = share(min(covering.random)), share(max(covering.random))
    spread = f"at {low}" if low == high else f"between {low} and {high}"
    return (
        f"{said} Each dot is the same for a {part} chosen by one of {len(covering.random)} random maps: they lie "
        f"{spread}, and {covering.as_low or 'none'} of them cost{'s' if covering.as_low in (0, 1) else ''} as much "
        "confidence as this map. The check against random maps compares the distance between most and least marked, "
        "averaged over all steps up to this one."
    )


def noise_words(map_: MapCard, evidence: Evidence) -> str:
    """What noise did to the answer and to the map."""
    kept, alike = map_.figures["stability_coverage"].value, map_.figures["similarity"].value
    said = f"The noise has σ {evidence.sigma:g}: it typically moves a pixel by {100 * evidence.sigma:g} % of the way "
    said += "from black to white."
    if kept is not None:
        said += f" The network keeps its answer on {share(kept)} of the noisy copies."
    if alike is not None:
        number = two(alike)
        said += (
            f" The maps of the copies have a mean rank correlation of {number} with the map of the picture: 1 would be "
            "the same map, 0 an unrelated one."
        )
    return said


def two(value: float) -> str:
    """A number with two digits after the point, for people.

    >>> two(-0.004), two(-0.816)
    ('0.00', '−0.82')
    """
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def dots(values: Sequence[float]) -> list[tuple[float, int]]:
    """Where the dots of random maps lie: the probability, and one of `ROWS` heights, so that few hide each other.

    >>> dots([0.5, 0.1, 0.5])
    [(0.1, 0), (0.5, 0), (0.5, 1)]
    """
    placed: list[tuple[float, int]] = []
    for value in sorted(values):
        near = [row for other, row in placed[-2 * ROWS :] if value - other < 0.012]
        free = (row for row in range(ROWS) if row not in near)
        placed.append((value, next(free, len(placed) % ROWS)))
    return placed
