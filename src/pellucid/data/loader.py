"""Batches of a dataset on the training device, in an order that depends on the seed and the epoch alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.randomness import StepDraws, seed_of
from pellucid.core.types import Batch
from pellucid.data.augmentation import Augmentation, named
from pellucid.data.dataset import Dataset
from pellucid.data.randaugment import RandAugment
from pellucid.data.silence import silenced
from pellucid.data.splits import Images

__all__ = ["Loader"]


class Loader:
    """Batches with images in [0, 1] and stable positions.

    A split that fits in memory is held as uint8 on ``device`` and cut there; another is decoded by worker processes.
    Both give the same batches, bit for bit. Where the dataset knows what decides its classes, batches have masks, which
    are cropped and flipped with their images.

    Args:
        dataset: the split.
        batch_size: images of a global batch; each of ``world`` processes gets its ``rank``-th part.
        device: where batches are made.
        shuffle: another order in each epoch, a function of ``seed`` and the epoch; by position without it.
        seed: of the order and of the augmentation.
        augmentation: a name, an `Augmentation` or a `RandAugment`; ``default`` is the one that the dataset was loaded
            with.
        rank: of this process, in [0, world).
        world: number of processes.
        balanced: draw equally many images of each class in an epoch of as many images: of a class with more images
            some are left out, those of one with fewer come several times.
        drop_last: leave out the last, smaller batch. Otherwise a process may get fewer images of it than others, or
            none: the number of batches is the same in all.
        workers: processes that decode, for splits that do not fit in memory; 0 decodes in this process. They are
            spawned, so a script that streams begins with ``if __name__ == "__main__"``.

    Raises:
        InputError: the batch does not divide by ``world``, or is larger than the split while ``drop_last``; balanced
            classes without shuffling, or of images with more than one label; or RandAugment of images with masks.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        device: torch.device | str = "cpu",
        shuffle: bool,
        seed: int,
        augmentation: str | Augmentation | RandAugment = "none",
        rank: int = 0,
        world: int = 1,
        balanced: bool = False,
        drop_last: bool,
        workers: int = 2,
    ) -> None:
        at_least(1, batch_size=batch_size)
        if not 0 <= rank < world:
            raise InputError(f"rank must be in [0, {world}), got {rank}")
        if batch_size % world:
            raise InputError(f"batch_size must be a multiple of the {world} processes, got {batch_size}")
        if balanced and not (shuffle and dataset.labels.dim() == 1):
            raise InputError("balanced needs shuffled images that have one class each")
        if len(dataset) == 0:
            raise InputError(f"the {dataset.split} split of {dataset.name} has no image")
        if drop_last and batch_size > len(dataset):
            raise InputError(
                f"batch_size must be at most the {len(dataset)} images of the {dataset.split} split of {dataset.name}, "
                f"got {batch_size}"
            )
        if augmentation == "default":
            augmentation = dataset.augmentation
        self.dataset = dataset
        self.augmentation = named(augmentation) if isinstance(augmentation, str) else augmentation
        self._augments = self.augmentation != Augmentation()
        if isinstance(self.augmentation, RandAugment) and dataset.truth is not None:
            raise InputError(
                f"augmentation randaugment moves images and not their masks, which {dataset.name} has; take another, "
                "such as flip"
            )
        if self._augments and world > 1 and not drop_last:
            raise InputError("augmentation on several processes needs drop_last, so that all draw for equal batches")
        self.batch_size, self.shuffle, self.seed, self.drop_last = batch_size, shuffle, seed, drop_last
        self.rank, self.world, self.workers, self.balanced = rank, world, workers, balanced
        self.device = torch.device(device)
        self._labels = dataset.labels.to(self.device)
        self._images = None if dataset.images is None else dataset.images.to(self.device)
        self._decoder: DataLoader[Tensor] | None = None
        self._plan: list[list[int]] = []
        self._turn = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        n = len(self.dataset)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from batch ``start`` on; those before are not decoded.

        Args:
            number: of the epoch, 0 or more.
            start: batches to skip, as a run that resumes inside an epoch does.
        """
        mine = self._mine(number)[start:]
        # All at once, since each copy from ordinary memory waits until the GPU has done what was asked of it.
        positions = torch.cat([*mine, torch.empty(0, dtype=torch.int64)]).to(self.device)
        there = torch.split(positions, [len(index) for index in mine])
        images = self._decode(mine) if self._images is None else self._cut(self._images, there)
        batches = zip(mine, there, images, strict=True)
        for step, (index, position, image) in enumerate(batches, start=number * len(self) + start):
            image = image.to(torch.float32).div_(255)
            truth = self.dataset.truth
            mask = None if truth is None else self._sent(truth.masks(index))[:, None]
            if self._augments:
                draws = StepDraws(self.seed, step, self.rank, self.world).of("augment")
                if mask is None:
                    image = self.augmentation(image, draws)
                else:  # as one more channel, so that it is cropped and flipped like the image
                    image, moved = self.augmentation(torch.cat([image, mask.float()], 1), draws).tensor_split([-1], 1)
                    mask = moved > 0.5
            yield Batch(image, self._labels[position], position, mask)

    def _sent(self, made: Tensor) -> Tensor:
        """What was made in this process, on the device; from pinned memory, which a GPU reads while it computes."""
        pinned = made.pin_memory() if self.device.type == "cuda" else made
        return pinned.to(self.device, non_blocking=True)

    def _mine(self, number: int) -> list[Tensor]:
        """Positions of this process's part of every batch of an epoch."""
        n = len(self.dataset)
        order = torch.arange(n)
        if self.shuffle:
            generator = torch.Generator().manual_seed(seed_of(self.seed, number, "order"))
            order = _balanced(self.dataset.labels.cpu(), generator) if self.balanced else order
            order = order[torch.randperm(n, generator=generator)]
        local = self.batch_size // self.world
        return [
            order[first + self.rank * local : min(first + (self.rank + 1) * local, first + self.batch_size)]
            for first in range(0, len(self) * self.batch_size, self.batch_size)
        ]

    def _cut(self, images: Tensor, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        for index in batches:
            yield images.index_select(0, index)

    def _decode(self, batches: list[Tensor]) -> Iterator[Tensor]:
        if self._decoder is None:
            self._decoder = DataLoader(
                _Decoder(self.dataset.source, self.dataset.shape),  # type: ignore[arg-type]
                batch_sampler=self._plan,
                num_workers=self.workers,
                # Spawned: a process forked from one with threads, which torch and pyarrow start, may never answer.
                multiprocessing_context="spawn" if self.workers else None,
                collate_fn=_same,
                pin_memory=self.device.type == "cuda",
                persistent_workers=self.workers > 0,
                # torch draws the workers' seeds, which nothing uses, from here and not from the global generator.
                generator=torch.Generator(),
            )
        self._plan[:] = [index.tolist() for index in batches]
        self._turn += 1
        turn = self._turn
        for decoded in self._decoder:
            if turn != self._turn:
                raise RuntimeError("a loader that streams runs one epoch at a time; a later one has begun")
            if isinstance(decoded, InputError):
                raise decoded
            yield decoded.to(self.device, non_blocking=True)


def _balanced(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Positions of as many images as there are labels, equally many of each class but for a remainder of one.

    A class gives all its images, in an order of the generator's, before one of them comes again.
    """
    classes = torch.unique(labels)
    share, left = divmod(len(labels), len(classes))
    more = torch.randperm(len(classes), generator=generator) < left
    drawn = []
    for label, quota in zip(classes, share + more.long(), strict=True):
        positions = (labels == label).nonzero().flatten()
        rounds = -(-int(quota) // len(positions))
        passes = [positions[torch.randperm(len(positions), generator=generator)] for _ in range(rounds)]
        drawn.append(torch.cat([*passes, positions[:0]])[:quota])
    return torch.cat(drawn)


class _Decoder:
    """What a worker process holds."""

    def __init__(self, images: Images, shape: tuple[int, int, int]) -> None:
        self.images = images
        self.shape = shape

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, rows: list[int]) -> Tensor | InputError:
        decoded = torch.empty((len(rows), *self.shape), dtype=torch.uint8)
        try:
            with silenced():
                for i, row in enumerate(rows):
                    decoded[i] = self.images[row]
        except InputError as error:
            # Returned, since torch would wrap a raised one in the worker's traceback.
            return error
        return decoded


def _same(batch: Any) -> Any:
    return batch
