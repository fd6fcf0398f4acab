"""Everything that an evaluation measures of one batch of images: the chosen metrics with their settings, as columns."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pellucid.attacks import PGD
from pellucid.core.randomness import SampleDraws
from pellucid.core.types import Heatmap, Image, Label, Saliency
from pellucid.metrics import (
    Column,
    aopc,
    area_between,
    area_under,
    autoattack_correct,
    baseline_similarity,
    column_name,
    columns,
    compressed_size,
    default_region,
    effective_complexity,
    entropy,
    gini,
    gradient_variation,
    hessian_trace,
    hoyer,
    insertion_deletion,
    local_lipschitz,
    map_similarity,
    masking_probe,
    max_sensitivity,
    perturbation_curves,
    pixel_entropy,
    png_size,
    randomisation_similarity,
    randomise,
    relative_stability,
    road,
    robust_correct,
    robustness_curve,
    top_hessian_eigenvalue,
)
from pellucid.metrics.chunks import attribution_of, rows_of
from pellucid.metrics.definitions import BARE, COLUMNS, NOISES, is_of_map, stability_column
from pellucid.metrics.regions import Order
from pellucid.saliency import Channels, VanillaGradient, heatmap, in_chunks

__all__ = ["Measurement"]

SPARSITY = {
    "gini": gini,
    "entropy": entropy,
    "size_kb": compressed_size,
    "png_kb": png_size,
    "pixel_entropy": pixel_entropy,
    "hoyer": hoyer,
    "effective_complexity": effective_complexity,
}
FORMS: tuple[Literal["norm", "elementwise"], ...] = ("norm", "elementwise")
PERTURBED = ("aopc_morf", "aopc_lerf", "aopc_random", "area_between", "morf_curve", "lerf_curve", "random_curve")
SIGNED = ("stability", "sensitivity")  # families of the attribution itself, whose channels nothing has reduced


def _defaults(function: Callable[..., Any], *names: str) -> dict[str, Any]:
    """Settings that are left as the function has them."""
    parameters = inspect.signature(function).parameters
    return {name: parameters[name].default for name in names}


AUTOATTACK = _defaults(autoattack_correct, "version")
PROBES = _defaults(masking_probe, "restarts")
VARIATION = _defaults(gradient_variation, "radius", "draws")
EIGENVALUE = _defaults(top_hessian_eigenvalue, "iterations", "method")
TRACE = _defaults(hessian_trace, "draws", "method")
ROAD = _defaults(road, "shares", "noise")
REMOVAL = _defaults(insertion_deletion, "steps", "blank")
STABILITY = _defaults(relative_stability, "eps_min")
BETWEEN = _defaults(relative_stability, "between")
SIMILARITY = _defaults(map_similarity, "normalise")
SSIM = _defaults(map_similarity, "window", "data_range")
SENSITIVITY = {
    "local_lipschitz": (local_lipschitz, _defaults(local_lipschitz, "radius", "draws")),
    "max_sensitivity": (max_sensitivity, _defaults(max_sensitivity, "radius", "draws")),
}
ORDER = _defaults(randomisation_similarity, "order")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What is measured of every image, all settings filled in.

    Args:
        metrics: columns, as `pellucid.metrics.select` names them.
        saliency: saliency functions by name.
        stability: names of those whose stability, similarity and sensitivity are measured.
        channels: how an attribution becomes a heatmap.
        target: class that is explained, ``predicted`` or ``true``.
        attack: of ``robust_correct`` and the masking probes.
        restarts: its random starts.
        grid: radii of ``robust_curve``, rising.
        transfer: the network on which the transferred attack is computed.
        perturbation: arguments of `perturbation_curves`.
        noise: arguments of `relative_stability` and `map_similarity`.
        layer: name of the layer of RRS.
        shape: channels, height and width of the images.
        seed: of every draw.
        chunk: images in one forward pass.
    """

    metrics: tuple[str, ...]
    saliency: Mapping[str, Saliency]
    stability: tuple[str, ...]
    channels: Channels
    target: str
    attack: PGD
    restarts: int
    grid: tuple[float, ...]
    transfer: nn.Module | None
    perturbation: Mapping[str, Any]
    noise: Mapping[str, Any]
    layer: str
    shape: tuple[int, int, int]
    seed: int
    chunk: int

    def __call__(self, model: nn.Module, x: Image, label: Label, index: Sequence[int]) -> dict[str, Tensor]:
        """Measure a batch.

        Args:
            model: network in eval mode.
            x: (n, c, h, w) images in [0, 1].
            label: (n,) true class.
            index: position of each image in its split, which its draws depend on.

        Returns:
            Column by name, (n,) or, of a curve, (n, k); NaN where a measure is undefined.
        """
        draws = SampleDraws(self.seed, tuple(index))
        score, prediction = self.predicted(model, x)
        target = prediction if self.target == "predicted" else label
        found = {
            "index": torch.tensor(index),
            "label": label,
            "prediction": prediction,
            "score": score,
            **self._of_network(model, x, label, target, draws),
        }
        for name in self.saliency:
            measured = self._of_map(model, x, target, name, draws)
            found |= {column_name(measure, name): value for measure, value in measured.items()}
        return found

    def predicted(self, model: nn.Module, x: Image) -> tuple[Tensor, Tensor]:
        """Probability and number of the class that the network predicts, (n,) each."""
        with torch.no_grad():
            parts = [model(part).softmax(1).max(1) for part in torch.split(x, self.chunk)]
        return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])

    def heatmaps(self, model: nn.Module, x: Image, label: Label, index: Sequence[int]) -> dict[str, Tensor]:
        """Heatmaps to look at, (n, h, w).

        Returns:
            ``heatmap/NAME`` for each saliency method; where the sanity check is measured also ``randomised/NAME``,
            (n, layers, h, w): the maps of the networks whose layers are made random one after the other.
        """
        draws = SampleDraws(self.seed, tuple(index))
        target = self.predicted(model, x)[1] if self.target == "predicted" else label
        maps = {f"heatmap/{name}": self._heatmap(model, x, target, name, draws) for name in self.saliency}
        if self.wants("randomisation"):
            each: dict[str, list[Heatmap]] = {name: [] for name in self.saliency}
            for _, network in randomise(model, **ORDER, seed=self.seed):  # one copy of the network at a time
                for name in self.saliency:
                    each[name].append(self._heatmap(network, x, target, name, draws))
            maps |= {f"randomised/{name}": torch.stack(found, dim=1) for name, found in each.items()}
        return maps

    def _heatmap(self, model: nn.Module, x: Image, target: Label, name: str, draws: SampleDraws) -> Heatmap:
        attribution = attribution_of(self.saliency[name], model, x, target, lambda: draws.of(name), chunk=self.chunk)
        return heatmap(attribution, channels=self.channels)

    @cached_property
    def removal(self) -> dict[str, Any]:
        """Arguments of `insertion_deletion`."""
        side = min(self.shape[1:])
        return {**REMOVAL, "region": default_region(side), "sigma": side / 10}

    def noise_of(self, noise: str) -> dict[str, Any]:
        """The arguments of a stability measure that one of the noises listens to."""
        settings = BETWEEN if noise == "one-sided" else {"sigma": self.noise["sigma"]}
        return {"noise": noise, **settings, "draws": self.noise["draws"]}

    def columns(self, model: nn.Module) -> dict[str, Column]:
        """The meaning of every column, with the settings it was computed with."""
        table = columns(self.metrics, saliency=tuple(self.saliency), stability=self.stability)
        layers = [name for name, _ in randomise(model)] if self.wants("randomisation") else []
        found = {}
        for name, column in table.items():
            bare, _, method = name.partition("/")
            settings = {**column.parameters, **self._settings(bare, layers)}
            if is_of_map(bare):
                settings |= {"target": self.target}
                settings |= {} if column.family in SIGNED else {"channels": self.channels}
                settings |= _settings_of(self.saliency[method or BARE])
            found[name] = dataclasses.replace(column, parameters=_plain(settings))
        return found

    def _settings(self, name: str, layers: list[str]) -> Mapping[str, Any]:
        """What a column was computed with, but for what all columns of a map have in common."""
        if COLUMNS[name].family == "stability":
            found = self.noise_of(COLUMNS[name].parameters["noise"])
            if not name.startswith("stability_coverage"):
                found |= STABILITY
            return found | ({"layer": self.layer} if name.startswith("rrs") else {})
        if name.startswith("masking_"):
            return self._probe(name.removeprefix("masking_"))
        if name.startswith("road_"):
            return ROAD
        given: dict[str, Mapping[str, Any]] = {
            "robust_correct": _of_attack(self.attack) | {"restarts": self.restarts},
            "robust_curve": _of_attack(self.attack) | {"eps": self.grid, "restarts": self.restarts},
            "autoattack_correct": {"norm": self.attack.norm, "eps": self.attack.eps, **AUTOATTACK},
            "gradient_variation": {**VARIATION, "target": self.target},
            "top_hessian_eigenvalue": EIGENVALUE,
            "hessian_trace": TRACE,
            **{name: {**self.perturbation, "score": "probability"} for name in PERTURBED},
            "insertion": {key: value for key, value in self.removal.items() if key != "blank"},
            "deletion": {key: value for key, value in self.removal.items() if key != "sigma"},
            "map_ssim": {**self.noise, **SIMILARITY, **SSIM},
            "map_rank_correlation": {**self.noise, **SIMILARITY},
            **{measure: settings for measure, (_, settings) in SENSITIVITY.items()},
            "randomisation": {**ORDER, "layers": layers, "seed": self.seed},
            "randomisation_last": {**ORDER, "layers": layers, "seed": self.seed},
            "randomisation_networks": {"seeds": (self.seed, self.seed + 1)},
        }
        return given.get(name, {})

    def _probe(self, name: str) -> dict[str, Any]:
        """The attack of a probe, as `masking_probe` makes it of the one that is probed."""
        attack = self.attack
        radius = 1.0 if attack.norm == "linf" else math.sqrt(math.prod(self.shape))
        steps = max(attack.steps, 50)
        changes: dict[str, dict[str, Any]] = {
            "one_step": {"step_size": attack.eps, "steps": 1, "random_start": False},
            "long": {"steps": 5 * attack.steps},
            "unbounded": {"eps": radius, "step_size": 2.5 * radius / steps, "steps": steps, "random_start": False},
        }
        restarts = PROBES["restarts"] if name == "restarts" else 1
        return _of_attack(dataclasses.replace(attack, **changes.get(name, {}))) | {"restarts": restarts}

    def wants(self, *prefixes: str) -> bool:
        """Whether a column that begins so is measured."""
        return any(name.startswith(prefixes) for name in self.metrics)

    def _of_network(
        self, model: nn.Module, x: Image, label: Label, target: Label, draws: SampleDraws
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        if "robust_correct" in self.metrics:
            found["robust_correct"] = self._robust_correct(model, x, label, draws)
        if "robust_curve" in self.metrics:
            found["robust_curve"] = robustness_curve(
                model, x, label, self.attack, eps=self.grid, restarts=self.restarts, generator=draws, chunk=self.chunk
            )
        if "autoattack_correct" in self.metrics:
            found["autoattack_correct"] = autoattack_correct(
                model,
                x,
                label,
                eps=self.attack.eps,
                norm=self.attack.norm,
                chunk=self.chunk,
                seed=self.seed,
                **AUTOATTACK,
            )
        if self.wants("masking_"):
            probes = masking_probe(
                model, x, label, self.attack, **PROBES, transfer=self.transfer, generator=draws, chunk=self.chunk
            )
            found |= {f"masking_{name}": right for name, right in probes.items()}
        drawn: dict[str, Any] = {"chunk": self.chunk, "generator": draws}
        if "gradient_variation" in self.metrics:
            found["gradient_variation"] = gradient_variation(model, x, target, **VARIATION, **drawn)
        if "top_hessian_eigenvalue" in self.metrics:
            found["top_hessian_eigenvalue"] = top_hessian_eigenvalue(model, x, label, **EIGENVALUE, **drawn)
        if "hessian_trace" in self.metrics:
            found["hessian_trace"] = hessian_trace(model, x, label, **TRACE, **drawn)
        return {name: value for name, value in found.items() if name in self.metrics}

    def _robust_correct(self, model: nn.Module, x: Image, label: Label, draws: SampleDraws) -> Tensor:
        def correct(x: Image, label: Label, rows: Tensor) -> Tensor:
            source = rows_of(draws, rows.tolist(), len(draws.index))
            return robust_correct(model, x, label, self.attack, restarts=self.restarts, generator=source)

        return in_chunks(correct, x, label, torch.arange(len(x)), chunk=self.chunk)

    def _of_map(self, model: nn.Module, x: Image, target: Label, name: str, draws: SampleDraws) -> dict[str, Tensor]:
        saliency = self.saliency[name]
        values = self._heatmap(model, x, target, name, draws)
        if self.channels == "signed_mean":
            values = values.abs()
        found = {name: measure(values) for name, measure in SPARSITY.items() if name in self.metrics}
        found |= self._faithfulness(model, x, target, values, draws)
        if name in self.stability:
            found |= self._steadiness(model, x, target, saliency, draws)
        if self.wants("randomisation"):
            random: dict[str, Any] = {
                "channels": self.channels,
                "seed": self.seed,
                "chunk": self.chunk,
                "generator": draws,
            }
            similarity = randomisation_similarity(model, x, target, saliency, **ORDER, **random)
            found["randomisation"] = torch.stack(list(similarity.values()), dim=1)
            found["randomisation_last"] = found["randomisation"][:, -1]
            if self.wants("randomisation_edges", "randomisation_networks"):
                baseline = baseline_similarity(model, x, target, saliency, **random)
                found["randomisation_edges"] = baseline["edge_map"]
                found["randomisation_networks"] = baseline["random_networks"]
        return {name: value for name, value in found.items() if name in self.metrics}

    def _faithfulness(
        self, model: nn.Module, x: Image, target: Label, values: Heatmap, draws: SampleDraws
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        orders: list[Order] = [order for order in get_args(Order) if f"{order}_curve" in self.metrics]
        if orders:
            curves = perturbation_curves(
                model, x, target, values, orders=orders, generator=draws, chunk=self.chunk, **self.perturbation
            )
            for order, curve in curves.items():
                found |= {f"{order}_curve": curve, f"aopc_{order}": aopc(curve)}
            if "area_between" in self.metrics:
                found["area_between"] = area_between(curves["morf"], curves["lerf"])
        orders = [order for order in get_args(Order) if f"road_{order}_curve" in self.metrics]
        if orders:
            kept = road(model, x, target, values, orders=orders, generator=draws, chunk=self.chunk, **ROAD)
            for order, curve in kept.items():
                found |= {f"road_{order}_curve": curve, f"road_{order}": curve.mean(dim=1)}
        if self.wants("insertion", "deletion"):
            probability = insertion_deletion(model, x, target, values, chunk=self.chunk, **self.removal)
            found |= {name: area_under(curve) for name, curve in probability.items()}
        return found

    def _steadiness(
        self, model: nn.Module, x: Image, target: Label, saliency: Saliency, draws: SampleDraws
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for noise, ending in NOISES.items():
            wanted: list[tuple[str, Literal["norm", "elementwise"]]] = [
                (measure, form)
                for measure in ("ris", "ros", "rrs")
                for form in FORMS
                if stability_column(measure, form=form, noise=noise) in self.metrics
            ]
            if not wanted:
                continue
            forms = {form for _, form in wanted}
            stability = relative_stability(
                model,
                x,
                target,
                saliency,
                form="both" if len(forms) == 2 else next(iter(forms)),
                layer=self.layer if any(measure == "rrs" for measure, _ in wanted) else None,
                chunk=self.chunk,
                generator=draws,
                **STABILITY,
                **self.noise_of(noise),
            )
            found["stability_coverage" + ending] = stability.pop("coverage")
            found |= {name + ending: value for name, value in stability.items()}
        if self.wants("map_"):
            similarity = map_similarity(
                model,
                x,
                target,
                saliency,
                channels=self.channels,
                chunk=self.chunk,
                generator=draws,
                **SIMILARITY,
                **SSIM,
                **self.noise,
            )
            found |= {
                "map_ssim": similarity["ssim"],
                "map_rank_correlation": similarity["rank_correlation"],
                "stability_coverage": similarity["coverage"],
            }
        for name, (measure, settings) in SENSITIVITY.items():
            if name in self.metrics:
                found[name] = measure(model, x, target, saliency, chunk=self.chunk, generator=draws, **settings)
        return found


def _of_attack(attack: PGD) -> dict[str, Any]:
    names = ("norm", "eps", "step_size", "steps", "random_start")
    return {"attack": "PGD", **{name: getattr(attack, name) for name in names}}


def _settings_of(saliency: Any) -> dict[str, str]:
    """How a saliency method with settings is set, but for its ``chunk``, which changes no number."""
    if isinstance(saliency, VanillaGradient) and saliency.score == VanillaGradient.score:
        return {}
    if not dataclasses.is_dataclass(saliency):
        return {}
    names = [field.name for field in dataclasses.fields(saliency) if field.repr and field.name != "chunk"]
    settings = ", ".join(f"{name}={getattr(saliency, name)!r}" for name in names)
    return {"saliency": f"{type(saliency).__name__}({settings})"}


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as JSON gives them back."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
