"""CIFAR-10 from the official archives: binary or python, packed or not.

Source: A. Krizhevsky, *Learning multiple layers of features from tiny images*, 2009.
"""

import io
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.data import sources
from pellucid.data.splits import Stored, check_labels

__all__ = ["CLASSES", "read", "unpickle"]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

SHAPE = (3, 32, 32)
PIXELS = 3072


def read(folder: Path, split: str, *, verify: bool) -> Stored | None:
    """One split of CIFAR-10.

    Args:
        folder: holds the six batches, binary or python, or one of the two archives; or is such an archive.
        split: ``train`` or ``test``.
        verify: compare the bytes with the published digests.

    Returns:
        The split, or None where ``split`` is another.

    Raises:
        InputError: a file is missing, truncated or another format.
    """
    if split not in ("train", "test"):
        return None
    form = sources.find_form("cifar10", folder)
    if not form:
        raise InputError(sources.lacking("cifar10", folder))
    file, path = next(iter(form.items()))
    suffix = ".bin" if file.endswith(".bin") or "binary" in file else ""
    wanted = [f"data_batch_{i}{suffix}" for i in range(1, 6)] if split == "train" else [f"test_batch{suffix}"]
    if file.endswith(".tar.gz"):
        if verify:
            sources.verify("cifar10", file, path.read_bytes(), path)
        contents = _members(path, wanted)
    else:
        contents = {name: form[name].read_bytes() for name in wanted}
    parts = []
    for name, content in contents.items():
        where = form.get(name, f"{name} of {path}")
        if verify and name in form:
            sources.verify("cifar10", name, content, where)
        parts.append(_binary(content, where) if suffix else _python(content, where))
    labels = torch.cat([label for _, label in parts])
    return Stored(torch.cat([image for image, _ in parts]), labels, CLASSES, SHAPE)


def _members(archive: Path, wanted: list[str]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, mode="r:gz") as members:
            for member in members:
                name = Path(member.name).name
                stream = members.extractfile(member) if name in wanted else None
                if stream is not None:
                    contents[name] = stream.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise InputError(f"{archive} is damaged or truncated: {error}") from error
    if missing := [name for name in wanted if name not in contents]:
        raise InputError(f"{archive} has no {', '.join(missing)}")
    return {name: contents[name] for name in wanted}


def _binary(content: bytes, where: object) -> tuple[Tensor, Tensor]:
    """Records of 3073 bytes: the label, then 1024 bytes of each of red, green and blue, row by row."""
    records, rest = divmod(len(content), 1 + PIXELS)
    if rest or not records:
        raise InputError(
            f"{where} is truncated or damaged: expected a multiple of {1 + PIXELS} bytes (30730000 officially), "
            f"found {len(content)}"
        )
    table = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(records, 1 + PIXELS)
    return table[:, 1:].reshape(-1, *SHAPE), check_labels(table[:, 0], len(CLASSES), where)


def _python(content: bytes, where: object) -> tuple[Tensor, Tensor]:
    batch = unpickle(content, where)
    data, labels = (batch.get("data"), batch.get("labels")) if isinstance(batch, dict) else (None, None)
    if not (
        isinstance(data, np.ndarray)
        and data.dtype == np.uint8
        and data.ndim == 2
        and data.shape[1] == PIXELS
        and isinstance(labels, list)
        and all(isinstance(label, int) for label in labels)
    ):
        raise InputError(
            f"{where} is not a batch of CIFAR-10: expected 'data', bytes (n, {PIXELS}), and 'labels', n integers"
        )
    if len(data) != len(labels) or not labels:
        raise InputError(f"{where} has {len(data)} images and {len(labels)} labels, expected as many and at least one")
    image = torch.from_numpy(np.array(data)).reshape(-1, *SHAPE)
    return image, check_labels(torch.tensor(labels), len(CLASSES), where)


class _Arrays(pickle.Unpickler):
    """Reads numpy arrays and plain Python values; a pickle that names anything else is refused before it can run."""

    def __init__(self, stream: io.BytesIO, where: object) -> None:
        super().__init__(stream, encoding="latin1")
        self.where = where

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np.empty(0).__reduce__()[0]
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        raise InputError(
            f"{self.where} is refused: its pickle names {module}.{name}, and only numpy arrays are accepted"
        )


def _latin1(text: str, encoding: str) -> bytes:
    # How protocol 2 writes bytes; a general encode would reach every codec.
    return text.encode("latin1" if encoding == "latin1" else "ascii")


def unpickle(content: bytes, where: object) -> Any:
    """Content of a pickle of plain values and numpy arrays; nothing in it is executed.

    Args:
        content: the pickle.
        where: the file, for the message.

    Raises:
        InputError: it names anything else, or is damaged.

    >>> unpickle(pickle.dumps({"labels": [3]}), "batch")
    {'labels': [3]}
    >>> unpickle(pickle.dumps(print), "batch")
    Traceback (most recent call last):
    pellucid.InputError: batch is refused: its pickle names builtins.print, and only numpy arrays are accepted
    """
    try:
        return _Arrays(io.BytesIO(content), where).load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f"{where} is damaged or truncated at {len(content)} bytes: {error}") from error
