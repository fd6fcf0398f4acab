"""How a network that is trained already is trained further: the choices that a person makes, and their numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pellucid.core.checks import in_unit, one_of, positive, whole
from pellucid.core.errors import InputError
from pellucid.core.types import Task

__all__ = ["FineTuning", "check_task", "weights_of_classes"]


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """How a pretrained network is fine-tuned; everything is off by default.

    Without any of it, a run trains every weight at one rate, as a network is trained from the beginning. With it, the
    one thing that differs by default is ``running_statistics``.

    Args:
        freeze: names of layers whose weights stay fixed, such as ``conv1`` or ``features.0``, with everything in them,
            or patterns, in which ``*`` and ``?`` stand for anything within one part of a dotted name. BatchNorm layers
            in them keep their statistics, and dropout in them is off.
        freeze_share: share of the network's layers whose weights stay fixed, in [0, 1), counted from the image: 0.5
            freezes the first half.
        batchnorm: ``follow`` lets the running statistics of BatchNorm layers follow the data, except those that the
            network's factory has put in eval mode. ``frozen`` keeps all of them, and training uses them as evaluation
            does.
        affine: whether the scale and shift of BatchNorm layers are trained if ``batchnorm`` is ``frozen``.
        running_statistics: images that BatchNorm's running statistics follow: only ``clean`` ones, which the method has
            not attacked, masked or made noisy, or ``all``. If a method trains only on changed images, ``clean`` needs
            one more forward pass in each step.
        layer_decay: learning rate of the first layer as a share of that of the last, in (0, 1]. It rises from layer to
            layer by the same factor. If a paper gives a factor r per layer for n layers, this is r to the power of n −
            1.
        head_epochs: number of epochs at the beginning in which only the last layer is trained, while BatchNorm keeps
            its statistics.
        warmup: share of the steps over which the learning rate rises evenly to the schedule's value, in [0, 1). The
            one-cycle schedule has its own.
        ema: weight of the past in a moving average of the weights, in (0, 1), such as 0.999. The average is what is
            validated, shown in snapshots and saved. After n steps the weight is at most (1 + n) / (10 + n), so that a
            short run is not dominated by its initial weights.
        keep: the epoch whose weights are saved: the ``last``, or the ``best`` on the validation images.
        score: what counts as best: the highest ``accuracy`` or ``balanced_accuracy`` (the mean of the accuracies of the
            classes), where ties are decided by the lower loss; or the lowest ``loss``.
        patience: number of epochs without a better score after which training stops, at least 1. None: train all
            epochs.
        clip: largest Euclidean norm of all gradients together; longer ones are shortened to it. None: no limit.
        accumulate: number of batches whose gradients are averaged for one step of the optimizer. Each has
            ``batch_size`` images, and BatchNorm layers normalise each by itself.
        class_weights: factor of the classification loss of an image: ``balanced``, the inverse of the frequency of its
            class among the training images, or one number for each class, in the order of the classes. The factors are
            scaled so that their mean over the training images is 1.
        sampling: ``balanced`` draws equally many images of each class; an epoch has as many images as before, so some
            images of frequent classes are left out and those of rare classes appear several times. None: each image
            once.
        label_smoothing: share of each label that is spread evenly over all classes in the classification loss, in
            [0, 1).

    Raises:
        InputError: a value outside those, or balanced classes twice.

    >>> FineTuning(freeze_share=0.5).running_statistics
    'clean'

    Source: moving average, Tarvainen & Valpola 2017 (mean teacher), with the ramp of TensorFlow's
    ``ExponentialMovingAverage``; head first, Kumar et al. 2022 (LP-FT); rates by layer, Howard & Ruder 2018 (ULMFiT).
    """

    freeze: tuple[str, ...] = ()
    freeze_share: float = 0.0
    batchnorm: Literal["follow", "frozen"] = "follow"
    affine: bool = True
    running_statistics: Literal["clean", "all"] = "clean"
    layer_decay: float | None = None
    head_epochs: int = 0
    warmup: float = 0.0
    ema: float | None = None
    keep: Literal["best", "last"] = "last"
    score: Literal["accuracy", "balanced_accuracy", "loss"] = "accuracy"
    patience: int | None = None
    clip: float | None = None
    accumulate: int = 1
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None
    sampling: Literal["balanced"] | None = None
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.freeze, tuple) or not all(isinstance(name, str) and name for name in self.freeze):
            raise InputError(f"freeze must be a tuple of names of layers, got {self.freeze!r}")
        one_of(("follow", "frozen"), batchnorm=self.batchnorm)
        one_of(("clean", "all"), running_statistics=self.running_statistics)
        one_of(("best", "last"), keep=self.keep)
        one_of(("accuracy", "balanced_accuracy", "loss"), score=self.score)
        one_of(("balanced", None), sampling=self.sampling)
        in_unit(freeze_share=self.freeze_share, warmup=self.warmup, label_smoothing=self.label_smoothing)
        for name in ("freeze_share", "warmup", "label_smoothing"):
            if getattr(self, name) == 1:
                raise InputError(f"{name} must be in [0, 1), got 1")
        if self.layer_decay is not None and not 0 < self.layer_decay <= 1:
            raise InputError(f"layer_decay must be in (0, 1], got {self.layer_decay:g}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise InputError(f"ema must be in (0, 1), such as 0.999, got {self.ema:g}")
        if self.clip is not None:
            positive(clip=self.clip)
        if self.patience is not None:
            whole(1, patience=self.patience)
        whole(0, head_epochs=self.head_epochs)
        whole(1, accumulate=self.accumulate)
        self._check_classes()

    def _check_classes(self) -> None:
        weights = self.class_weights
        numbers = isinstance(weights, tuple) and weights and all(0 <= weight < float("inf") for weight in weights)
        if not (weights is None or weights == "balanced" or numbers) or (numbers and not any(weights)):  # type: ignore[arg-type]
            raise InputError(f"class_weights must be balanced or one number a class, none below 0, got {weights!r}")
        if weights == "balanced" and self.sampling == "balanced":
            raise InputError(
                "class_weights and sampling are both balanced, which would count rare classes twice; choose one"
            )


def weights_of_classes(
    class_weights: Literal["balanced"] | Sequence[float] | None, labels: Sequence[int], classes: Sequence[str]
) -> tuple[float, ...] | None:
    r"""What the classification loss of an image is multiplied by, one number a class, of mean 1 over the images.

    .. math:: w_c = \frac{n \, v_c}{\sum_i v_{y_i}}

    Args:
        class_weights: v, or ``balanced`` for 1 / n_c; None gives None.
        labels: (n,) classes of the training images.
        classes: their names.

    Raises:
        InputError: another number of weights than of classes, or weights of 0 for all images.

    >>> weights_of_classes("balanced", [0, 0, 0, 1], ("healthy", "ill"))
    (0.6666666666666666, 2.0)
    """
    if class_weights is None:
        return None
    counts = Counter(labels)
    if class_weights == "balanced":
        class_weights = [1 / counts[c] if counts[c] else 0.0 for c in range(len(classes))]
    if len(class_weights) != len(classes):
        raise InputError(
            f"class_weights must be one number for each of the {len(classes)} classes, got {len(class_weights)}"
        )
    total = sum(weight * counts[c] for c, weight in enumerate(class_weights))
    if total == 0:
        raise InputError(f"class_weights are 0 for every class of the training images, got {tuple(class_weights)}")
    return tuple(len(labels) * weight / total for weight in class_weights)


def check_task(tuning: FineTuning, task: Task) -> None:
    """Refuse what asks for one class an image, where each has any number of labels."""
    one_class = {
        "class_weights": tuning.class_weights is not None,
        "sampling": tuning.sampling is not None,
        "label_smoothing": tuning.label_smoothing > 0,
        "score": tuning.score == "balanced_accuracy",
    }
    wrong = next((name for name, asked in one_class.items() if asked), None)
    if task == "multilabel" and wrong is not None:
        raise InputError(
            f"fine_tuning.{wrong} is for images that have one class each, got {getattr(tuning, wrong)!r} for images "
            "with any number of labels"
        )
