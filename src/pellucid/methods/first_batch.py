"""What a training loop hands to an `Objective`, looked at once: each mistake one sentence with the way out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.outputs import check_logits, told
from pellucid.core.types import Task

__all__ = ["check_index", "check_labels", "check_outputs", "outputs_checked"]


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
    label[:, 0] are
    """
    if task == "multilabel":
        _check_several(label, n)
        return
    wanted = f"labels must be {n} class numbers, int64 of shape ({n},), got {told(label)}"
    if not isinstance(label, Tensor):
        raise InputError(f"{wanted}; torch.as_tensor(label) is a tensor")
    if label.shape == (n, 1):
        raise InputError(f"{wanted}; label[:, 0]{'' if label.dtype == torch.int64 else '.long()'} are")
    if label.ndim == 2 and len(label) == n:
        if bool(((label == 0) | (label == 1)).all()) and bool((label.sum(1) == 1).all()):
            raise InputError(
                f"{wanted}; these look one-hot, of which label.argmax(1) are the numbers (where an image may have "
                'several labels: Objective(..., task="multilabel"))'
            )
        raise InputError(
            f'{wanted}; where an image may have several labels, give Objective(..., task="multilabel") and floats of 0 '
            "and 1"
        )
    if label.shape != (n,):
        raise InputError(wanted)
    if label.dtype != torch.int64:
        raise InputError(f"{wanted}; label.long() are, where every number is whole")
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
        raise InputError(f"{wanted}, got {told(label)}; label.float() are")
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
    """Refuse what is no logits of these labels' classes.

    Args:
        output: what the network gave.
        label: labels that `check_labels` lets pass.
        task: of the labels.

    >>> check_outputs({"logits": torch.zeros(2, 3), "loss": None}, torch.tensor([0, 1]), "multiclass")
    Traceback (most recent call last):
    pellucid.InputError: the network must return logits (n, classes), got a dict of logits, loss; wrap it as
    pellucid.models.Logits(network, "logits")
    >>> check_outputs(torch.zeros(2, 1), torch.tensor([0, 1]), "multiclass")
    Traceback (most recent call last):
    pellucid.InputError: the network must return logits (n, classes), got one number an image, shape (2, 1);
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


@contextmanager
def outputs_checked(model: nn.Module, label: Tensor, task: Task) -> Iterator[None]:
    """Inside the block what the network returns is checked before anything is computed of it; no pass is added."""

    def check(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        check_outputs(output, label, task)

    handle = model.register_forward_hook(check)
    try:
        yield
    finally:
        handle.remove()
