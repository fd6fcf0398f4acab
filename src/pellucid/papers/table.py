"""What a paper's table is made of: runs, what is measured of them, what the paper found, and what it claims."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Literal

from pellucid.papers.claim import Claim
from pellucid.papers.plan import Reproduction, known
from pellucid.papers.setting import setting
from pellucid.runs.evaluation import Evaluation
from pellucid.runs.settings import Experiment

__all__ = ["BACKGROUND", "NOISE", "Figure", "Table", "table_name", "tables"]

Figure = Literal["decay", "entropy", "masking", "radius", "maps", "q"]
BACKGROUND = (
    "The pictures' background is black: integrated gradients, which are multiplied by the picture, are 0 there, so "
    "that LeRF covers it with noise first and MoRF last, whatever it means to the network."
)
"""What a table on grey images says of maps that are multiplied by the picture."""
NOISE = (
    "LeRF and MoRF cover pixels with uniform noise, which is what SGT's training fills with: a part of its low LeRF is "
    "tolerance of that noise."
)
"""What a table says that holds SGT against others by these measures."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table or figure of a paper.

    Args:
        title: what it shows.
        runs: experiments by name; the seed of each is replaced.
        evaluation: what is measured of every network.
        metrics: the columns.
        published: numbers of the paper by run and metric, in the units in which they are stored.
        published_on: dataset and network of those, where they are not the table's own.
        claims: what is checked.
        group: tables of one group share their networks, and are measured alike; the table's number by default.
        on_request: whether it is made only where its number is asked for.
        time: whether the time of a training step, as a multiple of the first run's, is a column.
        figures: what is drawn below it: ``decay``, lost confidence while regions are replaced; ``entropy``, the maps'
            distribution; ``masking``, accuracy while pixels are masked; ``radius``, accuracy under attack by radius;
            ``maps``, a few test pictures under every network; ``q``, the training pictures with the extremes of q.
        notes: sentences that its numbers need, such as where the runs depart from the paper.
        number: its name among the paper's tables, such as ``1`` or ``ablation-eps``; `tables` fills it in.
    """

    title: str
    runs: Mapping[str, Experiment]
    evaluation: Evaluation
    metrics: tuple[str, ...]
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    published_on: str = ""
    claims: tuple[Claim, ...] = ()
    group: str = ""
    on_request: bool = False
    time: bool = False
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    number: str = ""


def tables(plan: Reproduction) -> list[Table]:
    """The tables that are asked for.

    Raises:
        InputError: a table or dataset that the paper does not have.

    >>> [table.number for table in tables(Reproduction(paper="xu2023"))]
    ['1', '2', '2-moving', '3', 'figure-2', 'figure-3']
    """
    paper = import_module(f"pellucid.papers.{plan.paper}")
    known(f"dataset of {plan.paper}", plan.dataset, paper.DATASETS)
    if plan.table is not None:
        known(f"table of {plan.paper}", plan.table, paper.TABLES)
    at = setting(plan.dataset, plan.scale, path=plan.path, network=plan.network, trace=plan.trace)
    made = {number: make(at) for number, make in paper.TABLES.items() if plan.table in (None, number)}
    others = "" if plan.network is None else f"{plan.dataset}, the paper's network"
    return [
        replace(table, number=number, published_on=table.published_on or others)
        for number, table in made.items()
        if plan.table is not None or not table.on_request
    ]


def table_name(plan: Reproduction, table: Table) -> str:
    """The name of a table's files, without their ending."""
    return f"{plan.paper}-{table.number}-{plan.where}"
