"""What an examination finds: of one image what the network says of it, and of each of its maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError, raised
from pellucid.core.randomness import SampleDraws, pinned
from pellucid.core.types import Attribution, Image, Logits, Task
from pellucid.explanation.evidence import Evidence, evidence_of
from pellucid.explanation.examination import Examination
from pellucid.explanation.trust_metrics import region_means
from pellucid.metrics import Case, rank_correlation
from pellucid.metrics.chunks import usual_chunk
from pellucid.metrics.measure import measured
from pellucid.models import OneLabel

__all__ = ["Finding", "MapFinding", "examine"]


@dataclass(frozen=True, eq=False)
class MapFinding:
    """One map of one image, and what was measured of it.

    Attributes:
        attribution: (c, h, w), signed.
        heatmap: (h, w), non-negative.
        figures: numbers by name; NaN where one is undefined.
        evidence: what a reader can see of it; None unless asked for.
    """

    attribution: Tensor
    heatmap: Tensor
    figures: dict[str, float]
    evidence: Evidence | None = None


@dataclass(frozen=True, eq=False)
class Finding:
    """One image: what the network says, its maps, how far they agree.

    Attributes:
        target: class or label that was explained.
        probabilities: (classes,) softmax; of a network with several labels per image the sigmoid of each.
        maps: by name of the method.
        agreement: rank correlation of the region means of two maps, by their names.
        notes: why a metric was left out.
    """

    target: int
    probabilities: Tensor
    maps: dict[str, MapFinding]
    agreement: dict[tuple[str, str], float]
    notes: tuple[str, ...] = ()


class _CardCase(Case):
    """A case whose map is the one that those of the noisy copies are compared with, so that it is made once."""

    @cached_property
    def attribution(self) -> Attribution:
        return next(self.noisy()).attribution


def examine(
    model: nn.Module,
    x: Image,
    keys: Sequence[int],
    examination: Examination,
    *,
    target: int | None = None,
    judged: bool = True,
    shown: bool = False,
    task: Task = "multiclass",
) -> list[Finding]:
    """Make the maps of a batch and measure them; batch mates change nothing but the rounding of sums.

    The figures are those of `Examination.columns`. A random map's reverse is equally random and has the negative
    faithfulness, so that ``beats_random`` counts both.

    Args:
        model: network in eval mode.
        x: (n, c, h, w) images in [0, 1].
        keys: (n,) a number for each image, of which its draws are made.
        examination: what is measured.
        target: class that is explained; the predicted one by default.
        judged: measure too what only the judgement of an image needs: the predictions, the random maps.
        shown: keep the evidence of each map too: covered and noisy pictures and what the network made of them.
        task: ``multilabel`` for a network with several labels per image, whose most probable label is then explained,
            as the yes of two classes.

    Returns:
        One finding an image.

    Raises:
        InputError: as the card's own metrics do; any other that fails is left out and told in the findings' notes.
    """
    examination = examination.fitted((x.shape[1], x.shape[2], x.shape[3]))
    chunk = usual_chunk(x.shape[1:], x.device)
    with pinned(SampleDraws(examination.seed, tuple(keys)), "logits", device=x.device), torch.no_grad():
        logits = model(x)
    if not torch.isfinite(logits).all():
        raise InputError(f"the network's logits must be finite, got {logits[~torch.isfinite(logits)][0]:g}")
    if task == "multilabel":
        return _of_labels(model, x, keys, examination, target, logits, judged=judged, shown=shown)
    probabilities = logits.softmax(1)
    targets = probabilities.argmax(1) if target is None else torch.full_like(logits.argmax(1), target)
    image = _CardCase(
        model=model, x=x, label=targets, index=torch.tensor(keys), explained=targets, seed=examination.seed,
        channels=examination.channels, chunk=chunk,
    )  # fmt: skip
    notes: dict[str, None] = {}
    of_image = _measured(image, examination, notes, of_network=True) if judged else {}
    figures: dict[str, dict[str, Tensor]] = {}
    pictured: dict[str, tuple[Tensor, Tensor]] = {}
    seen: dict[str, list[Evidence]] = {}
    for name, saliency in examination.methods(chunk=chunk).items():
        case = replace(image, saliency=saliency, name=name)
        values = _measured(case, examination, notes, of_network=False) | of_image
        values["faithfulness"] = values["aopc_morf"] - values["aopc_lerf"]
        if judged:
            random = values["random_faithfulness"]
            less = torch.cat([random, -random], dim=1) < values["faithfulness"][:, None]
            values["beats_random"] = less.to(x.dtype).mean(1)
        figures[name] = {column: values[column] for column in examination.columns() if column in values}
        pictured[name] = case.attribution.cpu(), case.heatmap
        if shown:
            seen[name] = evidence_of(case, values, examination.curves, examination.stability, probabilities)
    means = {name: region_means(map_, examination.curves.region or 1) for name, (_, map_) in pictured.items()}
    agreement = {pair: rank_correlation(means[pair[0]], means[pair[1]]) for pair in combinations(means, 2)}
    return [
        Finding(
            int(targets[i]),
            probabilities[i].cpu(),
            {
                name: MapFinding(
                    attribution[i], map_[i].cpu(), _row(figures[name], i), seen[name][i] if shown else None
                )
                for name, (attribution, map_) in pictured.items()
            },
            _row(agreement, i),
            tuple(notes),
        )
        for i in range(len(x))
    ]


def _of_labels(
    model: nn.Module,
    x: Image,
    keys: Sequence[int],
    examination: Examination,
    target: int | None,
    logits: Logits,
    *,
    judged: bool,
    shown: bool,
) -> list[Finding]:
    """The findings of a network with several labels per image: images with the same explained label at once."""
    targets = logits.argmax(1) if target is None else torch.full_like(logits.argmax(1), target)
    findings: dict[int, Finding] = {}
    for label in sorted(set(targets.tolist())):
        rows = (targets == label).nonzero()[:, 0]
        some = [keys[row] for row in rows.tolist()]
        of_label = examine(OneLabel(model, label), x[rows], some, examination, target=1, judged=judged, shown=shown)
        for row, finding in zip(rows.tolist(), of_label, strict=True):
            findings[row] = replace(finding, target=label, probabilities=logits[row].sigmoid().cpu())
    return [findings[row] for row in range(len(x))]


def _measured(case: Case, examination: Examination, notes: dict[str, None], *, of_network: bool) -> dict[str, Tensor]:
    """What the metrics of the network alone, or of a map, say of a case; ``notes`` takes why one was left out."""
    values: dict[str, Tensor] = {}
    for metric in examination.suite(case.name):
        if (metric.about == "network") == of_network:
            try:
                values |= measured(metric, case)
            except Exception as error:
                if metric not in examination.metrics:
                    raise
                notes[f"{type(metric).__name__} was left out: {raised(error)}"[:300]] = None
                values |= dict.fromkeys(metric.columns, torch.full((len(case.x),), torch.nan))
    return values


def _row(columns: Mapping[Any, Tensor], i: int) -> dict[Any, float]:
    return {name: float(value[i]) for name, value in columns.items()}
