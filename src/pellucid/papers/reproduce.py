"""A paper's table from one command: train and measure what is missing, then write measured beside published."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pellucid.core.errors import InputError
from pellucid.core.files import check_writable, whole_file
from pellucid.core.progress import Progress
from pellucid.data import load
from pellucid.papers.cost import Cost, duration, estimated_cost
from pellucid.papers.figures import draw
from pellucid.papers.galleries import write_extremes
from pellucid.papers.plan import Reproduction
from pellucid.papers.setting import TRAINING_IMAGES
from pellucid.papers.stages import Stage, carried_out, folder, jobs_of, stages_of
from pellucid.papers.summary import network, summarise
from pellucid.papers.table import table_name, tables
from pellucid.papers.table_page import figure_file, page
from pellucid.report.picture import write_picture
from pellucid.runs.directory import RunDirectory
from pellucid.runs.environment import environment
from pellucid.runs.evaluated import read_run
from pellucid.runs.training import build_network

__all__ = ["Reproduction", "build_each", "forecast", "refuse_fewer_seeds", "reproduce", "write"]


def reproduce(plan: Reproduction, *, progress: bool = True) -> list[Path]:
    """Train and measure what is missing, then write each table.

    Finished stages are skipped, killed ones are continued. Writes PAPER-TABLE-DATASET-SCALE.json and .md, and its
    figures beside them, PAPER-TABLE-DATASET-SCALE-FIGURE.svg or .png; another network's name stands behind DATASET.

    Args:
        plan: what is reproduced.
        progress: show a bar on a terminal.

    Returns:
        The Markdown files.

    Raises:
        InputError: an unknown paper, table or dataset, data that is missing, or a folder of results that cannot be
            written to.
    """
    wanted = tables(plan)
    stages = stages_of(plan, wanted)
    for table in wanted:
        refuse_fewer_seeds(plan.results / f"{table_name(plan, table)}.json", plan.seeds)
    check_writable(plan.results)
    build_each([stage for stage in stages if not RunDirectory(stage.run).is_finished])
    facts = environment(torch.device("cpu"))  # before the tables change the working tree
    del facts["command"]  # it may hold a path of this machine; the table has one without
    with Progress(plan.paper, jobs_of(stages), shown=progress) as told:
        carried_out(stages, told, plan.jobs, plan.devices, plan.cluster)
    written_to = []
    for table in wanted:
        result = summarise(plan, table, facts)
        written_to.append(write(result, page(result), plan.results / result["name"]))
        for figure, drawn in result["figures"].items():
            file = plan.results / figure_file(result, figure)
            runs = [folder(plan, table, run, 0) for run in table.runs]
            if drawn:
                draw(figure, drawn, file)
            elif figure == "maps":
                write_picture(runs, file, rows=6)
            else:
                write_extremes([run for run in map(read_run, runs) if run.q][-1], file)
    return written_to


def write(result: Mapping[str, Any], page: str, name: Path) -> Path:
    """Write numbers as JSON and their page as Markdown, in files that begin with a name; gives the Markdown file."""
    for ending, text in ((".json", json.dumps(result, indent=1) + "\n"), (".md", page)):
        with whole_file(Path(f"{name}{ending}")) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return Path(f"{name}.md")


def refuse_fewer_seeds(file: Path, seeds: int) -> None:
    """Refuse to replace a table by one of fewer seeds.

    Args:
        file: JSON file of the table that may be there.
        seeds: of the one that is to be written.

    Raises:
        InputError: the table that is there has more.
    """
    try:
        there = json.loads(file.read_text(encoding="utf-8"))["seeds"] if file.exists() else 0
    except (ValueError, KeyError, TypeError):
        return
    there = len(there) if isinstance(there, list) else there
    if there > seeds:
        raise InputError(
            f"{file} is of {there} seeds, and {seeds} would replace it with fewer; give --seeds {there} or more, or "
            "another folder for --results"
        )


def build_each(stages: Sequence[Stage]) -> None:
    """Build every kind of network once, so that one that cannot be built is told before any is trained."""
    kinds = {
        repr((stage.experiment.network, stage.experiment.activation, stage.experiment.smoothing)): stage.experiment
        for stage in stages
    }
    for experiment in kinds.values():
        build_network(experiment, load(experiment.dataset, "test"))


def forecast(plan: Reproduction) -> None:
    """Say what would be trained and measured, and about how long it would take here.

    Args:
        plan: what would be reproduced.
    """
    wanted = tables(plan)
    stages = stages_of(plan, wanted)
    for table in wanted:
        print(f"{plan.paper}, {table.number}: {table.title} ({plan.dataset}, {network(table)}, {plan.scale})")
    left, whole = 0.0, 0.0
    here = len(load(stages[0].experiment.dataset, "train"))
    every = TRAINING_IMAGES[plan.dataset]
    costs: dict[tuple[str, Path], Cost] = {}
    for stage in stages:
        kind = (stage.run.name, stage.run.parent.parent)  # the same of every seed
        if kind not in costs:
            costs[kind] = estimated_cost(stage)
        cost = costs[kind]
        trained = RunDirectory(stage.run).is_finished
        measured = RunDirectory(stage.run).is_evaluated
        left += cost.training * (not trained) + cost.measuring * (not measured)
        whole += cost.training * every / here + cost.measuring
        if stage.experiment.seed == 0:
            state = "there" if measured else "trained" if trained else "to do"
            print(
                f"  {stage.run.name:<24} training {duration(cost.training):>8}, measuring "
                f"{duration(cost.measuring):>8}, each of {plan.seeds} seeds ({state})"
            )
    print(f"{len(stages)} networks; about {duration(left)} of work is left, on {torch.get_num_threads()} threads.")
    if plan.scale == "full" and here < 0.9 * every:  # a plan made before all data is there; some is for validation
        print(f"Of {every} training images {here} are here; with all of them it would be about {duration(whole)}.")
