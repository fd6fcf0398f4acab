"""Whether a written file gives what the network gave, on real images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError

__all__ = ["Parity", "compared"]

Arrays = Sequence[npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Parity:
    """How far a file's numbers are from the network's.

    Attributes:
        images: how many images were compared.
        logits: largest difference of a logit.
        scale: largest logit in size, at least 1, by which differences are divided before they are judged.
        predictions: images whose largest logit is another one.
        map: largest difference of a heatmap's pixel, divided by the largest pixel of all heatmaps; None without a map.
    """

    images: int
    logits: float
    scale: float
    predictions: int
    map: float | None = None

    @property
    def worst(self) -> float:
        """The largest of the differences, each divided by the size of what it is a difference of."""
        return max(self.logits / self.scale, self.map or 0.0)

    @property
    def words(self) -> str:
        """The differences, for a line of text.

        >>> Parity(8, 2e-7, 1.0, 0).words
        'largest difference of a logit 2e-07, the same predictions'
        """
        different = f"{self.predictions} of {self.images} predictions differ" if self.predictions else ""
        drawn = "" if self.map is None else f", of a map {100 * self.map:.2g} % of its brightest pixel"
        return f"largest difference of a logit {self.logits:.1g}{drawn}, {different or 'the same predictions'}"


def compared(
    run: Callable[[npt.NDArray[np.float32]], Arrays],
    images: npt.NDArray[np.float32],
    expected: Arrays,
    *,
    what: str,
    tolerance: float,
) -> Parity:
    """Compare what a file gives with what the network gave, for all images together and for the first alone.

    Args:
        run: the file: images to logits and, if it has one, the map.
        images: (n, c, h, w) in [0, 1].
        expected: what the network gave.
        what: the file's name in a refusal.
        tolerance: largest difference that is accepted, relative to the largest value.

    Raises:
        InputError: a larger difference, or an output that is not finite or has another shape.

    >>> logits = np.array([[1.0, 2.0]], dtype=np.float32)
    >>> compared(lambda x: [logits], np.zeros((1, 1, 1, 1), np.float32), [logits], what="x", tolerance=0).logits
    0.0
    """
    together, alone = run(images), run(images[:1])
    differences = []
    for whole, first, wanted in zip(together, alone, expected, strict=True):
        if whole.shape != wanted.shape or first.shape != wanted[:1].shape:
            raise InputError(f"{what} gives numbers of shape {whole.shape} where the network gives {wanted.shape}")
        both = np.concatenate([whole - wanted, first - wanted[:1]])
        differences.append(float(np.abs(both).max()) if np.isfinite(both).all() else float("inf"))
    logits = expected[0]
    predictions = int((together[0].argmax(1) != logits.argmax(1)).sum())
    scale = max(1.0, float(np.abs(logits).max()))
    drawn = differences[1] / (float(np.abs(expected[1]).max()) or 1.0) if len(expected) > 1 else None
    parity = Parity(len(images), differences[0], scale, predictions, drawn)
    if not parity.worst <= tolerance:
        raise InputError(
            f"{what} differs from the network by {parity.worst:.1g} of the largest value, more than the tolerance of "
            f"{tolerance:g} ({parity.words}); a larger --tolerance accepts it"
        )
    return parity
