"""Measures at the passes they must make, and against other packages where these are installed."""

import importlib.util
import sys
from typing import Any

import torch
from metric_cost import NETWORKS, Measured, maps, measures, primitives, setting
from speed import Row, row_of
from step_cost import measure

__all__ = ["TRIED", "rows"]

COMMAND = "python benchmarks/speed.py --only measures"
PASSES = 1.15
SECONDS = 110.0
"""For each network: a pass is short and is repeated, as one alone finds the processor's caches cold."""
PEERS = {"Quantus": 1 / 5, "Captum": 1.0}
LONG = ("hessian", "eigenvalue")
"""Measures of curvature are at their passes already."""

TRIED = (
    "ROAD must solve its linear systems, which stand in none of its passes. Conjugate gradients without multigrid are "
    "faster for small scattered holes alone, and need 390 iterations for one large hole of 96 pixels; levels that are "
    "added up instead of cycled through need two to three times the iterations. No two images share a mask. One dense "
    "Cholesky factor of an image's pixels in their order of removal would serve all shares. By an estimate, for which "
    "the factor alone was timed, it takes half of the iterations' time at 28 pixels, and 64 times as much for each "
    "doubling of the side.",
    "Similarity and randomisation on LeNet-5: ranking a map costs about a fifth of an input gradient, most "
    "of it sorting, and SSIM in float64 a tenth; SSIM in float32 was not tried, for its variances are small "
    "differences of large numbers. Noise, of which each image has its own seed, costs about a tenth of the passes.",
    "Quantus on the ResNet-18: both packages spend nearly all of their time in the same passes, so that a fifth of its "
    "time cannot be had.",
    "Cards: the rows of the picture that repeat the one above, kept in compressed form, saved no time.",
)
"""What did not help."""


def rows(rounds: int = 9) -> list[Row]:
    """A row for each measure and network: its time over that of its passes; one for each that another package has."""
    torch.set_num_threads(1)
    found = []
    for network in NETWORKS:
        s = setting(network, torch.device("cpu"))
        asked: dict[str, Measured] = {
            name: one for name, one in (measures(s) | maps(s)).items() if not any(word in name for word in LONG)
        }
        works: dict[str, Any] = dict(primitives(s)) | {name: one.work for name, one in asked.items()}
        works |= {f"{name}, {one.peer}": one.theirs for name, one in asked.items() if _there(one)}
        print(f"{network}: {len(works)} calls in turn", file=sys.stderr, flush=True)
        times = measure(works, rounds=rounds, seconds=SECONDS, device=torch.device("cpu"))
        for name, one in asked.items():
            floor = [sum(count * times[part][r] for part, count in one.floor.items()) for r in range(rounds)]
            ratios = [taken / least for taken, least in zip(times[name], floor, strict=True)]
            what = f"`{name}`, {network}, over its passes"
            found.append(row_of(ratios, what=what, target=PASSES, unit="×", command=COMMAND))
            if _there(one):
                theirs = [a / b for a, b in zip(times[name], times[f"{name}, {one.peer}"], strict=True)]
                what = f"`{name}`, {network}, over {one.peer}'s"
                found.append(row_of(theirs, what=what, target=PEERS[one.peer], unit="×", command=COMMAND))
    return found


def _there(one: Measured) -> bool:
    return one.theirs is not None and importlib.util.find_spec(one.peer.lower()) is not None
