"""``pellucid explain``: trust cards of single images."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli.options import Parser, names
from pellucid.core.errors import InputError

if TYPE_CHECKING:
    import torch

    from pellucid.explanation.explained_network import ExplainedNetwork

__all__ = ["cards_beside", "explain"]

EXAMPLES = (
    ("pellucid explain runs/regular photos/cat.jpg --out cards", "a trust card for one picture and your own network"),
    (
        "pellucid explain photos --network timm:resnet18 --options '{\"pretrained\": true}' --out cards",
        "cards for a folder of pictures and a pretrained network",
    ),
)


def explain(arguments: Sequence[str]) -> None:
    """Write trust cards of images."""
    parser = Parser(
        "explain", "Write a trust card for each picture: its maps, and how far each can be trusted.", examples=EXAMPLES
    )
    parser.add_argument(
        "words", nargs="+", metavar="RUN|PICTURE",
        help="a run folder, then pictures, folders of pictures, or - for standard input; only pictures with --network",
    )  # fmt: skip
    parser.add_argument("--out", default=Path("explanations"), type=Path, help="folder to write the cards to")
    parser.add_argument(
        "--format", default="png,html,json", metavar="png,html,json,npz", help="kinds of files to write"
    )
    parser.add_argument("--saliency", default="", help="kinds of maps, with commas between, as for `pellucid evaluate`")
    parser.add_argument(
        "--signed", action="store_true", help="draw what speaks for the class in red, what speaks against it in blue"
    )
    parser.add_argument(
        "--top", type=float, help="value of the strongest colour, the same in all maps; by default each map has its own"
    )
    parser.add_argument("--target", help="the class to explain, by number or name; by default the predicted one")
    parser.add_argument(
        "--full", action="store_true", help="take more noisy copies and random maps, which makes the figures more exact"
    )
    parser.add_argument(
        "--calibrated", action="store_true", help="judge by thresholds that were chosen on pictures with known truth"
    )
    parser.add_argument(
        "--reference", type=Path, help="folder of pictures to compare this one with; a measured run has its own"
    )
    parser.add_argument("--reference-images", default=50, type=int, help="use at most N pictures of that folder")
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="explain another network: package.module:factory, timm:NAME, torchvision:NAME or pellucid's own",
    )
    parser.add_argument("--weights", type=Path, help="the file of its weights: .safetensors, .pt or .pth")
    parser.add_argument("--options", metavar="JSON", help="keyword arguments of the network")
    parser.add_argument(
        "--size", type=int, help="side in pixels of the pictures that the network takes, 224 by default"
    )
    parser.add_argument("--channels", type=int, help="channels of the pictures that the network takes, 3 by default")
    parser.add_argument(
        "--mean",
        default="",
        metavar="NUMBER,...",
        help="mean of each channel that the network was trained with, for pixels in [0, 1]",
    )
    parser.add_argument(
        "--std",
        default="",
        metavar="NUMBER,...",
        help="standard deviation of each channel that the network was trained with",
    )
    parser.add_argument(
        "--classes", metavar="FILE|N", help="a file with the names of the classes, or their number; 1000 by default"
    )
    parser.add_argument(
        "--task",
        metavar="multiclass|multilabel",
        help="multilabel if a picture may have several classes",
    )
    parser.add_argument("--batch-size", default=8, type=int, help="pictures measured at once")
    parser.add_argument("--seed", default=0, type=int, help="seed of all random numbers")
    parser.add_argument("--accelerator", default="auto", metavar="auto|cpu|cuda|mps", help="where to compute")
    parsed = parser.parse_args(arguments)
    from dataclasses import replace

    from pellucid.explanation import batch, reference
    from pellucid.explanation.cards import examination_of
    from pellucid.explanation.trust_rules import Thresholds
    from pellucid.report.colours import Scale

    scale = Scale(signed=parsed.signed, top=parsed.top)
    device = _device(parsed.accelerator)
    network, images = _network(parsed)
    network.model.to(device)
    examination = replace(examination_of(network, names(parsed.saliency), full=parsed.full), seed=parsed.seed)
    examination = replace(examination, thresholds=Thresholds.calibrated()) if parsed.calibrated else examination
    compared = None
    if parsed.reference is not None:
        compared = reference.of_folder(
            network, parsed.reference, examination, images=parsed.reference_images, batch_size=parsed.batch_size
        )
    elif network.run is not None and network.evaluation is not None:
        compared = reference.of_rows(network.run)
    formats: Any = names(parsed.format)  # checked by explain
    summary = batch.explain(
        network, images, parsed.out, examination=examination, reference=compared, formats=formats,
        target=parsed.target, batch_size=parsed.batch_size, scale=scale,
    )  # fmt: skip
    if not (summary.made or summary.skipped):
        raise InputError(f"there is nothing to explain: the pictures in {parsed.out} are cards that pellucid made")
    if not summary.made:
        reason = summary.skipped[0]["reason"]
        many = len(summary.skipped)
        raise InputError(reason if many == 1 else f"none of {many} images could be explained; the first: {reason}")
    for entry in summary.made:
        print(f"{entry['source']}: {entry['prediction']}. {entry['sentence']}")
    for entry in summary.skipped:
        print(f"pellucid: skipped: {entry['reason']}", file=sys.stderr)
    undecided = sum(entry["level"] == "undecided" for entry in summary.made)
    if undecided and not parsed.full:
        print(f"pellucid: {undecided} of {len(summary.made)} cards cannot tell; --full draws more", file=sys.stderr)
    if summary.skipped:
        print(f"pellucid: {len(summary.made)} explained, {len(summary.skipped)} skipped", file=sys.stderr)


def cards_beside(runs: Sequence[Path], page: Path) -> dict[str, dict[int, str]]:
    """Trust cards of a report's pictures, in a folder beside the page: their addresses by run and picture."""
    from pellucid.explanation import gallery_cards

    return gallery_cards(runs, page.with_name(f"{page.stem}-cards"))


def _network(parsed: Namespace) -> tuple["ExplainedNetwork", list[str]]:
    """The network that is explained, and the words that name its images."""
    from pellucid.config.trusted import name_typed
    from pellucid.explanation.explained_network import of_network, of_run

    for named in (parsed.network or "", *names(parsed.saliency)):
        name_typed(named)
    if parsed.network is None:
        for name in ("weights", "options", "size", "channels", "mean", "std", "classes", "task"):
            if getattr(parsed, name) not in (None, ""):
                raise InputError(f"--{name} is for --network, which is missing; a run brings its own")
        run, *images = parsed.words
        if not images:
            raise InputError(
                f"give a run directory and then images, got only {run!r}; for any other network give --network"
            )
        return of_run(run), images
    named = parsed.classes or "1000"
    size, channels = (usual if given is None else given for given, usual in ((parsed.size, 224), (parsed.channels, 3)))
    network = of_network(
        parsed.network, weights=parsed.weights, options=_options(parsed.options or "{}"), size=size, channels=channels,
        classes=int(named) if named.isdigit() else Path(named), mean=_numbers("mean", parsed.mean),
        std=_numbers("std", parsed.std), task=parsed.task or "multiclass",
    )  # fmt: skip
    return network, parsed.words


def _device(accelerator: str) -> "torch.device":
    """Without Fabric, whose import takes longer than that of torch."""
    import torch

    present = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator == "auto":
        return present or torch.device("cpu")
    if accelerator not in ("cpu", "cuda", "mps"):
        raise InputError(f"accelerator must be auto, cpu, cuda or mps, got {accelerator!r}")
    if accelerator != "cpu" and (present is None or present.type != accelerator):
        raise InputError(f"accelerator {accelerator!r} is not available; this machine has {present or 'only a cpu'}")
    return torch.device(accelerator)


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise InputError(f"options must be a JSON object such as '{{\"width\": 16}}', got {text!r}")
    return options


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in names(text))
    except ValueError:
        raise InputError(f"{name} must be numbers with commas between, one a channel, got {text!r}") from None
