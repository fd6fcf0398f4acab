"""Any `pellucid.Metric`, pellucid's or your own, as a torchmetrics metric: ``update``, ``compute``, ``reset``.

A metric keeps its numbers of every image, so that processes are put together by concatenation, an interval can be
given, and runs can be paired image by image (`PerImageMetric.rows`). Arguments of ``update`` have the same names
everywhere, so that a `MetricCollection` can be given all of them at once; each metric looks at those it needs.

>>> from torchmetrics import MetricCollection
>>> metrics = MetricCollection([Gini(), Hoyer()])
>>> metrics.update(heatmap=torch.eye(4)[None])
>>> {name: round(value.item(), 3) for name, value in metrics.compute().items()}
{'Gini': 0.75, 'Hoyer': 0.667}
"""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
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
from pellucid.metrics.families.sparsity import MapMetric
from pellucid.metrics.families.stability import FORMS, MEASURES, NOISES, stability_column
from pellucid.metrics.robustness import Attack
from pellucid.saliency import Channels, as_saliency, saliency_name
from pellucid.statistics import mean_interval, ratio_interval

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
            values[name] = self._number(interval, "mean")
            if self.confidence is not None:
                values |= {f"{name}_{end}": self._number(interval, end) for end in ("low", "high")}
        return values if len(values) > 1 else next(iter(values.values()))

    def _add(self, **values: Tensor) -> None:
        for name, value in values.items():
            getattr(self, name).append(value.detach().to(self.device, torch.float32))

    def _intervals(self) -> dict[str, Any]:
        return {name: mean_interval(value.cpu(), **self._bootstrap()) for name, value in self.rows().items()}

    def _bootstrap(self) -> dict[str, Any]:
        # One resample costs nothing where its interval is not shown.
        if self.confidence is None:
            return {"resamples": 1}
        return {"confidence": self.confidence, "resamples": self.resamples}

    def _number(self, interval: Any, end: str) -> Tensor:
        points = interval if isinstance(interval, list) else [interval]
        value = torch.tensor([getattr(point, end) for point in points], dtype=torch.float32, device=self.device)
        return value if isinstance(interval, list) else value[0]


class TorchMetric(PerImageMetric):
    """Any `pellucid.Metric` as a torchmetrics metric.

    ``compute`` gives the mean over images of each column, and the metric's aggregates that are shares or ratios of
    means, such as ``aopc_rel``; one number alone is a scalar. Curves are in ``rows``, and in ``compute`` where nothing
    else is kept, with a value for each point. The noise is a function of the seed and the image.

    Args:
        metric: one of `pellucid.metrics` or your own, its name or its import path.
        columns: those that are kept; all by default.
        seed: of every draw.
        channels: how an attribution becomes a heatmap, where ``update`` is given none.
        chunk: images in one forward pass.
        kwargs: ``confidence`` and ``resamples`` of `PerImageMetric`, and those of `torchmetrics.Metric`; in a subclass
            ``of`` a metric, which has its former names, the settings of this metric too.

    Raises:
        InputError: no metric, or a column that it has not.

    >>> metric = TorchMetric(metrics.EffectiveComplexity(threshold=0.2), confidence=0.95)
    >>> metric.update(heatmap=torch.tensor([[[1.0, 0.0]], [[3.0, 2.0]]]))
    >>> {name: value.item() for name, value in metric.compute().items()}
    {'effective_complexity': 1.5, 'effective_complexity_low': 1.0, 'effective_complexity_high': 2.0}
    """

    _kind: ClassVar[type[metrics.Metric] | None] = None

    def __init_subclass__(cls, *, of: type[metrics.Metric] | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._kind = of or cls._kind
        if of is not None and "higher_is_better" not in vars(cls):
            columns = of.columns if isinstance(of.columns, Mapping) else of().columns
            cls.higher_is_better = _higher_is_better(columns.values())

    def __init__(
        self,
        metric: Any = None,
        *,
        columns: Collection[str] | None = None,
        seed: int = 0,
        channels: Channels = "mean_abs",
        chunk: int = 128,
        **kwargs: Any,
    ) -> None:
        if metric is None and self._kind is not None:
            declared: Any = self._kind
            metric = self._kind(**{f.name: kwargs.pop(f.name) for f in fields(declared) if f.name in kwargs})
        self.metric = as_metric(metric)
        known = self.metric.columns
        if columns is not None and not set(columns) & set(known) == set(columns) != set():
            raise InputError(f"columns must be among {', '.join(known)}, got {', '.join(columns) or 'none'}")
        former = {} if self._kind is None else _FORMER
        self.columns = {name: former.get(name, name) for name in known if columns is None or name in columns}
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
    ) -> None:
        """Add images; what the metric does not look at may be left out.

        Args:
            unnamed: without their names, heatmap for measures of the map alone; model, x, label and index for those
                about the network; model, x, target, heatmap (saliency, for those about noisy maps) and index.
            model: network in eval mode, images to logits.
            x: (n, c, h, w) in [0, 1].
            target: (n,) explained classes; the predicted ones by default.
            label: (n,) true classes.
            heatmap: (n, h, w), non-negative, as `pellucid.heatmap` makes it; that of ``saliency`` by default.
            saliency: whatever `pellucid.as_saliency` accepts.
            index: (n,) positions in the dataset, for the noise of `pellucid.evaluate`; optional.

        Raises:
            InputError: the metric needs what was not given, or refuses what was.
        """
        given = dict(model=model, x=x, target=target, label=label, heatmap=heatmap, saliency=saliency, index=index)
        takes = ("heatmap",) if isinstance(self.metric, MapMetric) else _TAKES[self.metric.about]
        if len(unnamed) > len(takes):
            raise InputError(f"update takes {', '.join(takes)} without their names, got {len(unnamed)} arguments")
        given |= dict(zip(takes, unnamed, strict=False))
        with torch.inference_mode(False):  # autograd refuses to save inference tensors, as Lightning's validation has
            known = {name: v.clone() if isinstance(v, Tensor) and v.is_inference() else v for name, v in given.items()}
        if known["saliency"] is not None:
            known |= {"saliency": as_saliency(known["saliency"]), "name": saliency_name(known["saliency"])}
        if known["index"] is not None:
            known["index"] = torch.as_tensor(known["index"])
        known |= {"explained": known.pop("target"), "given": known.pop("heatmap")}
        asker = type(self.metric if type(self) is TorchMetric else self).__name__
        case = Given(asker=asker, seed=self.seed, channels=self.channels, chunk=self.chunk, **known)
        values = case.measured(self.metric)
        self._add(**{name: values[column] for column, name in self.columns.items()})

    def _intervals(self) -> dict[str, Any]:
        rows = dict(zip(self.columns, (value.cpu() for value in self.rows().values()), strict=True))
        curves_only = all(self.metric.columns[name].curve for name in rows)
        found: dict[str, Any] = {}
        for name, values in rows.items():
            column = self.metric.columns[name]
            if curves_only:
                found[self.columns[name]] = [mean_interval(point, **self._bootstrap()) for point in values.T]
            elif column.shown and not column.curve:
                found[self.columns[name]] = mean_interval(values, **self._bootstrap())
        for name, column in self.metric.aggregates.items():
            parts = [rows[part] for part in column.of if part in rows]
            if column.aggregate == "statistic" or len(parts) < len(column.of):
                continue
            if column.aggregate == "ratio of means":
                floor = column.parameters.get("floor", 1e-6)
                found[name] = ratio_interval(*parts, floor=floor, **self._bootstrap())
            else:
                share = parts[0] if len(parts) == 1 else (parts[0] == parts[1]).float()
                found[name] = mean_interval(share, **self._bootstrap())
        return found


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


def _higher_is_better(columns: Iterable[Column]) -> bool | None:
    directions = {column.direction for column in columns}
    return {"higher": True, "lower": False}.get(directions.pop()) if len(directions) == 1 else None


class Gini(TorchMetric, of=metrics.Gini):
    """Mean of `pellucid.metrics.gini`, in [0, 1); higher is sparser.

    >>> metric = Gini()
    >>> metric(torch.tensor([[[0.0, 0.0], [0.0, 5.0]], [[1.0, 1.0], [1.0, 1.0]]]))
    tensor(0.3750)
    """


class Hoyer(TorchMetric, of=metrics.Hoyer):
    """Mean of `pellucid.metrics.hoyer`, in [0, 1]; higher is sparser."""


class Entropy(TorchMetric, of=metrics.Entropy):
    """Mean of `pellucid.metrics.entropy` (of grey levels), in [0, 8] bits; lower is sparser."""


class PixelEntropy(TorchMetric, of=metrics.PixelEntropy):
    """Mean of `pellucid.metrics.pixel_entropy`, in [0, log2(h w)] bits; lower is sparser."""


class EffectiveComplexity(TorchMetric, of=metrics.EffectiveComplexity):
    """Mean of `pellucid.metrics.effective_complexity`: pixels above ``threshold`` times the map's maximum."""


class CompressedSize(TorchMetric, of=metrics.CompressedSize):
    """Mean of `pellucid.metrics.compressed_size` (JPEG), in KiB beyond a flat image; lower is simpler."""


class PngSize(TorchMetric, of=metrics.LosslessSize):
    """Mean of `pellucid.metrics.png_size`, in KiB beyond a flat image; lower is simpler."""


@dataclass(frozen=True)
class MapFunction(MapMetric):
    """A function of heatmaps (n, h, w) to values (n,) as a metric of one column."""

    measure: Callable[[Heatmap], PerSample]
    name: str

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # its name is a setting
        return {self.name: Column(title=self.name or "Measure")}

    def __call__(self, case: Case) -> dict[str, Tensor]:
        return {self.name: self.measure(case.heatmap)}


class HeatmapMetric(TorchMetric):
    """The mean of any measure of the map alone, one of pellucid's or your own.

    Args:
        measure: heatmaps (n, h, w) to values (n,).
        name: of the value; the measure's by default.
        kwargs: those of `TorchMetric`.

    >>> def peak(heatmap):
    ...     return heatmap.amax((1, 2))
    >>> metric = HeatmapMetric(peak, confidence=0.95)
    >>> metric.update(torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]]]))
    >>> {name: value.item() for name, value in metric.compute().items()}
    {'peak': 2.0, 'peak_low': 1.0, 'peak_high': 3.0}
    """

    higher_is_better = None

    def __init__(self, measure: Callable[[Heatmap], PerSample], *, name: str | None = None, **kwargs: Any) -> None:
        name = getattr(measure, "__name__", None) if name is None else name
        if name is None:
            raise InputError(f"name must be given for a measure without one, got {measure!r}")
        super().__init__(MapFunction(measure, name), **kwargs)


class AOPC(TorchMetric, of=metrics.PerturbationCurves):
    """Area over the perturbation curve, most and least relevant first, and their ratio.

    ``compute`` gives ``aopc_morf`` (higher is better), ``aopc_lerf`` (lower is better) and ``aopc_rel``, the ratio of
    the two means over all images, the latter at least 1e-6: never the mean of the images' ratios, which explodes where
    one of them has no decay.

    Args:
        kwargs: ``fraction``, ``steps``, ``repeats``, ``region`` and ``fill`` of `pellucid.metrics.PerturbationCurves`,
            and those of `TorchMetric`.

    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(576, 3)).eval()
    >>> x = torch.rand(2, 1, 24, 24)
    >>> sorted(AOPC(repeats=1)(network, x, torch.tensor([0, 2]), x[:, 0]))
    ['aopc_lerf', 'aopc_morf', 'aopc_rel']

    Source: Samek et al. 2017; the ratio, Xu et al. 2023 (SCAAT).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(columns=("aopc_morf", "aopc_lerf"), **kwargs)


class RelativeStability(TorchMetric, of=metrics.RelativeStability):
    """Relative input, output and (with a layer) representation stability, and their coverage.

    ``compute`` gives the means of ``ris``, ``ros`` and ``rrs`` over the images that have one (lower is more stable), in
    the elementwise form ``ris_elementwise`` and so on, and ``stability_coverage``: the share of noisy images that keep
    the prediction. Where that is low, the means speak of few images.

    Args:
        form: ``norm``, ``elementwise`` or ``both``.
        layer: whose output is the representation of RRS; without one there is no RRS.
        kwargs: ``noise``, ``sigma``, ``between``, ``draws`` and ``eps_min`` of `pellucid.metrics.RelativeStability`,
            and those of `TorchMetric`.

    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval()
    >>> metric = RelativeStability(draws=2)
    >>> sorted(metric(network, torch.rand(2, 1, 4, 4), torch.tensor([0, 2]), "vanilla_gradient"))
    ['ris', 'ros', 'stability_coverage']

    Source: Agarwal et al. 2022.
    """

    higher_is_better = False

    def __init__(self, *, form: str = "norm", layer: str | None = None, **kwargs: Any) -> None:
        kwargs |= {"forms": FORMS if form == "both" else (form,)}
        kwargs |= {} if layer is None else {"layer": layer, "measures": MEASURES}
        super().__init__(**{"chunk": sys.maxsize} | kwargs)  # a batch is one pass here, however large


@dataclass(frozen=True, kw_only=True)
class _RobustUnder(metrics.RobustAccuracy):
    """Robust accuracy under any attack, which no run directory could name."""

    searched: Attack

    @property
    def attack(self) -> Any:
        return self.searched


class RobustAccuracy(TorchMetric, of=metrics.RobustAccuracy):
    """Share of images predicted rightly both as they are and after an attack, in [0, 1].

    Args:
        attack: the threat model and how it is searched, such as `pellucid.PGD`.
        restarts: attacks from different random starts.
        kwargs: those of `TorchMetric`.

    >>> from pellucid import PGD
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval()
    >>> metric = RobustAccuracy(PGD(eps=1.0, step_size=0.5, steps=5))
    >>> x = torch.rand(4, 1, 4, 4)
    >>> metric(network, x, network(x).argmax(1))
    tensor(0.)

    Source: Madry et al. 2018.
    """

    def __init__(self, attack: Attack, *, restarts: int = 1, **kwargs: Any) -> None:
        super().__init__(_RobustUnder(searched=attack, restarts=restarts), **kwargs)
