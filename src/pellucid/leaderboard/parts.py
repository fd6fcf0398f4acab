"""Pages and tables keep what they say of networks that are not on this machine, and say where it comes from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pellucid.core.errors import InputError
from pellucid.core.plain_data import read_json
from pellucid.leaderboard.plan import Leaderboard
from pellucid.runs.environment import told_commit
from pellucid.runs.evaluated import Run

__all__ = ["origin", "origins_joined", "stored"]

REMEDY = "move it away to begin it anew"


def stored(plan: Leaderboard, page: str) -> dict[str, Any]:
    """The numbers that a page or table has now, or none where there is none of the same scale.

    Args:
        plan: where the results are, and the scale.
        page: its name.

    Raises:
        InputError: a file that is damaged, or one of an older pellucid, which does not say where its parts come from.
    """
    file = plan.results / f"{page}.json"
    if not file.exists():
        return {}
    found = read_json(file, REMEDY)
    if not isinstance(found, dict) or "environment" in found:
        raise InputError(f"{file} is of an older pellucid, which did not say where each part comes from; {REMEDY}")
    return found if found.get("scale") == plan.scale else {}


def origin(runs: Iterable[Run], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Where a board's part of a page comes from: machine, versions, commits and time.

    Args:
        runs: that it tells of.
        facts: versions and commit, `pellucid.runs.environment.environment`.
    """
    every = list(runs)
    facts = {key: value for key, value in facts.items() if key != "command"}  # it may hold a path of this machine
    return {
        "environment": {**facts, "device_name": every[0].environment["device_name"]},
        "trained_at": sorted({told_commit(run.environment) for run in every}),
    }


def origins_joined(there: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Where the entries of a table come from, after some of them were measured again.

    Args:
        there: origins with their ``entries``.
        now: those of the entries that were measured again.
    """
    again = {name for one in now for name in one["entries"]}
    left = [{**one, "entries": [name for name in one["entries"] if name not in again]} for one in there]
    return [one for one in left if one["entries"]] + [dict(one) for one in now]
