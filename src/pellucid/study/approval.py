"""Whom a recruiting service should pay: one row per ID, with a decision and its reason."""

import io
from collections.abc import Iterable
from typing import Any

from pellucid.core.spreadsheet import write_table
from pellucid.study.progress import people_of
from pellucid.study.site import Site

__all__ = ["approval_list", "decision"]

COLUMNS = ("id", "decision", "reason", "participant", "began", "last_answer", "minutes")
DECISIONS = {
    "complete": ("approve", "complete"),
    "failed_checks": ("reject", "failed too many attention checks"),
    "screened_out": ("return", "screened out by the comprehension check"),
    "full": ("return", "no place was left"),
    "under_way": ("wait", "still taking part"),
    "left": ("return", "did not finish"),
}


def decision(person: dict[str, Any]) -> tuple[str, str]:
    """What to tell the service about one participant, and why.

    ``approve`` and ``reject`` are for those who finished. ``review`` is for those who finished with answers that a rule
    of exclusion finds odd: such answers can be honest, so that a person decides. ``return`` is for those who could not
    finish, and ``wait`` for those who may still.

    Args:
        person: as `people_of` tells of them.

    >>> decision({"standing": "complete", "flags": ["median 0.4 s per picture"]})
    ('review', 'median 0.4 s per picture')
    """
    told, reason = DECISIONS[person["standing"]]
    if person["flags"] and told in ("approve", "reject"):
        return ("review" if told == "approve" else told), "; ".join(person["flags"])
    return told, reason


def approval_list(site: Site) -> str:
    """The list as CSV: every ID of the recruiting service but those of test persons."""
    out = io.StringIO(newline="")
    write_table(out, COLUMNS, _rows(site))
    return out.getvalue()


def _rows(site: Site) -> Iterable[dict[str, Any]]:
    for person in people_of(site):
        if person["recruit_id"] and person["standing"] in DECISIONS:
            told, reason = decision(person)
            yield {
                "id": person["recruit_id"],
                "decision": told,
                "reason": reason,
                "participant": person["id"],
                "began": person["started"],
                "last_answer": person["seen"],
                "minutes": f"{person['minutes']:.1f}",
            }
