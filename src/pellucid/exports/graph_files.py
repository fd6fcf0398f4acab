"""A network's graph as a file: ONNX, and torch's own ``.pt2``, each run again from the file and compared."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from pellucid.core.errors import InputError, raised
from pellucid.core.files import whole_file
from pellucid.exports.exported_network import ExportedNetwork
from pellucid.exports.gradients import median
from pellucid.exports.graph import logits_and_map, older_torch, quiet, traced
from pellucid.exports.parity import Arrays, Parity, compared
from pellucid.saliency import Explain, saliency_name

__all__ = ["Graph", "check_onnx", "check_torch_export", "graph_of", "require_onnx", "write_onnx", "write_torch_export"]

INPUT, LOGITS, MAP = "image", "logits", "map"
"""Names of a graph's input and outputs."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A network's graph and what it must give.

    Attributes:
        program: the graph.
        expected: the network's own logits and, if the graph has one, map of the images that files are compared on.
        saliency: name of the kind of map that it gives; None for logits alone.
    """

    program: ExportedProgram
    expected: Arrays
    saliency: str | None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives."""
        return (LOGITS,) if self.saliency is None else (LOGITS, MAP)

    @property
    def words(self) -> str:
        """What it takes and gives, in words."""
        drawn = "" if self.saliency is None else f" and {self.saliency} map of the predicted class"
        return f"any number of images of pixels in [0, 1] to logits{drawn}"


def graph_of(exported: ExportedNetwork, saliency: Explain | None = None) -> Graph:
    """The graph of a network, its normalisation included.

    Args:
        exported: the network.
        saliency: kind of map that it also gives.

    Raises:
        InputError: as `pellucid.exports.graph.traced`.
    """
    program = traced(exported.model, exported.images[:2].clone(), saliency=saliency)
    with torch.no_grad():
        if saliency is None:
            results: tuple[torch.Tensor, ...] = (exported.model(exported.images),)
        else:
            results = logits_and_map(exported.model, exported.images, saliency)
    expected = [result.detach().numpy() for result in results]
    return Graph(program, expected, None if saliency is None else saliency_name(saliency))


def write_torch_export(graph: Graph, file: Path) -> None:
    """Write the graph for ``torch.export.load(file).module()``, which needs torch alone."""
    with whole_file(file) as temporary, quiet():
        torch.export.save(graph.program, temporary)


def check_torch_export(graph: Graph, exported: ExportedNetwork, file: Path, *, tolerance: float) -> Parity:
    """Load the written file and compare it with the network.

    Raises:
        InputError: a difference above the tolerance, as `pellucid.exports.parity.compared` has it.
    """
    with quiet():
        program = torch.export.load(file).module()

    def run(images: Any) -> list[Any]:
        with torch.no_grad():
            results = program(torch.from_numpy(images))
        return [result.numpy() for result in (results if isinstance(results, tuple | list) else [results])]

    return compared(run, exported.images.numpy(), graph.expected, what=file.name, tolerance=tolerance)


def require_onnx() -> None:
    """Refuse, before long work, an installation that cannot write and run ONNX.

    Raises:
        InputError: a package is missing.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(package)
        except ImportError as error:
            raise InputError(
                f"ONNX files need the package {package}, which cannot be imported ({error}): install pellucid[onnx]"
            ) from error


def write_onnx(graph: Graph, exported: ExportedNetwork, file: Path, *, opset: int | None = None) -> int:
    """Write the graph for ONNX runtimes; the class names and what its input must be are among its metadata.

    Args:
        graph: the graph.
        exported: the network.
        file: where to.
        opset: version of ONNX's operations; what this torch writes by default.

    Returns:
        The version of the operations.

    Raises:
        InputError: an operation of the network has no counterpart there.
    """
    require_onnx()
    table = {**torch.export.default_decompositions(), torch.ops.aten.median.dim: median}
    try:
        with quiet(), _without_notes():
            written: Any = torch.onnx.export(
                graph.program.run_decompositions(table),
                input_names=[INPUT],
                output_names=list(graph.outputs),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the converter raises its own classes, and those of what it calls
        reason = raised(_first_cause(error))
        raise InputError(
            f"ONNX cannot hold the network of {exported.run}: {reason[:300]}; torch_export holds every network that "
            f"can be traced{older_torch()}"
        ) from error
    _name_batch(written.model.graph)
    said = exported.preprocessing
    written.model.metadata_props.update(
        {key: json.dumps(said[key]) for key in ("classes", "pixels", "size", "pellucid")}
    )
    with whole_file(file) as temporary, quiet():
        written.save(temporary, external_data=False)
    return int(written.model.opset_imports[""])


def check_onnx(graph: Graph, exported: ExportedNetwork, file: Path, *, tolerance: float) -> Parity:
    """Run the written file in ONNX Runtime on the CPU and compare it with the network.

    Raises:
        InputError: a difference above the tolerance, as `pellucid.exports.parity.compared` has it.
    """
    runtime: Any = import_module("onnxruntime")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(images: Any) -> list[Any]:
        results: list[Any] = session.run(list(graph.outputs), {INPUT: np.ascontiguousarray(images)})
        return results

    return compared(run, exported.images.numpy(), graph.expected, what=file.name, tolerance=tolerance)


def _name_batch(graph: Any) -> None:
    """Call the number of images ``batch`` in the graph's input and outputs, where the converter invents a name."""
    named = type(graph.inputs[0].shape[0])("batch")
    for value in (*graph.inputs, *graph.outputs):
        value.shape[0] = named


@contextmanager
def _without_notes() -> Iterator[None]:
    """Without the notes that the converter logs about packages that are not installed."""
    notes = logging.getLogger("torch.onnx")
    before = notes.level
    notes.setLevel(logging.ERROR)
    try:
        yield
    finally:
        notes.setLevel(before)


def _first_cause(error: BaseException) -> Exception:
    while error.__cause__ is not None:
        error = error.__cause__
    return error if isinstance(error, Exception) else RuntimeError(str(error))
