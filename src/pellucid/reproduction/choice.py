"""What is reproduced: a paper, its tables, and the networks they need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import torch

from pellucid.core.errors import InputError
from pellucid.recipes.table import Scale, Table, where
from pellucid.reproduction.stages import Stage

__all__ = ["PAPERS", "Reproduction", "folder", "plan", "table_name", "tables"]

PAPERS = ("bhusal2026", "guesmi2024", "ismail2021", "pellucid", "xu2023")


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What is reproduced, and where.

    Args:
        paper: one of `PAPERS`.
        table: number of the table; all of the paper's but its ablations, ``1-again`` and ``1-longer`` by default.
        dataset: name of the dataset.
        scale: ``smoke``, ``cpu`` or ``full``; see `pellucid.recipes.table.setting`.
        path: folder of the dataset's files.
        network: another network than the recipe's, by the name that `pellucid train --network.name` takes.
        seeds: trainings of each network.
        jobs: trainings at once, each with its share of the cores.
        devices: numbers of the GPUs that trainings are dealt to; the first alone by default.
        out: folder of the run directories.
        results: folder of the tables.
    """

    paper: str
    table: str | None = None
    dataset: str = "fashion-mnist"
    scale: Scale = "cpu"
    path: str | None = None
    network: str | None = None
    seeds: int = 5
    jobs: int = 1
    devices: tuple[int, ...] = ()
    out: Path = Path("runs/papers")
    results: Path = Path("results")

    def __post_init__(self) -> None:
        if self.paper not in PAPERS:
            raise InputError(f"paper must be one of {', '.join(PAPERS)}, got {self.paper!r}")
        for name in ("seeds", "jobs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        known = torch.cuda.device_count()
        for device in self.devices:
            if not 0 <= device < known:
                raise InputError(f"devices must be numbers of GPUs, of which this machine has {known}, got {device}")

    @property
    def where(self) -> str:
        """Dataset, network where it is not the recipe's, and scale, as folders and files are named."""
        return where(self.dataset, self.path, self.network, self.scale)


def tables(choice: Reproduction) -> list[Table]:
    """The tables that are asked for.

    Raises:
        InputError: a table or dataset that the paper does not have.

    >>> [table.number for table in tables(Reproduction(paper="xu2023"))]
    ['1', '2', '2-moving', '3', 'figure-2', 'figure-3']
    """
    recipe = import_module(f"pellucid.recipes.{choice.paper}")
    known: Mapping[str, Callable[..., Table]] = recipe.TABLES
    if choice.dataset not in recipe.DATASETS:
        raise InputError(
            f"dataset of {choice.paper} must be one of {', '.join(recipe.DATASETS)}, got {choice.dataset!r}"
        )
    if choice.table is not None and choice.table not in known:
        raise InputError(f"table of {choice.paper} must be one of {', '.join(known)}, got {choice.table!r}")
    usual = [
        number for number in known if not number.startswith("ablation") and not number.endswith(("-again", "-longer"))
    ]
    numbers = [choice.table] if choice.table else usual
    found = [known[number](choice.dataset, choice.scale, choice.path, choice.network) for number in numbers]
    if choice.network is None:
        return found
    return [replace(each, published_on=each.published_on or f"{choice.dataset}, the paper's network") for each in found]


def plan(choice: Reproduction, wanted: Sequence[Table]) -> list[Stage]:
    """Every network of the tables once, all runs of the first seed first."""
    stages: dict[Path, Stage] = {}
    for seed in range(choice.seeds):
        for table in wanted:
            for name, experiment in table.runs.items():
                run = folder(choice, table, name, seed)
                stage = Stage(run=run, experiment=replace(experiment, seed=seed), evaluation=table.evaluation)
                if stages.setdefault(run, stage) != stage:
                    raise InputError(f"two tables of {choice.paper} mean different networks by {name!r}")
    return list(stages.values())


def folder(choice: Reproduction, table: Table, name: str, seed: int) -> Path:
    """The run directory of one of a table's networks."""
    group = table.group or table.number
    return choice.out / choice.paper / choice.where / group / f"seed{seed}" / name


def table_name(choice: Reproduction, table: Table) -> str:
    """The name of a table's files, without their ending."""
    return f"{table.paper}-{table.number}-{choice.where}"
