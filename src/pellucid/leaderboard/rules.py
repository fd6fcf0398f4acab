"""By which rules settings are chosen; each says what of it was changed after candidates had been seen."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "ENTRY_RULE",
    "FRONT_RULE",
    "PRESET_RULE",
    "chosen_strengths",
    "most_robust",
    "quickest",
    "refusal",
    "truest",
    "winner",
]

Row = Mapping[str, Any]
"""A candidate: ``validation_accuracy``, and the means of its measures by name in ``measured``."""
ENTRY_RULE = (
    "of each method and each control, the strength with the highest true mass on validation images among those whose "
    "accuracy is at most 2 points below regular training's; where none is, the most accurate"
)
PRESET_RULE = (
    "the composition with the highest true mass on validation images among those whose normalised faithfulness "
    "(uniform noise) is not below regular training's and whose accuracy is at most 1 point below it; where none is, at "
    "most 2 points; where none is either, the same whatever its faithfulness; where none is that accurate, the most "
    "accurate (the last but one was added when the first search had found none that is as faithful)"
)
FRONT_RULE = (
    "`truest` is the composition with the highest true mass for at most 5 points of accuracy; `robust` has the highest "
    "of those that withstand the attack at least 30 points oftener than regular training, for at most 3 points; where "
    "none does, it is the one that withstands it most for those 3 points (which were demanded here too when the search "
    "on colour images had taken one that lost 8); where none is that accurate, the one that withstands it most. `fast` "
    "has the highest true mass of those whose training took at most two and a half times as long as regular "
    "training's, for at most 2 points of accuracy (it and seven cheaper compositions were added when the preset of "
    "colour images took fourteen times as long as regular training)"
)


def refusal(row: Row, regular: Row, allowed_loss: float, *, faithful: bool = False) -> str | None:
    """Why a rule passes a candidate by, or None.

    Args:
        row: the candidate.
        regular: regular training.
        allowed_loss: how much accuracy it may lose, as a share.
        faithful: whether its normalised faithfulness may not be below regular training's.
    """
    if regular["validation_accuracy"] - row["validation_accuracy"] > allowed_loss + 1e-9:
        return "accuracy"
    least = regular["measured"].get("faithfulness_normalised")
    if faithful and least is not None:
        own = row["measured"].get("faithfulness_normalised")
        if own is None or own < least:
            return "faithfulness"
    return None


def chosen_strengths(rows: Sequence[Row], regular: Row) -> Row:
    """The strength of one entry that `ENTRY_RULE` names.

    Args:
        rows: the candidates of the entry.
        regular: regular training.

    >>> regular = {"validation_accuracy": 0.80, "measured": {"mass": 0.5}}
    >>> weak = {"run": "weak", "validation_accuracy": 0.79, "measured": {"mass": 0.6}}
    >>> strong = {"run": "strong", "validation_accuracy": 0.70, "measured": {"mass": 0.9}}
    >>> chosen_strengths([weak, strong], regular)["run"]
    'weak'
    """
    allowed = [row for row in rows if refusal(row, regular, 0.02) is None]
    return max(allowed, key=_mass) if allowed else max(rows, key=_accuracy)


def winner(rows: Sequence[Row], regular: Row) -> dict[str, Any]:
    """The composition that `PRESET_RULE` names.

    Args:
        rows: the compositions.
        regular: regular training.

    Returns:
        ``row``; ``allowed_loss``, with which loss of accuracy it was found, None where none was so accurate; and
        ``faithful``, whether it kept the demand on faithfulness.
    """
    for faithful in (True, False):
        for allowed_loss in (0.01, 0.02) if faithful else (0.02,):
            allowed = [row for row in rows if refusal(row, regular, allowed_loss, faithful=faithful) is None]
            if allowed:
                return {"row": max(allowed, key=_mass), "allowed_loss": allowed_loss, "faithful": faithful}
    return {"row": max(rows, key=_accuracy), "allowed_loss": None, "faithful": False}


def truest(rows: Sequence[Row], regular: Row) -> Row:
    """The composition with the highest true mass for up to 5 points of accuracy; the most accurate where none is.

    Args:
        rows: the compositions.
        regular: regular training.
    """
    allowed = [row for row in rows if refusal(row, regular, 0.05) is None]
    return max(allowed, key=_mass) if allowed else max(rows, key=_accuracy)


def most_robust(rows: Sequence[Row], regular: Row) -> Row:
    """The truest composition that withstands the attack at least 30 points oftener, for up to 3 points of accuracy.

    Args:
        rows: the compositions; where none is so robust, the one of them that withstands the attack most for those 3
            points is taken; where none is so accurate, the one that withstands it most.
        regular: regular training.
    """
    accurate = [row for row in rows if refusal(row, regular, 0.03) is None]
    least = _robust(regular) + 0.3
    allowed = [row for row in accurate if _robust(row) >= least]
    return max(allowed, key=_mass) if allowed else max(accurate or rows, key=_robust)


def quickest(rows: Sequence[Row], regular: Row) -> Row:
    """The truest training for up to 2 points of accuracy that takes at most 2.5 times as long as the regular one.

    Args:
        rows: the compositions, beside which regular training stands too.
        regular: regular training.
    """
    quick = [row for row in rows if row["seconds"] <= 2.5 * regular["seconds"] and refusal(row, regular, 0.02) is None]
    return max([regular, *quick], key=_mass)


def _robust(row: Row) -> float:
    return float(row["measured"].get("robust_accuracy") or 0.0)


def _mass(row: Row) -> float:
    mass = row["measured"].get("mass")
    return -math.inf if mass is None else float(mass)


def _accuracy(row: Row) -> float:
    return float(row["validation_accuracy"])
