"""Any `pellucid.Metric`, pellucid's or your own, as a torchmetrics metric: ``update``, ``compute``, ``reset``.

A metric keeps its numbers of every image, so that processes are put together by concatenation, an interval can be
given, and runs can be paired image by image (`PerImageMetric.rows`). Arguments of ``update`` have the same names
everywhere, so that a `MetricCollection` can be given all of them at once; each metric looks at those it needs.

>>> from torchmetrics import MetricCollection
>>> both = MetricCollection({"gini": TorchMetric(metrics.Gini()), "hoyer": TorchMetric("hoyer")})
>>> both.update(heatmap=torch.eye(4)[None])
>>> {name: round(value.item(), 3) for name, value in both.compute().items()}
{'gini': 0.75, 'hoyer': 0.667}
"""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, ClassVar

import torch
from torch import Tensor

from pellucid import metrics
from pellucid.core.errors import InputError
from pellucid.core.randomness import seed_of
from pellucid.core.types import Heatmap, Image, Label, PerSample
from pellucid.integrations import missing
from pellucid.integrations.given import Given, as_metric
from pellucid.metrics import Case, Column
from pellucid.metrics.attacked import Attack
from pellucid.metrics.families.sparsity import MapMetric
from pellucid.metrics.families.stability import FORMS, MEASURES, NOISES, stability_column
from pellucid.metrics.families.truth import MaskedMap
from pellucid.saliency import Channels, as_saliency, saliency_name
from pellucid.statistics import EMPTY, Interval, mean_interval, of_share, ratio_interval
from pellucid.statistics.shares import share_interval

try:
    from torchmetrics import Metric
except ImportError as error:
    raise missing("torchmetrics", error) from error

__all__ = [
    "AOPC",
    "CompressedSize",
    "EffectiveComplexity",
    "Entropy",
    "Gini",
    "HeatmapMetric",
    "Hoyer",
    "PerImageMetric",
    "PixelEntropy",
    "PngSize",
    "RelativeStability",
    "RobustAccuracy",
    "TorchMetric",
]


class PerImageMetric(Metric):
    """The mean over images of one or several values per image; the base of all metrics here.

    Images without a value (NaN, as RIS where no noisy image keeps the prediction) are left out of the mean. Without
    images the mean is NaN.

    Args:
        names: of the values.
        settings: what tells this metric from another of the same names; a `MetricCollection` would otherwise merge
            two of them whose first batches happen to agree.
        confidence: of a percentile bootstrap interval, in (0, 1); none by default. With one, ``compute`` returns a
            dictionary that has ``NAME_low`` and ``NAME_high`` beside each ``NAME``.
        resamples: bootstrap resamples of the images.
        kwargs: those of `torchmetrics.Metric`.

    Raises:
        InputError: a confidence outside (0, 1), or a name that is none in Python or is taken.
    """

    is_differentiable = False
    full_state_update = False
    settings: Tensor

    def __init__(
        self,
        names: Iterable[str],
        *,
        settings: Any = None,
        confidence: float | None = None,
        resamples: int = 2000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if confidence is not None and not 0 < confidence < 1:
            raise InputError(f"confidence must be in (0, 1), got {confidence}")
        self.names, self.confidence, self.resamples = tuple(names), confidence, resamples
        # One resample costs nothing where its interval is not shown.
        shown: dict[str, Any] = {"confidence": confidence, "resamples": resamples}
        self._bootstrap = {"resamples": 1} if confidence is None else shown
        for name in self.names:
            if not name.isidentifier() or hasattr(self, name):
                raise InputError(f"a metric's name must be a free Python name such as 'my_measure', got {name!r}")
            self.add_state(name, [], dist_reduce_fx="cat")
        self.add_state("settings", torch.tensor(seed_of(type(self).__name__, repr(settings))), dist_reduce_fx="max")

    def rows(self) -> dict[str, Tensor]:
        """The values of all images so far, (images,) each, NaN where an image has none; of this process alone."""
        kept = {name: getattr(self, name) for name in self.names}
        return {
            name: torch.cat([torch.empty(0, device=self.device), *([value] if isinstance(value, Tensor) else value)])
            for name, value in kept.items()
        }

    def compute(self) -> Any:
        """The mean as a scalar, or a dictionary of scalars where there are several or an interval is asked for."""
        values: dict[str, Tensor] = {}
        for name, interval in self._intervals().items():
            for end in ("mean",) if self.confidence is None else ("mean", "low", "high"):
                value = torch.tensor(getattr(interval, end), dtype=torch.float32, device=self.device)
                values[name if end == "mean" else f"{name}_{end}"] = value
        return values if len(values) > 1 else next(iter(values.values()))

    def _add(self, **values: Tensor) -> None:
        for name, value in values.items():
            getattr(self, name).append(value.detach().to(self.device, torch.float32))

    def _intervals(self) -> dict[str, Interval]:
        return {name: mean_interval(value.cpu(), **self._bootstrap) for name, value in self.rows().items()}


class TorchMetric(PerImageMetric):
    """Any `pellucid.Metric` as a torchmetrics metric.

    ``compute`` gives the mean over images of each column, and the metric's aggregates that are shares or ratios of
    means, such as ``aopc_rel``; one number alone is a scalar. Curves are in ``rows``, and in ``compute`` where nothing
    else is kept, each point under the curve's name and its number. The noise is a function of the seed and the image.

    Args:
        metric: one of `pellucid.metrics` or your own, its name or its import path.
        columns: those that are kept; all by default.
        seed: of every draw.
        channels: how an attribution becomes a heatmap, where ``update`` is given none.
        chunk: images in one forward pass.
        kwargs: ``confidence`` and ``resamples`` of `PerImageMetric`, and those of `torchmetrics.Metric`.

    Raises:
        InputError: no metric, or a column that it has not.

    >>> metric = TorchMetric(metrics.EffectiveComplexity(threshold=0.2), confidence=0.95)
    >>> metric.update(heatmap=torch.tensor([[[1.0, 0.0]], [[3.0, 2.0]]]))
    >>> {name: value.item() for name, value in metric.compute().items()}
    {'effective_complexity': 1.5, 'effective_complexity_low': 1.0, 'effective_complexity_high': 2.0}
    """

    _former: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        metric: Any,
        *,
        columns: Collection[str] | None = None,
        seed: int = 0,
        channels: Channels = "mean_abs",
        chunk: int = 128,
        **kwargs: Any,
    ) -> None:
        self.metric = as_metric(metric)
        known = self.metric.columns
        if columns is not None and not set(columns) & set(known) == set(columns) != set():
            raise InputError(f"columns must be among {', '.join(known)}, got {', '.join(columns) or 'none'}")
        self.columns = {name: self._former.get(name, name) for name in known if columns is None or name in columns}
        self.seed, self.channels, self.chunk = seed, channels, chunk
        super().__init__(self.columns.values(), settings=(self.metric, seed, channels), **kwargs)

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]  # torchmetrics has a constant of the class
        """Whether higher is better; None where the columns do not agree."""
        return _higher_is_better(self.metric.columns[name] for name in self.columns)

    def update(
        self,
        *unnamed: Any,
        model: Callable[[Tensor], Tensor] | None = None,
        x: Image | None = None,
        target: Label | None = None,
        label: Label | None = None,
        heatmap: Heatmap | None = None,
        saliency: Any = None,
        index: Label | Sequence[int] | None = None,
        mask: Tensor | None = None,
        changed: Mapping[str, Image] | None = None,
        parts: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Add images; what the metric does not look at may be left out.

        Args:
            unnamed: without their names, heatmap for measures of the map alone (and mask, for those that compare the
                two); model, x, label and index for those
                about the network; model, x, target, heatmap (saliency, for those about noisy maps) and index.
            model: network in eval mode, images to logits.
            x: (n, c, h, w) in [0, 1].
            target: (n,) explained classes; the predicted ones by default.
            label: (n,) true classes.
            heatmap: (n, h, w), non-negative, as `pellucid.heatmap` makes it; that of ``saliency`` by default.
            saliency: whatever `pellucid.as_saliency` accepts.
            index: (n,) positions in the dataset, for the noise of `pellucid.evaluate`; optional.
            mask: (n, h, w) bool, True where what decides the class is.
            changed: (n, c, h, w) images with one thing exchanged, by its name, as `pellucid.Case` has them.
            parts: (n, h, w) bool, True where each named part is.

        Raises:
            InputError: the metric needs what was not given, or refuses what was.
        """
        given = dict(model=model, x=x, target=target, label=label, heatmap=heatmap, saliency=saliency, index=index)
        given |= dict(mask=mask, changed=changed or {}, parts=parts or {})
        alone = {MapMetric: ("heatmap",), MaskedMap: ("heatmap", "mask"), metrics.RelevanceMass: ("heatmap", "mask")}
        kind = next((kind for kind in alone if isinstance(self.metric, kind)), None)
        takes = _TAKES[self.metric.about] if kind is None else alone[kind]
        if len(unnamed) > len(takes):
            raise InputError(f"update takes {', '.join(takes)} without their names, got {len(unnamed)} arguments")
        given |= dict(zip(takes, unnamed, strict=False))
        with torch.inference_mode(False):  # autograd refuses to save inference tensors, as Lightning's validation has
            known: dict[str, Any] = {name: _saved(value) for name, value in given.items()}
        if known["saliency"] is not None:
            known |= {"saliency": as_saliency(known["saliency"]), "name": saliency_name(known["saliency"])}
        if known["index"] is not None:
            known["index"] = torch.as_tensor(known["index"])
        known |= {"explained": known.pop("target"), "given": known.pop("heatmap")}
        asker = type(self.metric if type(self) is TorchMetric else self).__name__
        case = Given(asker=asker, seed=self.seed, channels=self.channels, chunk=self.chunk, **known)
        values = case.measured(self.metric)
        self._add(**{name: values[column] for column, name in self.columns.items()})

    def _intervals(self) -> dict[str, Interval]:
        rows = dict(zip(self.columns, (value.cpu() for value in self.rows().values()), strict=True))
        named = {name: self.metric.columns[name] for name in rows}
        single = [name for name, column in named.items() if column.shown and not column.curve]
        intervals = {self.columns[name]: self._mean(rows[name], named[name]) for name in single}
        for name, column in self.metric.aggregates.items():
            parts = [rows[part] for part in column.of if part in rows]
            if column.aggregate == "statistic" or len(parts) < len(column.of):
                continue
            if column.aggregate == "ratio of means":
                # None of a divisor that may be 0, as in a comparison of runs.
                may_be_zero = not mean_interval(parts[1]).low > 0
                floor = column.parameters.get("floor", 1e-6)
                intervals[name] = EMPTY if may_be_zero else ratio_interval(*parts, floor=floor, **self._bootstrap)
            else:
                share = parts[0] if len(parts) == 1 else (parts[0] == parts[1]).float()
                intervals[name] = self._mean(share, column)
        return intervals or {
            f"{self.columns[name]}_{k}": mean_interval(point, **self._bootstrap)
            for name, values in rows.items()
            for k, point in enumerate(values.reshape(len(values), -1).T)
        }

    def _mean(self, values: Tensor, column: Column) -> Interval:
        """As a table of runs has it: what is yes or no of each image is counted."""
        confidence = {} if self.confidence is None else {"confidence": self.confidence}
        in_percent = (column.unit, column.scale) == ("%", 100)
        if column.aggregate == "share" or (in_percent and set(values[~values.isnan()].tolist()) <= {0.0, 1.0}):
            return share_interval(values, **confidence)
        found = mean_interval(values, **self._bootstrap)
        return of_share(found, **confidence) if in_percent and self.confidence is not None else found


_TAKES = {
    "network": ("model", "x", "label", "index"),
    "map": ("model", "x", "target", "heatmap", "index"),
    "noisy maps": ("model", "x", "target", "saliency", "index"),
}
_FORMER = {"size_kb": "compressed_size", "png_kb": "png_size", "robust_correct": "robust_accuracy"} | {
    stability_column(measure, form=form, noise=noise): stability_column(measure, form=form)
    for measure in (*MEASURES, "stability_coverage")
    for form in FORMS
    for noise in NOISES
}
"""Names of columns that are others in the classes below, which are older than `pellucid.Metric`."""


def _saved(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _saved(one) for name, one in value.items()}
    return value.clone() if isinstance(value, Tensor) and value.is_inference() else value


def _higher_is_better(columns: Iterable[Column]) -> bool | None:
    directions = {column.direction for column in columns}
    return {"higher": True, "lower": False}.get(directions.pop()) if len(directions) == 1 else None


@dataclass(frozen=True)
class MapFunction(MapMetric):
    """A function of heatmaps (n, h, w) to values (n,) as a metric of one column.

    Args:
        measure: the function.
        name: of the column; the function's by default.
    """

    measure: Callable[[Heatmap], PerSample]
    name: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        name = getattr(self.measure, "__name__", None) if self.name is None else self.name
        if name is None:
            raise InputError(f"name must be given for a measure without one, got {self.measure!r}")
        object.__setattr__(self, "name", name)

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # its name is a setting
        return {str(self.name): Column(title=self.name or "Measure")}

    def __call__(self, case: Case) -> dict[str, Tensor]:
        return {str(self.name): self.measure(case.heatmap)}


@dataclass(frozen=True, kw_only=True)
class _RobustUnder(metrics.RobustAccuracy):
    searched: Attack

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # what a mean says something of
        return {"robust_correct": metrics.RobustAccuracy.columns["robust_correct"]}

    @property
    def attack(self) -> Any:
        return self.searched

    def __call__(self, case: metrics.Case) -> Mapping[str, Tensor]:
        settings: dict[str, Any] = {"restarts": self.restarts, "generator": case.draws}
        return {"robust_correct": metrics.robust_correct(case.model, case.x, case.label, self.attack, **settings)}


def _robust(attack: Attack, *, restarts: int = 1) -> metrics.RobustAccuracy:
    """Whether an image is predicted rightly both as it is and after any attack, from ``restarts`` random starts."""
    return _RobustUnder(searched=attack, restarts=restarts)


def _stability(*, form: str = "norm", layer: str | None = None, **settings: Any) -> metrics.RelativeStability:
    """RIS, ROS and, with a layer, RRS; where ``stability_coverage`` is low, their means speak of few images.

    Args:
        form: ``norm``, ``elementwise`` or ``both``.
        layer: whose output is the representation of RRS.
        settings: others of `pellucid.metrics.RelativeStability`.
    """
    represented: dict[str, Any] = {} if layer is None else {"layer": layer, "measures": MEASURES}
    forms: Any = FORMS if form == "both" else (form,)
    return metrics.RelativeStability(forms=forms, **represented, **settings)


def _named(name: str, make: Callable[..., Any], *, of: Any = None, better: bool | None = None, **fixed: Any) -> Any:
    """The class of a name that is older than `TorchMetric`: settings are its arguments, columns have former names."""
    known = {*signature(make).parameters, *signature(of or make).parameters}

    def init(self: TorchMetric, *first: Any, **given: Any) -> None:
        settings = {key: given.pop(key) for key in known & set(given)}
        TorchMetric.__init__(self, make(*first, **settings), **fixed | given)

    kind: Any = of or make
    if better is None and isinstance(kind.columns, Mapping):
        better = _higher_is_better(kind.columns.values())
    told = f"`TorchMetric` of `{kind.__name__}`, whose settings are its arguments.\n\n{make.__doc__}"
    body = {"__init__": init, "__doc__": told, "__module__": __name__, "_former": _FORMER, "higher_is_better": better}
    return type(name, (TorchMetric,), body)


Gini = _named("Gini", metrics.Gini)
Hoyer = _named("Hoyer", metrics.Hoyer)
Entropy = _named("Entropy", metrics.Entropy)
PixelEntropy = _named("PixelEntropy", metrics.PixelEntropy)
EffectiveComplexity = _named("EffectiveComplexity", metrics.EffectiveComplexity)
CompressedSize = _named("CompressedSize", metrics.CompressedSize)
PngSize = _named("PngSize", metrics.LosslessSize)
HeatmapMetric = _named("HeatmapMetric", MapFunction)
AOPC = _named("AOPC", metrics.PerturbationCurves, columns=("aopc_morf", "aopc_lerf"))
RelativeStability = _named(
    "RelativeStability", _stability, of=metrics.RelativeStability, better=False,
    chunk=sys.maxsize,  # a batch is one pass here, however large
)  # fmt: skip
RobustAccuracy = _named("RobustAccuracy", _robust, of=metrics.RobustAccuracy, better=True)
