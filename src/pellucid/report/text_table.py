"""A comparison as a terminal shows it: blocks of columns that fit its lines, the best in bold."""

from collections.abc import Mapping, Sequence

from rich.text import Text

from pellucid.core.terminal import Cell, Part, columns_that_fit, letters, rendered, table, width
from pellucid.report.cells import Comparison, cell, printable, sections_of, trained
from pellucid.report.contrasts import contrasts
from pellucid.report.measures import saliency_title
from pellucid.report.verdict import baseline_of, standings
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure

__all__ = ["Ranks", "ranks", "text_table"]

Ranks = Mapping[str, Mapping[str, str]]
"""For each run's name its rank in a measure, ``best`` or ``level``, where it has one."""

TRAINED = "Trained with"
SHORTEST = 10
"""Letters that the names of runs have at least, however narrow the terminal is."""


def text_table(
    comparison: Comparison, *, ranked: Ranks | None = None, line: int | None = None, styled: bool = False
) -> str:
    """The accuracies, then the measures of each saliency method's maps; of one run a measure in each line.

    Args:
        comparison: what `pellucid.report.table.compare` returned.
        ranked: what `ranks` returned. The best run of a measure is bold and has a ★; runs that
            cannot be told apart from the best, and a best one that has such beside it, have a ☆.
        line: letters in a line; those of the terminal by default.
        styled: whether bold is written.
    """
    line = line or width()
    parts: list[Part] = []
    for method, measures in sections_of(comparison).items():
        title = [Text(f"{saliency_title(method)} maps", style="bold")] if method else []
        if len(comparison) == 1:
            blocks = [_upright(comparison, measures)]
        else:
            blocks = _blocks(comparison, measures, ranked or {}, line, whole=method is None)
        for block in blocks:
            parts += [*title, block, ""]
    counts = sorted({values["n"] for run in comparison.values() for values in run["metrics"].values()} - {0}) or [0]
    images = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
    notes = [f"Mean [95 % interval] over {images} test images; ↑ higher is better, ↓ lower is better."]
    if ranked and any(ranked.values()):
        notes.append("★ best in its column; ☆ among the best, which these images cannot tell apart.")
    return rendered(*parts, *notes, line=line, styled=styled)


def ranks(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """For each run's name its rank in the measures where it has one, as `pellucid.report.verdict.Standing` says it.

    Args:
        runs: runs that may be compared.
    """
    summaries = {run.name: {name: measure.interval(run) for name, measure in run.measures.items()} for run in runs}
    ranked: dict[str, dict[str, str]] = {run.name: {} for run in runs}
    baseline = baseline_of(runs)
    for (name, measure), one in standings(runs, summaries, baseline, contrasts(runs, summaries, baseline)).items():
        if one.rank:
            ranked[name][measure] = one.rank
    return ranked


def _upright(comparison: Comparison, measures: Sequence[Measure]) -> Part:
    """One run, with a line for each measure."""
    ((name, run),) = comparison.items()
    head = [f"{printable(name)}: {printable(trained(run))}" if measures[0].saliency is None else "Measure", "Mean"]
    cells = [cell(run["metrics"], measure).partition(" ") for measure in measures]
    rows = [[measure.head, mean, low] for measure, (mean, _, low) in zip(measures, cells, strict=True)]
    return table([*head, "95 % interval"], rows, right=[False, True, True])


def _blocks(
    comparison: Comparison, measures: Sequence[Measure], ranking: Ranks, line: int, *, whole: bool
) -> list[Part]:
    """Several runs, with a line for each; words that would take more than a third of the line are wrapped."""
    most = max(SHORTEST, line // 3)
    names: list[Cell] = [printable(name) for name in comparison]
    every: dict[str, list[Cell]] = {}
    if whole:
        every[TRAINED] = [printable(trained(run)) for run in comparison.values()]
    every |= {measure.head: _column(comparison, measure, ranking) for measure in measures}
    first = min(most, letters(["Run", *names]))
    widths = [min(most if head == TRAINED else line, letters([head, *cells])) for head, cells in every.items()]
    made: list[Part] = []
    for block in columns_that_fit(widths, first=first, line=line):
        heads = list(every)[block.start : block.stop]
        rows = list(zip(names, *(every[head] for head in heads), strict=True))
        numbers = [False, *(head != TRAINED for head in heads)]
        made.append(table(["Run", *heads], rows, right=numbers, widest=most))
    return made


def _column(comparison: Comparison, measure: Measure, ranking: Ranks) -> list[Cell]:
    """The cells of a measure, with a sign behind those that are among the best, and a blank behind the others."""
    ranked = [ranking.get(name, {}).get(measure.name, "") for name in comparison]
    alone = "level" not in ranked
    cells: list[Cell] = []
    for run, rank in zip(comparison.values(), ranked, strict=True):
        said = cell(run["metrics"], measure)
        if not any(ranked):
            cells.append(said)
        elif rank == "best" and alone:
            cells.append(Text(f"{said} ★", style="bold"))
        else:
            cells.append(f"{said} {'☆' if rank else ' '}")
    return cells
