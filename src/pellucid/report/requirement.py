"""What is required of a network, alone or against a baseline, as a person writes it."""

import math
import re
from dataclasses import dataclass

from pellucid.core.errors import InputError
from pellucid.runs.subgroups import Subgroup

__all__ = ["Requirement", "parse"]


@dataclass(frozen=True)
class Requirement:
    """One requirement, such as ``gini>=-0.02``, ``ris<=1.1x`` or ``clean_accuracy[site=B]>=-0.02``.

    Attributes:
        metric: as in `pellucid compare`, with a saliency method's suffix where it has one.
        relation: ``<=`` or ``>=``.
        bound: of the run minus the baseline, in the metric's stored unit; of the run divided by the baseline if
            ``multiple``; of the run's own value where there is no baseline.
        multiple: the bound was written with an ``x``.
        subgroup: the images that it is about; all of them where it is None. The value ``*`` stands for every subgroup
            of a column that has as many images as are told of.
    """

    metric: str
    relation: str
    bound: float
    multiple: bool
    subgroup: Subgroup | None = None

    def __str__(self) -> str:
        of = "" if self.subgroup is None else f"[{self.subgroup}]"
        return f"{self.metric}{of} {self.relation} {self.bound:g}{'x' if self.multiple else ''}"


ALIASES = {"accuracy": "clean_accuracy"}
"""Other names of a metric that a requirement may use."""

_GRAMMAR = re.compile(
    r"(?P<metric>[\w./-]+?)\s*(?:\[\s*(?P<by>[^\[\]=]+?)\s*=\s*(?P<value>[^\[\]]+?)\s*\])?"
    r"\s*(?P<relation><=|>=|≤|≥)\s*"
    r"(?P<bound>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<multiple>[x×]?)"
)


def parse(text: str) -> list[Requirement]:
    """Read requirements with commas between: METRIC, ``<=`` or ``>=``, and a number, with an ``x`` for a multiple.

    The end of a line separates as a comma does, and ``#`` begins a comment, to the end of its line.

    Behind a metric may stand the images that it is about, in brackets: ``[NAME=VALUE]`` for those of which a column of
    the table of labels says VALUE, ``[class=VALUE]`` for those of a class, ``[NAME=*]`` for each that there is.

    Raises:
        InputError: none, or one that cannot be read.

    >>> [str(requirement) for requirement in parse("ris<=1.1x, gini >= -0.02, auc[site=Bern, CH]>=-0.05")]
    ['ris <= 1.1x', 'gini >= -0.02', 'auc[site=Bern, CH] >= -0.05']
    """
    requirements = []
    # A comma in brackets belongs to the name of a subgroup.
    lines = (line.partition("#")[0] for line in text.splitlines())
    parts = (part.strip() for line in lines for part in re.split(r",(?![^\[\]]*\])", line))
    for part in filter(None, parts):
        match = _GRAMMAR.fullmatch(part)
        if match is None or not math.isfinite(float(match["bound"])):
            raise InputError(
                "a requirement is METRIC<=NUMBER or METRIC>=NUMBER; the number bounds the difference from the "
                "baseline, as in gini>=-0.02, or, with an x after it, the multiple of the baseline, as in ris<=1.1x; a "
                f"subgroup is given as METRIC[NAME=VALUE], as in clean_accuracy[site=B]>=-0.02; got {part!r}"
            )
        relation = {"≤": "<=", "≥": ">="}.get(match["relation"], match["relation"])
        metric = ALIASES.get(match["metric"], match["metric"])
        subgroup = Subgroup(match["by"], match["value"]) if match["by"] else None
        requirement = Requirement(metric, relation, float(match["bound"]), bool(match["multiple"]), subgroup)
        if requirement.multiple and requirement.bound <= 0:
            raise InputError(f"a multiple must be above 0, got {part!r}")
        requirements.append(requirement)
    if not requirements:
        raise InputError("there is nothing to require; give --require such as 'gini>=-0.02, ris<=1.1x'")
    return requirements
