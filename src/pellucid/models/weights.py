"""Weights from a file: safetensors, or PyTorch's format restricted to tensors."""

import pickle
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pellucid.core.checks import one_of
from pellucid.core.errors import InputError

__all__ = ["load_weights"]


def load_weights(model: nn.Module, path: str | Path, *, head: Literal["strict", "new"] = "strict") -> None:
    """Copy a file's weights into ``model``, all of them or none.

    Accepted are a plain state_dict and one under ``state_dict`` or ``model``, with or without the ``module.`` prefix of
    DistributedDataParallel. Keys may be those of the whole model, as pellucid saves it, or those of its ``network``
    child alone, as published files have them; then the model's normalisation stays as it is.

    Args:
        model: what `build` returns, with or without smoothing, or any module.
        path: a .safetensors file, or one of PyTorch, which is read without running code.
        head: ``new`` leaves the model's last layer as it is if the file's is missing or has another number of classes.

    Raises:
        InputError: no such file, a damaged one or one that holds more than tensors, or keys and shapes that differ from
            the model's; the model is as it was.

    >>> import tempfile
    >>> from safetensors.torch import save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file({"weight": torch.ones(2, 3)}, f"{folder}/weights.safetensors")
    ...     load_weights(nn.Linear(3, 2), f"{folder}/weights.safetensors")
    Traceback (most recent call last):
    pellucid.InputError: weights in ...weights.safetensors do not fit this Linear: missing bias
    """
    path = Path(path)
    one_of(("strict", "new"), head=head)
    saved = _state_dict(_read(path), path)
    inner = getattr(model, "network", model)
    # Whichever reading explains most keys: the network alone or the whole model, without or with DDP's prefix.
    target, tensors = max(
        (
            (module, {key.removeprefix(prefix): value for key, value in saved.items()})
            for module in (inner, model)
            for prefix in ("", "module.")
        ),
        key=lambda reading: len(reading[0].state_dict().keys() & reading[1].keys()),
    )
    fresh = _without_head(target, tensors)
    problems = _problems(target, fresh if head == "new" else tensors)
    if problems:
        hint = "" if _problems(target, fresh) else "; head: new keeps a fresh last layer"
        raise InputError(f"weights in {path} do not fit this {type(inner).__name__}: {'; '.join(problems)}{hint}")
    target.load_state_dict({**target.state_dict(), **(fresh if head == "new" else tensors)})


def _read(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"no weights file {path}; give the path of a .safetensors, .pt or .pth file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"weights file {path} is damaged or holds pickled objects, which may run code; "
            "a state_dict of tensors alone is accepted, as .safetensors, .pt or .pth"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"weights file {path} cannot be read, it may be cut short: {reason}") from error


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(
            f"weights file {path} holds no state_dict; a mapping of names to tensors is accepted, "
            "plain or under 'state_dict' or 'model'"
        )
    return dict(content)


def _without_head(target: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file with the target's own last layer where the file's is missing or has another number of classes."""
    state = target.state_dict()
    layer = list(dict(target.named_parameters()))[-1].rpartition(".")[0]
    head = {key: value for key, value in state.items() if key.rpartition(".")[0] == layer}
    present = [key for key in head if key in tensors]
    same_inputs = len(present) == len(head) and all(tensors[key].shape[1:] == head[key].shape[1:] for key in head)
    other_classes = same_inputs and any(tensors[key].shape != head[key].shape for key in head)
    return {**tensors, **head} if other_classes or not present else tensors


def _problems(target: nn.Module, tensors: dict[str, Tensor]) -> list[str]:
    state = target.state_dict()
    # Files from before PyTorch 0.4.1 lack BatchNorm's counter, which plays no part unless momentum is None.
    missing = [key for key in state if key not in tensors and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in tensors if key not in state]
    shapes = [
        f"{key} of shape {tuple(tensors[key].shape)} where {tuple(value.shape)} is expected"
        for key, value in state.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    return [
        f"{title} {', '.join(items[:3])}{f' and {len(items) - 3} more' if len(items) > 3 else ''}"
        for title, items in (("missing", missing), ("unexpected", unexpected), ("misshaped", shapes))
        if items
    ]
