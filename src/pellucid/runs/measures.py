"""The numbers that a run's rows make: what each means, and how it is made of the images."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pellucid.metrics.column import Column, column_from
from pellucid.metrics.suite import BARE, COLUMNS, DERIVED, column_name, split
from pellucid.runs.outcomes import Predictions
from pellucid.runs.scores import column_at_level, has_score, score_of
from pellucid.statistics import Interval
from pellucid.statistics.aggregates import Aggregate, Mean, Ratio, Share, Statistic

if TYPE_CHECKING:
    from pellucid.runs.evaluated import Run

__all__ = ["ARROWS", "KNOWN", "Measure", "Statistic", "columns_of", "measured", "measures_of", "ordered", "resolved"]

Floats = npt.NDArray[np.float64]
ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
_WORDS = ("title", "question", "definition", "plain", "contest", "unit", "source")
KNOWN = {name: column for name, column in (COLUMNS | DERIVED).items() if column.shown and not column.curve}
"""What pellucid itself measures and shows, by name."""


@dataclass(frozen=True)
class Measure:
    """A number that tables show, of one saliency method's maps or of the network alone.

    It is resolved once, where a run is read; two of one name are equal.

    Attributes:
        name: as ``pellucid compare --format json`` writes it, such as ``gini/smoothgrad``.
        column: what it means, and with which settings it was computed.
        saliency: the saliency method whose maps it describes; None where it describes the network.
    """

    name: str
    column: Column = field(compare=False)
    saliency: str | None = None

    @classmethod
    def named(cls, name: str, told: Mapping[str, Any] | None = None) -> "Measure":
        """The measure of a name.

        Args:
            name: with or without a saliency method's suffix.
            told: what was told of the column beside the numbers, as ``Column.as_dict`` writes it. Of a name that
                pellucid knows only definition, settings and source are taken from it, so that old rows have the words
                of today; nothing told of a name that it does not know makes the name the title.

        >>> Measure.named("gini/smoothgrad").head, Measure.named("clean_accuracy").saliency
        ('Gini index ↑', None)
        """
        own_name, method = split(name)
        column = (COLUMNS | DERIVED).get(own_name) or column_at_level(own_name)
        if column is None:
            column = column_from({"title": own_name, **(told or {})})
            lines: dict[str, Any] = {key: _line(getattr(column, key)) for key in _WORDS}
            column = replace(column, **lines | {"question": lines["question"] or lines["title"]})
        elif told is not None:
            kept = ("definition", "source", "parameters")
            column = replace(column, **{key: told[key] for key in kept if key in told})
        return cls(name, column, method if column.of_map else None)

    @property
    def own_name(self) -> str:
        """The name without the saliency method's suffix: one for all maps."""
        return split(self.name)[0]

    @property
    def is_foreign(self) -> bool:
        """Whether it is somebody's own, which pellucid itself does not measure."""
        return self.own_name not in KNOWN and score_of(self.own_name) is None

    @property
    def is_main(self) -> bool:
        """Whether everybody is shown it at first: pellucid's few main numbers, and all that are somebody's own."""
        return self.column.main or self.is_foreign

    @property
    def title(self) -> str:
        """What a table's head says, in few words."""
        return self.column.title

    @property
    def unit(self) -> str:
        """The unit in which it is written."""
        return self.column.unit

    @property
    def stored_unit(self) -> str:
        """The unit of the stored number, before it is multiplied to be written; empty where that has none."""
        return self.unit if self.scale == 1 else ""

    @property
    def definition(self) -> str:
        """How it is computed, or what it answers where its author has not said that."""
        text = self.column.definition or self.column.question
        return text if text.endswith((".", "?", "!")) else f"{text}."

    @property
    def scale(self) -> float:
        """What the stored value is multiplied by to be written."""
        return self.column.scale

    @property
    def arrow(self) -> str:
        """An arrow up where higher is better, down where lower is, and nothing where neither is."""
        return ARROWS[self.column.direction]

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is, 0 where neither is."""
        return {"higher": 1, "lower": -1, "none": 0}[self.column.direction]

    @property
    def head(self) -> str:
        """Title, unit and arrow, as over a column of a table.

        >>> Measure.named("aopc_lerf").head
        'LeRF (×10⁻³) ↓'
        """
        unit = f"({self.unit})" if self.unit else ""
        return " ".join(part for part in (self.title, unit, self.arrow) if part)

    def sample(self, run: "Run") -> tuple[Floats, ...]:
        """What the number of a run is made of, by its column's ``aggregate``.

        Returns:
            Of a mean or share one (n,) array; of a share of two columns whether they are equal; of a ratio of means
            dividend and divisor; nothing of a statistic of all predictions together.
        """
        kind = self.column.aggregate
        if kind == "statistic":
            return ()
        if kind == "share" and len(self.stored) == 2:
            return (run.equal(*self.stored).astype(np.float64),)
        return tuple(run.values(name) for name in self.stored)

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns of the rows that the number is made of."""
        return tuple(column_name(part, self.saliency or BARE) for part in self.column.of or (self.own_name,))

    def aggregate(self, run: "Run") -> Aggregate:
        """The number of a run as an object that knows its interval, and that of a difference; made once for a run."""
        kept = run.aggregates
        if self.name not in kept:
            kept[self.name] = self._aggregate(run)
        return kept[self.name]

    def _aggregate(self, run: "Run") -> Aggregate:
        match self.sample(run):
            case (values,):
                in_percent = (self.unit, self.scale) == ("%", 100)
                # What is yes or no of each image is counted, whether its column says so or not.
                counts = in_percent or (self.is_foreign and not self.unit)
                yes_or_no = counts and bool(np.isin(values[~np.isnan(values)], (0, 1)).all())
                if self.column.aggregate == "share" or yes_or_no:
                    return Share(values)
                return Mean(values, is_share=in_percent)
            case (above, below):
                return Ratio(above, below)
        score = score_of(self.own_name)
        assert score is not None, f"{self.name} is a statistic that nothing computes"
        return score.make(Predictions.of(run))

    def divides(self, run: "Run") -> bool:
        """Whether the number of a run exists: that of a ratio of means does where its divisor cannot be 0.

        A divisor whose 95 % interval touches 0 leaves the ratio anywhere between nothing and infinity.
        """
        aggregate = self.aggregate(run)
        return aggregate.divides if isinstance(aggregate, Ratio) else True

    def interval(self, run: "Run") -> Interval:
        """The number of a run over its images, with its 95 % interval; empty where it does not exist."""
        return self.aggregate(run).interval()

    def difference(self, run: "Run", baseline: "Run") -> Interval:
        """The number of ``run`` minus that of ``baseline``, paired over the images, with its 95 % interval.

        Empty where either does not exist.
        """
        return self.aggregate(run).minus(self.aggregate(baseline))

    def statistic(self, run: "Run") -> Statistic:
        """The number of a run as a function of how often each image counts, for a bootstrap over several runs together.

        Returns:
            Function of weights (resamples, n) to (resamples,); NaN where no image that counts has a value.
        """
        return self.aggregate(run).weighted


def columns_of(run: "Run") -> dict[str, Measure]:
    """Every column of a run's rows by name, with what it means; one of which nothing is known or told is left out."""
    return {
        name: Measure.named(name, run.columns.get(name))
        for name in run.rows.column_names
        if name in run.columns or split(name)[0] in COLUMNS
    }


def resolved(run: "Run") -> dict[str, Measure]:
    """Every number of a run that a table can show, by name, in the order of every table.

    Args:
        run: an evaluated run; numbers that pellucid does not know are resolved by what its rows tell of them.
    """
    columns = columns_of(run)
    shown = [measure for measure in columns.values() if measure.column.shown and not measure.column.curve]
    aggregates = {name: Measure.named(name).column for name in DERIVED}
    aggregates |= {name: Measure.named(name, told).column for name, told in run.info.get("aggregates", {}).items()}
    for name, column in aggregates.items():
        for method in [None, *run.saliency_methods]:
            names = [column_name(part, method or BARE) for part in column.of]
            parts = [columns[part] for part in names if part in columns and columns[part].saliency == method]
            if parts and len(parts) == len(names):
                settings = column.parameters or (parts[0].column.parameters if len(parts) == 1 else {})
                meaning = replace(column, parameters=settings, of_map=method is not None)
                shown.append(Measure(column_name(name, method or BARE), meaning, method))
    return {
        measure.name: measure
        for measure in ordered(shown)
        if has_score(run, measure.name) or (measure.column.aggregate != "statistic" and {*measure.stored} <= {*columns})
    }


def measured(run: "Run", name: str) -> Measure | None:
    """The number of a name that a run has: one that tables show, or a sensitivity or specificity at another level.

    Args:
        run: an evaluated run.
        name: such as ``gini/smoothgrad`` or ``sensitivity_at_90``.
    """
    if name not in run.measures and column_at_level(name) is not None and has_score(run, name):
        return Measure.named(name)
    return run.measures.get(name)


def measures_of(runs: Iterable["Run"]) -> list[Measure]:
    """The numbers that any of some runs has, in the order of every table."""
    return ordered(measure for run in runs for measure in run.measures.values())


def ordered(measures: Iterable[Measure]) -> list[Measure]:
    """Measures in the order of every table, each once.

    Those of the network come first, then saliency method by saliency method; among them question by question,
    pellucid's own questions first, and of one question those that everybody is shown first.

    >>> [measure.name for measure in ordered(map(Measure.named, ["ris", "hoyer", "gini", "auc", "gini/smoothgrad"]))]
    ['auc', 'gini', 'hoyer', 'ris', 'gini/smoothgrad']
    """
    every = list(dict.fromkeys(measures))
    methods = [None, *dict.fromkeys(measure.saliency for measure in every if measure.saliency)]
    columns = [*KNOWN.values(), *(measure.column for measure in every)]
    questions = list(dict.fromkeys(column.question for column in columns))
    names = [*KNOWN, *(measure.own_name for measure in every)]
    return sorted(
        every,
        key=lambda measure: (
            methods.index(measure.saliency),
            questions.index(measure.column.question),
            not measure.is_main,
            names.index(measure.own_name),
        ),
    )


def _line(text: str) -> str:
    """Words from a file of somebody else's in one line, without letters that steer a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
