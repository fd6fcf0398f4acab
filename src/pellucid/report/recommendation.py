"""Which network to take, at what cost, and how sure that is: computed from the rows, where a tie is never a win."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.report.contrasts import FEWEST, Contrasts, Summaries, spoken_of
from pellucid.report.measures import spoken_saliency, written
from pellucid.report.training import seconds_per_step
from pellucid.report.verdict import listed, with_unit
from pellucid.runs.evaluated import Run
from pellucid.runs.masking import attack_caveats
from pellucid.runs.measures import Measure
from pellucid.statistics import Interval

__all__ = ["DECIDING", "RANDOM_GINI", "Contest", "Recommendation", "contests", "recommend"]

MOST_TOLD = 3
"""Networks of a tie that are told by name."""

WORTH_TELLING = 0.25
"""Share of the leader's gain over the baseline that a cheaper network must keep in order to be offered beside it."""

DECIDING = ("mass", "gini")
"""What chooses a network for its maps, the first that was measured of all: where the truth is known, the map's share
on it; otherwise the measure that went most closely with that share where it was known (results/truth-measures.md)."""

RANDOM_GINI = 1 / 3
"""The Gini index of a map of independent uniform random numbers: their mean difference, 1/3, over twice their mean."""


@dataclass(frozen=True)
class Contest:
    """One question, and how every run does in it against every other.

    Attributes:
        measure: what answers it.
        question: in words.
        best: the runs in the lead, the one with the best number first: no run that was measured can be told from the
            first to be better, and the others cannot be told apart from it. Empty where nobody leads.
        signs: for each run and each other 1 where it is better, -1 where it is worse, and 0 where they cannot be told
            apart, or one was not measured.
        nobody: why nobody leads; empty where somebody does.
        all_level: whether no two of the runs can be told apart.
    """

    measure: Measure
    question: str
    best: list[str]
    signs: list[list[int]]
    nobody: str = ""
    all_level: bool = False


@dataclass(frozen=True)
class Recommendation:
    """What to take for one purpose.

    Attributes:
        purpose: such as ``For maps you can act on``.
        runs: the one to take; of several none can be told apart from the first. Empty where nothing is recommended.
        why: what speaks for it, a sentence.
        cost: what it costs against the baseline, a sentence; empty where nothing is recommended.
        sure: how sure that is, a sentence.
        verdict: ``clear``, ``tie`` or ``none``.
        cheaper: what to take where that costs too much accuracy, a sentence; empty where there is nothing.
    """

    purpose: str
    runs: list[str]
    why: str
    cost: str
    sure: str
    verdict: str
    cheaper: str = ""


def contests(runs: Sequence[Run], summaries: Summaries, contrasted: Contrasts) -> list[Contest]:
    """How the runs stand in each question that may choose one.

    Args:
        runs: runs that may be compared.
        summaries: `summarise` of each by name.
        contrasted: what `pellucid.report.contrasts.contrasts` returned.
    """
    found = []
    for measure in spoken_of(runs):
        having = [run.name for run in runs if _value(summaries, run.name, measure) is not None]
        if len(having) < 2 or not measure.sign:
            continue
        signs = [[_sign(contrasted, measure, run.name, other.name) for other in runs] for run in runs]
        order = sorted(having, key=lambda name: -measure.sign * summaries[name][measure.name].mean)
        best = [order[0], *(name for name in order[1:] if not _told(contrasted, measure, order[0], name))]
        nobody = _nobody(runs, summaries, measure, order[0])
        level = not any(sign for row in signs for sign in row)
        found.append(Contest(measure, measure.column.contest, [] if nobody else best, signs, nobody, level))
    return found


def recommend(
    runs: Sequence[Run], summaries: Summaries, contrasted: Contrasts, baseline: Run, found: Sequence[Contest]
) -> list[Recommendation]:
    """What to take for maps, under attack, and for predictions alone; each as far as it was measured.

    Args:
        runs: runs that may be compared.
        summaries: `summarise` of each by name.
        contrasted: what `pellucid.report.contrasts.contrasts` returned.
        baseline: what costs are told against.
        found: what `contests` returned.
    """
    of = {contest.measure.own_name: contest for contest in found}
    deciding = next((of[name] for name in DECIDING if name in of), None)
    purposes = [
        ("For maps you can act on", deciding),
        ("Under attack", of.get("robust_accuracy")),
        ("For predictions alone", of.get("clean_accuracy")),
    ]
    return [
        _recommended(purpose, contest, runs, summaries, contrasted, baseline, of.get("clean_accuracy"))
        for purpose, contest in purposes
        if contest is not None
    ]


def _recommended(
    purpose: str,
    contest: Contest,
    runs: Sequence[Run],
    summaries: Summaries,
    contrasted: Contrasts,
    baseline: Run,
    accuracy: Contest | None,
) -> Recommendation:
    measure, images = contest.measure, runs[0].rows.num_rows
    if images < FEWEST:
        are = "images are" if images > 1 else "image is"
        few = f"{images} {are} too few to recommend a network; measure {FEWEST} or more."
        return Recommendation(purpose, [], few, "", "", "none")
    if contest.nobody:
        return Recommendation(purpose, [], contest.nobody, "", "", "none")
    first = contest.best[0]
    if contest.all_level:
        return Recommendation(purpose, [], _all_level(contest, contrasted, images), "", "", "none")
    why = _why(contest, summaries, baseline)
    if measure.own_name == "robust_accuracy" and attack_caveats(next(run for run in runs if run.name == first)):
        why += " The attack may have been too weak; read the warnings below."
    tied = len(contest.best) > 1
    cost = " ".join(_cost(name, runs, contrasted, baseline, accuracy) for name in contest.best[:MOST_TOLD])
    sure = _tied(contest, contrasted) if tied else _clear(contest, runs, contrasted)
    cheaper = "" if accuracy in (None, contest) else _cheaper(contest, runs, summaries, contrasted, baseline, accuracy)
    return Recommendation(purpose, contest.best, why, cost, sure, "tie" if tied else "clear", cheaper)


def _why(contest: Contest, summaries: Summaries, baseline: Run) -> str:
    """The numbers of those in the lead, and beside them the baseline's and that of a map that knows nothing."""
    measure = contest.measure
    first, *others = contest.best[:MOST_TOLD]
    told = {name: _short(summaries[name][measure.name], measure) for name in (first, *others, baseline.name)}
    _, low, high = _digits(summaries[first][measure.name], measure)
    value = f"{told[first]} [{low}, {high}]"
    beside = [f"{name} has {told[name]}" for name in dict.fromkeys((*others, baseline.name)) if name != first]
    match measure.own_name:
        case "gini":
            kind = spoken_saliency(measure.saliency) if measure.saliency else "saliency"
            said = f"The {kind} maps of {first} are the most concentrated: Gini index {value}"
            beside.append(f"a map of random numbers has {RANDOM_GINI:.2f}")
        case "mass":
            said = f"{value} of what the maps of {first} mark lies on what decides the class"
            chance = summaries[baseline.name].get("mass_chance")
            if chance is not None and chance.n:
                beside.append(f"a map that knows nothing has {100 * chance.mean:.0f} %")
        case "robust_accuracy":
            said = f"{first} names {value} of the pictures correctly{_attack(measure)}"
        case _:
            said = f"{first} names {value} of the pictures correctly"
    return f"{said}; {listed(beside)}." if beside else f"{said}."


def _attack(measure: Measure) -> str:
    """How far an attack goes, where the rows say so."""
    settings = measure.column.parameters
    if settings.get("norm") != "linf" or "eps" not in settings:
        return " under attack"
    return f" although an attacker changes every pixel by up to {100 * settings['eps']:.3g} % of its range"


def _digits(interval: Interval, measure: Measure) -> tuple[str, str, str]:
    """Mean, low and high as `written` has them, but with three digits at most: nobody chooses by the fourth."""
    mean, low, high = written(interval, measure)
    if len(mean.replace("−", "").replace(".", "").lstrip("0")) <= 3 or mean == "–":
        return mean, low, high
    scaled = [value * measure.scale for value in (interval.mean, interval.low, interval.high)]
    decimals = max(0, 2 - math.floor(math.log10(max(abs(scaled[0]), 1e-12))))
    first, second, third = (f"{value:.{decimals}f}".replace("-", "−") for value in scaled)
    return first, second, third


def _short(interval: Interval, measure: Measure) -> str:
    return f"{_digits(interval, measure)[0]} {measure.unit}".rstrip()


def _cost(name: str, runs: Sequence[Run], contrasted: Contrasts, baseline: Run, accuracy: Contest | None) -> str:
    """Accuracy and training time of one network against the baseline."""
    if name == baseline.name:
        return f"{name} is the baseline and costs nothing extra."
    time = _time(name, runs, baseline)
    test = contrasted.get((accuracy.measure.name, name, baseline.name)) if accuracy is not None else None
    if test is None or accuracy is None:
        return f"{name} takes {time} of {baseline.name}." if time else ""
    mean, *_ = written(test.difference, accuracy.measure)
    decimals = len(mean.partition(".")[2])
    low, high = (
        f"{value * accuracy.measure.scale:.{decimals}f}".replace("-", "−")
        for value in (test.difference.low, test.difference.high)
    )
    also = f" and takes {time}" if time else ""
    # What it costs is not hidden by the correction for many comparisons: the interval of this one decides.
    if not test.difference.excludes(0.0):
        between = f"{_signed(mean)} points [{_signed(low)}, {_signed(high)}]"
        return f"{name} shows no loss of accuracy against {baseline.name} ({between}){also}."
    if test.difference.mean > 0:
        return f"{name} is {mean} points more accurate than {baseline.name} [{low}, {high}]{also}."
    # The loss is the difference turned round, so that a reader meets no minus sign.
    lost, least, most = (text.removeprefix("−") for text in (mean, high, low))
    return f"{name} loses {lost} points of accuracy [{least}, {most}] against {baseline.name}{also}."


def _signed(text: str) -> str:
    return text if text[0] in "−–" else f"+{text}"


def _time(name: str, runs: Sequence[Run], baseline: Run) -> str:
    run = next(one for one in runs if one.name == name)
    if run.is_as_given or baseline.is_as_given or not len(run.training["step"]) or not len(baseline.training["step"]):
        return ""
    factor = seconds_per_step(run) / seconds_per_step(baseline)
    return f"{factor:.1f} times the training time" if factor >= 1.05 else ""


def _clear(contest: Contest, runs: Sequence[Run], contrasted: Contrasts) -> str:
    first, measure = contest.best[0], contest.measure
    rivals = {other.name: contrasted.get((measure.name, first, other.name)) for other in runs if other.name != first}
    against = {name: test for name, test in rivals.items() if test is not None}
    name, test = max(against.items(), key=lambda item: (item[1].p, -abs(item[1].difference.mean)))
    told = f"can be told apart from {'each of the other ' + str(len(against)) if len(against) > 1 else name}"
    smallest = f"Even the smallest of these differences, from {name}," if len(against) > 1 else "Such a difference"
    chance = f"{smallest} would arise by chance alone in {_p(test.p)}."
    return f"{first} {told} by {_in_words(measure)} on the same {test.difference.n:,} images. {chance}"


def _p(p: float) -> str:
    """A p-value as a share of cases, with two digits.

    >>> _p(0.0001), _p(0.0123)
    ('fewer than 0.1 % of cases (p < 0.001)', '1.2 % of cases (p = 0.012)')
    """
    if p < 0.001:
        return "fewer than 0.1 % of cases (p < 0.001)"
    return f"{100 * p:.2g} % of cases (p = {p:.2g})"


def _tied(contest: Contest, contrasted: Contrasts) -> str:
    first, *others = contest.best
    found = contrasted[contest.measure.name, first, others[0]]
    names = listed([first, *others]) if len(others) < MOST_TOLD else f"{first} and {len(others)} others"
    said = f"{names} cannot be told apart with {found.difference.n:,} images"
    if not found.difference.low <= 0 <= found.difference.high:
        said += ", given how many pairs are compared (Holm’s correction)"
    if found.images_needed is None:
        return f"{said}; their numbers are so alike that more images would hardly help."
    which = f" to tell {first} from {others[0]}" if len(others) > 1 else " to tell them apart"
    return f"{said}; about {_rounded(found.images_needed)} would be needed{which}."


def _all_level(contest: Contest, contrasted: Contrasts, images: int) -> str:
    """What is said where no two networks can be told apart."""
    measure = contest.measure
    needed = [
        test.images_needed
        for (name, _, _), test in contrasted.items()
        if name == measure.name and test.images_needed is not None
    ]
    said = f"These networks cannot be told apart by {_in_words(measure)} with {images:,} images"
    if not needed:
        return f"{said}; their numbers are so alike that more images would hardly help."
    return f"{said}; about {_rounded(min(needed))} would be needed to tell any two of them apart."


def _in_words(measure: Measure) -> str:
    return {"gini": "how concentrated their maps are", "mass": "where their maps lie"}.get(
        measure.own_name, measure.title[0].lower() + measure.title[1:]
    )


def _rounded(count: int) -> str:
    """A number of images with two digits, rounded up.

    >>> _rounded(387), _rounded(12), _rounded(14801)
    ('390', '12', '15,000')
    """
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // step) * step:,}"


def _cheaper(
    contest: Contest, runs: Sequence[Run], summaries: Summaries, contrasted: Contrasts, baseline: Run, accuracy: Contest
) -> str:
    """The best of the networks that keep a good part of the gain without a loss of accuracy that shows."""
    measure = contest.measure
    paid = contrasted.get((accuracy.measure.name, contest.best[0], baseline.name))
    if paid is None or paid.difference.high >= 0:
        return ""
    names = [run.name for run in runs]
    place = names.index(baseline.name)
    free = [
        name
        for name, row in zip(names, contest.signs, strict=True)
        if row[place] > 0
        and name not in contest.best
        and (kept := contrasted.get((accuracy.measure.name, name, baseline.name))) is not None
        and kept.difference.high >= 0
    ]
    if not free:
        return ""
    best = max(free, key=lambda name: measure.sign * summaries[name][measure.name].mean)
    means = {name: summaries[name][measure.name].mean for name in (best, contest.best[0], baseline.name)}
    whole = means[contest.best[0]] - means[baseline.name]
    if (means[best] - means[baseline.name]) / whole < WORTH_TELLING:
        return ""
    value = f"{measure.title} {_short(summaries[best][measure.name], measure)}"
    return f"If that is too much, take {best} ({value}), which shows no loss of accuracy."


def _nobody(runs: Sequence[Run], summaries: Summaries, measure: Measure, first: str) -> str:
    """Why nobody leads although all were measured."""
    best = summaries[first][measure.name]
    if measure.own_name == "robust_accuracy":
        guess = 1 / len(runs[0].info["classes"]) if runs[0].task == "multiclass" else 0.0
        if best.mean == 0:
            return "No network holds out: under this attack none names a single picture correctly."
        if best.mean <= guess:
            return (
                f"No network holds out: under this attack the best names {with_unit(best, measure)} of the pictures "
                "correctly, no more than guessing would."
            )
    return ""


def _value(summaries: Summaries, name: str, measure: Measure) -> float | None:
    interval = summaries[name].get(measure.name)
    return interval.mean if interval is not None and interval.n else None


def _told(contrasted: Contrasts, measure: Measure, run: str, other: str) -> bool:
    test = contrasted.get((measure.name, run, other))
    return test is not None and test.tells


def _sign(contrasted: Contrasts, measure: Measure, run: str, other: str) -> int:
    if run == other or not _told(contrasted, measure, run, other):
        return 0
    return 1 if (contrasted[measure.name, run, other].difference.mean > 0) == (measure.sign > 0) else -1
