"""Which metrics a choice of names asks for, and what every number means. Imports no torch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from inspect import isabstract
from typing import get_args

from pellucid.config import import_name
from pellucid.core.errors import InputError
from pellucid.metrics.column import Column
from pellucid.metrics.families import prediction
from pellucid.metrics.metric import About, Images, Metric

__all__ = [
    "ALL",
    "BARE",
    "COLUMNS",
    "DEFAULT",
    "DERIVED",
    "EXTRA",
    "FAMILIES",
    "MASKED",
    "check_twice",
    "column_name",
    "is_foreign",
    "meanings",
    "select",
    "split",
]

BARE = "vanilla_gradient"
"""The saliency method whose columns carry no suffix."""

FAMILIES = {
    "prediction": "What the network says, and whether that is right.",
    "robustness": "Does the prediction survive an attack?",
    "masking": "Could the attack have been too weak, so that robustness only looks high?",
    "curvature": "How fast does the gradient turn around the image?",
    "truth": "Does the map show what decides the class, where that is known?",
    "sparsity": "Is the map concentrated?",
    "faithfulness": "Does the map point at what the network uses?",
    "stability": "How much does the map change, relative to what was changed?",
    "similarity": "Do the maps of an image and its noisy copies look alike?",
    "sensitivity": "What is the largest change of the map in a small box around the image?",
    "sanity": "Does the map depend on what the network has learned?",
}
"""Families of metrics, each with what it asks; those from truth on are of a map, some numbers of truth excepted."""

ALL: dict[str, tuple[Metric, ...]] = {
    family: import_module(f"pellucid.metrics.families.{family}").METRICS for family in FAMILIES
}
"""Every metric of pellucid with all its columns, by family, in the order of every table."""

QUESTIONS = FAMILIES | {
    "prediction": "Are the predictions right?",
    "robustness": "Are the predictions right?",
    "faithfulness": "What does covering pixels do to the answer?",
    "stability": "Is the map steady?",
}
"""What the numbers of a family answer, for someone who has read no paper; numbers of one question stand together."""

EXTRA = ("autoattack_correct", "masking_transfer", "road_random", "road_random_curve")
"""What ``all`` and families leave out: what needs a further package or network, and the random order of ROAD."""

DEFAULT = (
    *("robust_correct", "gini", "entropy", "size_kb", "aopc_morf", "aopc_lerf", "morf_curve", "lerf_curve"),
    *("ris", "ros", "stability_coverage"),
)
"""What is measured unless something else is asked for."""

MASKED = ("mass", "mass_lift")
"""What is measured then too, wherever it is known what decides the class of the images."""


def _completed(column: Column, metric: Metric, family: str) -> Column:
    question = column.question or QUESTIONS[family]
    return replace(column, family=family, question=question, of_map=metric.about != "network")


COLUMNS: dict[str, Column] = {}
for _family, _metrics in ALL.items():
    for _metric in _metrics:
        for _name, _column in _metric.columns.items():  # the coverage is the stability's, not the similarity's
            COLUMNS.setdefault(_name, _completed(_column, _metric, _family))
"""Every number of pellucid that an evaluation can store per image, in the order of its table."""

DERIVED: dict[str, Column] = {
    name: _completed(column, metric, family)
    for family, metrics in ALL.items()
    for metric in metrics
    for name, column in metric.aggregates.items()
}
"""Numbers that exist for a set of images only; every other shown number is the mean of a column."""

NEEDS: dict[str, tuple[str, ...]] = {
    name: needs for metrics in ALL.values() for metric in metrics for name, needs in metric.needs.items()
}
"""What must be known of what decides the class, by the column that needs it."""


def split(name: str) -> tuple[str, str]:
    """A number's own name and the saliency method whose maps it is of, which a bare name has as `BARE`.

    >>> split("gini/smoothgrad"), split("gini")
    (('gini', 'smoothgrad'), ('gini', 'vanilla_gradient'))
    """
    measure, _, method = name.partition("/")
    return measure, method or BARE


def column_name(measure: str, saliency: str = BARE) -> str:
    """Name of a measure's column for one saliency method: bare for the vanilla gradient, with a suffix for others.

    Args:
        measure: such as ``gini``.
        saliency: name of the saliency method.

    Returns:
        The column's name.

    >>> column_name("gini"), column_name("gini", "smoothgrad")
    ('gini', 'gini/smoothgrad')
    """
    return measure if saliency == BARE else f"{measure}/{saliency}"


def is_foreign(metric: Metric) -> bool:
    """Whether a metric is a user's own."""
    return not type(metric).__module__.startswith("pellucid.")


def select(names: Iterable[str | Metric] = ("default",), images: Images | None = None) -> tuple[Metric, ...]:
    """The metrics that are asked for, each without what nobody wants of it, in the order of every table.

    Args:
        names: columns, derived numbers, families (keys of `FAMILIES`), ``default`` or ``all``; import paths of your
            own metrics, such as ``my_package.Peak``; or metrics themselves, with their settings. Families and ``all``
            leave out what needs a further package or network (AutoAttack, attacks transferred from another network),
            and the random order of ROAD.
        images: what is known of those that are measured. ``default``, families and ``all`` leave out what needs more;
            ``default`` has `MASKED` where a mask is known to be.

    Raises:
        InputError: an unknown name, with the closest known ones; an import path that leads to no metric; two metrics
            that name one column; a name or metric that needs more than is known of the images, or only such families.

    >>> [type(metric).__name__ for metric in select(["gini", "aopc_rel"])]
    ['Gini', 'PerturbationCurves']
    >>> list(select(["ris"])[0].columns)
    ['ris', 'stability_coverage']
    """
    wanted: set[str] = set()
    given: list[Metric] = []
    left_out: set[str] = set()
    names = tuple(names)
    about = Images((1, 1, 1)) if images is None else images
    for name in names:
        if isinstance(name, Metric):
            given.append(name)
        elif not isinstance(name, str):
            raise InputError(f"metrics must be names or pellucid.Metric objects, got {name!r}")
        elif name == "default":
            wanted |= {*DEFAULT, *(MASKED if "mask" in (about.known or ()) else ())}
        elif name == "all" or name in FAMILIES:
            members = {known for known, column in COLUMNS.items() if name in ("all", column.family)} - set(EXTRA)
            left_out |= {known for known in members if about.lacks(NEEDS.get(known, ()))}
            wanted |= members - left_out
        elif name in COLUMNS | DERIVED:
            parts = DERIVED[name].of if name in DERIVED else (name,)
            _check_needs({part: NEEDS.get(part, ()) for part in parts}, about)
            wanted |= set(parts)
        elif "." in name or ":" in name:
            given.append(_imported(name))
        else:
            raise InputError(_unknown(name))
    for metric in given:
        _check_columns(metric)
        _check_needs({name: metric.needs.get(name, ()) for name in metric.columns}, about)
        wanted -= set(metric.columns)
    chosen: list[Metric] = []
    for family, metrics in ALL.items():
        for whole in metrics if family != "prediction" else ():
            columns = wanted & set(whole.columns)
            # What only accompanies other numbers, such as the coverage, asks for no metric where another one has it.
            if columns and not any(columns <= set(metric.columns) for metric in chosen):
                chosen.append(whole.only(columns))
    chosen += given
    if left_out and not chosen:
        _check_needs({name: NEEDS[name] for name in COLUMNS if name in left_out}, about)
    check_twice(chosen)
    return tuple(chosen)


_NEEDED = {
    "mask": "where what decides the class is",
    "parts": "where three or more named parts are, and the images without each",
    "changed cause": "the images with what decides the class exchanged",
    "changed rest": "the images with everything beside what decides the class exchanged",
}


def _check_needs(needs: Mapping[str, Iterable[str]], images: Images) -> None:
    """Refuse columns that need more than is known of the images."""
    for column, needed in needs.items():
        for lacking in images.lacks(tuple(needed)):
            kind, _, thing = lacking.partition(" ")
            told = {"changed": f"the images with the {thing} exchanged", "part": f"where the {thing} is"}
            what, whose = _NEEDED.get(lacking) or told.get(kind, lacking), images.dataset or "these images"
            raise InputError(
                f"the metric {column!r} needs {what}, which is not known for {whose}; such metrics are for the "
                "datasets truth:NAME and folders with masks"
            )


def _imported(path: str) -> Metric:
    kind = import_name(path)
    if isinstance(kind, Metric):
        return kind
    if not (isinstance(kind, type) and issubclass(kind, Metric)):
        raise InputError(f"{path!r} is not a metric: it must be a subclass of pellucid.Metric, got {kind!r:.80}")
    if isabstract(kind):
        raise InputError(f"{path!r} is not a metric yet: give it a method __call__(self, case)")
    try:
        return kind()
    except TypeError as error:
        raise InputError(f"{path!r} cannot be made without settings ({error}); give them in YAML or Python") from None


def _unknown(name: str) -> str:
    close = get_close_matches(name, ["default", "all", *FAMILIES, *COLUMNS, *DERIVED], n=3)
    hint = (
        f"did you mean {' or '.join(close)}?"
        if close
        else "`pellucid metrics` lists them; your own is named as package.module.Name"
    )
    return f"unknown metric {name!r}; {hint}"


def _check_columns(metric: Metric) -> None:
    kind = type(metric).__name__
    columns = getattr(metric, "columns", None)
    if not isinstance(columns, Mapping) or not columns:
        raise InputError(f"{kind} must name its columns, such as columns = {{'peak': pellucid.Column(title='Peak')}}")
    if metric.about not in get_args(About):
        raise InputError(f"about of {kind} must be one of {', '.join(get_args(About))}, got {metric.about!r}")
    settings = {field.name for field in fields(metric)} if is_dataclass(metric) else set[str]()
    lacking = set(metric.follows.values()) - settings
    if lacking:
        raise InputError(f"{kind} follows a setting by its field {min(lacking)!r}, but has no such field")
    inherited = {name for name in metric.aggregates.keys() & DERIVED if metric.aggregates[name].of == DERIVED[name].of}
    for name, column in [*columns.items(), *metric.aggregates.items()]:
        if name in inherited:
            continue
        if not isinstance(column, Column):
            raise InputError(f"the column {name!r} of {kind} must be a pellucid.Column, got {column!r:.80}")
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"a column's name must be a Python name such as 'peak', got {name!r} in {kind}")
        if is_foreign(metric) and name in COLUMNS | DERIVED:
            raise InputError(f"the column {name!r} of {kind} is one of pellucid's own; give it another name")
        if is_foreign(metric) and column.aggregate == "statistic":
            raise InputError(
                f"the aggregate of the column {name!r} of {kind} must be mean, share or ratio of means; statistic is "
                "for pellucid's own columns"
            )
        unknown = set(column.of) - set(columns)
        if unknown and is_foreign(metric):
            raise InputError(f"{name!r} of {kind} is made of {min(unknown)!r}, which is none of its columns")


def check_twice(metrics: Sequence[Metric]) -> None:
    """Refuse two metrics that give one column with different settings.

    Args:
        metrics: with the settings that they are measured with.

    Raises:
        InputError: two of them do; it names both and the column.
    """
    homes: dict[str, Metric] = {}
    for metric in metrics:
        for name in metric.columns:
            other = homes.setdefault(name, metric)
            if other is not metric and other.settings(name) != metric.settings(name):
                raise InputError(
                    f"{type(other).__name__} and {type(metric).__name__} both have the column {name!r}; ask for one"
                )


def meanings(
    metrics: Sequence[Metric], *, saliency: Sequence[str] = (BARE,), stability: Sequence[str] = (BARE,)
) -> dict[str, tuple[Metric, Column]]:
    """Every column of one evaluation in the order of its table, with the metric that gives it.

    Args:
        metrics: as `select` returns them; the predictions come by themselves.
        saliency: names of the saliency methods that are measured.
        stability: names of those whose noisy maps are looked at too.

    Returns:
        By name, with the saliency method's suffix: the metric and what the number means.

    >>> list(meanings(select(["gini", "ris"]), saliency=("vanilla_gradient", "smoothgrad")))[7:]
    ['gini', 'ris', 'stability_coverage', 'gini/smoothgrad']
    """
    table: dict[str, tuple[Metric, Column]] = {}

    def add(metric: Metric, method: str = BARE) -> None:
        for name, column in metric.columns.items():
            known = COLUMNS.get(name)
            complete = replace(
                column,
                family=column.family if known is None else known.family,
                question=column.question or (column.title if known is None else known.question),
                of_map=metric.about != "network",
            )
            table.setdefault(column_name(name, method), (metric, complete))

    for metric in (prediction.Prediction(), *metrics):
        if metric.about == "network":
            add(metric)
    for method in saliency:
        for metric in metrics:
            if metric.about == "map" or (metric.about == "noisy maps" and method in stability):
                add(metric, method)
    return table
