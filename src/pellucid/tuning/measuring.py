"""What is measured of a tuning's networks: the photographs, composites of them, and the trust cards' words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.data import Dataset
from pellucid.data.truth import pasted, why_not_pasted
from pellucid.explanation.examination import Examination
from pellucid.explanation.levels import Examined, counted, examined
from pellucid.explanation.reference import of_rows
from pellucid.papers.measured import robust_eps
from pellucid.report.table import interval_data
from pellucid.runs.budget import Cost, cost_of, planned
from pellucid.runs.environment import environment
from pellucid.runs.evaluated import Run, read_run
from pellucid.runs.evaluation import Evaluation, evaluate, measurement_of
from pellucid.runs.trained import load_network, open_images, open_run
from pellucid.statistics import Interval
from pellucid.statistics.shares import share_difference, share_interval
from pellucid.tuning.plan import Tune
from pellucid.tuning.verdict import GOALS, verdict

__all__ = ["evaluation_of", "measuring_seconds", "spread", "told"]

SHOWN = ("clean_accuracy", "robust_accuracy", "gini", "ris", "ros", "aopc_morf", "aopc_lerf")
"""Measures of the photographs that the page tells, where they were measured; the JSON file has all."""
FURTHER = ("composite_accuracy", "mass", "no_objection")
"""What the page tells of composites and cards."""
TRUTH = ("clean_accuracy", "mass", "mass_lift")
"""Measures of the composites."""
MAP = ("gini",)
"""A measure that costs one map a picture, as the mass on an object does."""
TIMED = 8
"""Photographs on which the cost of measuring is timed."""
ROBUST_EPS = 2 / 255
"""Radius of the attack under which accuracy is measured, in pixel units; the presets train with .004 to .016."""
CARDS = 0.25
"""Share of the time for measuring that cards and composites take."""


def evaluation_of(plan: Tune, run: Path, *, seconds: float) -> Evaluation:
    """How each network is measured, so that it fits into a time.

    Args:
        plan: what is measured at most.
        run: a trained network, of which some photographs are timed.
        seconds: for one network.
    """
    asked = _asked(plan)
    model, dataset = open_run(run, "test")
    cost = _cost(asked, model, dataset)
    return planned(
        asked, lambda one: cost.of(measurement_of(one, "folder", dataset)), seconds=(1 - CARDS) * seconds,
        images=len(dataset),
    )  # fmt: skip


def measuring_seconds(plan: Tune, network: nn.Module, tests: Dataset) -> float:
    """About what measuring all networks and making their cards takes where the time is not limited.

    Args:
        plan: what is measured at most.
        network: one of them, trained or not.
        tests: the photographs that are measured.
    """
    mode = network.training
    network.eval()
    each, of_map = (_seconds(asked, network, tests) for asked in (_asked(plan), replace(_asked(plan), metrics=MAP)))
    network.train(mode)
    # A card has fewer measures, but many random maps: it takes half as long again as measuring its photograph.
    pictures = min(plan.measured, len(tests)) + 1.5 * min(plan.cards, len(tests))
    composites = 0 if why_not_pasted(tests) else plan.composites
    return (3 if plan.control else 2) * (pictures * each + composites * of_map)


def _seconds(asked: Evaluation, network: nn.Module, tests: Dataset) -> float:
    """Of measuring one photograph."""
    return _cost(asked, network, tests).of(measurement_of(asked, "folder", tests))


def _asked(plan: Tune) -> Evaluation:
    return Evaluation(
        images=plan.measured, metrics=plan.metrics, saliency=("vanilla_gradient",), robust_eps=ROBUST_EPS,
        seed=plan.seed,
    )  # fmt: skip


def _cost(asked: Evaluation, model: nn.Module, tests: Dataset) -> Cost:
    index = list(range(min(TIMED, len(tests))))
    x, label = tests.take(index).float() / 255, tests.labels[index]
    return cost_of(measurement_of(asked, "folder", tests), model, x, label, index, tests.truth_of(index))


def told(
    plan: Tune,
    names: Sequence[str],
    *,
    step: tuple[float, float],
    evidence: str | None,
    say: Callable[[str], None],
    progress: bool,
) -> dict[str, Any]:
    """Everything that a tuning found, as plain data.

    Args:
        plan: what was asked for.
        names: of the networks, in the order in which they are told.
        step: seconds of a step of the control and of the preset.
        evidence: file whose numbers chose the preset; None where it is a first guess.
        say: takes a line before what takes long.
        progress: show bars on a terminal.
    """
    runs = {name: read_run(plan.out / name) for name in names}
    truth = {}
    if plan.composites and not why_not_pasted(tests := open_images(runs["after"].path)):
        say("measuring on composites of the photographs")
        truth = _composites(plan, names, tests, progress)
    if plan.cards:
        say(f"making the cards of {min(plan.cards, next(iter(runs.values())).rows.num_rows)} photographs")
    cards = {name: _cards(plan, run) for name, run in runs.items()} if plan.cards else {}
    rows = {name: _row(run, truth.get(name), cards.get(name)) for name, run in runs.items()}
    result: dict[str, Any] = {
        "name": "tune",
        "network": plan.network,
        "photos": Path(plan.photos).expanduser().resolve().name,
        "preset": plan.preset,
        "evidence": evidence,
        "test_images": next(iter(runs.values())).rows.num_rows,
        "robust_eps": robust_eps(runs["after"]),
        "composites": plan.composites if truth else 0,
        "cards": max(map(len, cards.values()), default=0),
        "shown": [name for name in dict.fromkeys((*SHOWN, *plan.metrics, *FURTHER)) if name in rows["after"]],
        "rows": rows,
        "step": {"control": step[0], "after": step[1]},
    }
    if "control" in runs:
        differences = _differences(runs, truth, cards)
        own = {name: rows["control"].get(name, {}).get("mean") for name in differences}
        accuracy = runs["after"].measures["clean_accuracy"].difference(runs["after"], runs["control"])
        known = {name: value for name, value in own.items() if value is not None}
        found = verdict({name: differences[name] for name in known}, known, accuracy, step=step[1] / step[0])
        result["differences"] = {name: interval_data(one) for name, one in differences.items()}
        result["differences"]["clean_accuracy"] = interval_data(accuracy)
        result["verdict"] = {
            "ending": found.ending,
            "sentence": found.sentence,
            "gained": found.gained,
            "lost": found.lost,
        }
    else:
        sentence = "Without a control nothing tells what the preset did; --control true trains one."
        result["verdict"] = {"ending": "cannot be told", "sentence": sentence, "gained": (), "lost": ()}
    facts = environment(torch.device("cpu"))
    del facts["command"]  # it may hold a path of this machine
    return result | {"environment": facts}


def _composites(plan: Tune, names: Sequence[str], tests: Dataset, progress: bool) -> dict[str, Run]:
    """The networks measured on composites of the photographs."""
    data = pasted(tests, plan.composites)
    asked = Evaluation(
        images=plan.composites, metrics=("mass", "mass_lift", "mass_chance"), saliency=("vanilla_gradient",),
        gallery=1, seed=plan.seed,
    )  # fmt: skip
    runs = {}
    for name in names:
        place = plan.out / "composites" / name
        evaluate(load_network(plan.out / name), data, asked, out=place, resume=True, progress=progress)
        runs[name] = read_run(place)
    return runs


def _cards(plan: Tune, run: Run) -> list[Examined]:
    """What a quick card's rules say of some measured photographs."""
    model, dataset = open_run(run.path, run.info["split"])
    positions = spread(run.rows["index"].to_pylist(), plan.cards)
    return examined(model, dataset, positions, of_rows(run.path), Examination.quick())


def spread(positions: Sequence[int], n: int) -> list[int]:
    """``n`` of some positions at even distances: a folder lies sorted by class, and its first images have few classes.

    Args:
        positions: of which they are taken; all of them where they are no more than ``n``.
        n: how many.

    >>> spread(range(10), 4), spread([3, 5], 4)
    ([0, 3, 6, 9], [3, 5])
    """
    n = min(n, len(positions))
    return [positions[round(place)] for place in np.linspace(0, len(positions) - 1, n).tolist()]


def _row(run: Run, truth: Run | None, cards: Sequence[Examined] | None) -> dict[str, Any]:
    """One network's numbers with their intervals."""
    row: dict[str, Any] = {name: interval_data(measure.interval(run)) for name, measure in run.measures.items()}
    if truth is not None:
        for name in TRUTH:
            told_as = "composite_accuracy" if name == "clean_accuracy" else name
            row[told_as] = interval_data(truth.measures[name].interval(truth))
    if cards:
        row["no_objection"] = interval_data(share_interval(_without_objection(cards)))
        row["cards"] = counted(cards)
        row["levels"] = {str(one.index): one.level() for one in cards}
    return row


def _differences(
    runs: Mapping[str, Run], truth: Mapping[str, Run], cards: Mapping[str, Sequence[Examined]]
) -> dict[str, Interval]:
    """Tuned minus control, paired over the images, for each goal that was measured."""
    after, control = runs["after"], runs["control"]
    found: dict[str, Interval] = {}
    for goal in GOALS:
        if goal.name in after.measures and goal.name in control.measures:
            found[goal.name] = after.measures[goal.name].difference(after, control)
        elif truth and goal.name in truth["after"].measures:
            found[goal.name] = truth["after"].measures[goal.name].difference(truth["after"], truth["control"])
    if cards:
        found["no_objection"] = share_difference(
            _without_objection(cards["after"]), _without_objection(cards["control"])
        )
    return found


def _without_objection(cards: Sequence[Examined]) -> Any:
    return np.array([one.level() == "no objection" for one in cards], dtype=np.float64)
