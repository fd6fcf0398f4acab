"""The train or eval flag of every submodule, and which images running statistics follow."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.instancenorm import _InstanceNorm

__all__ = ["DROPOUTS", "NORMS", "acts_otherwise", "evaluating", "following", "untracked", "wake"]

NORMS = (nn.modules.batchnorm._NormBase,)
"""Layers that may keep running statistics: BatchNorm in all its forms, and InstanceNorm."""

DROPOUTS = (nn.modules.dropout._DropoutNd,)
"""Layers that drop what they are given, in training mode alone."""


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Put every submodule in eval mode inside the block and give each its own flag back after it.

    ``model.train()`` after an attack would wake layers that a user has frozen, such as BatchNorm in eval mode.

    Args:
        model: network; a function, which has no mode, is left as it is.

    >>> network = nn.Sequential(nn.BatchNorm2d(1).eval(), nn.Dropout()).train()
    >>> _ = network[0].eval()
    >>> with evaluating(network):
    ...     network.training, network[1].training
    (False, False)
    >>> network.training, network[0].training, network[1].training
    (True, False, True)
    """
    modules = model.modules() if isinstance(model, nn.Module) else ()
    woken = [module for module in modules if module.training]
    for module in woken:
        module.training = False
    try:
        yield
    finally:
        for module in woken:
            module.training = True


@contextmanager
def untracked(model: nn.Module) -> Iterator[None]:
    """No running statistics move inside the block.

    A norm layer in training mode still uses the mean and variance of the batch that it is given, one in eval mode
    its running ones: what the network gives is the same as without the block, what it leaves behind is nothing.

    >>> import torch
    >>> norm = nn.BatchNorm1d(1)
    >>> with untracked(norm):
    ...     norm(torch.tensor([[1.0], [3.0]])).round().flatten().tolist()
    [-1.0, 1.0]
    >>> norm.running_mean.item(), norm.num_batches_tracked.item(), norm.track_running_stats
    (0.0, 0, True)
    """
    tracking = following(model)
    # InstanceNorm moves its statistics whatever that flag says, by its momentum.
    momenta = [(module, module.momentum) for module in tracking if isinstance(module, _InstanceNorm)]
    for module in tracking:
        module.track_running_stats = False
    for module, _ in momenta:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True
        for module, momentum in momenta:
            module.momentum = momentum


def following(model: nn.Module) -> list[Any]:
    """The layers whose running statistics a forward pass moves: those that keep some and are in training mode.

    >>> len(following(nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1).eval())))
    1
    """
    # In eval mode a layer uses its running statistics, and without ``track_running_stats`` it would use the batch.
    norms: list[Any] = [module for module in model.modules() if isinstance(module, NORMS)]
    return [module for module in norms if module.training and module.track_running_stats]


def wake(model: nn.Module) -> None:
    """Put a network that was just built in training mode, but for what its factory keeps in eval mode on purpose.

    That is a BatchNorm or dropout layer in eval mode inside a part in training mode, a part in eval mode beside another
    in training mode, and whatever a ``train()`` of the network's own keeps so. A network in eval mode as a whole, as
    loaders of pretrained networks return it, is woken as a whole, also inside wrappers and adapters.

    >>> given = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)).eval()
    >>> wake(given)
    >>> [module.training for module in given.modules()]
    [True, True, True]
    >>> _ = given[0].eval()
    >>> wake(given)
    >>> [module.training for module in given.modules()]
    [True, False, True]
    """
    kept = _kept(model)
    model.train()
    for module in kept:
        module.training = False


def _kept(module: nn.Module) -> list[nn.Module]:
    """Submodules in eval mode that stay so."""
    if not module.training:  # as a whole, so nothing inside says more
        return []
    parts = [part for part in module.children() if _has_a_say(part)]
    kept: list[nn.Module] = []
    for part in parts:
        beside = any(other.training for other in parts if other is not part)
        if part.training:
            kept += _kept(part)
        elif beside or isinstance(part, (*NORMS, *DROPOUTS)):
            kept += [inner for inner in part.modules() if not inner.training]
    return kept


def _has_a_say(module: nn.Module) -> bool:
    """Whether it holds weights, or layers that the mode changes."""
    layers = any(isinstance(inner, (*NORMS, *DROPOUTS)) for inner in module.modules())
    return layers or next(module.parameters(), None) is not None


def acts_otherwise(model: nn.Module) -> bool:
    """Whether the network may give something else now than in eval mode, by its layers in training mode.

    A norm or a dropout layer does, and so may a layer of an unknown class that has neither weights nor parts, such as
    stochastic depth. What a network does in a function of its own is not seen.

    >>> acts_otherwise(nn.Sequential(nn.Dropout())), acts_otherwise(nn.Sequential(nn.Dropout().eval(), nn.ReLU()))
    (True, False)
    """
    return any(module.training and _may_act_otherwise(module) for module in model.modules())


def _may_act_otherwise(module: nn.Module) -> bool:
    if isinstance(module, nn.MultiheadAttention):
        return bool(module.dropout)
    bare = next(module.children(), None) is None and next(module.parameters(), None) is None
    known = type(module).__module__.partition(".")[0] in ("torch", "pellucid")
    return isinstance(module, (*NORMS, *DROPOUTS)) or (bare and not known)
