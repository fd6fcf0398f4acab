"""How many threads a network is trained or measured with, and how many networks at once."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from pellucid.core.cores import free_cores, usable_cores
from pellucid.core.modes import evaluating
from pellucid.core.randomness import fork

__all__ = ["multiplications", "recorded_threads", "settle_threads", "side_by_side", "threads_kept", "threads_of"]

WORTH_A_THREAD = 20_000_000
"""Multiplications of one batch's forward pass for which one more thread pays (``benchmarks/speed_neighbour.py``)."""

TINY = 500_000_000
"""Multiplications of one batch's forward pass below which two trainings side by side, a thread each, beat one after
the other with two threads."""


def multiplications(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiplications of convolutions and linear layers in the forward pass of one image.

    Args:
        model: the network; its modes and statistics stay as they are.
        shape: (c, h, w) of an image.

    >>> multiplications(nn.Conv2d(3, 8, 3, padding=1, bias=False), (3, 4, 4)) == 4 * 4 * 8 * 3 * 3 * 3
    True
    """
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += output.numel() // weight.shape[0] * weight.numel()

    counted = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    hooks = [module.register_forward_hook(count) for module in model.modules() if isinstance(module, counted)]
    weights = next(model.parameters(), torch.empty(0))
    try:
        with torch.no_grad(), evaluating(model), fork(0, "threads"):
            model(torch.zeros(1, *shape, device=weights.device, dtype=weights.dtype))
    finally:
        for hook in hooks:
            hook.remove()
    return total


def threads_of(work: int, cores: int) -> int:
    """How many threads share a batch: all cores for a large network, fewer where a thread would have too little to do.

    Args:
        work: multiplications of the batch's forward pass.
        cores: that are free.

    >>> threads_of(work=1_000_000, cores=8), threads_of(work=60_000_000, cores=8), threads_of(work=10**12, cores=8)
    (1, 3, 8)
    """
    return max(1, min(cores, work // WORTH_A_THREAD))


def settle_threads(model: nn.Module, shape: tuple[int, ...], batch: int, *, asked: int | None = None) -> None:
    """Choose torch's number of threads for a network on a CPU, unless ``OMP_NUM_THREADS`` has chosen it.

    Args:
        model: the network.
        shape: (c, h, w) of an image.
        batch: images of a batch.
        asked: a number that is taken as it is, but for no more than the cores that this process may use.
    """
    if asked is not None:
        torch.set_num_threads(min(asked, usable_cores()))
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads_of(batch * multiplications(model, shape), free_cores()))


def side_by_side(work: int, networks: int) -> int:
    """How many networks are trained at once where nobody says: one a free core where they are tiny, otherwise one.

    Args:
        work: multiplications of a batch's forward pass of the largest of them.
        networks: how many are left to train.
    """
    return max(1, min(networks, free_cores())) if work < TINY else 1


@contextmanager
def threads_kept() -> Iterator[None]:
    """Give torch its number of threads back at the end of the block."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def recorded_threads(environment: Path) -> int | None:
    """The number of threads that a run was begun with; None where nothing readable says so.

    A training that goes on with as many ends with the same bits.

    Args:
        environment: its environment.json.
    """
    try:
        threads = json.loads(environment.read_text(encoding="utf-8"))["threads"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return threads if isinstance(threads, int) and threads > 0 else None
