"""What the numbers say in plain words: who is best at what, what cannot be told apart, what was gained and paid."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from pellucid.metrics.survival import Survival
from pellucid.report.measures import saliency_title, written
from pellucid.runs.directory import Run
from pellucid.runs.measures import Measure, measures_of
from pellucid.statistics import Interval
from pellucid.statistics.comparison import holm

__all__ = [
    "Answer",
    "Change",
    "Standing",
    "amount",
    "answers",
    "bargain",
    "baseline_of",
    "changes",
    "headline",
    "p_value",
    "sanity",
    "standings",
    "with_unit",
]

ALPHA = 0.05
"""Two runs are told apart where the corrected p-value lies below."""

Summaries = Mapping[str, Mapping[str, Interval]]


@dataclass(frozen=True)
class Standing:
    """Where one run stands in one metric.

    Attributes:
        rank: ``best``, ``level`` (cannot be told apart from the best), or empty.
        change: against the baseline: ``better``, ``worse``, ``level`` (cannot be told apart), or empty for the baseline
            itself and for metrics without a better direction.
        difference: this run minus the baseline, paired over images; None for the baseline.
        p: Holm-corrected p-value of that difference; None for the baseline.
    """

    rank: str
    change: str
    difference: Interval | None
    p: float | None = None


_NOWHERE = Standing("", "", None)


@dataclass(frozen=True)
class Answer:
    """The best run for one question of the verdict; ``value`` is written with interval and unit."""

    question: str
    measure: Measure
    best: str
    value: str
    level: list[str]
    against: str


@dataclass(frozen=True)
class Change:
    """What one run gained and paid against the baseline; each part names a metric and by how much."""

    run: str
    better: list[str]
    worse: list[str]
    level: list[str]


def baseline_of(runs: Sequence[Run]) -> Run:
    """The first run trained in the regular way on the network as it is; where there is none, the first."""
    plain = [run for run in runs if run.method == "Regular" and run.activation is None and run.smoothing is None]
    return (plain or list(runs))[0]


def standings(runs: Sequence[Run], summaries: Summaries, baseline: Run) -> dict[tuple[str, str], Standing]:
    """Standing of every (run, metric); two runs are told apart where the corrected p-value is below 0.05.

    Every run is compared with the baseline and with the best, paired over the images. All comparisons in the metrics
    that the verdict speaks of are corrected together (Holm); those in any other metric among themselves.

    Args:
        runs: runs that may be compared.
        summaries: `summarise` of each by name.
        baseline: one of them.
    """
    measures = measures_of(runs)
    having = {measure: [run for run in runs if _is_measured(run, measure, summaries)] for measure in measures}
    best = {measure: _best(having[measure], summaries, measure) for measure in measures}
    differences: dict[tuple[str, str, str], Interval] = {}
    for measure, measured in having.items():
        for run in measured:
            for other in (baseline, best[measure]):
                if other in measured and other is not None and other is not run:
                    differences[measure.name, run.name, other.name] = measure.difference(run, other)
    corrected = _corrected(differences, [measure.name for measure in _spoken_of(runs)])
    standing = {}
    for measure, measured in having.items():
        leader = best[measure]
        for run in measured:
            rank = "best" if run is leader else ""
            if leader is not None and run is not leader:
                rank = "" if corrected[measure.name, run.name, leader.name] < ALPHA else "level"
            key = (measure.name, run.name, baseline.name)
            against, p = differences.get(key), corrected.get(key)
            standing[run.name, measure.name] = Standing(rank, _change(against, p, measure.sign), against, p)
    return standing


def _is_measured(run: Run, measure: Measure, summaries: Summaries) -> bool:
    return measure.name in summaries[run.name] and summaries[run.name][measure.name].n > 0


def p_value(difference: Interval, *, confidence: float = 0.95) -> float:
    """Two-sided p-value of the hypothesis that the true difference is 0, from the difference's interval.

    The half of the interval that points to 0 gives the standard error, so that p is below ``1 - confidence`` exactly
    where the interval excludes 0.

    Args:
        difference: a difference with its interval, paired over the images.
        confidence: that of the interval, in (0, 1).

    Returns:
        p in [0, 1]; 1 for fewer than two images, which tell nothing about others.

    >>> round(p_value(Interval(2.0, 0.0, 4.0, 100)), 3), round(p_value(Interval(-3.0, -4.5, -1.5, 100)), 5)
    (0.05, 9e-05)

    Source: Altman and Bland 2011, "How to obtain the P value from a confidence interval", BMJ 343:d2304.
    """
    if difference.n < 2 or difference.mean == 0 or math.isnan(difference.mean):
        return 1.0
    half = difference.mean - difference.low if difference.mean > 0 else difference.high - difference.mean
    if half <= 0:
        return 0.0
    return float(2 * ndtr(-abs(difference.mean) / half * ndtri(0.5 + confidence / 2)))


def _best(having: Sequence[Run], summaries: Summaries, measure: Measure) -> Run | None:
    """The run with the best mean; None where there is no better, or it cannot be decided."""
    decided = all(_is_decided(summaries[run.name][measure.name], measure) for run in having)
    if not measure.sign or not decided or len(having) < 2:
        return None
    return max(having, key=lambda run: measure.sign * summaries[run.name][measure.name].mean)


def _corrected(
    differences: Mapping[tuple[str, str, str], Interval], spoken: Sequence[str]
) -> dict[tuple[str, str, str], float]:
    """Holm's p-values; a difference that was asked for from both sides is one test."""
    families: dict[str, dict[tuple[str, frozenset[str]], float]] = {}
    for (name, run, other), interval in differences.items():
        family = families.setdefault("" if name in spoken else name, {})
        family[name, frozenset((run, other))] = p_value(interval)
    tests: dict[tuple[str, frozenset[str]], float] = {}
    for family in families.values():
        tests |= zip(family, holm(list(family.values())).tolist(), strict=True)
    return {(name, run, other): tests[name, frozenset((run, other))] for name, run, other in differences}


def answers(
    runs: Sequence[Run], summaries: Summaries, standing: Mapping[tuple[str, str], Standing], baseline: Run
) -> list[Answer]:
    """The best run for each question, from the vanilla gradient's maps (the first measured, where there are none)."""
    answered = []
    for measure in _spoken_of(runs):
        ranks = {run.name: standing.get((run.name, measure.name), _NOWHERE).rank for run in runs}
        best = next((name for name, rank in ranks.items() if rank == "best"), None)
        if best is None:
            continue  # nobody was measured, or only one run
        level = [name for name, rank in ranks.items() if rank == "level"]
        interval, ours = summaries[best][measure.name], standing[best, measure.name]
        against = amount(interval, summaries[baseline.name].get(measure.name), ours.difference, measure)
        note = f"{against} {_than(against)} {baseline.name}" if against and ours.change != "level" else ""
        value = with_unit(interval, measure)
        answered.append(Answer(measure.column.contest, measure, best, value, level, note))
    return answered


def changes(
    runs: Sequence[Run], summaries: Summaries, standing: Mapping[tuple[str, str], Standing], baseline: Run
) -> list[Change]:
    """What each run but the baseline gained, paid and kept, in the metrics that `answers` are about."""
    changed = []
    for run in runs:
        if run is baseline:
            continue
        lists: dict[str, list[str]] = {"better": [], "worse": [], "level": []}
        for measure in _spoken_of(runs):
            ours = standing.get((run.name, measure.name), _NOWHERE)
            if ours.change:
                value, of_baseline = (summaries[name].get(measure.name) for name in (run.name, baseline.name))
                by = amount(value, of_baseline, ours.difference, measure)
                lists[ours.change].append(measure.title if ours.change == "level" else f"{measure.title} {by}")
        changed.append(Change(run.name, lists["better"], lists["worse"], lists["level"]))
    return changed


def headline(answered: Sequence[Answer]) -> str:
    """One sentence: does one run win everywhere?

    >>> gini, ris = Measure.named("gini"), Measure.named("ris")
    >>> headline([Answer("Q?", gini, "a", "1", [], ""), Answer("R?", ris, "b", "1", ["a"], "")])
    'a is best, or cannot be told apart from the best, in every question asked here.'
    """
    if not answered:
        return "There is nothing to compare: only one run was given."
    names = dict.fromkeys(name for answer in answered for name in (answer.best, *answer.level))
    everywhere = [name for name in names if all(name in (answer.best, *answer.level) for answer in answered)]
    if everywhere:
        verb = "is" if len(everywhere) == 1 else "are"
        return (
            f"{_listed(everywhere)} {verb} best, or cannot be told apart from the best, in every question asked here."
        )
    counts = {name: sum(name in (answer.best, *answer.level) for answer in answered) for name in names}
    most = max(counts.values())
    leaders = [name for name in names if counts[name] == most]
    verb = "is" if len(leaders) == 1 else "are each"
    return (
        f"No network is best at everything. {_listed(leaders)} {verb} best, or cannot be told apart from the best, "
        f"in {most} of {len(answered)} questions."
    )


def sanity(survived: Mapping[str, Mapping[str, Survival]]) -> list[str]:
    """Which runs' maps fail their sanity check, a sentence for the saliency methods of which the same is said.

    Args:
        survived: for each run's name what `pellucid.report.caveats.survivals` says.
    """
    methods: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for method in dict.fromkeys(method for survival in survived.values() for method in survival):
        verdicts = tuple((name, survival[method].verdict) for name, survival in survived.items() if method in survival)
        methods.setdefault(verdicts, []).append(saliency_title(method))
    return [_sane(_listed(titles), dict(verdicts)) for verdicts, titles in methods.items()]


def _sane(titles: str, verdicts: Mapping[str, str]) -> str:
    def names(kind: str) -> str:
        having = [name for name, verdict in verdicts.items() if verdict == kind]
        return "every network" if len(having) == len(verdicts) > 1 else _listed(having) if having else ""

    failed, passed, unclear = names("survives"), names("falls"), names("unclear")
    said = []
    if failed:
        said.append(
            f"{titles} maps of {failed} fail the sanity check: they stay much the same when all layers of the network "
            "are random, so they show the pictures more than what was learned."
        )
        said += [f"Those of {passed} pass."] if passed else []
    elif passed:
        said.append(f"{titles} maps of {passed} pass the sanity check: they change when the layers are random.")
    if unclear:
        said.append(f"Whether {titles} maps of {unclear} pass it, these pictures are too few to tell.")
    return " ".join(said)


def bargain(
    runs: Sequence[Run], summaries: Summaries, standing: Mapping[tuple[str, str], Standing], baseline: Run
) -> str:
    """What the lowest LeRF was paid with in accuracy, in one sentence; empty where the baseline has it."""
    spoken = {measure.own_name: measure for measure in _spoken_of(runs)}
    if not {"aopc_lerf", "clean_accuracy"} <= spoken.keys():
        return ""
    lerf, accuracy = spoken["aopc_lerf"], spoken["clean_accuracy"]
    best = next(
        (run.name for run in runs if standing.get((run.name, lerf.name), _NOWHERE).rank == "best"), baseline.name
    )
    gain, price = (standing.get((best, measure.name), _NOWHERE) for measure in (lerf, accuracy))
    if gain.change != "better":
        return ""
    by, accuracy_by = (
        amount(summaries[best][measure.name], summaries[baseline.name][measure.name], where.difference, measure)
        for measure, where in ((lerf, gain), (accuracy, price))
    )
    paid = {"worse": f"paid for with accuracy: {accuracy_by}", "better": f"with better accuracy: {accuracy_by}"}
    return (
        f"What the maps of {best} call irrelevant matters least: LeRF is {by} {_than(by)} that of {baseline.name}, "
        f"{paid.get(price.change, 'without a difference in accuracy that could be told apart')}."
    )


def _than(by: str) -> str:
    return "than" if "times" in by else "against"


def amount(ours: Interval | None, theirs: Interval | None, against: Interval | None, measure: Measure) -> str:
    """How far ``ours`` lies from ``theirs``: a factor where it is 2 or more, otherwise the paired difference.

    >>> ours, theirs = Interval(2.0, 1.9, 2.1, 9), Interval(40.0, 39.0, 41.0, 9)
    >>> amount(ours, theirs, Interval(-38.0, -39.0, -37.0, 9), Measure.named("ris"))
    '20 times lower'
    """
    if ours is None or theirs is None or against is None:
        return ""
    if measure.unit != "%" and min(ours.mean, theirs.mean) > 0:
        factor = max(ours.mean / theirs.mean, theirs.mean / ours.mean)
        if factor >= 2:
            digits = f"{factor:.1f}" if factor < 10 else f"{round(factor, 1 - math.floor(math.log10(factor))):.0f}"
            return f"{digits} times {'higher' if ours.mean > theirs.mean else 'lower'}"
    mean, low, high = ((text if text[0] in "−–" else f"+{text}") for text in written(against, measure))
    unit = {"%": " points"}.get(measure.unit, f" {measure.unit}").rstrip()
    return f"{mean}{unit} [{low}, {high}]"


def with_unit(interval: Interval, measure: Measure) -> str:
    """An interval as in a sentence, such as ``86.1 % [84.0, 88.2]``."""
    mean, low, high = written(interval, measure)
    return f"{mean} {measure.unit}".rstrip() + f" [{low}, {high}]"


def _is_decided(interval: Interval, measure: Measure) -> bool:
    """False for a ratio whose denominator is nearly 0: it may lie anywhere within decades, so nobody is best."""
    return measure.column.aggregate != "ratio of means" or 0 < interval.high <= 10 * interval.low


def _change(against: Interval | None, p: float | None, sign: int) -> str:
    if against is None or p is None or not sign:
        return ""
    if p >= ALPHA:
        return "level"
    return "better" if (against.mean > 0) == (sign > 0) else "worse"


def _spoken_of(runs: Sequence[Run]) -> list[Measure]:
    """Measures with a contest, of the network and of the first saliency method that was measured."""
    spoken = (None, *runs[0].saliency_methods[:1])
    return [measure for measure in measures_of(runs) if measure.column.contest and measure.saliency in spoken]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
