"""What a training method is; the usual ones are its subclasses, and so is one of your own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.randomness import Generator
from pellucid.core.types import Batch, Task

__all__ = ["BOTH", "Losses", "Method", "check_task", "sample_numbers"]

Losses = dict[str, Tensor]

BOTH: tuple[Task, ...] = ("multiclass", "multilabel")
"""The tasks of a method whose formulas know class numbers and several labels per image."""

RESERVED = ("rows", "epoch", "index", "images", "label")
"""Names that a run's files have for other things."""


class Method(ABC):
    """How a network is trained: what is added to plain cross-entropy.

    A method is a choice that a person makes, so its subclasses are frozen dataclasses; what training changes is the
    module that `init` makes. A method of your own has at least `loss`, and is named by its import path.

    Attributes:
        tasks: the kinds of labels that `loss` knows what to do with; class numbers alone unless a subclass says more.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("multiclass",)

    def init(self, num_samples: int, total_steps: int) -> nn.Module:
        """Training-time state, empty by default.

        Its buffers are not sent between processes: `loss` changes them alike in all, by `gathered` values.

        A state that keeps a number for every training image may have a method ``per_sample()``, which returns the
        names of such numbers and their (num_samples,) tensors, as `AdaptiveQ` does: ``{"q": self.q}``. A run then
        stores them by epoch, keeps the images with the smallest and the largest of them, and the report shows both.

        Args:
            num_samples: size of the training set; `Batch.index` is below it.
            total_steps: optimizer steps of the whole run.
        """
        return nn.Module()

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """The loss of one batch, to be minimised, with what is worth logging.

        Args:
            model: network, images to (n, k) logits, one a class or label; its modes are as they were when this returns.
            batch: images in [0, 1], labels and positions in the training set.
            state: what `init` made; changed only while ``state.training``.
            generator: source of every random number.

        Returns:
            ``loss``, a scalar with a graph; the other entries are detached scalars for the log.
        """


def check_task(method: Method, task: Task) -> None:
    """Refuse a method that does not know what to do with such labels, or one that it is made of.

    >>> from pellucid import EnergyLoss, GradientPenalty
    >>> check_task(GradientPenalty(method=EnergyLoss()), "multilabel")
    Traceback (most recent call last):
    pellucid.InputError: EnergyLoss knows only one class for each image, got the task multilabel; methods for several
    labels are Regular, AdversarialTraining, SaliencyGuided, SCAAT, TRADES, GradientPenalty and what is built on them
    """
    if task not in method.tasks:
        raise InputError(
            f"{type(method).__name__} knows only one class for each image, got the task {task}; methods for several "
            "labels are Regular, AdversarialTraining, SaliencyGuided, SCAAT, TRADES, GradientPenalty and what is built "
            "on them"
        )
    parts: list[Any] = [getattr(method, field.name) for field in fields(method)] if is_dataclass(method) else []
    for part in parts:
        if isinstance(part, Method):
            check_task(part, task)


def sample_numbers(state: nn.Module, num_samples: int) -> dict[str, Tensor]:
    """What a state says of every training image; nothing where it has no ``per_sample``.

    Args:
        state: what `Method.init` made.
        num_samples: size of the training set.

    Returns:
        By name, (num_samples,) float32 on the CPU.

    Raises:
        InputError: ``per_sample`` gave no such mapping, or a name that a run cannot store.
    """
    per_sample: Any = getattr(state, "per_sample", dict)
    numbers = per_sample()
    where = f"{type(state).__name__}.per_sample"
    if not isinstance(numbers, Mapping):
        raise InputError(f"{where} must return names and tensors, such as {{'q': q}}, got {type(numbers).__name__}")
    for name, values in numbers.items():
        if not str(name).isidentifier() or name in RESERVED:
            raise InputError(
                f"{where} must name its numbers by words such as 'q', none of {', '.join(RESERVED)}; got {name!r}"
            )
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        if shape != (num_samples,):
            raise InputError(f"{where} must give {name} as a tensor of shape ({num_samples},), got {shape}")
    return {name: values.detach().float().cpu() for name, values in numbers.items()}
