"""A paper's table from one command: train and measure what is missing, then write measured beside published."""

from pellucid.reproduction.choice import PAPERS, Reproduction, plan, tables
from pellucid.reproduction.command import forecast, reproduce
from pellucid.reproduction.cost import Cost, duration, estimated_cost, step_ratios
from pellucid.reproduction.page import columns, page, verdicts
from pellucid.reproduction.stages import Stage, finished
from pellucid.reproduction.summary import summarise

__all__ = [
    "PAPERS",
    "Cost",
    "Reproduction",
    "Stage",
    "columns",
    "duration",
    "estimated_cost",
    "finished",
    "forecast",
    "page",
    "plan",
    "reproduce",
    "step_ratios",
    "summarise",
    "tables",
    "verdicts",
]
