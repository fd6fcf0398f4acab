"""What became of the predictions: each with its effect, its interval and its verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pellucid.core.files import check_writable
from pellucid.leaderboard.declared_page import page
from pellucid.leaderboard.parts import origin, stored
from pellucid.leaderboard.plan import OWN_PICTURES, SEEDS, Leaderboard
from pellucid.leaderboard.predictions import SENTENCES, Sentence
from pellucid.leaderboard.telling import measured_networks
from pellucid.papers import measured
from pellucid.papers.reproduce import write
from pellucid.report.table import interval_data
from pellucid.runs.environment import environment
from pellucid.runs.evaluated import Run
from pellucid.statistics import Interval
from pellucid.statistics.comparison import holm
from pellucid.statistics.seeds import hierarchical_statistic

__all__ = ["corrected", "judged", "p_value", "sentences"]

ALPHA = 0.05


def sentences(plan: Leaderboard, *, progress: bool = True) -> list[Any]:
    """Write what became of each declared sentence, from the boards' runs; nothing is trained.

    Writes sentences.md and .json. p-values are corrected by Holm's method over all sentences of the same time that
    could be judged. What the page says of a sentence for which fewer seeds are here is kept.

    Args:
        plan: where the runs and the results are; with a path, the board of those pictures is read too.
        progress: has no effect.
    """
    check_writable(plan.results)
    facts = environment(torch.device("cpu"))
    before = stored(plan, plan.named("sentences"))
    kept = {row["text"]: row for row in before.get("sentences", ())}
    found, origins = [], {}
    for name in dict.fromkeys(one.board for one in SENTENCES):
        runs = _by_entry(replace(plan, name=name, path=plan.path if name in OWN_PICTURES else None))
        fresh = [_found(one, runs) for one in SENTENCES if one.board == name]
        left = {row["text"] for row in fresh if kept.get(row["text"], row)["seeds"] > row["seeds"]}
        found += [kept[row["text"]] | {"later": row["later"]} if row["text"] in left else row for row in fresh]
        told = origin((run for seeds in runs.values() for run in seeds.values()), facts) if runs else {}
        if left:
            commits = {*before["origins"][name]["trained_at"], *told.get("trained_at", ())}
            told = before["origins"][name] | {"trained_at": sorted(commits)}
        if told:
            origins[name] = told
    result = {
        "name": plan.named("sentences"),
        "scale": plan.scale,
        "sentences": corrected(found),
        "origins": origins,
        "command": f"pellucid leaderboard sentences{' --scale smoke' * (plan.scale == 'smoke')}",
    }
    file = plan.results / str(result["name"])
    return [write(result, page(result), file), file.with_suffix(".json")]


def _by_entry(plan: Leaderboard) -> dict[str, dict[int, Run]]:
    """By entry and seed, the networks of a board that are here."""
    runs: dict[str, dict[int, Run]] = {}
    if plan.name in OWN_PICTURES and plan.path is None:
        return runs
    for network in measured_networks(plan):
        runs.setdefault(network.entry, {})[network.seed] = network.run
    return runs


def judged(runs: Mapping[str, Mapping[str, Mapping[int, Run]]]) -> list[dict[str, Any]]:
    """Every sentence with its effect, its interval and its verdict.

    Args:
        runs: by board, entry and seed.
    """
    return corrected([_found(one, runs.get(one.board, {})) for one in SENTENCES])


def corrected(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sentences with their verdicts, by p-values that Holm's method has corrected for all of the same time.

    A sentence is confirmed where its corrected p-value is at most .05 and its effect is on the side that it says,
    refuted where it is on the other side, and cannot be told otherwise; with one seed nothing is judged.

    Args:
        rows: each with its effect, its p-value and its number of seeds.
    """
    found = [dict(row) for row in rows]
    for later in (False, True):
        known = [row for row in found if row["p"] is not None and row["seeds"] > 1 and row["later"] == later]
        for row, value in zip(known, holm([row["p"] for row in known]) if known else (), strict=True):
            row["p_holm"] = float(value)
            right = row["right_side"]
            row["verdict"] = "cannot be told" if value > ALPHA else "confirmed" if right else "refuted"
    return found


def _found(sentence: Sentence, runs: Mapping[str, Mapping[int, Run]]) -> dict[str, Any]:
    claim = sentence.claim
    told: dict[str, Any] = {
        "board": sentence.board, "later": sentence.later, "text": claim.text, "metric": claim.metric, "run": claim.run,
        "baseline": claim.baseline, "kind": claim.kind, "allowed": [claim.low, claim.high], "found": None, "p": None,
        "p_holm": None, "verdict": "not measured", "seeds": 0, "declared_seeds": _declared_seeds(sentence.board),
    }  # fmt: skip
    names = [name for name in (claim.run, claim.baseline) if name]
    entries = [runs.get(name, {}) for name in names]
    both = sorted(set.intersection(*map(set, entries)))  # every network is compared with that of its own seed
    groups, seeds = [[entry[seed] for seed in both] for entry in entries], len(both)
    if not seeds or any(claim.metric not in run.measures for group in groups for run in group):
        return told

    (*statistics,), n = measured.statistics(groups, claim.metric, groups[0][0].rows.num_rows)

    def at(confidence: float) -> Interval:
        found = hierarchical_statistic(
            statistics, n, confidence=confidence,
            function=(lambda means: means[0] - means[1]) if claim.baseline else (lambda means: means[0]),
        )  # fmt: skip
        return measured.not_certain(found, claim.metric, confidence=confidence) if claim.baseline else found

    interval = at(0.95)
    if not interval.n:
        return told | {"seeds": seeds, "verdict": "cannot be told"}
    bound = claim.low if claim.low is not None else claim.high
    assert bound is not None
    right = interval.mean >= bound if claim.low is not None else interval.mean <= bound
    return told | {
        "found": interval_data(interval),
        "p": p_value(at, bound),
        "right_side": bool(right),
        "seeds": seeds,
        "verdict": "one seed" if seeds == 1 else "cannot be told",
    }


def _declared_seeds(board: str) -> int:
    return SEEDS[Leaderboard(name=board).family]


def p_value(at: Callable[[float], Interval], bound: float, *, least: float = 1e-3) -> float:
    """One minus the largest confidence at which an interval leaves out a bound: a two-sided p-value.

    Args:
        at: the interval at a confidence in (0, 1).
        bound: what the number is tested against.
        least: least value that is told; a bootstrap of 2000 resamples knows no smaller one.

    >>> round(p_value(lambda confidence: Interval(1.0, 1 - confidence, 1 + confidence, 9), 0.5), 3)
    0.5
    """

    def leaves_out(confidence: float) -> bool:
        interval = at(confidence)
        return not interval.low <= bound <= interval.high

    low, high = 0.0, 1 - least
    if leaves_out(high):
        return least
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if leaves_out(middle) else (low, middle)
    return float(np.clip(1 - low, least, 1.0))
