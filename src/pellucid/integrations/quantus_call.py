"""Quantus's call: NumPy arrays to tensors, a metric, and one score per image back.

What `pellucid.integrations.quantus` measures with; import from there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.core.types import Attribution, Image, Label, Saliency
from pellucid.integrations.given import Given, as_metric
from pellucid.metrics import COLUMNS, Metric
from pellucid.metrics.column import Direction
from pellucid.metrics.families.stability import NOISES, stability_column
from pellucid.saliency import Channels, Explain, SaliencyMethod, as_saliency

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
        like = _like(model)
        x = _copy(inputs).to(like)
        target = _copy(targets).to(like.device, torch.int64)
        draws = SampleDraws(self.seed, (0,) * len(x))
        attribution = as_saliency(self.saliency)(model, x, target, create_graph=False, generator=draws)
        array: Array = attribution.detach().float().cpu().numpy()
        return array


class QuantusMetric:
    """Quantus's call for any `pellucid.Metric`, one of pellucid's or your own.

    Args:
        metric: the metric, its name or its import path.
        column: the metric's number that is the score; by default its first that is no curve.
        channels: how an attribution is reduced to one value per pixel, see `pellucid.heatmap`.
        seed: of the noise, which is a function of the seed and the image.
        settings: of the metric, in a subclass ``of`` one; ``order`` and ``form`` are one of its orders and forms.

    Attributes:
        evaluation_scores: scores of the last call, one per image.
        all_evaluation_scores: scores of all calls.
        details: the metric's other numbers per image of the last call, such as the ``coverage`` of a stability.
        score_direction: ``higher`` or ``lower``, whichever is better, or ``none``.
        evaluation_category: Quantus's family.
        softmax: what the metric reads where that matters: True probabilities, False logits.

    Raises:
        InputError: no metric, a column that it has not or that is a curve, unknown channels.

    >>> from pellucid.metrics import Hoyer
    >>> QuantusMetric(Hoyer())(None, np.zeros((1, 1, 2, 2)), np.array([0]), a_batch=np.ones((1, 2, 2)))
    [0.0]
    """

    softmax: ClassVar[bool | None] = None
    _kind: ClassVar[Callable[..., Metric] | None] = None
    _fixed: ClassVar[dict[str, Any]] = {}
    _factor: ClassVar[float] = 1.0

    def __init_subclass__(
        cls, *, of: type[Metric] | None = None, factor: float = 1.0, softmax: bool | None = None, **fixed: Any
    ) -> None:
        """Name ``of`` a metric, with what its number is multiplied with, and settings that are fixed."""
        super().__init_subclass__()
        if of is not None:
            cls._kind, cls._factor, cls.softmax, cls._fixed = of, factor, softmax, fixed

    def __init__(
        self,
        metric: Any = None,
        *,
        column: str | None = None,
        channels: Channels = "mean_abs",
        seed: int = 0,
        **settings: Any,
    ) -> None:
        if channels not in get_args(Channels):
            raise InputError(f"channels must be one of {', '.join(get_args(Channels))}, got {channels!r}")
        if self._kind is None and settings:
            raise InputError(f"settings are the metric's own, as in Gini(...), got {', '.join(settings)} beside it")
        named = {_MANY.get(name, name): (v,) if name in _MANY else v for name, v in settings.items()}
        self.metric = as_metric(metric) if self._kind is None else self._kind(**self._fixed | named)
        scores = {name: known for name, known in self.metric.columns.items() if not known.curve}
        self.column = next(iter(scores), "") if column is None else column
        if self.column not in scores:
            known = ", ".join(scores) or "all are curves"
            raise InputError(f"column must be a number per image ({known}), got {column!r}")
        self.score_direction: Direction = scores[self.column].direction
        family = COLUMNS.get(self.column, scores[self.column]).family
        self.evaluation_category = _CATEGORIES.get(family, "None")
        self.channels, self.seed = channels, seed
        self.evaluation_scores: list[float] = []
        self.all_evaluation_scores: list[float] = []
        self.details: dict[str, list[Any]] = {}

    @property
    def name(self) -> str:
        """The class's name, or the metric's where the class is for any."""
        return type(self.metric if self._kind is None else self).__name__

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
                where the metric looks at the map alone and ``a_batch`` is given.
            x_batch: images, (n, c, h, w) or (n, h, w, c).
            y_batch: (n,) classes that are explained, and the true ones for metrics that look at these.
            a_batch: attributions, (n, h, w), or with one or c channels; of ``explain_func`` by default. A stability
                explains the clean images itself, since a saliency that draws must draw alike for all.
            s_batch: Quantus's segmentations, (n, h, w) or (n, 1, h, w), 1 or True where what decides the class is; for
                metrics that need a mask.
            channel_first: layout of ``x_batch`` and ``a_batch``; by default inferred as in Quantus.
            explain_func: ``f(model=, inputs=, targets=, **explain_func_kwargs)`` from and to NumPy, as
                ``quantus.explain``; an `ExplainFunc`, a `pellucid.saliency.SaliencyMethod`, its name or a Captum object
                stays on the device.
            explain_func_kwargs: for ``explain_func``.
            model_predict_kwargs: must be empty.
            softmax: None, or what the metric reads anyway.
            device: where to compute; by default where the network is.
            batch_size: images measured at once.
            kwargs: must be empty, except for Quantus's ``custom_batch``.

        Returns:
            One score per image; NaN only where the metric says so.

        Raises:
            InputError: an argument that cannot be honoured, or what the metric refuses.
        """
        self._check_call(model_predict_kwargs, softmax, batch_size, kwargs)
        images = np.asarray(x_batch)
        if images.ndim != 4 or not images.size:
            raise InputError(f"x_batch must be images (n, c, h, w) or (n, h, w, c), got shape {images.shape}")
        if model is not None and not isinstance(model, nn.Module):
            raise InputError(f"{self.name} needs model, a torch.nn.Module from images to logits, got {model!r}")
        first = _channels_first(images) if channel_first is None else channel_first
        keywords = ({} if device is None else {"device": device}) | (explain_func_kwargs or {})
        like = _like(model)
        where = like.device if device is None else device
        x = _tensor(images, first, where).to(like.dtype)
        target = _copy(y_batch).to(where)
        maps = None if a_batch is None else _attribution(np.asarray(a_batch), x, first).to(like.dtype)
        saliency = _saliency(explain_func, keywords, self.name)
        needs = {need for needed in self.metric.needs.values() for need in needed}
        mask = _mask(np.asarray(s_batch), x) if "mask" in needs and s_batch is not None else None

        values: dict[str, list[Any]] = {}
        for start in range(0, len(x), batch_size):
            part = slice(start, start + batch_size)
            case = Given(
                asker=self.name, model=model, x=x[part], label=target[part], explained=target[part], seed=self.seed,
                saliency=saliency, name="saliency", channels=self.channels, maps=None if maps is None else maps[part],
                mask=None if mask is None else mask[part],
            )  # fmt: skip
            for name, value in case.measured(self.metric).items():
                number = value * self._factor if name == self.column else value
                values.setdefault(name, []).extend(number.double().cpu().tolist())
        self.evaluation_scores = values.pop(self.column)
        self.details = {name if self._kind is None else _FORMER.get(name, name): values[name] for name in values}
        self.all_evaluation_scores.extend(self.evaluation_scores)
        return self.evaluation_scores

    def _check_call(
        self, model_predict_kwargs: dict[str, Any] | None, softmax: bool | None, batch_size: int, others: dict[str, Any]
    ) -> None:
        if model_predict_kwargs:
            got = f"got {model_predict_kwargs}; bind them in the network's forward"
            raise InputError(f"model_predict_kwargs must be empty, {got}")
        if None not in (softmax, self.softmax) and bool(softmax) != self.softmax:
            reads = "probabilities" if self.softmax else "logits"
            raise InputError(f"{self.name} reads {reads} of a network that returns logits, got softmax={softmax}")
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}")
        unknown = sorted(name for name, value in others.items() if name != "custom_batch" or value is not None)
        if unknown:
            raise InputError(f"{self.name} has no argument {unknown[0]!r}; settings are given where it is made")


_MANY = {"order": "orders", "form": "forms"}
_FORMER = {stability_column("stability_coverage", noise=noise): "coverage" for noise in NOISES}
_CATEGORIES = {
    "sparsity": "Complexity", "faithfulness": "Faithfulness", "sanity": "Randomisation", "truth": "Localisation",
} | {family: "Robustness" for family in ("robustness", "sensitivity", "similarity", "stability")}  # fmt: skip
"""Quantus's family of metrics by pellucid's."""


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
        inputs, targets = x.detach().cpu().numpy(), target.detach().cpu().numpy()
        return _copy(explain_func(model=model, inputs=inputs, targets=targets, **keywords)).to(x)

    return as_saliency(explain)


def _channels_first(x: Array) -> bool:
    """Where the channels are, by Quantus's rule: fewer than pixels on either side."""
    _, first, second, third = x.shape
    if first < second and first < third:
        return True
    if third < first and third < second:
        return False
    raise InputError(f"channel_first must be given for x_batch of shape {x.shape}, whose layout cannot be inferred")


def _like(model: nn.Module | None) -> Tensor:
    """What has the network's device and dtype."""
    return torch.empty(0) if model is None else next(iter(model.parameters()), torch.empty(0))


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


def _mask(array: Array, x: Image) -> Tensor:
    n, _, h, w = x.shape
    if array.shape not in ((n, h, w), (n, 1, h, w)) or not np.isin(array, (0, 1)).all():
        raise InputError(f"s_batch must be ({n}, {h}, {w}) or ({n}, 1, {h}, {w}) of 0 and 1, got shape {array.shape}")
    return _copy(array).to(x.device, torch.bool).view(n, h, w)
