"""A gate for continuous integration: what a network must not lose against a baseline, and whether the images tell."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from pellucid.core.errors import InputError
from pellucid.metrics.suite import COLUMNS, DERIVED, split
from pellucid.report.requirement import Requirement
from pellucid.runs.comparability import check_comparable
from pellucid.runs.evaluated import Run, read_run
from pellucid.runs.masking import attack_caveats
from pellucid.runs.measures import Measure, measured
from pellucid.runs.subgroups import FEWEST as FEWEST_OF_A_SUBGROUP, part_of, subgroups_of
from pellucid.statistics import Interval
from pellucid.statistics.aggregates import Mean, Share, images_to_tell

__all__ = ["FEWEST", "UNTOLD", "Outcome", "Undecided", "Verdict", "check", "is_met"]

Verdict = Literal["pass", "fail", "not enough images to tell"]
Undecided = Literal["fail", "pass"]

FEWEST = 20
"""Images below which a bootstrap interval is too narrow to be believed."""

UNTOLD: Verdict = "not enough images to tell"


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
        absolute: whether the bound is of the run's own value, without a baseline, whose mean is then NaN.
    """

    requirement: Requirement
    verdict: Verdict
    run: float
    baseline: float
    found: Interval
    reason: str = ""
    images_needed: int | None = None
    caveats: tuple[str, ...] = ()
    absolute: bool = False


def check(run: str | Path, baseline: str | Path | None, requirements: Sequence[Requirement]) -> list[Outcome]:
    """Hold a run against a baseline that was evaluated on the same images in the same way.

    A requirement passes where the whole paired 95 % interval meets it and fails where none of the interval does; in
    between, with fewer than `FEWEST` images, or with a multiple of a baseline that is not clearly above 0, the images
    cannot tell. Shares of images have exact or score intervals: two networks that answer alike on 30 images may still
    differ by 11 points. A loss of at most one point takes 381 images on which both answer alike, and five times as many
    where they differ on one image in twenty (`pellucid.statistics.shares.images_to_show`).

    Args:
        run: a measured run directory.
        baseline: another; one of the same name, or the same one, is accepted. None: bounds are of the run's own values.
        requirements: what `pellucid.report.requirement.parse` read.

    Returns:
        One outcome for each requirement; of one about every subgroup, one for each subgroup.

    Raises:
        InputError: runs that cannot be read or compared, a metric or a subgroup that one of them lacks, a bound that
            no share of images can reach, or, without a baseline, a multiple or a bound that is not above 0.
    """
    if baseline is None:
        return _absolute(read_run(run), requirements)
    ours, theirs = read_run(run), read_run(baseline)
    if ours.name == theirs.name:
        theirs = replace(theirs, name=f"{theirs.name} (baseline)")
    check_comparable([ours, theirs])
    outcomes = [
        _of_subgroup(one, ours, theirs) for requirement in requirements for one in _every_subgroup(requirement, ours)
    ]
    said = tuple(f"{side.name}: {sentence}" for side in (ours, theirs) for sentence in attack_caveats(side))
    return [replace(one, caveats=said) if _is_of_attack(one.requirement) else one for one in outcomes]


def _absolute(run: Run, requirements: Sequence[Requirement]) -> list[Outcome]:
    """What the images say about bounds of the run's own values."""
    for one in requirements:
        if one.multiple or one.bound <= 0:
            raise InputError(
                f"without --baseline a requirement bounds the value itself, so {one} has no meaning; give --baseline, "
                "or a bound above 0 without an x"
            )
    said = tuple(f"{run.name}: {sentence}" for sentence in attack_caveats(run))
    outcomes = []
    for requirement in (each for one in requirements for each in _every_subgroup(one, run)):
        part = run if requirement.subgroup is None else part_of(run, requirement.subgroup, requirement.metric)
        measure = _measure(part, requirement.metric)
        _refuse_empty(requirement, measure, part, absolute=True)
        interval = measure.interval(part)
        needed = partial(images_to_tell, interval, requirement.bound)
        verdict, reason, images_needed = _verdict(requirement, interval, needed)
        outcomes.append(
            Outcome(
                requirement, verdict, interval.mean, math.nan, interval, reason, images_needed,
                caveats=said if _is_of_attack(requirement) else (), absolute=True,
            )
        )  # fmt: skip
    return outcomes


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
    _measure(baseline, metric)
    measure = _measure(run, metric)
    _refuse_empty(requirement, measure, run, absolute=False)
    return _outcome(requirement, measure, run, baseline)


def _measure(run: Run, metric: str) -> Measure:
    measure = measured(run, metric)
    if measure is None:
        close = get_close_matches(metric, run.measures, n=3)
        hint = f"did you mean {' or '.join(close)}? It" if close else "it"
        raise InputError(f"run {run.name!r} has no metric {metric!r}; {hint} has {', '.join(run.measures)}")
    return measure


def _refuse_empty(requirement: Requirement, measure: Measure, run: Run, *, absolute: bool) -> None:
    """Refuse a bound that a share of images meets always or never, such as -2 where two points are meant."""
    if requirement.multiple or not isinstance(measure.aggregate(run), Share):
        return
    if absolute and requirement.bound > 1:
        raise InputError(f"{requirement} is no bound: a share of images is never above 1; write 70 % as 0.7")
    if not absolute and abs(requirement.bound) > 1:
        raise InputError(
            f"{requirement} is no bound: two shares of images never differ by more than 1; write two points as "
            f"{math.copysign(0.02, requirement.bound):g}"
        )


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
    if reason and interval.n >= FEWEST:
        return Outcome(requirement, UNTOLD, ours, theirs, interval, reason)
    verdict, reason, needed = _verdict(
        requirement, interval, lambda: _images_needed(requirement, measure, interval, run, baseline)
    )
    return Outcome(requirement, verdict, ours, theirs, interval, reason, needed)


def _verdict(
    requirement: Requirement, interval: Interval, images_needed: Callable[[], int | None]
) -> tuple[Verdict, str, int | None]:
    """Verdict, why the images cannot tell, and about how many would."""
    if interval.n < FEWEST:
        return UNTOLD, f"{interval.n} images, at least {FEWEST} are needed", None
    sign = 1 if requirement.relation == ">=" else -1
    worst, best = sorted((sign * interval.low, sign * interval.high))
    bound = sign * requirement.bound
    if worst >= bound:
        return "pass", "", None
    if best < bound:
        return "fail", "", None
    needed = images_needed()
    needed = None if needed is None else max(needed, interval.n + 1)
    more = "" if needed is None else f"; about {needed:,} like these would tell"
    return UNTOLD, f"the interval of {interval.n:,} images holds the bound{more}", needed


def _images_needed(
    requirement: Requirement, measure: Measure, interval: Interval, run: Run, baseline: Run
) -> int | None:
    """About how many images would tell what these cannot."""
    if requirement.multiple:
        return images_to_tell(interval, requirement.bound)
    return measure.aggregate(run).images_to_tell(measure.aggregate(baseline), requirement.bound)


def _multiple(measure: Measure, run: Run, baseline: Run) -> Interval:
    """The run's mean divided by the baseline's, over the images of which both have a value."""
    ours, theirs = measure.aggregate(run), measure.aggregate(baseline)
    if not (isinstance(ours, Mean) and isinstance(theirs, Mean)):
        raise InputError(
            f"{measure.name} is not a mean over images, so a ratio has no meaning; require a difference instead"
        )
    return ours.over(theirs)


def is_met(outcomes: Sequence[Outcome], *, undecided: Undecided = "fail") -> bool:
    """Whether the gate opens: nothing fails, and nothing is undecided unless that may pass.

    Raises:
        InputError: ``undecided`` is neither ``fail`` nor ``pass``.
    """
    if undecided not in get_args(Undecided):
        raise InputError(f"undecided must be fail or pass, got {undecided!r}")
    return all(outcome.verdict == "pass" or (outcome.verdict == UNTOLD and undecided == "pass") for outcome in outcomes)
