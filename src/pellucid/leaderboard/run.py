"""A leaderboard from one command: train and measure what is missing, then write the table."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch

from pellucid.core.files import check_writable
from pellucid.core.progress import Progress
from pellucid.data import load
from pellucid.leaderboard.boards import beginning, board
from pellucid.leaderboard.entries import entries_of
from pellucid.leaderboard.page import page
from pellucid.leaderboard.parts import stored
from pellucid.leaderboard.plan import Leaderboard
from pellucid.leaderboard.rows import frame, joined, refuse_other_rows, summarise
from pellucid.papers.reproduce import build_each, refuse_fewer_seeds, write
from pellucid.papers.stages import Stage, carried_out, jobs_of
from pellucid.runs.directory import RunDirectory
from pellucid.runs.environment import environment
from pellucid.runs.evaluated import Run, read_run
from pellucid.runs.evaluation import Evaluation
from pellucid.runs.settings import Experiment, read_experiment
from pellucid.runs.training import fit

__all__ = ["begin", "carry_out", "leaderboard", "place", "runs_of", "seeded", "stage_of", "stages_of"]


def leaderboard(plan: Leaderboard, *, progress: bool = True) -> list[Path]:
    """Train and measure what is missing, then write the table.

    Finished stages are skipped, killed ones are continued. Writes leaderboard-NAME.json and .md. With ``only``, the
    rows of other entries that the table has stay in it.

    Args:
        plan: which board.
        progress: show a bar on a terminal.

    Returns:
        The Markdown file and the JSON file.

    Raises:
        InputError: an unknown entry, data that is missing, a table of more seeds that would be replaced or whose other
            rows were trained in another way, or a folder of results that cannot be written to.
    """
    file = Path(f"{plan.file}.json")
    refuse_fewer_seeds(file, len(plan.numbers))
    there = stored(plan, plan.file.name) if plan.only else {}
    refuse_other_rows(there, frame(plan), file)
    stages = stages_of(plan)
    load(stages[0].experiment.dataset, "test")
    check_writable(plan.results)
    begin(plan, plan.numbers, progress=progress)
    build_each([stage for stage in stages if not RunDirectory(stage.run).is_finished])
    facts = environment(torch.device("cpu"))  # before the table changes the working tree
    carry_out(plan, stages, progress=progress)
    now = summarise(plan, runs_of(plan), facts)
    refuse_other_rows(there, now, file)
    result = joined(there, now)
    return [write(result, page(result), plan.file), file]


def carry_out(plan: Leaderboard, stages: Iterable[Stage], *, progress: bool, later: int = 0) -> None:
    """Train and measure each network, and say how long the rest will take, with those that come later."""
    every = list(stages)
    with Progress(plan.name, jobs_of(every), shown=progress, foreseen=later) as told:
        carried_out(every, told, plan.jobs)


def stages_of(plan: Leaderboard) -> list[Stage]:
    """Every network of a board, all entries of the first seed first."""
    at = board(plan)
    return [
        stage_of(plan, one.name, seeded(plan, one.experiment(at, plan.family), seed), at.evaluation)
        for seed in plan.numbers
        for one in entries_of(plan)
    ]


def begin(plan: Leaderboard, seeds: Iterable[int], *, progress: bool) -> None:
    """Train the regular networks that those of a board begin from, one for each seed, where they are not there."""
    first = beginning(plan)
    if first is None:
        return
    for seed in seeds:
        fit(replace(first, seed=seed), _begun(plan, first, seed), resume=True, progress=progress)


def seeded(plan: Leaderboard, experiment: Experiment, seed: int) -> Experiment:
    """An experiment of a board under a seed, from the weights that it begins with.

    Their path is absolute, so that a folder of runs may be named in another way later. Networks of a folder that was
    moved are trained again.
    """
    first = beginning(plan)
    experiment = replace(experiment, seed=seed)
    if first is None:
        return experiment
    weights = str(RunDirectory(_begun(plan, first, seed)).weights.absolute())
    return replace(experiment, network=replace(experiment.network, weights=weights))


def _begun(plan: Leaderboard, first: Experiment, seed: int) -> Path:
    return place(plan.out / plan.where / f"seed{seed}", "beginning", replace(first, seed=seed))


def stage_of(plan: Leaderboard, name: str, experiment: Experiment, evaluation: Evaluation) -> Stage:
    """One network of a board in its folder."""
    return Stage(
        run=place(plan.out / plan.where / f"seed{experiment.seed}", name, experiment),
        experiment=experiment,
        evaluation=evaluation,
    )


def place(folder: Path, name: str, experiment: Experiment) -> Path:
    """The run directory of an experiment: NAME, or NAME-2 and so on where other settings of it were trained before.

    So a search that changes the settings of an entry loses no training, and going back to them finds it again.

    Args:
        folder: of the seed.
        name: of the entry.
        experiment: what it is now.
    """
    for number in count(1):
        run = folder / (name if number == 1 else f"{name}-{number}")
        if not RunDirectory(run).is_begun or _means(read_experiment(run)) == _means(experiment):
            return run
    raise AssertionError


def _means(experiment: Experiment) -> Experiment:
    """The experiment with defaults that depend on its data spelled out, as an older run's file has them."""
    return replace(experiment, dataset=experiment.dataset.settled())


def runs_of(plan: Leaderboard) -> dict[str, list[Run]]:
    """The measured networks of a board by entry, one for each seed."""
    runs: dict[str, list[Run]] = {}
    entries = entries_of(plan)
    for number, stage in enumerate(stages_of(plan)):
        runs.setdefault(entries[number % len(entries)].name, []).append(read_run(stage.run))
    return runs
