"""Everything that an evaluation measures of one batch of images: the chosen metrics over shared cases.

With several labels per image one is explained, and its network is seen as one of two classes (`OneLabel`): images with
the same explained label make one case, so that every metric means for a label what it means for a class.
"""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.config import to_config
from pellucid.core.errors import InputError, NotFinite, raised
from pellucid.core.notes import tell
from pellucid.core.randomness import SampleDraws, pinned
from pellucid.core.types import Heatmap, Image, Label, Saliency, Task
from pellucid.data.splits import Truth
from pellucid.metrics import Case, Column, Metric, Prediction, Randomisation, randomise
from pellucid.metrics.measure import measured
from pellucid.metrics.suite import BARE, column_name, is_foreign, meanings, split
from pellucid.models import OneLabel
from pellucid.runs.labels import LABEL_COLUMNS, explained_labels, label_numbers
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
        task: ``multilabel`` for a network with several labels per image.
        label: number of the label that is explained in every image; where its truth is not known, numbers about the
            network alone, such as whether an attack succeeds, are undefined. None for that of ``target``.
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
    task: Task = "multiclass"
    label: int | None = None
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

        A metric of the user's own that fails, or one of pellucid's that the network cannot bear, such as where its
        gradient is not finite for an image, is left out and noted in ``failed``; the others are kept.

        Args:
            model: network in eval mode.
            x: (n, c, h, w) images in [0, 1].
            label: (n,) true class, or (n, k) labels.
            index: position of each image in its split, which its draws depend on.
            truth: what is known of what decides the class of these images, as ``Dataset.truth_of`` gives it.
            kept: takes what `heatmaps` gives of each part of the batch, where the maps are wanted afterwards.

        Returns:
            Column by name, (n,) or, of a curve, (n, k); NaN where a measure is undefined.

        Raises:
            InputError: settings that one of pellucid's metrics refuses; a metric that changes what all share.
        """
        parts: list[dict[str, Tensor]] = []
        seen: list[dict[str, Tensor]] = []
        for part in self._parts(model, x, label, index, truth):
            parts.append(self._measured(part, seen if kept is not None else None))
        rows = {name: torch.cat([part[name] for part in parts]) for name in parts[0] if all(name in p for p in parts)}
        if kept is not None:
            kept.append(
                {name: _in_order(rows["index"], index, torch.cat([part[name] for part in seen])) for name in seen[0]}
            )
        return {name: _in_order(rows["index"], index, values) for name, values in rows.items()}

    def cases(
        self, model: nn.Module, x: Image, label: Tensor, index: Sequence[int], truth: Truth | None = None
    ) -> Iterator[Case]:
        """The batch in parts of at most ``chunk`` images; its arguments are those of a call."""
        return (part.case for part in self._parts(model, x, label, index, truth))

    def _parts(
        self, model: nn.Module, x: Image, label: Tensor, index: Sequence[int], truth: Truth | None = None
    ) -> Iterator["_Part"]:
        """The cases with what is said of their images; with several labels per image one for each explained label."""
        for first in range(0, len(x), self.chunk):
            rows = torch.arange(len(x))[first : first + self.chunk]
            if self.task == "multiclass":
                explained = label[rows] if self.target == "true" else None
                yield _Part(self._case(model, x, label, index, rows, explained, truth))
                continue
            drawn = SampleDraws(self.seed, tuple(index[row] for row in rows.tolist()))
            with pinned(drawn, "logits", device=x.device), torch.no_grad():
                logits = model(x[rows])
            chosen = explained_labels(logits, label[rows], self.target)
            if self.label is not None:
                chosen = torch.full_like(chosen, self.label)
            numbers = label_numbers(logits, label[rows], chosen)
            for number in sorted(set(chosen.tolist())):
                here = (chosen == number).nonzero()[:, 0].cpu()
                applies, yes = (label[:, number] > 0).long(), label.new_ones(len(here), dtype=torch.int64)
                case = self._case(OneLabel(model, number), x, applies, index, rows[here], yes, truth)
                if self.transfer is not None:
                    case = replace(case, transfer=OneLabel(self.transfer, number))
                yield _Part(case, number, {name: value[here] for name, value in numbers.items()})

    def _case(
        self, model: nn.Module, x: Image, label: Label, index: Sequence[int], rows: Tensor,
        explained: Label | None, truth: Truth | None,
    ) -> Case:  # fmt: skip
        known = {} if truth is None else _known(truth, rows, x.device)
        return Case(
            model=model, x=x[rows], label=label[rows], index=torch.tensor([index[row] for row in rows.tolist()]),
            seed=self.seed, explained=explained, channels=self.channels, chunk=self.chunk, transfer=self.transfer,
            **known,
        )  # fmt: skip

    def _measured(self, part: "_Part", kept: list[dict[str, Tensor]] | None) -> dict[str, Tensor]:
        case = part.case
        seen = {name: value for name, value in part.said.items() if name != "label"}
        values = {"index": case.index, **part.said} if part.label is not None else dict(Prediction()(case))
        for metric in self.metrics:
            if metric.about == "network":
                values |= (
                    part.known(self._of(metric, case, BARE)) if self.label is not None else self._of(metric, case, BARE)
                )
        for name, saliency in self.saliency.items():
            of_method = replace(case, saliency=saliency, name=name, explained=case.target)
            for metric in self.metrics:
                if metric.about == "map" or (metric.about == "noisy maps" and name in self.stability):
                    values |= self._of(metric, of_method, name)
            if kept is not None:
                seen[f"heatmap/{name}"] = _looked_at(of_method)
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
            if isinstance(error, InputError) and not (is_foreign(metric) or isinstance(error, NotFinite)):
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
        if self.task == "multilabel":
            told = Prediction()
            table = {name: (told, column) for name, column in LABEL_COLUMNS.items()} | {
                name: value for name, value in table.items() if name not in Prediction.columns
            }
        complete = {}
        for name, (metric, column) in table.items():
            measure, method = split(name)
            settings = {**column.parameters, **metric.settings(measure, model, self.seed)}
            if column.of_map or metric.explains:
                settings["target"] = self.target
                settings |= {} if self.task == "multiclass" else {"task": self.task}
                settings |= {} if self.label is None else {"label": self.label}
            if column.of_map:
                settings |= {} if metric.signed else {"channels": self.channels}
                settings |= _settings_of(self.saliency[method])
            complete[name] = replace(self._told(name, column), parameters=to_config(settings))
        return complete

    def _told(self, name: str, column: Column) -> Column:
        """A column's meaning; with several labels per image it says what a class is."""
        if self.task == "multiclass" or name in LABEL_COLUMNS:
            return column
        words = "The class is here the explained label: yes or no."
        return replace(column, definition=f"{column.definition or column.question} {words}")

    def aggregates(self) -> dict[str, Column]:
        """The meaning of the numbers of all images together that the metrics name beside their columns."""
        return {name: self._told(name, column) for metric in self.metrics for name, column in metric.aggregates.items()}

    @property
    def randomises(self) -> bool:
        """Whether `heatmaps` has the maps of networks whose layers are made random too."""
        return any(isinstance(metric, Randomisation) for metric in self.metrics)

    def heatmaps(self, model: nn.Module, x: Image, label: Label, index: Sequence[int]) -> dict[str, Tensor]:
        """What is looked at of some images: predictions and heatmaps.

        Returns:
            ``prediction`` and ``score``, (n,), and with several labels per image what else
            `pellucid.runs.labels.label_numbers` says; ``heatmap/NAME`` for each saliency method, (n, h, w); where the
            sanity check is measured also ``randomised/NAME``, (n, layers, h, w): the maps of the networks whose layers
            are made random one after the other.
        """
        parts = list(self._parts(model, x, label, index))
        made = torch.cat([part.case.index for part in parts])

        def maps(network: nn.Module, name: str) -> Heatmap:
            # The target is the trained network's, whichever network is explained.
            method: dict[str, Any] = {"saliency": self.saliency[name], "name": name}
            drawn = [
                _looked_at(replace(part.case, explained=part.case.target, model=part.seen(network), **method))
                for part in parts
            ]
            return _in_order(made, index, torch.cat(drawn))

        said = {name: torch.cat([part.said[name] for part in parts]) for name in parts[0].said if name != "label"}
        seen = {
            **{name: _in_order(made, index, values) for name, values in said.items()},
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


@dataclass(frozen=True, eq=False)
class _Part:
    """A case, the number of the label that it is about, and what is said of its images beside the metrics."""

    case: Case
    label: int | None = None
    numbers: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def said(self) -> Mapping[str, Tensor]:
        if self.label is not None:
            return self.numbers
        return {"label": self.case.label, "prediction": self.case.prediction, "score": self.case.score}

    def known(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Numbers that look at what is true, NaN for images of which that is not known."""
        truth = self.numbers["label_truth"][:, self.label]
        return {
            name: torch.where(truth.isnan().view(-1, *[1] * (value.ndim - 1)), torch.nan, value.to(truth.dtype))
            for name, value in values.items()
        }

    def seen(self, network: nn.Module) -> nn.Module:
        """Another network as the case sees its own."""
        return network if self.label is None else OneLabel(network, self.label)


def _looked_at(case: Case) -> Heatmap:
    """The maps of a case for looking at: empty ones, which is told, where they are not finite."""
    try:
        return case.signed_heatmap
    except NotFinite as error:
        tell(f"{case.name} maps of some images are shown empty: {error}")
        return torch.zeros_like(case.x[:, 0])


def _in_order(made: Tensor, index: Sequence[int], values: Tensor) -> Tensor:
    """Values of images that were measured in another order, in that of ``index``."""
    if made.tolist() == list(index):
        return values
    place = {position: row for row, position in enumerate(made.tolist())}
    return values[[place[position] for position in index]]


def _known(truth: Truth, rows: Tensor, device: torch.device) -> dict[str, Any]:
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
