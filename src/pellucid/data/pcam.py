"""PatchCamelyon: 96 px patches of lymph nodes, with a validation split of its own.

Source: B. Veeling et al., *Rotation equivariant CNNs for digital pathology*, 2018.
"""

import gzip
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import h5py
import torch
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.data import sources
from pellucid.data.splits import Stored, check_labels

__all__ = ["CLASSES", "Patches", "read"]

CLASSES = ("normal", "tumour")

_NAMES = {"train": "train", "validation": "valid", "test": "test"}


def read(folder: Path, split: str) -> Stored:
    """One split of PCAM; a packed file (.h5.gz) is unpacked beside itself once.

    Args:
        folder: holds ``camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5``.
        split: ``train``, ``validation`` or ``test``.

    Raises:
        InputError: a file is missing, truncated or another format.
    """
    images = Patches(_unpacked(folder, f"camelyonpatch_level_2_split_{_NAMES[split]}_x.h5"))
    path = _unpacked(folder, f"camelyonpatch_level_2_split_{_NAMES[split]}_y.h5")
    labels = torch.from_numpy(_dataset(path, "y")[:].reshape(-1).astype("int64"))
    if len(images) != len(labels):
        raise InputError(f"{images.path} has {len(images)} images, but {path} has {len(labels)} labels")
    return Stored(images, check_labels(labels, len(CLASSES), path), CLASSES, images.shape)


class Patches:
    """Images of an HDF5 file, read one at a time; each process opens the file for itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        array = _dataset(path, "x")
        if array.ndim != 4 or array.shape[3] != 3 or array.dtype != "uint8" or len(array) == 0:
            raise InputError(f"{path} holds {array.dtype} {array.shape}, expected uint8 (n, h, w, 3) with n at least 1")
        self._length = len(array)
        self.shape = (3, array.shape[1], array.shape[2])
        self._opened: tuple[int, Any] = (0, None)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, i: int, /) -> Tensor:
        process, array = self._opened
        if process != os.getpid():
            array = _dataset(self.path, "x")
            self._opened = (os.getpid(), array)
        try:
            pixels = array[i]
        except OSError as error:
            raise InputError(f"image {i} of {self.path} is damaged: {error}") from error
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": (0, None)}


def _dataset(path: Path, key: str) -> Any:
    try:
        return h5py.File(path, "r")[key]
    except KeyError as error:
        raise InputError(f"{path} has no dataset {key!r}, as PCAM's files have") from error
    except OSError as error:
        raise InputError(f"{path} is damaged, truncated or no HDF5 file: {error}") from error


def _unpacked(folder: Path, file: str) -> Path:
    path = sources.find_file("pcam", folder, file)
    if path is None:
        raise InputError(sources.lacking("pcam", folder))
    if path.name == file:
        return path
    target = path.with_name(file)
    try:
        with gzip.open(path) as packed, whole_file(target) as temporary, temporary.open("wb") as stream:
            shutil.copyfileobj(packed, stream, 1 << 20)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged or truncated: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be unpacked to {target}: {error.strerror}") from error
    return target
