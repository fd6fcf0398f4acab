"""What a network may give: logits, or else a sentence that names the way to them."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pellucid.core.errors import InputError

__all__ = ["check_logits", "told"]


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
    pellucid.InputError: the network must return logits (n, classes), got one number an image, shape (2, 1);
    torch.nn.Sequential(network, pellucid.models.Binary()) makes the logits of two classes of it
    """
    wanted = f"the network must return logits (n, {what})"
    if not isinstance(output, Tensor):
        raise InputError(f"{wanted}, got {told(output)}; wrap it as {_wrapped(output)}")
    if not alone and output.ndim in (1, 2) and output.numel() == len(output):
        raise InputError(
            f"{wanted}, got one number an image, shape {tuple(output.shape)}; torch.nn.Sequential(network, "
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
