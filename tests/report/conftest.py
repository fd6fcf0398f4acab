"""Run directories as training and evaluation write them, made of numbers with known relations instead of networks."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import save_file
from scipy.ndimage import gaussian_filter

from pellucid.metrics.metric import Images
from pellucid.metrics.suite import column_name, meanings, select, split

CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
SALIENCY = ("vanilla_gradient", "smoothgrad", "integrated_gradients")
STEPS = 20
PGD = {"eps": 0.1, "step_size": 0.03, "steps": 5, "norm": "linf", "random_start": True, "bounds": [0.0, 1.0]}

# accuracy, robust accuracy, Gini, mean LeRF, mean MoRF, RIS, seconds an epoch
SIX: dict[str, tuple[str, str | None, tuple[float, ...]]] = {
    "regular": ("Regular", None, (0.89, 0.10, 0.56, 13e-3, 0.20, 1.9, 8.0)),
    "at": ("AdversarialTraining", None, (0.80, 0.70, 0.64, 3.5e-3, 0.12, 1.5, 40.0)),
    "at-smoothing": ("AdversarialTraining", "gaussian", (0.80, 0.70, 0.63, 3.4e-3, 0.12, 1.1, 44.0)),
    "sgt": ("SaliencyGuided", None, (0.877, 0.15, 0.61, 2.6e-3, 0.21, 1.7, 23.0)),
    "scaat": ("SCAAT", None, (0.852, 0.25, 0.72, 0.6e-3, 0.16, 1.3, 115.0)),
    "scaat-fast": ("SCAAT", None, (0.851, 0.24, 0.70, 0.5e-3, 0.16, 1.3, 27.0)),
}
METHOD_OPTIONS: dict[str, dict[str, Any]] = {
    "Regular": {},
    "AdversarialTraining": {"attack": PGD, "clean": "none", "clean_share": 0.5},
    "SaliencyGuided": {"fraction": 0.5, "weight": 1.0, "attack": None, "reading": "A"},
    "SCAAT": {"attack": PGD | {"eps": 0.3, "steps": 4}, "weight": 0.3, "share": 1.0, "q": 0.5, "adaptive": True},
}

MakeRun = Callable[..., Path]


def write_run(
    folder: Path,
    name: str,
    *,
    method: str = "Regular",
    smoothing: str | None = None,
    means: tuple[float, ...] = SIX["regular"][2],
    images: int = 60,
    size: int = 28,
    channels: int = 1,
    gallery: int = 6,
    saliency: tuple[str, ...] = SALIENCY,
    epochs: int = 3,
    seed: int = 0,
    classes: list[str] = CLASSES,
    sites: str = "",
) -> Path:
    """Write one whole run directory.

    With ``sites``, a letter a site, the rows hold probabilities and the site of each image, B the hardest.
    """
    path = folder / name
    path.mkdir(parents=True)
    of_images, of_run = np.random.default_rng(0), np.random.default_rng([seed, *name.encode()])
    config: dict[str, Any] = {
        "dataset": {"name": "fashion-mnist", "limit": None},
        "network": {"name": "lenet5", "normalize": False},
        "smoothing": smoothing and {"layers": ["pool1"], "filter": smoothing, "kernel_size": 3, "sigma": 0.8},
        "method": {"class_path": f"pellucid.methods.{method}", "init_args": METHOD_OPTIONS.get(method, {})},
        "epochs": epochs,
        "batch_size": 128,
        "seed": 0,
    }
    (path / "experiment.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    environment = {
        "pellucid": "0.1.0",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
        "python": "3.11.7",
        "platform": "Linux",
        "cpu": "a processor",
        "threads": 2,
        "device": "cpu",
        "device_name": "a processor",
        "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
        "command": f"pellucid train --method {method}",
        "started": "2026-01-01T00:00:00+00:00",
        "parameters": 44426,
    }
    (path / "environment.json").write_text(json.dumps(environment))
    _write_training(path / "train.csv", means, epochs)
    if method == "SCAAT":
        _write_q(path / "q.parquet", of_run, epochs)
    accuracy, robust, gini, lerf, morf, ris, _ = means
    index = np.arange(images, dtype=np.int64) * 7
    label = of_images.integers(0, len(classes), images)
    ease = of_images.random(images)
    right = ease + 0.05 * of_run.normal(size=images) < accuracy
    prediction = np.where(right, label, (label + 1) % len(classes))
    rows: dict[str, Any] = {
        "index": index,
        "label": label,
        "prediction": prediction,
        "score": of_run.uniform(0.4, 1, images).astype(np.float32),
        "robust_correct": right & (ease < robust),
    }
    if sites:
        rows |= _sites(sites, label, len(classes), accuracy, of_run)
        prediction = rows["prediction"]
    shared = of_images.normal(size=images)
    for number, map_name in enumerate(saliency):
        measured: dict[str, Any] = {
            "gini": np.clip(gini + 0.02 * number + 0.05 * shared + 0.02 * of_run.normal(size=images), 0, 1),
            "entropy": 9 - 5 * gini + 0.3 * shared + 0.1 * of_run.normal(size=images),
            "size_kb": 0.8 - 0.6 * gini + 0.02 * shared,
        }
        for order, mean in (("morf", morf), ("lerf", lerf)):
            final = 2 * mean * of_run.gamma(1.0, size=(images, 1)) + 0.1 * mean * of_run.normal(
                size=(images, STEPS + 1)
            )
            curve = (final * np.linspace(0, 1, STEPS + 1)).astype(np.float32)
            measured[f"aopc_{order}"] = curve.mean(axis=1)
            measured[f"{order}_curve"] = pa.array(list(curve), pa.list_(pa.float32()))
        if map_name == "vanilla_gradient":
            unstable = of_run.random(images) < 0.05
            for metric, scale in (("ris", 1.0), ("ros", 4.0)):
                values = scale * ris * of_run.gamma(4.0, 0.25, images)
                measured[metric] = pa.array(values.astype(np.float32), mask=unstable)
            measured["stability_coverage"] = np.where(unstable, 0, 0.95).astype(np.float32)
        rows |= {column_name(key, map_name): value for key, value in measured.items()}
    rows = {key: value.astype(np.float32) if _is_double(value) else value for key, value in rows.items()}
    metrics = [metric.fitted(Images((channels, size, size), "fashion-mnist")) for metric in select()]
    meaning = {
        key: dataclasses.replace(column, parameters={**column.parameters, **metric.settings(split(key)[0])})
        for key, (metric, column) in meanings(metrics, saliency=saliency, stability=saliency[:1]).items()
    }
    info = {
        "format": 1,
        "classes": classes,
        "dataset": "fashion-mnist",
        "split": "test",
        "images": images,
        "columns": {key: column.as_dict() for key, column in meaning.items() if key in rows},
        "aggregates": {key: column.as_dict() for metric in metrics for key, column in metric.aggregates.items()},
    }
    pq.write_table(pa.table(rows).replace_schema_metadata({"pellucid": json.dumps(info)}), path / "rows.parquet")
    maps = {
        "images": np.stack([_picture(channels, size, number) for number in range(gallery)]),
        "index": index[:gallery],
        "label": label[:gallery],
        "prediction": prediction[:gallery],
        "score": rows["score"][:gallery],
    }
    for map_name in saliency:
        maps[f"heatmap/{map_name}"] = np.stack([_heatmap(picture, gini, of_run) for picture in maps["images"]])
    save_file(maps, path / "maps.safetensors")
    return path


def _sites(sites: str, label: np.ndarray, classes: int, accuracy: float, of_run: np.random.Generator) -> dict[str, Any]:
    """Predictions with their probabilities, which tell the true class less well at site B, and the site itself."""
    of_images = np.random.default_rng(1)
    site = of_images.choice(list(sites), len(label))
    noise = of_images.normal(size=(len(label), classes)) + 0.3 * of_run.normal(size=(len(label), classes))
    told = 3 * accuracy * np.where(site == "B", 0.3, 1.0)
    logits = noise + told[:, None] * (label[:, None] == np.arange(classes))
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return {
        "prediction": probability.argmax(axis=1),
        "score": probability.max(axis=1).astype(np.float32),
        "probability": pa.array(list(probability.astype(np.float32)), pa.list_(pa.float32())),
        "brier": ((probability - (label[:, None] == np.arange(classes))) ** 2).sum(axis=1),
        "negative_log_likelihood": -np.log(probability[np.arange(len(label)), label]),
        "subgroup site": pa.array(site.tolist()),
    }


def _is_double(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == np.float64


def _write_training(path: Path, means: tuple[float, ...], epochs: int) -> None:
    accuracy, seconds = means[0], means[-1]
    with path.open("w", newline="") as file:
        names = ["epoch", "step", "seconds", "loss", "clean_accuracy", "validation_loss", "validation_accuracy", "lr"]
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for epoch in range(epochs):
            left = 0.3 / (epoch + 1)
            row = (
                epoch,
                (epoch + 1) * 430,
                seconds,
                0.4 + left,
                accuracy - left / 2,
                0.4 + left,
                accuracy - left,
                1e-3,
            )
            writer.writerow(dict(zip(names, row, strict=True)))


def _write_q(path: Path, random: np.random.Generator, epochs: int, samples: int = 400) -> None:
    q = np.full(samples, 0.5, np.float32)
    tables = []
    for epoch in range(epochs):
        q = np.clip(q + 0.1 * (random.random(samples) < 0.8) - 0.05, 0.1, 0.95).astype(np.float32)
        number = np.full(samples, epoch, np.int32)
        tables.append(pa.table({"epoch": number, "index": np.arange(samples, dtype=np.int32), "q": q}))
    pq.write_table(pa.concat_tables(tables), path)


def _picture(channels: int, size: int, number: int) -> np.ndarray:
    """A bright shape on black, another one for each number."""
    y, x = np.mgrid[0:size, 0:size] / (size - 1) - 0.5
    angle, corners = np.arctan2(y, x), 3 + number % 5
    inside = np.hypot(x, y) < 0.3 + 0.1 * np.cos(corners * angle + number)
    shade = gaussian_filter(inside * (0.6 + 0.4 * np.cos(9 * x)), size / 60)
    return (255 * np.clip(np.stack([shade * (1 - 0.2 * c) for c in range(channels)]), 0, 1)).astype(np.uint8)


def _heatmap(picture: np.ndarray, gini: float, random: np.random.Generator) -> np.ndarray:
    """Edges of the picture under noise, of which a concentrated map has less."""
    edges = np.hypot(*np.gradient(picture.mean(axis=0) / 255))
    return (edges / edges.max() + (1 - gini) * random.random(edges.shape) ** 2).astype(np.float32)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`write_run` into this test's own folder."""
    return lambda name="regular", **options: write_run(tmp_path / "runs", name, **options)


@pytest.fixture(scope="session")
def six_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The six runs of the demo; read only."""
    folder = tmp_path_factory.mktemp("six")
    return [
        write_run(folder, name, method=method, smoothing=smoothing, means=means, images=200, gallery=8, epochs=5)
        for name, (method, smoothing, means) in SIX.items()
    ]
