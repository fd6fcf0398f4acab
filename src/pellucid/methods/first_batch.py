"""What a training loop hands to an `Objective`, looked at once: each mistake one sentence with the way out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pellucid.core.errors import InputError
from pellucid.core.outputs import check_logits, only_logits, tell_probabilities, told
from pellucid.core.types import Task

__all__ = ["Habits", "check_index", "check_labels", "check_outputs", "logits_alone", "outputs_checked"]


def check_labels(label: Any, task: Task, n: int) -> None:
    """Refuse labels of another form than the task has.

    Args:
        label: what was given.
        task: ``multiclass`` for (n,) int64, ``multilabel`` for (n, k) floats of 0, 1 and, where it is not known, -1 or
            NaN.
        n: number of images.

    >>> check_labels(torch.tensor([[0], [1]]), "multiclass", 2)
    Traceback (most recent call last):
    pellucid.InputError: labels must be 2 class numbers, int64 of shape (2,), got torch.int64 of shape (2, 1);
    give label[:, 0]
    """
    if task == "multilabel":
        _check_several(label, n)
        return
    wanted = f"labels must be {n} class numbers, int64 of shape ({n},), got {told(label)}"
    if not isinstance(label, Tensor):
        raise InputError(f"{wanted}; give torch.as_tensor(label)")
    if label.shape == (n, 1):
        raise InputError(f"{wanted}; give label[:, 0]{'' if label.dtype == torch.int64 else '.long()'}")
    if label.ndim == 2 and len(label) == n:
        if bool(((label == 0) | (label == 1)).all()) and bool((label.sum(1) == 1).all()):
            raise InputError(
                f"{wanted}; these look one-hot: give label.argmax(1), or, where an image may have several "
                'labels, Objective(..., task="multilabel")'
            )
        raise InputError(
            f'{wanted}; where an image may have several labels, give Objective(..., task="multilabel") and floats of 0 '
            "and 1"
        )
    if label.shape != (n,):
        raise InputError(wanted)
    if label.dtype != torch.int64:
        raise InputError(f"{wanted}; give label.long() if every number is whole")
    if label.min() < 0:
        raise InputError(
            f"labels must be class numbers from 0, got {int(label.min())}; leave images without a class out of the "
            "batch"
        )


def _check_several(label: Any, n: int) -> None:
    wanted = (
        f"labels of the task multilabel must be floats of shape ({n}, k), 1 where a label applies, 0 where it does "
        "not, -1 or NaN where that is not known"
    )
    if not isinstance(label, Tensor) or label.ndim != 2 or len(label) != n:
        raise InputError(f"{wanted}, got {told(label)}")
    if not label.is_floating_point():
        raise InputError(f"{wanted}, got {told(label)}; give label.float()")
    strange = label[~((label == 0) | (label == 1) | (label == -1) | label.isnan())]
    if len(strange):
        raise InputError(f"{wanted}, got {strange[0]:g}")


def check_index(index: Any, num_samples: int, n: int) -> None:
    """Refuse positions that are missing, of another form, or of no image of the training set.

    >>> check_index(None, 100, 8)
    Traceback (most recent call last):
    pellucid.InputError: index must be the positions of the 8 images in the training set, int64 of shape (8,), got None;
    pellucid.integrations.lightning.Indexed(dataset) adds them to the items of a dataset
    """
    wanted = f"index must be the positions of the {n} images in the training set, int64 of shape ({n},)"
    if not isinstance(index, Tensor) or index.shape != (n,) or index.dtype != torch.int64:
        way = "pellucid.integrations.lightning.Indexed(dataset) adds them to the items of a dataset"
        if isinstance(index, Tensor) and index.shape == (n,):
            way = "index.long() are"
        raise InputError(f"{wanted}, got {told(index)}; {way}")
    low, high = index.aminmax()
    if low < 0 or high >= num_samples:
        raise InputError(
            f"{wanted}, each in [0, {num_samples - 1}], got {int(low)} to {int(high)}; give Objective the size of the "
            f"training set, here num_samples={num_samples}"
        )


def check_outputs(output: Any, label: Tensor, task: Task) -> None:
    """Refuse outputs that are not logits for these labels.

    Args:
        output: what the network gave.
        label: labels that `check_labels` accepts.
        task: of the labels.

    >>> check_outputs((torch.zeros(2, 3), torch.zeros(2, 8)), torch.tensor([0, 1]), "multiclass")
    Traceback (most recent call last):
    pellucid.InputError: the network must return logits (n, classes), got a tuple of 2 values; wrap it as
    pellucid.models.Logits(network, 0)
    >>> check_outputs(torch.zeros(2, 1), torch.tensor([0, 1]), "multiclass")
    Traceback (most recent call last):
    pellucid.InputError: the network must return logits (n, classes), got one number for each image, shape (2, 1);
    torch.nn.Sequential(network, pellucid.models.Binary()) makes the logits of two classes of it
    """
    what = "labels" if task == "multilabel" else "classes"
    check_logits(output, what, alone=task == "multilabel")
    wanted = f"the network must return logits (n, {what})"
    if output.ndim != 2:
        way = "; the mean over height and width is one" if output.ndim == 4 else ""
        raise InputError(f"{wanted}, got shape {tuple(output.shape)}{way}")
    k = output.shape[1]
    if task == "multilabel" and k != label.shape[1]:
        raise InputError(f"{wanted}, one for each of the {label.shape[1]} labels, got shape {tuple(output.shape)}")
    if task == "multiclass" and int(label.max()) >= k:
        raise InputError(
            f"labels must be in [0, {k - 1}] as the network gives {k} logits, got {int(label.max())}; give the network "
            f"{int(label.max()) + 1} or more classes, or number them from 0"
        )


@dataclass
class Habits:
    """What a network does besides giving logits, as its first passes show it; what is known is dealt with.

    Attributes:
        writes: it writes into its images, so that it is given copies.
        wraps: its output holds more than the logits, which are taken out of it.
    """

    writes: bool = False
    wraps: bool = False


@contextmanager
def outputs_checked(model: nn.Module, habits: Habits, label: Tensor, task: Task) -> Iterator[None]:
    """Inside the block what the network returns is checked before anything is computed of it; no pass is added.

    Args:
        model: network; inside the block it gives logits alone and leaves its images as they are.
        habits: takes what the network is seen to do.
        label: as `check_outputs` takes it.
        task: of the labels.
    """
    given: list[Tensor] = []

    def copied(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        given[:] = [arguments[0].clone()]
        return (*given, *arguments[1:])

    def check(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> Any:
        logits = only_logits(output)
        check_outputs(output if logits is None else logits, label, task)
        tell_probabilities(cast(Tensor, logits), module)
        habits.writes |= given[0]._version > 0
        habits.wraps |= logits is not output
        return logits

    with _hooked(model.register_forward_pre_hook(copied), model.register_forward_hook(check)):
        yield


@contextmanager
def logits_alone(model: nn.Module, habits: Habits) -> Iterator[None]:
    """Inside the block a network of these habits gives logits alone and leaves its images as they are.

    Args:
        model: network.
        habits: as `outputs_checked` has seen them.
    """
    handles: list[RemovableHandle] = []
    if habits.writes:
        handles.append(model.register_forward_pre_hook(lambda _, given: (given[0].clone(), *given[1:])))
    if habits.wraps:
        handles.append(model.register_forward_hook(lambda _, given, output: only_logits(output)))
    with _hooked(*handles):
        yield


@contextmanager
def _hooked(*handles: RemovableHandle) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
