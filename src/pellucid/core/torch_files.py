"""Files of `torch.save`, read without running what they hold."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from pellucid.core.errors import InputError

__all__ = ["read_torch_file", "reason_of"]


def read_torch_file(path: str | Path) -> Any:
    """What `torch.save` wrote of tensors, numbers, text, lists and dictionaries; tensors come onto the CPU.

    Args:
        path: of a file that exists.

    Raises:
        InputError: it holds other objects, whose reading may run code, or is a program of PyTorch's. The sentence is
            pellucid's own: PyTorch's advises how to run the code all the same.
        Exception: whatever else PyTorch raises where the file is damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"epoch": 3, "sums": torch.zeros(2)}, f"{folder}/state.pt")
    ...     read_torch_file(f"{folder}/state.pt")
    {'epoch': 3, 'sums': tensor([0., 0.])}
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a program is refused below in words of our own
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "weights_only" not in str(error):
            raise
    raise InputError(
        f"{path} is damaged or holds pickled objects, which may run code of whoever wrote it; tensors, numbers, text, "
        "lists and dictionaries are accepted"
    )


def reason_of(error: BaseException) -> str:
    r"""The first line of what PyTorch says of a file, without any advice to read it unsafely.

    >>> reason_of(RuntimeError("PytorchStreamReader failed finding central directory\nException raised"))
    'PytorchStreamReader failed finding central directory'
    >>> reason_of(pickle.UnpicklingError("re-running `torch.load` with `weights_only` set to `False`"))
    'it holds other objects than tensors'
    """
    line = str(error).strip().partition("\n")[0]
    return "it holds other objects than tensors" if "weights_only" in str(error) else line
