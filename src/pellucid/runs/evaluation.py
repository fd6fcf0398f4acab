"""Measure a network: one row per test image, and the maps of a gallery."""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from pellucid.config import read_config, read_yaml, to_config, write_yaml
from pellucid.core.cores import check_threads
from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.data import Data, Dataset
from pellucid.metrics.chunks import usual_chunk
from pellucid.metrics.metric import Images
from pellucid.runs.any_network import lent
from pellucid.runs.budget import could_be_planned, fitted
from pellucid.runs.directory import RunDirectory
from pellucid.runs.earlier import keep_earlier
from pellucid.runs.engine import launch, make_fabric
from pellucid.runs.environment import tell_changed_machine
from pellucid.runs.evaluated import read_run
from pellucid.runs.fabric import Fabric
from pellucid.runs.given import Given, given
from pellucid.runs.lock import working_on
from pellucid.runs.masking import attack_caveats
from pellucid.runs.measurement import Measurement
from pellucid.runs.provenance import begun, ended
from pellucid.runs.recording import of_object, record
from pellucid.runs.rows import ROWS_FORMAT, begin_parts, measure_rows, remove_parts
from pellucid.runs.settings import SETTINGS, Evaluation, read_experiment
from pellucid.runs.threads import settle_threads, threads_kept
from pellucid.runs.trained import OtherImages, load_network, open_images, open_run

__all__ = ["Evaluation", "evaluate", "known_of", "measurement_of"]


def evaluate(
    network: str | Path | nn.Module,
    dataset: Any = None,
    evaluation: Evaluation | None = None,
    *,
    out: str | Path | None = None,
    classes: Sequence[str] | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    accelerator: str = "auto",
    devices: int | str = 1,
    num_nodes: int = 1,
    strategy: str = "auto",
    progress: bool = True,
    threads: int | None = None,
) -> Path:
    """Measure a network on test (or validation) images: that of a run directory, or any PyTorch classifier.

    Writes ``rows.parquet`` (a row per image; every column's meaning in its metadata), ``maps.safetensors`` (images and
    heatmaps of the gallery) and ``evaluation.yaml`` into the directory. Each image's draws depend on the seed and the
    image alone, so batch size and number of processes change nothing but the rounding of sums. What will take long is
    told beforehand on standard error, and afterwards what makes robust accuracy only look high. What another evaluation
    has measured there is kept in the directory's folder ``earlier``, and a note says so.

    A network that is an object is measured in eval mode and keeps its modes, its weights and its place. Its directory
    is read by every command like that of a training, but for what needs the network itself.

    Args:
        network: a finished run directory, or a module from images (n, c, h, w) to logits (n, classes).
        dataset: of a module, the images: a `pellucid.Data`, a `pellucid.data.Dataset` or a torch Dataset of (image,
            label). Of a run directory none, as it knows its own; an `Evaluation` may stand here instead.
        evaluation: what is measured.
        out: of a module, the run directory that is written; it may hold an earlier record of the same kind of module.
        classes: of a module, the names of its classes in the order of its logits; those of the images by default.
        mean: of a module, what it wants subtracted from pixels in [0, 1], for each channel or for all; by default what
            its weights say, or nothing.
        std: of a module, what it wants the rest divided by, likewise.
        resume: keep the rows that an interrupted evaluation with the same settings has left; a finished one is left.
        overwrite: replace what another evaluation has measured there, and keep nothing of it.
        accelerator: as in `pellucid.runs.training.fit`, as are the arguments that follow.
        devices: processes on this machine.
        num_nodes: machines.
        strategy: how processes work together.
        progress: show a bar on a terminal, and say beforehand what will take long.
        threads: of this process, as in `pellucid.runs.training.fit`.

    Returns:
        The run directory.

    Raises:
        InputError: no finished run, settings that cannot be, images smaller than the regions, or a module and images
            that do not fit each other.
    """
    if isinstance(dataset, Evaluation) and evaluation is None:
        dataset, evaluation = None, dataset
    evaluation = evaluation or Evaluation()
    check_threads(threads)
    to_config(evaluation)  # refuses what no file can name before anything is measured
    fabric = make_fabric(accelerator, devices, num_nodes, strategy)
    if isinstance(network, str | Path):
        run, subject = Path(network), None
        alone = {"dataset": dataset, "out": out, "classes": classes, "mean": mean, "std": std}
        if extra := [name for name, value in alone.items() if value is not None]:
            raise InputError(
                f"{extra[0]} is for a network that is a module; a run directory brings its own, and pellucid.load "
                "gives its network as a module"
            )
        read_experiment(run)
    else:
        if dataset is None or out is None:
            lacking = "dataset, the images that it is measured on" if dataset is None else "out, the folder to write to"
            raise InputError(f"a network that is a module needs {lacking}")
        run, subject = Path(out), given(network, dataset, split=evaluation.split, classes=classes, mean=mean, std=std)
        experiment = of_object(network, dataset if isinstance(dataset, Data) else subject.dataset)
    with threads_kept(), working_on(run) if fabric.is_global_zero else nullcontext():
        if subject is not None:
            record(subject.network, experiment, subject.dataset, run)
        if resume and _is_finished(RunDirectory(run), evaluation, subject):
            if fabric.is_global_zero:
                remove_parts(RunDirectory(run))  # of a process that was killed when its rows were whole
            return run
        if fabric.is_global_zero:
            _tell_replaced(RunDirectory(run), evaluation, resume=resume, overwrite=overwrite)
        work = partial(
            _evaluate,
            run=run,
            evaluation=evaluation,
            resume=resume,
            progress=progress,
            subject=subject,
            threads=threads,
        )
        launch(fabric, work)
    if fabric.is_global_zero:
        for sentence in attack_caveats(read_run(run)):
            print(f"pellucid: {run.name}: {sentence}", file=sys.stderr)
    return run


def _tell_replaced(run: RunDirectory, evaluation: Evaluation, *, resume: bool, overwrite: bool) -> None:
    """Say what takes the place of earlier rows, and keep those of other settings unless they are to be overwritten."""
    if not run.is_evaluated:
        return
    try:
        count = pq.read_metadata(run.rows).num_rows
        made = read_config(run.evaluation, Evaluation)
        there, asked = to_config(made), to_config(evaluation)
    except (pa.ArrowInvalid, OSError, InputError):  # damaged, or of metrics that are not here
        tell(f"note: {run.rows} is there and cannot be read; it stays until new rows are whole")
        return
    other = next((name for name in asked if asked[name] != there.get(name)), None)
    if resume and (other is None or (evaluation.budget is not None and could_be_planned(evaluation, made))):
        return
    before = f"note: {run.path} was measured before"
    if other is None:
        tell(f"{before}, in the same way; its {count} rows stay until the new ones are whole")
    else:
        how = f"with {other} {there.get(other)} where {asked[other]} is asked for"
        kept = "stay until the new ones are whole" if overwrite else f"are kept in {keep_earlier(run)}"
        tell(f"{before}, {how}; its {count} rows {kept}")


def _is_finished(run: RunDirectory, evaluation: Evaluation, subject: Given | None = None) -> bool:
    """Whether the rows are of these weights and images, and of an evaluation that means the same."""
    if not all(file.exists() for file in (run.rows, run.evaluation, run.maps)):
        return False
    try:
        metadata = pq.read_schema(run.rows).metadata or {}
        config = read_yaml(run.evaluation)
        made = read_config(run.evaluation, Evaluation)
        measured = json.loads(metadata[b"pellucid"]).get("contents") if b"pellucid" in metadata else None
    except (pa.ArrowInvalid, OSError, ValueError, InputError):  # truncated, or of metrics that are not here
        return False
    same_key = metadata.get(b"pellucid.key") == _key(run.path, config, made.transfer).encode()
    if not same_key:
        return False
    same = (
        could_be_planned(evaluation, made) if evaluation.budget is not None else _meaning(made) == _meaning(evaluation)
    )
    if not same or measured is None:  # rows of before do not say of which images they are
        return same
    return _contents(run, evaluation.split, subject) in (None, measured)


def _contents(run: RunDirectory, split: Literal["test", "validation"], subject: Given | None) -> str | None:
    """The digest of the images as they are now; None where they are no longer here, and cannot be measured again."""
    if subject is not None:
        return subject.dataset.contents
    try:
        return open_images(run.path, split).contents
    except OtherImages:
        raise
    except InputError:
        return None


def _meaning(evaluation: Evaluation) -> Any:
    """The evaluation with its metrics spelled out, so that a setting that is a default means the same as none."""
    # Where nothing but accuracy is asked for, which every evaluation holds, there is no metric to spell out.
    metrics = evaluation.chosen() or evaluation.metrics
    plain: dict[str, Any] = dict.fromkeys(SETTINGS) | {"metrics": metrics, "budget": None}
    plain["transfer"] = evaluation.transfer  # the metrics that use it name it too
    return to_config(dataclasses.replace(evaluation, **plain))


def _key(run: Path, config: Any, transfer: str | None, contents: str | None = None) -> str:
    """What rows must have in common to be put together: the settings, the weights of all networks, the images."""
    networks = [run] if transfer is None else [run, Path(transfer)]
    files = [RunDirectory(network).weights for network in networks]
    weights = [hashlib.blake2b(file.read_bytes()).hexdigest() if file.exists() else None for file in files]
    facts = [config, weights, ROWS_FORMAT, *([] if contents is None else [contents])]
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()


def _evaluate(
    fabric: Fabric,
    run: Path,
    evaluation: Evaluation,
    resume: bool,
    progress: bool,
    subject: Given | None = None,
    threads: int | None = None,
) -> None:
    directory = RunDirectory(run)
    if subject is None:
        network, dataset = open_run(run, evaluation.split)
        if fabric.is_global_zero:
            tell_changed_machine(directory.environment, fabric.device, "is measured")
        subject = Given(fabric.to_device(network), dataset, read_experiment(run).dataset.name)
    dataset = subject.dataset
    with lent(subject.network, fabric.device) as model:
        if fabric.device.type == "cpu" and fabric.world_size == 1:  # Fabric deals the cores to several processes
            chunk = evaluation.chunk or usual_chunk(dataset.shape, fabric.device)
            settle_threads(model, dataset.shape, chunk, asked=threads)
        transfer = None
        if evaluation.transfer is not None:
            transfer = fabric.to_device(load_network(evaluation.transfer, dataset))

        def measurement(chosen: Evaluation) -> Measurement:
            return measurement_of(chosen, subject.name, dataset, transfer=transfer, device=fabric.device)

        asked = _key(run, to_config(evaluation), evaluation.transfer, dataset.contents)
        plan = directory.parts(asked) / directory.evaluation.name
        if resume and plan.exists():
            made: Evaluation = read_config(plan, Evaluation)
        else:
            measurement(evaluation).columns(model)  # refuses what no file can hold before anything is measured
            made = evaluation
            if fabric.is_global_zero and (progress or evaluation.budget is not None):
                made = fitted(
                    evaluation, measurement, model, dataset, fabric.device, processes=fabric.world_size, told=progress
                )
            made = fabric.broadcast(made)
        parts = begin_parts(fabric, directory, asked, resume=resume)
        if fabric.is_global_zero:
            begun(directory, "evaluation", fabric.device, processes=fabric.world_size)
        if fabric.is_global_zero and (made != evaluation or evaluation.budget is not None):
            write_yaml(made, plan)  # who resumes on a busier machine measures the same images
        key = _key(run, to_config(made), made.transfer)
        measure_rows(
            fabric,
            directory,
            parts,
            model,
            dataset,
            made,
            measurement(made),
            name=subject.name,
            key=key,
            progress=progress,
        )
    if fabric.is_global_zero:
        ended(directory)


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
    label = None if evaluation.label is None else dataset.label_number(evaluation.label)
    return Measurement(
        metrics=evaluation.chosen(Images(dataset.shape, name, known_of(dataset))), saliency=evaluation.methods(),
        stability=evaluation.stable(), channels=evaluation.channels, target=evaluation.target, task=dataset.task,
        label=label, transfer=transfer, seed=evaluation.seed,
        chunk=evaluation.chunk or usual_chunk(dataset.shape, device),
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
