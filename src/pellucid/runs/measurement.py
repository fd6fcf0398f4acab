"""Everything that an evaluation measures of one batch of images: the chosen metrics over shared cases."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.config import to_config
from pellucid.core.errors import InputError, raised
from pellucid.core.types import Heatmap, Image, Label, Saliency
from pellucid.data.splits import Truth
from pellucid.metrics import Case, Column, Metric, Randomisation, randomise
from pellucid.metrics.families.prediction import Prediction
from pellucid.metrics.measure import measured
from pellucid.metrics.suite import BARE, column_name, is_foreign, meanings, split
from pellucid.saliency import Channels, VanillaGradient

__all__ = ["Measurement"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What is measured of every image, all settings filled in.

    Args:
        metrics: as `pellucid.metrics.suite.select` returns them, fitted to the images.
        saliency: saliency functions by name.
        stability: names of those whose noisy maps are looked at too.
        channels: how an attribution becomes a heatmap.
        target: class that is explained.
        transfer: the network on which the transferred attack is computed.
        seed: of every draw.
        chunk: images in one forward pass, and in one case, which bounds memory.
        failed: why a metric was left out, by the names of its columns; filled while measuring.
    """

    metrics: tuple[Metric, ...]
    saliency: Mapping[str, Saliency]
    stability: tuple[str, ...]
    channels: Channels = "mean_abs"
    target: Literal["predicted", "true"] = "predicted"
    transfer: nn.Module | None = None
    seed: int = 0
    chunk: int = 128
    failed: dict[str, str] = field(default_factory=dict)

    def __call__(
        self,
        model: nn.Module,
        x: Image,
        label: Label,
        index: Sequence[int],
        truth: Truth | None = None,
        *,
        kept: list[dict[str, Tensor]] | None = None,
    ) -> dict[str, Tensor]:
        """Measure a batch.

        A metric of the user's own that fails, or one of pellucid's that the network cannot bear, is left out and
        noted in ``failed``; the others are kept.

        Args:
            model: network in eval mode.
            x: (n, c, h, w) images in [0, 1].
            label: (n,) true class.
            index: position of each image in its split, which its draws depend on.
            truth: what is known of what decides the class of these images, as ``Dataset.truth_of`` gives it.
            kept: takes what `heatmaps` gives of each part of the batch, where the maps are wanted afterwards.

        Returns:
            Column by name, (n,) or, of a curve, (n, k); NaN where a measure is undefined.

        Raises:
            InputError: settings that one of pellucid's metrics refuses; a metric that changes what all share.
        """
        parts = [self._measured(case, kept) for case in self.cases(model, x, label, index, truth)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0] if all(name in p for p in parts)}

    def cases(
        self, model: nn.Module, x: Image, label: Label, index: Sequence[int], truth: Truth | None = None
    ) -> Iterator[Case]:
        """The batch in parts of at most ``chunk`` images; its arguments are those of a call."""
        for first in range(0, len(x), self.chunk):
            part = slice(first, first + self.chunk)
            known = {} if truth is None else _known(truth, part, x.device)
            yield Case(
                model=model, x=x[part], label=label[part], index=torch.tensor(list(index[part])), seed=self.seed,
                explained=label[part] if self.target == "true" else None, channels=self.channels, chunk=self.chunk,
                transfer=self.transfer, **known,
            )  # fmt: skip

    def _measured(self, case: Case, kept: list[dict[str, Tensor]] | None) -> dict[str, Tensor]:
        seen = {"prediction": case.prediction, "score": case.score}
        values = dict(Prediction()(case))
        for metric in self.metrics:
            if metric.about == "network":
                values |= self._of(metric, case, BARE)
        for name, saliency in self.saliency.items():
            of_method = dataclasses.replace(case, saliency=saliency, name=name, explained=case.target)
            for metric in self.metrics:
                if metric.about == "map" or (metric.about == "noisy maps" and name in self.stability):
                    values |= self._of(metric, of_method, name)
            if kept is not None:
                seen[f"heatmap/{name}"] = of_method.signed_heatmap
        if kept is not None:
            kept.append({name: value.detach().cpu() for name, value in seen.items()})
        return values

    def _of(self, metric: Metric, case: Case, method: str) -> dict[str, Tensor]:
        kind, key = type(metric).__name__, " ".join(metric.columns)
        if key in self.failed:
            return {}
        before = _versions(case)
        try:
            values = measured(metric, case)
        except Exception as error:
            if isinstance(error, InputError) and not is_foreign(metric):
                raise
            self.failed[key] = f"{kind} was left out: {raised(error)}"[:500]
            print(f"pellucid: {self.failed[key]}", file=sys.stderr)
            return {}
        finally:
            after = _versions(case)
            if any(after[tensor] != version for tensor, version in before.items()):
                raise InputError(
                    f"{kind} changes a tensor of the case in place, which all metrics share; change a copy"
                )
        return {column_name(name, method): value for name, value in values.items()}

    def columns(self, model: nn.Module) -> dict[str, Column]:
        """The meaning of every column, with the settings it was computed with."""
        table = meanings(self.metrics, saliency=tuple(self.saliency), stability=self.stability)
        complete = {}
        for name, (metric, column) in table.items():
            measure, method = split(name)
            settings = {**column.parameters, **metric.settings(measure, model, self.seed)}
            if column.of_map or metric.explains:
                settings["target"] = self.target
            if column.of_map:
                settings |= {} if metric.signed else {"channels": self.channels}
                settings |= _settings_of(self.saliency[method])
            complete[name] = dataclasses.replace(column, parameters=to_config(settings))
        return complete

    def aggregates(self) -> dict[str, Column]:
        """The meaning of the numbers of all images together that the metrics name beside their columns."""
        return {name: column for metric in self.metrics for name, column in metric.aggregates.items()}

    @property
    def randomises(self) -> bool:
        """Whether `heatmaps` has the maps of networks whose layers are made random too."""
        return any(isinstance(metric, Randomisation) for metric in self.metrics)

    def heatmaps(self, model: nn.Module, x: Image, label: Label, index: Sequence[int]) -> dict[str, Tensor]:
        """What is looked at of some images: predictions and heatmaps.

        Returns:
            ``prediction`` and ``score``, (n,); ``heatmap/NAME`` for each saliency method, (n, h, w); where the sanity
            check is measured also ``randomised/NAME``, (n, layers, h, w): the maps of the networks whose layers are
            made random one after the other.
        """
        cases = list(self.cases(model, x, label, index))

        def maps(network: nn.Module, name: str) -> Heatmap:
            # The target is the trained network's, whichever network is explained.
            method: dict[str, Any] = {"model": network, "saliency": self.saliency[name], "name": name}
            parts = [dataclasses.replace(case, explained=case.target, **method) for case in cases]
            return torch.cat([part.signed_heatmap for part in parts])

        seen = {
            "prediction": torch.cat([case.prediction for case in cases]),
            "score": torch.cat([case.score for case in cases]),
            **{f"heatmap/{name}": maps(model, name) for name in self.saliency},
        }
        checks = [metric for metric in self.metrics if isinstance(metric, Randomisation)]
        if checks:
            random: dict[str, list[Heatmap]] = {name: [] for name in self.saliency}
            for _, network in randomise(model, order=checks[0].order, seed=self.seed):  # one copy at a time
                for name in self.saliency:
                    random[name].append(maps(network, name))
            seen |= {f"randomised/{name}": torch.stack(layers, dim=1) for name, layers in random.items()}
        return seen


def _known(truth: Truth, rows: slice, device: torch.device) -> dict[str, Any]:
    """What a case is told of the truth of some images of a batch, in pixels from 0 to 1."""
    return {
        "mask": truth.masks(torch.arange(len(truth.mask))[rows]).to(device),
        "changed": {name: images[rows].to(device).float() / 255 for name, images in truth.changed.items()},
        "parts": {name: masks[rows].to(device) for name, masks in truth.parts.items()},
    }


def _versions(case: Case) -> dict[int, int]:
    """How often each tensor that a case keeps was changed in place, by its identity."""
    copies = vars(case).get("_copies")
    versions = [] if copies is None else [vars(version) for version in copies.versions]
    kept = [tensor for kept in (vars(case), case.changed, case.parts, *versions) for tensor in kept.values()]
    return {id(tensor): tensor._version for tensor in kept if isinstance(tensor, Tensor)}


def _settings_of(saliency: Any) -> dict[str, str]:
    """How a saliency method with settings is set, but for its ``chunk``, which changes no number."""
    if isinstance(saliency, VanillaGradient) and saliency.score == VanillaGradient.score:
        return {}
    if not dataclasses.is_dataclass(saliency):
        return {}
    names = [field.name for field in dataclasses.fields(saliency) if field.repr and field.name != "chunk"]
    settings = ", ".join(f"{name}={getattr(saliency, name)!r}" for name in names)
    return {"saliency": f"{type(saliency).__name__}({settings})"}
