"""The results of an analysis as plain data: who was analysed, what was tested, what came out."""

from dataclasses import dataclass

from pellucid.statistics import Interval
from pellucid.study.design import Study
from pellucid.study.exclusion import Flow

__all__ = ["Agreement", "Analysis", "Covariate", "Description", "Pair", "Result"]


@dataclass(frozen=True)
class Pair:
    """Two conditions held against each other in one question.

    Attributes:
        condition: the one; all differences are its answers minus those of ``against``.
        against: the other, which comes before it in the study's conditions.
        n: participants who rated both.
        zeros: participants whose mean is the same in both.
        statistic: sum of the ranks of the positive differences.
        p: exact p-value of the signed-rank test.
        corrected_p: after Holm's correction, over pairs of three or more conditions, over questions of two.
        shift: Hodges-Lehmann estimate in points of the scale.
        effect: matched-pairs rank-biserial correlation in [-1, 1].
        difference: mean difference in points.
        two_way: the same with an interval over people and images (sensitivity).
        bound: of the equivalence test; None where none was asked for.
        equivalence_p: of the equivalence test, corrected over all that were made together; None without a bound.
    """

    condition: str
    against: str
    n: int
    zeros: int
    statistic: float
    p: float
    corrected_p: float
    shift: Interval
    effect: Interval
    difference: Interval
    two_way: Interval
    bound: float | None = None
    equivalence_p: float | None = None


@dataclass(frozen=True)
class Result:
    """One test of one question.

    Attributes:
        question: its name.
        test: ``wilcoxon`` or ``friedman``.
        registered: False for a test that was added to the plan.
        alpha: its level.
        n: participants who rated every condition.
        statistic: sum of positive ranks, or Friedman's chi-squared.
        p: of the test alone.
        corrected_p: Holm's, over the questions whose tests were planned (or added) together.
        w: Kendall's W with its interval; None for two conditions, whose effect size is the pair's.
        permuted: True if Friedman's p is that of permutations.
        pairs: every two conditions.
    """

    question: str
    test: str
    registered: bool
    alpha: float
    n: int
    statistic: float
    p: float
    corrected_p: float
    w: Interval | None
    permuted: bool
    pairs: tuple[Pair, ...]

    def found(self, pair: Pair) -> bool:
        """Whether the pair differs at the registered level: the question's own test must find a difference too."""
        return self.corrected_p < self.alpha and pair.corrected_p < self.alpha


@dataclass(frozen=True)
class Description:
    """The answers to one question under one condition.

    Attributes:
        question: its name.
        condition: its name.
        subset: ``all``, or ``right`` or ``wrong`` for answers about such predictions of the network alone.
        n: participants.
        answers: number of single answers.
        mean: over participants, of their means over images.
        spread: standard deviation over participants.
        median: over participants.
        shares: of the single answers on each point of the scale, lowest first; empty for other kinds of question.
    """

    question: str
    condition: str
    subset: str
    n: int
    answers: int
    mean: Interval
    spread: float
    median: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Agreement:
    """How much participants agree about the pictures, in one question.

    Attributes:
        question: its name.
        alpha: Krippendorff's, ordinal, with an interval over pictures.
        single: ICC(2,1), the reliability of one participant; NaN where no two participants rated the same pictures.
        average: ICC(2,k), that of the mean over ``raters``.
        raters: mean number of participants who rated the same pictures.
        groups: groups of participants who rated the same pictures; the ICCs are means over these.
    """

    question: str
    alpha: Interval
    single: float
    average: float
    raters: float
    groups: int


@dataclass(frozen=True)
class Covariate:
    """Mean answers of the participants who gave one answer about themselves."""

    expertise: str
    level: str
    question: str
    n: int
    means: tuple[Interval, ...]


@dataclass(frozen=True)
class Analysis:
    """A whole analysis.

    Attributes:
        study: what was asked.
        synthetic: True if simulated raters answered, and no people.
        registration: hash of the registered plan; empty where there is none.
        flow: who was left out.
        results: planned tests in their order, then added ones.
        descriptions: of every question and condition.
        agreement: of every Likert question.
        expertise: a row per question about the person, answer and Likert question.
        deviations: from what was registered, a sentence each.
        resamples: of every bootstrap.
    """

    study: Study
    synthetic: bool
    registration: str
    flow: Flow
    results: tuple[Result, ...]
    descriptions: tuple[Description, ...]
    agreement: tuple[Agreement, ...]
    expertise: tuple[Covariate, ...]
    deviations: tuple[str, ...]
    resamples: int
