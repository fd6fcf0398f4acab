"""Settings chosen on validation images alone: a declared grid, a rule written down before, every candidate kept."""

from pellucid.selection.figure import draw
from pellucid.selection.grids import Grid, grid
from pellucid.selection.page import page
from pellucid.selection.search import SEARCHES, Selection, forecast, select

__all__ = ["SEARCHES", "Grid", "Selection", "draw", "forecast", "grid", "page", "select"]
