"""What a trained network says of every image of a split; the slower measures look at fewer."""

import hashlib
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn
from torch.nn import functional as F

from pellucid.core.files import whole_file
from pellucid.core.label_sets import label_code
from pellucid.core.modes import evaluating
from pellucid.core.randomness import fork
from pellucid.data import Dataset
from pellucid.runs.directory import RunDirectory
from pellucid.runs.lock import working_on
from pellucid.runs.provenance import begun, ended
from pellucid.runs.trained import open_run

__all__ = ["predict"]


@torch.no_grad()
def predict(run: str | Path, split: Literal["train", "validation", "test"] = "test", *, batch_size: int = 500) -> Path:
    """Classify every image of a split with the network of a run directory.

    Writes ``predictions-SPLIT.parquet`` into the directory: columns ``index``, ``label``, ``prediction`` and
    ``confidence``, the predicted class's probability. With several labels per image, label and prediction are the
    numbers of sets of labels (`pellucid.core.label_sets`), and the confidence is the probability of the whole set, of
    those labels whose truth is known. What these weights have predicted already is left.

    Args:
        run: a finished run directory.
        split: ``train``, ``validation`` or ``test``.
        batch_size: images at once.

    Returns:
        The file.

    Raises:
        InputError: no finished run, or a split that does not belong to it, as `open_run` says.
    """
    directory = RunDirectory(run)
    model, dataset = open_run(run, split)
    file = directory.predictions(split)
    weights = hashlib.blake2b(directory.weights.read_bytes(), digest_size=8).hexdigest()
    of = {"pellucid.weights": weights, "pellucid.contents": dataset.contents}
    if _predicted_of(file) == of:
        return file
    with working_on(run):
        return _predict(directory, model, dataset, file, of, batch_size)


def _predict(
    directory: RunDirectory, model: nn.Module, dataset: Dataset, file: Path, of: dict[str, str], batch_size: int
) -> Path:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    begun(directory, "prediction", device)
    model = model.to(device)
    confidence, prediction = [], []
    with fork("predictions", device=device), evaluating(model):
        for start in range(0, len(dataset), batch_size):
            image = dataset.take(range(start, min(start + batch_size, len(dataset)))).to(device).float() / 255
            logits = model(image).float()
            if dataset.task == "multilabel":
                known = torch.as_tensor(dataset.labels[start : start + batch_size] >= 0, device=device)
                highest = F.logsigmoid(logits.abs()).where(known, 0).sum(1).exp()
                chosen = label_code(logits >= 0, known)
            else:
                highest, chosen = F.softmax(logits, dim=1).max(dim=1)
            confidence.append(highest.cpu())
            prediction.append(chosen.cpu())
    table = pa.table(
        {
            "index": torch.arange(len(dataset)).numpy(),
            "label": label_code(torch.as_tensor(dataset.labels)).numpy(),
            "prediction": torch.cat(prediction).numpy(),
            "confidence": torch.cat(confidence).numpy(),
        },
        metadata=of,
    )
    with whole_file(file) as temporary:
        pq.write_table(table, temporary)
    ended(directory)
    return file


def _predicted_of(file: Path) -> dict[str, str] | None:
    """The digests of the weights and of the images that a file is of; None where there is none, or a broken one."""
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (pa.ArrowInvalid, OSError):
        return None
    return {name: str(metadata.get(name.encode(), b""), "utf-8") for name in ("pellucid.weights", "pellucid.contents")}
