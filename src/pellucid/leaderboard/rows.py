"""A leaderboard's numbers from its runs, ready for JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.core.errors import InputError
from pellucid.leaderboard.boards import beginning, board
from pellucid.leaderboard.entries import ENTRIES, Entry, entries_of
from pellucid.leaderboard.parts import origin, origins_joined
from pellucid.leaderboard.plan import Leaderboard
from pellucid.papers import measured
from pellucid.papers.expression import expression
from pellucid.papers.plan import source
from pellucid.report.table import definitions, interval_data
from pellucid.runs.evaluated import Run
from pellucid.runs.settings import read_experiment
from pellucid.statistics import Interval
from pellucid.statistics.seeds import hierarchical_statistic

__all__ = ["CONTRASTS", "MAIN", "MORE", "cost", "difference", "frame", "joined", "refuse_other_rows", "summarise"]

TRUTH = ("mass", "mass_checked")
MAIN = (
    *("clean_accuracy", *TRUTH, "faithfulness_normalised", "faithfulness_normalised_mean", "aopc_morf", "aopc_lerf"),
    *("aopc_random", "gini", "ris", "ros", "robust_accuracy", "autoattack_correct"),
)
"""The columns of the first table, those that the runs have."""
MORE = (
    *("mass_lift", "rank_accuracy", "pointing", "follows_cause", "follows_rest", "mass_chance", "mass_random"),
    *("mass_edges", "abs_lerf", "aopc_morf_mean", "aopc_lerf_mean", "abs_lerf_mean", "aopc_random_mean"),
    *("morf_normalised", "morf_normalised_mean", "entropy", "rrs", "stability_coverage", "map_ssim"),
    *("gradient_variation", "road_morf", "road_lerf"),
)
"""Those of the second."""
COMMON = ("scale", "network", "epochs", "begun_epochs", "seeds")
CONTRASTS = (
    *("mass", "faithfulness_normalised", "faithfulness_normalised_mean", "aopc_lerf", "gini", "robust_accuracy"),
    "clean_accuracy",
)
"""What a method is held against its controls by."""


def summarise(plan: Leaderboard, runs: Mapping[str, Sequence[Run]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """A board's numbers from its runs, ready for JSON.

    Each number is the mean over seeds, with its 95 % interval over seeds and images.

    Args:
        plan: which board.
        runs: by entry, a run for each seed.
        facts: versions and commit, `pellucid.runs.environment.environment`.
    """
    at, first = board(plan), runs["regular"][0]
    n, facts_of = first.rows.num_rows, first.directory.facts
    assert facts_of is not None  # every training writes them
    every = [run for seeds in runs.values() for run in seeds]
    known = set.intersection(*(set(run.measures) for run in every))
    columns, more = ([name for name in names if name in known] for names in (MAIN, MORE))
    contrasts = [name for name in CONTRASTS if name in known]
    entries = entries_of(plan)
    rows = [_row(plan, entry, runs, [*columns, *more], contrasts, n) for entry in entries]
    return {
        "name": plan.file.name,
        "board": plan.name,
        "dataset": source(plan.name, plan.path),
        "truth": plan.truth,
        **frame(plan),
        "training_images": facts_of.images,
        "images": n,
        "accuracy_images": measured.predictions(first).num_rows,
        "split": first.info["split"],
        "columns": columns,
        "more": more,
        "contrasts": contrasts,
        "robust_eps": measured.robust_eps(first),
        "rows": rows,
        "common": f"{expression(at.base.optimizer)}, {expression(at.base.schedule)}, batch_size={at.base.batch_size}",
        "definitions": definitions([seeds[0] for seeds in runs.values()], [*columns, *more]),
        "origins": [{**origin(every, facts), "entries": [one.name for one in entries], "command": plan.command}],
    }


def frame(plan: Leaderboard) -> dict[str, Any]:
    """What all rows of a table have in common and a plan knows before anything is trained.

    Args:
        plan: which board.
    """
    base, begun = board(plan).base, beginning(plan)
    return {
        "scale": plan.scale,
        "network": _network(base.network.name, base.network.options),
        "epochs": base.epochs,
        "begun_epochs": 0 if begun is None else begun.epochs,
        "seeds": list(plan.numbers),
    }


def refuse_other_rows(there: Mapping[str, Any], now: Mapping[str, Any], file: Path) -> None:
    """Refuse to put rows into a table whose rows were trained or measured in another way.

    Args:
        there: the table; an empty one takes everything.
        now: what is to be put into it, or the `frame` of that.
        file: where the table is.

    Raises:
        InputError: the first thing in which they differ.
    """
    known = {"begun_epochs": 0, **there}  # which older tables, of networks that began from nothing, do not say
    for name in (*COMMON, "training_images", "images", "columns", "more", "contrasts") if there else ():
        if name in now and known.get(name) != now[name]:
            raise InputError(
                f"{file} has rows with {name.replace('_', ' ')} {known.get(name)!r}, and these have {now[name]!r}; "
                "give another folder for --results, or leave out --only to measure all entries again"
            )


def joined(there: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A table with the rows of another in place of its own of the same entries; every row says where it comes from.

    Args:
        there: the table; an empty one takes everything.
        now: newly measured.
    """
    earlier = {row["name"]: row for row in there.get("rows", ())}
    rows = earlier | {row["name"]: _with_contrasts(row, earlier.get(row["name"])) for row in now["rows"]}
    return {
        **now,
        "rows": [rows[one.name] for one in ENTRIES if one.name in rows],
        "origins": origins_joined(there.get("origins", ()), now["origins"]),
    }


def _with_contrasts(row: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A row with the contrasts of an earlier one of the same networks beside its own."""
    if earlier is None or not _are_alike(earlier["measured"], row["measured"]):
        return row
    return {**row, "against": {**earlier["against"], **row["against"]}}


def _are_alike(numbers: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether numbers have the same means but for rounding, as those of networks that were trained again have."""
    if numbers.keys() != others.keys():
        return False
    ours, theirs = (np.array([of[name]["mean"] for name in numbers], dtype=float) for of in (numbers, others))
    return bool(np.allclose(ours, theirs, rtol=1e-9, atol=1e-12, equal_nan=True))


def _network(name: str, options: Mapping[str, Any]) -> str:
    return ", ".join([name, *(f"{key} {value}" for key, value in sorted(options.items()))])


def _row(
    plan: Leaderboard, entry: Entry, runs: Mapping[str, Sequence[Run]], columns: Sequence[str],
    contrasts: Sequence[str], n: int,
) -> dict[str, Any]:  # fmt: skip
    seeds = runs[entry.name]
    experiment = read_experiment(seeds[0].path)
    against = [name for name in _rivals(entry) if name in runs]
    return {
        "name": entry.name,
        "kind": entry.kind,
        "of": entry.of,
        "title": entry.title,
        "source": entry.source,
        "published": [{"numbers": one.numbers, "on": one.on} for one in entry.published],
        "strengths": dict(entry.strengths(plan.family)),
        "training": expression(experiment.method, experiment.activation, experiment.smoothing),
        "epochs": experiment.epochs,
        "seeds": len(seeds),
        "measured": {name: interval_data(measured.interval(seeds, name, n)) for name in columns},
        "cost": cost(seeds, runs["regular"]),
        "against": {
            rival: {name: interval_data(difference(seeds, runs[rival], name, n)) for name in contrasts}
            for rival in against
        },
    }


def _rivals(entry: Entry) -> list[str]:
    """The rows that an entry is held against: regular training, its own controls, and those that it names."""
    if entry.kind not in ("method", "ours"):
        return []
    own = [control.name for control in ENTRIES if control.kind == "control" and control.of == entry.name]
    return list(dict.fromkeys(["regular", *own, *entry.against]))


def difference(runs: Sequence[Run], rivals: Sequence[Run], metric: str, n: int) -> Interval:
    """How much more of a number a training has than another, over the same seeds and images.

    Args:
        runs: of the one, a run for each seed.
        rivals: of the other.
        metric: its name.
        n: measured images.
    """
    (ours, theirs), n = measured.statistics([runs, rivals], metric, n)
    found = hierarchical_statistic([ours, theirs], n, function=lambda means: means[0] - means[1])
    return measured.not_certain(found, metric)


def cost(runs: Sequence[Run], regular: Sequence[Run]) -> dict[str, float]:
    """Time of a training step as a multiple of regular training's: the median over seeds, the least and the greatest.

    It comes from what each training has logged of itself while others ran beside it.

    Args:
        runs: a run for each seed.
        regular: regular training's, of the same seeds.
    """
    factors = [_step(run) / _step(other) for run, other in zip(runs, regular, strict=True)]
    return {"median": float(np.median(factors)), "least": min(factors), "greatest": max(factors)}


def _step(run: Run) -> float:
    """Seconds of a step."""
    return float(run.training["seconds"].sum() / run.training["step"][-1])
