"""Which measure tells the truth: every number that needs no mask, beside the share of the map that the mask holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pellucid.core.errors import InputError
from pellucid.core.files import check_writable
from pellucid.leaderboard.entries import entries_of
from pellucid.leaderboard.parts import origin, stored
from pellucid.leaderboard.plan import TRUTH_BOARDS, Leaderboard
from pellucid.leaderboard.run import stages_of
from pellucid.leaderboard.telling_page import page
from pellucid.papers.reproduce import write
from pellucid.report.table import interval_data
from pellucid.runs.directory import RunDirectory
from pellucid.runs.environment import environment
from pellucid.runs.evaluated import Run, read_run
from pellucid.statistics import Interval
from pellucid.statistics.clusters import clustered_interval, rank_correlation

__all__ = ["CORRECTIONS", "MEASURES", "Network", "held_out", "measured_networks", "measures", "telling"]

TRUTH = "mass"
FILLS = ("", "_mean")
CORRECTIONS = tuple(
    f"{name}{fill}"
    for fill in FILLS
    for name in ("faithfulness_normalised", "morf_normalised", "morf_over_random", "lerf_over_random")
)
"""Curves divided by the same network's random-order and oracle curves."""
MEASURES = (
    *(f"{name}{fill}" for fill in FILLS for name in ("aopc_lerf", "abs_lerf", "aopc_morf", "area_between")),
    *CORRECTIONS,
    *("ris", "ros", "rrs", "map_ssim", "gini", "entropy", "road_morf", "road_lerf", "gradient_variation"),
    *("randomisation_last", "robust_accuracy", "autoattack_correct", "clean_accuracy"),
)
"""What is held against the truth; robust accuracy and accuracy need labels, and no other needs anything."""
AGREEMENT = 0.8
"""The rank correlation on networks that chose nothing at which a correction counts as a success."""
LEAST_IMAGES = 30


@dataclass(frozen=True, eq=False)
class Network:
    """One network of a truth set.

    Attributes:
        entry: how it was trained.
        seed: of its training.
        run: its rows.
    """

    entry: str
    seed: int
    run: Run


def measures(plan: Leaderboard, *, progress: bool = True) -> list[Any]:
    """Write which measure tells the truth, from every network of the truth boards that is measured.

    Writes truth-measures.md and .json. Nothing is trained. What the page says of a board of which fewer networks are
    here is kept.

    Args:
        plan: where the runs and the results are.
        progress: has no effect.

    Raises:
        InputError: no truth board has two measured entries, and the page has none.
    """
    check_writable(plan.results)
    facts = environment(torch.device("cpu"))
    kept = {part["board"]: part for part in stored(plan, plan.named("truth-measures")).get("boards", ())}
    boards = []
    for name in TRUTH_BOARDS:
        found = measured_networks(replace(plan, name=name))
        told = len({network.entry for network in found}) >= 2
        if told and len(found) >= kept.get(name, {"networks": 0})["networks"]:
            boards.append({"board": name, **telling(found), **origin((one.run for one in found), facts)})
        elif name in kept:
            boards.append(kept[name])
    if not boards:
        raise InputError(
            f"no truth board has two measured entries in {plan.out}; measure some: pellucid leaderboard truth:beside"
        )
    result = {
        "name": plan.named("truth-measures"),
        "scale": plan.scale,
        "boards": boards,
        "command": f"pellucid leaderboard measures{' --scale smoke' * (plan.scale == 'smoke')}",
    }
    file = plan.results / str(result["name"])
    return [write(result, page(result), file), file.with_suffix(".json")]


def measured_networks(plan: Leaderboard) -> list[Network]:
    """The networks of a board that are trained and measured, with the settings that entries have now."""
    entries = entries_of(plan)
    return [
        Network(entries[number % len(entries)].name, stage.experiment.seed, read_run(stage.run))
        for number, stage in enumerate(stages_of(plan))
        if RunDirectory(stage.run).is_evaluated
    ]


def telling(networks: Sequence[Network]) -> dict[str, Any]:
    """How each measure goes with the true mass, over networks and over the images of one network.

    Args:
        networks: of one truth set, measured on the same images.

    Returns:
        Counts, a row for each measure, and what `held_out` says.
    """
    truth = _numbers(networks, TRUTH)
    entries = [network.entry for network in networks]
    rows = []
    for name in MEASURES:
        values = _numbers(networks, name)
        if np.isfinite(values).sum() < 3:
            continue
        over_networks = clustered_interval(_correlation(values, truth), entries)
        rows.append(
            {
                "measure": name,
                "networks": interval_data(over_networks),
                "images": interval_data(_over_images(networks, name)),
            }
        )
    return {
        "networks": len(networks),
        "entries": len(set(entries)),
        "seeds": sorted({network.seed for network in networks}),
        "images": networks[0].run.rows.num_rows,
        "rows": rows,
        "held_out": {
            "corrections": held_out(networks, CORRECTIONS),
            "all": held_out(networks, MEASURES),
        },
    }


def held_out(networks: Sequence[Network], names: Sequence[str]) -> dict[str, Any] | None:
    """The measure that goes best with the truth over the networks of odd seeds, and how it does over the others.

    Args:
        networks: of one truth set.
        names: measures to choose among.

    Returns:
        ``measure``, its correlation on the seeds that ``chosen`` it, and on the others that were ``held`` out with its
        interval over entries; the sign is such that the first is positive. None where either half is too small.
    """
    odd, even = ([network for network in networks if network.seed % 2 == rest] for rest in (1, 0))
    if len(odd) < 3 or len(even) < 3:
        return None
    found = {name: rank_correlation(_numbers(odd, name), _numbers(odd, TRUTH)) for name in names}
    found = {name: value for name, value in found.items() if np.isfinite(value)}
    if not found:
        return None
    best = max(found, key=lambda name: abs(found[name]))
    sign = 1.0 if found[best] >= 0 else -1.0
    held = clustered_interval(
        _correlation(sign * _numbers(even, best), _numbers(even, TRUTH)), [network.entry for network in even]
    )
    return {
        "measure": best,
        "sign": sign,
        "chosen": abs(found[best]),
        "held": interval_data(held),
        "success": bool(held.n and held.mean >= AGREEMENT),
    }


def _numbers(networks: Sequence[Network], name: str) -> npt.NDArray[np.float64]:
    """A measure of each network, NaN where it has none."""
    runs = (network.run for network in networks)
    return np.array(
        [
            run.measures[name].statistic(run)(np.ones((1, run.rows.num_rows)))[0] if name in run.measures else np.nan
            for run in runs
        ],
        dtype=np.float64,
    )


def _correlation(values: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> Any:
    return lambda chosen: rank_correlation(values[chosen], truth[chosen])


def _over_images(networks: Sequence[Network], name: str) -> Interval:
    """The mean over networks of the rank correlation over the images of each, with its interval over entries."""
    found = np.array([_within(network.run, name) for network in networks])
    known = [i for i, value in enumerate(found) if np.isfinite(value)]
    if not known:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    values = found[known]
    return clustered_interval(
        lambda chosen: float(values[chosen].mean()), [networks[i].entry for i in known]
    )  # fmt: skip


def _within(run: Run, name: str) -> float:
    """The rank correlation of a measure with the true mass over the images of one network."""
    column: Mapping[str, Any] = run.columns
    kept = {"robust_accuracy": "robust_correct"}.get(name, name)
    if name == "clean_accuracy":
        values = run.right.astype(np.float64)
    elif kept in column:
        values = run.values(kept)
    else:
        return float("nan")
    truth = run.values(TRUTH)
    if (np.isfinite(values) & np.isfinite(truth)).sum() < LEAST_IMAGES:
        return float("nan")
    return rank_correlation(values, truth)
