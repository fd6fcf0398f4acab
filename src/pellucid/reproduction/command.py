"""A paper's table from one command: train and measure what is missing, then write measured beside published."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from pellucid.core.errors import InputError
from pellucid.core.files import check_writable, whole_file
from pellucid.data import load
from pellucid.recipes.table import TRAINING_IMAGES, Table
from pellucid.reproduction.choice import Reproduction, folder, plan, table_name, tables
from pellucid.reproduction.cost import Cost, duration, estimated_cost
from pellucid.reproduction.figures import draw
from pellucid.reproduction.galleries import gallery
from pellucid.reproduction.page import figure_file, page
from pellucid.reproduction.stages import Stage, finished
from pellucid.reproduction.summary import network, summarise
from pellucid.runs.directory import read_run
from pellucid.runs.environment import environment
from pellucid.runs.training import build_network

__all__ = ["forecast", "reproduce"]


def reproduce(choice: Reproduction, *, progress: bool = True) -> list[Path]:
    """Train and measure what is missing, then write each table.

    Finished stages are skipped, killed ones are continued. Writes PAPER-TABLE-DATASET-SCALE.json and .md, and its
    figures beside them, PAPER-TABLE-DATASET-SCALE-FIGURE.svg or .png; another network's name stands behind DATASET.

    Args:
        choice: what is reproduced.
        progress: show a bar on a terminal.

    Returns:
        The Markdown files.

    Raises:
        InputError: a paper, table or dataset that is not known, data that is not here, or a folder of results that
            takes no file.
    """
    wanted = tables(choice)
    stages = plan(choice, wanted)
    _refuse_fewer_seeds(choice, wanted)
    check_writable(choice.results)
    _build([stage for stage in stages if not (stage.run / "model.safetensors").exists()])
    facts = environment(torch.device("cpu"))  # before the tables change the working tree
    del facts["command"]  # it may hold a path of this machine; the table has one without
    with tqdm(
        total=len(stages), desc=f"{choice.paper}", unit="network", dynamic_ncols=True,
        disable=None if progress else True,
    ) as bar:  # fmt: skip
        for stage in finished(stages, choice.jobs, choice.devices):
            bar.set_postfix_str("/".join(stage.run.parts[-2:]))
            bar.update()
    written_to = []
    for table in wanted:
        result = summarise(choice, table, facts)
        name = choice.results / result["name"]
        for ending, text in ((".json", json.dumps(result, indent=1) + "\n"), (".md", page(result))):
            with whole_file(Path(f"{name}{ending}")) as temporary:
                temporary.write_text(text, encoding="utf-8")
        for figure, drawn in result["figures"].items():
            file = choice.results / figure_file(result, figure)
            if drawn:
                draw(figure, drawn, file)
            else:
                gallery(figure, [read_run(folder(choice, table, run, 0)) for run in table.runs], file)
        written_to.append(Path(f"{name}.md"))
    return written_to


def _refuse_fewer_seeds(choice: Reproduction, wanted: Sequence[Table]) -> None:
    """A table of more seeds is not replaced by one of fewer."""
    for table in wanted:
        file = choice.results / f"{table_name(choice, table)}.json"
        try:
            seeds = json.loads(file.read_text(encoding="utf-8"))["seeds"] if file.exists() else 0
        except (ValueError, KeyError, TypeError):
            continue
        if seeds > choice.seeds:
            raise InputError(
                f"{file} is of {seeds} seeds, and {choice.seeds} would replace it; give --seeds {seeds} or more, or "
                "another folder for --results"
            )


def _build(stages: Sequence[Stage]) -> None:
    """Every kind of network once, so that one that cannot be built is told before any is trained."""
    kinds = {repr((stage.experiment.network, stage.experiment.smoothing)): stage.experiment for stage in stages}
    for experiment in kinds.values():
        build_network(experiment, load(experiment.dataset, "test"))


def forecast(choice: Reproduction, *, say: Callable[[str], None] = print) -> None:
    """Say what would be trained and measured, and about how long it would take here.

    Args:
        choice: what would be reproduced.
        say: takes each line.
    """
    wanted = tables(choice)
    stages = plan(choice, wanted)
    for table in wanted:
        say(f"{table.paper}, {table.number}: {table.title} ({table.dataset}, {network(table)}, {choice.scale})")
    left, costs = 0.0, {}
    for stage in stages:
        key = (stage.run.name, stage.run.parent.parent)
        if key not in costs:
            costs[key] = estimated_cost(stage)
        trained = (stage.run / "model.safetensors").exists()
        measured = (stage.run / "rows.parquet").exists()
        left += costs[key].training * (not trained) + costs[key].measuring * (not measured)
        if stage.experiment.seed == 0:
            state = "there" if measured else "trained" if trained else "to do"
            say(
                f"  {stage.run.name:<24} training {duration(costs[key].training):>8}, measuring "
                f"{duration(costs[key].measuring):>8}, each of {choice.seeds} seeds ({state})"
            )
    say(f"{len(stages)} networks; about {duration(left)} of work is left, on {torch.get_num_threads()} threads.")
    if choice.scale == "full":
        _say_of_all_images(choice, stages, costs, say)


def _say_of_all_images(
    choice: Reproduction, stages: Sequence[Stage], costs: Mapping[Any, Cost], say: Callable[[str], None]
) -> None:
    """Where a part of a dataset lies here, what the whole of it would take; for plans made before the data is there."""
    here, every = len(load(stages[0].experiment.dataset, "train")), TRAINING_IMAGES[choice.dataset]
    if here < 0.9 * every:  # some may be kept for validation
        total = sum(
            costs[stage.run.name, stage.run.parent.parent].training * every / here
            + costs[stage.run.name, stage.run.parent.parent].measuring
            for stage in stages
        )
        say(f"Of {every} training images {here} are here; with all of them it would be about {duration(total)}.")
