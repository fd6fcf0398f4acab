"""Quantus's call: NumPy arrays to tensors, a measure, and one score per image back.

What `pellucid.integrations.quantus` measures with; import from there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.core.types import Attribution, Heatmap, Image, Label, PerSample, Saliency
from pellucid.integrations.draws import image_draws
from pellucid.metrics.definitions import Direction
from pellucid.saliency import Channels, Explain, SaliencyMethod, as_saliency, heatmap

Scores = dict[str, PerSample]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ExplainFunc:
    """One of pellucid's maps as an ``explain_func`` for Quantus.

    Every image and call meets the same random numbers (of SmoothGrad), so that Quantus's stability metrics see the
    image's change alone.

    Args:
        saliency: whatever `pellucid.as_saliency` accepts.
        seed: of what is drawn, if anything is; the metrics here go by their own seed.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    >>> explain_func = ExplainFunc("smoothgrad")
    >>> explain_func(model=network, inputs=np.zeros((2, 1, 2, 2)), targets=np.array([0, 2]), method="any").shape
    (2, 1, 2, 2)
    """

    saliency: Explain
    seed: int = 0

    def __call__(self, model: nn.Module, inputs: Any, targets: Any, **kwargs: Any) -> Array:
        """Attributions of a batch.

        Args:
            model: network in eval mode, images to logits.
            inputs: (n, c, h, w) images.
            targets: (n,) classes to explain.
            kwargs: not used; Quantus adds ``method`` and ``device``.

        Returns:
            (n, c, h, w) signed attributions, float32.
        """
        like = next(iter(model.parameters()), torch.empty(0))
        x = _copy(inputs).to(like)
        target = _copy(targets).to(like.device, torch.int64)
        draws = SampleDraws(self.seed, (0,) * len(x))
        attribution = as_saliency(self.saliency)(model, x, target, create_graph=False, generator=draws)
        array: Array = attribution.detach().float().cpu().numpy()
        return array


@dataclass(frozen=True)
class Batch:
    """What a metric looks at, as tensors on the network's device.

    Attributes:
        model: the network; None where the call gave none.
        x: (n, c, h, w).
        target: (n,).
        saliency: explains; raises where the call gave no ``explain_func``.
        heatmap: (n, h, w) of ``a_batch`` or, without one, of ``saliency``.
        draws: of these images.
    """

    model: Any
    x: Image
    target: Label
    saliency: Saliency
    heatmap: Callable[[], Heatmap]
    draws: SampleDraws


class QuantusMetric(ABC):
    """Quantus's call around a measure; one of your own is a subclass with `measure`.

    Args:
        channels: how an attribution is reduced to one value per pixel, see `pellucid.heatmap`.
        seed: of the noise, which is a function of the seed and the image.

    Attributes:
        evaluation_scores: scores of the last call, one per image.
        all_evaluation_scores: scores of all calls.
        details: further values per image of the last call, such as the ``coverage`` of a stability.
        score_direction: ``higher`` or ``lower``, whichever is better, or ``none`` (of a random order).
        evaluation_category: Quantus's family.
        softmax: what the measure reads where that matters: True probabilities, False logits.
        of_the_map: whether the measure sees the map alone, so that a call with ``a_batch`` needs no network.
    """

    score_direction: Direction
    evaluation_category: ClassVar[str]
    of_the_map: ClassVar[bool] = False
    softmax: ClassVar[bool | None] = None

    def __init__(self, *, channels: Channels = "mean_abs", seed: int = 0) -> None:
        if channels not in get_args(Channels):
            raise InputError(f"channels must be one of {', '.join(get_args(Channels))}, got {channels!r}")
        self.channels, self.seed = channels, seed
        self.evaluation_scores: list[float] = []
        self.all_evaluation_scores: list[float] = []
        self.details: dict[str, list[float]] = {}

    @property
    def name(self) -> str:
        """The class's name."""
        return type(self).__name__

    @abstractmethod
    def measure(self, batch: Batch) -> Scores:
        """Values of a batch, (n,) each; the first is the score, the others are `details`."""

    def __call__(
        self,
        model: nn.Module | None,
        x_batch: Array,
        y_batch: Array,
        a_batch: Array | None = None,
        s_batch: Array | None = None,
        channel_first: bool | None = None,
        explain_func: Any = None,
        explain_func_kwargs: dict[str, Any] | None = None,
        model_predict_kwargs: dict[str, Any] | None = None,
        softmax: bool | None = None,
        device: str | None = None,
        batch_size: int = 64,
        **kwargs: Any,
    ) -> list[float]:
        """Score every image.

        Args:
            model: network in eval mode, images in [0, 1] to logits, (n, c, h, w) whatever ``channel_first`` is; None
                where the measure is of the map alone and ``a_batch`` is given.
            x_batch: images, (n, c, h, w) or (n, h, w, c).
            y_batch: (n,) classes that are explained.
            a_batch: attributions, (n, h, w), or with one or c channels; of ``explain_func`` by default. A stability
                explains the clean images itself, since a saliency that draws must draw alike for all.
            s_batch: not used; Quantus passes segmentations here.
            channel_first: layout of ``x_batch`` and ``a_batch``; by default inferred as in Quantus.
            explain_func: ``f(model=, inputs=, targets=, **explain_func_kwargs)`` from and to NumPy, as
                ``quantus.explain``; an `ExplainFunc`, a `pellucid.saliency.SaliencyMethod`, its name or a Captum object
                stays on the device.
            explain_func_kwargs: for ``explain_func``.
            model_predict_kwargs: must be empty.
            softmax: None, or what the measure reads anyway.
            device: where to compute; by default where the network is.
            batch_size: images measured at once.
            kwargs: must be empty, but for Quantus's ``custom_batch``.

        Returns:
            One score per image; NaN only where the measure's function says so.

        Raises:
            InputError: an argument that cannot be honoured, or what the measure's function refuses.
        """
        self._check_call(model_predict_kwargs, softmax, batch_size, kwargs)
        images = np.asarray(x_batch)
        if images.ndim != 4 or not images.size:
            raise InputError(f"x_batch must be images (n, c, h, w) or (n, h, w, c), got shape {images.shape}")
        if not isinstance(model, nn.Module) and not (model is None and self.of_the_map and a_batch is not None):
            raise InputError(f"{self.name} needs model, a torch.nn.Module from images to logits, got {model!r}")
        first = _channels_first(images) if channel_first is None else channel_first
        keywords = ({} if device is None else {"device": device}) | (explain_func_kwargs or {})
        saliency = _saliency(explain_func, keywords, self.name)
        weight = None if model is None else next(iter(model.parameters()), None)
        where = device if device is not None else "cpu" if weight is None else weight.device
        dtype = torch.float32 if weight is None else weight.dtype
        x = _tensor(images, first, where).to(dtype)
        target = _copy(y_batch).to(where)
        given = None if a_batch is None else _attribution(np.asarray(a_batch), x, first).to(dtype)

        found: dict[str, list[float]] = {}
        for start in range(0, len(x), batch_size):
            part = slice(start, start + batch_size)
            batch = self._batch(model, x[part], target[part], saliency, None if given is None else given[part])
            for name, value in self.measure(batch).items():
                found.setdefault(name, []).extend(value.detach().double().cpu().tolist())
        score, *others = found
        self.evaluation_scores, self.details = found[score], {name: found[name] for name in others}
        self.all_evaluation_scores.extend(self.evaluation_scores)
        return self.evaluation_scores

    def _check_call(
        self, model_predict_kwargs: dict[str, Any] | None, softmax: bool | None, batch_size: int, others: dict[str, Any]
    ) -> None:
        if model_predict_kwargs:
            raise InputError(
                f"model_predict_kwargs must be empty, got {model_predict_kwargs}; bind them in the network's forward"
            )
        if None not in (softmax, self.softmax) and bool(softmax) != self.softmax:
            reads = "probabilities" if self.softmax else "logits"
            raise InputError(f"{self.name} reads {reads} of a network that returns logits, got softmax={softmax}")
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}")
        unknown = sorted(name for name, value in others.items() if name != "custom_batch" or value is not None)
        if unknown:
            raise InputError(f"{self.name} has no argument {unknown[0]!r}; settings are given where it is made")

    def _batch(self, model: Any, x: Image, target: Label, saliency: Saliency, given: Attribution | None) -> Batch:
        draws = image_draws(x, self.seed)

        def values() -> Heatmap:
            attribution = given
            if attribution is None:
                attribution = saliency(model, x, target, create_graph=False, generator=draws.of("saliency"))
            value = heatmap(attribution, channels=self.channels)
            return value.abs() if self.channels == "signed_mean" else value

        return Batch(model, x, target, saliency, values, draws)


def _saliency(explain_func: Any, keywords: dict[str, Any], metric: str) -> Saliency:
    """What explains, as a function on tensors."""
    if isinstance(explain_func, ExplainFunc):
        return as_saliency(explain_func.saliency)
    if isinstance(explain_func, (str, SaliencyMethod)) or hasattr(explain_func, "attribute"):
        return as_saliency(explain_func)

    def explain(model: nn.Module, x: Image, target: Label) -> Attribution:
        if not callable(explain_func):
            raise InputError(
                f"{metric} needs explain_func(model=, inputs=, targets=, ...), such as "
                f"pellucid.integrations.quantus.ExplainFunc('vanilla_gradient'), got {explain_func!r}"
            )
        found = explain_func(
            model=model, inputs=x.detach().cpu().numpy(), targets=target.detach().cpu().numpy(), **keywords
        )
        return _copy(found).to(x)

    return as_saliency(explain)


def _channels_first(x: Array) -> bool:
    """Where the channels are, by Quantus's rule: fewer than pixels on either side."""
    _, one, two, three = x.shape
    if one < two and one < three:
        return True
    if three < one and three < two:
        return False
    raise InputError(f"channel_first must be given for x_batch of shape {x.shape}, whose layout cannot be told")


def _copy(value: Any) -> Tensor:
    """A tensor that shares nothing with the caller's array, which may be read-only."""
    return value if isinstance(value, Tensor) else torch.as_tensor(np.array(value, order="C"))


def _tensor(array: Array, channel_first: bool, device: Any) -> Tensor:
    return _copy(array if channel_first else np.moveaxis(array, -1, 1)).to(device)


def _attribution(array: Array, x: Image, channel_first: bool) -> Attribution:
    if array.ndim == 3:
        array, channel_first = array[:, None], True
    attribution = _tensor(array, channel_first, x.device) if array.ndim == 4 else torch.empty(0)
    n, c, h, w = x.shape
    if attribution.shape not in ((n, 1, h, w), (n, c, h, w)):
        raise InputError(f"a_batch must be ({n}, {h}, {w}), or with 1 or {c} channels, got shape {array.shape}")
    return attribution
