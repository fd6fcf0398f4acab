"""What flows between modules, and the legend of shapes.

Shapes in signatures: ``n`` images of a batch, ``c`` channels, ``h`` height, ``w`` width, ``k`` classes or labels.
Pixels are in [0, 1] everywhere outside the network; normalisation is the network's first layer.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = [
    "Attribution",
    "Batch",
    "Heatmap",
    "Image",
    "Label",
    "Logits",
    "Mask",
    "PerSample",
    "Saliency",
    "Task",
    "task_of",
]

Task = Literal["multiclass", "multilabel"]
"""What a network answers: ``multiclass``, one of k classes (softmax); ``multilabel``, for each of k labels whether it
applies (a sigmoid each). One yes or no is ``multiclass`` of two classes, see `pellucid.models.Binary`."""

Image = Float[Tensor, "n c h w"]
Attribution = Float[Tensor, "n c h w"]
Heatmap = Float[Tensor, "n h w"]
Mask = Bool[Tensor, "n 1 h w"]
Logits = Float[Tensor, "n k"]
Label = Int[Tensor, " n"]
PerSample = Float[Tensor, " n"]

Saliency = Callable[..., Tensor]
"""``(model, x, target, *, create_graph, generator) -> attribution``, signed and shaped like ``x``."""


class Batch(NamedTuple):
    """Images, their labels and their stable positions.

    Attributes:
        image: (n, c, h, w) in [0, 1].
        label: (n,) class numbers; with several labels per image (n, k) floats, 1 where a label applies, 0 where it does
            not, NaN or -1 where that is not known.
        index: (n,) positions in the training set, the same in every epoch and process.
        mask: (n, 1, h, w) bool, True where what decides the class is; nowhere True for an image of which that is not
            known, and None where it is known of none.
    """

    image: Image
    label: Label
    index: Label  # type: ignore[assignment]  # the field hides tuple.index, which no one needs
    mask: Mask | None = None

    @property
    def task(self) -> Task:
        """``multilabel`` where an image has a row of labels, ``multiclass`` where it has one class number."""
        return task_of(self.label)


def task_of(label: Tensor) -> Task:
    """What labels of this shape are for: (n,) ``multiclass``, (n, k) ``multilabel``."""
    return "multilabel" if label.ndim == 2 else "multiclass"
