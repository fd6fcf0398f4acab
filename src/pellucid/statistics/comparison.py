"""Paired tests that are made together: their p-values, corrected for how many there are."""

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError

__all__ = ["holm"]


def holm(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Holm's corrected p-values: rejecting those below alpha errs at all with a probability of at most alpha.

    Args:
        p: (m,) p-values of tests made together, m >= 1.

    Returns:
        (m,) corrected values in [0, 1], none below its own p.

    Raises:
        InputError: a value outside [0, 1], or not (m,).

    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise InputError(f"p-values must be (m,) with m >= 1, got shape {values.shape}")
    if not ((values >= 0) & (values <= 1)).all():
        wrong = values[~((values >= 0) & (values <= 1))][0]
        raise InputError(f"p-values must be in [0, 1], got {wrong:g}")
    order = np.argsort(values)
    # The smallest of m is multiplied by m, the next by m - 1, ...; none may fall below the one before.
    rising = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(rising, 1)
    return corrected
