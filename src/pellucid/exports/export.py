"""A run's network as files for use elsewhere: plain weights, ONNX, torch.export, a folder for the Hugging Face Hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.core.checks import at_least, not_negative, some_of
from pellucid.exports.exported_network import ExportedNetwork, read_network
from pellucid.exports.graph_files import (
    Graph,
    check_onnx,
    check_torch_export,
    graph_of,
    require_onnx,
    write_onnx,
    write_torch_export,
)
from pellucid.exports.hub_folder import write_hub_folder
from pellucid.exports.weights import check_weights, write_weights
from pellucid.exports.whole_folder import whole_folder
from pellucid.saliency import Explain

__all__ = ["FORMATS", "Written", "export"]

FORMATS = ("state_dict", "onnx", "torch_export", "huggingface")
"""What a network can be written as."""

NAMES = ("model.safetensors", "model.pt", "model.py", "preprocessing.json", "model.onnx", "model.pt2", "huggingface")
"""Names of all files and folders that an export writes."""


@dataclass(frozen=True)
class Written:
    """A file or folder that an export wrote.

    Attributes:
        path: where it is.
        about: what it is, and how far it is from the run's network, in words.
    """

    path: Path
    about: str


def export(
    run: str | Path,
    out: str | Path,
    formats: Sequence[str] = ("state_dict",),
    *,
    saliency: Explain | None = None,
    images: int = 8,
    tolerance: float = 1e-4,
    opset: int | None = None,
    license: str | None = None,
    replace: bool = False,
) -> list[Written]:
    """Write a trained network for use without pellucid.

    Every file is loaded again and compared with the run's network on real images before the folder appears, which it
    does whole or not at all.

    Args:
        run: a finished run directory.
        out: the folder to write; new or empty, unless ``replace``.
        formats: ``state_dict`` (``model.safetensors`` and ``model.pt`` with the keys of the network as its factory
            makes it, ``preprocessing.json``, and ``model.py``, which needs no pellucid and puts in again what pellucid
            changed in the network), ``onnx`` (``model.onnx``), ``torch_export`` (``model.pt2``), ``huggingface`` (a
            folder with weights, configuration and a model card). ONNX and ``torch.export`` take pixels in [0, 1] and
            any number of images: normalisation is inside.
        saliency: kind of map that ONNX and ``torch.export`` give beside the logits, of the predicted class:
            ``vanilla_gradient``, ``gradcam``, ``layercam`` or another that draws no random numbers; none by default.
        images: how many images files are compared on.
        tolerance: largest difference of a logit that is accepted, relative to the largest one; maps may differ by a
            hundred times as much of their norm, since a ReLU's slope jumps where rounding moves its input over 0.
        opset: version of ONNX's operations; what the installed torch writes by default.
        license: identifier of a licence, such as ``apache-2.0``, that the model card states; none by default.
        replace: take the place of an export that is there.

    Returns:
        What was written.

    Raises:
        InputError: a run that is not finished, an unknown format, a network that a format cannot hold or that gives
            other numbers there, a package that is missing, or a folder that holds something.

    >>> export("runs/none", "out", ("tflite",))
    Traceback (most recent call last):
    pellucid.InputError: formats must be among state_dict, onnx, torch_export, huggingface, got 'tflite'
    """
    asked = [formats] if isinstance(formats, str) else list(formats)
    some_of(FORMATS, formats=asked)
    wanted = [name for name in FORMATS if name in asked]
    not_negative(tolerance=tolerance)
    at_least(7, opset=opset)
    if "onnx" in wanted:
        require_onnx()
    out = Path(out)
    with whole_folder(out, replace=replace, known=NAMES) as folder:
        exported = read_network(run, images=images)
        graph = graph_of(exported, saliency) if {"onnx", "torch_export"} & {*wanted} else None
        written: list[Written] = []
        for name in wanted:
            match name:
                case "state_dict":
                    written += _state_dict(exported, folder, tolerance)
                case "onnx":
                    assert graph is not None
                    written.append(_onnx(graph, exported, folder / "model.onnx", tolerance, opset))
                case "torch_export":
                    assert graph is not None
                    written.append(_torch_export(graph, exported, folder / "model.pt2", tolerance))
                case "huggingface":
                    written.append(_huggingface(exported, folder / "huggingface", tolerance, license))
    return [Written(out / one.path.relative_to(folder), one.about) for one in written]


def _state_dict(exported: ExportedNetwork, folder: Path, tolerance: float) -> list[Written]:
    files = write_weights(exported, folder)
    parity = check_weights(exported, folder, tolerance=tolerance)
    about = {
        "model.safetensors": f"weights with the keys of {exported.experiment.network.name} alone; loaded there, "
        f"{parity.words} on {exported.images_are}",
        "model.pt": "the same for torch.load(weights_only=True)",
        "preprocessing.json": "classes, size, mean and deviation of the pixels",
        "model.py": "gives the bare network its weights and normalisation without pellucid",
    }
    if exported.change_words:
        about["model.safetensors"] += f"; {exported.change_words}, so that the weights need the change"
        about["model.py"] = "makes that change in the bare network and loads the weights, without pellucid"
    return [Written(file, about[file.name]) for file in files]


def _onnx(graph: Graph, exported: ExportedNetwork, file: Path, tolerance: float, opset: int | None) -> Written:
    version = write_onnx(graph, exported, file, opset=opset)
    parity = check_onnx(graph, exported, file, tolerance=tolerance)
    return Written(
        file, f"ONNX, opset {version}, {graph.words}; in ONNX Runtime {parity.words} on {exported.images_are}"
    )


def _torch_export(graph: Graph, exported: ExportedNetwork, file: Path, tolerance: float) -> Written:
    write_torch_export(graph, file)
    parity = check_torch_export(graph, exported, file, tolerance=tolerance)
    return Written(file, f"torch.export, {graph.words}; loaded again, {parity.words} on {exported.images_are}")


def _huggingface(exported: ExportedNetwork, folder: Path, tolerance: float, license: str | None) -> Written:
    lacks = write_hub_folder(exported, folder, license=license, tolerance=tolerance)
    lacking = f"; {' and '.join(lacks)}" if lacks else ""
    return Written(folder, f"folder for the Hugging Face Hub with a model card{lacking}")
