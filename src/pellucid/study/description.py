"""What was answered, before any test: means by condition, agreement between people, answers by expertise."""

from collections.abc import Iterator, Mapping

import numpy as np

from pellucid.statistics import mean_interval
from pellucid.study.agreement import icc, krippendorff_interval
from pellucid.study.responses import Ratings, Responses
from pellucid.study.results import Agreement, Covariate, Description

__all__ = ["agreement", "by_expertise", "describe"]


def describe(responses: Responses, *, resamples: int) -> Iterator[Description]:
    """The answers to every question under every condition.

    Where the networks were right on some images and wrong on others, also for either alone: trust in a wrong answer is
    not the same as trust in a right one. A forced choice is not split, since the networks it is among may differ.

    Args:
        responses: of those who are analysed.
        resamples: of the bootstrap over participants.
    """
    subsets: dict[str, bool | None] = {"all": None}
    if {answer.correct for answer in responses.answers} >= {True, False}:
        subsets |= {"right": True, "wrong": False}
    for question in responses.study.questions:
        for subset, correct in subsets.items():
            if question.kind == "choice" and subset != "all":
                continue
            ratings = responses.ratings(question.name, correct=correct)
            for at, condition in enumerate(ratings.conditions):
                given = ratings.values[:, at]
                rated = given[~np.isnan(given).all(axis=1)]
                if not len(rated):
                    continue
                means, single = np.nanmean(rated, axis=1), given[~np.isnan(given)]
                points = range(1, question.points + 1) if question.kind == "likert" else ()
                yield Description(
                    question=question.name,
                    condition=condition,
                    subset=subset,
                    n=len(means),
                    answers=len(single),
                    mean=mean_interval(means, resamples=resamples),
                    spread=float(means.std(ddof=1)) if len(means) > 1 else float("nan"),
                    median=float(np.median(means)),
                    shares=tuple(float((single == point).mean()) for point in points),
                )


def agreement(question: str, ratings: Ratings, *, resamples: int) -> Agreement:
    """How much participants agree about the pictures: alpha over all, ICCs within those who rated the same pictures.

    Args:
        question: its name.
        ratings: of it.
        resamples: of the bootstrap over pictures.
    """
    rated = ratings.values.reshape(len(ratings.participants), -1)
    there = ~np.isnan(rated)
    groups = []
    for pattern in np.unique(there, axis=0):
        alike = rated[(there == pattern).all(axis=1)][:, pattern]
        if min(alike.shape) >= 2:
            groups.append(alike.T)
    raters = [table.shape[1] for table in groups]

    def mean_of(average: bool) -> float:
        reliability = np.array([icc(table, average=average) for table in groups])
        there = ~np.isnan(reliability)
        return float(np.average(reliability[there], weights=np.array(raters)[there])) if there.any() else float("nan")

    return Agreement(
        question=question,
        alpha=krippendorff_interval(rated, resamples=resamples),
        single=mean_of(False),
        average=mean_of(True),
        raters=float(np.mean(raters)) if raters else 0.0,
        groups=len(groups),
    )


def by_expertise(responses: Responses, ratings: Mapping[str, Ratings], *, resamples: int) -> Iterator[Covariate]:
    """Mean answers by what people said about themselves; no test, since no study of this kind plans one.

    Args:
        responses: of those who are analysed.
        ratings: of each question, by its name.
        resamples: of the bootstrap over participants.
    """
    for asked in responses.study.expertise:
        given = [person.expertise.get(asked.name, "") for person in responses.participants]
        options = asked.options[responses.study.languages[0]]
        for level in (option for option in (*options, "") if option in given):
            members = np.array([answer == level for answer in given])
            for question in (asked.name for asked in responses.study.questions if asked.kind == "likert"):
                values = ratings[question].values[members & ratings[question].complete]
                yield Covariate(
                    expertise=asked.name,
                    level=level or "no answer",
                    question=question,
                    n=len(values),
                    means=tuple(
                        mean_interval(np.nanmean(values[:, at], axis=1) if len(values) else [], resamples=resamples)
                        for at in range(len(ratings[question].conditions))
                    ),
                )
