"""The train or eval flag of every submodule, kept and restored one by one."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["evaluating"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every submodule in eval mode inside the block and give each its own flag back after it.

    ``model.train()`` after an attack would wake layers that a user has frozen, such as BatchNorm in eval mode.

    >>> network = nn.Sequential(nn.BatchNorm2d(1).eval(), nn.Dropout()).train()
    >>> _ = network[0].eval()
    >>> with evaluating(network):
    ...     network.training, network[1].training
    (False, False)
    >>> network.training, network[0].training, network[1].training
    (True, False, True)
    """
    woken = [module for module in model.modules() if module.training]
    for module in woken:
        module.training = False
    try:
        yield
    finally:
        for module in woken:
            module.training = True
