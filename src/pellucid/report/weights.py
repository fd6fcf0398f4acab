"""What comes first where every question weighs as much as its reader says; a tie is a win for nobody."""

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from pellucid.report.recommendation import Contest
from pellucid.report.verdict import listed

__all__ = ["score", "weighed"]

USUAL = 2
"""Where every slider of the page stands at first, between 0 and 4."""


def score(found: Sequence[Contest], weights: Sequence[float], run: int) -> float:
    r"""How much more often a network is better than worse, in all its weighed comparisons, from -1 to 1.

    :math:`\sum_q w_q \sum_j s_{qj} / (\sum_q w_q (n - 1))`, where :math:`s_{qj}` is 1 where it is better than network j
    in question q, -1 where it is worse, and 0 where the two cannot be told apart.

    Args:
        found: the questions.
        weights: of each, at least 0.
        run: the network's place.

    >>> from pellucid.runs.measures import Measure
    >>> gini = Contest(Measure.named("gini"), "Q?", ["a"], [[0, 1, 0], [-1, 0, 0], [0, 0, 0]])
    >>> [score([gini], [2], run) for run in range(3)]
    [0.5, -0.5, 0.0]
    """
    most = sum(weights) * (len(found[0].signs) - 1) if found else 0
    if not most:
        return 0.0
    return sum(weight * sum(one.signs[run]) for weight, one in zip(weights, found, strict=True)) / most


def weighed(found: Sequence[Contest], names: Sequence[str]) -> dict[str, Any]:
    """What the page says where all questions weigh the same, and what its script needs to weigh them otherwise.

    Args:
        found: the questions.
        names: of the networks.

    Returns:
        ``questions``, ``weighed`` (the networks, first the one that comes first), ``weighed_said`` and ``contests``.
    """
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        signs = [sign for one in found for place, sign in enumerate(one.signs[number]) if place != number]
        value = score(found, [USUAL] * len(found), number)
        written = f"{round(100 * value):+d}\u00a0%".replace("-", "−")
        row: dict[str, Any] = {"number": number, "name": name, "value": value, "score": written}
        row |= {"better": signs.count(1), "worse": signs.count(-1), "level": signs.count(0)}
        rows.append(row | {"left": 50 + 50 * min(value, 0), "width": 50 * abs(value)})
    rows.sort(key=lambda row: -row["value"])
    data = {"names": list(names), "signs": [one.signs for one in found]}
    questions = [
        {
            "title": one.question,
            "name": one.measure.own_name,
            "measure": one.measure.title,
            "said": _leads(one),
        }
        for one in found
    ]
    packed = Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))
    return {"questions": questions, "weighed": rows, "weighed_said": _said(rows), "contests": packed}


def _leads(contest: Contest) -> str:
    if contest.all_level:
        return "no two networks can be told apart"
    if not contest.best:
        return contest.nobody
    first, *level = contest.best
    if not level:
        return f"{first} leads"
    return f"in the lead, and not told apart: {listed([first, *level])}"


def _said(rows: Sequence[dict[str, Any]]) -> str:
    """As the page's script says it too."""
    if not rows:
        return ""
    first = [row["name"] for row in rows if round(row["value"] - rows[0]["value"], 9) == 0]
    if len(first) == len(rows):
        return "With these weights no network comes first."
    comes = "comes" if len(first) == 1 else "come"
    return f"With these weights {listed(first)} {comes} first."
