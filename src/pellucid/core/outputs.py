"""What a network may give: logits, or what leaves no doubt of them, or else a sentence that names the way to them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakSet

from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.core.types import Image, Logits

__all__ = ["answer", "check_logits", "entries", "only_logits", "tell_probabilities", "told"]

_seen: WeakSet[nn.Module] = WeakSet()
"""Networks whose first logits were looked at; on a GPU every look waits until all that was asked of it is done."""

SUM_TOLERANCE = 1e-3
"""How far the numbers of an image may add up to something other than 1 and still be probabilities."""


def answer(model: Callable[[Image], Any], x: Image) -> Logits:
    """The logits of a network whose output is they, or leaves no doubt which of its entries they are.

    Args:
        model: network, or any function, from images to logits or to what `only_logits` finds them in.
        x: (n, c, h, w) images, which stay as they are also where the network writes into them.

    Returns:
        What it gives, usually (n, k).

    Raises:
        InputError: an output in which no tensor can only be the logits.

    >>> import torch
    >>> x = torch.ones(2, 1, 1, 3)
    >>> answer(lambda x: {"logits": x.sub_(1).flatten(1), "loss": None}, x).sum().item(), x.sum().item()
    (0.0, 6.0)
    """
    output = model(x if x.requires_grad else x.clone())
    logits = only_logits(output)
    check_logits(output if logits is None else logits, alone=True)
    assert logits is not None  # as `check_logits` says
    if not isinstance(model, nn.Module):
        tell_probabilities(logits, model)
    elif model not in _seen:
        _seen.add(model)
        tell_probabilities(logits, model)
    return logits


def only_logits(output: Any) -> Tensor | None:
    """The tensor in an output that can only be the logits; None where that is open.

    It is the output itself, its entry or attribute ``logits``, or its only tensor.

    Args:
        output: what a network gave.

    >>> import torch
    >>> only_logits((torch.zeros(2, 3), None)).shape, only_logits((torch.zeros(2, 3), torch.zeros(2, 8)))
    (torch.Size([2, 3]), None)
    """
    if isinstance(output, Tensor):
        return output
    found = dict(entries(output))
    return found.get("logits", next(iter(found.values())) if len(found) == 1 else None)


def entries(output: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of an output by name or place, counted from 0.

    >>> import torch
    >>> [name for name, _ in entries((torch.zeros(1), None, torch.zeros(1)))]
    ['0', '2']
    """
    if isinstance(output, Mapping):
        items: Any = output.items()
    elif hasattr(output, "_fields"):  # a named tuple
        items = zip(output._fields, output, strict=True)
    elif isinstance(output, list | tuple):
        items = enumerate(output)
    else:
        items = [("logits", getattr(output, "logits", None))]
    for name, value in items:
        if isinstance(value, Tensor):
            yield str(name), value


def tell_probabilities(logits: Logits, model: Any) -> None:
    """Say it where what a network gives for logits are probabilities: no number below 0, and 1 for each image in all.

    Args:
        logits: (n, k) what it gave for one batch.
        model: the network; its class is named, without the normalisation and `pellucid.models.Logits` around it.
    """
    found = logits.detach()
    if type(found) is not Tensor or found.ndim != 2:  # a traced one has no numbers to look at
        return
    if bool((found >= 0).all() and ((found.sum(1) - 1).abs() < SUM_TOLERANCE).all()):
        tell(
            f"the network {_named(model)} ends in a softmax: its outputs are probabilities, of which pellucid takes "
            "the softmax again, so that scores are flat and maps are of the probability instead of the logit; take the "
            "softmax off"
        )


def _named(model: Any) -> str:
    """The class of a network, or the name of a function, without what pellucid puts around it."""
    while isinstance(model, nn.Module):
        inner = dict(model.named_children())
        if list(inner)[:2] == ["normalize", "network"]:
            model = inner["network"]
        elif list(inner) == ["net"] and type(model).__name__ == "Logits":
            model = inner["net"]
        else:
            return type(model).__name__
    return getattr(model, "__name__", type(model).__name__)


def check_logits(output: Any, what: str = "classes", *, alone: bool = False) -> None:
    """Refuse an output that is no tensor, or one number an image.

    Args:
        output: what the network gave for n images.
        what: of which it must give logits, in the plural.
        alone: whether a single logit an image is one of these.

    >>> import torch
    >>> check_logits((torch.zeros(2, 3), None))
    Traceback (most recent call last):
    pellucid.InputError: the network must return logits (n, classes), got a tuple of 2 values; wrap it as
    pellucid.models.Logits(network, 0)
    >>> check_logits(torch.zeros(2, 1))
    Traceback (most recent call last):
    pellucid.InputError: the network must return logits (n, classes), got one number for each image, shape (2, 1);
    torch.nn.Sequential(network, pellucid.models.Binary()) makes the logits of two classes of it
    """
    wanted = f"the network must return logits (n, {what})"
    if not isinstance(output, Tensor):
        raise InputError(f"{wanted}, got {told(output)}; wrap it as {_wrapped(output)}")
    if not alone and output.ndim in (1, 2) and output.numel() == len(output):
        raise InputError(
            f"{wanted}, got one number for each image, shape {tuple(output.shape)}; torch.nn.Sequential(network, "
            "pellucid.models.Binary()) makes the logits of two classes of it"
        )


def told(value: Any) -> str:
    """What was given in the place of a tensor of another form, in a few words.

    >>> import torch
    >>> told({"logits": 0}), told(None), told(torch.zeros(2, 1))
    ('a dict of logits', 'None', 'torch.float32 of shape (2, 1)')
    """
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} of {', '.join(map(str, value)) or 'nothing'}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} values"
    return "None" if value is None else f"a {type(value).__name__}"


def _wrapped(output: Any) -> str:
    """The call that takes the logits out of an output: by the key that is usual, or the first that is a matrix."""
    key: object = "KEY"
    parts: list[tuple[object, Any]] = []
    if isinstance(output, Mapping):
        parts = list(output.items())
    elif isinstance(output, tuple | list):
        parts = list(enumerate(output))
    elif isinstance(getattr(output, "logits", None), Tensor):
        parts = [("logits", output.logits)]
    tables = [name for name, value in parts if isinstance(value, Tensor) and value.ndim == 2]
    if tables:
        key = next((name for name in tables if name in ("logits", "out", "output")), tables[0])
    shown = f'"{key}"' if isinstance(key, str) and key != "KEY" else str(key)
    return f"pellucid.models.Logits(network, {shown})"
