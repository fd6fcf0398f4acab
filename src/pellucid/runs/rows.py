"""The rows and maps of an evaluation: measured in parts by every process, put together by the first."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save
from torch import Tensor, nn

from pellucid.config import write_yaml
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.core.label_sets import label_code
from pellucid.core.randomness import seed_of
from pellucid.data import Dataset
from pellucid.data.fingerprint import pixels_of
from pellucid.runs.digests import digest_of, digested_file
from pellucid.runs.directory import RunDirectory
from pellucid.runs.engine import progress_bar
from pellucid.runs.evaluated import EVALUATION, WEIGHTS
from pellucid.runs.fabric import Fabric
from pellucid.runs.measurement import Measurement

if TYPE_CHECKING:
    from pellucid.runs.evaluation import Evaluation

__all__ = ["ROWS_FORMAT", "begin_parts", "chosen_images", "measure_rows", "pictures_at", "remove_parts"]

ROWS_FORMAT = 1


def begin_parts(fabric: Fabric, directory: RunDirectory, key: str, *, resume: bool) -> Path:
    """The folder of what is measured so far; those of other evaluations are removed.

    Args:
        fabric: of this process.
        directory: of the run.
        key: what the parts must have in common.
        resume: keep what an interrupted evaluation of the same key has left.
    """
    parts = directory.parts(key)
    if fabric.is_global_zero:
        remove_parts(directory, but=parts if resume else None)
        parts.mkdir(exist_ok=True)
    fabric.barrier()
    return parts


def remove_parts(directory: RunDirectory, *, but: Path | None = None) -> None:
    """Remove what interrupted evaluations have measured.

    Args:
        directory: of the run.
        but: folder that stays.
    """
    for stale in directory.all_parts:
        if stale != but:
            shutil.rmtree(stale)


def measure_rows(
    fabric: Fabric,
    directory: RunDirectory,
    parts: Path,
    model: nn.Module,
    dataset: Dataset,
    evaluation: "Evaluation",
    measurement: Measurement,
    *,
    name: str,
    key: str,
    progress: bool,
) -> None:
    """Measure the chosen images of a split and write the rows and the maps of the gallery.

    Args:
        fabric: of this process.
        directory: of the run.
        parts: folder of what is measured so far.
        model: the network, in eval mode, on the device of this process.
        dataset: the split.
        evaluation: what is measured.
        measurement: the same, with everything filled in that depends on the dataset.
        name: what a table calls the dataset.
        key: what the rows are of: settings and weights.
        progress: show a bar on a terminal.

    Raises:
        InputError: a metric had to be left out; all other measures are written.
    """
    columns = measurement.columns(model)
    chosen = chosen_images(len(dataset), evaluation)
    batches = [chosen[i : i + evaluation.batch_size] for i in range(0, len(chosen), evaluation.batch_size)]
    mine = range(fabric.global_rank, len(batches), fabric.world_size)
    total = sum(len(batches[i]) for i in mine)
    shown = _shown(dataset, chosen, evaluation.gallery)
    # Where all images are shown, what was looked at while measuring need not be made again.
    kept: list[dict[str, Tensor]] | None = [] if shown == chosen and len(batches) == 1 else None
    with progress_bar(fabric, progress, total=total, desc=f"{directory.path.name}: measuring", unit="image") as bar:
        for number in mine:
            file = parts / f"{number:06d}.parquet"
            if not file.exists() or _failed(pq.read_schema(file)):
                x, label = pictures_at(dataset, batches[number], fabric.device)
                rows = measurement(model, x, label, batches[number], dataset.truth_of(batches[number]), kept=kept)
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
    for subgroup, words in dataset.subgroups(chosen).items():
        table = table.append_column(subgroup, pa.array(words, pa.string()))
    metadata = {
        "format": ROWS_FORMAT,
        "classes": list(dataset.classes),
        "task": dataset.task,
        "contents": dataset.contents,
        "pixels": pixels_of(dataset, chosen),
        "dataset": name,
        "split": evaluation.split,
        "images": table.num_rows,
        "columns": meaning,
        "aggregates": {name: column.as_dict() for name, column in measurement.aggregates().items()},
    }
    finished = {} if failed else {"pellucid.key": key}  # rows without a metric that was asked for are resumed
    belongs = {WEIGHTS: digest_of(directory.weights)} if directory.weights.exists() else {}
    table = table.replace_schema_metadata(
        {"pellucid": json.dumps(metadata), **finished, **belongs, EVALUATION: f"{key}{'' if finished else ', in part'}"}
    )
    maps = _gallery(model, dataset, shown, measurement, fabric.device, kept or [])
    _write(directory, evaluation, table, maps)
    shutil.rmtree(parts)
    if failed:
        raise InputError(f"{'; '.join(failed.values())}; all other measures are in {directory.rows}")


def _write(directory: RunDirectory, evaluation: "Evaluation", table: pa.Table, maps: dict[str, Tensor]) -> None:
    """Put the files of an evaluation in the place of an earlier one's, which stay until all new ones are whole."""
    of = {EVALUATION: table.schema.metadata[EVALUATION.encode()].decode()}
    digests = directory.digests
    with digested_file(directory.rows, digests) as rows, digested_file(directory.maps, digests) as kept:
        pq.write_table(table, rows)
        kept.write_bytes(save(maps, metadata=of))
        write_yaml(evaluation, directory.evaluation)


def pictures_at(dataset: Dataset, index: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Images (n, c, h, w) in [0, 1] and labels at these positions, on a device."""
    position = torch.tensor(index)
    return dataset.take(position).to(device).float() / 255, dataset.labels[position].to(device)


def chosen_images(size: int, evaluation: "Evaluation") -> list[int]:
    """The measured positions among ``size``, in rising order; those of fewer images are among those of more."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed_of(evaluation.seed, "images")))
    return sorted(order[: evaluation.images].tolist())


def _failed(schema: pa.Schema) -> dict[str, str]:
    """Why metrics are missing among the rows of a part, by the names of their columns."""
    reasons: dict[str, str] = json.loads((schema.metadata or {}).get(b"pellucid.failed", b"{}"))
    return reasons


def _column(value: Tensor) -> pa.Array:
    """A tensor as a column; NaN, which a measure gives only where it is undefined, becomes null."""
    array = value.detach().cpu().numpy()
    if array.ndim == 2:
        return pa.array(list(array.astype("float32")), pa.list_(pa.float32()))
    if array.dtype.kind == "f":
        return pa.array(array.astype("float32"), pa.float32(), from_pandas=True)
    return pa.array(array)


def _gallery(
    model: nn.Module,
    dataset: Dataset,
    index: Sequence[int],
    measurement: Measurement,
    device: torch.device,
    kept: Sequence[dict[str, Tensor]],
) -> dict[str, Tensor]:
    """What maps.safetensors holds: the images, their predictions, and the heatmaps of each saliency method."""
    x, label = pictures_at(dataset, index, device)
    position = torch.tensor(index)
    maps = {"images": dataset.take(position), "index": position, "label": label_code(label)}
    if kept and not measurement.randomises:
        maps |= {name: torch.cat([part[name] for part in kept]) for name in kept[0]}
    else:
        maps |= measurement.heatmaps(model, x, label, index)
    return {name: value.detach().cpu().contiguous() for name, value in maps.items()}


def _shown(dataset: Dataset, chosen: Sequence[int], count: int) -> list[int]:
    """Positions of the gallery: of the measured images, the classes in turn; the same for every network."""
    labels = dataset.labels
    if labels.ndim == 2:
        # Each image under its first label, so that none is shown twice; those without any as one class more.
        applies = labels > 0
        labels = torch.where(applies.any(1), applies.long().argmax(1), len(dataset.classes))
    by_class = [[i for i in chosen if int(labels[i]) == c] for c in range(len(dataset.classes) + 1)]
    in_turn = [group[turn] for turn in range(len(chosen)) for group in by_class if turn < len(group)]
    return sorted(in_turn[:count])
