"""A gate for continuous integration: what a network must not lose against a baseline, and whether the images tell."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args
from xml.etree import ElementTree

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.metrics.suite import COLUMNS, DERIVED, split
from pellucid.report.formats import padded
from pellucid.runs.directory import Run, check_comparable, read_run
from pellucid.runs.masking import attack_caveats
from pellucid.runs.measures import Measure, measured
from pellucid.runs.subgroups import FEWEST as FEWEST_OF_A_SUBGROUP, Subgroup, part_of, subgroups_of
from pellucid.statistics import Interval
from pellucid.statistics.aggregates import Mean, images_to_tell

__all__ = ["FEWEST", "Outcome", "Requirement", "Verdict", "check", "github", "is_met", "parse", "table", "write_junit"]

Verdict = Literal["pass", "fail", "not enough images to tell"]
Form = Literal["text", "markdown", "json"]
Undecided = Literal["fail", "pass"]

FEWEST = 20
"""Images below which a bootstrap interval is too narrow to be believed."""

UNTOLD: Verdict = "not enough images to tell"


@dataclass(frozen=True)
class Requirement:
    """One requirement, such as ``gini>=-0.02``, ``ris<=1.1x`` or ``clean_accuracy[site=B]>=-0.02``.

    Attributes:
        metric: as in `pellucid compare`, with a saliency method's suffix where it has one.
        relation: ``<=`` or ``>=``.
        bound: of the run minus the baseline, in the metric's stored unit; of the run divided by the baseline if
            ``multiple``.
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


@dataclass(frozen=True)
class Outcome:
    """What the images say about one requirement.

    Attributes:
        requirement: the requirement.
        verdict: ``pass`` if the whole interval meets the bound, ``fail`` if none of it does.
        run: mean of the run.
        baseline: mean of the baseline.
        found: difference or multiple with its paired 95 % interval.
        reason: why the images cannot tell; empty where they can.
        images_needed: about how many images would tell, were the others like these; None where these tell, or where
            the difference is so near the bound that no number of images can be named.
        caveats: of a requirement about robust accuracy, signs that an attack on the run or on the baseline was too weak
            to count.
    """

    requirement: Requirement
    verdict: Verdict
    run: float
    baseline: float
    found: Interval
    reason: str = ""
    images_needed: int | None = None
    caveats: tuple[str, ...] = ()


ALIASES = {"accuracy": "clean_accuracy"}
"""Other names of a metric that a requirement may use."""

_GRAMMAR = re.compile(
    r"(?P<metric>[\w./-]+?)\s*(?:\[\s*(?P<by>[^\[\]=]+?)\s*=\s*(?P<value>[^\[\]]+?)\s*\])?"
    r"\s*(?P<relation><=|>=|≤|≥)\s*"
    r"(?P<bound>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<multiple>[x×]?)"
)


def parse(text: str) -> list[Requirement]:
    """Read requirements with commas between: METRIC, ``<=`` or ``>=``, and a number, with an ``x`` for a multiple.

    Behind a metric may stand the images that it is about, in brackets: ``[NAME=VALUE]`` for those of which a column of
    the table of labels says VALUE, ``[class=VALUE]`` for those of a class, ``[NAME=*]`` for each that there is.

    Raises:
        InputError: none, or one that cannot be read.

    >>> [str(requirement) for requirement in parse("ris<=1.1x, gini >= -0.02, auc[site=Bern, CH]>=-0.05")]
    ['ris <= 1.1x', 'gini >= -0.02', 'auc[site=Bern, CH] >= -0.05']
    """
    requirements = []
    # A comma in brackets belongs to the name of a subgroup.
    for part in filter(None, (part.strip() for part in re.split(r",(?![^\[\]]*\])", text))):
        match = _GRAMMAR.fullmatch(part)
        if match is None or not math.isfinite(float(match["bound"])):
            raise InputError(
                f"a requirement is METRIC<=NUMBER or METRIC>=NUMBER, of the difference from the baseline, or with an x "
                f"after the number of the multiple of it, such as gini>=-0.02 or ris<=1.1x, and of a subgroup "
                f"METRIC[NAME=VALUE], such as clean_accuracy[site=B]>=-0.02; got {part!r}"
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


def check(run: str | Path, baseline: str | Path, requirements: Sequence[Requirement]) -> list[Outcome]:
    """Hold a run against a baseline that was evaluated on the same images in the same way.

    A requirement passes where the whole paired 95 % interval meets it and fails where none of the interval does; in
    between, with fewer than `FEWEST` images, or with a multiple of a baseline that is not clearly above 0, the images
    cannot tell. Shares of images have exact or score intervals: two networks that answer alike on 30 images may still
    differ by 11 points. A loss of at most one point takes 381 images on which both answer alike, and five times as many
    where they differ on one image in twenty (`pellucid.statistics.shares.images_to_show`).

    Args:
        run: a measured run directory.
        baseline: another; one of the same name, or the same one, is accepted.
        requirements: what `parse` read.

    Returns:
        One outcome for each requirement; of one about every subgroup, one for each subgroup.

    Raises:
        InputError: runs that cannot be read or compared, a metric or a subgroup that one of them lacks.
    """
    ours, theirs = read_run(run), read_run(baseline)
    if ours.name == theirs.name:
        theirs = replace(theirs, name=f"{theirs.name} (baseline)")
    check_comparable([ours, theirs])
    outcomes = [
        _of_subgroup(one, ours, theirs) for requirement in requirements for one in _every_subgroup(requirement, ours)
    ]
    said = tuple(f"{side.name}: {sentence}" for side in (ours, theirs) for sentence in attack_caveats(side))
    return [replace(one, caveats=said) if _is_of_attack(one.requirement) else one for one in outcomes]


def _is_of_attack(requirement: Requirement) -> bool:
    """Whether the requirement is about what survives an attack."""
    name = split(requirement.metric)[0]
    column = COLUMNS.get(name, DERIVED.get(name))
    return column is not None and column.family in ("robustness", "masking")


def _every_subgroup(requirement: Requirement, run: Run) -> list[Requirement]:
    """The requirement for each of its subgroups: one for every value of a column where it names all."""
    subgroup = requirement.subgroup
    if subgroup is None or subgroup.value != "*":
        return [requirement]
    counts = subgroups_of(run, subgroup.by)
    told = [one for one, count in counts.items() if count >= FEWEST_OF_A_SUBGROUP]
    if not told:
        raise InputError(
            f"no {subgroup.by} of run {run.name!r} has {FEWEST_OF_A_SUBGROUP} images or more, so that "
            f"{requirement} requires nothing"
        )
    return [replace(requirement, subgroup=one) for one in told]


def _of_subgroup(requirement: Requirement, run: Run, baseline: Run) -> Outcome:
    metric, subgroup = requirement.metric, requirement.subgroup
    if subgroup is not None:
        run, baseline = part_of(run, subgroup, metric), part_of(baseline, subgroup, metric)
    for side in (run, baseline):
        if measured(side, metric) is None:
            raise InputError(f"run {side.name!r} has no metric {metric!r}; it has {', '.join(side.measures)}")
    measure = measured(run, metric)
    assert measure is not None
    return _outcome(requirement, measure, run, baseline)


def _outcome(requirement: Requirement, measure: Measure, run: Run, baseline: Run) -> Outcome:
    reason = ""
    unit = measure.interval(baseline)
    ours, theirs = measure.interval(run).mean, unit.mean
    if requirement.multiple:
        interval = _multiple(measure, run, baseline)
        if not unit.low > 0:
            reason = "the baseline is not clearly above 0, so a multiple of it says nothing"
    else:
        interval = measure.difference(run, baseline)
    if interval.n < FEWEST:
        reason = f"{interval.n} images, at least {FEWEST} are needed"
    if reason:
        return Outcome(requirement, UNTOLD, ours, theirs, interval, reason)
    sign = 1 if requirement.relation == ">=" else -1
    worst, best = sorted((sign * interval.low, sign * interval.high))
    bound = sign * requirement.bound
    if worst >= bound:
        return Outcome(requirement, "pass", ours, theirs, interval)
    if best < bound:
        return Outcome(requirement, "fail", ours, theirs, interval)
    needed = _images_needed(requirement, measure, interval, run, baseline)
    more = "" if needed is None else f"; about {needed:,} like these would tell"
    reason = f"the interval of {interval.n:,} images holds the bound{more}"
    return Outcome(requirement, UNTOLD, ours, theirs, interval, reason, needed)


def _images_needed(
    requirement: Requirement, measure: Measure, interval: Interval, run: Run, baseline: Run
) -> int | None:
    """About how many images would tell what these cannot; more than there are."""
    if requirement.multiple:
        needed = images_to_tell(interval, requirement.bound)
    else:
        needed = measure.aggregate(run).images_to_tell(measure.aggregate(baseline), requirement.bound)
    return None if needed is None else max(needed, interval.n + 1)


def _multiple(measure: Measure, run: Run, baseline: Run) -> Interval:
    """The run's mean divided by the baseline's, over the images of which both have a value."""
    ours, theirs = measure.aggregate(run), measure.aggregate(baseline)
    if not (isinstance(ours, Mean) and isinstance(theirs, Mean)):
        raise InputError(f"{measure.name} is no mean over images, so it has no multiple; require a difference instead")
    return ours.over(theirs)


def is_met(outcomes: Sequence[Outcome], *, undecided: Undecided = "fail") -> bool:
    """Whether the gate opens: nothing fails, and nothing is undecided unless that may pass.

    Raises:
        InputError: ``undecided`` is neither ``fail`` nor ``pass``.
    """
    if undecided not in get_args(Undecided):
        raise InputError(f"undecided must be fail or pass, got {undecided!r}")
    return all(outcome.verdict == "pass" or (outcome.verdict == UNTOLD and undecided == "pass") for outcome in outcomes)


def table(outcomes: Sequence[Outcome], form: Form = "text") -> str:
    """Requirement, baseline, run, difference or multiple with its interval, verdict.

    Args:
        outcomes: of `check`.
        form: ``text`` for a terminal, ``markdown`` or ``json``.

    Raises:
        InputError: another form.
    """
    if form not in get_args(Form):
        raise InputError(f"format must be one of {', '.join(get_args(Form))}, got {form!r}")
    if form == "json":
        return json.dumps([_plain(outcome) for outcome in outcomes], indent=2, ensure_ascii=False, allow_nan=False)
    head = ["Requirement", "Baseline", "Run", "Found [95 %]", "Images", "Verdict"]
    rows = [
        [
            str(outcome.requirement),
            _number(outcome.baseline),
            _number(outcome.run),
            _found(outcome),
            str(outcome.found.n),
            outcome.verdict.upper() if outcome.verdict == "fail" else outcome.verdict,
        ]
        for outcome in outcomes
    ]
    warned = [f"! {sentence}" for sentence in dict.fromkeys(said for outcome in outcomes for said in outcome.caveats)]
    if form == "markdown":
        whole = [head, ["---", "---:", "---:", "---:", "---:", "---"], *rows]
        lines = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in whole]
        return "\n".join([*lines, *(f"\n{sentence}" for sentence in warned)])
    columns = list(zip(head, *rows, strict=True))
    aligned = [padded(texts, str.ljust if texts[0] in (head[0], head[-1]) else str.rjust) for texts in columns]
    first, *lines = ("  ".join(cells) for cells in zip(*aligned, strict=True))
    notes = [f"{outcome.requirement}: {outcome.reason}." for outcome in outcomes if outcome.reason]
    return "\n".join([first.rstrip(), "─" * len(first), *(line.rstrip() for line in lines), *notes, *warned])


def _plain(outcome: Outcome) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "requirement": str(outcome.requirement),
        "verdict": outcome.verdict,
        "run": finite(outcome.run),
        "baseline": finite(outcome.baseline),
        "found": {key: finite(value) for key, value in asdict(outcome.found).items()},
        "multiple": outcome.requirement.multiple,
        "reason": outcome.reason,
        "images_needed": outcome.images_needed,
        "caveats": list(outcome.caveats),
    }


def _found(outcome: Outcome) -> str:
    if not outcome.found.n:
        return "–"
    unit = "x" if outcome.requirement.multiple else ""
    sign = "" if outcome.requirement.multiple else "+"
    mean, low, high = (
        f"{value + 0.0:{sign}.3g}{unit}" for value in (outcome.found.mean, outcome.found.low, outcome.found.high)
    )
    return f"{mean} [{low}, {high}]".replace("-", "−")


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "–"


def _sentence(outcome: Outcome) -> str:
    why = f" ({outcome.reason})" if outcome.reason else ""
    said = "".join(f"; {sentence}" for sentence in outcome.caveats)
    return (
        f"{outcome.requirement}: {outcome.verdict}{why}; found {_found(outcome)}, baseline "
        f"{_number(outcome.baseline)}{said}"
    )


def github(outcomes: Sequence[Outcome], *, undecided: Undecided = "fail") -> str:
    """Annotations that GitHub Actions shows beside a commit: an error, warning or notice a line.

    Args:
        outcomes: of `check`.
        undecided: ``fail`` makes an error of what cannot be told, ``pass`` a warning.
    """
    kinds = {"pass": "notice", "fail": "error", UNTOLD: "error" if undecided == "fail" else "warning"}
    return "\n".join(
        f"::{kinds[outcome.verdict]} title=pellucid check::{_escaped(_sentence(outcome))}" for outcome in outcomes
    )


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def write_junit(outcomes: Sequence[Outcome], file: str | Path, *, name: str, undecided: Undecided = "fail") -> Path:
    """Write the outcomes as JUnit's XML, which most continuous integration shows.

    Args:
        outcomes: of `check`.
        file: to write.
        name: of the run.
        undecided: ``fail`` makes a failure of what cannot be told, ``pass`` a skipped test.

    Returns:
        ``file``.
    """
    failed = [outcome.verdict == "fail" or (outcome.verdict == UNTOLD and undecided == "fail") for outcome in outcomes]
    skipped = [outcome.verdict == UNTOLD and undecided == "pass" for outcome in outcomes]
    counts = {"tests": len(outcomes), "failures": sum(failed), "errors": 0, "skipped": sum(skipped)}
    suites = ElementTree.Element("testsuites")
    attributes = {key: str(value) for key, value in counts.items()}
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "pellucid check", **attributes})
    for outcome, is_failure, is_skipped in zip(outcomes, failed, skipped, strict=True):
        case = ElementTree.SubElement(suite, "testcase", {"classname": _xml(name), "name": str(outcome.requirement)})
        if is_failure:
            ElementTree.SubElement(case, "failure", {"type": outcome.verdict, "message": _sentence(outcome)})
        elif is_skipped:
            ElementTree.SubElement(case, "skipped", {"message": _sentence(outcome)})
    ElementTree.indent(suites)
    file = Path(file)
    with whole_file(file) as temporary:
        ElementTree.ElementTree(suites).write(temporary, encoding="utf-8", xml_declaration=True)
    return file


def _xml(text: str) -> str:
    """Without the letters that XML cannot hold."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
