"""Digests of images and labels, which tell a split from another, or from itself before somebody changed it."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pellucid.data.masks import Masks
from pellucid.data.splits import Images, Rows

if TYPE_CHECKING:
    from pellucid.data.dataset import Dataset

__all__ = ["contents_of", "file_digest", "fingerprint_of", "pixels_of"]

FINGERPRINTED = 64
"""Images whose pixels enter a fingerprint."""

DECODED = 4096
"""Images that are decoded at most for a digest of contents that are no files."""

READ = 2 << 30
"""Bytes of files that are read whole for a digest (2 GiB); of larger sets each file gives its ends and its size."""

END = 4096
"""Bytes at either end of a file."""

SHARE = 256
"""Images that are decoded at once."""


def fingerprint_of(dataset: "Dataset") -> str:
    """See `pellucid.data.Dataset.fingerprint`."""
    digest = _begun(dataset)
    n = len(dataset)
    count = min(n, FINGERPRINTED)
    digest.update(dataset.take([i * n // count for i in range(count)]).numpy().tobytes())
    return digest.hexdigest()


def contents_of(dataset: "Dataset") -> str:
    """See `pellucid.data.Dataset.contents`."""
    digest = _begun(dataset)
    n = len(dataset)
    held: Any = dataset.source if isinstance(dataset.source, Tensor) else dataset.__dict__.get("images")
    files = _files(dataset.source, n)
    if files is not None:
        whole = sum(map(os.path.getsize, files)) <= READ
        for file in files:
            digest.update(file_digest(file, whole=whole))
    elif isinstance(held, Tensor):
        for first in range(0, n, SHARE):
            digest.update(held[first : first + SHARE].contiguous().numpy().tobytes())
    else:
        count = min(n, DECODED)
        _update(digest, dataset.take, [i * n // count for i in range(count)])
    if dataset.columns:
        digest.update(json.dumps(sorted(dataset.columns.items())).encode())
    for mask in _masks(dataset, n):
        digest.update(b"" if mask is None else file_digest(mask, whole=True))
    return digest.hexdigest()


def pixels_of(dataset: "Dataset", rows: Sequence[int]) -> str:
    """16 hexadecimal digits that tell the pixels of some images from others, wherever they come from.

    Args:
        dataset: the split.
        rows: positions of the images.

    >>> from pellucid.data import Dataset
    >>> images = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    >>> dots = Dataset("dots", "test", ("a", "b"), (1, 4, 4), torch.tensor([0, 1, 1]), images, images)
    >>> pixels_of(dots, [0, 1]) == pixels_of(dots, [1, 2]) != pixels_of(dots, [0, 1, 2])
    True
    """
    digest = hashlib.blake2b(json.dumps([len(rows), dataset.shape]).encode(), digest_size=8)
    _update(digest, dataset.take, rows)
    return digest.hexdigest()


def _begun(dataset: "Dataset") -> "hashlib.blake2b":
    digest = hashlib.blake2b(json.dumps([dataset.classes, dataset.shape]).encode(), digest_size=8)
    digest.update(dataset.labels.nan_to_num(nan=-1).cpu().numpy().astype("<i8").tobytes())
    return digest


def _update(digest: Any, take: Callable[[Sequence[int]], Tensor], rows: Sequence[int]) -> None:
    for first in range(0, len(rows), SHARE):
        digest.update(take(list(rows[first : first + SHARE])).numpy().tobytes())


def _files(images: Images, n: int) -> list[str] | None:
    """The files that images are decoded from, in their order; None where they are no files."""
    rows = torch.arange(n)
    while isinstance(images, Rows):
        rows, images = images.rows[rows], images.images
    files = getattr(getattr(images, "values", None), "files", None)
    return None if files is None else [files[row] for row in rows.tolist()]


def _masks(dataset: "Dataset", n: int) -> list[str | None]:
    """The files of the images' masks, in their order; none where there are no such files."""
    masks: Any = None if dataset.truth is None else dataset.truth.mask
    rows = torch.arange(n)
    while isinstance(masks, Rows):
        rows, masks = masks.rows[rows], masks.images
    return [masks.files[row][1] for row in rows.tolist()] if isinstance(masks, Masks) else []


def file_digest(file: str, *, whole: bool) -> bytes:
    """16 bytes that tell the content of a file, or its ends and its size, from others; remembered until it changes.

    Args:
        file: its path.
        whole: read all of it.
    """
    status = os.stat(file)
    return _file_digest(file, whole, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1 << 18)
def _file_digest(file: str, whole: bool, size: int, changed: int) -> bytes:
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with open(file, "rb") as opened:
        if whole or size <= 2 * END:
            digest.update(opened.read())
        else:
            digest.update(opened.read(END))
            opened.seek(-END, os.SEEK_END)
            digest.update(opened.read(END))
    return digest.digest()
