"""Images that were made once and lie in the cache."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pellucid.core.files import whole_file
from pellucid.data import sources
from pellucid.data.truth.made import Recipe, make

__all__ = ["Details", "Named", "kept"]


@dataclass(frozen=True)
class Details:
    """What is known of the images of a split beside their masks, made or read when it is first looked at.

    Args:
        recipe: how the images are made.
        split: which ones.
        n: their number.
    """

    recipe: Recipe
    split: str
    n: int

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """``changed NAME`` and ``part NAME``."""
        return kept(self.recipe, self.split, self.n, details=True)


@dataclass(frozen=True)
class Named(Mapping[str, Tensor]):
    """The details of one kind, by name.

    Args:
        details: of all kinds.
        kind: ``changed`` for images uint8 (n, c, h, w), ``part`` for masks bool (n, h, w).
        used: of how many images they are given, the first.
    """

    details: Details
    kind: str
    used: int

    def __getitem__(self, name: str) -> Tensor:
        return self.details.tensors[f"{self.kind} {name}"][: self.used]

    def __iter__(self) -> Iterator[str]:
        kind = f"{self.kind} "
        return (name.removeprefix(kind) for name in self.details.tensors if name.startswith(kind))

    def __len__(self) -> int:
        return len(list(iter(self)))


def kept(recipe: Recipe, split: str, n: int, *, details: bool = False) -> dict[str, Tensor]:
    """The images of a split from the cache, where they are put the first time.

    A file that is damaged is made again. Where the cache cannot be written, images are made each time.

    Args:
        recipe: how they are made.
        split: which ones.
        n: their number.
        details: the changed images and the masks of parts instead of the images themselves.

    Returns:
        ``images``, ``labels`` and ``masks``; or ``changed NAME`` and ``part NAME`` of each.
    """
    file = f"{recipe.name} {split} {n}{' details' if details else ''}".replace(" ", "-")
    path = sources.cache() / "truth" / f"{file}.safetensors"
    stored = _read(path)
    if stored is not None:
        return stored
    made = make(recipe, split, n, details=details)
    if details:
        arrays = {f"changed {name}": images for name, images in made.changed.items()}
        arrays |= {f"part {name}": mask for name, mask in made.parts.items()}
    else:
        arrays = {"images": made.images, "labels": made.labels, "masks": made.masks}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    # A cache that cannot be written costs time, and nothing else.
    with suppress(OSError), whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={"digest": _digest(tensors)})
    return tensors


def _read(path: Path) -> dict[str, Tensor] | None:
    """The tensors of a file, or None where it is not there or not what was written."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  a file has no iterator
            return tensors if (file.metadata() or {}).get("digest") == _digest(tensors) else None
    except (OSError, SafetensorError):
        return None


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        array = tensors[name].numpy()
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
