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
from tqdm import tqdm

from pellucid.attacks import PGD
from pellucid.data import Dataset, load
from pellucid.errors import InputError
from pellucid.experiment import read_experiment, to_config, write_yaml
from pellucid.files import whole_file
from pellucid.metrics import (
    aopc,
    column_name,
    columns,
    compressed_size,
    default_region,
    entropy,
    gini,
    perturbation_curves,
    relative_stability,
    robust_correct,
)
from pellucid.randomness import SampleDraws, seed_of
from pellucid.saliency import Channels, Explain, as_saliency, heatmap, saliency_name
from pellucid.training import launch, load_network, make_fabric
from pellucid.types import Saliency

__all__ = ["Evaluation", "evaluate"]

ROWS_FORMAT = 1
ROBUST_EPS = {"fashion-mnist": 0.1, "mnist": 0.1}  # colour images: 8/255


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured, and how.

    Args:
        images: measured images, a fixed choice by ``seed``; all of them where the split holds fewer.
        split: ``test``, or ``validation`` for choosing settings without touching the test images.
        saliency: methods whose maps are measured: ``vanilla_gradient``, ``smoothgrad``, ``integrated_gradients``, an
            import path; in Python also a saliency function, a Captum class or any callable that can be imported.
        stability: names of those methods whose stability is measured too; ``vanilla_gradient`` by default, where that
            is measured.
        target: class that is explained, the ``predicted`` one or the ``true`` one.
        channels: how channels are reduced to a heatmap.
        fraction: share of an image's regions that the perturbation curves replace.
        steps: points of a perturbation curve.
        repeats: draws of the replacing noise that a curve averages.
        region: side of the replaced regions in pixels; 2 at 28 and 32 pixels, 8 at 96, 16 at 224 by default.
        sigma: standard deviation of the stability noise in pixel units.
        draws: noisy copies of the stability measures.
        robust_eps: radius of the PGD-20 attack; 0.1 for Fashion-MNIST and MNIST, 8/255 for colour images by default.
        gallery: images whose maps are kept for looking at, the same for every network.
        batch_size: images measured at once, over all processes.
        seed: of the choice of images and of every draw.
    """

    images: int = 1000
    split: Literal["test", "validation"] = "test"
    saliency: tuple[Explain, ...] = ("vanilla_gradient", "smoothgrad", "integrated_gradients")
    stability: tuple[str, ...] | None = None
    target: Literal["predicted", "true"] = "predicted"
    channels: Channels = "mean_abs"
    fraction: float = 0.2
    steps: int = 20
    repeats: int = 5
    region: int | None = None
    sigma: float = 0.05
    draws: int = 10
    robust_eps: float | None = None
    gallery: int = 24
    batch_size: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in ("test", "validation"):
            raise InputError(f"split must be test or validation, got {self.split!r}")
        if self.target not in ("predicted", "true"):
            raise InputError(f"target must be predicted or true, got {self.target!r}")
        if self.channels not in get_args(Channels):
            raise InputError(f"channels must be one of {', '.join(get_args(Channels))}, got {self.channels!r}")
        for name in ("images", "steps", "repeats", "draws", "gallery", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.saliency:
            raise InputError("saliency must name at least one method, got none")
        unknown = set(self.stability or ()) - set(self.methods())
        if unknown:
            measured = ", ".join(self.methods())
            raise InputError(f"stability must be among the measured methods {measured}, got {sorted(unknown)[0]!r}")

    def stable(self) -> tuple[str, ...]:
        """Names of the methods whose stability is measured."""
        return tuple(set(self.methods()) & {"vanilla_gradient"}) if self.stability is None else self.stability

    def methods(self) -> dict[str, Saliency]:
        """The saliency functions by the names of their columns."""
        names = [saliency_name(explain) for explain in self.saliency]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"saliency must name each kind of map once, got {twice[0]} {len(twice)} times")
        return {name: as_saliency(explain) for name, explain in zip(names, self.saliency, strict=True)}


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
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: processes on this machine, one device each.
        num_nodes: machines; the run directory is on a disk that all of them share.
        strategy: ``auto``, ``ddp``, ``ddp_spawn`` or ``ddp_fork``.
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
    if resume and _is_finished(run, evaluation):
        return run
    fabric = make_fabric(accelerator, devices, num_nodes, strategy)
    launch(fabric, partial(_evaluate, run=run, evaluation=evaluation, resume=resume, progress=progress))
    return run


def _is_finished(run: Path, evaluation: Evaluation) -> bool:
    file = run / "rows.parquet"
    if not file.exists() or not (run / "maps.safetensors").exists():
        return False
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (pa.ArrowInvalid, OSError):  # truncated
        return False
    return metadata.get(b"pellucid.key") == _key(run, evaluation).encode()


def _key(run: Path, evaluation: Evaluation) -> str:
    """What rows must have in common to be put together: the settings and the weights."""
    file = run / "model.safetensors"
    weights = hashlib.blake2b(file.read_bytes()).hexdigest() if file.exists() else None
    facts = [to_config(evaluation), weights, ROWS_FORMAT]
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()


def _evaluate(fabric: Fabric, run: Path, evaluation: Evaluation, resume: bool, progress: bool) -> None:
    experiment = read_experiment(run)
    dataset = load(experiment.dataset, evaluation.split)
    if len(dataset) == 0:
        raise InputError(f"{run} has no {evaluation.split} images; it was trained with dataset.validation 0")
    model = fabric.to_device(load_network(run, dataset))
    settings = _Settings.of(evaluation, experiment.dataset.name, dataset)
    chosen = _choose(len(dataset), evaluation)
    parts = run / f".rows-{_key(run, evaluation)}"
    if fabric.is_global_zero:
        for stale in run.glob(".rows-*"):
            if not resume or stale != parts:
                shutil.rmtree(stale)
        parts.mkdir(exist_ok=True)
    fabric.barrier()
    batches = [chosen[i : i + evaluation.batch_size] for i in range(0, len(chosen), evaluation.batch_size)]
    mine = range(fabric.global_rank, len(batches), fabric.world_size)
    bar = tqdm(
        total=sum(len(batches[i]) for i in mine),
        desc=f"{run.name}: measuring",
        unit="image",
        dynamic_ncols=True,
        disable=None if progress and fabric.is_global_zero else True,
    )
    with bar:
        for number in mine:
            file = parts / f"{number:06d}.parquet"
            if not file.exists():
                table = _measure(model, dataset, batches[number], settings, fabric.device)
                with whole_file(file) as temporary:
                    pq.write_table(table, temporary)
            bar.update(len(batches[number]))
    fabric.barrier()
    if not fabric.is_global_zero:
        return
    rows = pa.concat_tables([pq.read_table(parts / f"{i:06d}.parquet") for i in range(len(batches))])
    meaning = {name: dataclasses.asdict(column) for name, column in settings.columns().items()}
    metadata = {
        "format": ROWS_FORMAT,
        "classes": list(dataset.classes),
        "dataset": experiment.dataset.name,
        "split": evaluation.split,
        "images": rows.num_rows,
        "columns": meaning,
    }
    rows = rows.replace_schema_metadata({"pellucid": json.dumps(metadata), "pellucid.key": _key(run, evaluation)})
    maps = _gallery(model, dataset, chosen, settings, fabric.device)
    write_yaml(evaluation, run / "evaluation.yaml")
    with whole_file(run / "maps.safetensors") as temporary:
        temporary.write_bytes(save(maps))
    with whole_file(run / "rows.parquet") as temporary:
        pq.write_table(rows, temporary)
    shutil.rmtree(parts)


@dataclass(frozen=True)
class _Settings:
    """An evaluation with everything that depends on the dataset filled in."""

    evaluation: Evaluation
    methods: dict[str, Saliency]
    region: int
    attack: PGD

    @classmethod
    def of(cls, evaluation: Evaluation, name: str, dataset: Dataset) -> "_Settings":
        eps = ROBUST_EPS.get(name, 8 / 255) if evaluation.robust_eps is None else evaluation.robust_eps
        return cls(
            evaluation,
            evaluation.methods(),
            evaluation.region or default_region(min(dataset.shape[1:])),
            PGD(eps=eps, step_size=eps / 8, steps=20),
        )

    def columns(self) -> dict[str, Any]:
        e = self.evaluation
        return columns(
            saliency=tuple(self.methods),
            stability=e.stable(),
            perturbation={
                "fraction": e.fraction,
                "steps": e.steps,
                "repeats": e.repeats,
                "region": self.region,
                "fill": "uniform",
                "target": e.target,
                "score": "probability",
            },
            noise={"distribution": "gaussian", "sigma": e.sigma, "clip": [0, 1], "draws": e.draws, "form": "norm"},
            attack={
                "attack": "PGD",
                "norm": "linf",
                "eps": self.attack.eps,
                "step_size": self.attack.step_size,
                "steps": self.attack.steps,
                "restarts": 1,
            },
        )


def _choose(size: int, evaluation: Evaluation) -> list[int]:
    """The measured positions, in rising order."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed_of(evaluation.seed, "images")))
    return sorted(order[: evaluation.images].tolist())


def _measure(
    model: nn.Module, dataset: Dataset, index: Sequence[int], settings: _Settings, device: torch.device
) -> pa.Table:
    e = settings.evaluation
    position = torch.tensor(index)
    x, label = dataset.take(position).to(device).float() / 255, dataset.labels[position].to(device)
    draws = SampleDraws(e.seed, tuple(index))
    with torch.no_grad():
        score, prediction = model(x).softmax(1).max(1)
    target = prediction if e.target == "predicted" else label
    rows: dict[str, Tensor] = {
        "index": position,
        "label": label,
        "prediction": prediction,
        "score": score,
        "robust_correct": robust_correct(model, x, label, settings.attack, generator=draws),
    }
    for name, saliency in settings.methods.items():
        measured: dict[str, Tensor] = {}
        attribution = saliency(model, x, target, create_graph=False, generator=draws.of(name))
        values = heatmap(attribution, channels=e.channels)
        if e.channels == "signed_mean":
            values = values.abs()
        measured["gini"] = gini(values)
        measured["entropy"] = entropy(values)
        measured["size_kb"] = compressed_size(values)
        curves = perturbation_curves(
            model,
            x,
            target,
            values,
            fraction=e.fraction,
            steps=e.steps,
            repeats=e.repeats,
            region=settings.region,
            generator=draws,
        )
        measured["aopc_morf"], measured["aopc_lerf"] = aopc(curves["morf"]), aopc(curves["lerf"])
        measured["morf_curve"], measured["lerf_curve"] = curves["morf"], curves["lerf"]
        if name in e.stable():
            stability = relative_stability(model, x, target, saliency, sigma=e.sigma, draws=e.draws, generator=draws)
            measured["ris"], measured["ros"] = stability["ris"], stability["ros"]
            measured["stability_coverage"] = stability["coverage"]
        rows |= {column_name(measure, name): value for measure, value in measured.items()}
    return pa.table({name: _column(value) for name, value in rows.items()})


def _column(value: Tensor) -> pa.Array:
    """A tensor as a column; NaN, which a measure gives only where it is undefined, becomes null."""
    array = value.detach().cpu().numpy()
    if array.ndim == 2:
        return pa.array(list(array.astype("float32")), pa.list_(pa.float32()))
    if array.dtype.kind == "f":
        return pa.array(array.astype("float32"), pa.float32(), from_pandas=True)
    return pa.array(array)


def _gallery(
    model: nn.Module, dataset: Dataset, chosen: Sequence[int], settings: _Settings, device: torch.device
) -> dict[str, Tensor]:
    """Images and heatmaps of a few measured images, the classes in turn; the same for every network."""
    labels = dataset.labels
    by_class = [[i for i in chosen if int(labels[i]) == c] for c in range(len(dataset.classes))]
    in_turn = [group[turn] for turn in range(len(chosen)) for group in by_class if turn < len(group)]
    index = sorted(in_turn[: settings.evaluation.gallery])
    position = torch.tensor(index, dtype=torch.int64)
    images = dataset.take(position)
    x, label = images.to(device).float() / 255, labels[position]
    with torch.no_grad():
        score, prediction = model(x).softmax(1).max(1)
    target = prediction if settings.evaluation.target == "predicted" else label.to(device)
    draws = SampleDraws(settings.evaluation.seed, tuple(index))
    maps = {"images": images, "index": position, "label": label, "prediction": prediction, "score": score}
    for name, saliency in settings.methods.items():
        attribution = saliency(model, x, target, create_graph=False, generator=draws.of(name))
        maps[f"heatmap/{name}"] = heatmap(attribution, channels=settings.evaluation.channels)
    return {name: value.detach().cpu().contiguous() for name, value in maps.items()}
