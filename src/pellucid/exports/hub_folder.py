"""A folder for the Hugging Face Hub: weights, configuration, preprocessing, model card and pictures of the maps."""

import json
from pathlib import Path
from typing import Any

from pellucid.core.files import whole_file
from pellucid.exports.card import card_of, rendered
from pellucid.exports.exported_network import ExportedNetwork
from pellucid.exports.weights import check_weights, write_json, write_weights
from pellucid.report.measures import saliency_title
from pellucid.report.picture import write_picture
from pellucid.runs.directory import RunDirectory
from pellucid.runs.evaluated import Run, read_run

__all__ = ["write_hub_folder"]

PICTURE = "maps.png"
ROWS = 4
"""Test images in the picture of the maps."""
BILINEAR = 2
"""The number that Pillow, and with it the Hub's image processors, gives bilinear resampling."""


def write_hub_folder(
    exported: ExportedNetwork, folder: Path, *, license: str | None = None, tolerance: float = 1e-4
) -> list[str]:
    """Write the folder, whose content can be uploaded as it is.

    Args:
        exported: the network.
        folder: where to; made if it is not there.
        license: identifier of the licence that the card states; none by default.
        tolerance: largest difference of a logit, relative to the largest, between the run and the written weights.

    Returns:
        Sentences about what the card lacks; none where it lacks nothing.

    Raises:
        InputError: weights that do not load into the bare network, or numbers of the run that cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(exported, folder, pickled=False)
    check_weights(exported, folder, tolerance=tolerance)
    library = _library(exported)
    write_json(_config(exported, library), folder / "config.json")
    write_json(_preprocessor(exported), folder / "preprocessor_config.json")
    run = read_run(exported.run) if RunDirectory(exported.run).is_evaluated else None
    drawn = _pictured(run)
    if run is not None and drawn is not None:
        write_picture([exported.run], folder / PICTURE, rows=ROWS, method=drawn)
    text = rendered(
        card_of(exported, run, license=license),
        picture=PICTURE if drawn is not None else None,
        map_title=saliency_title(drawn or "").lower(),
        library=library,
    )
    with whole_file(folder / "README.md") as file:
        file.write_text(text, encoding="utf-8")
    lacks = [] if run is not None else ["its card has no numbers, as the run was never evaluated"]
    return [*lacks, *(["it states no licence"] if license is None else [])]


def _pictured(run: Run | None) -> str | None:
    """The saliency method whose maps are drawn: the first that the run kept maps of."""
    if run is None or not run.directory.maps.exists() or not len(run.maps.get("images", ())):
        return None
    return next((method for method in run.saliency_methods if f"heatmap/{method}" in run.maps), None)


def _library(exported: ExportedNetwork) -> str | None:
    """The library that makes the network of the folder by itself, if one does."""
    source = exported.experiment.network.name.partition(":")[0]
    known = {"timm": "timm", "huggingface": "transformers"}
    return None if exported.change_words else known.get(source)


def _config(exported: ExportedNetwork, library: str | None) -> dict[str, Any]:
    """What ``config.json`` holds: the form of the library that makes the network, otherwise the settings by name."""
    choice, (channels, height, width) = exported.experiment.network, exported.shape
    options = {key: value for key, value in choice.options.items() if key != "pretrained"}
    mean, std = exported.normalization or ([0.0] * channels, [1.0] * channels)
    named: dict[str, Any] = {"num_classes": len(exported.classes), "label_names": list(exported.classes)}
    numbered = {
        "id2label": {str(number): name for number, name in enumerate(exported.classes)},
        "label2id": {name: number for number, name in enumerate(exported.classes)},
    }
    if library == "transformers":
        config: Any = exported.network.config
        own: dict[str, Any] = json.loads(config.to_json_string())
        return own | {"architectures": [type(exported.network).__name__], **numbered}
    if library == "timm":
        arguments = {**({} if channels == 3 else {"in_chans": channels}), **options}
        return {
            "architecture": choice.name.removeprefix("timm:"),
            **named,
            "model_args": arguments,
            "pretrained_cfg": {
                "input_size": [channels, height, width],
                "fixed_input_size": False,
                "interpolation": "bilinear",
                "crop_pct": 1.0,
                "crop_mode": "center",
                "mean": mean,
                "std": std,
                "num_classes": len(exported.classes),
            },
        }
    return {
        "network": choice.name,
        "options": options,
        **named,
        **numbered,
        "input_size": [channels, height, width],
        "changes": exported.changes,
    }


def _preprocessor(exported: ExportedNetwork) -> dict[str, Any]:
    """The settings of the Hub's image processor that resizes the shorter side, takes the middle, and normalises."""
    channels, height, width = exported.shape
    mean, std = exported.normalization or ([0.0] * channels, [1.0] * channels)
    return {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": channels == 3,
        "do_resize": True,
        "size": {"shortest_edge": min(height, width)},
        "resample": BILINEAR,
        "do_center_crop": True,
        "crop_size": {"height": height, "width": width},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": exported.normalization is not None,
        "image_mean": mean,
        "image_std": std,
    }
