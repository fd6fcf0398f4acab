"""A gate for continuous integration: what a network must not lose against a baseline, and whether the images tell."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args
from xml.etree import ElementTree

import numpy as np

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.report.table import difference, metric_names, summarise
from pellucid.runs.directory import Floats, Run, check_comparable, read_run
from pellucid.statistics import Interval, ratio_interval

__all__ = [
    "FEWEST",
    "Outcome",
    "Requirement",
    "Verdict",
    "check",
    "github",
    "is_met",
    "parse",
    "table",
    "write_junit",
]

Verdict = Literal["pass", "fail", "not enough images to tell"]
Form = Literal["text", "markdown", "json"]
Undecided = Literal["fail", "pass"]

FEWEST = 20
"""Images below which a bootstrap interval is too narrow to be believed."""

UNTOLD: Verdict = "not enough images to tell"


@dataclass(frozen=True)
class Requirement:
    """One requirement, such as ``gini>=-0.02`` or ``aopc_lerf<=1.1x``.

    Attributes:
        metric: as in `pellucid compare`, with a saliency method's suffix where it has one.
        relation: ``<=`` or ``>=``.
        bound: of the run minus the baseline, in the metric's stored unit; of the run divided by the baseline if
            ``multiple``.
        multiple: the bound was written with an ``x``.
    """

    metric: str
    relation: str
    bound: float
    multiple: bool

    def __str__(self) -> str:
        return f"{self.metric} {self.relation} {self.bound:g}{'x' if self.multiple else ''}"


@dataclass(frozen=True)
class Outcome:
    """What the images say of one requirement.

    Attributes:
        requirement: the requirement.
        verdict: ``pass`` if the whole interval meets the bound, ``fail`` if none of it does.
        run: mean of the run.
        baseline: mean of the baseline.
        found: difference or multiple with its paired 95 % interval.
        reason: why it cannot be told; empty else.
    """

    requirement: Requirement
    verdict: Verdict
    run: float
    baseline: float
    found: Interval
    reason: str = ""


_GRAMMAR = re.compile(
    r"(?P<metric>[\w./-]+?)\s*(?P<relation><=|>=|≤|≥)\s*"
    r"(?P<bound>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<multiple>[x×]?)"
)


def parse(text: str) -> list[Requirement]:
    """Read requirements with commas between: METRIC, ``<=`` or ``>=``, and a number, with an ``x`` for a multiple.

    Raises:
        InputError: none, or one that cannot be read.

    >>> [str(one) for one in parse("aopc_lerf<=1.1x, gini >= -0.02")]
    ['aopc_lerf <= 1.1x', 'gini >= -0.02']
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _GRAMMAR.fullmatch(part)
        if match is None or not math.isfinite(float(match["bound"])):
            raise InputError(
                f"a requirement is METRIC<=NUMBER or METRIC>=NUMBER, of the difference from the baseline, or with an x "
                f"after the number of the multiple of it, such as gini>=-0.02 or aopc_lerf<=1.1x; got {part!r}"
            )
        relation = {"≤": "<=", "≥": ">="}.get(match["relation"], match["relation"])
        one = Requirement(match["metric"], relation, float(match["bound"]), bool(match["multiple"]))
        if one.multiple and one.bound <= 0:
            raise InputError(f"a multiple must be above 0, got {part!r}")
        found.append(one)
    if not found:
        raise InputError("there is nothing to require; give --require such as 'gini>=-0.02, aopc_lerf<=1.1x'")
    return found


def check(run: str | Path, baseline: str | Path, requirements: Sequence[Requirement]) -> list[Outcome]:
    """Hold a run against a baseline that was evaluated on the same images in the same way.

    A requirement passes where the whole paired 95 % interval meets it and fails where none of the interval does; in
    between, with fewer than `FEWEST` images, or with a multiple of a baseline that is not clearly above 0, the images
    cannot tell.

    Args:
        run: a measured run directory.
        baseline: another; one of the same name, or the same one, is accepted.
        requirements: what `parse` read.

    Returns:
        One outcome for each requirement.

    Raises:
        InputError: runs that cannot be read or compared, a metric that one of them lacks.
    """
    ours, theirs = read_run(run), read_run(baseline)
    if ours.name == theirs.name:
        theirs = replace(theirs, name=f"{theirs.name} (baseline)")
    check_comparable([ours, theirs])
    for one in requirements:
        for each in (ours, theirs):
            if one.metric not in metric_names(each):
                raise InputError(
                    f"run {each.name!r} has no metric {one.metric!r}; it has {', '.join(metric_names(each))}"
                )
    means = [{name: interval.mean for name, interval in summarise(each).items()} for each in (ours, theirs)]
    return [_outcome(one, ours, theirs, means[0][one.metric], means[1][one.metric]) for one in requirements]


def _outcome(requirement: Requirement, run: Run, baseline: Run, ours: float, theirs: float) -> Outcome:
    reason = ""
    if requirement.multiple:
        values = [_values(each, requirement.metric) for each in (run, baseline)]
        both = ~np.isnan(values[0]) & ~np.isnan(values[1])
        found = ratio_interval(values[0][both], values[1][both])
        unit = summarise(baseline)[requirement.metric]
        if not unit.low > 0:
            reason = "the baseline is not clearly above 0, so a multiple of it says nothing"
    else:
        found = difference(run, baseline, requirement.metric)
    if found.n < FEWEST:
        reason = f"{found.n} images, at least {FEWEST} are needed"
    if reason:
        return Outcome(requirement, UNTOLD, ours, theirs, found, reason)
    sign = 1 if requirement.relation == ">=" else -1
    worst, best = sorted((sign * found.low, sign * found.high))
    bound = sign * requirement.bound
    if worst >= bound:
        return Outcome(requirement, "pass", ours, theirs, found)
    if best < bound:
        return Outcome(requirement, "fail", ours, theirs, found)
    return Outcome(requirement, UNTOLD, ours, theirs, found, f"the interval of {found.n} images holds the bound")


def _values(run: Run, metric: str) -> Floats:
    if metric == "clean_accuracy":
        right: Floats = (run.values("prediction") == run.values("label")).astype(np.float64)
        return right
    column = "robust_correct" if metric == "robust_accuracy" else metric
    if column not in run.rows.column_names:
        raise InputError(f"{metric} is no mean over images, so it has no multiple; require a difference instead")
    return run.values(column)


def is_met(outcomes: Sequence[Outcome], *, undecided: Undecided = "fail") -> bool:
    """Whether the gate opens: nothing fails, and nothing is undecided unless that may pass.

    Raises:
        InputError: ``undecided`` is neither ``fail`` nor ``pass``.
    """
    if undecided not in get_args(Undecided):
        raise InputError(f"undecided must be fail or pass, got {undecided!r}")
    return all(one.verdict == "pass" or (one.verdict == UNTOLD and undecided == "pass") for one in outcomes)


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
        return json.dumps([_plain(one) for one in outcomes], indent=2, ensure_ascii=False, allow_nan=False)
    head = ["Requirement", "Baseline", "Run", "Found [95 %]", "Images", "Verdict"]
    rows = [
        [
            str(one.requirement),
            _number(one.baseline),
            _number(one.run),
            _found(one),
            str(one.found.n),
            one.verdict.upper() if one.verdict == "fail" else one.verdict,
        ]
        for one in outcomes
    ]
    if form == "markdown":
        lines = [head, ["---", "---:", "---:", "---:", "---:", "---"], *rows]
        return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    aligned = [
        "  ".join(
            cell.ljust(width) if i in (0, len(head) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [head, *rows]
    ]
    notes = [f"{one.requirement}: {one.reason}." for one in outcomes if one.reason]
    return "\n".join([aligned[0], "─" * (sum(widths) + 2 * (len(widths) - 1)), *aligned[1:], *notes])


def _plain(one: Outcome) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    found = {key: finite(value) for key, value in asdict(one.found).items()}
    return {
        "requirement": str(one.requirement),
        "verdict": one.verdict,
        "run": finite(one.run),
        "baseline": finite(one.baseline),
        "found": found,
        "multiple": one.requirement.multiple,
        "reason": one.reason,
    }


def _found(one: Outcome) -> str:
    if not one.found.n:
        return "–"
    unit = "x" if one.requirement.multiple else ""
    sign = "" if one.requirement.multiple else "+"
    mean, low, high = (f"{value + 0.0:{sign}.3g}{unit}" for value in (one.found.mean, one.found.low, one.found.high))
    return f"{mean} [{low}, {high}]".replace("-", "−")


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "–"


def _sentence(one: Outcome) -> str:
    why = f" ({one.reason})" if one.reason else ""
    return f"{one.requirement}: {one.verdict}{why}; found {_found(one)}, baseline {_number(one.baseline)}"


def github(outcomes: Sequence[Outcome], *, undecided: Undecided = "fail") -> str:
    """Annotations that GitHub Actions shows beside a commit: an error, warning or notice a line.

    Args:
        outcomes: of `check`.
        undecided: ``fail`` makes an error of what cannot be told, ``pass`` a warning.
    """
    kinds = {"pass": "notice", "fail": "error", UNTOLD: "error" if undecided == "fail" else "warning"}
    return "\n".join(f"::{kinds[one.verdict]} title=pellucid check::{_escaped(_sentence(one))}" for one in outcomes)


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
    failed = [one.verdict == "fail" or (one.verdict == UNTOLD and undecided == "fail") for one in outcomes]
    skipped = [one.verdict == UNTOLD and undecided == "pass" for one in outcomes]
    counts = {"tests": len(outcomes), "failures": sum(failed), "errors": 0, "skipped": sum(skipped)}
    suites = ElementTree.Element("testsuites")
    attributes = {key: str(value) for key, value in counts.items()}
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "pellucid check", **attributes})
    for one, is_failure, is_skipped in zip(outcomes, failed, skipped, strict=True):
        case = ElementTree.SubElement(suite, "testcase", {"classname": _xml(name), "name": str(one.requirement)})
        if is_failure:
            ElementTree.SubElement(case, "failure", {"type": one.verdict, "message": _sentence(one)})
        elif is_skipped:
            ElementTree.SubElement(case, "skipped", {"message": _sentence(one)})
    ElementTree.indent(suites)
    file = Path(file)
    with whole_file(file) as temporary:
        ElementTree.ElementTree(suites).write(temporary, encoding="utf-8", xml_declaration=True)
    return file


def _xml(text: str) -> str:
    """Without the letters that XML cannot hold."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
