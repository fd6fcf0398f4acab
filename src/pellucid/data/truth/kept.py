"""Images that were made once and lie in the cache."""

import hashlib
from collections.abc import Iterator, Mapping
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
from pellucid.data.truth.made import Made, Recipe, make

__all__ = ["Changed", "kept"]


@dataclass(frozen=True)
class Changed(Mapping[str, Tensor]):
    """The changed images of a split, uint8 (n, c, h, w) by what was changed, made or read when first looked at.

    Args:
        recipe: how the images are made.
        split: which ones.
        n: their number.
        used: how many of them, the first, are given.
    """

    recipe: Recipe
    split: str
    n: int
    used: int

    @cached_property
    def _images(self) -> dict[str, Tensor]:
        return kept(self.recipe, self.split, self.n, changed=True)

    def __getitem__(self, name: str) -> Tensor:
        return self._images[name][: self.used]

    def __iter__(self) -> Iterator[str]:
        return iter(self._images)

    def __len__(self) -> int:
        return len(self._images)


def kept(recipe: Recipe, split: str, n: int, *, changed: bool = False) -> dict[str, Tensor]:
    """The images of a split from the cache, where they are put the first time.

    A file that is damaged is made again. Where the cache cannot be written, images are made each time.

    Args:
        recipe: how they are made.
        split: which ones.
        n: their number.
        changed: the changed images, by what was changed, instead of the images themselves.

    Returns:
        ``images``, ``labels``, ``masks`` and ``part NAME`` of each part; or the changed images by name.
    """
    file = f"{recipe.name} {split} {n}{' changed' if changed else ''}".replace(" ", "-")
    path = sources.cache() / "truth" / f"{file}.safetensors"
    stored = _read(path)
    if stored is not None:
        return stored
    made = make(recipe, split, n, changed=changed)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in _arrays(made, changed).items()}
    try:
        with whole_file(path) as temporary:
            save_file(tensors, temporary, metadata={"digest": _digest(tensors)})
    except OSError:
        return tensors
    return tensors


def _arrays(made: Made, changed: bool) -> Mapping[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]:
    if changed:
        return made.changed
    parts = {f"part {name}": mask for name, mask in made.parts.items()}
    return {"images": made.images, "labels": made.labels, "masks": made.masks, **parts}


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
