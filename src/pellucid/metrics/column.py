"""What a measured number means. Imports no torch, so that tables, gates and studies can read it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from pellucid.core.errors import InputError

__all__ = ["Aggregate", "Column", "Direction", "column_from"]

Direction = Literal["higher", "lower", "none"]
Aggregate = Literal["mean", "share", "ratio of means", "statistic"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """The meaning of one number per image; it travels with the numbers in ``rows.parquet``.

    Args:
        title: what a table's head says, in few words.
        question: what the number answers, for someone who has read no paper; numbers of one question stand together.
        definition: one sentence that says how it is computed.
        plain: the same for someone who has read no paper; the definition where it is empty.
        contest: the question whose answer is the best network, such as "Which has the most concentrated maps?";
            empty where no ranking by this number alone makes sense.
        family: name that chooses all metrics of one kind, as in ``--metrics sparsity``.
        unit: unit in which the number is written, after ``scale``; empty where it has none.
        scale: the stored value times this is what is written.
        direction: which way is better; ``none`` where neither is.
        aggregate: how the number of a set of images is made: the ``mean`` of the images' values, the ``share`` of
            images for which a yes-or-no value holds, a ``ratio of means``, or a ``statistic`` of all predictions.
        of: the columns that the aggregate is made of, the dividend of a ratio first; this column itself where empty.
        source: where the definition comes from.
        parameters: the settings that the number was computed with; filled in by the evaluation.
        curve: whether an image has a list of numbers rather than one.
        of_map: whether the number describes one saliency method's map, so that there is one for each method.
        main: whether it is one of the few numbers that everybody is shown; the others are shown on request.
        shown: whether a table has it; the columns that only serve an aggregate of another name have not.

    Raises:
        InputError: an unknown direction or aggregate, or an empty title.

    >>> Column(title="Peak", question="How bright is the brightest pixel?", direction="higher").unit
    ''
    """

    title: str
    question: str = ""
    definition: str = ""
    plain: str = ""
    contest: str = ""
    family: str = "own"
    unit: str = ""
    scale: float = 1.0
    direction: Direction = "none"
    aggregate: Aggregate = "mean"
    of: tuple[str, ...] = ()
    source: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    curve: bool = False
    of_map: bool = True
    main: bool = False
    shown: bool = True

    def __post_init__(self) -> None:
        if not self.title:
            raise InputError("a column needs a title, got an empty one")
        if self.direction not in get_args(Direction):
            raise InputError(f"direction must be one of {', '.join(get_args(Direction))}, got {self.direction!r}")
        if self.aggregate not in get_args(Aggregate):
            raise InputError(f"aggregate must be one of {', '.join(get_args(Aggregate))}, got {self.aggregate!r}")
        if self.aggregate == "ratio of means" and len(self.of) != 2:
            raise InputError(f"a ratio of means needs two columns in `of`, got {list(self.of)}")
        most = {"mean": 1, "share": 2}.get(self.aggregate, len(self.of))
        if len(self.of) > most:
            raise InputError(f"a {self.aggregate} is made of at most {most} columns in `of`, got {list(self.of)}")

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; `column_from` reads it."""
        return asdict(self)


def column_from(stored: Mapping[str, Any]) -> Column:
    """A column from its plain data; what a later version of pellucid has added is left out.

    >>> column_from(Column(title="Peak").as_dict()) == Column(title="Peak")
    True
    """
    known = {name.name for name in fields(Column)}
    values: dict[str, Any] = {
        name: tuple(value) if name == "of" else value for name, value in stored.items() if name in known
    }
    return Column(**values)
