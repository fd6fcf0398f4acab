"""What the values of a DICOM picture mean as greys: rescaling, tables, windows and padding, as far as a file has them.

Files from hospitals have these attributes empty, with half of their numbers, or with numbers that mean nothing. What
cannot be used is left out, and a note says so.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["greys"]

Values = npt.NDArray[Any]

STRETCHED = "greys stretched from the lowest to the highest"
WINDOWED = "windowed as its DICOM file says"
LEVEL = 1 / 255
"""Greys that differ by less are one in a picture of 8 bits."""

FRAME_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
FRAME_MEANINGS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def greys(values: Values, data: Any) -> tuple[Values, tuple[str, ...]]:
    """Values of one frame as fractions in [0, 1], 0 black, and what was done to them.

    They are rescaled, or looked up in the modality's table; then looked up in the table of values of interest, or seen
    through the window, where the file has one; and otherwise stretched from the lowest to the highest. Padding around
    the picture is black and does not count.

    Args:
        values: (h, w) as they are stored.
        data: the attributes, a ``pydicom.Dataset``.

    Returns:
        (h, w) float64, and notes.

    Source: DICOM PS3.3, C.11.1 (modality), C.11.2 (values of interest), C.7.5.1.1.2 (padding).
    """
    notes: list[str] = []
    padding = _padding(values, data)
    values = _rescaled(values, data, notes)
    seen = values[~padding] if padding.any() and not padding.all() else values
    shown = _looked_at(values, data, notes)
    if shown is not None and np.ptp(shown[~padding] if seen is not values else shown) < LEVEL and np.ptp(seen) > 0:
        notes.append("what its DICOM file says of the window would show one grey alone and is left out")
        shown = None
    if shown is None:
        low, high = float(seen.min()), float(seen.max())
        shown = np.clip((values.astype(np.float64) - low) / (high - low or 1), 0, 1)
        notes.insert(0, STRETCHED)
    else:
        notes.insert(0, WINDOWED)
    if _first(data, "PhotometricInterpretation") == "MONOCHROME1":
        shown = 1 - shown
    if seen is not values:
        shown = np.where(padding, 0.0, shown)
    return shown, tuple(notes)


def _padding(values: Values, data: Any) -> npt.NDArray[np.bool_]:
    """Where the values are those that fill the frame around the picture."""
    first = _number(data, "PixelPaddingValue")
    last = _number(data, "PixelPaddingRangeLimit")
    if first is None:
        return np.zeros(values.shape, dtype=bool)
    low, high = sorted((first, first if last is None else last))
    return (values >= low) & (values <= high)


def _rescaled(values: Values, data: Any, notes: list[str]) -> Values:
    """Values in the units of the modality."""
    table = _table(data, "ModalityLUTSequence", notes)
    if table is not None:
        return _looked_up(values, table)[0]
    slope, intercept = (_of_frame(data, name) for name in ("RescaleSlope", "RescaleIntercept"))
    if slope == 0:
        notes.append("a RescaleSlope of 0 is left out")
        slope = None
    if slope is None and intercept is None:
        return values
    return values.astype(np.float64) * (1 if slope is None else slope) + (0 if intercept is None else intercept)


def _looked_at(values: Values, data: Any, notes: list[str]) -> Values | None:
    """Fractions by the table of values of interest or the window; None where the file has none that can be used."""
    table = _table(data, "VOILUTSequence", notes)
    if table is not None:
        found, most = _looked_up(values, table)
        return np.clip(found.astype(np.float64) / most, 0, 1)
    centre, width = (_of_frame(data, name) for name in ("WindowCenter", "WindowWidth"))
    function = str(_first(data, "VOILUTFunction") or "LINEAR").upper()
    if centre is None and width is None:
        return None
    if centre is None or width is None or width < (1 if function == "LINEAR" else 1e-12):
        told = ", ".join("empty" if number is None else f"{number:g}" for number in (centre, width))
        notes.append(f"a window whose centre and width are {told} is left out")
        return None
    seen = values.astype(np.float64)
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (seen - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return np.clip((seen - centre) / width + 0.5, 0, 1)
    if width == 1:
        return (seen > centre - 0.5).astype(np.float64)
    return np.clip((seen - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def _table(data: Any, name: str, notes: list[str]) -> Any:
    """The first table of a sequence, where it is whole; None otherwise."""
    items = data.get(name)
    if not items:
        return None
    descriptor, entries = items[0].get("LUTDescriptor"), items[0].get("LUTData")
    if descriptor is None or len(np.atleast_1d(descriptor)) != 3 or entries is None or not len(np.atleast_1d(entries)):
        notes.append(f"a {name} without its table is left out")
        return None
    return items[0]


def _looked_up(values: Values, table: Any) -> tuple[Values, int]:
    """Values by a table, and the largest that it can say (DICOM PS3.3, C.11.2.1.1).

    The first value that is mapped is stored without its sign where that is not known.
    """
    entries, first, bits = (int(number) for number in table.LUTDescriptor)
    entries = entries or 65536
    if first > 32767 and values.size and values.min() < 0:
        first -= 65536
    data = table.LUTData
    wide = isinstance(data, bytes) and len(data) >= 2 * entries
    found = np.frombuffer(data, "<u2" if wide else "u1") if isinstance(data, bytes) else np.atleast_1d(data)
    if found.size * 2 == entries:  # two entries of 8 bits in each number of 16
        found = found.astype("<u2").view("u1")
    if len(found) < entries:
        raise ValueError(f"its table of values has {len(found)} of {entries} entries")
    position = np.clip(np.rint(values).astype(np.int64) - first, 0, entries - 1)
    return found[position], 2 ** (bits or 16) - 1


def _of_frame(data: Any, name: str) -> float | None:
    """A number of the picture, or of its first frame, where files of many frames keep it."""
    number = _number(data, name)
    for group in FRAME_GROUPS:
        for meaning in FRAME_MEANINGS:
            for item in (data.get(group) or [])[:1]:
                if number is None and item.get(meaning):
                    number = _number(item[meaning].value[0], name)
    return number


def _number(data: Any, name: str) -> float | None:
    """The first number of an attribute; None where it is missing, empty or no finite number."""
    try:
        number = float(_first(data, name))
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _first(data: Any, name: str) -> Any:
    """The first value of an attribute; None where it is missing or empty."""
    value = data.get(name)
    if isinstance(value, str) or value is None:
        return value or None
    try:
        return value[0] if len(value) else None
    except TypeError:  # a single number
        return value
