"""MNIST's file format, as Fashion-MNIST and MNIST use it.

Source: Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits*, section "File formats".
"""

import math
import struct
import zlib
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.data import sources
from pellucid.data.splits import Stored, check_labels

__all__ = ["CLASSES", "parse", "read"]

CLASSES = {
    "fashion-mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "mnist": tuple("0123456789"),
}  # fmt: skip


def read(name: str, folder: Path, split: str, *, verify: bool) -> Stored | None:
    """One split of Fashion-MNIST or MNIST.

    Args:
        name: ``fashion-mnist`` or ``mnist``.
        folder: holds the four files, packed (.gz) or not, itself or in torchvision's ``FashionMNIST/raw``.
        split: ``train`` or ``test``.
        verify: compare the decompressed bytes with the published ones.

    Returns:
        The split, or None where ``split`` is another.

    Raises:
        InputError: a file is missing, truncated or another format.
    """
    if split not in ("train", "test"):
        return None
    prefix = "train" if split == "train" else "t10k"
    images, images_file = _numbers(name, folder, f"{prefix}-images-idx3-ubyte", 3, verify)
    labels, labels_file = _numbers(name, folder, f"{prefix}-labels-idx1-ubyte", 1, verify)
    if len(images) != len(labels):
        raise InputError(f"{images_file} has {len(images)} images, but {labels_file} has {len(labels)} labels")
    if len(images) == 0:
        raise InputError(f"{images_file} has no image")
    labels = check_labels(labels, len(CLASSES[name]), labels_file)
    return Stored(images.unsqueeze(1), labels, CLASSES[name], (1, images.shape[1], images.shape[2]))


def _numbers(name: str, folder: Path, file: str, dimensions: int, verify: bool) -> tuple[Tensor, Path]:
    path = sources.find_file(name, folder, file)
    if path is None:
        raise InputError(f"{folder} has no file {file} or {file}.gz, which {name} needs")
    try:
        facts = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    stamp = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    # A copy, since whoever asked for the images may change them in place.
    return _read_once(name, path, file, dimensions, verify, stamp).clone(), path


@lru_cache(maxsize=4)
def _read_once(name: str, path: Path, file: str, dimensions: int, verify: bool, stamp: tuple[int, ...]) -> Tensor:
    """A file's numbers, unpacked once for training, predicting and measuring, until its stamp is another."""
    content = unpacked(path)
    if verify:
        sources.verify(name, file, content, path)
    return parse(content, path, dimensions=dimensions)


def unpacked(path: Path) -> bytes:
    """Content of a file, decompressed if its name ends in .gz.

    Raises:
        InputError: it cannot be read, or the compressed stream is damaged or stops early.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if path.suffix != ".gz":
        return content
    try:
        return zlib.decompress(content, wbits=31)
    except zlib.error as error:
        raise InputError(f"{path} is damaged or truncated at {len(content)} bytes: {error}") from error


def parse(content: bytes, where: object, *, dimensions: int) -> Tensor:
    """The array of unsigned bytes in an idx file.

    Args:
        content: the decompressed file: two zero bytes, type 8, number of dimensions, their sizes, the bytes.
        where: the file, for the message.
        dimensions: 3 for images, 1 for labels.

    Returns:
        uint8, its shape is in the file.

    Raises:
        InputError: another format, or another length than the header says.

    >>> parse(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), "labels", dimensions=1)
    tensor([7, 9], dtype=torch.uint8)
    >>> parse(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 9]), "labels", dimensions=1)
    Traceback (most recent call last):
    pellucid.InputError: labels is truncated or damaged: its header (3) asks for 11 bytes, found 10
    """
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes([0, 0, 8, dimensions]):
        raise InputError(
            f"{where} is not an idx file of unsigned bytes with {dimensions} dimensions: it begins with "
            f"{content[:4].hex() or 'nothing'}, expected {bytes([0, 0, 8, dimensions]).hex()}"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    count = math.prod(shape)
    length = header + count
    if len(content) != length:
        sizes = " x ".join(map(str, shape))
        raise InputError(
            f"{where} is truncated or damaged: its header ({sizes}) asks for {length} bytes, found {len(content)}"
        )
    if count == 0:
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header).reshape(shape)
