"""The sentences that were written down before any leaderboard was measured, and what became of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pellucid.core.files import check_writable
from pellucid.leaderboard.declared_page import page
from pellucid.leaderboard.parts import origin, stored
from pellucid.leaderboard.plan import SEEDS, Leaderboard
from pellucid.leaderboard.telling import measured_networks
from pellucid.papers import measured
from pellucid.papers.claim import Claim
from pellucid.papers.reproduce import write
from pellucid.report.table import interval_data
from pellucid.runs.environment import environment
from pellucid.runs.evaluated import Run
from pellucid.statistics import Interval
from pellucid.statistics.comparison import holm
from pellucid.statistics.seeds import hierarchical_statistic

__all__ = ["SENTENCES", "Sentence", "corrected", "judged", "p_value", "sentences"]

ALPHA = 0.05


@dataclass(frozen=True)
class Sentence:
    """A claim about one board.

    Args:
        board: its name.
        claim: what is said of which entries; a ``difference``, or a ``value`` of one entry.
    """

    board: str
    claim: Claim


def _higher(text: str, run: str, baseline: str, metric: str = "mass", *, by: float = 0.0, board: str) -> Sentence:
    return Sentence(board, Claim(text, metric, run, baseline, low=by))


def _lower(text: str, run: str, baseline: str, metric: str, *, by: float = 0.0, board: str) -> Sentence:
    return Sentence(board, Claim(text, metric, run, baseline, high=by))


BESIDE, SHAPES, FASHION = "truth:beside", "truth:shapes", "fashion-mnist"
PENALTY = "gradient-penalty-softplus"
SENTENCES: tuple[Sentence, ...] = (
    _higher("SCAAT's true mass is higher than regular training's", "scaat", "regular", board=BESIDE),
    _higher("SCAAT's true mass is higher than with a random mask, each at the radius chosen for it", "scaat",
            "scaat-random", board=BESIDE),
    _higher("SGT's true mass is higher than regular training's", "sgt", "regular", board=BESIDE),
    _higher("SGT's true mass is higher than with a random mask, each with the share chosen for it", "sgt",
            "sgt-random", board=BESIDE),
    _higher("Adversarial training's true mass is higher than SCAAT's", "at", "scaat", board=BESIDE),
    _higher("Adversarial training with a small radius, a control, has at most .02 less true mass than SCAAT",
            "at-small", "scaat", by=-0.02, board=BESIDE),
    _lower("A smooth activation alone raises true mass by no more than .02", "regular-softplus", "regular", "mass",
           by=0.02, board=BESIDE),
    _higher("The gradient penalty's true mass is higher with a smooth activation than with ReLU", PENALTY,
            "gradient-penalty", board=BESIDE),
    _higher("The gradient penalty with a smooth activation has a higher true mass than SCAAT", PENALTY, "scaat",
            board=BESIDE),
    _higher("The gradient penalty with a smooth activation has a higher true mass than adversarial training", PENALTY,
            "at", board=BESIDE),
    Sentence(BESIDE, Claim("The preset's true mass is at least .80", "mass", "trustworthy", kind="value", low=0.80)),
    _higher("The preset's normalised faithfulness is not below regular training's", "trustworthy", "regular",
            "faithfulness_normalised", board=BESIDE),
    _higher("The preset's accuracy is at most 2 points below regular training's", "trustworthy", "regular",
            "clean_accuracy", by=-0.02, board=BESIDE),
    _higher("The preset's AutoAttack accuracy is at least 30 points above regular training's", "trustworthy", "regular",
            "autoattack_correct", by=0.30, board=BESIDE),
    _higher("The preset's Gini index is at least .10 above regular training's", "trustworthy", "regular", "gini",
            by=0.10, board=BESIDE),
    _lower("SCAAT's LeRF is lower than regular training's", "scaat", "regular", "aopc_lerf", board=FASHION),
    _lower("Noise augmentation without any map has a LeRF at most .002 above SCAAT's", "noise", "scaat", "aopc_lerf",
           by=0.002, board=FASHION),
    _higher("SCAAT's MoRF − LeRF is higher than with a random mask, each at the radius chosen for it", "scaat",
            "scaat-random", "area_between", board=FASHION),
    _higher("With the image's mean as fill, SCAAT's LeRF is lower than regular training's by no more than .002",
            "scaat", "regular", "aopc_lerf_mean", by=-0.002, board=FASHION),
    _higher("The smoothing block raises adversarial training's ROS", "at-smoothing", "at", "ros", board=FASHION),
    _higher("On colour images, SCAAT's true mass is higher than with a random mask, each at the radius chosen for it",
            "scaat", "scaat-random", board=SHAPES),
    _higher("On colour images, the gradient penalty with a smooth activation has a higher true mass than regular "
            "training",
            PENALTY, "regular", board=SHAPES),
    _higher("On colour images, the gradient penalty with a smooth activation has a higher true mass than SCAAT",
            PENALTY, "scaat", board=SHAPES),
    _higher("SCAAT's true mass is higher than with a random mask at the same radius", "scaat", "scaat-random-same",
            board=BESIDE),
    _higher("SCAAT's MoRF − LeRF is higher than with a random mask at the same radius", "scaat", "scaat-random-same",
            "area_between", board=FASHION),
    _higher("On colour images, SCAAT's true mass is higher than with a random mask at the same radius", "scaat",
            "scaat-random-same", board=SHAPES),
)  # fmt: skip
"""Twenty-three sentences, from the papers' claims and from what prototypes of one or two seeds had shown. Three were
added before their control was trained: a search had given SCAAT with a random mask another radius than SCAAT."""


def sentences(plan: Leaderboard, *, progress: bool = True) -> list[Any]:
    """Write what became of each declared sentence, from the boards' runs; nothing is trained.

    Writes sentences.md and .json. p-values are corrected by Holm's method over all sentences that could be judged. What
    the page says of a board of which fewer seeds are here is kept.

    Args:
        plan: where the runs and the results are.
        progress: has no effect.
    """
    check_writable(plan.results)
    facts = environment(torch.device("cpu"))
    before = stored(plan, plan.named("sentences"))
    kept = {row["text"]: row for row in before.get("sentences", ())}
    found, origins = [], {}
    for name in dict.fromkeys(one.board for one in SENTENCES):
        runs = _by_entry(replace(plan, name=name))
        rows = [_found(one, runs) for one in SENTENCES if one.board == name]
        known = [kept.get(row["text"], row) for row in rows]
        if any(old["seeds"] > row["seeds"] for old, row in zip(known, rows, strict=True)):
            found += known
            origins[name] = before["origins"][name]
        else:
            found += rows
            if runs:
                origins[name] = origin((run for seeds in runs.values() for run in seeds), facts)
    result = {
        "name": plan.named("sentences"),
        "scale": plan.scale,
        "declared": len(SENTENCES),
        "sentences": corrected(found),
        "origins": origins,
        "command": f"pellucid leaderboard sentences{' --scale smoke' * (plan.scale == 'smoke')}",
    }
    file = plan.results / str(result["name"])
    return [write(result, page(result), file), file.with_suffix(".json")]


def _by_entry(plan: Leaderboard) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {}
    for network in measured_networks(plan):
        runs.setdefault(network.entry, []).append(network.run)
    return runs


def judged(runs: Mapping[str, Mapping[str, Sequence[Run]]]) -> list[dict[str, Any]]:
    """Every sentence with its effect, its interval and its verdict.

    Args:
        runs: by board and entry, a run for each seed.
    """
    return corrected([_found(one, runs.get(one.board, {})) for one in SENTENCES])


def corrected(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sentences with their verdicts, by p-values that Holm's method has corrected for all that are judged here.

    A sentence is confirmed where its corrected p-value is at most .05 and its effect is on the side that it says,
    refuted where it is on the other side, and cannot be told otherwise; with one seed nothing is judged.

    Args:
        rows: each with its effect, its p-value and its number of seeds.
    """
    found = [dict(row) for row in rows]
    known = [row for row in found if row["p"] is not None and row["seeds"] > 1]
    for row, value in zip(known, holm([row["p"] for row in known]) if known else (), strict=True):
        row["p_holm"] = float(value)
        right = row["right_side"]
        row["verdict"] = "cannot be told" if value > ALPHA else "confirmed" if right else "refuted"
    return found


def _found(sentence: Sentence, runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    claim = sentence.claim
    told: dict[str, Any] = {
        "board": sentence.board, "text": claim.text, "metric": claim.metric, "run": claim.run,
        "baseline": claim.baseline, "kind": claim.kind, "allowed": [claim.low, claim.high], "found": None, "p": None,
        "p_holm": None, "verdict": "not measured", "seeds": 0, "declared_seeds": _declared_seeds(sentence.board),
    }  # fmt: skip
    names = [name for name in (claim.run, claim.baseline) if name]
    groups = [runs.get(name, []) for name in names]
    seeds = min(map(len, groups))
    if not seeds or any(claim.metric not in run.measures for group in groups for run in group):
        return told
    groups = [group[:seeds] for group in groups]  # seed 1 and on, of every entry

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
