"""Which measure tells the truth, as Markdown from its JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from pellucid.leaderboard.page import provenance
from pellucid.runs.measures import Measure

__all__ = ["page", "reading"]


def page(result: Mapping[str, Any]) -> str:
    """The page's Markdown from its JSON: a reading, then a table for each truth set."""
    lines = ["# Which measure tells the truth?", ""]
    if result["scale"] == "smoke":
        lines += ["Scale `smoke` shows that the command runs: its numbers mean nothing.", ""]
    lines += [reading(board) for board in result["boards"]] if result["scale"] != "smoke" else []
    lines += [
        "",
        "Spearman's rank correlation of each measure with the true mass, the share of the map on what decides the "
        "class. *Across networks*: do networks with more of the measure have truer maps? The interval resamples "
        "trainings, each with all its seeds. *Within a network*: are the maps with more of it truer? The mean over "
        "networks, and an interval of the same kind. Robust accuracy, AutoAttack and accuracy need labels; no other "
        "measure needs anything but the network and its images.",
        "",
    ]
    for board in result["boards"]:
        lines += [*_section(board), "", provenance(board | {"command": result["command"]}), ""]
    return "\n".join(lines)


def reading(board: Mapping[str, Any]) -> str:
    """What a truth set says, in two sentences that are made of its rows."""
    rows = {row["measure"]: row for row in board["rows"] if row["networks"]["mean"] is not None}
    if not rows:
        return f"On {board['board']} there are too few trainings to tell."
    best = max(rows.values(), key=lambda row: abs(row["networks"]["mean"]))
    told = "; ".join(_said(rows[name]) for name in ("aopc_lerf", "aopc_morf", "area_between") if name in rows)
    first = (
        f"On {board['board']}, over {board['networks']} networks of {board['entries']} trainings, {_said(best)} "
        f"correlates best with the true mass, whereas {told}."
    )
    held = board["held_out"]["corrections"]
    if held is None or held["held"]["mean"] is None:
        return f"{first} There are too few networks to choose a correction on odd seeds and to test it on even ones."
    verdict = "reaches" if held["success"] else "does not reach"
    return (
        f"{first} Curves can be corrected by the same network's random and best orders. The correction that odd seeds "
        f"choose is {_title(held['measure'])}; tested on even seeds, its correlation is {_number(held['held'])}, which "
        f"{verdict} the .8 that was asked for."
    )


def _section(board: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {board['board']}"
    yield ""
    yield (
        f"{board['networks']} networks of {board['entries']} trainings, seeds {', '.join(map(str, board['seeds']))}, "
        f"{board['images']} test images."
    )
    yield ""
    yield "| measure | across networks | within a network |"
    yield "| --- | ---: | ---: |"
    rows = sorted(board["rows"], key=lambda row: -abs(row["networks"]["mean"] or 0))
    for row in rows:
        yield f"| {_title(row['measure'])} | {_number(row['networks'])} | {_number(row['images'])} |"
    for name, words in (("corrections", "Of the corrections"), ("all", "Of all measures")):
        held = board["held_out"][name]
        if held is not None:
            yield ""
            yield (
                f"{words}, odd seeds choose {_title(held['measure'])}{' (less is better)' * (held['sign'] < 0)}, with "
                f"a correlation of {held['chosen']:.2f} there and of {_number(held['held'])} on even seeds."
            )


def _title(name: str) -> str:
    title = Measure.named(name).title
    return title if not name.endswith("_mean") or "mean" in title else f"{title}, mean fill"


def _said(row: Mapping[str, Any]) -> str:
    return f"{_title(row['measure'])} {_number(row['networks'])}"


def _number(values: Mapping[str, Any]) -> str:
    if values["mean"] is None:
        return "–"
    return "{mean:+.2f} [{low:+.2f}, {high:+.2f}]".format(**values).replace("-", "−")
