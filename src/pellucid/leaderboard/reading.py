"""What a leaderboard says, in sentences that are made of its rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pellucid.leaderboard.plan import FAMILIES, SEEDS

__all__ = ["Target", "lead", "reached"]

Target = tuple[str, str, float]
TARGETS: tuple[tuple[str, str, float], ...] = (
    ("mass", "true mass at least .80", 0.80),
    ("faithfulness_normalised", "normalised faithfulness not below regular training's", 0.0),
    ("gini", "Gini at least .10 above", 0.10),
    ("autoattack_correct", "AutoAttack accuracy at least 30 points above", 0.30),
    ("clean_accuracy", "accuracy within 2 points", -0.02),
)
"""What was asked of the preset before it was searched: the mass itself, all others minus regular training's."""


def lead(result: Mapping[str, Any]) -> Iterator[str]:
    """The first paragraph of a board: what holds and what does not, made of its rows."""
    if result["scale"] == "smoke":
        yield "Scale `smoke` shows that the command runs: its numbers mean nothing, and nothing is read from them."
        return
    rows = {row["name"]: row for row in result["rows"]}
    methods = [row for row in result["rows"] if row["kind"] in ("method", "ours") and row["against"]]
    metric = "mass" if "mass" in result["contrasts"] else "faithfulness_normalised"
    if metric not in result["contrasts"]:
        metric = next(iter(result["contrasts"]))
    told = {"mass": "true mass", "faithfulness_normalised": "normalised faithfulness"}.get(metric, metric)
    if len(result["seeds"]) == 1:
        yield "One seed: differences are seen, and nothing is confirmed."
        higher = [row["name"] for row in methods if _all_above(row, metric)]
        yield (
            f"Higher {told} than regular training and than every control beside it, over the images of this seed: "
            f"{_listed(higher)}."
        )
        return
    declared = SEEDS[FAMILIES[result["board"]]]
    if len(result["seeds"]) < declared:
        yield (
            f"{len(result['seeds'])} of the {declared} declared seeds are measured, so the intervals over seeds are "
            "wide and most differences cannot be told yet; read the means as a direction."
        )
    alone = [row["name"] for row in methods if set(row["against"]) == {"regular"} and _all_above(row, metric)]
    above = [row["name"] for row in methods if row["name"] not in alone and _all_above(row, metric)]
    only_regular = [
        row["name"]
        for row in methods
        if row["name"] not in {*above, *alone} and _above(row["against"]["regular"], metric)
    ]
    undefined = [row["name"] for row in methods if row["against"]["regular"][metric]["mean"] is None]
    rest = [row["name"] for row in methods if row["name"] not in {*above, *alone, *only_regular, *undefined}]
    words = f"higher {told} than regular training and than every control beside it"
    yield f"**By uncorrected intervals, {words}: {_listed(above)}.**"
    yield f"Higher than regular training, not shown to be higher than each of its controls: {_listed(only_regular)}."
    if alone:
        yield f"Higher than regular training, with no control measured beside it: {_listed(alone)}."
    yield f"Not shown to be higher than regular training: {_listed(rest)}."
    if undefined:
        yield f"Not compared, because {told} is not defined for every network: {_listed(undefined)}."
    if "trustworthy" in rows:
        yield from _ours(rows["trustworthy"], rows["regular"], result)


def _ours(row: Mapping[str, Any], regular: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    """How near the preset comes to what was asked of it."""
    known = [(metric, text, least) for metric, text, least in TARGETS if metric in row["measured"]]
    met = [text for metric, text, least in known if reached(row, regular, metric, least)]
    missed = [text for metric, text, least in known if not reached(row, regular, metric, least)]
    cheap = "step at most four times regular training's"
    (met if row["cost"]["median"] <= 4 else missed).append(cheap)
    yield (
        f"By its means, `trustworthy` reaches {len(met)} of {len(met) + len(missed)} targets: {_listed(met)}. It "
        f"misses: {_listed(missed)}."
    )


def reached(row: Mapping[str, Any], regular: Mapping[str, Any], metric: str, least: float) -> bool:
    """Whether a row's mean reaches a target: the true mass itself, and of all else what it has above regular training.

    Args:
        row: of the board.
        regular: regular training's.
        metric: its name.
        least: the target.
    """
    found, other = row["measured"][metric]["mean"], regular["measured"][metric]["mean"]
    if found is None or (other is None and metric != "mass"):
        return False
    return bool(found >= least if metric == "mass" else found - other >= least - 1e-12)


def _above(found: Mapping[str, Any], metric: str) -> bool:
    low = found[metric]["low"]
    return low is not None and low > 0


def _all_above(row: Mapping[str, Any], metric: str) -> bool:
    return all(_above(found, metric) for found in row["against"].values())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
