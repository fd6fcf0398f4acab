"""Everything that an evaluation measures of one batch of images: the chosen metrics over shared cases."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError, raised
from pellucid.core.types import Heatmap, Image, Label, Saliency
from pellucid.metrics import Case, Column, Metric, Randomisation, randomise
from pellucid.metrics.measure import measured
from pellucid.metrics.suite import BARE, column_name, is_foreign, meanings
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
        failed: why a metric was left out, by its name; filled while measuring.
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

    def __call__(self, model: nn.Module, x: Image, label: Label, index: Sequence[int]) -> dict[str, Tensor]:
        """Measure a batch.

        A metric of the user's own that fails, or one of pellucid's that the network cannot bear, is left out and
        noted in ``failed``; the others are kept.

        Args:
            model: network in eval mode.
            x: (n, c, h, w) images in [0, 1].
            label: (n,) true class.
            index: position of each image in its split, which its draws depend on.

        Returns:
            Column by name, (n,) or, of a curve, (n, k); NaN where a measure is undefined.

        Raises:
            InputError: settings that one of pellucid's metrics refuses.
        """
        parts = [self._measured(case) for case in self._cases(model, x, label, index)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0] if all(name in p for p in parts)}

    def _cases(self, model: nn.Module, x: Image, label: Label, index: Sequence[int]) -> Iterator[Case]:
        """The batch in parts of at most ``chunk`` images."""
        for first in range(0, len(x), self.chunk):
            part = slice(first, first + self.chunk)
            yield Case(
                model=model,
                x=x[part],
                label=label[part],
                index=torch.tensor(list(index[part])),
                explained=label[part] if self.target == "true" else None,
                seed=self.seed,
                channels=self.channels,
                chunk=self.chunk,
                transfer=self.transfer,
            )

    def _measured(self, case: Case) -> dict[str, Tensor]:
        values = {"index": case.index, "label": case.label, "prediction": case.prediction, "score": case.score}
        for metric in self.metrics:
            if metric.about == "network":
                values |= self._of(metric, case, BARE)
        for name, saliency in self.saliency.items():
            own = dataclasses.replace(case, saliency=saliency, name=name, explained=case.target)
            for metric in self.metrics:
                if metric.about == "map" or (metric.about == "noisy maps" and name in self.stability):
                    values |= self._of(metric, own, name)
        return values

    def _of(self, metric: Metric, case: Case, method: str) -> dict[str, Tensor]:
        kind = type(metric).__name__
        if kind in self.failed:
            return {}
        try:
            values = measured(metric, case)
        except Exception as error:
            if isinstance(error, InputError) and not is_foreign(metric):
                raise
            self.failed[kind] = f"{kind} was left out: {raised(error)}"[:500]
            print(f"pellucid: {self.failed[kind]}", file=sys.stderr)
            return {}
        return {column_name(name, method): value for name, value in values.items()}

    def columns(self, model: nn.Module) -> dict[str, Column]:
        """The meaning of every column, with the settings it was computed with."""
        table = meanings(self.metrics, saliency=tuple(self.saliency), stability=self.stability)
        complete = {}
        for name, (metric, column) in table.items():
            method = name.partition("/")[2] or BARE
            settings = {**column.parameters, **metric.settings(name.partition("/")[0], model, self.seed)}
            if column.of_map or metric.explains:
                settings["target"] = self.target
            if column.of_map:
                settings |= {} if metric.signed else {"channels": self.channels}
                settings |= _settings_of(self.saliency[method])
            complete[name] = dataclasses.replace(column, parameters=_plain(settings))
        return complete

    def aggregates(self) -> dict[str, Column]:
        """The meaning of the numbers of all images together that the metrics name beside their columns."""
        return {name: column for metric in self.metrics for name, column in metric.aggregates.items()}

    def heatmaps(self, model: nn.Module, x: Image, label: Label, index: Sequence[int]) -> dict[str, Tensor]:
        """What is looked at of some images: predictions and heatmaps.

        Returns:
            ``prediction`` and ``score``, (n,); ``heatmap/NAME`` for each saliency method, (n, h, w); where the sanity
            check is measured also ``randomised/NAME``, (n, layers, h, w): the maps of the networks whose layers are
            made random one after the other.
        """
        cases = list(self._cases(model, x, label, index))

        def each(number: Callable[[Case], Tensor]) -> Tensor:
            return torch.cat([number(case) for case in cases])

        def maps(network: nn.Module, name: str) -> Heatmap:
            def of(case: Case) -> Heatmap:
                target = case.target  # the trained network's, whichever network is explained
                own = dataclasses.replace(
                    case, model=network, saliency=self.saliency[name], name=name, explained=target
                )
                return own.signed_heatmap

            return each(of)

        found = {"prediction": each(lambda case: case.prediction), "score": each(lambda case: case.score)}
        found |= {f"heatmap/{name}": maps(model, name) for name in self.saliency}
        checks = [metric for metric in self.metrics if isinstance(metric, Randomisation)]
        if checks:
            random: dict[str, list[Heatmap]] = {name: [] for name in self.saliency}
            for _, network in randomise(model, order=checks[0].order, seed=self.seed):  # one copy at a time
                for name in self.saliency:
                    random[name].append(maps(network, name))
            found |= {f"randomised/{name}": torch.stack(layers, dim=1) for name, layers in random.items()}
        return found


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
