"""Numbers of any width as the 256 levels of a picture, and what a person should know where these say little."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError

__all__ = ["BLACK", "BYTE", "FEW", "WORD", "few", "is_black", "of_fractions", "of_whole_numbers"]

BYTE, WORD = 255, 65535
"""The largest value of 8 and of 16 bits."""

FEW = 16
"""A picture whose values stay below this part of their range is nearly black: 12 bits in 16 do."""

BLACK = "its values are 0 and 1 of 255, all of which are black; multiply them by 255 first, or give fractions"
"""The note of a picture that `is_black`, as of masks and of numbers that were fractions once."""

Levels = tuple[npt.NDArray[np.uint8], tuple[str, ...]]


def of_whole_numbers(values: npt.NDArray[Any], where: object, *, most: int | None = WORD) -> Levels:
    """Whole numbers as levels, 0 black and the largest that the file can hold white.

    Args:
        values: whole numbers of more than 8 bits, at least one.
        where: the file, for the message.
        most: the largest value that the file can hold, from 255 on; None where it does not say: 255 where no value is
            larger, and else 65535.

    Returns:
        uint8 like ``values``, and notes: how values of no told range were read; that they use few of it.

    Raises:
        InputError: a value below 0 or above ``most``, or values so small that all of them would be black.

    >>> of_whole_numbers(np.array([0, 65535]), "scan.tif")
    (array([  0, 255], dtype=uint8), ())
    >>> of_whole_numbers(np.array([7, 255]), "scan.tif", most=None)[0]
    array([  7, 255], dtype=uint8)
    """
    low, high = int(values.min()), int(values.max())
    notes: tuple[str, ...] = ()
    if most is None:
        most = BYTE if high <= BYTE else WORD
        if high and most == BYTE:
            notes = (f"its values reach {high} and, as the file does not say of how many, are read as of 255",)
    if low < 0 or high > most:
        bits = most.bit_length()
        raise InputError(f"{where} has values from {low} to {high}; {bits}-bit grey is 0 to {most}")
    if most > BYTE and 0 < high <= most // (BYTE + 1):
        raise InputError(
            f"{where} has values up to {high} of {most}, all of which would be black; save it with 8 bits, or scale "
            "its values first"
        )
    if high and high < (most + 1) // FEW:
        notes = (*notes, few(high, most))
    wide = values.astype(np.int64)
    # 65535 is 257 times 255, so that this rounds to the nearest level.
    levels = (wide + 128) // 257 if most == WORD else (2 * BYTE * wide + most) // (2 * most)
    return levels.astype(np.uint8), notes


def of_fractions(values: npt.NDArray[Any], where: object) -> Levels:
    """Fractions in [0, 1] as levels.

    Args:
        values: floating point numbers, at least one.
        where: the file, for the message.

    Returns:
        uint8 like ``values``, and a note where they use few of the range.

    Raises:
        InputError: a number outside [0, 1], or numbers so small that all of them would be black.

    >>> of_fractions(np.array([0, 0.5, 1]), "scan.tif")
    (array([  0, 128, 255], dtype=uint8), ())
    """
    low, high = float(values.min()), float(values.max())
    if np.isnan(low):
        raise InputError(f"{where} has values that are not a number")
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"{where} has values from {low:g} to {high:g}; fractions must be in [0, 1], so divide them by the largest "
            "that can occur first"
        )
    if 0 < high < 1 / (BYTE + 1):
        raise InputError(f"{where} has values up to {high:g} of 1, all of which would be black; scale its values first")
    notes = (few(f"{high:g}", 1),) if 0 < high < 1 / FEW else ()
    return (BYTE * values.astype(np.float64)).round().astype(np.uint8), notes


def few(high: object, most: int) -> str:
    """The note of a picture that uses little of its range.

    Args:
        high: its largest value.
        most: the largest value that it could have.
    """
    return f"its values reach {high} of {most} and are shown as dark as that is; scale values of fewer bits first"


def is_black(levels: Any) -> bool:
    """Whether levels are 0 and 1 alone, and not all alike.

    Args:
        levels: an array or tensor, uint8.

    >>> is_black(np.array([0, 1])), is_black(np.array([0, 0])), is_black(np.array([0, 2]))
    (True, False, False)
    """
    return bool(levels.max() == 1 and levels.min() == 0)
