"""pellucid's measures as torchmetrics metrics: ``update``, ``compute``, ``reset``.

A metric keeps one value per image, so that processes are put together by concatenation, an interval can be given, and
runs can be paired image by image (`PerImageMetric.rows`). Arguments of ``update`` have the same names everywhere
(``model, x, target, label, heatmap, saliency, index``), so that a `MetricCollection` can be given all of them at once.

>>> from torchmetrics import MetricCollection
>>> metrics = MetricCollection([Gini(), Hoyer()])
>>> metrics.update(heatmap=torch.eye(4)[None])
>>> {name: round(value.item(), 3) for name, value in metrics.compute().items()}
{'Gini': 0.75, 'Hoyer': 0.667}
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.randomness import seed_of
from pellucid.core.types import Heatmap, Image, Label, PerSample
from pellucid.integrations import missing
from pellucid.integrations.draws import image_draws
from pellucid.metrics import (
    aopc,
    compressed_size,
    effective_complexity,
    entropy,
    gini,
    hoyer,
    perturbation_curves,
    pixel_entropy,
    png_size,
    relative_stability,
    robust_correct,
)
from pellucid.metrics.faithfulness import Fill
from pellucid.metrics.perturbation import Noise
from pellucid.metrics.robustness import Attack
from pellucid.metrics.stability import Form
from pellucid.statistics import Interval, mean_interval, ratio_interval

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
        names: Sequence[str],
        *,
        settings: Any = None,
        confidence: float | None = None,
        resamples: int = 2000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if confidence is not None and not 0 < confidence < 1:
            raise InputError(f"confidence must be in (0, 1), got {confidence}")
        for name in names:
            if not name.isidentifier() or hasattr(self, name):
                raise InputError(f"a metric's name must be a free Python name such as 'my_measure', got {name!r}")
            self.add_state(name, [], dist_reduce_fx="cat")
        self.add_state("settings", torch.tensor(seed_of(type(self).__name__, repr(settings))), dist_reduce_fx="max")
        self.names, self.confidence, self.resamples = tuple(names), confidence, resamples

    def rows(self) -> dict[str, PerSample]:
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
            values[name] = self._scalar(interval.mean)
            if self.confidence is not None:
                values |= {f"{name}_low": self._scalar(interval.low), f"{name}_high": self._scalar(interval.high)}
        return values if len(values) > 1 else next(iter(values.values()))

    def _add(self, **values: PerSample) -> None:
        for name, value in values.items():
            getattr(self, name).append(value.detach().to(self.device, torch.float32))

    def _intervals(self) -> dict[str, Interval]:
        return {name: mean_interval(value.cpu(), **self._bootstrap()) for name, value in self.rows().items()}

    def _bootstrap(self) -> dict[str, Any]:
        # One resample costs nothing where its interval is not shown.
        if self.confidence is None:
            return {"resamples": 1}
        return {"confidence": self.confidence, "resamples": self.resamples}

    def _scalar(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=torch.float32, device=self.device)


class HeatmapMetric(PerImageMetric):
    """The mean of any measure of the map alone, one of pellucid's or your own.

    Args:
        measure: heatmaps (n, h, w) to values (n,).
        name: of the value; the measure's by default.
        kwargs: those of `PerImageMetric`.

    >>> def peak(heatmap):
    ...     return heatmap.amax((1, 2))
    >>> metric = HeatmapMetric(peak, confidence=0.95)
    >>> metric.update(torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]]]))
    >>> {name: value.item() for name, value in metric.compute().items()}
    {'peak': 2.0, 'peak_low': 1.0, 'peak_high': 3.0}
    """

    def __init__(self, measure: Callable[[Heatmap], PerSample], *, name: str | None = None, **kwargs: Any) -> None:
        name = getattr(measure, "__name__", None) if name is None else name
        if name is None:
            raise InputError(f"name must be given for a measure without one, got {measure!r}")
        super().__init__([name], settings=measure, **kwargs)
        self.measure = measure

    def update(self, heatmap: Heatmap) -> None:
        """Add heatmaps, (n, h, w), non-negative; `pellucid.heatmap` makes them of attributions."""
        self._add(**{self.names[0]: self.measure(heatmap)})


class Gini(HeatmapMetric):
    """Mean of `pellucid.metrics.gini`, in [0, 1); higher is sparser.

    >>> metric = Gini()
    >>> metric(torch.tensor([[[0.0, 0.0], [0.0, 5.0]], [[1.0, 1.0], [1.0, 1.0]]]))
    tensor(0.3750)
    """

    higher_is_better = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(gini, **kwargs)


class Hoyer(HeatmapMetric):
    """Mean of `pellucid.metrics.hoyer`, in [0, 1]; higher is sparser."""

    higher_is_better = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(hoyer, **kwargs)


class Entropy(HeatmapMetric):
    """Mean of `pellucid.metrics.entropy` (of grey levels), in [0, 8] bits; lower is sparser."""

    higher_is_better = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(entropy, **kwargs)


class PixelEntropy(HeatmapMetric):
    """Mean of `pellucid.metrics.pixel_entropy`, in [0, log2(h w)] bits; lower is sparser."""

    higher_is_better = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pixel_entropy, **kwargs)


class EffectiveComplexity(HeatmapMetric):
    """Mean of `pellucid.metrics.effective_complexity`: pixels above ``threshold`` times the map's maximum."""

    higher_is_better = False

    def __init__(self, *, threshold: float = 0.1, **kwargs: Any) -> None:
        measure = partial(effective_complexity, threshold=threshold)
        super().__init__(measure, name="effective_complexity", **kwargs)


class CompressedSize(HeatmapMetric):
    """Mean of `pellucid.metrics.compressed_size` (JPEG), in KiB beyond a flat image; lower is simpler."""

    higher_is_better = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(compressed_size, **kwargs)


class PngSize(HeatmapMetric):
    """Mean of `pellucid.metrics.png_size`, in KiB beyond a flat image; lower is simpler."""

    higher_is_better = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(png_size, **kwargs)


class AOPC(PerImageMetric):
    """Area over the perturbation curve, most and least relevant first, and their ratio.

    ``compute`` gives ``aopc_morf`` (higher is better), ``aopc_lerf`` (lower is better) and ``aopc_rel``, the ratio of
    the two means over all images, the latter at least 1e-6: never the mean of the images' ratios, which explodes where
    one of them has no decay.

    Args:
        fraction: as in `pellucid.metrics.perturbation_curves`, as are the next five.
        steps: number of steps.
        repeats: number of noise images averaged over.
        region: side of a region in pixels.
        fill: what a replaced region shows.
        chunk: images in one forward pass.
        seed: of the noise, which is a function of the seed and the image.
        kwargs: those of `PerImageMetric`.

    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(576, 3)).eval()
    >>> x = torch.rand(2, 1, 24, 24)
    >>> sorted(AOPC(repeats=1)(network, x, torch.tensor([0, 2]), x[:, 0]))
    ['aopc_lerf', 'aopc_morf', 'aopc_rel']

    Source: Samek et al. 2017; the ratio, Xu et al. 2023 (SCAAT).
    """

    def __init__(
        self,
        *,
        fraction: float = 0.2,
        steps: int = 20,
        repeats: int = 5,
        region: int | None = None,
        fill: Fill = "uniform",
        chunk: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        chosen = (fraction, steps, repeats, region, fill, seed)
        super().__init__(["aopc_morf", "aopc_lerf"], settings=chosen, **kwargs)
        self.curves = partial(
            perturbation_curves, fraction=fraction, steps=steps, repeats=repeats, region=region, fill=fill, chunk=chunk
        )
        self.seed = seed

    def update(
        self,
        model: Callable[[Tensor], Tensor],
        x: Image,
        target: Label,
        heatmap: Heatmap,
        index: Label | Sequence[int] | None = None,
    ) -> None:
        """Add images.

        Args:
            model: network in eval mode, images to logits.
            x: (n, c, h, w) in [0, 1].
            target: (n,) explained classes.
            heatmap: (n, h, w), non-negative.
            index: (n,) positions in the dataset, for the noise of `pellucid.evaluate`; optional.
        """
        curves = self.curves(model, x, target, heatmap, generator=image_draws(x, self.seed, index))
        self._add(aopc_morf=aopc(curves["morf"]), aopc_lerf=aopc(curves["lerf"]))

    def _intervals(self) -> dict[str, Interval]:
        morf, lerf = (value.cpu() for value in self.rows().values())
        return {**super()._intervals(), "aopc_rel": ratio_interval(morf, lerf, **self._bootstrap())}


class RelativeStability(PerImageMetric):
    """Relative input, output and (with a layer) representation stability, and their coverage.

    ``compute`` gives the means of ``ris``, ``ros`` and ``rrs`` over the images that have one (lower is more stable), in
    the elementwise form ``ris_elementwise`` and so on, and ``stability_coverage``: the share of noisy images that keep
    the prediction. Where that is low, the means speak of few images.

    Args:
        form: ``norm``, ``elementwise`` or ``both``, as in `pellucid.relative_stability`, as are the next six.
        layer: whose output is the representation of RRS.
        noise: of the noisy images.
        sigma: its standard deviation in pixel units.
        between: range of one-sided noise.
        draws: number of noisy images.
        eps_min: floor of the denominators.
        seed: of the noise, which is a function of the seed and the image.
        kwargs: those of `PerImageMetric`.

    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval()
    >>> metric = RelativeStability(draws=2)
    >>> sorted(metric(network, torch.rand(2, 1, 4, 4), torch.tensor([0, 2]), "vanilla_gradient"))
    ['ris', 'ros', 'stability_coverage']

    Source: Agarwal et al. 2022.
    """

    higher_is_better = False

    def __init__(
        self,
        *,
        form: Form = "norm",
        layer: str | None = None,
        noise: Noise = "gaussian",
        sigma: float = 0.05,
        between: tuple[float, float] = (0.02, 0.2),
        draws: int = 10,
        eps_min: float = 1e-6,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        suffixes = {"norm": [""], "elementwise": ["_elementwise"], "both": ["", "_elementwise"]}.get(form)
        if suffixes is None:
            raise InputError(f"form must be norm, elementwise or both, got {form!r}")
        kinds = ("ris", "ros") if layer is None else ("ris", "ros", "rrs")
        names = [kind + suffix for suffix in suffixes for kind in kinds]
        chosen = (layer, noise, sigma, between, draws, eps_min, seed)
        super().__init__([*names, "stability_coverage"], settings=chosen, **kwargs)
        self.stability = partial(
            relative_stability,
            form=form,
            layer=layer,
            noise=noise,
            sigma=sigma,
            between=between,
            draws=draws,
            eps_min=eps_min,
        )
        self.seed = seed

    def update(
        self,
        model: Callable[[Tensor], Tensor],
        x: Image,
        target: Label,
        saliency: Any,
        index: Label | Sequence[int] | None = None,
    ) -> None:
        """Add images.

        Args:
            model: network in eval mode, images to logits.
            x: (n, c, h, w) in [0, 1].
            target: (n,) explained classes.
            saliency: whatever `pellucid.as_saliency` accepts.
            index: (n,) positions in the dataset, for the noise of `pellucid.evaluate`; optional.
        """
        found = self.stability(model, x, target, saliency, generator=image_draws(x, self.seed, index))
        self._add(stability_coverage=found.pop("coverage"), **found)


class RobustAccuracy(PerImageMetric):
    """Share of images predicted rightly both as they are and after an attack, in [0, 1].

    Args:
        attack: the threat model and how it is searched, such as `pellucid.PGD`.
        restarts: attacks from different random starts.
        seed: of the random starts, which are a function of the seed and the image.
        kwargs: those of `PerImageMetric`.

    >>> from pellucid import PGD
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval()
    >>> metric = RobustAccuracy(PGD(eps=1.0, step_size=0.5, steps=5))
    >>> x = torch.rand(4, 1, 4, 4)
    >>> metric(network, x, network(x).argmax(1))
    tensor(0.)

    Source: Madry et al. 2018.
    """

    higher_is_better = True

    def __init__(self, attack: Attack, *, restarts: int = 1, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(["robust_accuracy"], settings=(attack, restarts, seed), **kwargs)
        self.attack, self.restarts, self.seed = attack, restarts, seed

    def update(
        self,
        model: Callable[[Tensor], Tensor],
        x: Image,
        label: Label,
        index: Label | Sequence[int] | None = None,
    ) -> None:
        """Add images.

        Args:
            model: network in eval mode, images to logits.
            x: (n, c, h, w) in [0, 1].
            label: (n,) true classes.
            index: (n,) positions in the dataset, for the random starts of `pellucid.evaluate`; optional.
        """
        draws = image_draws(x, self.seed, index)
        with torch.inference_mode(False):
            label = label.clone()  # autograd refuses to save an inference tensor, as Lightning's validation has
        right = robust_correct(model, x, label, self.attack, restarts=self.restarts, generator=draws)
        self._add(robust_accuracy=right)
