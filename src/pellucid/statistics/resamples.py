"""Which images each bootstrap resample holds, and the means over them.

A resample of n images is a row of counts (how often each image was drawn), so its mean is one product with the values.
The counts depend on (n, resamples, seed) alone: every column and every run of n images is resampled alike.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["KEPT_BYTES", "Floats", "as_blocks", "blocks", "counts_of", "resampled_means"]

Floats = npt.NDArray[np.float64]

KEPT_BYTES = 200_000_000
"""Memory that the last resamples may take as floating-point numbers."""

BLOCK = 250
"""Resamples that are multiplied with values at a time."""

DRAWN = 50
"""Resamples that are drawn at a time."""

CACHED = 16
"""Resamples of a few ten thousand images that fit into a processor's cache."""


@lru_cache(maxsize=8)
def counts_of(n: int, resamples: int, seed: int) -> npt.NDArray[np.uint8]:
    """(resamples, n): how often each image is in each resample. Past 255 with a chance below 1e-500."""
    return np.concatenate([block.astype(np.uint8) for block in _drawn(n, resamples, seed)])


def blocks(n: int, resamples: int, seed: int) -> Iterable[Floats]:
    """`counts_of` as numbers to multiply with, 250 resamples at a time; kept where they take 200 MB at most."""
    if 8 * n * resamples <= KEPT_BYTES:
        return _kept_blocks(n, resamples, seed)
    return as_blocks(counts_of(n, resamples, seed))


def as_blocks(counts: npt.NDArray[np.uint8]) -> Iterator[Floats]:
    """Counts as numbers to multiply with, 250 resamples at a time."""
    return (counts[i : i + BLOCK].astype(np.float64) for i in range(0, len(counts), BLOCK))


def resampled_means(values: Sequence[Floats], resamples: int, seed: int) -> list[Floats]:
    """The means over images in every resample; what has as many images is resampled with one draw.

    Args:
        values: (n, ...) each, without NaN; n may differ between them, and is at least 1.
        resamples: number of resamples.
        seed: of the draws.

    Returns:
        (resamples, ...) of each.
    """
    found = [np.empty((resamples, *one.shape[1:])) for one in values]
    # The values' own mean is taken off first: equal values then give equal means to the last bit.
    centres = [one.mean(axis=0) for one in values]
    sizes = [n for n, _ in Counter(len(one) for one in values).most_common()]
    for n in reversed(sizes):
        places = [place for place, one in enumerate(values) if len(one) == n]
        centred = {place: values[place] - centres[place] for place in places}
        # Further calls are likely to ask for the commonest number of images: its resamples come last, and are kept.
        of_size = blocks(n, resamples, seed) if n == sizes[0] else _passing_blocks(n, resamples, seed)
        for number, block in enumerate(of_size):
            _multiply(block, centred, found, BLOCK * number)
        for place in places:
            found[place] = found[place] / n + centres[place]
    return found


def _multiply(block: Floats, centred: dict[int, Floats], found: list[Floats], first: int) -> None:
    """Write the products of one block into ``found``, from row ``first`` on; each column of values passes the cache."""
    vectors = {place: one for place, one in centred.items() if one.ndim == 1}
    step = CACHED if len(vectors) > 1 else len(block)
    for start in range(0, len(block), step):
        rows = block[start : start + step]
        for place, one in vectors.items():
            found[place][first + start : first + start + len(rows)] = rows @ one
    for place, one in centred.items():
        if one.ndim > 1:
            found[place][first : first + len(block)] = block @ one


def _drawn(n: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """`counts_of`, a few resamples at a time."""
    random = np.random.default_rng(seed)
    for first in range(0, resamples, DRAWN):
        rows = min(DRAWN, resamples - first)
        drawn = random.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)


def _passing_blocks(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """`blocks` that are drawn for this once."""
    drawn = _drawn(n, resamples, seed)
    for first in range(0, resamples, BLOCK):
        parts = [next(drawn) for _ in range(first, min(first + BLOCK, resamples), DRAWN)]
        yield np.concatenate(parts).astype(np.float64)


@lru_cache(maxsize=1)
def _kept_blocks(n: int, resamples: int, seed: int) -> list[Floats]:
    return list(as_blocks(counts_of(n, resamples, seed)))
