"""Who is it worse for? Numbers per class and per subgroup, and how far each lies from all other images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pellucid.core.errors import InputError
from pellucid.report.caveats import caveats
from pellucid.report.contrasts import ALPHA, p_value
from pellucid.report.measures import written
from pellucid.report.table import Comparison, interval_data, plain
from pellucid.report.verdict import with_unit
from pellucid.runs.comparability import check_comparable
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure, columns_of, measured
from pellucid.runs.outcomes import has_several_labels
from pellucid.runs.subgroups import CLASS, FEWEST, Subgroup, names_of, others_of, part_of, subgroups_of
from pellucid.statistics import Interval
from pellucid.statistics.comparison import holm
from pellucid.statistics.shares import combined_difference

__all__ = ["Gap", "compare_by", "gap_sentence", "gaps", "measures_by", "sections_by"]

TOLD = ("clean_accuracy", "auc", "sensitivity", "specificity")
"""What is told of subgroups unless something else is asked for, where it exists."""

MOST = 30
"""Subgroups beyond which the page has no table of a column."""


@dataclass(frozen=True)
class Gap:
    """How far a number of a subgroup lies from that of the column's other subgroups together.

    Attributes:
        subgroup: the images.
        measure: the number.
        value: of the subgroup.
        others: of all others.
        difference: the first minus the second, with its 95 % interval; the images are different ones.
        p: two-sided p-value of no difference, corrected by Holm for all gaps of this network and column.
    """

    subgroup: Subgroup
    measure: Measure
    value: Interval
    others: Interval
    difference: Interval
    p: float

    @property
    def is_worse(self) -> bool:
        """Whether the subgroup fares worse, and that is not chance."""
        return self.p < ALPHA and self.measure.sign * self.difference.mean < 0


def measures_by(runs: Sequence[Run], by: str, metrics: Sequence[str] = ()) -> list[Measure]:
    """The numbers that are told of the subgroups of a column.

    Args:
        runs: runs that may be compared.
        by: a column, or ``class``.
        metrics: names of those that are wanted; by default accuracy, AUC and, of two classes, sensitivity and
            specificity.

    Raises:
        InputError: a name that no run has.
    """
    told = TOLD if by != CLASS else _told_of_classes(runs[0])
    if not metrics:
        return [measure for name in told for measure in _having(runs, by, name)[:1]]
    wanted = []
    for name in metrics:
        having = _having(runs, by, name)
        if not having:
            raise InputError(f"no run has the metric {name!r}; --by takes names such as {', '.join(told)}, no families")
        wanted.append(having[0])
    return wanted


def _told_of_classes(run: Run) -> tuple[str, ...]:
    """The accuracy on a class's images is its recall; its AUC is that against all others, which two classes share."""
    if has_several_labels(run):
        return ("auc", "sensitivity", "specificity")
    return ("clean_accuracy",) if len(run.info["classes"]) == 2 else ("clean_accuracy", "auc")


def _having(runs: Sequence[Run], by: str, name: str) -> list[Measure]:
    return [measure for run in runs if (measure := _measured_of(run, by, name)) is not None]


def _measured_of(run: Run, by: str, name: str) -> Measure | None:
    """The number of a name; of a class against the others there are some that many classes have not."""
    found = measured(run, name)
    if found is not None or by != CLASS:
        return found
    first = next(iter(subgroups_of(run, by)))
    return measured(part_of(run, first, name), name)


def gaps(run: Run, by: str, measures: Sequence[Measure]) -> list[Gap]:
    """How far the numbers of each subgroup lie from those of the others, for subgroups of at least 10 images.

    Args:
        run: an evaluated run.
        by: a column that it has, or ``class``, of which only numbers are told that need a class's own images alone.
        measures: the numbers.
    """
    counts = subgroups_of(run, by)
    told = [subgroup for subgroup, count in counts.items() if count >= FEWEST]
    found: list[tuple[Subgroup, Measure, Interval, Interval]] = []
    for subgroup in told:
        rest = others_of(run, subgroup)
        if rest.rows.num_rows < FEWEST:
            continue
        part = part_of(run, subgroup)
        for measure in measures:
            if by == CLASS and measure.column.aggregate == "statistic":
                continue
            value, others = measure.interval(part), measure.interval(rest)
            if value.n and others.n:
                found.append((subgroup, measure, value, others))
    if not found:
        return []
    differences = [combined_difference(value, others) for _, _, value, others in found]
    p = [p_value(difference) for difference in differences]
    # Of two subgroups each is the other's rest, so that both gaps are one test.
    tested = [place for place, (subgroup, *_) in enumerate(found) if len(counts) != 2 or subgroup == told[0]] or [0]
    corrected = dict(zip(tested, holm([p[place] for place in tested]).tolist(), strict=True))
    of_first = {found[place][1]: corrected[place] for place in tested}
    return [
        Gap(*one, difference, corrected[place] if place in corrected else of_first[one[1]])
        for place, (one, difference) in enumerate(zip(found, differences, strict=True))
    ]


def gap_sentence(run: Run, by: str, found: Sequence[Gap]) -> str:
    """For whom a network is worst, in one sentence: of the gaps that are not chance, or else the largest.

    It is empty where there is no gap to speak of, since there are no two subgroups of 10 images.

    Args:
        run: the run.
        by: the column.
        found: what `gaps` returned.
    """
    if not found:
        return ""
    signed = [gap for gap in found if gap.measure.sign and gap.measure.sign * gap.difference.mean < 0]
    if not signed:
        return f"No {by} of {FEWEST} pictures or more fares worse than the others."
    worse = [gap for gap in signed if gap.is_worse]
    gap = min(worse or signed, key=lambda one: (one.measure.name != "clean_accuracy", one.p, -abs(one.difference.mean)))
    value, others = with_unit(gap.value, gap.measure), with_unit(gap.others, gap.measure)
    p = "p < 0.001" if gap.p < 0.001 else f"p = {gap.p:.2g}"
    said = f"{by} {gap.subgroup.value}: {gap.measure.title} {value}, against {others} of the others ({p})"
    if not worse:
        return f"No gap by {by} that could not be chance; the largest is for {said}."
    further = list(dict.fromkeys(one.subgroup.value for one in worse if one.subgroup != gap.subgroup))
    also = f"; also worse for {', '.join(further[:5])}{' and others' * (len(further) > 5)}" if further else ""
    return f"Worse for {said}{also}."


def compare_by(runs: Sequence[Run], by: str, *, metrics: Sequence[str] = (), baseline: Run | None = None) -> Comparison:
    """The comparison of runs, all images first and then subgroup by subgroup, as plain data.

    Args:
        runs: runs with different names, evaluated on the same images.
        by: a column of the table of labels that the images came from, or ``class``.
        metrics: as in `measures_by`.
        baseline: one of the runs, from which every other one's differences are told too, paired over the images.

    Returns:
        As `pellucid.report.table.compare`; a subgroup's part has ``subgroup``, ``{"by", "value", "n"}``, and below 10
        images nothing is told of it but their number. The caveats of all images say for whom the network is worst.

    Raises:
        InputError: runs that cannot stand in one table, a column or a metric that none of them has.
    """
    check_comparable(runs)
    wanted = measures_by(runs, by, metrics)
    compared = Comparison()
    for run in runs:
        others = baseline if baseline is not None and baseline.name != run.name else None
        whole = [measure for measure in wanted if measured(run, measure.name) is not None]
        worst = gap_sentence(run, by, gaps(run, by, whole))
        said = [*caveats(run), *([worst] if worst else [])]
        compared[run.name] = plain(run, {measure.name: measure.interval(run) for measure in whole}, said)
        if others is not None:
            compared[run.name] |= _differences(others, {measure: (run, others) for measure in whole})
        for subgroup, count in subgroups_of(run, by).items():
            parts = {one: part_of(run, subgroup, one.name) for one in wanted} if count >= FEWEST else {}
            parts = {measure: part for measure, part in parts.items() if measured(part, measure.name) is not None}
            intervals = {measure.name: measure.interval(part) for measure, part in parts.items()}
            told = plain(run, intervals, [])
            told |= {"subgroup": {"by": by, "value": subgroup.value, "n": count}}
            if others is not None:
                pairs = {measure: (part, part_of(others, subgroup, measure.name)) for measure, part in parts.items()}
                told |= _differences(others, pairs)
            compared[f"{run.name} [{subgroup}, n {count}]"] = told
    return compared


def _differences(baseline: Run, pairs: Mapping[Measure, tuple[Run, Run]]) -> dict[str, Any]:
    differences = {one.name: interval_data(one.difference(ours, theirs)) for one, (ours, theirs) in pairs.items()}
    return {"baseline": baseline.name, "differences": differences}


def sections_by(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What the page says of subgroups: a table for each column that the images can be parted by, and for the classes.

    Args:
        runs: runs that may be compared.

    Returns:
        Of each column ``by``, ``folded``, ``said`` (a sentence for each run), ``measures``, ``rows`` and ``count``, how
        many subgroups there are; of a row ``name``, ``n`` and ``cells``, for each measure and run ``mean``,
        ``interval`` and ``worse``. Of a column with more than `MOST` subgroups there are no rows; of as many classes
        those on which the first run is least accurate.
    """
    told = [_of_predictions(run) for run in runs]
    return [_section(told, by) for by in [*names_of(runs[0]), CLASS]]


def _of_predictions(run: Run) -> Run:
    """The run without what was measured of its maps, which parting it by subgroups would copy."""
    maps = {name for name, column in columns_of(run).items() if column.saliency}
    return replace(run, rows=run.rows.drop_columns([name for name in run.rows.column_names if name in maps]))


def _section(runs: Sequence[Run], by: str) -> dict[str, Any]:
    measures, counts = measures_by(runs, by), subgroups_of(runs[0], by)
    about = {"by": by, "folded": by == CLASS, "measures": measures, "count": len(counts), "said": [], "rows": []}
    shown = list(counts)
    if len(counts) > MOST:
        if by != CLASS:
            return about
        accuracy = Measure.named("clean_accuracy")
        hardest = sorted(shown, key=lambda one: accuracy.interval(part_of(runs[0], one)).mean)[:MOST]
        shown = [one for one in shown if one in hardest]
    found = {run.name: gaps(run, by, measures) for run in runs}
    worse = {(name, gap.subgroup, gap.measure) for name, of_run in found.items() for gap in of_run if gap.is_worse}
    rows = []
    for subgroup in shown:
        count, cells = counts[subgroup], []
        for measure in measures:
            for run in runs:
                interval = measure.interval(part_of(run, subgroup, measure.name)) if count >= FEWEST else None
                mean, low, high = written(interval, measure) if interval is not None else ("–", "", "")
                is_worse = (run.name, subgroup, measure) in worse
                between = f"[{low}, {high}]" if low not in ("", "–") else ""
                cells.append({"mean": mean, "interval": between, "worse": is_worse})
        rows.append({"name": subgroup.value, "n": count, "cells": cells})
    said = [(run.name, sentence) for run in runs if (sentence := gap_sentence(run, by, found[run.name]))]
    return about | {"said": said, "rows": rows}
