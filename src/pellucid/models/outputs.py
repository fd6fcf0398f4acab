"""Networks that give more than logits: which entry of their output the logits are, and a layer that takes it."""

from typing import Any

from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.outputs import entries, only_logits
from pellucid.core.types import Image

__all__ = ["PARTS", "Logits", "bare", "described", "find_key", "logits_of"]

PARTS = ("normalize", "network")
"""Names of the first two parts of what `pellucid.models.build` returns."""

Key = str | int | None


class Logits(nn.Module):
    """A network whose output is a dict, a tuple, an object with ``.logits``, or logits already, giving logits alone.

    Args:
        net: the network; keys of its state_dict gain ``net.``.
        key: the entry of its output, as in `logits_of`.
        **keywords: what the network is called with besides the images, such as ``interpolate_pos_encoding=True``.

    >>> import torch
    >>> class Pair(nn.Module):
    ...     def forward(self, x):
    ...         return {"features": x, "logits": x.mean((2, 3))}
    >>> Logits(Pair())(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(self, net: nn.Module, key: Key = None, **keywords: Any) -> None:
        super().__init__()
        self.net = net
        self.key = key
        self.keywords = keywords

    def forward(self, x: Image) -> Tensor:
        return logits_of(self.net(x, **self.keywords), self.key)

    def extra_repr(self) -> str:
        return f"key={self.key!r}"


def logits_of(output: Any, key: Key = None) -> Tensor:
    """The logits in what a network gives.

    A tensor is taken as it is, whatever the key, since some networks give more in training than in evaluation. Without
    a key, ``logits`` is taken where the output has it, as a dict's entry or an attribute, and otherwise the only tensor
    of a dict, a list or a tuple.

    Args:
        output: of a network.
        key: name of the entry or attribute, or its place in a list or tuple, counted from 0.

    Raises:
        InputError: no such entry, or none without a key; the sentence lists what there is.

    >>> import torch
    >>> logits_of((torch.zeros(2, 8, 4), torch.ones(2, 3)), 1).shape
    torch.Size([2, 3])
    >>> logits_of((torch.zeros(2, 8, 4), torch.ones(2, 3)))
    Traceback (most recent call last):
    pellucid.InputError: a network's output must be logits, got tuple of 0: (2, 8, 4), 1: (2, 3); name the entry that \
holds them: --network.output KEY, or pellucid.models.Logits(network, KEY)
    """
    if key is None or isinstance(output, Tensor):
        chosen = only_logits(output)
    else:
        chosen = dict(entries(output)).get(str(key), getattr(output, str(key), None))
    if isinstance(chosen, Tensor):
        return chosen
    wrong = "must be logits" if key is None else f"has no tensor {key!r}"
    raise InputError(
        f"a network's output {wrong}, got {described(output)}; name the entry that holds them: "
        "--network.output KEY, or pellucid.models.Logits(network, KEY)"
    )


def find_key(output: Any, shape: tuple[int, int]) -> str | None:
    """The entry of a network's output that can only be its logits, or None where that is open.

    Args:
        output: of a network, no tensor.
        shape: (n, classes) of the logits.

    >>> import torch
    >>> find_key({"embedding": torch.zeros(2, 8), "scores": torch.zeros(2, 3)}, (2, 3))
    'scores'
    """
    fitting = [name for name, value in entries(output) if tuple(value.shape) == shape]
    if "logits" in fitting:
        return "logits"
    return fitting[0] if len(fitting) == 1 else None


def described(output: Any) -> str:
    """What a network gave, for a sentence.

    >>> described([1])
    'list'
    """
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    listed = ", ".join(f"{name}: {tuple(value.shape)}" for name, value in entries(output))
    return f"{type(output).__name__} of {listed}" if listed else type(output).__name__


def bare(model: nn.Module) -> nn.Module:
    """The network itself, out of what `pellucid.models.build` put around it: normalisation and `Logits`.

    Args:
        model: what `build` returned, or any other module, which is returned as it is.

    >>> from collections import OrderedDict
    >>> bare(nn.Sequential(OrderedDict(normalize=nn.Identity(), network=Logits(nn.Flatten()))))
    Flatten(start_dim=1, end_dim=-1)
    """
    if tuple(name for name, _ in model.named_children())[:2] == PARTS:
        model = model.get_submodule("network")
    return model.net if isinstance(model, Logits) else model
