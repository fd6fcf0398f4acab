"""Measure a trained network: one row per test image, and the maps of a gallery."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning_fabric import Fabric
from safetensors.torch import save
from torch import Tensor, nn

from pellucid.config import from_config, read_yaml, to_config, write_yaml
from pellucid.core.checks import at_least, one_of
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.core.randomness import seed_of
from pellucid.core.types import Saliency
from pellucid.data import Dataset
from pellucid.metrics import Metric
from pellucid.metrics.chunks import usual_chunk
from pellucid.metrics.families.faithfulness import Fill
from pellucid.metrics.families.masking import MaskingProbes
from pellucid.metrics.metric import Images
from pellucid.metrics.suite import ALL, check_twice, select
from pellucid.runs.directory import RunDirectory
from pellucid.runs.engine import launch, make_fabric, progress_bar
from pellucid.runs.measurement import Measurement
from pellucid.runs.settings import read_experiment
from pellucid.runs.trained import load_network, open_run
from pellucid.saliency import Channels, Explain, as_saliency, by_name

__all__ = ["Evaluation", "evaluate", "known_of", "measurement_of"]

ROWS_FORMAT = 1
SETTINGS = (
    *("fraction", "steps", "repeats", "region", "fill", "sigma", "draws", "layer"),
    *("robust_eps", "restarts", "robust_grid", "transfer"),
)
"""The settings of an evaluation that its metrics follow."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured, and how.

    Args:
        images: measured images, a fixed choice by ``seed``; all of them where the split holds fewer.
        metrics: what is measured: columns, families or numbers of ``pellucid metrics``; ``default``, ``all``; your own
            by import path, such as ``my_package.Peak``; or `pellucid.Metric` objects with settings of their own, which
            none of the settings below changes.
        split: ``test``, or ``validation`` for choosing settings without touching the test images.
        saliency: methods whose maps are measured: ``vanilla_gradient``, ``smoothgrad``, ``integrated_gradients``,
            ``gradcam``, ``gradcam_plus_plus``, ``layercam``, ``rollout`` (attention rollout, of a vision transformer),
            an import path; in Python also a saliency function, a Captum class or any callable that can be imported.
        stability: names of those methods whose stability (similarity and sensitivity, where asked for) is measured too;
            ``vanilla_gradient`` by default, or the first method where that is not measured.
        target: class that is explained, the ``predicted`` one or the ``true`` one.
        channels: how channels are reduced to a heatmap.
        fraction: share of an image's regions that the perturbation curves replace; like all settings down to
            ``transfer``, the metrics' own default where it is not given.
        steps: points of a perturbation curve.
        repeats: draws of the replacing noise that a curve averages.
        region: side of the replaced regions in pixels; 2 at 28 and 32 pixels, 8 at 96, 16 at 224 by default.
        fill: what a replaced region shows: ``uniform`` noise, the image's ``mean``, its ``blur``, or ``linear``, the
            noisy linear imputation of ROAD.
        sigma: standard deviation of the stability noise in pixel units.
        draws: noisy copies of the stability measures.
        layer: layer whose output is the representation of RRS; ``penultimate`` is the input of the last layer.
        robust_eps: radius of the PGD-20 attack; 0.1 for Fashion-MNIST and MNIST, 8/255 for other images by default.
        restarts: random starts of the attack.
        robust_grid: radii of ``robust_curve`` in (0, 1], rising; a quarter, half, one, two and three times
            ``robust_eps`` by default, but for those above 1.
        transfer: run directory of the network that ``masking_transfer`` computes its attack on.
        gallery: images whose maps are kept for looking at, the same for every network.
        batch_size: images measured at once, over all processes.
        chunk: images in one forward pass, which bounds memory; by default 16 to 128 on a CPU, as many as its cache is
            good for at their size, and 256 elsewhere.
        seed: of the choice of images and of every draw.
    """

    images: int = 1000
    metrics: tuple[str | Metric, ...] = ("default",)
    split: Literal["test", "validation"] = "test"
    saliency: tuple[Explain, ...] = ("vanilla_gradient", "smoothgrad", "integrated_gradients")
    stability: tuple[str, ...] | None = None
    target: Literal["predicted", "true"] = "predicted"
    channels: Channels = "mean_abs"
    fraction: float | None = None
    steps: int | None = None
    repeats: int | None = None
    region: int | None = None
    fill: Fill | None = None
    sigma: float | None = None
    draws: int | None = None
    layer: str | None = None
    robust_eps: float | None = None
    restarts: int | None = None
    robust_grid: tuple[float, ...] | None = None
    transfer: str | None = None
    gallery: int = 24
    batch_size: int = 100
    chunk: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        one_of(("test", "validation"), split=self.split)
        one_of(("predicted", "true"), target=self.target)
        one_of(get_args(Channels), channels=self.channels)
        at_least(1, images=self.images, gallery=self.gallery, batch_size=self.batch_size, chunk=self.chunk)
        if not self.metrics:
            raise InputError("metrics must name at least one; `pellucid metrics` lists them")
        for metric in (metric for metrics in ALL.values() for metric in metrics):
            metric.overridden(self._settings)  # refuses a bad setting, also where nothing that is asked for follows it
        self.chosen(Images((1, 1, 1)))
        measured = self.methods()
        if unknown := sorted(set(self.stability or ()) - set(measured)):
            raise InputError(f"stability must be among the measured methods {', '.join(measured)}, got {unknown[0]!r}")

    @property
    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS}

    def chosen(self, images: Images | None = None) -> tuple[Metric, ...]:
        """The metrics with this evaluation's settings in place of their own.

        Args:
            images: what is measured, for the settings that depend on it; without it they stay open.

        Raises:
            InputError: a metric that is not known, or a setting that it refuses.
        """
        settings = self._settings
        metrics = [
            metric if metric in self.metrics else metric.overridden(settings) for metric in select(self.metrics, images)
        ]
        other = next((metric.transfer for metric in metrics if isinstance(metric, MaskingProbes)), None)
        if other not in (None, self.transfer):
            raise InputError(
                f"the network of masking_transfer is the evaluation's transfer {self.transfer}, got {other}"
            )
        check_twice(metrics)  # once more, as a setting may have changed one of two that gave a column alike
        return tuple(metric if images is None else metric.fitted(images) for metric in metrics)

    def stable(self) -> tuple[str, ...]:
        """Names of the methods whose stability is measured."""
        if self.stability is not None:
            return self.stability
        methods = list(self.methods())
        return ("vanilla_gradient",) if "vanilla_gradient" in methods else (methods[0],)

    def methods(self) -> dict[str, Saliency]:
        """The saliency functions by the names of their columns."""
        return {name: as_saliency(explain) for name, explain in by_name(self.saliency).items()}


def evaluate(
    run: str | Path,
    evaluation: Evaluation | None = None,
    *,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | str = 1,
    num_nodes: int = 1,
    strategy: str = "auto",
    progress: bool = True,
) -> Path:
    """Measure the network of a run directory on its test (or validation) images.

    Writes ``rows.parquet`` (a row per image; every column's meaning in its metadata), ``maps.safetensors`` (images and
    heatmaps of the gallery) and ``evaluation.yaml`` into the directory. Each image's draws depend on the seed and the
    image alone, so batch size and number of processes change nothing but the rounding of sums.

    Args:
        run: a finished run directory.
        evaluation: what is measured.
        resume: keep the rows that an interrupted evaluation with the same settings has left; a finished one is left.
        accelerator: as in `pellucid.runs.training.fit`, as are the arguments that follow.
        devices: processes on this machine.
        num_nodes: machines.
        strategy: how processes work together.
        progress: show a bar on a terminal.

    Returns:
        The run directory.

    Raises:
        InputError: no finished run, settings that cannot be, images smaller than the regions.
    """
    run = Path(run)
    evaluation = evaluation or Evaluation()
    to_config(evaluation)  # refuses what no file can name before anything is measured
    read_experiment(run)
    if resume and _is_finished(RunDirectory(run), evaluation):
        return run
    fabric = make_fabric(accelerator, devices, num_nodes, strategy)
    launch(fabric, partial(_evaluate, run=run, evaluation=evaluation, resume=resume, progress=progress))
    return run


def _is_finished(run: RunDirectory, evaluation: Evaluation) -> bool:
    """Whether the rows are of these weights, and of an evaluation that means the same, however it was written."""
    if not all(file.exists() for file in (run.rows, run.evaluation, run.maps)):
        return False
    try:
        metadata = pq.read_schema(run.rows).metadata or {}
        config = read_yaml(run.evaluation)
        made = from_config(config, Evaluation)
    except (pa.ArrowInvalid, OSError, InputError):  # truncated, or of metrics that are not here
        return False
    same_key = metadata.get(b"pellucid.key") == _key(run.path, config, made.transfer).encode()
    return same_key and _meaning(made) == _meaning(evaluation)


def _meaning(evaluation: Evaluation) -> Any:
    """The evaluation with its metrics spelled out, so that a setting that is a default means the same as none."""
    plain: dict[str, Any] = dict.fromkeys(SETTINGS) | {"metrics": evaluation.chosen()}
    return to_config(dataclasses.replace(evaluation, **plain))


def _key(run: Path, config: Any, transfer: str | None) -> str:
    """What rows must have in common to be put together: the settings, and the weights of all networks."""
    networks = [run] if transfer is None else [run, Path(transfer)]
    files = [RunDirectory(network).weights for network in networks]
    weights = [hashlib.blake2b(file.read_bytes()).hexdigest() if file.exists() else None for file in files]
    facts = [config, weights, ROWS_FORMAT]
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()


def _evaluate(fabric: Fabric, run: Path, evaluation: Evaluation, resume: bool, progress: bool) -> None:
    directory, name = RunDirectory(run), read_experiment(run).dataset.name
    model, dataset = open_run(run, evaluation.split)
    model = fabric.to_device(model)
    transfer = None
    if evaluation.transfer is not None:
        transfer = fabric.to_device(load_network(evaluation.transfer, dataset))
    measurement = measurement_of(evaluation, name, dataset, transfer=transfer, device=fabric.device)
    columns = measurement.columns(model)  # before anything is measured, as it refuses what no file can hold
    chosen = _choose(len(dataset), evaluation)
    key = _key(run, to_config(evaluation), evaluation.transfer)
    parts = directory.parts(key)
    if fabric.is_global_zero:
        for stale in directory.all_parts:
            if not resume or stale != parts:
                shutil.rmtree(stale)
        parts.mkdir(exist_ok=True)
    fabric.barrier()
    batches = [chosen[i : i + evaluation.batch_size] for i in range(0, len(chosen), evaluation.batch_size)]
    mine = range(fabric.global_rank, len(batches), fabric.world_size)
    total = sum(len(batches[i]) for i in mine)
    with progress_bar(fabric, progress, total=total, desc=f"{run.name}: measuring", unit="image") as bar:
        for number in mine:
            file = parts / f"{number:06d}.parquet"
            if not file.exists() or _failed(pq.read_schema(file)):
                x, label = _images(dataset, batches[number], fabric.device)
                rows = measurement(model, x, label, batches[number], dataset.truth_of(batches[number]))
                table = pa.table({name: _column(value) for name, value in rows.items()})
                table = table.replace_schema_metadata({"pellucid.failed": json.dumps(measurement.failed)})
                with whole_file(file) as temporary:
                    pq.write_table(table, temporary)
            bar.update(len(batches[number]))
    fabric.barrier()
    if not fabric.is_global_zero:
        return
    tables = [pq.read_table(parts / f"{i:06d}.parquet") for i in range(len(batches))]
    failed: dict[str, str] = {}
    for part in tables:
        failed |= _failed(part.schema)
    meaning = {
        name: column.as_dict() for name, column in columns.items() if all(name in part.column_names for part in tables)
    }
    table = pa.concat_tables([part.select(list(meaning)) for part in tables])
    metadata = {
        "format": ROWS_FORMAT,
        "classes": list(dataset.classes),
        "dataset": name,
        "split": evaluation.split,
        "images": table.num_rows,
        "columns": meaning,
        "aggregates": {name: column.as_dict() for name, column in measurement.aggregates().items()},
    }
    finished = {} if failed else {"pellucid.key": key}  # rows without a metric that was asked for are resumed
    table = table.replace_schema_metadata({"pellucid": json.dumps(metadata), **finished})
    maps = _gallery(model, dataset, _shown(dataset, chosen, evaluation.gallery), measurement, fabric.device)
    directory.rows.unlink(missing_ok=True)  # never old rows beside new maps
    write_yaml(evaluation, directory.evaluation)
    with whole_file(directory.maps) as temporary:
        temporary.write_bytes(save(maps))
    with whole_file(directory.rows) as temporary:
        pq.write_table(table, temporary)
    shutil.rmtree(parts)
    if failed:
        raise InputError(f"{'; '.join(failed.values())}; all other measures are in {directory.rows}")


def measurement_of(
    evaluation: Evaluation,
    name: str,
    dataset: Dataset,
    *,
    transfer: nn.Module | None = None,
    device: torch.device | str = "cpu",
) -> Measurement:
    """The evaluation with everything that depends on the dataset filled in.

    Args:
        evaluation: what is measured.
        name: of the dataset, which decides the usual radius of an attack.
        dataset: its images.
        transfer: network that a transferred attack is computed on.
        device: where it is measured.
    """
    return Measurement(
        metrics=evaluation.chosen(Images(dataset.shape, name, known_of(dataset))), saliency=evaluation.methods(),
        stability=evaluation.stable(), channels=evaluation.channels, target=evaluation.target, transfer=transfer,
        seed=evaluation.seed, chunk=evaluation.chunk or usual_chunk(dataset.shape, device),
    )  # fmt: skip


def known_of(dataset: Dataset) -> set[str]:
    """What is known of what decides the class of a split's images, in the words of `pellucid.Metric.needs`.

    Args:
        dataset: one split.
    """
    truth = dataset.truth
    if truth is None:
        return set()
    changed, parts = {f"changed {name}" for name in truth.changed}, {f"part {name}" for name in truth.parts}
    removable = [name for name in truth.parts if f"without {name}" in truth.changed]
    return {"mask", *changed, *parts, *(["parts"] if len(removable) >= 3 else [])}


def _images(dataset: Dataset, index: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    position = torch.tensor(index)
    return dataset.take(position).to(device).float() / 255, dataset.labels[position].to(device)


def _failed(schema: pa.Schema) -> dict[str, str]:
    """Why metrics are missing among the rows of a part, by the names of their columns."""
    reasons: dict[str, str] = json.loads((schema.metadata or {}).get(b"pellucid.failed", b"{}"))
    return reasons


def _choose(size: int, evaluation: Evaluation) -> list[int]:
    """The measured positions, in rising order."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed_of(evaluation.seed, "images")))
    return sorted(order[: evaluation.images].tolist())


def _column(value: Tensor) -> pa.Array:
    """A tensor as a column; NaN, which a measure gives only where it is undefined, becomes null."""
    array = value.detach().cpu().numpy()
    if array.ndim == 2:
        return pa.array(list(array.astype("float32")), pa.list_(pa.float32()))
    if array.dtype.kind == "f":
        return pa.array(array.astype("float32"), pa.float32(), from_pandas=True)
    return pa.array(array)


def _gallery(
    model: nn.Module, dataset: Dataset, index: Sequence[int], measurement: Measurement, device: torch.device
) -> dict[str, Tensor]:
    """What maps.safetensors holds: the images, their predictions, and the heatmaps of each saliency method."""
    x, label = _images(dataset, index, device)
    position = torch.tensor(index)
    maps = {"images": dataset.take(position), "index": position, "label": label}
    maps |= measurement.heatmaps(model, x, label, index)
    return {name: value.detach().cpu().contiguous() for name, value in maps.items()}


def _shown(dataset: Dataset, chosen: Sequence[int], count: int) -> list[int]:
    """Positions of the gallery: of the measured images, the classes in turn; the same for every network."""
    labels = dataset.labels
    by_class = [[i for i in chosen if int(labels[i]) == c] for c in range(len(dataset.classes))]
    in_turn = [group[turn] for turn in range(len(chosen)) for group in by_class if turn < len(group)]
    return sorted(in_turn[:count])
