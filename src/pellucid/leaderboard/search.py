"""Settings of a leaderboard, chosen on validation images of a truth set with seeds that test nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pellucid.core.errors import InputError
from pellucid.core.files import check_writable
from pellucid.data import load
from pellucid.leaderboard.boards import beginning, board
from pellucid.leaderboard.composition import Composition, candidates
from pellucid.leaderboard.entries import ENTRIES, Entry, entries_of
from pellucid.leaderboard.evaluation import SomeImages, curves
from pellucid.leaderboard.parts import origin, origins_joined, stored
from pellucid.leaderboard.plan import FAMILIES, Leaderboard
from pellucid.leaderboard.rows import refuse_other_rows
from pellucid.leaderboard.rules import (
    ENTRY_RULE,
    FRONT_RULE,
    PRESET_RULE,
    chosen_strengths,
    most_robust,
    quickest,
    refusal,
    truest,
    winner,
)
from pellucid.leaderboard.run import begin, carry_out, seeded, stage_of
from pellucid.leaderboard.search_page import page
from pellucid.leaderboard.settings import Strengths, keep
from pellucid.papers.plan import source
from pellucid.papers.reproduce import write
from pellucid.papers.setting import Setting
from pellucid.papers.stages import Stage
from pellucid.runs.environment import environment
from pellucid.runs.evaluated import Run, read_run
from pellucid.runs.evaluation import Evaluation
from pellucid.runs.settings import Experiment

__all__ = ["search", "with_earlier"]

FIRST_SEED = 101
IMAGES = 500
NAMES = ("mass", "mass_checked", "gini", "robust_correct")
SHOWN = ("mass", "mass_checked", "faithfulness_normalised", "aopc_morf", "aopc_lerf", "gini", "robust_accuracy")
CURVE_IMAGES = 200
SMOKE_CANDIDATES = 3
NO_PRESET: dict[str, Any] = {"compositions": [], "front": {}, "winner": None, "allowed_loss": None, "faithful": False}
"""What a trace says of the presets where compositions were not searched."""


def search(plan: Leaderboard, *, progress: bool = True) -> list[Path]:
    """Choose the strength of every method and control, then the preset among the compositions of `candidates`.

    Every candidate is trained on half of the board's training images, with the seed 101 (and on, where more seeds are
    asked for), and measured on validation images; test images are not touched. What is there is skipped. Writes
    raw/leaderboard-search-NAME.json and .md into the folder of results and, at scale ``cpu``, what was chosen into the
    package's settings.yaml.

    Args:
        plan: which truth set; ``only`` leaves the settings and the rows of all other entries as they are, and the
            presets, too, where ``trustworthy`` is not among them.
        progress: show a bar on a terminal.

    Returns:
        The Markdown file, the JSON file, and settings.yaml where it was written.

    Raises:
        InputError: a board whose truth is not known, data that is missing, or a folder that cannot be written to.
    """
    if not plan.truth:
        truth_sets = ", ".join(name for name in FAMILIES if name.startswith("truth:"))
        raise InputError(f"settings are searched where the truth is known, on {truth_sets}; got {plan.name}")
    at = board(plan)
    at = replace(at, base=_shortened(at.base), evaluation=_evaluation(at.evaluation))
    load(at.base.dataset, "validation")
    begun = beginning(plan)
    folder = plan.results / "raw"
    check_writable(folder)
    facts = environment(torch.device("cpu"))
    trace: dict[str, Any] = {
        "name": f"leaderboard-search-{plan.where}",
        "board": plan.name,
        "dataset": source(plan.name, plan.path),
        "family": plan.family,
        "scale": plan.scale,
        "network": at.base.network.name,
        "epochs": at.base.epochs,
        "begun_epochs": 0 if begun is None else begun.epochs,
        "training_images": at.base.dataset.limit,
        "images": at.evaluation.images,
        "seeds": list(_seeds(plan)),
        "rules": {"entries": ENTRY_RULE, "preset": PRESET_RULE, "front": FRONT_RULE},
    }
    name = folder / str(trace["name"])
    there = stored(replace(plan, results=folder), name.name) if plan.only else {}
    refuse_other_rows(there, trace, Path(f"{name}.json"))
    begin(plan, _seeds(plan), progress=progress)
    searched = [one for one in entries_of(plan) if one.grid]
    trials = {f"{one.name}{_suffix(chosen)}": (one, chosen) for one in searched for chosen in one.grid[plan.family]}
    trained = {name: one.make(at, chosen) for name, (one, chosen) in trials.items()}
    preset_too = not plan.only or "trustworthy" in plan.only
    later = len(_tried(plan)) if preset_too else 0
    runs = _measured(plan, at, trained, "search", progress=progress, later=later)
    rows = [_row(name, chosen, runs[name], entry=one) for name, (one, chosen) in trials.items()]
    regular = next(row for row in rows if row["entry"] == "regular")
    chosen = {
        one.name: chosen_strengths([row for row in rows if row["entry"] == one.name], regular) for one in searched
    }
    for row in rows:
        row["refused"] = refusal(row, regular, 0.02)
    settings: dict[str, Strengths] = {name: row["settings"] for name, row in chosen.items()}
    if plan.scale == "cpu":
        keep(plan.family, settings)  # compositions have bases of these strengths
    told = {"regular": regular, "rows": rows, "chosen": {name: row["run"] for name, row in chosen.items()}}
    if preset_too:
        of_presets, more, more_runs = _presets(plan, at, progress=progress)
        told, settings, runs = told | of_presets, settings | more, runs | more_runs
    command = f"{plan.command.replace(f'--seeds {len(plan.numbers)}', f'--seeds {len(_seeds(plan))}')} --search"
    names = [*(one.name for one in searched), *(["trustworthy"] if preset_too else [])]
    every = [run for seeds in runs.values() for run in seeds]
    trace |= NO_PRESET | told | {"origins": [{**origin(every, facts), "entries": names, "command": command}]}
    trace = with_earlier(there, trace)
    files = [write(trace, page(trace), name), Path(f"{name}.json")]
    return files + ([keep(plan.family, settings)] if plan.scale == "cpu" else [])


def with_earlier(there: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A trace with what an earlier one says of entries, and of compositions, that were not searched now.

    Args:
        there: the earlier trace; an empty one adds nothing.
        now: the new one.
    """
    if not there:
        return dict(now)
    searched = {row["entry"] for row in now["rows"]}
    rows = [*(row for row in there["rows"] if row["entry"] not in searched), *now["rows"]]
    of_preset = there if now["winner"] is None else now
    return {
        **now,
        "rows": [row for one in ENTRIES for row in rows if row["entry"] == one.name],
        "chosen": there["chosen"] | now["chosen"],
        "rules": of_preset["rules"] | {"entries": now["rules"]["entries"]},
        **{name: of_preset[name] for name in NO_PRESET},
        "origins": origins_joined(there["origins"], now["origins"]),
    }


def _shortened(base: Experiment) -> Experiment:
    """The board's training on half of its images, so that a search of a hundred networks takes as long as a board."""
    limit = base.dataset.limit
    return base if limit is None else replace(base, dataset=replace(base.dataset, limit=max(1, limit // 2)))


def _evaluation(evaluation: Evaluation) -> Evaluation:
    """A few measures of validation images, as `rules` reads them."""
    images = min(IMAGES, evaluation.images)
    return replace(evaluation, split="validation", images=images, metrics=NAMES, gallery=1)


def _seeds(plan: Leaderboard) -> range:
    return range(FIRST_SEED, FIRST_SEED + (plan.seeds or 1))


def _suffix(chosen: Strengths) -> str:
    """Strengths as a folder is named."""
    values = (f"{value:g}" if isinstance(value, float) else str(value) for value in chosen.values())
    return "".join(f"-{value}" for value in values)


def _presets(
    plan: Leaderboard, at: Setting, *, progress: bool
) -> tuple[dict[str, Any], dict[str, Strengths], dict[str, list[Run]]]:
    """What the trace says of the presets, their settings, and the runs of all compositions."""
    rows, runs = _compositions(plan, at, progress=progress)
    found = winner(rows[1:], rows[0])
    front = {"truest": truest(rows[1:], rows[0]), "robust": most_robust(rows[1:], rows[0])}
    front["fast"] = quickest(rows[1:], rows[0])
    told = {
        "compositions": rows,
        "front": {name: row["run"] for name, row in front.items()},
        "winner": found["row"]["run"],
        "allowed_loss": found["allowed_loss"],
        "faithful": found["faithful"],
    }
    return told, {name: row["settings"] for name, row in {"trustworthy": found["row"], **front}.items()}, runs


def _compositions(
    plan: Leaderboard, at: Setting, *, progress: bool
) -> tuple[list[dict[str, Any]], dict[str, list[Run]]]:
    """The rows of all compositions, and their runs."""
    tried = _tried(plan)
    share = CURVE_IMAGES / at.evaluation.images
    noise, _ = curves(board(plan).evaluation)
    faithful = SomeImages(of=noise, share=share) if share < 1 else noise
    at = replace(at, evaluation=replace(at.evaluation, metrics=(*NAMES, faithful)))
    experiments = {one.name: one.applied_to(at) for one in tried}
    runs = _measured(plan, at, experiments, "search-preset", progress=progress)
    return [_row(one.name, one.chosen, runs[one.name]) for one in tried], runs


def _tried(plan: Leaderboard) -> list[Composition]:
    """The compositions that may become the preset; the first is regular training."""
    tried = [Composition(), *candidates(plan.family)]
    return tried[:SMOKE_CANDIDATES] if plan.scale == "smoke" else tried


def _measured(
    plan: Leaderboard,
    at: Setting,
    experiments: Mapping[str, Experiment],
    folder: str,
    *,
    progress: bool,
    later: int = 0,
) -> dict[str, list[Run]]:
    """Every experiment under every seed of the search, trained and measured where that is not done yet."""
    hidden = replace(plan, out=plan.out / folder)
    stages: dict[str, list[Stage]] = {
        name: [
            stage_of(hidden, name, seeded(plan, experiment, seed), at.evaluation)
            for seed in _seeds(plan)
        ]
        for name, experiment in experiments.items()
    }  # fmt: skip
    carry_out(
        plan,
        [stage for seeds in stages.values() for stage in seeds],
        progress=progress,
        later=later * len(_seeds(plan)),
    )
    return {name: [read_run(stage.run) for stage in seeds] for name, seeds in stages.items()}


def _row(name: str, chosen: Strengths, runs: Sequence[Run], *, entry: Entry | None = None) -> dict[str, Any]:
    """What is known of a candidate, the mean over seeds."""
    known = [name for name in SHOWN if name in runs[0].measures]
    means = {name: [run.measures[name].interval(run).mean for run in runs] for name in known}
    accuracy = [float(run.training["validation_accuracy"][-1]) for run in runs]
    seconds = [float(run.training["seconds"].sum()) for run in runs]
    return {
        "run": name,
        "entry": None if entry is None else entry.name,
        "settings": dict(chosen),
        "validation_accuracy": float(np.mean(accuracy)),
        "seconds": float(np.mean(seconds)),
        "measured": {name: _finite(float(np.mean(values))) for name, values in means.items()},
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
