"""The results in words: numbers as papers write them, and the sentences of the findings."""

import math

from pellucid.statistics import Interval
from pellucid.study.results import Analysis, Pair, Result

__all__ = ["headline", "interval", "label", "methods", "p_value", "pair_sentence", "result_sentence", "signed"]


def label(name: str) -> str:
    """The name of a question as a title.

    >>> label("guess_prediction")
    'Guess prediction'
    """
    return name.replace("_", " ").capitalize()


def p_value(p: float) -> str:
    """A p-value as papers write it.

    >>> p_value(0.00002), p_value(0.0314), p_value(0.999)
    ('< 0.001', '0.031', '0.999')
    """
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{min(p, 0.999) if p < 1 else 1:.3f}"


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(0.5), signed(-0.25), signed(0.001)
    ('+0.50', '−0.25', '0.00')
    """
    if math.isnan(value):
        return "–"
    text = f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "−")


def interval(estimate: Interval, *, sign: bool = False) -> str:
    """An estimate with its interval.

    >>> interval(Interval(0.5, 0.25, 0.75, 9), sign=True)
    '+0.50 [+0.25, +0.75]'
    """
    if math.isnan(estimate.mean):
        return "–"
    mean, low, high = (
        signed(value) if sign else f"{value:.2f}" for value in (estimate.mean, estimate.low, estimate.high)
    )
    return f"{mean} [{low}, {high}]"


MORE = {
    "likert": ("was rated higher than", "was rated lower than", "points"),
    "choice": ("was chosen more often than", "was chosen less often than", "of all choices"),
    "guess": ("was guessed right more often than", "was guessed right less often than", "of all guesses"),
}
"""By kind of question: how a condition that is above or below another is spoken of, and the unit of a difference."""


def pair_sentence(result: Result, pair: Pair, *, kind: str = "likert") -> str:
    """What was found about two conditions, with what a paper reports; ``kind`` is that of the question."""
    above, below, unit = MORE[kind]
    size = f"shift {interval(pair.shift, sign=True)} {unit}, rank-biserial r {interval(pair.effect, sign=True)}"
    p = f"p {_equals(pair.corrected_p)}"
    if result.found(pair):
        # The sign of the ranks decided the test; the shift may round to 0.
        sentence = f"{pair.condition} {above if pair.effect.mean > 0 else below} {pair.against} ({size}, {p})"
    elif result.w is not None and not result.corrected_p < result.alpha:
        # A small p of the pair would look like a finding beside this sentence; the table has it.
        sentence = f"{pair.condition} minus {pair.against}: {size}"
    else:
        sentence = f"No difference was found between {pair.condition} and {pair.against} ({size}, {p})"
        if pair.shift.excludes(0.0):
            sentence += (
                "; the interval leaves out 0, but it is not corrected for the number of tests, as the p-value is"
            )
    if pair.bound is None or pair.equivalence_p is None:
        return sentence
    small = f"smaller than ±{pair.bound:g} {unit} (equivalence test, p {_equals(pair.equivalence_p)})"
    if pair.equivalence_p < result.alpha:
        return f"{sentence}. Any difference is {small}"
    return f"{sentence}. The difference was not shown to be {small}"


def result_sentence(result: Result) -> str:
    """What the question's own test found; empty for two conditions, whose test is the pair's."""
    if result.w is None:
        return ""
    df = len({name for pair in result.pairs for name in (pair.condition, pair.against)}) - 1
    found = result.corrected_p < result.alpha
    told = "The conditions differ" if found else "No difference was found"
    after = "" if found else " No two conditions are therefore said to differ; these lines only describe them."
    return (
        f"{told}: Friedman χ²({df}) = {result.statistic:.2f}, p {_equals(result.corrected_p)}, "
        f"Kendall’s W {interval(result.w)}, n = {result.n}.{after}"
    )


def headline(analysis: Analysis) -> str:
    """One sentence on what the planned tests found."""
    registered = [result for result in analysis.results if result.registered]
    if not registered:
        return "No planned test was made."
    differing = [result.question for result in registered if result.corrected_p < result.alpha]
    count, names = len(registered), ", ".join(differing)
    if not differing:
        none = "The one planned test finds no" if count == 1 else f"None of the {count} planned tests finds a"
        return f"{none} difference between the conditions."
    if len(differing) == count:
        every = {1: "The one planned test finds", 2: "Both planned tests find"}
        return f"{every.get(count, f'All {count} planned tests find')} a difference between the conditions ({names})."
    verb = "finds" if len(differing) == 1 else "find"
    return f"{len(differing)} of {count} planned tests {verb} a difference between the conditions: {names}."


def methods(analysis: Analysis) -> str:
    """A paragraph for the methods section of a paper: what was done, in the order in which it was done."""
    study, flow = analysis.study, analysis.flow
    count = len(study.conditions)
    rules = "; ".join(f"{step.words} ({step.excluded})" for step in flow.steps)
    crossing = {
        "rotated": "saw each image under one condition, rotated over participants",
        "full": "saw each image under every condition",
    }[study.crossing]
    who = f"{flow.began} synthetic raters, not people, answered" if analysis.synthetic else f"{flow.began} people began"
    withdrew = f" ({flow.withdrawn} more withdrew and were deleted)" if flow.withdrawn else ""
    parts = [
        f"{who}{withdrew}; {len(flow.kept)} were analysed. Rules of exclusion in their order, with how many each left "
        f"out: {rules}. Each participant {crossing} ({count} conditions, {study.images} images). The participant is "
        "the unit of every test: answers were averaged over images within participant and condition."
    ]
    if any(result.w is not None for result in analysis.results):
        permuted = " (p from 9 999 permutations)" if any(result.permuted for result in analysis.results) else ""
        parts.append(
            f"Conditions were compared by Friedman’s test{permuted} with Kendall’s W, the p-values of the questions "
            "corrected together by Holm’s method, then every two by Wilcoxon’s signed-rank test, corrected by Holm’s "
            "method within the question; a pair counts as different only where the question’s own test finds a "
            "difference too."
        )
    elif analysis.results:
        parts.append(
            "Conditions were compared by Wilcoxon’s signed-rank test, the p-values of the questions corrected together "
            "by Holm’s method."
        )
    if analysis.results:
        parts.append(
            "Zero differences were ranked as by Pratt, and p-values of the signed-rank test are exact (Streitberg and "
            "Röhmel). Effects are the Hodges–Lehmann shift in points of the scale and the matched-pairs rank-biserial "
            f"correlation, with 95 % percentile bootstrap intervals over participants ({analysis.resamples} resamples)."
            " As a sensitivity analysis, intervals of the mean difference resample participants and images together."
        )
    if any(pair.bound is not None for result in analysis.results for pair in result.pairs):
        parts.append("Equivalence was tested by two one-sided signed-rank tests, corrected together by Holm’s method.")
    return " ".join(parts)


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
