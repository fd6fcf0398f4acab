"""DICOM files, the pictures of scanners."""

import io
import warnings
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.core.errors import InputError
from pellucid.data.dicom_greys import greys

__all__ = ["is_dicom", "read", "size_of"]

_ALONE = Lock()
"""Warnings are silenced for the whole process, so one thread does so at a time."""


OTHERS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP", b"P5\n", b"P6\n")
"""How pictures begin that some people call .dcm."""

PIXELS = 1 << 28
"""That one picture may have (268 million)."""

FIRST = (b"\x08\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x08\x00\x16\x00", b"\x02\x00\x00\x00")
"""The tags that a file without the preamble begins with."""


def is_dicom(head: bytes, where: str) -> bool:
    """Whether a file is DICOM, by its first 132 bytes, or by its name where these do not tell.

    A file may lack the 132 bytes of the preamble and begin with its first attribute.

    >>> is_dicom(bytes(128) + b"DICM", "scan"), is_dicom(b"unknown", "scan.dcm"), is_dicom(b"GIF89a", "scan.dcm")
    (True, True, False)
    """
    if head[128:132] == b"DICM":
        return True
    explicit, implicit = head[4:6].isalpha() and head[4:6].isupper(), head[6:8] == b"\0\0"
    begins = head[:4] in FIRST and (explicit or implicit)
    return begins or (where.lower().endswith((".dcm", ".dicom", ".dic")) and not head.startswith(OTHERS))


def read(content: bytes, where: str) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """The first frame of a DICOM file in [0, 1], and what was done to it.

    Colours are as they are; what greys mean is told by `pellucid.data.dicom_greys`.

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
        from pydicom.pixels.processing import apply_color_lut
        from pydicom.pixels.utils import pixel_array
    except ImportError:
        raise InputError(f"{where} is a DICOM file; install pellucid[dicom] to read it") from None
    try:
        with _ALONE, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that break the standard but can be read
            data = dcmread(io.BytesIO(content), force=True)
            frames = int(data.get("NumberOfFrames", 1) or 1)
            _completed(data)
            if int(data.get("Rows", 0)) * int(data.get("Columns", 0)) > PIXELS:
                raise ValueError(f"it has {data.Rows} x {data.Columns} pixels, up to {PIXELS} are accepted")
            values = pixel_array(data, index=0)
            photometric = str(data.get("PhotometricInterpretation", ""))
            bits = int(data.get("BitsStored", None) or 8)
            told: tuple[str, ...] = ()
            if photometric == "PALETTE COLOR":
                values = apply_color_lut(values, data)
                bits = 8 * values.itemsize
            if values.ndim == 2:
                values, told = greys(values, data)
    except Exception as error:  # a reader of files of any origin: errors of many classes
        raise InputError(f"{where} is not a DICOM picture that can be read: {_reason(error)}") from None
    notes: tuple[str, ...] = (f"the first of {frames} frames",) if frames > 1 else ()
    if values.ndim == 3:
        return values.astype(np.float64) / (2**bits - 1), notes
    return values, (*told, *notes)


def _completed(data: Any) -> None:
    """Fill in what a picture must say and some do not, where there is one usual value."""
    if "TransferSyntaxUID" not in data.file_meta:
        from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

        implicit, little = data.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    if not data.get("SamplesPerPixel"):
        data.SamplesPerPixel = 1
    if not data.get("PhotometricInterpretation"):
        data.PhotometricInterpretation = "MONOCHROME2" if data.SamplesPerPixel == 1 else "RGB"
    if data.SamplesPerPixel > 1 and data.get("PlanarConfiguration") is None:
        data.PlanarConfiguration = 0
    if data.get("PixelRepresentation") is None and "PixelData" in data:
        data.PixelRepresentation = 0
    if not data.get("BitsStored") and data.get("BitsAllocated"):
        data.BitsStored = data.BitsAllocated
    if not data.get("NumberOfFrames") and "NumberOfFrames" in data:
        del data.NumberOfFrames


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


def _reason(error: BaseException) -> str:
    """What pydicom says in one line, with the package to install where it lacks one to decompress."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0].rstrip(".:") if lines else type(error).__name__
    if "missing dependencies" in str(error):
        return f"{first}; install pylibjpeg with pylibjpeg-libjpeg and pylibjpeg-openjpeg, or gdcm"
    return first
