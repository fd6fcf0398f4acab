"""Which images each bootstrap resample holds, and the means over them.

A resample of n images is a row of counts (how often each image was drawn), so its mean is one product with the values.
The counts depend on (n, resamples, seed) alone: every column and every run of n images is resampled alike.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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

SMALL = 4096
"""Images below which tables are multiplied one by one."""

AT_ONCE = 2
"""Numbers of images that are resampled at once, each with memory for `BLOCK` resamples of its own."""

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
        values: (n,) or (n, k) each, without NaN; n and k may differ between them, and are at least 1.
        resamples: number of resamples.
        seed: of the draws.

    Returns:
        (resamples,) or (resamples, k) of each.
    """
    found = [np.empty((resamples, *one.shape[1:])) for one in values]
    # The values' own mean is taken off first: equal values then give equal means to the last bit.
    centres = [one.mean(axis=0) for one in values]
    sizes = [n for n, _ in Counter(len(one) for one in values).most_common()]

    def resample(n: int, of_size: Iterable[Floats]) -> None:
        places = [place for place, one in enumerate(values) if len(one) == n]
        totals = _totals(of_size, [values[place] - centres[place] for place in places], resamples)
        for place, total in zip(places, totals, strict=True):
            found[place] = total / n + centres[place]

    # Drawing and multiplying keep no other thread waiting.
    with ThreadPoolExecutor(AT_ONCE) as side_by_side:
        list(side_by_side.map(lambda n: resample(n, _passing_blocks(n, resamples, seed)), sizes[1:]))
    # Further calls are likely to ask for the commonest number of images: its resamples come last, and are kept.
    for n in sizes[:1]:
        resample(n, blocks(n, resamples, seed))
    return found


def _totals(of_size: Iterable[Floats], values: Sequence[Floats], resamples: int) -> list[Floats]:
    """The sums over images in every resample, of values with as many images."""
    totals = [np.empty((resamples, *one.shape[1:])) for one in values]
    vectors = [(one, total) for one, total in zip(values, totals, strict=True) if one.ndim == 1]
    tables = [(one, total) for one, total in zip(values, totals, strict=True) if one.ndim == 2]
    joined = _joined([one for one, _ in tables])
    step = CACHED if len(vectors) > 1 else BLOCK
    for number, block in enumerate(of_size):
        first = BLOCK * number
        products = [product for wide, ends in joined for product in np.split(block @ wide, ends, axis=1)]
        for (_, total), product in zip(tables, products, strict=True):
            total[first : first + BLOCK] = product
        for start in range(0, len(block), step):
            rows = block[start : start + step]
            for one, total in vectors:
                total[first + start : first + start + len(rows)] = rows @ one
    return totals


def _joined(tables: Sequence[Floats]) -> list[tuple[Floats, npt.NDArray[np.intp]]]:
    """Tables of as many images side by side, with where each but the last ends: one large product takes less time.

    Small ones stay alone: a linear algebra library may multiply these in another order, with other last digits.
    """
    if not tables or len(tables[0]) < SMALL:
        return [(one, np.empty(0, np.intp)) for one in tables]
    return [(np.hstack(tables), np.cumsum([one.shape[1] for one in tables])[:-1])]


def _drawn(n: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """`counts_of`, a few resamples at a time."""
    random = np.random.default_rng(seed)
    for first in range(0, resamples, DRAWN):
        rows = min(DRAWN, resamples - first)
        drawn = random.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)


def _passing_blocks(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """`blocks` that are drawn for this once; each takes the memory of the one before."""
    drawn, block = _drawn(n, resamples, seed), np.empty((min(BLOCK, resamples), n))
    for first in range(0, resamples, BLOCK):
        last = min(BLOCK, resamples - first)
        for start in range(0, last, DRAWN):
            block[start : start + DRAWN] = next(drawn)
        yield block[:last]


@lru_cache(maxsize=1)
def _kept_blocks(n: int, resamples: int, seed: int) -> list[Floats]:
    return list(as_blocks(counts_of(n, resamples, seed)))
