"""``pellucid layers``: where in a network a smoothing block or a class activation map fits."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli.options import Parser
from pellucid.core.checks import at_least, one_of
from pellucid.core.errors import InputError

if TYPE_CHECKING:
    from pellucid.core.feature_maps import SeenLayer
    from pellucid.explanation.explained_network import ExplainedNetwork

__all__ = ["layers"]

EXAMPLES = (
    ("pellucid layers lenet5 --size 28 --channels 1", "the layers of pellucid's LeNet-5"),
    ("pellucid layers timm:resnet18 --depth 1", "the stages of a ResNet-18"),
)


def layers(arguments: Sequence[str]) -> None:
    """Print the layers of a network where a smoothing block or a class activation map fits."""
    parser = Parser(
        "layers",
        "List the layers of a network where a smoothing block or a class activation map fits, with the shape of each "
        "output. The layer that class activation maps take by default is marked.",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "network", help="a run folder, pellucid's own network, timm:NAME, torchvision:NAME or package.module:factory"
    )
    parser.add_argument("--options", default="{}", metavar="JSON", help="keyword arguments of the network")
    parser.add_argument(
        "--size",
        type=int,
        help="side in pixels of the images that the network takes; by default 224, or that of the run",
    )
    parser.add_argument("--channels", type=int, help="channels of these images; by default 3, or those of the run")
    parser.add_argument("--classes", default=1000, type=int, help="number of classes")
    parser.add_argument("--depth", type=int, help="show names of at most N parts, such as 1 for only the stages")
    parser.add_argument("--format", default="text", metavar="text|json", help="how to write the list")
    parsed = parser.parse_args(arguments)
    one_of(("text", "json"), format=parsed.format)
    at_least(1, size=parsed.size, channels=parsed.channels, depth=parsed.depth)
    network = _network(parsed)
    told = _told(network)
    if parsed.depth is not None:
        told["layers"] = [layer for layer in told["layers"] if layer["name"].count(".") < parsed.depth]
    print(json.dumps(told, indent=2, ensure_ascii=False) if parsed.format == "json" else _text(told))


def _network(parsed: Any) -> "ExplainedNetwork":
    from pellucid.config.trusted import name_typed
    from pellucid.core.randomness import fork
    from pellucid.explanation.explained_network import of_network, of_run

    if Path(parsed.network).is_dir():
        if parsed.options != "{}" or parsed.size is not None or parsed.channels is not None:
            raise InputError(
                f"{parsed.network} is a run, which has its own network; leave out --options, --size and --channels"
            )
        return of_run(parsed.network)
    try:
        options = json.loads(parsed.options)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise InputError(f"options must be a JSON object such as '{{\"width\": 16}}', got {parsed.options!r}")
    name_typed(parsed.network)
    with fork(0, "layers"):
        return of_network(
            parsed.network, options=options, size=parsed.size or 224, channels=parsed.channels or 3,
            classes=parsed.classes, answers=False,
        )  # fmt: skip


def _told(network: "ExplainedNetwork") -> dict[str, Any]:
    """What is known of the layers, as plain data."""
    import torch

    from pellucid.core.feature_maps import observe
    from pellucid.core.randomness import SampleDraws
    from pellucid.edits.smoothing import SmoothingBlock
    from pellucid.models import Normalize
    from pellucid.saliency.layers import default_layer, fits
    from pellucid.saliency.rollout import attention_layers

    x = network.batch([torch.zeros(network.shape, dtype=torch.uint8)])
    noise = SampleDraws(0, (0,)).uniform(x.shape, device=x.device)  # a flat image may leave dead units everywhere
    with torch.enable_grad():
        seen, logits = observe(network.model, noise.requires_grad_().clone())
        taken = default_layer(seen, logits)
    uses: dict[str, list[SeenLayer]] = {}
    for layer in seen:
        uses.setdefault(layer.name.removeprefix("network."), []).append(layer)
    own = {name for name, module in network.model.named_modules() if isinstance(module, Normalize | SmoothingBlock)}
    rows = []
    for name, used in uses.items():
        last = used[-1]
        if last.grid is None or not fits(last) or any(f"{last.name}.".startswith(f"{part}.") for part in own):
            continue
        rows.append(
            {
                "name": name,
                "kind": type(last.module).__name__,
                "output": list(last.shape) if isinstance(last.shape, tuple) else last.shape,
                "map": str(last.grid),
                "smoothing": len({layer.shape for layer in used}) == 1 and isinstance(last.shape, tuple),
                "cam": "taken" if last is taken else "fits",
            }
        )
    attention = [name.removeprefix("network.") for name in attention_layers(network.model)]
    return {"network": network.name, "shape": list(network.shape), "layers": rows, "attention": attention}


def _text(told: dict[str, Any]) -> str:
    from pellucid.core import terminal

    channels, height, width = told["shape"]
    head = f"{told['network']} on images of {channels} × {height} × {width}"
    if not told["layers"]:
        return f"{head}: no layer gives a feature map of more than one row and column"
    rows = [
        [row["name"], row["kind"], row["map"], "fits" if row["smoothing"] else "–", row["cam"]]
        for row in told["layers"]
    ]
    table = terminal.rendered(terminal.table(["layer", "kind", "feature map", "smoothing", "CAM"], rows))
    attention = told["attention"]
    shown = attention if len(attention) < 4 else [attention[0], "…", attention[-1]]
    return "\n".join([f"{head}:", table, *([f"attention rollout: {', '.join(shown)}"] if attention else [])])
