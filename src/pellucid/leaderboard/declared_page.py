"""The predictions as Markdown, from their JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pellucid.leaderboard.page import provenance
from pellucid.leaderboard.plan import OWN_PICTURES
from pellucid.papers.table_page import claim_number

__all__ = ["page"]


def page(result: Mapping[str, Any]) -> str:
    """The page's Markdown from its JSON: counts of the verdicts, then a line for each prediction."""
    first, later = ([row for row in result["sentences"] if row["later"] == when] for when in (False, True))
    lines = ["# Predictions made before measuring", ""]
    if result["scale"] == "smoke":
        lines += ["Scale `smoke` shows that the command runs: its numbers mean nothing.", ""]
    lines += [
        f"{_counted(first)} They were written down before the leaderboards were measured, from what the papers claim "
        "and from prototypes of one or two seeds.",
        "",
        "Each effect is a difference over the same seeds and images, with its 95 % interval over both. Verdicts use "
        "two-sided p-values at 5 %, after Holm's correction for all predictions of a table that were judged; so an "
        "interval may exclude 0 where the verdict is that it cannot be told. A prediction with fewer seeds than were "
        "planned says so, and one seed gets no verdict.",
        "",
        *_table(first),
        "",
        "## Predictions that were added later",
        "",
        f"{_counted(later)} Each was written down before the trainings that it names, when other trainings of its "
        "board had been measured.",
        "",
        *_table(later),
    ]
    for board, origin in result["origins"].items():
        command = result["command"] + " --path PATH" * (board in OWN_PICTURES)
        lines += ["", f"{board}: {provenance(origin | {'command': command})}"]
    return "\n".join([*lines, ""])


def _counted(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(row["verdict"] for row in rows)
    return f"{len(rows)} predictions: {', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}."


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| prediction | board | seeds | found | p (Holm) | verdict |"
    yield "| --- | --- | ---: | ---: | ---: | --- |"
    for row in rows:
        found = "–" if row["found"] is None else claim_number(row)
        fewer = f" of {row['declared_seeds']}" if row["seeds"] < row["declared_seeds"] else ""
        p = "–" if row["p_holm"] is None else f"{row['p_holm']:.3f}"
        yield f"| {row['text']} | {row['board']} | {row['seeds']}{fewer} | {found} | {p} | **{row['verdict']}** |"
