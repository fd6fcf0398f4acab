"""``pellucid export``: a trained network for use without pellucid."""

from collections.abc import Sequence
from pathlib import Path

from pellucid.cli.options import Parser, names

__all__ = ["export"]


def export(arguments: Sequence[str]) -> None:
    """Write a run's network as files for use elsewhere."""
    parser = Parser("export", "A trained network as files for use without pellucid, each compared with the run.")
    parser.add_argument("run", type=Path, help="a finished run directory")
    parser.add_argument("--out", required=True, type=Path, help="the folder to write")
    parser.add_argument(
        "--to", default="state_dict", help="of state_dict, onnx, torch_export, huggingface, with commas between"
    )
    parser.add_argument(
        "--map", help="map that onnx and torch_export give beside the logits: vanilla_gradient, gradcam, layercam"
    )
    parser.add_argument("--images", default=8, type=int, help="images that files are compared on")
    parser.add_argument("--tolerance", default=1e-4, type=float, help="largest relative difference that is accepted")
    parser.add_argument("--opset", type=int, help="version of ONNX's operations; torch's own choice by default")
    parser.add_argument("--license", help="identifier of a licence for the model card, such as apache-2.0")
    parser.add_argument("--replace", action="store_true", help="take the place of an export that is there")
    parsed = parser.parse_args(arguments)
    from pellucid import exports

    written = exports.export(
        parsed.run,
        parsed.out,
        names(parsed.to),
        saliency=parsed.map,
        images=parsed.images,
        tolerance=parsed.tolerance,
        opset=parsed.opset,
        license=parsed.license,
        replace=parsed.replace,
    )
    for one in written:
        print(f"{one.path}: {one.about}")
