"""Trust cards: one picture from the shell, and a folder of pictures beside the bare passes that its cards need."""

import sys
from typing import Any

import torch
from explain_cost import ALL, LENET, from_the_shell, measure
from speed import Row, row_of

__all__ = ["TRIED", "rows"]

COMMAND = "python benchmarks/speed.py --only cards"
CHEAPER = {ALL: "", ("html", "json"): "Without the PNG.", ("json",): "The numbers alone."}
"""Files that are written, and what to say of them."""

TRIED: tuple[str, ...] = ()
"""What did not help."""


def rows(rounds: int = 3) -> list[Row]:
    """A row for one picture with EfficientNet-lite0, and one for each choice of files with LeNet-5."""
    shell = from_the_shell(threads=2, repetitions=rounds)
    found = [
        row_of(
            shell["clock_s"], what="`pellucid explain` of one image of 224 px with EfficientNet-lite0", target=4.0,
            unit="s", command=COMMAND, note="Two threads; three maps; importing and loading included.",
        )
    ]  # fmt: skip
    torch.set_num_threads(1)
    for forms, note in CHEAPER.items():
        print(f"cards of LeNet-5, {', '.join(forms)}", file=sys.stderr, flush=True)
        ratio: dict[str, Any] = measure(LENET, 32, forms, rounds)["processor"]
        found.append(
            Row(
                what="cards of 32 pictures with LeNet-5, throughput over that of their bare passes",
                target=0.7 if forms == ALL else None, figure=ratio["mean"], low=ratio["low"], high=ratio["high"],
                n=rounds, unit="×", better="higher", command=COMMAND, note=note,
            )
        )  # fmt: skip
    return found
