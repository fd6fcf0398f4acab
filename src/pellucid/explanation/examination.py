"""What is measured of the maps of a batch of images: all that the trust card says is computed here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.randomness import Generator, SampleDraws, uniform
from pellucid.core.types import Heatmap, Image, Label, PerSample, Saliency
from pellucid.explanation.trust_rules import Counts
from pellucid.metrics import (
    PerturbationCurves,
    aopc,
    default_region,
    gini,
    perturbation_curves,
    rank_correlation,
    relative_stability,
)
from pellucid.metrics.chunks import usual_chunk
from pellucid.metrics.faithfulness import Fill
from pellucid.metrics.perturbation import noisy_image
from pellucid.saliency import (
    Channels,
    Explain,
    IntegratedGradients,
    SmoothGrad,
    as_saliency,
    heatmap,
    saliency_name,
)

if TYPE_CHECKING:
    from pellucid.runs.evaluation import Evaluation

__all__ = ["Examination", "Finding", "MapFinding", "examine"]


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Which maps are made of an image, and what is measured of them.

    Args:
        saliency: methods, as in `pellucid.Evaluation`; the first is the one that the card speaks of.
        channels: how channels are reduced to a heatmap, of which the magnitude is taken.
        fraction: share of an image's regions that the perturbation curves replace.
        steps: points of a perturbation curve.
        repeats: draws of the replacing noise that a curve averages.
        region: side of the replaced regions in pixels; `pellucid.metrics.default_region` by default.
        fill: what a replaced region shows, as in `pellucid.Evaluation`.
        sigma: standard deviation of the stability noise in pixel units.
        draws: noisy copies of the stability measures.
        draws_of: other numbers of noisy copies by method, where a reference was measured with them.
        predictions: noisy copies of which only the prediction is looked at.
        random_maps: random maps that a map is compared with.
        seed: of every draw.
    """

    saliency: tuple[Explain, ...] = ("vanilla_gradient", "smoothgrad", "integrated_gradients")
    channels: Channels = "mean_abs"
    fraction: float = 0.2
    steps: int = 20
    repeats: int = 2
    region: int | None = None
    fill: Fill = "uniform"
    sigma: float = 0.05
    draws: int = 10
    draws_of: tuple[tuple[str, int], ...] = ()
    predictions: int = 50
    random_maps: int = 39
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.saliency:
            raise InputError("saliency must name at least one method, got none")
        if self.channels not in get_args(Channels):
            raise InputError(f"channels must be one of {', '.join(get_args(Channels))}, got {self.channels!r}")
        if self.fill not in get_args(Fill):
            raise InputError(f"fill must be one of {', '.join(get_args(Fill))}, got {self.fill!r}")
        for name in ("steps", "repeats", "draws", "predictions", "random_maps"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        self.methods()

    @classmethod
    def quick(cls, saliency: Sequence[Explain] = ()) -> "Examination":
        """For a first look: fewer steps, draws and random maps, SmoothGrad of 10 and integrated gradients of 16."""
        return cls(
            saliency=tuple(
                {"smoothgrad": SmoothGrad(samples=10), "integrated_gradients": IntegratedGradients(steps=16)}.get(
                    name, name
                )
                if isinstance(name, str)
                else name
                for name in (saliency or cls.saliency)
            ),
            steps=10,
            repeats=1,
            draws=3,
            predictions=20,
            random_maps=19,
        )

    @classmethod
    def like(cls, evaluation: "Evaluation", saliency: Sequence[Explain] = (), *, full: bool = False) -> "Examination":
        """As a run was evaluated, so that its rows are a reference.

        Args:
            evaluation: of the run.
            saliency: methods; those of the evaluation by default, which otherwise lend their settings by name.
            full: as many draws of the replacing noise as the evaluation has, which change no mean but its error, and
                more random maps.
        """
        measured = {saliency_name(explain): explain for explain in evaluation.saliency}
        chosen = tuple(
            measured.get(explain, explain) if isinstance(explain, str) else explain
            for explain in (saliency or evaluation.saliency)
        )
        basis = cls() if full else cls.quick()

        def given(name: str) -> Any:
            value = getattr(evaluation, name)
            return getattr(cls, name) if value is None else value

        return cls(
            saliency=chosen,
            channels=evaluation.channels,
            fraction=given("fraction"),
            steps=given("steps"),
            repeats=(evaluation.repeats or PerturbationCurves.repeats) if full else basis.repeats,
            region=evaluation.region,
            fill=given("fill"),
            sigma=given("sigma"),
            draws=basis.draws,
            draws_of=tuple((name, given("draws")) for name in evaluation.stable()),
            predictions=basis.predictions,
            random_maps=basis.random_maps,
            seed=evaluation.seed,
        )

    def methods(self, *, chunk: int | None = None) -> dict[str, Saliency]:
        """The saliency functions by name; those that take several passes an image put ``chunk`` images in one."""
        names = [saliency_name(explain) for explain in self.saliency]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"saliency must name each kind of map once, got {twice[0]} {len(twice)} times")
        return {name: as_saliency(_chunked(explain, chunk)) for name, explain in zip(names, self.saliency, strict=True)}

    def counts(self, method: str) -> Counts:
        """What the figures of a method's map are counted over."""
        maps = dict(self.draws_of).get(method, self.draws)
        return Counts(self.random_maps, self.predictions, maps, more=self.random_maps < Examination.random_maps)

    def fitted(self, shape: tuple[int, int, int]) -> "Examination":
        """With the region, and no more steps than regions to replace, for images of this shape."""
        region = self.region or default_region(min(shape[1:]))
        regions = -(-shape[1] // region) * -(-shape[2] // region)
        return replace(self, region=region, steps=max(1, min(self.steps, int(regions * self.fraction + 1e-6))))


def _chunked(explain: Explain, chunk: int | None) -> Explain:
    if isinstance(explain, str):
        explain = {"smoothgrad": SmoothGrad(), "integrated_gradients": IntegratedGradients()}.get(explain, explain)
    several = isinstance(explain, SmoothGrad | IntegratedGradients) and explain.chunk is None
    return replace(explain, chunk=chunk) if several else explain  # type: ignore[type-var]


@dataclass(frozen=True, eq=False)
class MapFinding:
    """One map of one image, and what was measured of it.

    Attributes:
        attribution: (c, h, w), signed.
        heatmap: (h, w), non-negative.
        figures: numbers by name; NaN where one is undefined.
    """

    attribution: Tensor
    heatmap: Tensor
    figures: dict[str, float]


@dataclass(frozen=True, eq=False)
class Finding:
    """One image: what the network says, its maps, how far they agree.

    Attributes:
        target: class that was explained.
        probabilities: (classes,) softmax.
        maps: by name of the method.
        agreement: rank correlation of the region means of two maps, by their names.
    """

    target: int
    probabilities: Tensor
    maps: dict[str, MapFinding]
    agreement: dict[tuple[str, str], float]


class _Recorder:
    """A saliency function that keeps what it gave, so that the stability measure's maps serve the other measures."""

    def __init__(self, explain: Saliency) -> None:
        self.explain, self.given = explain, []  # type: tuple[Saliency, list[Tensor]]

    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Tensor:
        attribution = self.explain(model, x, target, create_graph=create_graph, generator=generator)
        self.given.append(attribution.detach())
        return attribution


def examine(
    model: nn.Module,
    x: Image,
    keys: Sequence[int],
    examination: Examination,
    *,
    target: int | None = None,
    judged: bool = True,
) -> list[Finding]:
    """Make the maps of a batch and measure them; batch mates change nothing but the rounding of sums.

    Of every map: ``gini``; ``aopc_morf``, ``aopc_lerf`` and their difference ``faithfulness``; ``ris`` and ``ros``;
    ``similarity``, the mean rank correlation of the region means of the clean image's map with those of its noisy
    copies, and ``similarity_error``, the standard error of that mean (NaN of a single copy). Of the image:
    ``stability_coverage``, the share of noisy copies that keep the prediction. Against random maps, each with its
    reverse, which is equally random and has the negative faithfulness: ``beats_random``, the share of them that are
    less faithful than the map, and ``random_aopc``, their mean decay.

    Args:
        model: network in eval mode.
        x: (n, c, h, w) images in [0, 1].
        keys: (n,) a number for each image, of which its draws are made.
        examination: what is measured.
        target: class that is explained; the predicted one by default.
        judged: measure too what only the judgement of an image needs: the predictions, the random maps.

    Returns:
        One finding an image.

    Raises:
        InputError: as the measures do.
    """
    examination = examination.fitted((x.shape[1], x.shape[2], x.shape[3]))
    draws = SampleDraws(examination.seed, tuple(keys))
    region = examination.region or 1
    chunk = usual_chunk(x.shape[1:], x.device)
    with torch.no_grad():
        logits = model(x)
    if not torch.isfinite(logits).all():
        raise InputError(f"the network's logits must be finite, got {logits[~torch.isfinite(logits)][0]:g}")
    probabilities = logits.softmax(1)
    targets = probabilities.argmax(1) if target is None else torch.full_like(logits.argmax(1), target)

    def curves(map_: Heatmap) -> tuple[Tensor, Tensor]:
        found = perturbation_curves(
            model,
            x,
            targets,
            map_,
            fraction=examination.fraction,
            steps=examination.steps,
            repeats=examination.repeats,
            region=region,
            fill=examination.fill,
            generator=draws,
            chunk=chunk,
        )
        return aopc(found["morf"]), aopc(found["lerf"])

    maps: dict[str, dict[str, Tensor]] = {}
    heatmaps: dict[str, Tensor] = {}
    attributions: dict[str, Tensor] = {}
    for name, explain in examination.methods(chunk=chunk).items():
        recorder = _Recorder(explain)
        count = examination.counts(name).maps
        found = relative_stability(model, x, targets, recorder, sigma=examination.sigma, draws=count, generator=draws)
        clean, *noisy = (heatmap(given, channels=examination.channels).abs() for given in recorder.given)
        regions = _region_means(clean, region)
        alike = torch.stack([rank_correlation(regions, _region_means(other, region)) for other in noisy])
        morf, lerf = curves(clean)
        maps[name] = {
            "gini": gini(clean),
            "aopc_morf": morf,
            "aopc_lerf": lerf,
            "faithfulness": morf - lerf,
            "ris": found["ris"],
            "ros": found["ros"],
            "similarity": alike.mean(0),
            "similarity_error": alike.std(0) / count**0.5 if count > 1 else torch.full_like(alike[0], torch.nan),
            "peak": clean.amax((1, 2)),
        }
        heatmaps[name], attributions[name] = clean, recorder.given[0]
    if judged:
        coverage = _coverage(model, x, probabilities.argmax(1), examination, draws)
        pairs = [
            curves(uniform((len(x), *x.shape[2:]), draws.of(f"random_map/{i}"), device=x.device).to(x.dtype))
            for i in range(examination.random_maps)
        ]
        one_way = torch.stack([morf - lerf for morf, lerf in pairs])
        both_ways = torch.cat([one_way, -one_way])
        mean = torch.stack([(morf + lerf) / 2 for morf, lerf in pairs]).mean(0)
        for figures in maps.values():
            figures["stability_coverage"] = coverage
            figures["beats_random"] = (both_ways < figures["faithfulness"]).to(x.dtype).mean(0)
            figures["random_aopc"] = mean
    means = {name: _region_means(map_, region) for name, map_ in heatmaps.items()}
    names = list(means)
    agreement = {
        (one, other): rank_correlation(means[one], means[other])
        for i, one in enumerate(names)
        for other in names[i + 1 :]
    }
    return [
        Finding(
            int(targets[i]),
            probabilities[i].cpu(),
            {
                name: MapFinding(attributions[name][i].cpu(), heatmaps[name][i].cpu(), _row(figures, i))
                for name, figures in maps.items()
            },
            _row(agreement, i),
        )
        for i in range(len(x))
    ]


def _coverage(model: nn.Module, x: Image, prediction: Label, examination: Examination, draws: SampleDraws) -> PerSample:
    """Share of noisy copies that keep the prediction."""
    kept = torch.zeros(len(x), device=x.device)
    for i in range(examination.predictions):
        noisy = noisy_image(x, draws.of(f"prediction/{i}"), sigma=examination.sigma)
        with torch.no_grad():
            kept += model(noisy).argmax(1) == prediction
    return kept / examination.predictions


def _row(columns: Mapping[Any, Tensor], i: int) -> dict[Any, float]:
    return {name: float(value[i]) for name, value in columns.items()}


def _region_means(map_: Heatmap, region: int) -> Heatmap:
    """Of the squares that the perturbation curves replace, so that what is compared is what is tested."""
    return F.avg_pool2d(map_[:, None], region, ceil_mode=True, count_include_pad=False)[:, 0]
