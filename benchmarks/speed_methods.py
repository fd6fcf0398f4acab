"""A lower floor: what the cheaper forms of a method's step cost, beside what they keep of its quality.

The cost is the processor's time on one thread (`fast.costs`), the quality what `fast.py` has written last.
"""

import json
from pathlib import Path
from typing import Any

import torch
from fast import costs
from fast_variants import VARIANTS
from speed import Row, row_of

__all__ = ["TRIED", "rows"]

COMMAND = "python benchmarks/speed.py --only methods"
TARGETS = {
    "truest, share 1/4": 1.5,
    "robust, one step, share 1/8": 1.5,
    "free, softplus": 1.5,
    "scaat, one step, share 1/16": 1.4,
    "scaat, one step, every 8th step, weight × 32": 1.4,
    "sgt, share 1/2": 2.0,
    "sgt, shared pass, share 1/2": 2.0,
    "sgt, share 1/4": 2.0,
}
"""Cheaper forms, and how many times a regular step each may cost."""
TOLD = {"mass": "mass on the cause", "gini": "Gini index", "robust_accuracy": "robust accuracy"}

TRIED = (
    "A gradient penalty by the difference of two losses costs more on LeNet-5 than differentiating twice, whose "
    "forward pass serves the classification, too; the difference adds a pass. It is for networks that cannot be "
    "differentiated twice.",
    "An attack at half resolution needs a network that takes images of any size, which LeNet-5 does not.",
    "An attack whose further steps see the network's first stage alone (YOPO, Zhang et al. 2019) is not built. That "
    "stage is more than half of LeNet-5's input gradient, so that little would be saved. On a ResNet-18 it is a few "
    "hundredths, and the attack would be cheaper there; but an attack is given an objective, and knows no network that "
    "it could part.",
    "Rankings that are kept for several epochs are not built. They save one input gradient of an image that carries "
    "the costly term, and an image of a share of each batch carries it about once in as many epochs, so that nothing "
    "is there to be kept; the shared pass saves a forward pass at once, and keeps nothing.",
    "A shared pass does not pay for SCAAT on a small share of each batch, whose passes are too small to gain by it.",
    "One step in the place of four is what costs SCAAT quality, not the share: it finds smaller changes, the "
    "divergence is smaller, and its weight has to grow. Four steps on every 14th training step, at 14 times the "
    "weight, kept less of the mass than one step on every 8th at 16 or 32 times, with one seed.",
)
"""What did not help."""


def rows(rounds: int = 9) -> list[Row]:
    """A row for each cheaper form: its step over a regular one, and what it keeps of the whole method."""
    torch.set_num_threads(1)
    kept = _kept(Path(__file__).parent.parent / "results" / "fast.json")
    chosen = [one for one in VARIANTS if one.name in TARGETS or one.name == "regular"]
    found = costs(chosen, rounds=rounds, steps=8)
    return [
        row_of(
            found[name],
            what=f"a step of `{name}`, over regular training's", target=target, unit="×", command=COMMAND,
            note=kept.get(name, "Its quality has not been measured; `python benchmarks/fast.py` does."),
        )
        for name, target in TARGETS.items()
    ]  # fmt: skip


def _kept(file: Path) -> dict[str, str]:
    """By variant, in one sentence, its quality minus that of the training that it is a cheaper form of."""
    if not file.exists():
        return {}
    told: list[dict[str, Any]] = json.loads(file.read_text())["rows"]
    return {
        row["name"]: f"Against `{row['of']}`, {row['seeds']} seed{'s' * (row['seeds'] > 1)}, in points: "
        + "; ".join(_difference(words, row["minus"][name]) for name, words in TOLD.items())
        + "."
        for row in told
        if row["minus"]
    }


def _difference(words: str, value: dict[str, Any]) -> str:
    if value["mean"] is None:
        return f"{words} –"
    return f"{words} {100 * value['mean']:+.1f} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"
