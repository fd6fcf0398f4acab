"""Random numbers as a function of what they are for, never of what was drawn before.

Training draws depend on (seed, step, purpose) and are made for the global batch, of which every process takes its
slice; evaluation draws depend on (seed, image, purpose). So resuming, another number of processes, another batch size
or another method in between change nothing, and the global generators are never touched.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.random import mtrand
from torch import Tensor

__all__ = [
    *("Draws", "Generator", "SampleDraws", "StepDraws"),
    *("fork", "normal", "of", "pinned", "repeatable", "shared", "uniform"),
]


@runtime_checkable
class Draws(Protocol):
    """A source of random tensors whose first dimension is the batch."""

    def of(self, purpose: str) -> "Draws":
        """The same source for another purpose; its numbers are independent of this one's."""

    def uniform(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        """Numbers in [0, 1)."""

    def normal(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        """Standard normal numbers."""


Generator = torch.Generator | Draws | None
"""What every ``generator`` argument accepts; ``None`` is torch's global generator."""


_SPARE: list[np.random.MT19937] = []
"""Generators to put in the place of NumPy's global one; making one, or setting its state, takes half a millisecond."""


def seed_of(*key: int | str) -> int:
    """A 63-bit seed that is a stable hash of ``key``.

    >>> seed_of(0, "order") == seed_of(0, "order") != seed_of(1, "order")
    True
    """
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1


def _seeded(device: torch.device | str, *key: int | str) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(seed_of(*key))


@dataclass(frozen=True)
class StepDraws:
    """Draws of one training step: made for the global batch, then cut to the slice of ``rank``.

    >>> whole = StepDraws(seed=0, step=3).uniform((4, 2))
    >>> second = StepDraws(seed=0, step=3, rank=1, world=2).uniform((2, 2))
    >>> torch.equal(whole[2:], second)
    True
    """

    seed: int
    step: int
    rank: int = 0
    world: int = 1
    purpose: str = ""

    def of(self, purpose: str) -> "StepDraws":
        return replace(self, purpose=f"{self.purpose}/{purpose}")

    def uniform(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        return self._slice(torch.rand(self._global(shape), generator=self._generator(device), device=device))

    def normal(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        return self._slice(torch.randn(self._global(shape), generator=self._generator(device), device=device))

    def _generator(self, device: torch.device | str) -> torch.Generator:
        return _seeded(device, self.seed, self.step, self.purpose)

    def _global(self, shape: Sequence[int]) -> list[int]:
        return [shape[0] * self.world, *shape[1:]]

    def _slice(self, drawn: Tensor) -> Tensor:
        n = drawn.shape[0] // self.world
        return drawn[self.rank * n : (self.rank + 1) * n]


@dataclass(frozen=True)
class SampleDraws:
    """Draws of an evaluation batch: image ``index[i]`` has its own numbers, whoever its batch mates are.

    >>> pair = SampleDraws(seed=0, index=(7, 8)).normal((2, 3))
    >>> alone = SampleDraws(seed=0, index=(8,)).normal((1, 3))
    >>> torch.equal(pair[1:], alone)
    True
    """

    seed: int
    index: tuple[int, ...]
    purpose: str = ""

    def of(self, purpose: str) -> "SampleDraws":
        return replace(self, purpose=f"{self.purpose}/{purpose}")

    def uniform(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        return self._each(shape, device, Tensor.uniform_)

    def normal(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        return self._each(shape, device, Tensor.normal_)

    def _each(self, shape: Sequence[int], device: torch.device | str, fill) -> Tensor:  # type: ignore[no-untyped-def]
        drawn = torch.empty(*shape)
        generator = torch.Generator()  # on the CPU for every device, so that a GPU's evaluation sees the same noise
        for row, index in zip(drawn, self.index, strict=True):
            fill(row, generator=generator.manual_seed(seed_of(self.seed, index, self.purpose)))
        return drawn.to(device)


def of(generator: Generator, purpose: str) -> Generator:
    """The part of ``generator`` for one purpose; an ordinary generator has no parts and is returned as it is."""
    return generator if generator is None or isinstance(generator, torch.Generator) else generator.of(purpose)


def shared(generator: Generator) -> Generator:
    """The same numbers in every process, for a decision about the batch as a whole."""
    return replace(generator, rank=0, world=1) if isinstance(generator, StepDraws) else generator


def _device(generator: torch.Generator | None, device: torch.device | str) -> torch.device | str:
    return device if generator is None else generator.device


def uniform(shape: Sequence[int], generator: Generator = None, *, device: torch.device | str = "cpu") -> Tensor:
    """Numbers in [0, 1) of ``shape`` from any kind of generator."""
    if generator is None or isinstance(generator, torch.Generator):
        return torch.rand(*shape, generator=generator, device=_device(generator, device)).to(device)
    return generator.uniform(shape, device=device)


def normal(shape: Sequence[int], generator: Generator = None, *, device: torch.device | str = "cpu") -> Tensor:
    """Standard normal numbers of ``shape`` from any kind of generator."""
    if generator is None or isinstance(generator, torch.Generator):
        return torch.randn(*shape, generator=generator, device=_device(generator, device)).to(device)
    return generator.normal(shape, device=device)


def repeatable(generator: Generator, device: torch.device | str) -> Callable[[], Generator]:
    """Every call of the result returns a source of the same numbers: Draws never advance, torch's generators do.

    >>> again = repeatable(torch.Generator().manual_seed(0), "cpu")
    >>> torch.equal(uniform((2,), again()), uniform((2,), again()))
    True
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        return lambda: generator
    drawn_on = generator.device if generator is not None else "cpu"
    seed = int(torch.randint(2**62, (1,), generator=generator, device=drawn_on))
    return lambda: torch.Generator(device=device).manual_seed(seed)


@contextmanager
def fork(*key: int | str, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed the global generators of torch, NumPy and Python by ``key`` inside the block and restore them after it.

    For what draws from the global generators: layers such as dropout, and networks, saliency functions and metrics of
    a user's own.

    >>> before = torch.get_rng_state()
    >>> with fork(0, 12, "dropout"):
    ...     first = torch.rand(3), np.random.rand(), random.random()
    >>> torch.equal(before, torch.get_rng_state())
    True
    >>> with fork(0, 12, "dropout"):
    ...     again = torch.rand(3), np.random.rand(), random.random()
    >>> torch.equal(first[0], again[0]) and first[1:] == again[1:]
    True
    """
    device = torch.device(device)
    accelerator = [] if device.type == "cpu" else [torch.empty(0, device=device).device]
    kind = "cuda" if device.type == "cpu" else device.type
    seed, of_python, of_numpy = seed_of(*key), random.getstate(), mtrand.get_bit_generator()
    with torch.random.fork_rng(devices=accelerator, device_type=kind):
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        ours = _SPARE.pop() if _SPARE else np.random.MT19937()
        mtrand.set_bit_generator(ours)
        np.random.seed(seed % 2**32)
        for place in accelerator:
            if kind == "cuda":  # torch.cuda.manual_seed would seed the current device, which may be another
                torch.cuda.default_generators[place.index].manual_seed(seed)
            else:
                getattr(torch, kind).manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(of_python)
            mtrand.set_bit_generator(of_numpy)
            _SPARE.append(ours)


@contextmanager
def pinned(generator: Generator, purpose: str, *, device: torch.device | str = "cpu") -> Iterator[None]:
    """Inside the block the global generators are seeded by a source of random numbers, as by `fork`.

    So what draws from them without asking draws the same whenever the source and the purpose are the same: a map of an
    image and that of its noisy copy differ by the noise alone.

    Args:
        generator: the source; one of torch's gives one number. None leaves the global generators as they are.
        purpose: what is drawn for.
        device: whose generator is seeded besides the CPU's.

    >>> draws = SampleDraws(0, (7,))
    >>> with pinned(draws, "network"):
    ...     first = torch.rand(2)
    >>> with pinned(draws, "network"):
    ...     print(torch.equal(first, torch.rand(2)))
    True
    """
    if generator is None:
        yield
        return
    if isinstance(generator, torch.Generator):
        key: str = str(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
    else:
        key = repr(generator)
    with fork(key, purpose, device=device):
        yield
