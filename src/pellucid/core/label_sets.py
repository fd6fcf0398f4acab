"""The labels of an image as one whole number, so that tables, files and comparisons hold one value an image.

Label l is bit l of the number: of the labels cat, dog, bird, 5 is cat and bird. Imports no torch.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pellucid.core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MOST", "label_code", "label_words"]

MOST = 62
"""Labels that such a number holds."""


def label_code(label: "Tensor", known: "Tensor | None" = None) -> "Tensor":
    """The number of each image's labels; class numbers stay as they are.

    Args:
        label: (n,) class numbers; or (n, k) labels, positive where one applies.
        known: (n, k) bool, where the truth is known; a label that is not known counts as one that does not apply.

    Returns:
        (n,) int64.

    Raises:
        InputError: more labels than `MOST`.

    >>> import torch
    >>> label_code(torch.tensor([[1.0, 0.0, 1.0], [0.0, torch.nan, 0.0]])).tolist()
    [5, 0]
    """
    if label.ndim == 1:
        return label
    if label.shape[1] > MOST:
        raise InputError(f"at most {MOST} labels can be measured together, got {label.shape[1]}; leave some out")
    applies = label > 0 if known is None else (label > 0) & known
    code: Tensor = sum(applies[:, i].long() << i for i in range(label.shape[1]))  # type: ignore[assignment]
    return code


def label_words(code: int, classes: Sequence[str], task: str = "multiclass") -> str:
    """What a class number, or the number of a set of labels, is called.

    Args:
        code: as `label_code` gives it.
        classes: names of the classes or labels.
        task: ``multiclass`` or ``multilabel``.

    >>> label_words(1, ["cat", "dog", "bird"]), label_words(5, ["cat", "dog", "bird"], "multilabel")
    ('dog', 'cat + bird')
    >>> label_words(0, ["cat", "dog", "bird"], "multilabel")
    'none'
    """
    if task != "multilabel":
        return classes[code]
    return " + ".join(name for i, name in enumerate(classes) if code >> i & 1) or "none"
