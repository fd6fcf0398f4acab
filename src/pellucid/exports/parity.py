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
        map: how far all heatmaps together are from the network's, as a share of their Euclidean norm; None without a
            map. Single pixels say less: a ReLU's slope jumps, so that rounding can move a few of them.
    """

    images: int
    logits: float
    scale: float
    predictions: int
    map: float | None = None

    @property
    def words(self) -> str:
        """The differences, for a line of text.

        >>> Parity(8, 2e-7, 1.0, 0).words
        'largest difference of a logit 2e-07, the same predictions'
        """
        different = f"{self.predictions} of {self.images} predictions differ" if self.predictions else ""
        drawn = "" if self.map is None else f", the maps differ by {100 * self.map:.1g} %"
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
        tolerance: largest difference of a logit that is accepted, relative to the largest one; maps may differ by a
            hundred times as much.

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
        differences.append(np.concatenate([whole - wanted, first - wanted[:1]]))
    logits = expected[0]
    scale = max(1.0, float(np.abs(logits).max()))
    furthest = float(np.nan_to_num(np.abs(differences[0]), nan=np.inf, posinf=np.inf).max())
    predictions = int((together[0].argmax(1) != logits.argmax(1)).sum())
    drawn = None
    if len(expected) > 1:
        both = np.concatenate([expected[1], expected[1][:1]])
        drawn = float(np.linalg.norm(differences[1]) / (np.linalg.norm(both) or 1.0))
    parity = Parity(len(images), furthest, scale, predictions, drawn)
    if not (furthest <= tolerance * scale and (drawn is None or drawn <= 100 * tolerance)):
        raise InputError(
            f"{what} differs from the network by more than the tolerance of {tolerance:g} ({parity.words}); a larger "
            "--tolerance accepts it"
        )
    return parity
