"""DICOM files, the pictures of scanners."""

import io
import warnings
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError

__all__ = ["is_dicom", "read", "size_of"]

_ALONE = Lock()
"""Warnings are silenced for the whole process, so one thread does so at a time."""


def is_dicom(head: bytes, where: str) -> bool:
    """Whether a file is DICOM, by its first 132 bytes, or by its name where it may lack the preamble.

    >>> is_dicom(bytes(128) + b"DICM", "scan"), is_dicom(b"no preamble", "scan.dcm"), is_dicom(b"", "cat.jpg")
    (True, True, False)
    """
    return head[128:132] == b"DICM" or (where.lower().endswith(".dcm") and not head.startswith(b"\x89PNG"))


def read(content: bytes, where: str) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """The first frame of a DICOM file in [0, 1], and what was done to it.

    Colours are as they are. Greys go from the lowest to the highest value of the file's window, or of its table of
    values of interest, where it has one, and over the picture's own range where it has none.

    Args:
        content: of the file.
        where: the file, for the message.

    Returns:
        (h, w) or (h, w, 3) float64, and notes such as the frame that was taken.

    Raises:
        InputError: pydicom is not installed, or the file holds no picture that it can read.
    """
    try:
        from pydicom import dcmread
        from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
        from pydicom.pixels.utils import pixel_array
    except ImportError:
        raise InputError(f"{where} is a DICOM file; install pellucid[dicom] to read it") from None
    try:
        with _ALONE, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that break the standard but can be read
            data = dcmread(io.BytesIO(content), force=True)
            frames = int(data.get("NumberOfFrames", 1) or 1)
            values = pixel_array(data, index=0)
            photometric = str(data.get("PhotometricInterpretation", ""))
            bits = int(data.get("BitsStored", 8))
            table = data["VOILUTSequence"].value[0] if data.get("VOILUTSequence") else None
            ends: Any = None
            if photometric == "PALETTE COLOR":
                values = apply_color_lut(values, data)
                bits = 8 * values.itemsize
            elif values.ndim == 2:
                values = apply_modality_lut(values, data)
                if table is not None:
                    values, ends = _looked_up(values, table)
                elif "WindowCenter" in data:
                    ends = apply_voi_lut(np.array([-1e9, 1e9]), data)
                    values = apply_voi_lut(values, data)
    except Exception as error:  # a reader of files of any origin: errors of many classes
        raise InputError(f"{where} is no DICOM picture that can be read: {_reason(error)}") from None
    notes: tuple[str, ...] = (f"the first of {frames} frames",) if frames > 1 else ()
    if values.ndim == 3:
        return values.astype(np.float64) / (2**bits - 1), notes
    low, high = (float(end) for end in ((values.min(), values.max()) if ends is None else (min(ends), max(ends))))
    greys = np.clip((values.astype(np.float64) - low) / (high - low or 1), 0, 1)
    told = "greys stretched from the lowest to the highest" if ends is None else "windowed as its DICOM file says"
    return (1 - greys if photometric == "MONOCHROME1" else greys), (told, *notes)


def size_of(file: Any) -> tuple[int, int] | None:
    """Width and height that the header of a DICOM file tells; None where it holds no picture.

    Args:
        file: open for reading, at its beginning.

    Raises:
        InputError: pydicom is not installed.
    """
    try:
        from pydicom import dcmread
    except ImportError:
        raise InputError(f"{file.name} is a DICOM file; install pellucid[dicom] to read it") from None
    try:
        with _ALONE, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = dcmread(file, force=True, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
        return int(data.Columns), int(data.Rows)
    except Exception:  # a reader of files of any origin: errors of many classes
        return None


def _looked_up(values: npt.NDArray[Any], table: Any) -> tuple[npt.NDArray[Any], tuple[int, int]]:
    """Values by the first table of values of interest, and the ends of what it can say (DICOM PS3.3, C.11.2.1.1)."""
    entries, first, bits = (int(number) for number in table.LUTDescriptor)
    entries = entries or 65536
    data = table.LUTData
    wide = isinstance(data, bytes) and len(data) >= 2 * entries
    found = np.frombuffer(data, "<u2" if wide else "u1") if isinstance(data, bytes) else np.asarray(data)
    if found.size * 2 == entries:  # two entries of 8 bits in each number of 16
        found = found.astype("<u2").view("u1")
    if len(found) < entries:
        raise ValueError(f"its table of values has {len(found)} of {entries} entries")
    position = np.clip(values.astype(np.int64) - first, 0, entries - 1)
    return found[position], (0, 2**bits - 1)


def _reason(error: BaseException) -> str:
    """What pydicom says in one line, with the package to install where it lacks one to decompress."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0].rstrip(".:") if lines else type(error).__name__
    if "missing dependencies" in str(error):
        return f"{first}; install pylibjpeg with pylibjpeg-libjpeg and pylibjpeg-openjpeg, or gdcm"
    return first
