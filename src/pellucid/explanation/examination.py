"""What a trust card measures of the maps of an image: its examination is a suite of metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from pellucid.config import to_config
from pellucid.core.checks import at_least, one_of
from pellucid.core.errors import InputError
from pellucid.core.types import Saliency
from pellucid.explanation.card import FIGURES
from pellucid.explanation.trust_metrics import PredictionKept, RandomMaps, Steadiness
from pellucid.explanation.trust_rules import Counts, Thresholds
from pellucid.metrics import (
    Column,
    Gini,
    Metric,
    PerturbationCurves,
    RelativeStability,
    default_region,
)
from pellucid.metrics.metric import Images
from pellucid.metrics.suite import is_foreign, select
from pellucid.saliency import Channels, Explain, IntegratedGradients, SmoothGrad, as_saliency, by_name

if TYPE_CHECKING:
    from pellucid.runs.evaluation import Evaluation

__all__ = ["Examination"]

UNKNOWN = Images((1, 1, 1), "the image of a card", known=())
"""Nobody has said what decides the class of an image that is explained."""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Which maps are made of an image, and which metrics measure them.

    Args:
        saliency: methods, as in `pellucid.Evaluation`; the first is the one that the card speaks of.
        channels: how channels are reduced to a heatmap, of which the magnitude is taken.
        curves: how the perturbation curves of the maps and of random maps are measured. Its region is that of every
            figure; there are never more steps than regions to replace.
        stability: how RIS and ROS are measured. Its ``sigma`` is that of every figure, its ``draws`` the noisy copies
            whose maps are made.
        draws_of: other numbers of noisy copies by method, where a reference was measured with them.
        predictions: noisy copies of which only the prediction is looked at.
        random_maps: random maps that a map is compared with.
        metrics: what else is measured, as in `pellucid.Evaluation`; each number that is no curve is a figure of the
            card after pellucid's own.
        seed: of every draw.
        thresholds: of the card's rules.

    Raises:
        InputError: numbers that cannot be, an unknown name, a metric of your own with a column of the card's.

    >>> list(Examination(metrics=("hoyer",)).columns())[-2:]
    ['random_aopc', 'hoyer']
    """

    saliency: tuple[Explain, ...] = ("vanilla_gradient", "smoothgrad", "integrated_gradients")
    channels: Channels = "mean_abs"
    curves: PerturbationCurves = field(default_factory=lambda: PerturbationCurves(repeats=2))
    stability: RelativeStability = field(default_factory=RelativeStability)
    draws_of: tuple[tuple[str, int], ...] = ()
    predictions: int = 50
    random_maps: int = 39
    metrics: tuple[str | Metric, ...] = ()
    seed: int = 0
    thresholds: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        by_name(self.saliency)
        one_of(get_args(Channels), channels=self.channels)
        at_least(1, predictions=self.predictions, random_maps=self.random_maps)
        given = {*self.curves.columns, *self.stability.columns}
        if not given >= {"aopc_morf", "aopc_lerf", "ris", "ros"}:
            raise InputError(f"a card needs aopc_morf, aopc_lerf, ris and ros, got {', '.join(sorted(given))}")
        for metric in select(self.metrics, UNKNOWN):
            taken = set(metric.columns) & set(FIGURES)
            if is_foreign(metric) and taken:
                kind = type(metric).__name__
                raise InputError(f"the column {min(taken)!r} of {kind} is one of the card's; give it another name")
        self.methods()

    @classmethod
    def quick(cls, saliency: Sequence[Explain] = ()) -> "Examination":
        """For a first look: fewer steps, draws and random maps, SmoothGrad of 10 and integrated gradients of 16."""
        few = {"smoothgrad": SmoothGrad(samples=10), "integrated_gradients": IntegratedGradients(steps=16)}
        return cls(
            saliency=_named(saliency or cls.saliency, few),
            curves=PerturbationCurves(steps=10, repeats=1),
            stability=RelativeStability(draws=3),
            predictions=20,
            random_maps=19,
        )

    @classmethod
    def like(cls, evaluation: "Evaluation", saliency: Sequence[Explain] = (), *, full: bool = False) -> "Examination":
        """As a run was evaluated, so that its rows are a reference; with the user's own metrics among the evaluation's.

        Args:
            evaluation: of the run.
            saliency: methods; those of the evaluation by default, which otherwise lend their settings by name.
            full: as many draws of the replacing noise as the evaluation has, which change no mean but its error, and
                more random maps.
        """
        basis = cls() if full else cls.quick()
        curves = _as_evaluated(PerturbationCurves(), evaluation)
        stability = _as_evaluated(RelativeStability(), evaluation)
        return replace(
            basis,
            saliency=_named(saliency or evaluation.saliency, by_name(evaluation.saliency)),
            channels=evaluation.channels,
            curves=replace(
                curves, orders=("morf", "lerf"), further=(), repeats=curves.repeats if full else basis.curves.repeats
            ),
            stability=replace(stability, measures=("ris", "ros"), forms=("norm",), draws=basis.stability.draws),
            draws_of=tuple((name, stability.draws) for name in evaluation.stable()),
            metrics=tuple(
                metric
                for metric in evaluation.chosen()
                if is_foreign(metric) and not metric.needs and not FIGURES.keys() & metric.columns
            ),
            seed=evaluation.seed,
        )

    def methods(self, *, chunk: int | None = None) -> dict[str, Saliency]:
        """The saliency functions by name; those that take several passes an image put ``chunk`` images in one."""
        return {name: as_saliency(_chunked(explain, chunk)) for name, explain in by_name(self.saliency).items()}

    def further(self) -> tuple[Metric, ...]:
        """The metrics that are measured beside the card's own."""
        return self._further

    @cached_property
    def _further(self) -> tuple[Metric, ...]:
        return tuple(metric for metric in select(self.metrics, UNKNOWN) if set(metric.columns) - set(FIGURES))

    def suite(self, method: str) -> tuple[Metric, ...]:
        """All metrics that measure a method's map and its image; those behind the card's own figures come last."""
        sigma, draws = self.stability.sigma, self.counts(method).maps
        return (
            *self.further(),
            Gini(),
            self.curves,
            replace(self.stability, draws=draws),
            Steadiness(sigma=sigma, draws=draws, region=self.curves.region or 1),
            PredictionKept(sigma=sigma, draws=self.predictions),
            RandomMaps(curves=self.curves, maps=self.random_maps),
        )

    def columns(self) -> dict[str, Column]:
        """The meaning of each figure by name, in the order in which they are told."""
        further = {
            name: replace(column, of_map=metric.about != "network")
            for metric in self.further()
            for name, column in metric.columns.items()
            if not column.curve
        }
        return FIGURES | further | FIGURES

    def settings(self) -> dict[str, Any]:
        """What a card says of how it was made, as plain data."""
        return {
            "saliency": list(self.methods()),
            "channels": self.channels,
            **self.curves.settings("aopc_morf"),
            **self.stability.settings("stability_coverage"),
            "draws_of": dict(self.draws_of),
            "predictions": self.predictions,
            "random_maps": self.random_maps,
            "seed": self.seed,
            "metrics": {
                type(metric).__name__: to_config(dict(metric.settings(next(iter(metric.columns)))))
                for metric in self.further()
            },
            **({} if self.thresholds == Thresholds() else {"thresholds": to_config(self.thresholds)}),
        }

    def counts(self, method: str) -> Counts:
        """What the figures of a method's map are counted over."""
        maps = dict(self.draws_of).get(method, self.stability.draws)
        more = self.random_maps < Examination.random_maps
        return Counts(self.random_maps, self.predictions, maps, more, self.stability.sigma)

    def fitted(self, shape: tuple[int, int, int]) -> "Examination":
        """With the region, and no more steps than regions to replace, for images of this shape."""
        region = self.curves.region or default_region(min(shape[1:]))
        regions = -(-shape[1] // region) * -(-shape[2] // region)
        steps = max(1, min(self.curves.steps, int(regions * self.curves.fraction + 1e-6)))
        metrics = tuple(metric.fitted(Images(shape)) for metric in self.further())
        return replace(self, curves=replace(self.curves, region=region, steps=steps), metrics=metrics)


def _named(saliency: Sequence[Explain], settings: Mapping[str, Explain]) -> tuple[Explain, ...]:
    """The methods, with settings where one is given by a name that has some."""
    return tuple(settings.get(explain, explain) if isinstance(explain, str) else explain for explain in saliency)


def _as_evaluated(metric: Any, evaluation: "Evaluation") -> Any:
    """The metric with the settings with which an evaluation measures it, or would."""
    for chosen in evaluation.chosen():
        usual = getattr(chosen, "noise", "gaussian") == "gaussian" and not getattr(chosen, "suffix", "")
        if type(chosen) is type(metric) and usual:
            return chosen
    return metric.overridden({name: getattr(evaluation, name) for name in metric.follows})


def _chunked(explain: Explain, chunk: int | None) -> Explain:
    (explain,) = _named([explain], {"smoothgrad": SmoothGrad(), "integrated_gradients": IntegratedGradients()})
    several = isinstance(explain, SmoothGrad | IntegratedGradients) and explain.chunk is None
    return replace(explain, chunk=chunk) if several else explain  # type: ignore[type-var]
