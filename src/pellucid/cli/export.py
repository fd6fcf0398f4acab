"""``pellucid export``: a trained network for use without pellucid."""

from collections.abc import Sequence
from pathlib import Path

from pellucid.cli.options import Parser, names

__all__ = ["export"]

EXAMPLES = (
    ("pellucid export runs/regular --out exported", "weights that plain PyTorch loads"),
    (
        "pellucid export runs/regular --out exported --to onnx --map vanilla_gradient",
        "an ONNX graph that gives a map beside the prediction",
    ),
)


def export(arguments: Sequence[str]) -> None:
    """Write a run's network as files for use elsewhere."""
    parser = Parser(
        "export",
        "Write a trained network as files for use without pellucid. Each file is run and compared with the network.",
        examples=EXAMPLES,
    )
    parser.add_argument("run", type=Path, help="a run folder that `pellucid train` or `pellucid tune` wrote")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument(
        "--to", default="state_dict", metavar="state_dict,onnx,torch_export,huggingface",
        help="kinds of files to write, with commas between",
    )  # fmt: skip
    parser.add_argument(
        "--map", metavar="vanilla_gradient|gradcam|layercam",
        help="the map that onnx and torch_export return beside the logits",
    )  # fmt: skip
    parser.add_argument("--images", default=8, type=int, help="test images to compare the files on")
    parser.add_argument("--tolerance", default=1e-4, type=float, help="largest relative difference to accept")
    parser.add_argument("--opset", type=int, help="version of ONNX's operators; by default torch chooses")
    parser.add_argument("--license", help="licence to name in the model card, such as apache-2.0")
    parser.add_argument("--replace", action="store_true", help="replace an export that is there already")
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
